//! Files to and from a server: streamed, bounded, under safe names.
#![allow(clippy::unwrap_used)]

mod api_support;

use api_support::*;
use chatphone::api::{ApiError, Client, MAX_UPLOAD_BYTES, filename};
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const BIG: u64 = 1 << 30;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A server whose files are all `body`, with these headers.
async fn files(body: &'static [u8], headers: &'static [(&'static str, &'static str)]) -> Server {
    Server::start(move |_| {
        let mut answer = response(200, "application/octet-stream", body);
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        answer
    })
    .await
}

#[tokio::test]
async fn an_upload_is_one_form_field_named_file() {
    let server = Server::start(|_| json(json!({"file_id": 77, "file_name": "tone.png"}))).await;
    let dir = folder();
    let path = dir.path().join("tone \"1\".png");
    std::fs::write(&path, b"picture").unwrap();
    let answer = server.client().upload_file(&path, |_, _| ()).await.unwrap();
    assert_eq!((answer.file_id.as_str(), answer.file_name.as_deref()), ("77", Some("tone.png")));
    let seen = server.last();
    assert!(seen.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    assert!(seen.header("content-length").is_some(), "some servers take no chunked uploads");
    let body = String::from_utf8(seen.body).unwrap();
    assert!(body.contains("name=\"file\"; filename=") && body.contains("Content-Type: image/png"), "{body}");
    assert!(body.contains("\r\n\r\npicture\r\n--"), "{body}");
}

#[tokio::test]
async fn an_upload_tells_its_progress_in_pieces() {
    let server = Server::start(|_| json(json!({"file_id": "f"}))).await;
    let dir = folder();
    let path = dir.path().join("a.bin");
    std::fs::write(&path, vec![7u8; 1_000_000]).unwrap();
    let told: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let log = told.clone();
    server.client().upload_file(&path, move |done, total| log.lock().unwrap().push((done, total))).await.unwrap();
    let told = told.lock().unwrap();
    assert!(told.len() > 10, "{} pieces", told.len());
    assert!(told.windows(2).all(|w| w[0].0 < w[1].0));
    assert_eq!(told.last(), Some(&(1_000_000, 1_000_000)));
    assert!(server.last().body.len() > 1_000_000);
}

#[tokio::test]
async fn an_upload_above_25_mb_is_refused_before_sending() {
    let server = Server::start(|_| json(json!({"file_id": "f"}))).await;
    let dir = folder();
    let path = dir.path().join("big.bin");
    std::fs::File::create(&path).unwrap().set_len(MAX_UPLOAD_BYTES + 1).unwrap();
    let e = server.client().upload_file(&path, |_, _| ()).await.unwrap_err();
    assert!(
        matches!(e, ApiError::TooLarge { limit: MAX_UPLOAD_BYTES, .. }) && e.to_string().contains("big.bin"),
        "{e}"
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_upload_of_exactly_25_mb_is_sent() {
    let server = Server::start(|_| json(json!({"file_id": "f"}))).await;
    let dir = folder();
    let path = dir.path().join("full.bin");
    std::fs::File::create(&path).unwrap().set_len(MAX_UPLOAD_BYTES).unwrap();
    server.client().upload_file(&path, |_, _| ()).await.unwrap();
    assert!(server.last().body.len() as u64 > MAX_UPLOAD_BYTES);
}

#[tokio::test]
async fn a_file_that_is_missing_or_no_file_is_named() {
    let dir = folder();
    let client = client("https://cc.example.com");
    for path in [dir.path().join("missing.png"), dir.path().to_owned()] {
        let e = client.upload_file(&path, |_, _| ()).await.unwrap_err();
        assert!(matches!(e, ApiError::File { .. }), "{e:?}");
        assert!(e.to_string().contains(path.to_str().unwrap()), "{e}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_upload_says_why() {
    let server = Server::start(|_| error(413, 5501, "limit is 25 MB")).await;
    let dir = folder();
    let path = dir.path().join("a.bin");
    std::fs::write(&path, b"x").unwrap();
    let e = server.client().upload_file(&path, |_, _| ()).await.unwrap_err();
    assert!(e.to_string().contains("upload size limit exceeded (5501): \"limit is 25 MB\""), "{e}");
}

#[tokio::test]
async fn an_upload_without_a_file_id_in_the_answer_failed() {
    let server = Server::start(|_| json(json!({}))).await;
    let dir = folder();
    let path = dir.path().join("a.bin");
    std::fs::write(&path, b"x").unwrap();
    let e = server.client().upload_file(&path, |_, _| ()).await.unwrap_err();
    assert!(e.to_string().contains("file_id"), "{e}");
}

#[tokio::test]
async fn transfers_in_which_nothing_moves_time_out() {
    let silent = Silent::start().await;
    let mut config = config(&silent.url);
    config.read_timeout = Duration::from_millis(80);
    let client = Client::new(config).unwrap();
    let dir = folder();
    let path = dir.path().join("a.bin");
    std::fs::write(&path, vec![0; 10_000]).unwrap();
    let e = client.upload_file(&path, |_, _| ()).await.unwrap_err();
    assert!(matches!(e, ApiError::Timeout { .. }), "{e:?}");
    let e = client.download_file("c", "f", dir.path(), None, BIG, |_, _| ()).await.unwrap_err();
    assert!(matches!(e, ApiError::Timeout { .. }), "{e:?}");
    assert_eq!(names(dir.path()), ["a.bin"]);
}

#[tokio::test]
async fn a_slow_download_that_moves_does_not_time_out() {
    let server = Server::start(|_| {
        let pieces = futures::stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            (n < 6).then(|| (Ok::<_, std::io::Error>("x"), n + 1))
        });
        response(200, "text/plain", axum::body::Body::from_stream(pieces))
    })
    .await;
    let mut config = config(&server.url());
    config.read_timeout = Duration::from_millis(250);
    let dir = folder();
    let client = Client::new(config).unwrap();
    let path = client.download_file("c", "f", dir.path(), Some("slow"), BIG, |_, _| ()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"xxxxxx");
}

#[tokio::test]
async fn a_download_is_saved_under_its_name_with_its_progress() {
    let server = files(b"content", &[]).await;
    let dir = folder();
    let mut told = Vec::new();
    let path = server
        .client()
        .download_file("c", "f 1", dir.path(), Some("note.txt"), BIG, |done, total| told.push((done, total)))
        .await
        .unwrap();
    assert_eq!(path, dir.path().join("note.txt"));
    assert_eq!(std::fs::read(path).unwrap(), b"content");
    assert_eq!(told.last(), Some(&(7, Some(7))));
    assert_eq!(server.last().uri.path(), "/clientweb/api/v1/chats/c/files/f%201");
    assert_eq!(names(dir.path()), ["note.txt"]);
}

#[tokio::test]
async fn a_download_never_overwrites() {
    let server = files(b"new", &[]).await;
    let dir = folder();
    std::fs::write(dir.path().join("a.txt"), "old").unwrap();
    for expected in ["a (1).txt", "a (2).txt"] {
        let path = server.client().download_file("c", "f", dir.path(), Some("a.txt"), BIG, |_, _| ()).await.unwrap();
        assert_eq!(path, dir.path().join(expected));
    }
    assert_eq!(std::fs::read(dir.path().join("a.txt")).unwrap(), b"old");
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let server = files(b"", &[]).await;
    let dir = folder();
    let path = server.client().download_file("c", "f", dir.path(), Some("e"), BIG, |_, _| ()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"");
}

#[tokio::test]
async fn a_name_from_outside_cannot_leave_the_folder() {
    let server = files(b"x", &[]).await;
    let dir = folder();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    for hint in ["../evil", "../../evil", "/etc/evil", "..\\evil", "C:\\evil", "a/../../evil", "evil/.."] {
        let path = server.client().download_file("c", "f", &inner, Some(hint), BIG, |_, _| ()).await.unwrap();
        assert_eq!(path.parent(), Some(inner.as_path()), "{hint}");
    }
    assert_eq!(names(dir.path()), ["inner"]);
    assert!(names(&inner).iter().all(|n| n.starts_with("evil")), "{:?}", names(&inner));
}

#[tokio::test]
async fn without_a_hint_the_answer_names_the_file() {
    for (headers, expected) in [
        (&[("content-disposition", "attachment; filename=\"../bill.pdf\"")][..], "bill.pdf"),
        (&[("content-disposition", "attachment; filename=x; filename*=UTF-8''caf%C3%A9%2F..%2Fa.txt")][..], "a.txt"),
        (&[("content-type", "image/png; q=1")][..], "file.png"),
        (&[][..], "file"),
    ] {
        let server = files(b"x", headers).await;
        let dir = folder();
        server.client().download_file("c", "f", dir.path(), None, BIG, |_, _| ()).await.unwrap();
        assert_eq!(names(dir.path()), [expected]);
    }
}

#[tokio::test]
async fn a_profile_photo_gets_the_extension_of_its_type() {
    for (kind, expected) in [("image/jpeg", "photo.jpg"), ("image/webp", "photo.webp"), ("weird", "photo")] {
        let server = Server::start(move |_| response(200, kind, "pixels")).await;
        let dir = folder();
        let path = server.client().profile_photo("c", "p", dir.path(), None, BIG).await.unwrap();
        assert_eq!(path, dir.path().join(expected));
    }
}

#[tokio::test]
async fn a_download_too_large_by_its_header_is_refused() {
    let server = files(&[0; 1000], &[]).await;
    let dir = folder();
    let e = server.client().download_file("c", "f", dir.path(), None, 999, |_, _| ()).await.unwrap_err();
    assert!(matches!(e, ApiError::TooLarge { limit: 999, .. }), "{e:?}");
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_download_that_grows_too_large_leaves_nothing_behind() {
    let server = Server::start(|_| {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0u8; 4096]));
        response(200, "image/png", axum::body::Body::from_stream(endless))
    })
    .await;
    let dir = folder();
    let e = server.client().download_file("c", "f", dir.path(), None, 100_000, |_, _| ()).await.unwrap_err();
    assert!(matches!(e, ApiError::TooLarge { .. }), "{e:?}");
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_download_that_breaks_leaves_nothing_behind() {
    let url = raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it").await;
    let dir = folder();
    let e = client(&url).download_file("c", "f", dir.path(), Some("a"), BIG, |_, _| ()).await.unwrap_err();
    assert!(matches!(e, ApiError::Interrupted { .. }) && e.is_transient(), "{e:?}");
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_download_that_is_given_up_leaves_nothing_behind() {
    let (begun, mut first_piece) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(|_| {
        let some = futures::stream::iter([Ok::<_, std::io::Error>("half")]);
        let body = futures::StreamExt::chain(some, futures::stream::pending());
        response(200, "image/png", axum::body::Body::from_stream(body))
    })
    .await;
    let dir = folder();
    let (client, path) = (server.client(), dir.path().to_owned());
    let task = tokio::spawn(async move {
        client.download_file("c", "f", &path, None, BIG, move |_, _| begun.send(()).unwrap()).await
    });
    first_piece.recv().await.unwrap();
    assert_eq!(names(dir.path()).len(), 1, "the temporary file");
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_missing_file_is_not_a_missing_session() {
    let server = Server::start(|_| error(404, 5502, "file not found")).await;
    let dir = folder();
    let e = server.client().download_file("c", "f", dir.path(), None, BIG, |_, _| ()).await.unwrap_err();
    assert!(!e.is_session_gone() && e.to_string().contains("file not found"), "{e}");
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let server = files(b"x", &[]).await;
    let dir = folder().path().join("nowhere");
    let e = server.client().download_file("c", "f", &dir, None, BIG, |_, _| ()).await.unwrap_err();
    assert!(matches!(e, ApiError::File { .. }) && e.to_string().contains("nowhere"), "{e:?}");
}

#[tokio::test]
async fn a_file_may_lie_on_another_host_which_is_not_told_who_asks() {
    let store = files(b"stored", &[]).await;
    let place = format!("{}/bucket/key", store.url());
    let server = Server::start(move |_| {
        let mut answer = response(302, "text/html", "");
        answer.headers_mut().insert("location", place.parse().unwrap());
        answer
    })
    .await;
    let dir = folder();
    let path = server.client().download_file("c", "f", dir.path(), Some("a"), BIG, |_, _| ()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"stored");
    assert!(server.last().header("authorization").is_some());
    assert_eq!(store.last().header("authorization"), None);
}

#[test]
fn names_are_made_safe() {
    for (name, expected) in [
        ("report.pdf", "report.pdf"),
        ("Ærø – 3.txt", "Ærø – 3.txt"),
        ("", "file"),
        ("...", "file"),
        (".bashrc", "bashrc"),
        ("a\u{0}b\nc.txt", "abc.txt"),
        ("gpj.\u{202e}exe.txt", "gpj.exe.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com1.log", "_Com1.log"),
        ("LPT²", "_LPT²"),
        ("COM10", "COM10"),
        ("console.txt", "console.txt"),
        ("a<b>:c|?*\".txt", "a_b__c____.txt"),
        ("trailing. . ", "trailing"),
        ("folder/", "folder"),
    ] {
        assert_eq!(filename::safe(name, "file"), expected, "{name:?}");
    }
}

#[test]
fn long_names_keep_their_extension() {
    let name = filename::safe(&format!("{}.pdf", "é".repeat(300)), "file");
    assert!(name.len() <= 200 && name.ends_with("é.pdf"), "{name}");
}

#[test]
fn a_number_goes_before_the_extension() {
    assert_eq!(filename::numbered("a.txt", 1), "a (1).txt");
    assert_eq!(filename::numbered("a", 2), "a (2)");
}
