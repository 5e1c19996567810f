//! Every error code of the API can be provoked, with its HTTP status.
#![allow(clippy::unwrap_used)]

mod simulator_support;

use chatphone::api::ErrorCode;
use chatphone::simulator::ApiMethod;
use reqwest::Method;
use serde_json::json;
use simulator_support::*;
use std::time::Duration;

#[tokio::test]
async fn a_tenant_must_be_named_and_be_the_right_one() {
    let simulator = start(|c| c.tenant = Some("demo.example".into())).await;
    let mut client = Client::new(&simulator, "c");
    assert!(client.get("availability").await.status().is_success());
    for wrong in [None, Some(""), Some("other.example")] {
        client.tenant = wrong.map(str::to_owned);
        assert_eq!(error_of(client.get("availability").await).await, (400, 1000), "{wrong:?}");
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn any_tenant_is_right_where_none_was_configured() {
    let simulator = start(|_| ()).await;
    let mut client = Client::new(&simulator, "c");
    client.tenant = Some("anybody.example".into());
    assert!(client.get("availability").await.status().is_success());
    client.tenant = None;
    assert_eq!(error_of(client.get("availability").await).await, (400, 1000));
}

#[tokio::test]
async fn every_mistake_in_the_authorization_has_its_code() {
    let simulator = start(|_| ()).await;
    let mut client = Client::new(&simulator, "c");
    let header = |rest: &str| Some(format!("{SCHEME} {rest}"));
    let cases = [
        (None, 2000),
        (header("appId=app, clientId=c"), 2001),
        (header(r#"appId="app" clientId="c""#), 2001),
        (Some("Basic YTpi".into()), 2002),
        (header(r#"clientId="c""#), 2003),
        (header(r#"appId="app""#), 2004),
        (header(r#"appId="", clientId="c""#), 3000),
    ];
    for (authorization, code) in cases {
        client.authorization = authorization.clone();
        for path in ["availability", "parameters", "chats/active", "iceservers", "configuration"] {
            assert_eq!(error_of(client.get(path).await).await, (403, code), "{authorization:?} {path}");
        }
    }
}

#[tokio::test]
async fn an_unknown_application_is_3000_and_5006_for_a_chat() {
    let simulator = start(|c| c.app_ids = vec!["app".into(), "second".into()]).await;
    let mut client = Client::new(&simulator, "c");
    assert!(client.get("availability").await.status().is_success());
    client.authorization = Some(format!(r#"{SCHEME} appId="third", clientId="c""#));
    assert_eq!(error_of(client.get("availability").await).await, (403, 3000));
    assert_eq!(error_of(client.post("chats", &json!({})).await).await, (404, 5006));
}

#[tokio::test]
async fn a_body_that_is_not_the_json_asked_for_is_5003() {
    let simulator = start(|_| ()).await;
    let client = Client::new(&simulator, "c");
    let chat = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    let events = format!("chats/{chat}/events");
    for path in ["chats", &events] {
        for body in
            ["", "{", "[]", "null", "7", r#"{"events": 7, "parameters": 7}"#, r#"{"events": [7], "parameters": []}"#]
        {
            let response = client.request(Method::POST, path).body(body).send().await.unwrap();
            assert_eq!(error_of(response).await, (400, 5003), "{path} {body}");
        }
    }
    let huge = format!(r#"{{"events": [], "x": "{}"}}"#, "x".repeat(2 << 20));
    let response = client.request(Method::POST, &events).body(huge).send().await.unwrap();
    assert_eq!(error_of(response).await, (400, 5003));
}

#[tokio::test]
async fn a_session_that_is_not_there_is_5005() {
    let simulator = start(|_| ()).await;
    let (client, other) = (Client::new(&simulator, "c"), Client::new(&simulator, "other"));
    assert_eq!(error_of(client.get("chats/active").await).await, (404, 5005));
    let foreign = other.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    for chat in ["nothing", "a%2Fb", &foreign] {
        for path in ["events", "history", "files/1", "profilephotos/1"] {
            assert_eq!(error_of(client.get(&format!("chats/{chat}/{path}")).await).await, (404, 5005), "{chat} {path}");
        }
        let sent = client.post(&format!("chats/{chat}/events"), &json!({"events": []})).await;
        assert_eq!(error_of(sent).await, (404, 5005));
    }
}

#[tokio::test]
async fn an_ended_session_is_5005() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    chat.send(json!({"event": "chat_session_end"})).await;
    chat.until("chat_session_ended").await;
    for path in ["events", "history"] {
        assert_eq!(error_of(chat.client.get(&format!("chats/{}/{path}", chat.id)).await).await, (404, 5005));
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_5502() {
    let simulator = start(|_| ()).await;
    let (client, other) = (Client::new(&simulator, "c"), Client::new(&simulator, "other"));
    let chat = client.connect().await;
    let foreign: serde_json::Value = other.upload("a", "text/plain", vec![1]).await.json().await.unwrap();
    for id in ["nothing", foreign["file_id"].as_str().unwrap()] {
        assert_eq!(error_of(client.get(&format!("chats/{}/files/{id}", chat.id)).await).await, (404, 5502));
    }
    let photo = client.get(&format!("chats/{}/profilephotos/nobody", chat.id)).await;
    assert_eq!(error_of(photo).await, (404, 5502));
}

#[tokio::test]
async fn an_upload_above_25_mb_is_5501() {
    let simulator = start(|_| ()).await;
    let client = Client::new(&simulator, "c");
    let limit = 25 * 1024 * 1024;
    let fits = client.upload("a.bin", "application/octet-stream", vec![7; limit]).await;
    assert!(fits.status().is_success());
    let larger = client.upload("a.bin", "application/octet-stream", vec![7; limit + 1]).await;
    assert_eq!(error_of(larger).await, (413, 5501));
}

#[tokio::test]
async fn an_upload_without_a_file_is_5558() {
    let simulator = start(|_| ()).await;
    let client = Client::new(&simulator, "c");
    let form = reqwest::multipart::Form::new().text("other", "x");
    let response = client.request(Method::POST, "files").multipart(form).send().await.unwrap();
    assert_eq!(error_of(response).await, (400, 5558));
    let response = client.request(Method::POST, "files").body("no form").send().await.unwrap();
    assert_eq!(error_of(response).await, (400, 5558));
}

#[tokio::test]
async fn a_second_poll_is_5509() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    let client = chat.client.clone();
    let path = format!("chats/{}/events", chat.id);
    // Whichever is second is refused at once; the other goes on being held.
    let (first, second) = (client.get(&path), client.get(&path));
    tokio::pin!(first, second);
    let (refused, held) = tokio::select! { r = &mut first => (r, second), r = &mut second => (r, first) };
    assert_eq!(error_of(refused).await, (400, 5509));
    chat.say("hello").await;
    assert!(held.await.status().is_success());
}

#[tokio::test]
async fn too_many_sessions_are_5001() {
    let simulator = start(|c| c.max_sessions = 1).await;
    Client::new(&simulator, "first").request_chat().await;
    let second = Client::new(&simulator, "second").post("chats", &json!({})).await;
    assert_eq!(error_of(second).await, (503, 5001));
}

#[tokio::test]
async fn every_published_code_can_be_ordered_for_any_method() {
    let simulator = start(|_| ()).await;
    let chat = Client::new(&simulator, "c").connect().await;
    let path = |method: ApiMethod| match method {
        ApiMethod::Availability => (Method::GET, "availability".to_owned()),
        ApiMethod::Parameters => (Method::GET, "parameters".into()),
        ApiMethod::RequestChat => (Method::POST, "chats".into()),
        ApiMethod::ActiveChat => (Method::GET, "chats/active".into()),
        ApiMethod::SendEvents => (Method::POST, format!("chats/{}/events", chat.id)),
        ApiMethod::History => (Method::GET, format!("chats/{}/history", chat.id)),
        ApiMethod::Poll => (Method::GET, format!("chats/{}/events", chat.id)),
        ApiMethod::Upload => (Method::POST, "files".into()),
        ApiMethod::File => (Method::GET, format!("chats/{}/files/1", chat.id)),
        ApiMethod::Photo => (Method::GET, format!("chats/{}/profilephotos/{}", chat.id, chat.party)),
        ApiMethod::IceServers => (Method::GET, "iceservers".into()),
        ApiMethod::Configuration => (Method::GET, "configuration".into()),
    };
    for &method in ApiMethod::ALL {
        for code in ErrorCode::ALL {
            simulator.inject(format!("{}:{}", method.name(), code.code()).parse().unwrap());
            let (verb, path) = path(method);
            let response = chat.client.request(verb, &path).send().await.unwrap();
            assert_eq!(error_of(response).await, (code.http_status(), code.code()), "{}", method.name());
        }
    }
    assert!(chat.client.get("availability").await.status().is_success(), "an order is carried out once");
}

#[tokio::test]
async fn answers_that_are_no_json_can_be_ordered() {
    let simulator =
        start(|c| c.faults = vec!["availability:html".parse().unwrap(), "parameters:truncated".parse().unwrap()]).await;
    let client = Client::new(&simulator, "c");
    let page = client.get("availability").await;
    assert!(page.status().is_success());
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    let half = client.get("parameters").await.text().await.unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&half).is_err());
}

#[tokio::test]
async fn a_method_can_be_told_to_hang() {
    let simulator = start(|_| ()).await;
    simulator.inject("availability:hang".parse().unwrap());
    let client = Client::new(&simulator, "c");
    let answer = tokio::time::timeout(Duration::from_millis(200), client.get("availability")).await;
    assert!(answer.is_err());
    assert!(client.get("availability").await.status().is_success());
}

#[tokio::test]
async fn what_is_no_method_is_not_found() {
    let simulator = start(|_| ()).await;
    let client = Client::new(&simulator, "c");
    assert_eq!(client.get("fax").await.status(), 404);
    assert_eq!(client.request(Method::DELETE, "availability").send().await.unwrap().status(), 405);
}
