//! Faults that were ordered, as a client of nothing but HTTP and JSON sees them.
#![allow(clippy::unwrap_used)]

mod simulator_support;

use chatphone::simulator::{ApiMethod, FAULT_KINDS, Fault, Simulator};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use simulator_support::*;
use std::time::{Duration, Instant};

async fn with(faults: &[&str]) -> Simulator {
    let faults: Vec<Fault> = faults.iter().map(|f| f.parse().unwrap()).collect();
    start(|c| c.faults = faults).await
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["event"].as_str().unwrap().trim_start_matches("chat_session_")).collect()
}

/// Sends a request that may fail.
async fn try_get(client: &Client, path: &str) -> reqwest::Result<Response> {
    client.request(Method::GET, path).send().await
}

#[tokio::test]
async fn a_status_alone_has_no_body() {
    let simulator = with(&["availability:status=429"]).await;
    let client = Client::new(&simulator, "c");
    let answer = client.get("availability").await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (429, ""));
    assert!(client.get("availability").await.status().is_success(), "once");
}

#[tokio::test]
async fn a_connection_is_reset_before_an_answer() {
    let simulator = with(&["request-chat:reset"]).await;
    let client = Client::new(&simulator, "c");
    let error = client.request(Method::POST, "chats").json(&json!({})).send().await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert_eq!(client.get("chats/active").await.status(), 404, "the request was not carried out");
    client.request_chat().await;
}

#[tokio::test]
async fn a_connection_is_reset_in_the_middle_of_an_answer() {
    let simulator = with(&["request-chat:cut"]).await;
    let client = Client::new(&simulator, "c");
    let answer = client.post("chats", &json!({})).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.is_err());
    assert_eq!(client.get("chats/active").await.status(), 200, "the request was carried out");
}

#[tokio::test]
async fn an_answer_may_be_empty_elsewhere_or_called_something_else() {
    let simulator = with(&["availability:empty", "parameters:redirect"]).await;
    simulator.inject("ice-servers:content-type=text/plain".parse().unwrap());
    let client = Client::new(&simulator, "c");
    let empty = client.get("availability").await;
    assert_eq!((empty.status().as_u16(), empty.text().await.unwrap().as_str()), (200, ""));
    let elsewhere = client.get("parameters").await;
    assert_eq!((elsewhere.status().as_u16(), elsewhere.url().path()), (404, "/sign-in"));
    let plain = client.get("iceservers").await;
    assert_eq!(plain.headers()["content-type"], "text/plain");
    assert!(plain.json::<Value>().await.unwrap()["servers"].is_array());
}

#[tokio::test]
async fn an_answer_waits_and_trickles() {
    let simulator = with(&["availability:delay=300ms", "parameters:drip=400ms"]).await;
    let client = Client::new(&simulator, "c");
    for (path, at_least) in [("availability", 300), ("parameters", 300)] {
        let begun = Instant::now();
        client.get_json(path).await;
        assert!(begun.elapsed() >= Duration::from_millis(at_least), "{path}");
    }
}

#[tokio::test]
async fn a_storm_passes() {
    let simulator = with(&["any:storm=300ms"]).await;
    let client = Client::new(&simulator, "c");
    let begun = Instant::now();
    let mut answers = 0;
    while !client.get("availability").await.status().is_success() {
        answers += 1;
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(answers > 1 && begun.elapsed() >= Duration::from_millis(300));
}

/// A customer's message that makes the agent do something at once, and the events that the next poll brings.
async fn after(chat: &mut Chat, command: &str) -> Vec<String> {
    chat.say(command).await;
    let events = chat.client.poll(&chat.id).await;
    names(&events).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn events_come_twice_and_again() {
    let simulator = with(&[]).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    simulator.inject("poll:duplicate:1".parse().unwrap());
    simulator.inject("poll:repeat:nth=2".parse().unwrap());
    assert_eq!(after(&mut chat, "/warn").await, ["timeout_warning", "timeout_warning"]);
    assert_eq!(after(&mut chat, "/location").await, ["location"]);
    // The answer to Send Events is the next one.
    chat.say("/form").await;
    assert_eq!(names(&chat.events), ["location"]);
}

#[tokio::test]
async fn lost_events_are_in_the_history_alone() {
    let simulator = with(&[]).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    simulator.inject("poll:lose".parse().unwrap());
    assert!(after(&mut chat, "/location").await.is_empty());
    assert_eq!(after(&mut chat, "/warn").await, ["timeout_warning"]);
    let history = chat.client.get_json(&format!("chats/{}/history", chat.id)).await;
    assert!(names(&list(history)).contains(&"location"));
}

#[tokio::test]
async fn postponed_events_come_with_the_next_answer() {
    let simulator = with(&[]).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    simulator.inject("poll:postpone".parse().unwrap());
    assert!(after(&mut chat, "/location").await.is_empty());
    chat.say("/warn").await;
    // The answer to Send Events is the next one.
    assert_eq!(names(&chat.events), ["location"]);
}

#[tokio::test]
async fn a_fault_is_for_one_client_or_chat() {
    let simulator = with(&["any:5500:client=unlucky:*"]).await;
    let (lucky, unlucky) = (Client::new(&simulator, "lucky"), Client::new(&simulator, "unlucky"));
    let chat = lucky.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    assert_eq!(error_of(unlucky.get("availability").await).await, (500, 5500));
    simulator.inject(format!("history:5000:chat={chat}").parse().unwrap());
    assert_eq!(error_of(lucky.get(&format!("chats/{chat}/history")).await).await.1, 5000);
}

#[tokio::test]
async fn every_method_can_be_struck_by_every_fault_of_answers() {
    let simulator = start(|c| c.hold = Duration::from_millis(50)).await;
    let client = Client::new(&simulator, "c");
    let chat = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    for kind in FAULT_KINDS.iter().filter(|k| k.on == "METHOD" && !["hang", "storm=TIME"].contains(&k.form)) {
        let (_, spec) = kind.example.split_once(':').unwrap();
        let spec = spec.split(':').next().unwrap().replace("2s", "20ms");
        for (method, path) in [("history", "history"), ("poll", "events")] {
            simulator.inject(format!("{method}:{spec}:1").parse().unwrap());
            let _ = try_get(&client, &format!("chats/{chat}/{path}")).await;
        }
    }
    let listed = client.http.get(format!("{}/admin/faults", simulator.base_url())).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    for fault in listed["faults"].as_array().unwrap() {
        assert_eq!(fault["struck"], 1, "{fault}");
    }
    assert!(ApiMethod::ALL.iter().all(|m| format!("{}:html", m.name()).parse::<Fault>().is_ok()));
}

async fn admin(simulator: &Simulator, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let client = Client::new(simulator, "admin");
    let mut request = client.http.request(method, format!("{}/admin/{path}", simulator.base_url()));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn faults_are_ordered_listed_and_taken_back_over_http() {
    let simulator = with(&["history:5000"]).await;
    let orders = json!(["poll:reset:20%", {"on": "call", "kind": "late-offer", "arg": "2s", "count": 3}]);
    let (status, ordered) = admin(&simulator, Method::POST, "faults", Some(orders)).await;
    assert_eq!(status, 201);
    assert_eq!(
        (&ordered[0]["spec"], &ordered[1]["spec"]),
        (&json!("poll:reset:*:20%"), &json!("call:late-offer=2s:3"))
    );
    let (_, one) = admin(&simulator, Method::POST, "faults", Some(json!("availability:html"))).await;
    let answer = Client::new(&simulator, "c").get("availability").await;
    assert!(answer.text().await.unwrap().contains("<title>"));
    let (_, all) = admin(&simulator, Method::GET, "faults", None).await;
    let struck: Vec<_> = all["faults"].as_array().unwrap().iter().map(|f| f["struck"].as_u64().unwrap()).collect();
    assert_eq!((all["seed"].as_u64(), struck), (Some(1), vec![0, 0, 0, 1]));
    let path = format!("faults/{}", one[0]["id"]);
    assert_eq!(admin(&simulator, Method::DELETE, &path, None).await.0, 204);
    assert_eq!(admin(&simulator, Method::DELETE, &path, None).await.0, 404);
    assert_eq!(admin(&simulator, Method::DELETE, "faults", None).await.0, 204);
    assert_eq!(admin(&simulator, Method::GET, "faults", None).await.1["faults"], json!([]));
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_whole() {
    let simulator = with(&[]).await;
    for nonsense in [json!("fax:5000"), json!(["poll:5000", "poll:9"]), json!({"on": "poll"}), json!(7)] {
        let (status, answer) = admin(&simulator, Method::POST, "faults", Some(nonsense.clone())).await;
        assert_eq!(status / 100, 4, "{nonsense}");
        assert!(!answer["error"].as_str().unwrap().is_empty(), "{nonsense}");
    }
    assert_eq!(admin(&simulator, Method::GET, "faults", None).await.1["faults"], json!([]));
}

#[tokio::test]
async fn a_page_of_another_site_orders_nothing() {
    let simulator = with(&[]).await;
    let client = Client::new(&simulator, "c");
    let post = client.http.post(format!("{}/admin/faults", simulator.base_url())).json(&json!("any:hang:*"));
    let answer = post.header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(admin(&simulator, Method::GET, "faults", None).await.1["faults"], json!([]));
}

#[tokio::test]
async fn quirks_are_chosen_over_http() {
    let simulator = with(&[]).await;
    let client = Client::new(&simulator, "c");
    let (status, chosen) = admin(&simulator, Method::POST, "quirks", Some(json!(["bare-404"]))).await;
    assert_eq!((status, &chosen["quirks"]), (200, &json!(["bare-404"])));
    let gone = client.get("chats/active").await;
    assert_eq!((gone.status().as_u16(), gone.text().await.unwrap().as_str()), (404, ""));
    assert_eq!(admin(&simulator, Method::POST, "quirks", Some(json!(["colour"]))).await.0 / 100, 4);
    assert_eq!(admin(&simulator, Method::DELETE, "quirks", None).await.0, 204);
    assert_eq!(error_of(client.get("chats/active").await).await, (404, 5005));
}

#[tokio::test]
async fn a_cache_answers_a_poll_that_allows_it() {
    let simulator = start(|c| c.quirks = "cached-polls".parse().unwrap()).await;
    let client = Client::new(&simulator, "c");
    let chat = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    let path = format!("chats/{chat}/events");
    let first = client.poll(&chat).await;
    assert_eq!(client.poll(&chat).await, first);
    let fresh = client.request(Method::GET, &path).query(&[("nonce", "1")]).header("cache-control", "no-cache");
    let fresh: Value = fresh.send().await.unwrap().json().await.unwrap();
    assert_ne!(list(fresh), first);
}
