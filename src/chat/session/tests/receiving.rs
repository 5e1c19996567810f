#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn parties_and_state_are_known_when_their_event_is_handed_on() {
    let mut b = Bench::live();
    b.poll(Ok(events(json!([
        {"event": "chat_session_status", "state": "connected", "ewt": 3},
        {"event": "chat_session_party_joined", "party_id": "ann", "type": "internal", "display_name": "Ann"},
    ]))));
    assert_eq!(shown(&b.events()), ["chat_session_status", "chat_session_party_joined"]);
    assert_eq!(b.session.state(), &SessionState::Connected);
    assert_eq!(b.session.parties().agent().map(Party::name), Some("Ann".into()));
    b.poll(Ok(events(json!([{"event": "chat_session_party_left", "party_id": "ann"}]))));
    b.actions();
    assert_eq!(b.session.parties().agent(), None);
}

#[test]
fn the_answer_to_a_send_brings_events_too_and_each_is_handed_on_once() {
    let mut b = Bench::live();
    b.message("hi");
    b.actions();
    let reply = events(json!([{"event": "chat_session_message", "party_id": "ann", "msg_id": "1", "msg": "hello"}]));
    b.sent(Lane::Conversation, Ok(reply.clone()));
    assert_eq!(shown(&b.events()), ["hello"]);
    b.poll(Ok(reply));
    assert!(shown(&b.events()).is_empty());
}

#[test]
fn answers_that_arrive_together_are_put_in_order_of_time() {
    let mut b = Bench::live();
    b.message("hi");
    b.actions();
    let at = |id: &str, t: i64| {
        events(
            json!([{"event": "chat_session_message", "msg_id": id, "msg": id, "timestamp": 1_700_000_000_000_i64 + t}]),
        )
    };
    b.sent(Lane::Conversation, Ok(at("second", 20)));
    b.poll(Ok(at("first", 10)));
    assert_eq!(shown(&b.events()), ["first", "second"]);
}

#[test]
fn signaling_names_its_party_or_falls_back_to_the_agent() {
    let mut b = Bench::live();
    b.poll(Ok(events(json!([
        {"event": "chat_session_party_joined", "party_id": "ann", "type": "internal"},
        {"event": "chat_session_signaling", "party_id": "bob", "msg_id": "1", "data": {"type": "END_CALL"}},
        {"event": "chat_session_signaling", "msg_id": "2", "data": "{\"type\": \"END_CALL\"}"},
    ]))));
    let from: Vec<_> = b
        .events()
        .into_iter()
        .filter_map(|e| if let ChatEvent::Signal { party_id, .. } = e { Some(party_id.unwrap()) } else { None })
        .collect();
    assert_eq!(from, ["bob", "ann"]);
}

#[test]
fn the_servers_copy_of_our_own_event_is_marked_and_no_signal() {
    let mut b = Bench::live();
    b.poll(Ok(events(json!([
        {"event": "chat_session_message", "party_id": CHAT, "msg_id": "c-1:1", "msg": "hi"},
        {"event": "chat_session_signaling", "party_id": CHAT, "msg_id": "c-1:2", "data": {"type": "END_CALL"}},
    ]))));
    assert!(b.events().iter().all(|e| matches!(e, ChatEvent::Server { own: true, .. })));
}

#[test]
fn unknown_events_are_handed_on_as_they_came() {
    let mut b = Bench::live();
    let novel = events(json!([{"event": "chat_session_novel", "stars": 5}]));
    b.poll(Ok(novel.clone()));
    assert_eq!(b.events(), [ChatEvent::Server { event: novel[0].clone(), own: false }]);
    assert!(b.session.is_live());
}

#[test]
fn an_unknown_state_does_not_end_it() {
    let mut b = Bench::live();
    b.poll(Ok(events(json!([{"event": "chat_session_status", "state": "pondering"}]))));
    b.actions();
    assert_eq!(b.session.state().as_str(), "pondering");
    assert!(b.session.is_live());
}

#[test]
fn the_server_ends_it_in_several_ways() {
    let inactive = EndReason::Inactivity { message: "bye".into() };
    for (answer, reason) in [
        (json!([{"event": "chat_session_ended"}]), EndReason::ByServer),
        (json!([{"event": "chat_session_status", "state": "completed"}]), EndReason::ByServer),
        (json!([{"event": "chat_session_status", "state": "failed"}]), EndReason::ServerFailed),
        (json!([{"event": "chat_session_inactivity_timeout", "msg": "bye"}]), inactive.clone()),
        (json!([{"event": "chat_session_inactvity_timeout", "msg": "bye"}]), inactive.clone()),
        (
            json!([{"event": "chat_session_ended"}, {"event": "chat_session_inactivity_timeout", "msg": "bye"}]),
            inactive,
        ),
    ] {
        let mut b = Bench::live();
        b.poll(Ok(events(answer.clone())));
        let told = b.actions();
        assert_eq!(told.last(), Some(&Action::Event(ChatEvent::Ended { reason })), "{answer}");
        assert_eq!(told.len(), answer.as_array().unwrap().len() + 1, "the events themselves are shown too");
    }
}

#[test]
fn what_came_with_the_end_is_handed_on_before_it() {
    let mut b = Bench::live();
    b.poll(Ok(events(json!([
        {"event": "chat_session_ended"},
        {"event": "chat_session_message", "msg_id": "1", "msg": "goodbye"},
    ]))));
    let told = b.events();
    assert_eq!(shown(&told), ["chat_session_ended", "goodbye"]);
    assert_eq!(ended(&told), Some(&EndReason::ByServer));
}
