//! The socket of the agent's desk and the admin API, from the outside: WebSocket, HTTP and JSON alone.
#![allow(clippy::unwrap_used)]

mod simulator_support;

use chatphone::simulator::Simulator;
use proptest::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulator_support::desk::{Admin, Desk};
use simulator_support::{Chat, Client, start};
use std::time::Duration;

/// A center whose chats are all for desks.
async fn for_desks() -> Simulator {
    start(|c| c.agents = Some(0)).await
}

/// A customer's chat that no agent has yet.
async fn waiting(simulator: &Simulator, id: &str) -> Chat {
    let client = Client::new(simulator, id);
    let chat_id = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    Chat { client, id: chat_id, party: String::new(), events: Vec::new() }
}

#[tokio::test]
async fn a_customer_and_a_desk_write_to_each_other() {
    let simulator = for_desks().await;
    let mut desk = Desk::sign_in(&simulator, "Ada Miller").await;
    assert_eq!(desk.until("welcome").await["desk"]["name"], "Ada Miller");
    let mut customer = waiting(&simulator, "c").await;
    assert_eq!(customer.until("chat_session_party_joined").await["display_name"], "Ada Miller");
    let chat = desk.chat().await;
    assert_eq!(chat, customer.id);
    customer.say("hello").await;
    let event = desk.find("the message", |e| e["event"]["msg"] == "hello").await;
    assert_eq!(event["event"]["party_id"], json!(chat), "the customer's own, as in history");
    desk.order(json!({"chat_id": chat, "do": "message", "text": "good morning"})).await.unwrap();
    assert_eq!(customer.until("chat_session_message").await["msg"], "good morning");
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_call_is_signaled_through_the_desk() {
    let simulator = start(|c| (c.agents, c.desk_grace) = (Some(0), Duration::ZERO)).await;
    let mut desk = Desk::sign_in(&simulator, "Ada").await;
    let mut customer = waiting(&simulator, "c").await;
    customer.party = customer.until("chat_session_party_joined").await["party_id"].as_str().unwrap().to_owned();
    let chat = desk.chat().await;
    customer.signal(json!({"type": "REQUEST_CALL", "offerVideo": false})).await;
    assert_eq!(desk.until("signal").await["data"]["type"], "REQUEST_CALL");
    desk.order(json!({"chat_id": chat, "do": "signal", "data": {"type": "OFFER_CALL", "sdp": "v=0"}})).await.unwrap();
    assert_eq!(customer.until_signal("OFFER_CALL").await["sdp"], "v=0");
    customer.signal(json!({"type": "ANSWER_CALL", "sdp": "v=0 answer"})).await;
    assert_eq!(desk.until("signal").await["data"]["sdp"], "v=0 answer");
    // The desk's socket breaks: where no page is waited for, the customer is told at once.
    let gone = std::time::Instant::now();
    drop(desk);
    customer.until_signal("END_CALL").await;
    assert!(gone.elapsed() < Duration::from_secs(2), "{:?}", gone.elapsed());
    customer.until("chat_session_party_left").await;
    simulator.shutdown().await;
}

#[tokio::test]
async fn an_offer_on_its_way_when_the_customer_hangs_up_calls_nobody() {
    let simulator = for_desks().await;
    let mut desk = Desk::sign_in(&simulator, "Ada").await;
    let mut customer = waiting(&simulator, "c").await;
    customer.party = customer.until("chat_session_party_joined").await["party_id"].as_str().unwrap().to_owned();
    let chat = desk.chat().await;
    customer.signal(json!({"type": "REQUEST_CALL", "offerVideo": false})).await;
    let number = desk.find("ringing", |e| e["call"]["state"] == "ringing").await["call"]["number"].as_u64().unwrap();
    customer.signal(json!({"type": "END_CALL"})).await;
    customer.until_signal("END_CALL").await;
    let offer = |call: u64| json!({"chat_id": chat, "do": "signal", "call": call, "data": {"type": "OFFER_CALL", "sdp": "v=0"}});
    assert_eq!(desk.order(offer(number)).await.unwrap_err(), "this call is over");
    assert_eq!(Admin::new(&simulator).get(&format!("chats/{chat}")).await["chat"]["call"]["state"], "idle");
    // The next number is a call that the desk makes.
    desk.order(offer(number + 1)).await.unwrap();
    customer.until_signal("OFFER_CALL").await;
    simulator.shutdown().await;
}

#[tokio::test]
async fn pages_of_other_origins_get_no_socket_and_no_answer() {
    let simulator = for_desks().await;
    for origin in ["http://evil.example", "http://127.0.0.1:1", "null"] {
        assert!(Desk::connect(&simulator, Some(origin)).await.is_err(), "{origin}");
        let admin = Admin::new(&simulator);
        let answer = admin.request(Method::PUT, "hours").header("origin", origin).json(&json!({"open": false}));
        assert_eq!(answer.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let rebound = Admin::new(&simulator).request(Method::GET, "chats").header("host", "evil.example");
    assert_eq!(rebound.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(Admin::new(&simulator).get("hours").await["open"], true);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_socket_that_has_not_signed_in_can_do_nothing_else() {
    let simulator = for_desks().await;
    let mut desk = Desk::connect(&simulator, None).await.unwrap();
    assert_eq!(desk.order(json!({"do": "ready", "on": true})).await.unwrap_err(), "sign in first");
    assert!(desk.order(json!({"do": "sign_in", "name": " "})).await.unwrap_err().contains("name"));
    desk.order(json!({"do": "sign_in", "name": "Ada"})).await.unwrap();
    assert!(desk.order(json!({"do": "sign_in", "name": "Ada"})).await.is_err(), "once is enough");
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_page_and_its_parts_are_served_with_a_strict_policy() {
    let simulator = for_desks().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: String| http.get(format!("{}{path}", simulator.base_url())).send();
    let page = get("/desk?name=x".into()).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = page.text().await.unwrap();
    let links: Vec<_> = html.split('"').filter(|part| part.starts_with("/desk/")).collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        let part = get(link.into()).await.unwrap();
        assert_eq!(part.status(), StatusCode::OK, "{link}");
        assert_eq!(part.headers()["x-content-type-options"], "nosniff");
        let text = part.text().await.unwrap();
        // Every module that one imports is there, and nothing from elsewhere is asked for.
        for import in text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert_eq!(get(format!("/desk/{import}")).await.unwrap().status(), StatusCode::OK, "{import}");
        }
        assert!(!text.contains("innerHTML ="), "{link} makes markup of text");
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_admin_api_shows_and_drives_a_chat_with_a_bot() {
    let simulator = start(|_| ()).await;
    let admin = Admin::new(&simulator);
    let mut customer = Client::new(&simulator, "c").connect().await;
    let state = admin.get("state").await;
    assert_eq!((state["open"].clone(), state["chats"][0]["chat_id"].clone()), (json!(true), json!(customer.id)));
    assert_eq!(state["chats"][0]["agent"]["desk"], Value::Null);
    assert_eq!(admin.order(&customer.id, json!({"do": "message", "text": "from the admin API"})).await.0, 200);
    assert_eq!(customer.until("chat_session_message").await["msg"], "from the admin API");
    assert_eq!(admin.order(&customer.id, json!({"do": "call"})).await.0, 200);
    assert!(customer.until_signal("OFFER_CALL").await["sdp"].as_str().unwrap().starts_with("v=0"));
    let chat = admin.get(&format!("chats/{}", customer.id)).await;
    assert_eq!(chat["chat"]["call"]["state"], "calling");
    assert!(chat["events"].as_array().unwrap().iter().any(|e| e["msg"] == "from the admin API"));
    assert_eq!(admin.order(&customer.id, json!({"do": "hang_up"})).await.0, 200);
    customer.until_signal("END_CALL").await;
    assert_eq!(admin.order(&customer.id, json!({"do": "end"})).await.0, 200);
    customer.until("chat_session_ended").await;
    assert_eq!(admin.order(&customer.id, json!({"do": "end"})).await.0, 404);
    simulator.shutdown().await;
}

#[tokio::test]
async fn wrong_orders_are_answered_with_what_is_wrong() {
    let simulator = start(|_| ()).await;
    let admin = Admin::new(&simulator);
    let customer = Client::new(&simulator, "c").connect().await;
    for (status, command) in [
        (400, json!({"do": "fly"})),
        (400, json!([1])),
        (400, json!({"do": "message"})),
        (409, json!({"do": "mute", "on": true})),
        (409, json!({"do": "hang_up"})),
        (409, json!({"do": "take", "desk": 1})),
    ] {
        let (got, answer) = admin.order(&customer.id, command.clone()).await;
        assert_eq!(got, status, "{command}: {answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty());
    }
    let (status, _) = admin.order("nowhere", json!({"do": "end"})).await;
    assert_eq!(status, 404);
    let broken = admin.request(Method::POST, &format!("chats/{}", customer.id)).body("{").send().await.unwrap();
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    for (path, body) in [("hours", json!({"open": "8-18"})), ("hours", json!({}))] {
        assert_eq!(admin.send(Method::PUT, path, &body).await.status(), StatusCode::BAD_REQUEST, "{path} {body}");
    }
    assert_eq!(admin.send(Method::PATCH, "bots", &json!({"bots": -1})).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        admin.send(Method::POST, "desks/7", &json!({"do": "ready", "on": true})).await.status(),
        StatusCode::CONFLICT
    );
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_log_is_waited_for() {
    let simulator = start(|_| ()).await;
    let admin = Admin::new(&simulator);
    let start = admin.get("log").await["next"].as_u64().unwrap();
    let path = format!("log?after={start}&wait_ms=15000");
    let client = Client::new(&simulator, "c");
    let (log, _customer) = tokio::join!(admin.get(&path), client.connect());
    let first = &log["entries"][0];
    assert_eq!((first["seq"].as_u64(), &first["from"]), (Some(start + 1), &json!("server")), "{log}");
    assert_eq!(admin.get(&format!("log?after={}&wait_ms=1", u64::MAX)).await["entries"], json!([]));
    let after = admin.get("log?after=0&chat_id=nowhere").await;
    assert_eq!(after["entries"], json!([]));
    simulator.shutdown().await;
}

#[tokio::test]
async fn files_go_both_ways_over_the_admin_api() {
    let simulator = start(|_| ()).await;
    let admin = Admin::new(&simulator);
    let mut customer = Client::new(&simulator, "c").connect().await;
    let path = format!("chats/{}/files?name=plan.txt", customer.id);
    let upload = admin.request(Method::POST, &path).header("content-type", "text/plain").body("the plan");
    assert_eq!(upload.send().await.unwrap().status(), StatusCode::OK);
    let file = customer.until("chat_session_file").await;
    assert_eq!((&file["file_name"], &file["file_type"]), (&json!("plan.txt"), &json!("attachment")));
    let shared =
        customer.client.get(&format!("chats/{}/files/{}", customer.id, file["file_id"].as_str().unwrap())).await;
    assert_eq!(shared.text().await.unwrap(), "the plan");

    let html = b"<script>alert(1)</script>".to_vec();
    let uploaded: Value = customer.client.upload("x.html", "text/html", html.clone()).await.json().await.unwrap();
    let path = format!("files/{}", uploaded["file_id"].as_str().unwrap());
    let got = admin.request(Method::GET, &path).send().await.unwrap();
    assert!(got.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"), "it is no page of ours");
    assert_eq!(got.headers()["content-disposition"], "attachment");
    assert_eq!(got.bytes().await.unwrap(), html);
    simulator.shutdown().await;
}

#[tokio::test]
async fn hours_bots_and_desks_are_set_over_the_admin_api() {
    let simulator = start(|_| ()).await;
    let admin = Admin::new(&simulator);
    assert_eq!(admin.send(Method::PUT, "hours", &json!({"open": false})).await.status(), StatusCode::OK);
    let client = Client::new(&simulator, "c");
    assert_eq!(client.get_json("availability").await["chat"], "notAvailable");
    admin.send(Method::PUT, "hours", &json!({"open": true})).await;
    let bots: Value =
        admin.send(Method::PATCH, "bots", &json!({"bots": 0, "reply_after_ms": 7})).await.json().await.unwrap();
    assert_eq!((&bots["bots"], &bots["reply_after_ms"]), (&json!(0), &json!(7)));
    assert_eq!(admin.get("bots").await, bots);

    let mut desk = Desk::sign_in(&simulator, "Ada").await;
    let id = admin.get("desks").await["desks"][0]["id"].as_u64().unwrap();
    admin.send(Method::POST, &format!("desks/{id}"), &json!({"do": "ready", "on": false})).await;
    desk.find("not ready", |e| e["type"] == "desks" && e["desks"][0]["ready"] == false).await;
    let customer = waiting(&simulator, "c").await;
    desk.find("a chat that waits", |e| e["type"] == "waiting" && e["chats"][0]["chat_id"] == json!(customer.id)).await;
    assert_eq!(admin.order(&customer.id, json!({"do": "take", "desk": id})).await.0, 200);
    assert_eq!(desk.chat().await, customer.id);
    assert_eq!(admin.order(&customer.id, json!({"do": "call"})).await.0, 200);
    assert_eq!(desk.until("perform").await["command"]["do"], "call");
    simulator.shutdown().await;
}

/// JSON of any shape, often with the names that mean something.
fn json_value() -> impl Strategy<Value = Value> {
    let names =
        vec!["do", "chat_id", "id", "text", "on", "data", "type", "event", "sdp", "desk", "stats", "open", "bots"];
    let words = vec![
        "sign_in",
        "message",
        "signal",
        "inject",
        "OFFER_CALL",
        "take",
        "transfer",
        "ready",
        "dial",
        "chat_session_message",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        let name = prop_oneof![3 => prop::sample::select(names.clone()).prop_map(str::to_owned), 1 => ".{0,8}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5).prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

#[test]
fn no_json_breaks_the_socket_or_the_admin_api() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (simulator, admin, desk, customer) = runtime.block_on(async {
        let simulator = for_desks().await;
        let desk = Desk::sign_in(&simulator, "Ada").await;
        let customer = waiting(&simulator, "c").await;
        let admin = Admin::new(&simulator);
        (simulator, admin, desk, customer)
    });
    let chat = customer.id.clone();
    let strategy = (json_value(), prop::sample::select(vec!["chats", "desks/1", "bots", "hours"]));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    let desk = tokio::sync::Mutex::new(desk);
    runner
        .run(&strategy, |(mut value, path)| {
            runtime.block_on(async {
                let (method, path) = match path {
                    "chats" => (Method::POST, format!("chats/{chat}")),
                    "desks/1" => (Method::POST, path.to_owned()),
                    "bots" => (Method::PATCH, path.to_owned()),
                    other => (Method::PUT, other.to_owned()),
                };
                let status = admin.send(method, &path, &value).await.status();
                assert!(!status.is_server_error(), "{status} {path} {value}");
                let mut desk = desk.lock().await;
                desk.send_raw(&value.to_string()).await;
                if let Value::Object(fields) = &mut value {
                    fields.insert("chat_id".into(), json!(chat));
                    desk.send_raw(&Value::Object(fields.clone()).to_string()).await;
                }
                // Whoever answers this is alive and has read all of it.
                let _ = desk.order(json!({"do": "ready", "on": true})).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(simulator.shutdown());
}
