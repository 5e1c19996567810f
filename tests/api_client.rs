//! The API client against real servers: what it sends, who it says it is, where it goes.
#![allow(clippy::unwrap_used)]

mod api_support;

use api_support::*;
use chatphone::api::error::ApiError;
use chatphone::api::signaling::Signal;
use chatphone::api::types::ChatRequest;
use chatphone::api::{Client, ClientEvent, Identity, event};
use serde_json::json;

/// Answers whatever is asked with something that fits.
async fn obliging() -> Server {
    Server::start(|seen| {
        let path = seen.uri.path().trim_start_matches("/clientweb/api/v1/").to_owned();
        json(match path.as_str() {
            "chats" | "chats/active" => json!({"chat_id": "c", "state": "queued"}),
            "files" => json!({"file_id": "f"}),
            _ => json!({"chat": "available", "events": []}),
        })
    })
    .await
}

#[tokio::test]
async fn each_method_goes_to_its_path_with_every_header() {
    let server = obliging().await;
    let client = server.client();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.txt");
    std::fs::write(&file, "x").unwrap();

    client.availability().await.unwrap();
    client.expected_parameters().await.unwrap();
    client.request_chat(&ChatRequest::default()).await.unwrap();
    client.active_chat().await.unwrap();
    client.send_events("c", &[]).await.unwrap();
    client.history("c").await.unwrap();
    client.poll_events("c").await.unwrap();
    client.upload_file(&file, |_, _| ()).await.unwrap();
    client.download_file("c", "f", dir.path(), None, 1000, |_, _| ()).await.unwrap();
    client.profile_photo("c", "p", dir.path(), None, 1000).await.unwrap();
    client.ice_servers().await.unwrap();
    client.widget_configuration().await.unwrap();

    let seen = server.seen();
    let asked: Vec<_> = seen.iter().map(|s| format!("{} {}", s.method, s.uri.path())).collect();
    assert_eq!(
        asked.iter().map(|a| a.replacen("/clientweb/api/v1/", "", 1)).collect::<Vec<_>>(),
        [
            "GET availability",
            "GET parameters",
            "POST chats",
            "GET chats/active",
            "POST chats/c/events",
            "GET chats/c/history",
            "GET chats/c/events",
            "POST files",
            "GET chats/c/files/f",
            "GET chats/c/profilephotos/p",
            "GET iceservers",
            "GET configuration",
        ]
    );
    for s in &seen {
        assert!(s.uri.path().starts_with("/clientweb/api/v1/"), "{}", s.uri);
        assert_eq!(s.query("tenantUrl").as_deref(), Some("127.0.0.1"));
        assert_eq!(s.header("user-agent"), Some("MobileClient"));
        assert_eq!(s.header("authorization"), Some(r#"MOBILE-API-140-327-PLAIN appId="app-1", clientId="client-1""#));
        if s.method == "POST" && !s.uri.path().ends_with("/files") {
            assert_eq!(s.header("content-type"), Some("application/json; charset=UTF-8"));
        }
    }
}

#[tokio::test]
async fn the_tenant_is_sent_encoded_when_it_is_not_the_host() {
    let server = obliging().await;
    let mut config = config(&server.url());
    config.tenant = Some("tenant one&two.example".into());
    Client::new(config).unwrap().availability().await.unwrap();
    assert_eq!(server.last().query("tenantUrl").as_deref(), Some("tenant one&two.example"));
    assert_eq!(server.last().uri.query(), Some("tenantUrl=tenant+one%26two.example"));
}

#[tokio::test]
async fn a_base_address_may_hold_the_api_path_or_a_prefix() {
    let server = obliging().await;
    for (suffix, path) in [
        ("/", "/clientweb/api/v1/availability"),
        ("/clientweb/api/v1", "/clientweb/api/v1/availability"),
        ("/clientweb/api/v1/", "/clientweb/api/v1/availability"),
        ("/proxy/", "/proxy/clientweb/api/v1/availability"),
    ] {
        client(&format!("{}{suffix}", server.url())).availability().await.unwrap();
        assert_eq!(server.last().uri.path(), path);
    }
}

#[tokio::test]
async fn events_are_sent_as_published() {
    let server = obliging().await;
    let signaling = event::ClientSignaling {
        msg_id: "c:1".into(),
        destination_party_id: "a".into(),
        data: Signal::request_call(false),
        extra: Default::default(),
    };
    server.client().send_events("c", &[ClientEvent::Signaling(signaling)]).await.unwrap();
    assert_eq!(
        server.last().json(),
        json!({"events": [{"event": "chat_session_signaling", "msg_id": "c:1", "destination_party_id": "a",
               "data": {"type": "REQUEST_CALL", "offerVideo": false}}]})
    );
}

#[tokio::test]
async fn a_chat_request_carries_its_parameters() {
    let server = obliging().await;
    let mut request =
        ChatRequest { from: Some("Sam".into()), phone_number: Some("+14155550123".into()), ..Default::default() };
    request.parameters.insert("email".into(), "sam@example.com".into());
    server.client().request_chat(&request).await.unwrap();
    let expected = json!({"from": "Sam", "phone_number": "+14155550123", "parameters": {"email": "sam@example.com"}});
    assert_eq!(server.last().json(), expected);
}

#[tokio::test]
async fn a_poll_is_never_the_same_request_twice() {
    let server = obliging().await;
    let client = server.client();
    for _ in 0..50 {
        client.poll_events("c").await.unwrap();
    }
    let seen = server.seen();
    assert!(seen.iter().all(|s| s.header("cache-control") == Some("no-cache, no-store")));
    let nonces: std::collections::HashSet<_> = seen.iter().map(|s| s.query("nonce").unwrap()).collect();
    assert_eq!(nonces.len(), 50);
}

#[tokio::test]
async fn connections_are_reused() {
    let server = Server::start(|_| json(json!({"chat": "available"}))).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (count, back) = (accepted.clone(), server.addr);
    tokio::spawn(async move {
        while let Ok((mut a, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut b = tokio::net::TcpStream::connect(back).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut a, &mut b).await });
        }
    });
    let client = client(&format!("http://{front}"));
    for _ in 0..5 {
        client.availability().await.unwrap();
    }
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn ids_in_paths_are_encoded() {
    let server = obliging().await;
    server.client().history("a/b c?d#e%2f").await.unwrap();
    assert_eq!(server.last().uri.path(), "/clientweb/api/v1/chats/a%2Fb%20c%3Fd%23e%252f/history");
}

#[tokio::test]
async fn ids_that_would_lead_to_another_path_are_refused() {
    let server = obliging().await;
    for id in ["", ".", ".."] {
        let e = server.client().history(id).await.unwrap_err();
        assert!(matches!(e, ApiError::BadArgument { .. }), "{e}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn ids_that_do_not_fit_into_the_header_are_refused() {
    for bad in ["", "a\"b", "a\\b", "a\r\nX-Evil: 1", "a\tb", "é"] {
        let mut with_app = config("https://cc.example.com");
        with_app.app_id = bad.into();
        assert!(matches!(Client::new(with_app), Err(ApiError::BadConfig(_))), "app id {bad:?}");
        let mut with_client = config("https://cc.example.com");
        with_client.identity = Identity::ClientId(bad.into());
        assert!(matches!(Client::new(with_client), Err(ApiError::BadConfig(_))), "client id {bad:?}");
    }
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    for url in ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1", "http://localhost:1", "http://a.localhost"]
    {
        Client::new(config(url)).unwrap();
    }
    for url in ["http://cc.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://[::2]"] {
        let e = Client::new(config(url)).unwrap_err();
        assert!(e.to_string().contains("--insecure-http"), "{e}");
        let mut allowed = config(url);
        allowed.insecure_http = true;
        Client::new(allowed).unwrap();
    }
}

#[test]
fn addresses_that_cannot_be_used_are_refused() {
    for url in
        ["", "https://", "ftp://cc.example.com", "https://user:pw@cc.example.com", "https://a b", "https://a/?q=1"]
    {
        let e = Client::new(config(url)).unwrap_err();
        assert!(matches!(e, ApiError::BadConfig(_)), "{url}: {e}");
        assert!(!e.to_string().contains("pw"), "{e}");
    }
    assert_eq!(client("cc.example.com").host(), "cc.example.com");
    assert_eq!(client("cc.example.com:8443").host(), "cc.example.com:8443");
}

#[tokio::test]
async fn a_web_chat_is_known_by_its_cookies() {
    let server = Server::start(|_| {
        let mut answer = json(json!({"chat": "available"}));
        answer.headers_mut().insert("set-cookie", "JSESSIONID=s1; Path=/; HttpOnly".parse().unwrap());
        answer
    })
    .await;
    let mut config = config(&server.url());
    config.identity = Identity::WebChat;
    let client = Client::new(config).unwrap();
    client.availability().await.unwrap();
    assert_eq!(server.last().header("cookie"), None);
    client.clone().availability().await.unwrap();
    assert_eq!(server.last().header("cookie"), Some("JSESSIONID=s1"));
    assert!(server.last().header("authorization").unwrap().ends_with(r#"clientId="WebChat""#));
}

#[tokio::test]
async fn a_client_with_an_id_keeps_no_cookies() {
    let server = Server::start(|_| {
        let mut answer = json(json!({"chat": "available"}));
        answer.headers_mut().insert("set-cookie", "JSESSIONID=s1".parse().unwrap());
        answer
    })
    .await;
    let client = server.client();
    client.availability().await.unwrap();
    client.availability().await.unwrap();
    assert_eq!(server.last().header("cookie"), None);
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    const GZIPPED: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xab, 0x56, 0x4a, 0xce, 0x48, 0x2c, 0x51, 0xb2,
        0x52, 0x4a, 0x2c, 0x4b, 0xcc, 0xcc, 0x49, 0x4c, 0xca, 0x49, 0x55, 0xd2, 0x51, 0x4a, 0x2d, 0x07, 0x89, 0x98,
        0x2b, 0xd5, 0x02, 0x00, 0xa0, 0xd4, 0x9c, 0xa9, 0x1e, 0x00, 0x00, 0x00,
    ];
    let server = Server::start(|seen| {
        assert!(seen.header("accept-encoding").unwrap().contains("gzip"));
        let mut answer = response(200, "application/json", GZIPPED);
        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        answer
    })
    .await;
    assert_eq!(server.client().availability().await.unwrap().ewt_s(), Some(7.0));
}

#[tokio::test]
async fn a_redirect_that_would_lose_the_events_is_not_followed() {
    for status in [301, 302, 303] {
        let server = Server::start(move |_| {
            let mut answer = response(status, "text/html", "");
            answer.headers_mut().insert("location", "/elsewhere?token=t".parse().unwrap());
            answer
        })
        .await;
        let e = server.client().send_events("c", &[]).await.unwrap_err();
        assert_eq!(server.seen().len(), 1);
        assert!(e.to_string().contains("moved to /elsewhere") && !e.to_string().contains("token"), "{e}");
    }
}

#[tokio::test]
async fn a_redirect_that_keeps_the_request_is_followed_on_the_same_host() {
    let server = Server::start(|seen| {
        if seen.uri.path().starts_with("/new") {
            return json(json!({"chat_id": "c", "state": "queued"}));
        }
        let mut answer = response(307, "text/html", "");
        answer.headers_mut().insert("location", "/new/chats".parse().unwrap());
        answer
    })
    .await;
    server.client().request_chat(&ChatRequest::default()).await.unwrap();
    assert_eq!((server.last().method.as_str(), server.last().body), ("POST", br#"{"parameters":{}}"#.to_vec()));
    assert!(server.last().header("authorization").is_some());
}

#[tokio::test]
async fn events_are_not_handed_to_another_host() {
    let other = obliging().await;
    let place = format!("{}/clientweb/api/v1/chats/c/events", other.url());
    let server = Server::start(move |_| {
        let mut answer = response(307, "text/html", "");
        answer.headers_mut().insert("location", place.parse().unwrap());
        answer
    })
    .await;
    let e = server.client().send_events("c", &[]).await.unwrap_err();
    assert!(matches!(e, ApiError::Status { status: 307, .. }), "{e}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn no_debug_text_and_no_error_holds_the_client_id() {
    let server = Server::start(|_| error(403, 2004, "no")).await;
    let client = server.client();
    assert!(!format!("{client:?}").contains("client-1"));
    let e = client.availability().await.unwrap_err();
    assert!(!format!("{e:?} {e}").contains("client-1"));
    let e = client_of_nobody().await.availability().await.unwrap_err();
    assert!(!format!("{e:?} {e}").contains("client-1"));
}

async fn client_of_nobody() -> Client {
    client(&format!("http://{}", nobody().await))
}
