#![allow(clippy::unwrap_used)]

use super::*;
use crate::simulator::fault::ApiMethod as M;
use axum::http::StatusCode;
use serde_json::{Value, json};

fn rewritten(names: &str, method: M, mut status: u16, mut answer: Value) -> (u16, Value) {
    let mut state = QuirkState::new(names.parse().unwrap());
    let mut code = StatusCode::from_u16(status).unwrap();
    state.apply(method, Some("t"), &mut code, &mut answer);
    status = code.as_u16();
    (status, answer)
}

fn events(names: &str, events: Value) -> Value {
    rewritten(names, M::Poll, 200, json!({ "events": events })).1["events"].take()
}

fn signaling(data: Value) -> Value {
    json!([{"event": "chat_session_signaling", "party_id": "p", "msg_id": "t:4", "data": data, "timestamp": 1_700_000_000_123_i64}])
}

fn message() -> Value {
    json!([{"event": "chat_session_message", "party_id": "p", "msg_id": "t:4", "msg": "2 < 3\nyes", "timestamp": 1_700_000_000_123_i64}])
}

#[test]
fn each_quirk_changes_what_it_says() {
    let offer = json!({"type": "OFFER_CALL", "offerVideo": false, "sdp": "v=0"});
    let ice = json!({"type": "ICE_CANDIDATE", "candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0});
    let first = |quirk: &str, list: Value| events(quirk, list)[0].clone();
    let data = |quirk: &str, data: &Value| first(quirk, signaling(data.clone()))["data"].clone();
    let at = |quirk: &str| first(quirk, message())["timestamp"].clone();

    assert_eq!(data("signal-string", &offer), json!(offer.to_string()));
    let bare = first("signal-bare", signaling(offer.clone()));
    assert!(bare.get("party_id").is_none() && bare.get("timestamp").is_none() && bare.get("msg_id").is_some());
    assert_eq!(data("sdp-object", &offer)["sdp"], json!({"type": "offer", "sdp": "v=0"}));
    assert!(data("untyped-candidates", &ice).get("type").is_none());
    assert!(data("untyped-candidates", &offer).get("type").is_some());
    assert!(data("no-mline-index", &ice).get("sdpMLineIndex").is_none());
    let both = json!([signaling(offer.clone())[0], signaling(ice.clone())[0]]);
    assert_eq!(events("candidates-first", both.clone())[1], both[0]);
    assert_eq!(events("double-end", signaling(json!({"type": "END_CALL"}))).as_array().unwrap().len(), 2);
    assert_eq!(first("unknown-signals", signaling(offer.clone()))["data"]["type"], "CALL_PROGRESS");
    assert_eq!(data("string-scalars", &offer)["offerVideo"], "false");
    assert_eq!(data("odd-case", &offer)["offerVideo"], "FALSE");
    assert_eq!(first("number-strings", json!([{"event": "chat_session_status", "ewt": "90"}]))["ewt"], 90);
    assert_eq!(at("time-seconds"), 1_700_000_000);
    assert_eq!(at("time-string"), "1700000000123");
    assert!(at("time-missing").is_null());
    let typing = json!([{"event": "chat_session_typing", "party_id": "p", "timestamp": 1_700_000_000}]);
    assert_eq!(first("time-millis", typing)["timestamp"], 1_700_000_000_000_i64);
    assert_eq!(first("msg-id-uuid", message())["msg_id"].as_str().unwrap().len(), 36);
    assert_eq!(first("msg-id-counter", message())["msg_id"], "8");
    assert!(first("extra-fields", message())["x_trace"].is_object());
    let status = json!([{"event": "chat_session_status", "state": "queued", "ewt": "9"}]);
    assert!(first("missing-fields", status.clone()).get("ewt").is_none());
    assert_eq!(first("nulls", json!([{"event": "chat_session_status", "state": "queued"}]))["ewt"], json!(null));
    assert_eq!(first("unknown-state", status)["state"], "agent_assigned");
    assert_eq!(first("unknown-events", message())["event"], "chat_session_weather");
    assert_eq!(events("unpublished-events", message())[2]["event"], "chat_session_message_read");
    let timeout = json!([{"event": "chat_session_inactivity_timeout", "msg": "x"}]);
    assert_eq!(first("inactvity", timeout)["event"], "chat_session_inactvity_timeout");
    let markup = first("markup", message());
    assert_eq!(markup["msg"], "<p>2 &lt; 3<br>yes</p>");
    assert!(markup["message_text"] == "2 < 3\nyes" || markup["msg_text"] == "2 < 3\nyes");
    assert_eq!(first("file-session-id", json!([{"event": "chat_session_file", "party_id": "p"}]))["session_id"], "p");
    assert!(first("form-fields", json!([{"event": "chat_session_form_show"}]))["fields"].is_array());

    let one = |quirk: &str, method, status, answer| rewritten(quirk, method, status, answer);
    assert_eq!(one("unavailable", M::Availability, 200, json!({"chat": "notAvailable"})).1["chat"], "unavailable");
    assert_eq!(one("unavailable", M::Availability, 200, json!({"chat": "available"})).1["chat"], "available");
    let servers = json!({"servers": [{"url": "stun:a"}]});
    assert_eq!(one("ice-urls", M::IceServers, 200, servers.clone()).1, json!({"servers": [{"urls": ["stun:a"]}]}));
    assert_eq!(one("ice-missing", M::IceServers, 200, servers.clone()).1, servers);
    assert_eq!(one("ice-missing", M::IceServers, 200, json!({"servers": []})).1, json!({}));
    assert_eq!(one("no-events-5511", M::Poll, 200, json!({"events": []})).1["error_code"], "5511");
    assert_eq!(one("no-events-empty", M::Poll, 200, json!({"events": []})), (200, Value::Null));
    assert_eq!(one("bare-404", M::Poll, 404, json!({"error_code": "5005"})), (404, Value::Null));
}

#[test]
fn every_third_idle_poll_is_busy() {
    let mut state = QuirkState::new("busy-polls".parse().unwrap());
    let statuses = [(); 6].map(|()| {
        let (mut status, mut answer) = (StatusCode::OK, json!({"events": []}));
        state.apply(M::Poll, Some("t"), &mut status, &mut answer);
        status.as_u16()
    });
    assert_eq!(statuses, [200, 200, 400, 200, 200, 400]);
}

#[test]
fn the_events_of_an_answer_come_again_with_the_next_in_the_same_form() {
    let mut state = QuirkState::new("repeated-events,msg-id-uuid".parse().unwrap());
    let mut poll = |list: Value| {
        let (mut status, mut answer) = (StatusCode::OK, json!({ "events": list }));
        state.apply(M::Poll, Some("t"), &mut status, &mut answer);
        answer["events"].take()
    };
    let first = poll(message());
    let second = poll(json!([]));
    assert_eq!(second, first);
    assert_eq!(poll(json!([])), json!([]));
}

#[test]
fn the_last_poll_is_cached_for_who_allows_it() {
    let mut state = QuirkState::new("cached-polls".parse().unwrap());
    assert_eq!(state.cached("t"), None);
    let (mut status, mut answer) = (StatusCode::OK, json!({ "events": message() }));
    state.apply(M::Poll, Some("t"), &mut status, &mut answer);
    assert_eq!(state.cached("t"), Some(answer));
    assert_eq!(state.cached("u"), None);
}

#[test]
fn with_all_of_them_the_same_event_looks_the_same_in_every_answer() {
    for n in 0..200 {
        let list = json!([{"event": "chat_session_message", "party_id": "p", "msg_id": format!("t:{n}"), "msg": "hi", "timestamp": 1}]);
        let of = |method| {
            let mut state = QuirkState::new(Quirks::all());
            let (mut status, mut answer) = (StatusCode::OK, json!({ "events": list }));
            state.apply(method, None, &mut status, &mut answer);
            answer
        };
        assert_eq!(of(M::Poll), of(M::History));
    }
}

#[test]
fn without_quirks_nothing_changes() {
    let answer = json!({ "events": message() });
    assert_eq!(rewritten("", M::Poll, 200, answer.clone()), (200, answer));
}

#[test]
fn quirks_are_chosen_by_name() {
    assert_eq!("all".parse(), Ok(Quirks::all()));
    assert_eq!(Quirks::all().to_string(), "all");
    let two: Quirks = " markup, bare-404 ,".parse().unwrap();
    assert_eq!(two.to_string(), "markup,bare-404");
    assert!("markup,colour".parse::<Quirks>().is_err());
    assert_eq!(serde_json::from_value::<Quirks>(json!(["markup", "bare-404"])).unwrap(), two);
    assert!(serde_json::from_value::<Quirks>(json!(["colour"])).is_err());
}

proptest::proptest! {
    #[test]
    fn any_answer_is_rewritten_without_a_panic(text in "[a-z0-9_:<&é]{0,12}", number in proptest::num::i64::ANY) {
        let event = json!({"event": text, "msg": text, "msg_id": text, "timestamp": number, "data": {"type": text, "sdp": number}});
        for method in M::ALL {
            for status in [200, 404, 500] {
                for answer in [json!({"events": [event, number, null]}), json!({"servers": [text, event]}), json!(number)] {
                    rewritten("all", *method, status, answer);
                }
            }
        }
    }
}
