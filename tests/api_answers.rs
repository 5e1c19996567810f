//! What the API client makes of answers: nothing new, errors with and without a code, pages for people, broken and endless
//! answers, none at all.
#![allow(clippy::unwrap_used)]

mod api_support;

use api_support::*;
use chatphone::api::Client;
use chatphone::api::error::{ApiError, ErrorCode, NotJson, Operation};
use chatphone::chat::Cause;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn nothing_new_comes_as_an_empty_body_and_as_5511() {
    let empty = Server::start(|_| response(200, "application/json", "")).await;
    assert!(empty.client().poll_events("c").await.unwrap().is_empty());
    for status in [200, 400, 404] {
        let none = Server::start(move |_| error(status, 5511, "no events")).await;
        assert!(none.client().poll_events("c").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_second_poll_is_busy_and_no_failure() {
    for answer in [|| error(400, 5509, "x"), || error(500, 5509, "x"), || response(400, "text/plain", "")] {
        let server = Server::start(move |_| answer()).await;
        let e = server.client().poll_events("c").await.unwrap_err();
        assert!(e.is_busy_poll(), "{e}");
    }
    let server = Server::start(|_| error(400, 1000, "tenant")).await;
    assert!(!server.client().poll_events("c").await.unwrap_err().is_busy_poll());
    let e = Server::start(|_| response(400, "text/plain", "")).await.client().history("c").await.unwrap_err();
    assert!(!e.is_busy_poll());
}

#[tokio::test]
async fn a_session_is_gone_by_404_and_by_5005() {
    for answer in [|| error(404, 5005, "x"), || error(400, 5005, "x"), || response(404, "text/html", "<h1>404</h1>")] {
        let server = Server::start(move |_| answer()).await;
        assert!(server.client().poll_events("c").await.unwrap_err().is_session_gone());
        assert!(server.client().send_events("c", &[]).await.unwrap_err().is_session_gone());
    }
    // Neither an unknown application nor a 404 of a method without a session.
    let server = Server::start(|_| error(404, 5006, "x")).await;
    assert!(!server.client().poll_events("c").await.unwrap_err().is_session_gone());
    let server = Server::start(|_| response(404, "text/html", "")).await;
    assert!(!server.client().availability().await.unwrap_err().is_session_gone());
}

#[tokio::test]
async fn each_code_comes_through_with_the_servers_text() {
    for code in ErrorCode::ALL.iter().copied() {
        let server = Server::start(move |_| error(code.http_status(), code.code(), "because of the moon")).await;
        let e = server.client().availability().await.unwrap_err();
        let ApiError::Status { operation, status, code: found, ref message, .. } = e else { panic!("{e}") };
        assert_eq!((operation, status), (Operation::CheckAvailability, code.http_status()));
        assert_eq!((found, message.as_str()), (Some(code), "because of the moon"));
        let text = e.to_string();
        assert!(text.starts_with("Check Availability: 127.0.0.1:") && text.contains(code.meaning()), "{text}");
        use ErrorCode::*;
        let transient = matches!(code, ServerTimeout | NoServer | ServerDisconnected | Internal | Unspecified);
        assert_eq!(e.is_transient(), transient, "{text}");
        assert_eq!(e.is_unauthorized(), matches!(code.code(), 2000..=2004 | 3000), "{text}");
    }
}

#[tokio::test]
async fn a_status_without_a_code_speaks_for_itself() {
    for (status, transient, unauthorized) in [
        (401, false, true),
        (403, false, true),
        (408, true, false),
        (429, true, false),
        (500, true, false),
        (503, true, false),
    ] {
        let server = Server::start(move |_| response(status, "text/html", "<html>oops</html>")).await;
        let e = server.client().history("c").await.unwrap_err();
        assert_eq!((e.is_transient(), e.is_unauthorized(), e.code()), (transient, unauthorized, None), "{e}");
        assert!(!e.to_string().contains('<'), "{e}");
    }
}

#[tokio::test]
async fn an_unknown_code_is_kept() {
    let server = Server::start(|_| error(500, 7777, "new")).await;
    let e = server.client().history("c").await.unwrap_err();
    assert_eq!(e.code(), Some(ErrorCode::Unknown(7777)));
    assert!(e.is_transient());
}

#[tokio::test]
async fn an_error_under_a_200_is_an_error() {
    let server = Server::start(|_| error(200, 5005, "gone")).await;
    assert!(server.client().poll_events("c").await.unwrap_err().is_session_gone());
}

#[tokio::test]
async fn a_servers_text_cannot_drive_a_terminal() {
    let server = Server::start(|_| error(403, 3000, &format!("\u{1b}[2Jbad\r\napp {}", "x".repeat(10_000)))).await;
    let text = server.client().availability().await.unwrap_err().to_string();
    assert!(!text.contains(char::is_control) && text.contains("[2Jbad app") && text.len() < 600, "{text}");
}

#[tokio::test]
async fn a_web_page_is_told_from_truncated_and_other_text() {
    for (body, expected) in [
        ("<!DOCTYPE html><html>Sign in</html>", NotJson::Html),
        (r#"{"chat": "avail"#, NotJson::Truncated),
        (r#"{"events": [{"#, NotJson::Truncated),
        ("hello", NotJson::Other),
        ("", NotJson::Empty),
    ] {
        let server = Server::start(move |_| response(200, "text/html", body)).await;
        let e = server.client().availability().await.unwrap_err();
        assert!(matches!(e, ApiError::NotJson { what, .. } if what == expected), "{body}: {e}");
        assert_eq!(e.is_transient(), expected == NotJson::Truncated);
    }
}

#[tokio::test]
async fn json_that_is_no_answer_is_said_to_be_unusable() {
    for body in ["[]", "5", "null", "\"x\""] {
        let server = Server::start(move |_| response(200, "application/json", body)).await;
        let e = server.client().availability().await.unwrap_err();
        assert!(matches!(e, ApiError::Unexpected { .. }), "{body}: {e}");
    }
    let server = Server::start(|_| json(json!({"state": "queued"}))).await;
    let e = server.client().request_chat(&Default::default()).await.unwrap_err();
    assert!(e.to_string().contains("chat_id"), "{e}");
}

#[tokio::test]
async fn a_byte_order_mark_and_broken_utf8_are_read_over() {
    let body = b"\xef\xbb\xbf {\"events\":[{\"event\":\"chat_session_message\",\"msg\":\"caf\xe9\"}]}\r\n";
    let server = Server::start(move |_| response(200, "application/json", &body[..])).await;
    assert_eq!(server.client().poll_events("c").await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_a_broken_connection() {
    let url = raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"chat\":").await;
    let e = client(&url).availability().await.unwrap_err();
    assert!(matches!(e, ApiError::Interrupted { .. }) && e.is_transient(), "{e:?}");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_a_broken_connection() {
    let e = client(&raw("").await).send_events("c", &[]).await.unwrap_err();
    assert!(matches!(e, ApiError::Interrupted { .. }) && e.is_transient(), "{e:?}");
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let server = Server::start(|_| response(200, "application/json", vec![b' '; 9 * 1024 * 1024])).await;
    let e = server.client().history("c").await.unwrap_err();
    assert!(matches!(e, ApiError::TooLarge { limit: 8_388_608, .. }), "{e}");
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let e = client(&format!("http://{}", nobody().await)).availability().await.unwrap_err();
    assert!(e.is_unreachable() && e.to_string().contains("refused"), "{e}");
}

#[tokio::test]
async fn an_unknown_name_is_unreachable() {
    let e = client("https://no-such-center.invalid").availability().await.unwrap_err();
    assert!(e.is_unreachable() && e.to_string().contains("no-such-center.invalid"), "{e}");
}

#[tokio::test]
async fn silence_is_a_time_out() {
    let silent = Silent::start().await;
    let mut config = config(&silent.url);
    config.read_timeout = Duration::from_millis(50);
    config.poll_timeout = Duration::from_millis(60);
    let client = Client::new(config).unwrap();
    let e = client.availability().await.unwrap_err();
    assert!(matches!(e, ApiError::Timeout { after, .. } if after.as_millis() == 50) && e.is_transient(), "{e}");
    let e = client.poll_events("c").await.unwrap_err();
    assert!(matches!(e, ApiError::Timeout { after, .. } if after.as_millis() == 60), "{e}");
}

#[tokio::test]
async fn a_poll_may_be_held_longer_than_other_answers() {
    let server = Server::start_async(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        json(json!({"events": [{"event": "chat_session_ended"}]}))
    })
    .await;
    let mut config = config(&server.url());
    config.read_timeout = Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    assert_eq!(client.poll_events("c").await.unwrap().len(), 1);
    assert!(matches!(client.history("c").await, Err(ApiError::Timeout { .. })));
}

#[tokio::test]
async fn a_server_that_cannot_now_says_when() {
    let busy = |_| {
        let mut answer = error(503, 5001, "restarting");
        answer.headers_mut().insert("retry-after", "7".parse().unwrap());
        answer
    };
    let e = Server::start(busy).await.client().poll_events("c").await.unwrap_err();
    let ApiError::Status { retry_after, .. } = &e else { panic!("{e}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(7)));
    assert_eq!(Cause::of(&e), Some(Cause::Refused { retry_after: *retry_after }));
}

#[tokio::test]
async fn a_sign_in_page_is_told_from_the_server_and_from_a_fault() {
    let page = |status| response(status, "text/html", "<html>Welcome to our Wi-Fi</html>");
    let moved = |_| {
        let mut answer = response(302, "text/html", "");
        answer.headers_mut().insert("location", "http://portal.example/login?secret=1".parse().unwrap());
        answer
    };
    for (server, words) in [
        (Server::start(move |_| page(200)).await, "a sign-in page between"),
        (Server::start(move |_| page(511)).await, "sign in to this network"),
        (Server::start(moved).await, "moved to http://portal.example/login\"; a sign-in page"),
    ] {
        let e = server.client().poll_events("c").await.unwrap_err();
        assert_eq!(Cause::of(&e), Some(Cause::Elsewhere), "{e}");
        assert!(e.to_string().contains(words) && !e.to_string().contains("secret"), "{e}");
    }
    let e = Server::start(move |_| page(503)).await.client().poll_events("c").await.unwrap_err();
    assert_eq!(Cause::of(&e), Some(Cause::Refused { retry_after: None }), "a proxy before a server that is down: {e}");
}

#[tokio::test]
async fn half_an_answer_is_a_broken_connection() {
    let gzip = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03";
    let text = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"events\": [";
    let json = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"events\": [";
    for answer in [&gzip[..], text, json] {
        let e = client(&raw(answer).await).poll_events("c").await.unwrap_err();
        assert_eq!(Cause::of(&e), Some(Cause::Broken), "{e}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_a_broken_connection() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let e = client(&format!("http://{free}")).poll_events("c").await.unwrap_err();
    assert_eq!(Cause::of(&e), Some(Cause::Unreachable), "{e}");
}
