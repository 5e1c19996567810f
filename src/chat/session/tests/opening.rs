#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn the_request_goes_out_as_given_and_the_poll_follows_the_answer_at_once() {
    let mut b = Bench::new();
    let body = ChatRequest { from: Some("Kim".into()), phone_number: Some("555".into()), ..Default::default() };
    b.command(Command::Open(body.clone()));
    assert_eq!(b.actions(), [Action::RequestChat(body)]);
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "queued", "is_new_chat": true, "ewt": "30"}))));
    let actions = b.actions();
    assert!(matches!(&actions[0], Action::Event(ChatEvent::Opened { resumed: false, .. })));
    assert_eq!(actions[1], Action::Poll { chat_id: CHAT.into() });
    assert_eq!((b.session.chat_id(), b.session.ewt_s()), (Some(CHAT), Some(30.0)));
    assert_eq!(b.session.state(), &SessionState::Queued);
}

#[test]
fn an_answer_without_a_chat_id_is_an_error() {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Ok(Chat::default()));
    assert!(matches!(ended(&b.events()), Some(EndReason::NotOpened { .. })));
}

#[test]
fn a_session_that_failed_already_is_an_error() {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "failed"}))));
    assert!(matches!(ended(&b.events()), Some(EndReason::NotOpened { message }) if message.contains("failed")));
}

#[test]
fn a_passing_fault_is_tried_again_and_the_end_of_it_told() {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Err(fault()));
    assert!(matches!(b.events()[..], [ChatEvent::Reconnecting { operation: Operation::RequestChat, attempt: 1, .. }]));
    b.until_timeout();
    assert_eq!(b.requests(), ["chat"]);
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "queued"}))));
    assert!(matches!(b.events()[..], [ChatEvent::Reconnected, ChatEvent::Opened { .. }]));
}

#[test]
fn faults_that_do_not_pass_end_it() {
    let mut b = Bench::with(SessionConfig { open_attempts: 3, ..Default::default() });
    b.command(Command::Open(ChatRequest::default()));
    for _ in 0..2 {
        assert_eq!(b.requests(), ["chat"]);
        b.chat(Err(fault()));
        b.actions();
        b.until_timeout();
    }
    assert_eq!(b.requests(), ["chat"]);
    b.chat(Err(fault()));
    assert_eq!(ended(&b.events()), Some(&EndReason::NotOpened { message: "reset".into() }));
    assert_eq!(b.session.next_timeout(), None);
}

#[test]
fn a_refusal_ends_it_at_once() {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Err(refusal()));
    assert_eq!(ended(&b.events()), Some(&EndReason::NotOpened { message: "no".into() }));
}

#[test]
fn what_is_sent_before_goes_out_when_it_is_open() {
    let mut b = Bench::new();
    b.message("early");
    assert!(b.actions().is_empty());
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "queued"}))));
    assert_eq!(b.requests(), ["send c-1:1=early", "poll"]);
}

#[test]
fn what_was_queued_is_given_back_when_it_does_not_open() {
    let mut b = Bench::new();
    b.message("early");
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Err(refusal()));
    assert!(matches!(
        b.events()[..],
        [ChatEvent::SendFailed { error: SendError::Closed, .. }, ChatEvent::Ended { .. }]
    ));
}

#[test]
fn opening_twice_asks_once() {
    let mut b = Bench::live();
    b.command(Command::Open(ChatRequest::default()));
    assert!(b.actions().is_empty());
}
