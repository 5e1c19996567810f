#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn an_end_goes_out_behind_the_signaling_queued_before_it() {
    let mut b = Bench::live();
    b.candidate("c1");
    b.actions();
    b.command(Command::Signal { party_id: "ann".into(), signal: EndCall::default().into() });
    b.message("bye");
    b.command(Command::End);
    assert_eq!(b.requests(), ["send c-1:2=bye"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert!(b.requests().is_empty(), "the end waits");
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:3=END_CALL"]);
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(b.requests(), ["send end"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(ended(&b.events()), Some(&EndReason::ByClient { confirmed: true }));
}

#[test]
fn an_end_is_not_waited_for_longer_than_three_seconds() {
    let mut b = Bench::live();
    b.command(Command::End);
    b.actions();
    b.pass(2_999);
    assert!(b.actions().is_empty());
    b.pass(1);
    assert_eq!(ended(&b.events()), Some(&EndReason::ByClient { confirmed: false }));
}

#[test]
fn an_end_is_tried_again_after_a_fault() {
    let mut b = Bench::live();
    b.command(Command::End);
    b.actions();
    b.sent(Lane::Conversation, Err(fault()));
    b.until_timeout();
    assert_eq!(b.requests(), ["send end"]);
}

#[test]
fn an_end_that_the_server_confirms_by_an_event_is_ours() {
    let mut b = Bench::live();
    b.command(Command::End);
    b.actions();
    b.poll(Ok(events(json!([{"event": "chat_session_ended"}]))));
    assert_eq!(ended(&b.events()), Some(&EndReason::ByClient { confirmed: true }));
}

#[test]
fn an_end_that_the_server_refuses_is_not_confirmed() {
    let mut b = Bench::live();
    b.command(Command::End);
    b.actions();
    b.sent(Lane::Conversation, Err(refusal()));
    assert_eq!(ended(&b.events()), Some(&EndReason::ByClient { confirmed: false }));
}

#[test]
fn a_disconnect_keeps_the_session() {
    let mut b = Bench::live();
    b.command(Command::Disconnect);
    assert_eq!(b.requests(), ["send disconnect"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    b.actions();
    b.pass(60_000);
    assert!(b.session.is_live());
    b.poll(Ok(events(json!([{"event": "chat_session_form_show", "form_request_id": 1, "form_name": "survey"}]))));
    assert_eq!(shown(&b.events()), ["chat_session_form_show"]);
}

#[test]
fn a_shutdown_sends_what_is_queued_and_leaves_the_chat() {
    let mut b = Bench::live();
    b.candidate("c1");
    b.actions();
    b.command(Command::Signal { party_id: "ann".into(), signal: EndCall::default().into() });
    b.command(Command::Shutdown { end_chat: false });
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:2=END_CALL"]);
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(ended(&b.events()), Some(&EndReason::Shutdown { flushed: true }));
}

#[test]
fn a_shutdown_that_ends_the_chat_sends_the_end_last() {
    let mut b = Bench::live();
    b.command(Command::Signal { party_id: "ann".into(), signal: EndCall::default().into() });
    b.command(Command::Shutdown { end_chat: true });
    assert_eq!(b.requests(), ["send c-1:1=END_CALL"]);
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(b.requests(), ["send end"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(ended(&b.events()), Some(&EndReason::Shutdown { flushed: true }));
}

#[test]
fn a_shutdown_takes_two_seconds_at_most_and_gives_back_what_is_left() {
    let mut b = Bench::live();
    b.message("stuck");
    b.actions();
    b.command(Command::Shutdown { end_chat: true });
    assert!(b.actions().is_empty());
    assert_eq!(b.until_timeout(), Duration::from_secs(2));
    let told = b.events();
    assert!(matches!(&told[0], ChatEvent::SendFailed { event: ClientEvent::Message(_), error: SendError::Closed }));
    assert_eq!(ended(&told), Some(&EndReason::Shutdown { flushed: false }));
}

#[test]
fn a_shutdown_with_nothing_to_send_is_at_once() {
    for mut b in [Bench::new(), Bench::live()] {
        b.command(Command::Shutdown { end_chat: false });
        assert_eq!(b.events(), [ChatEvent::Ended { reason: EndReason::Shutdown { flushed: true } }]);
    }
}

#[test]
fn a_shutdown_while_opening_ends_the_chat_that_comes_of_it() {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.command(Command::Shutdown { end_chat: true });
    assert!(b.actions().is_empty());
    b.pass(100);
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "queued"}))));
    assert_eq!(b.requests()[0], "send end");
}

#[test]
fn a_shutdown_in_a_back_off_tries_at_once() {
    let mut b = Bench::live();
    b.message("a");
    b.actions();
    b.sent(Lane::Conversation, Err(fault()));
    b.actions();
    b.command(Command::Shutdown { end_chat: false });
    assert_eq!(b.requests(), ["send c-1:1=a"]);
}

#[test]
fn what_is_sent_after_the_end_is_refused() {
    let mut b = Bench::live();
    b.command(Command::End);
    b.actions();
    b.message("too late");
    assert!(matches!(b.events()[..], [ChatEvent::SendFailed { error: SendError::Closed, .. }]));
}

#[test]
fn a_shutdown_after_an_end_sends_no_second_end_and_shortens_the_wait() {
    let mut b = Bench::live();
    b.command(Command::End);
    assert_eq!(b.requests(), ["send end"]);
    b.command(Command::Shutdown { end_chat: true });
    assert!(b.requests().is_empty());
    assert_eq!(b.until_timeout(), Duration::from_secs(2));
    assert_eq!(ended(&b.events()), Some(&EndReason::ByClient { confirmed: false }));
}

#[test]
fn the_end_finds_room_in_a_full_queue() {
    let mut b = Bench::with(SessionConfig { queue_limit: 1, ..Default::default() });
    b.open();
    b.message("in flight");
    b.actions();
    b.command(Command::End);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(b.requests(), ["send end"]);
}

#[test]
fn a_second_shutdown_sends_no_second_end() {
    let mut b = Bench::live();
    b.command(Command::Shutdown { end_chat: true });
    b.command(Command::Shutdown { end_chat: true });
    assert_eq!(b.requests(), ["send end"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(ended(&b.events()), Some(&EndReason::Shutdown { flushed: true }));
}

#[test]
fn a_disconnect_that_waits_for_signaling_sets_no_timer_that_has_passed() {
    let mut b = Bench::live();
    b.command(Command::Disconnect);
    b.actions();
    b.sent(Lane::Conversation, Err(fault()));
    b.actions();
    b.candidate("c1");
    assert_eq!(b.requests(), ["send c-1:1=c1"]);
    b.pass(10_000);
    assert!(b.actions().is_empty());
    assert_eq!(b.session.next_timeout(), None, "a driver would spin on it");
    b.poll(Err(fault()));
    b.actions();
    assert!(b.session.next_timeout() > Some(b.now), "nor does it hide another timer");
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(b.requests(), ["send disconnect"]);
}
