#![allow(clippy::unwrap_used)]
use super::*;

fn restoring() -> Bench {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "connected", "is_new_chat": "false"}))));
    b
}

fn past() -> Value {
    json!([
        {"event": "chat_session_message", "party_id": CHAT, "msg_id": "c-1:7", "msg": "hello?", "timestamp": 1_700_000_002_000_i64},
        {"event": "chat_session_party_joined", "party_id": "ann", "type": "internal", "timestamp": 1_700_000_001_000_i64},
        {"event": "chat_session_message", "party_id": "ann", "msg_id": "x", "msg": "hi", "timestamp": 1_700_000_003_000_i64},
        {"event": "chat_session_party_joined", "party_id": "bot", "type": "scenario", "timestamp": 1_700_000_000_000_i64},
        {"event": "chat_session_party_left", "party_id": "bot", "timestamp": 1_700_000_000_500_i64},
    ])
}

#[test]
fn the_history_is_read_before_the_first_poll_and_restored_in_order() {
    let mut b = restoring();
    assert_eq!(b.requests(), ["history"]);
    b.history(Ok(events(past())));
    let actions = b.actions();
    let Action::Event(ChatEvent::Restored { parties, events, complete: true }) = &actions[0] else {
        panic!("{actions:?}")
    };
    assert_eq!(parties.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["ann"]);
    let texts: Vec<_> = events
        .iter()
        .filter_map(|e| if let ServerEvent::Message(m) = &e.event { Some((m.msg.as_str(), e.own)) } else { None })
        .collect();
    assert_eq!(texts, [("hello?", true), ("hi", false)]);
    assert_eq!(actions[1], Action::Poll { chat_id: CHAT.into() });
    assert_eq!(b.session.parties().agent().map(|p| p.id.as_str()), Some("ann"));
}

#[test]
fn the_poll_does_not_bring_the_history_again() {
    let mut b = restoring();
    b.actions();
    b.history(Ok(events(past())));
    b.actions();
    b.poll(Ok(events(past())));
    assert!(shown(&b.events()).is_empty());
}

#[test]
fn message_ids_go_on_above_those_in_the_history() {
    let mut b = restoring();
    b.message("still there?");
    assert_eq!(b.requests(), ["history"], "numbered only when the history is known");
    b.history(Ok(events(past())));
    let sends = b.requests();
    let n: u64 = sends[0].strip_prefix("send c-1:").unwrap().split('=').next().unwrap().parse().unwrap();
    assert!(n > 1007, "signaling, which the history leaves out, has numbers too: {n}");
}

#[test]
fn an_absurd_message_id_in_the_history_is_not_counted_on_from() {
    let mut b = restoring();
    b.message("x");
    b.actions();
    b.history(Ok(events(
        json!([{"event": "chat_session_message", "party_id": CHAT, "msg_id": "c-1:18446744073709551615", "msg": "?"}]),
    )));
    assert!(b.requests()[0].starts_with("send c-1:"));
}

#[test]
fn an_end_in_the_history_does_not_end_the_session_that_lives() {
    let mut b = restoring();
    b.actions();
    b.history(Ok(events(
        json!([{"event": "chat_session_ended"}, {"event": "chat_session_status", "state": "failed"}]),
    )));
    assert!(ended(&b.events()).is_none());
    assert!(b.session.is_live());
    assert_eq!(b.session.state(), &SessionState::Connected);
}

#[test]
fn a_history_that_cannot_be_read_does_not_stop_the_session() {
    let mut b = restoring();
    for attempt in 1..4 {
        assert_eq!(b.requests(), ["history"]);
        b.history(Err(fault()));
        assert!(
            matches!(b.events()[..], [ChatEvent::Reconnecting { operation: Operation::History, attempt: a, .. }] if a == attempt)
        );
        b.until_timeout();
    }
    b.actions();
    b.history(Err(fault()));
    let actions = b.actions();
    assert!(matches!(&actions[0], Action::Event(ChatEvent::Restored { complete: false, .. })));
    assert_eq!(short(&actions[1]).as_deref(), Some("poll"));
    b.poll(Ok(vec![]));
    assert_eq!(b.events(), [ChatEvent::Reconnected]);
}

#[test]
fn a_session_that_is_gone_by_then_is_over() {
    let mut b = restoring();
    b.actions();
    b.history(Err(Failure::SessionGone));
    assert_eq!(ended(&b.events()), Some(&EndReason::Gone));
}
