//! What is wrong with the way to the contact center, with its answers, or with its hours.

use crate::api_support::tls::secure;
use crate::api_support::{self, Server, nobody, raw, response};
use crate::bad_input_support::center::Center;
use crate::bad_input_support::{CLIENT_ID, Home, Running};
use chatphone::api::ErrorCode;
use chatphone::simulator::{Fault, Hours, Simulator, SimulatorConfig};
use futures::StreamExt;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Both commands that begin with this question say the same about it.
async fn asks_and_fails(url: &str, words: &str) {
    let home = Home::new();
    let ran = home.run(&["availability", "--url", url, "--app-id", "app", "--client-id", CLIENT_ID]).await;
    assert!(ran.sentence(1).contains(words), "{ran:#?}");
    assert_eq!(ran.stdout, "");
    let ran = Running::start(home.call(url, &["--record", "heard.wav"])).end().await;
    let report = ran.failed("failed");
    assert!(report["reason"].as_str().unwrap().contains(words), "{report}");
    assert!(report["chat_id"].is_null() && report["party"].is_null(), "{report}");
}

#[tokio::test]
async fn an_unknown_host() {
    asks_and_fails("https://no-such-center.invalid", "cannot reach no-such-center.invalid: its name is not known")
        .await;
}

#[tokio::test]
async fn a_refused_connection() {
    asks_and_fails(&format!("http://{}", nobody().await), "connection refused").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority() {
    asks_and_fails(&secure("localhost").await.url, "an authority this machine does not trust").await;
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let (server, home) = (secure("elsewhere.example").await, Home::new());
    std::fs::write(home.file("ca.pem"), &server.ca_pem).unwrap();
    let ran = Running::start(home.call(&server.url, &["--ca-file", "ca.pem"])).end().await;
    assert!(ran.sentence(1).contains("for another name"), "{ran:#?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read_u8().await.ok();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.ok();
        }
    });
    asks_and_fails(&url, "does not speak TLS").await;
}

#[tokio::test]
async fn a_web_page_instead_of_json() {
    let server = Server::start(|_| response(200, "text/html", "<html>\n<body>Welcome</body>\n</html>")).await;
    asks_and_fails(&server.url(), "a web page instead of JSON").await;
}

#[tokio::test]
async fn truncated_json() {
    let server = Server::start(|_| response(200, "application/json", "{\"chat\": \"avai")).await;
    asks_and_fails(&server.url(), "JSON that stops in the middle").await;
    asks_and_fails(&raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").await, "broke").await;
}

#[tokio::test]
async fn json_of_another_shape() {
    for body in ["[]", "null", "{}", "{\"chat\": [1]}", "\"available\""] {
        let server = Server::start(move |_| response(200, "application/json", body)).await;
        let ran = Running::start(Home::new().call(&server.url(), &[])).end().await;
        ran.sentence(1);
        ran.report();
    }
}

#[tokio::test]
async fn request_chat_that_is_answered_by_a_web_page_or_half_of_json() {
    for (kind, body, words) in [
        ("text/html", "<html>", "a web page instead of JSON"),
        ("application/json", "{\"chat_id\": \"1", "JSON that stops in the middle"),
        ("application/json", "{}", "chat_id"),
        ("application/json", "{\"chat_id\": \"1\", \"state\": \"failed\"}", "a session that is failed"),
    ] {
        let server = Server::start(move |seen| match seen.uri.path().ends_with("/availability") {
            true => api_support::json(json!({"chat": "available"})),
            false => response(200, kind, body),
        })
        .await;
        let ran = Running::start(Home::new().call(&server.url(), &[])).end().await;
        let report = ran.failed("failed");
        assert!(report["reason"].as_str().unwrap().contains(words), "{report}");
    }
}

async fn center(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig::default();
    change(&mut config);
    Simulator::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_code_of_check_availability() {
    let checks = ErrorCode::ALL.iter().map(|code| async move {
        let number = code.code();
        let fault: Fault = format!("availability:{number}:*").parse().unwrap();
        let center = center(|c| c.faults.push(fault)).await;
        let ran = Running::start(Home::new().call(&center.base_url(), &[])).end().await;
        let reason = ran.failed("failed")["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(&format!("({number})")), "{reason}");
        center.shutdown().await;
    });
    futures::stream::iter(checks).buffer_unordered(4).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_code_of_request_chat() {
    let checks = ErrorCode::ALL.iter().map(|code| async move {
        let number = code.code();
        let fault: Fault = format!("request-chat:{number}:*").parse().unwrap();
        let center = center(|c| c.faults.push(fault)).await;
        let ran = Running::start(Home::new().call(&center.base_url(), &[])).end().await;
        let report = ran.failed("failed");
        let reason = report["reason"].as_str().unwrap();
        // A session that is gone, or a poll that is held, are no answers to Request Chat, and have words of their own.
        let own_words = [ErrorCode::SessionNotFound, ErrorCode::TooManyPolls].contains(code);
        assert!(own_words || reason.contains(&format!("({number})")), "{reason}");
        assert!(reason.starts_with("the chat could not be opened: ") && report["chat_id"].is_null(), "{report}");
        center.shutdown().await;
    });
    futures::stream::iter(checks).buffer_unordered(4).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_passes_does_not_end_a_call() {
    let faults = ["request-chat:5000:2", "poll:5500:2", "poll:truncated", "poll:html:1", "send-events:5004:1"];
    let center = center(|c| c.faults.extend(faults.map(|f| f.parse::<Fault>().unwrap()))).await;
    let ran = Running::start(Home::new().call(&center.base_url(), &["--duration", "300ms"])).end().await;
    ran.completed();
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_hours() {
    let center = center(|c| c.hours = Hours::Closed).await;
    let url = center.base_url();
    let home = Home::new();
    let ran = home.run(&["availability", "--url", &url, "--app-id", "app"]).await;
    assert_eq!((ran.code, ran.stdout.starts_with("closed")), (Some(1), true), "{ran:#?}");
    let report = Running::start(home.call(&url, &[])).end().await.failed("unavailable");
    assert_eq!(report["reason"], "the contact center is closed now");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_agent_within_the_time_limit() {
    let center = center(|c| c.agents = Some(0)).await;
    let url = center.base_url();
    let report = Running::start(Home::new().call(&url, &["--wait", "300ms"])).end().await.failed("unavailable");
    assert!(report["reason"].as_str().unwrap().starts_with("no agent joined the chat within 0.3 s"), "{report}");
    assert!(report["chat_id"].is_string() && report["party"].is_null(), "{report}");
    let ran = Running::start(Home::new().call(&url, &["--wait", "300ms", "--incoming"])).end().await;
    assert!(ran.failed("unavailable")["reason"].as_str().unwrap().starts_with("no agent called"), "{ran:#?}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_the_center_ends_while_it_is_waited() {
    let center = Center::start().await;
    center.voice().say(json!({"event": "chat_session_ended"}));
    let ran = Running::start(Home::new().call(&center.url, &[])).end().await;
    assert_eq!(ran.failed("unavailable")["reason"], "the contact center ended the chat");
    let center = Center::start().await;
    center.voice().say(json!({"event": "chat_session_status", "state": "failed"}));
    let ran = Running::start(Home::new().call(&center.url, &[])).end().await;
    assert_eq!(ran.failed("failed")["reason"], "the chat session failed at the contact center");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_make_no_sense_are_passed_over() {
    let center = Center::start().await;
    for event in [
        json!({"event": "chat_session_of_tomorrow", "x": [1]}),
        json!({"no": "event"}),
        json!([]),
        json!(null),
        json!({"event": 7}),
        json!({"event": "chat_session_signaling"}),
        json!({"event": "chat_session_signaling", "data": "{not json"}),
        json!({"event": "chat_session_signaling", "data": {"type": "DANCE"}}),
        json!({"event": "chat_session_party_left"}),
        json!({"event": "chat_session_message", "msg": {"a": 1}}),
        json!({"event": "chat_session_ended"}),
    ] {
        center.voice().say(event);
    }
    let ran = Running::start(Home::new().call(&center.url, &[])).end().await;
    assert_eq!(ran.failed("unavailable")["reason"], "the contact center ended the chat");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_given_up_in_time() {
    // The time limit of the HTTP client is its own test; here only that the wait for an agent includes it.
    let mut center = Center::start().await;
    center.hold_chat();
    let running = Running::start(Home::new().call(&center.url, &["--wait", "500ms"]));
    center.next().await;
    let (ran, took) = running.end_timed().await;
    ran.failed("unavailable");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
