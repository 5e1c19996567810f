//! The simulated contact center as a client sees it: one test a story, with nothing but HTTP and JSON.
#![allow(clippy::unwrap_used)]

mod simulator_support;

use chatphone::api::types::ParameterType;
use chatphone::simulator::{Hours, Simulator, SimulatorConfig, SimulatorError, parse_ice_server};
use serde_json::{Value, json};
use simulator_support::*;
use std::time::{Duration, Instant};

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["event"].as_str().unwrap().trim_start_matches("chat_session_")).collect()
}

#[tokio::test]
async fn an_open_center_is_available_and_a_closed_one_is_not() {
    let open = start(|c| c.ewt_s = Some(30)).await;
    assert_eq!(Client::new(&open, "c").get_json("availability").await, json!({"chat": "available", "ewt": "30"}));
    let closed = start(|c| c.hours = Hours::Closed).await;
    assert_eq!(Client::new(&closed, "c").get_json("availability").await, json!({"chat": "notAvailable"}));
}

#[tokio::test]
async fn parameters_ice_servers_and_widgets_are_as_configured() {
    let simulator = start(|c| {
        c.parameters = vec![("name".into(), ParameterType::FirstName), ("mail".into(), ParameterType::Email)];
        c.ice_servers = vec![parse_ice_server("stun:s:3478").unwrap(), parse_ice_server("turn:t,u,p").unwrap()];
    })
    .await;
    let client = Client::new(&simulator, "c");
    assert_eq!(client.get_json("parameters").await, json!({"parameters": [{"name": "FIRST_NAME"}, {"mail": "EMAIL"}]}));
    assert_eq!(
        client.get_json("iceservers").await,
        json!({"servers": [{"url": "stun:s:3478"}, {"url": "turn:t", "username": "u", "credential": "p"}]})
    );
    let widgets = client.get_json("configuration").await;
    assert_eq!(widgets["widgets"][0]["definition"]["contact_tab"]["location"], "right_bottom");
}

#[tokio::test]
async fn a_customer_talks_with_an_agent_and_ends_the_chat() {
    let simulator = start(|_| ()).await;
    let client = Client::new(&simulator, "c");
    let body = json!({"phone_number": "555", "from": "Zoe", "parameters": {"first_name": "Zoe"}});
    let chat: Value = client.post("chats", &body).await.json().await.unwrap();
    assert_eq!(chat["state"], "queued");
    assert_eq!(chat["is_new_chat"], true);
    assert_eq!(chat["phone_number"], "555");
    let id = chat["chat_id"].as_str().unwrap().to_owned();
    let mut chat = Chat { client, id, party: String::new(), events: Vec::new() };
    let joined = chat.until("chat_session_party_joined").await;
    assert_eq!(joined["type"], "internal");
    assert!(joined["timestamp"].as_i64().unwrap() > 1_600_000_000_000, "milliseconds");
    let greeting = chat.until("chat_session_message").await;
    assert_eq!(greeting["party_id"], joined["party_id"]);
    assert!(greeting["msg"].as_str().unwrap().contains("Zoe"));
    chat.say("Where is my parcel?").await;
    let typing = chat.until("chat_session_typing").await;
    assert!(typing["timestamp"].as_i64().unwrap() < 100_000_000_000, "seconds");
    assert!(chat.until("chat_session_message").await["msg"].as_str().unwrap().contains("Where is my parcel?"));
    chat.send(json!({"event": "chat_session_end"})).await;
    chat.until("chat_session_ended").await;
    assert_eq!(chat.client.get("chats/active").await.status(), 404);
}

#[tokio::test]
async fn a_client_that_starts_anew_gets_its_session_and_its_history() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    chat.say("hello").await;
    chat.until("chat_session_not_typing").await;
    let again = Client::new(&simulator, "c");
    let resumed = again.request_chat().await;
    assert_eq!((&resumed["chat_id"], &resumed["is_new_chat"]), (&json!(chat.id), &json!(false)));
    assert_eq!(resumed["state"], "connected");
    let active = again.get_json("chats/active").await;
    assert_eq!(active["chat_id"], json!(chat.id));
    assert!(active.get("is_new_chat").is_none());
    chat.signal(json!({"type": "END_CALL"})).await;
    let history = list(again.get_json(&format!("chats/{}/history", chat.id)).await);
    let own: Vec<_> = history.iter().filter(|e| e["party_id"] == json!(chat.id)).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!((&own[0]["msg"], &own[0]["event"]), (&json!("hello"), &json!("chat_session_message")));
    assert!(own[0]["timestamp"].is_i64());
    assert!(names(&history).contains(&"party_joined") && !names(&history).contains(&"signaling"));
}

#[tokio::test]
async fn a_browser_is_known_by_its_cookie() {
    let simulator = start(|_| ()).await;
    let with_cookies = |store: bool| {
        let mut client = Client::new(&simulator, "WebChat");
        client.http = reqwest::Client::builder().no_proxy().cookie_store(store).build().unwrap();
        client
    };
    let browser = with_cookies(true);
    let first = browser.request_chat().await;
    let again = browser.request_chat().await;
    assert_eq!((&again["chat_id"], &again["is_new_chat"]), (&first["chat_id"], &json!(false)));
    let other = with_cookies(true).request_chat().await;
    assert_eq!(other["is_new_chat"], true);
    let forgetful = with_cookies(false);
    assert_ne!(forgetful.request_chat().await["chat_id"], forgetful.request_chat().await["chat_id"]);
}

#[tokio::test]
async fn a_poll_is_held_until_there_is_news() {
    let simulator = start(|c| c.agent.reply_after = Duration::from_millis(300)).await;
    let chat = Client::new(&simulator, "c").connect().await;
    let (client, id) = (chat.client.clone(), chat.id.clone());
    let poll = tokio::spawn(async move {
        let began = Instant::now();
        (client.poll(&id).await, began.elapsed())
    });
    let mut writer = chat;
    writer.say("hello").await;
    let (events, held) = poll.await.unwrap();
    assert_eq!(names(&events)[0], "typing");
    assert!(held < Duration::from_secs(4), "{held:?}");
}

#[tokio::test]
async fn a_poll_without_news_ends_empty_after_the_hold() {
    let simulator = start(|c| c.hold = Duration::from_millis(150)).await;
    let chat = Client::new(&simulator, "c").connect().await;
    let began = Instant::now();
    assert!(chat.client.poll(&chat.id).await.is_empty());
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_poll_given_up_by_the_client_is_soon_not_held_any_more() {
    let simulator = start(|c| c.hold = Duration::from_secs(60)).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    let path = format!("chats/{}/events", chat.id);
    let given_up = tokio::time::timeout(Duration::from_millis(100), chat.client.get(&path)).await;
    assert!(given_up.is_err());
    chat.say("hello").await;
    // The server hears of the closed connection in its own time: until then it answers 5509.
    let events = loop {
        let answer = chat.client.get(&path).await;
        match answer.status().as_u16() {
            200 => break list(answer.json().await.unwrap()),
            400 => tokio::task::yield_now().await,
            other => panic!("{other}"),
        }
    };
    assert_eq!(events[0]["event"], "chat_session_typing", "no event went to the poll that was given up");
}

#[tokio::test]
async fn the_answer_of_send_events_carries_news() {
    let simulator = start(|_| ()).await;
    let client = Client::new(&simulator, "c");
    let chat = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
    let mut seen = client.send(&chat, json!([{"event": "chat_session_typing"}])).await;
    while !names(&seen).contains(&"message") {
        seen.extend(client.send(&chat, json!([{"event": "chat_session_typing"}])).await);
    }
    assert_eq!(names(&seen), ["status", "status", "party_joined", "message"], "each once, in order");
}

#[tokio::test]
async fn a_file_goes_both_ways() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    let answer: Value = chat.client.upload("a\"b.png", "image/png", b"not really".to_vec()).await.json().await.unwrap();
    let file_id = answer["file_id"].as_str().unwrap().to_owned();
    chat.send(json!({"event": "chat_session_file", "msg_id": "1", "file_type": "image", "file_id": file_id})).await;
    chat.until("chat_session_message").await;
    let own = chat.client.get(&format!("chats/{}/files/{file_id}", chat.id)).await;
    assert_eq!(own.headers()["content-type"], "image/png");
    assert_eq!(own.bytes().await.unwrap(), b"not really".as_slice());
    chat.say("/file").await;
    let file = chat.until("chat_session_file").await;
    assert_eq!((&file["party_id"], &file["file_type"]), (&json!(chat.party), &json!("attachment")));
    let path = format!("chats/{}/files/{}", chat.id, file["file_id"].as_str().unwrap());
    let download = chat.client.get(&path).await;
    assert_eq!(download.headers()["content-type"], "text/plain; charset=utf-8");
    assert!(!download.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_of_1001_files_is_gone() {
    let simulator = start(|_| ()).await;
    let chat = Client::new(&simulator, "c").connect().await;
    let mut ids = Vec::new();
    for n in 0..1001_u32 {
        let answer: Value = chat.client.upload("n", "text/plain", n.to_be_bytes().into()).await.json().await.unwrap();
        ids.push(answer["file_id"].as_str().unwrap().to_owned());
    }
    let get = |id: &str| {
        let path = format!("chats/{}/files/{id}", chat.id);
        let client = chat.client.clone();
        async move { client.get(&path).await }
    };
    assert_eq!(error_of(get(&ids[0]).await).await, (404, 5502));
    assert_eq!(get(&ids[1]).await.bytes().await.unwrap(), 1_u32.to_be_bytes().as_slice());
}

#[tokio::test]
async fn an_agent_has_a_photo() {
    let simulator = start(|_| ()).await;
    let chat = Client::new(&simulator, "c").connect().await;
    let photo = chat.client.get(&format!("chats/{}/profilephotos/{}", chat.id, chat.party)).await;
    assert_eq!(photo.headers()["content-type"], "image/png");
    assert!(photo.bytes().await.unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_disconnected_chat_ends_with_a_survey() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    chat.send(json!({"event": "chat_session_disconnect"})).await;
    let form = chat.until("chat_session_form_show").await;
    let id = form["form_request_id"].clone();
    chat.send(json!({"event": "chat_session_form_data", "form_request_id": id, "form_name": "survey", "data": {"stars": "5"}})).await;
    chat.until("chat_session_ended").await;
}

#[tokio::test]
async fn forms_are_answered_or_declined() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    chat.say("/form").await;
    let id = chat.until("chat_session_form_show").await["form_request_id"].clone();
    chat.send(json!({"event": "chat_session_form_data", "form_request_id": id, "data": {"city": "Paris"}})).await;
    assert!(chat.until("chat_session_message").await["msg"].as_str().unwrap().contains("city"));
    chat.say("/secureform").await;
    let id = chat.until("chat_session_secure_form_show").await["form_request_id"].clone();
    chat.send(json!({"event": "chat_session_secure_form_cancel", "form_request_id": id})).await;
    assert!(chat.until("chat_session_message").await["msg"].as_str().unwrap().contains("No problem"));
}

#[tokio::test]
async fn every_client_has_an_agent_of_its_own() {
    let simulator = start(|_| ()).await;
    let (a, b) = (Client::new(&simulator, "a"), Client::new(&simulator, "b"));
    let (mut a, mut b) = tokio::join!(a.connect(), b.connect());
    assert_ne!(a.party, b.party);
    a.say("from a").await;
    b.say("from b").await;
    assert!(a.until("chat_session_message").await["msg"].as_str().unwrap().contains("from a"));
    assert!(b.until("chat_session_message").await["msg"].as_str().unwrap().contains("from b"));
}

#[tokio::test]
async fn a_silent_customer_is_warned_and_timed_out() {
    let simulator = start(|c| {
        c.inactivity_warning = Some(Duration::from_millis(100));
        c.inactivity_timeout = Some(Duration::from_millis(200));
    })
    .await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    assert!(!chat.until("chat_session_timeout_warning").await["msg"].as_str().unwrap().is_empty());
    chat.until("chat_session_inactivity_timeout").await;
    assert_eq!(chat.client.get("chats/active").await.status(), 404);
}

#[tokio::test]
async fn a_busy_port_is_said_clearly() {
    let simulator = start(|_| ()).await;
    let config = SimulatorConfig { listen: simulator.addr(), ..Default::default() };
    let error = Simulator::start(config).await.err().unwrap();
    assert!(matches!(error, SimulatorError::Bind { .. }));
    assert!(error.to_string().contains("another program listens there"), "{error}");
}

#[tokio::test]
async fn a_shutdown_ends_chats_and_answers_held_polls() {
    let simulator = start(|c| c.hold = Duration::from_secs(60)).await;
    let chat = Client::new(&simulator, "c").connect().await;
    let path = format!("chats/{}/events", chat.id);
    let (first, second) = (chat.client.get(&path), chat.client.get(&path));
    tokio::pin!(first, second);
    // One of the two is refused: then the other is held.
    let (refused, held) = tokio::select! { r = &mut first => (r, second), r = &mut second => (r, first) };
    assert_eq!(error_of(refused).await.1, 5509);
    let began = Instant::now();
    let ((), answer) = tokio::join!(simulator.shutdown(), held);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(names(&list(answer.json().await.unwrap())), ["party_left", "ended"]);
}
