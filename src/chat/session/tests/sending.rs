#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn events_queued_while_a_send_is_in_flight_go_out_together_in_order() {
    let mut b = Bench::live();
    b.message("a");
    assert_eq!(b.requests(), ["send c-1:1=a"]);
    b.message("b");
    b.message("c");
    assert!(b.actions().is_empty());
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:2=b c-1:3=c"]);
}

#[test]
fn the_user_is_told_of_each_event_that_the_server_took() {
    let mut b = Bench::live();
    b.message("a");
    b.command(Command::Send(ClientTyping::default().into()));
    b.actions();
    b.sent(Lane::Conversation, Ok(vec![]));
    let taken: Vec<_> = b
        .events()
        .iter()
        .filter_map(|e| if let ChatEvent::Sent { event } = e { Some(word(event)) } else { None })
        .collect();
    assert_eq!(taken, ["c-1:1=a", "typing"]);
}

#[test]
fn signaling_does_not_wait_for_a_message_in_flight_nor_for_its_back_off() {
    let mut b = Bench::live();
    b.message("slow");
    b.actions();
    b.candidate("c1");
    assert_eq!(b.requests(), ["send c-1:2=c1"]);
    b.sent(Lane::Signaling, Ok(vec![]));
    b.sent(Lane::Conversation, Err(fault()));
    b.actions();
    b.candidate("c2");
    assert_eq!(b.requests()[0], "send c-1:3=c2");
}

#[test]
fn signaling_keeps_its_order_with_one_send_in_flight() {
    let mut b = Bench::live();
    b.candidate("c1");
    assert_eq!(b.requests(), ["send c-1:1=c1"]);
    b.candidate("c2");
    b.command(Command::Signal { party_id: "ann".into(), signal: EndCall::default().into() });
    assert!(b.actions().is_empty());
    b.sent(Lane::Signaling, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:2=c2 c-1:3=END_CALL"]);
}

#[test]
fn after_a_fault_the_same_ids_are_sent_again_and_newer_events_behind_them() {
    let mut b = Bench::live();
    b.message("a");
    b.actions();
    b.sent(Lane::Conversation, Err(fault()));
    b.message("b");
    assert!(b.requests().is_empty(), "waits");
    b.until_timeout();
    assert_eq!(b.requests(), ["send c-1:1=a c-1:2=b"]);
}

#[test]
fn a_fault_of_a_send_is_told_and_so_is_its_end() {
    let mut b = Bench::live();
    b.message("a");
    b.actions();
    b.sent(Lane::Conversation, Err(fault()));
    assert!(matches!(
        b.events()[..],
        [ChatEvent::Reconnecting { operation: Operation::Send(Lane::Conversation), attempt: 1, .. }]
    ));
    b.until_timeout();
    b.actions();
    b.sent(Lane::Conversation, Ok(vec![]));
    assert!(b.events().contains(&ChatEvent::Reconnected));
}

#[test]
fn it_is_reconnected_only_when_everything_works() {
    let mut b = Bench::live();
    b.message("a");
    b.actions();
    b.sent(Lane::Conversation, Err(fault()));
    b.poll(Err(fault()));
    b.actions();
    b.pass(1_000);
    b.actions();
    b.poll(Ok(vec![]));
    assert!(!b.events().contains(&ChatEvent::Reconnected));
    b.sent(Lane::Conversation, Ok(vec![]));
    assert!(b.events().contains(&ChatEvent::Reconnected));
}

#[test]
fn when_the_poll_works_again_a_send_does_not_wait_any_longer() {
    let mut b = Bench::live();
    b.candidate("c1");
    b.actions();
    // Far into its back-off.
    for _ in 0..6 {
        b.sent(Lane::Signaling, Err(fault()));
        b.actions();
        while !b.requests().iter().any(|r| r.starts_with("send")) {
            b.until_timeout();
        }
    }
    b.poll(Err(fault()));
    b.actions();
    b.until_timeout();
    assert_eq!(b.requests(), ["poll"]);
    b.sent(Lane::Signaling, Err(fault()));
    assert!(b.requests().is_empty());
    b.poll(Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:1=c1", "poll"]);
}

#[test]
fn of_a_refused_batch_only_the_event_at_fault_is_lost() {
    let mut b = Bench::live();
    b.message("first");
    b.actions();
    for text in ["good", "bad", "fine"] {
        b.message(text);
    }
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:2=good c-1:3=bad c-1:4=fine"]);
    b.sent(Lane::Conversation, Err(refusal()));
    assert_eq!(b.requests(), ["send c-1:2=good"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:3=bad"]);
    b.sent(Lane::Conversation, Err(refusal()));
    let actions = b.actions();
    assert!(
        matches!(&actions[0], Action::Event(ChatEvent::SendFailed { event, error: SendError::Refused { message } })
            if word(event) == "c-1:3=bad" && message == "no")
    );
    assert_eq!(short(&actions[1]).as_deref(), Some("send c-1:4=fine"));
    b.message("together");
    b.message("again");
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:5=together c-1:6=again"]);
}

#[test]
fn a_full_queue_refuses_and_says_so() {
    let mut b = Bench::with(SessionConfig { queue_limit: 2, ..Default::default() });
    b.open();
    for text in ["in flight", "waits", "too much"] {
        b.message(text);
    }
    b.candidate("has a lane of its own");
    let refused: Vec<_> = b.events().into_iter().filter(|e| matches!(e, ChatEvent::SendFailed { .. })).collect();
    assert!(
        matches!(&refused[..], [ChatEvent::SendFailed { event: ClientEvent::Message(m), error: SendError::QueueFull { waiting: 2 } }]
            if m.msg == "too much")
    );
}

#[test]
fn a_batch_has_a_limit() {
    let mut b = Bench::with(SessionConfig { batch_limit: 2, ..Default::default() });
    b.open();
    ["a", "b", "c"].iter().for_each(|t| b.message(t));
    assert_eq!(b.requests(), ["send c-1:1=a c-1:2=b"]);
    b.sent(Lane::Conversation, Ok(vec![]));
    assert_eq!(b.requests(), ["send c-1:3=c"]);
}

#[test]
fn a_session_that_is_gone_gives_back_what_was_not_taken() {
    let mut b = Bench::live();
    b.message("a");
    b.actions();
    b.message("b");
    b.sent(Lane::Conversation, Err(Failure::SessionGone));
    let told = b.events();
    assert_eq!(told.iter().filter(|e| matches!(e, ChatEvent::SendFailed { error: SendError::Closed, .. })).count(), 2);
    assert_eq!(ended(&told), Some(&EndReason::Gone));
}
