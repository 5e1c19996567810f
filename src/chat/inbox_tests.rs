#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::{Value, json};

fn events(list: Value) -> Vec<ServerEvent> {
    serde_json::from_value(list).unwrap()
}

fn after(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

/// Takes one answer and gives the names and ids of what is handed on.
fn handed_on(inbox: &mut Inbox, list: Value, now: Instant) -> Vec<String> {
    inbox.accept(events(list), now);
    labels(inbox.take())
}

fn labels(list: Vec<ServerEvent>) -> Vec<String> {
    list.iter()
        .map(|e| {
            let v = serde_json::to_value(e).unwrap();
            ["msg_id", "data", "n", "state"]
                .iter()
                .find_map(|f| v.get(*f).map(|x| x.as_str().map_or(x.to_string(), str::to_owned)))
                .unwrap_or_else(|| e.name().to_owned())
        })
        .collect()
}

fn message(id: &str, timestamp: Value) -> Value {
    json!({"event": "chat_session_message", "party_id": "ann", "msg_id": id, "msg": id, "timestamp": timestamp})
}

fn signaling(id: &str, timestamp: Value) -> Value {
    json!({"event": "chat_session_signaling", "party_id": "ann", "msg_id": id, "data": {"type": "END_CALL"}, "timestamp": timestamp})
}

const T: i64 = 1_700_000_000_000;

#[test]
fn an_event_in_the_poll_and_in_a_sends_answer_is_handed_on_once() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    assert_eq!(handed_on(&mut inbox, json!([message("1", json!(T))]), now), ["1"]);
    assert!(handed_on(&mut inbox, json!([message("1", json!(T))]), after(now, 3_600_000)).is_empty());
}

#[test]
fn two_end_calls_with_different_ids_are_two() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let both = json!([signaling("1", Value::Null), signaling("2", Value::Null)]);
    assert_eq!(handed_on(&mut inbox, both, now), ["1", "2"]);
}

#[test]
fn an_agent_joining_is_handed_on_once_and_joining_again_is_news() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let joined =
        |t: i64| json!([{"event": "chat_session_party_joined", "party_id": "ann", "type": "internal", "timestamp": t}]);
    assert_eq!(handed_on(&mut inbox, joined(T), now).len(), 1);
    assert_eq!(handed_on(&mut inbox, joined(T), after(now, 60_000)).len(), 0);
    assert_eq!(handed_on(&mut inbox, joined(T + 1), after(now, 60_000)).len(), 1);
}

#[test]
fn typing_without_a_time_is_news_when_it_comes_later() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let typing = json!([{"event": "chat_session_typing", "party_id": "ann"}]);
    assert_eq!(handed_on(&mut inbox, typing.clone(), now).len(), 1);
    assert_eq!(handed_on(&mut inbox, typing.clone(), after(now, 100)).len(), 0, "the other source's copy");
    assert_eq!(handed_on(&mut inbox, typing, after(now, 2_100)).len(), 1, "typed again");
}

#[test]
fn a_stream_of_copies_is_not_swallowed_for_ever() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let typing = json!([{"event": "chat_session_typing", "party_id": "ann"}]);
    let times: usize = (0..700).map(|n| handed_on(&mut inbox, typing.clone(), after(now, n * 30)).len()).sum();
    assert_eq!(times, 3, "21 s of copies, one in ten seconds");
}

#[test]
fn a_state_that_comes_back_at_once_is_news() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let states = json!([
        {"event": "chat_session_status", "state": "connected"},
        {"event": "chat_session_status", "state": "connected"},
        {"event": "chat_session_status", "state": "queued"},
        {"event": "chat_session_status", "state": "connected"},
    ]);
    assert_eq!(handed_on(&mut inbox, states, now), ["connected", "queued", "connected"]);
}

#[test]
fn typing_of_one_party_does_not_hide_typing_of_another() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let both =
        json!([{"event": "chat_session_typing", "party_id": "a"}, {"event": "chat_session_typing", "party_id": "b"}]);
    assert_eq!(handed_on(&mut inbox, both, now).len(), 2);
}

#[test]
fn an_end_call_without_an_id_is_news_in_the_next_call() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let end = json!([{"event": "chat_session_signaling", "party_id": "ann", "data": {"type": "END_CALL"}}]);
    assert_eq!(handed_on(&mut inbox, end.clone(), now).len(), 1);
    assert_eq!(handed_on(&mut inbox, end.clone(), after(now, 50)).len(), 0);
    assert_eq!(handed_on(&mut inbox, end, after(now, 5_000)).len(), 1);
}

#[test]
fn an_unknown_event_is_handed_on() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    assert_eq!(handed_on(&mut inbox, json!([{"event": "novel", "n": "x"}, {}]), now), ["x", ""]);
}

#[test]
fn memory_is_bounded() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    for n in 0..2 * REMEMBERED {
        inbox.accept(events(json!([message(&n.to_string(), json!(T)), {"event": "novel", "n": n}])), now);
        inbox.take();
    }
    assert_eq!(inbox.seen.len(), REMEMBERED);
    assert_eq!(inbox.seen_in_order.len(), REMEMBERED);
    assert!(inbox.recent.len() <= REMEMBERED_UNSTAMPED);
}

#[test]
fn what_arrived_together_is_put_in_order_of_time() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    inbox.accept(events(json!([message("3", json!(T + 300)), message("4", json!(T + 400))])), now);
    inbox.accept(events(json!([message("1", json!(T + 100)), message("2", json!(T + 350))])), now);
    assert_eq!(labels(inbox.take()), ["1", "3", "2", "4"]);
}

#[test]
fn what_arrived_apart_keeps_the_order_of_arrival() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    assert_eq!(handed_on(&mut inbox, json!([message("2", json!(T + 2))]), now), ["2"]);
    assert_eq!(handed_on(&mut inbox, json!([message("1", json!(T + 1))]), now), ["1"]);
}

#[test]
fn signaling_keeps_the_order_of_arrival_whatever_its_times_say() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    inbox.accept(events(json!([message("m9", json!(T + 900)), signaling("s1", json!(T + 500))])), now);
    inbox.accept(events(json!([message("m1", json!(T + 100)), signaling("s2", json!(T + 1))])), now);
    let order = labels(inbox.take());
    let at = |id: &str| order.iter().position(|o| o == id).unwrap();
    assert!(at("s1") < at("s2"), "{order:?}");
    assert!(at("m1") < at("m9"), "{order:?}");
}

#[test]
fn an_offer_stays_behind_the_agent_who_joins_in_the_same_answer() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let answer = json!([
        {"event": "chat_session_party_joined", "party_id": "ann", "timestamp": T + 500},
        signaling("offer", json!(T)),
    ]);
    assert_eq!(handed_on(&mut inbox, answer, now), ["chat_session_party_joined", "offer"]);
}

#[test]
fn an_event_without_a_time_stays_behind_the_one_before_it() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let answer = json!([
        message("2", json!(T + 2000)),
        {"event": "chat_session_status", "state": "queued"},
        message("1", json!(T + 1500)),
    ]);
    assert_eq!(handed_on(&mut inbox, answer, now), ["1", "2", "queued"]);
}

#[test]
fn a_time_in_whole_seconds_does_not_move_an_event_within_the_second() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let answer = json!([
        message("1", json!(T + 700)),
        {"event": "chat_session_typing", "party_id": "ann", "timestamp": T / 1000},
        message("2", json!(T + 900)),
    ]);
    assert_eq!(handed_on(&mut inbox, answer, now), ["1", "chat_session_typing", "2"]);
}

#[test]
fn history_is_ordered_by_time_and_not_brought_again_by_the_poll() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let history = json!([message("2", json!(T + 2000)), message("1", json!(T + 1000))]);
    assert_eq!(labels(inbox.restore(events(history.clone()), now)), ["1", "2"]);
    assert!(handed_on(&mut inbox, history, after(now, 5_000)).is_empty());
}

#[test]
fn a_time_in_whole_seconds_orders_by_the_second() {
    let (mut inbox, now) = (Inbox::default(), Instant::now());
    let answer = json!([message("3", json!(T + 3000)), message("1", json!(T)), message("2", json!(T + 500))]);
    assert_eq!(handed_on(&mut inbox, answer, now), ["1", "2", "3"]);
}
