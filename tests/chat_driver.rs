//! The chat driver over real HTTP, against a center that answers as each test tells it to.
#![allow(clippy::unwrap_used)]

mod chat_support;

use chat_support::{Desk, Reply, Script, Seen, client, is_end, is_text, message, serve, texts, within};
use chatphone::chat::{ChatDriver, ChatEvent, Command, EndReason, Operation, SessionConfig};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[tokio::test]
async fn a_chat_opens_and_events_come_by_the_poll_and_by_a_sends_answer_once() {
    let mut desk = Desk::new(|c| {
        c.polls.tell(Reply::Json(json!({"events": [message("1")]})));
        c.sends.tell(Reply::Json(json!({"events": [message("1"), message("2")]})));
    })
    .await;
    let first = desk.until(|e| is_text(e, "1")).await;
    assert!(matches!(first[0], ChatEvent::Opened { resumed: false, .. }));
    desk.message("hello");
    assert_eq!(texts(&desk.until(|e| is_text(e, "2")).await), ["2"]);
    desk.center.polls.tell(Reply::Json(json!({"events": [message("2"), message("3")]})));
    assert_eq!(texts(&desk.until(|e| is_text(e, "3")).await), ["3"]);
}

#[tokio::test]
async fn faults_busy_answers_and_empty_ones_do_not_lose_the_session() {
    let mut desk = Desk::new(|c| {
        c.polls = Script::new(
            [
                Reply::Status(503),
                Reply::Reset,
                Reply::Error(500, "5500"),
                Reply::Error(400, "5509"),
                Reply::Status(400),
                Reply::EmptyBody,
                Reply::Error(400, "5511"),
                Reply::Html,
                Reply::Json(json!({"events": [message("after it all")]})),
            ],
            None,
        );
    })
    .await;
    let events = desk.until(|e| is_text(e, "after it all")).await;
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|e| match e {
            ChatEvent::Reconnecting { operation: Operation::Poll, attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2, 3, 1], "three faults, and a web page instead of JSON; busy and empty are none");
    assert_eq!(events.iter().filter(|e| **e == ChatEvent::Reconnected).count(), 2);
    assert_eq!(desk.center.polls_most.load(SeqCst), 1, "never two polls at once");
}

#[tokio::test]
async fn a_session_that_is_not_found_is_over() {
    for gone in [Reply::Status(404), Reply::Error(404, "5005")] {
        let mut desk = Desk::new(|c| c.polls.tell(gone)).await;
        let events = desk.until(is_end).await;
        assert_eq!(events.last(), Some(&ChatEvent::Ended { reason: EndReason::Gone }));
        assert_eq!(desk.next().await, None);
        assert_eq!(desk.next().await, None, "and stays over");
    }
}

#[tokio::test]
async fn a_message_is_sent_again_with_the_same_id_until_it_is_taken() {
    let mut desk = Desk::new(|c| {
        [Reply::Status(503), Reply::Reset].into_iter().for_each(|r| c.sends.tell(r));
    })
    .await;
    desk.message("hello");
    for _ in 0..3 {
        let sent = desk.until_sent().await;
        assert_eq!(sent, [json!({"event": "chat_session_message", "msg_id": "c-1:1", "msg": "hello"})]);
    }
    desk.message("next");
    assert_eq!(desk.until_sent().await[0]["msg_id"], "c-1:2");
}

#[tokio::test]
async fn signaling_does_not_wait_for_a_send_that_hangs() {
    let mut desk = Desk::new(|c| c.sends.tell(Reply::Hold)).await;
    desk.message("slow");
    assert_eq!(desk.until_sent().await[0]["event"], "chat_session_message");
    desk.hang_up();
    let sent = desk.until_sent().await;
    assert_eq!(sent[0]["data"]["type"], "END_CALL");
    assert_eq!(sent[0]["destination_party_id"], "ann");
}

#[tokio::test]
async fn a_session_that_was_there_is_restored_from_its_history() {
    let mut desk = Desk::new(|c| {
        c.chats.tell(Reply::Json(json!({"chat_id": "c-1", "state": "connected", "is_new_chat": "false"})));
        c.history.tell(Reply::Status(502));
        c.history.tell(Reply::Json(json!({"events": [
            {"event": "chat_session_party_joined", "party_id": "ann", "type": "internal", "display_name": "Ann", "timestamp": "1700000000"},
            {"event": "chat_session_message", "party_id": "c-1", "msg_id": "c-1:1", "msg": "mine", "timestamp": 1_700_000_001_000_i64},
        ]})));
        c.polls.tell(Reply::Json(json!({"events": [message("new")]})));
    })
    .await;
    let events = desk.until(|e| is_text(e, "new")).await;
    let restored = events.iter().find_map(|e| match e {
        ChatEvent::Restored { parties, events, complete: true } => Some((parties[0].name(), events[1].own)),
        _ => None,
    });
    assert_eq!(restored, Some(("Ann".into(), true)));
    assert_eq!(desk.chat.session().parties().agent().map(|p| p.id.as_str()), Some("ann"));
}

#[tokio::test]
async fn a_refused_connection_is_told_in_a_sentence() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut chat = ChatDriver::new(client(nobody), SessionConfig { open_attempts: 2, ..Default::default() });
    chat.command(Command::Open(Default::default()));
    let retry = within(chat.next()).await;
    assert!(matches!(retry, Some(ChatEvent::Reconnecting { operation: Operation::RequestChat, .. })), "{retry:?}");
    match within(chat.next()).await {
        Some(ChatEvent::Ended { reason: EndReason::NotOpened { message } }) => {
            assert!(message.contains("127.0.0.1"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_web_page_instead_of_a_chat_ends_it_at_once() {
    let mut desk = Desk::new(|c| c.chats.tell(Reply::Html)).await;
    let first = desk.next().await;
    assert!(matches!(first, Some(ChatEvent::Ended { reason: EndReason::NotOpened { .. } })), "{first:?}");
}

#[tokio::test]
async fn a_center_that_dies_and_comes_back_is_found_again() {
    let mut desk = Desk::new(|_| {}).await;
    desk.until_seen(|s| *s == Seen::Poll).await;
    desk.server.abort();
    // The server's connections are tasks of their own: the one held ends with the answer.
    desk.center.polls.tell(Reply::Reset);
    desk.until(|e| matches!(e, ChatEvent::Reconnecting { .. })).await;
    desk.message("are you back?");
    let (_, server) = serve(desk.center.clone(), desk.addr).await;
    desk.server = server;
    desk.center.polls.tell(Reply::Json(json!({"events": [message("I am")]})));
    assert_eq!(texts(&desk.until(|e| is_text(e, "I am")).await), ["I am"]);
    assert_eq!(desk.center.polls_most.load(SeqCst), 1);
}

#[tokio::test]
async fn dropping_the_driver_drops_the_poll_in_flight() {
    let mut desk = Desk::new(|_| {}).await;
    desk.until_seen(|s| *s == Seen::Poll).await;
    let Desk { chat, mut sees, .. } = desk;
    drop(chat);
    assert_eq!(within(sees.recv()).await, Some(Seen::PollDropped));
}

#[tokio::test]
async fn no_event_is_lost_when_next_is_dropped() {
    let all: Vec<Value> = (0..20).map(|n| message(&n.to_string())).collect();
    let mut desk = Desk::new(|c| {
        all.chunks(2).for_each(|two| c.polls.tell(Reply::Json(json!({"events": two}))));
    })
    .await;
    let mut events = Vec::new();
    within(async {
        while texts(&events).len() < 20 {
            tokio::select! {
                biased;
                event = desk.chat.next() => events.push(event.unwrap()),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    assert_eq!(texts(&events), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_shutdown_hangs_up_then_ends_the_chat_then_stops() {
    let mut desk = Desk::new(|_| {}).await;
    desk.until_seen(|s| *s == Seen::Poll).await;
    desk.hang_up();
    desk.chat.command(Command::Shutdown { end_chat: true });
    let events = desk.until(is_end).await;
    assert_eq!(events.last(), Some(&ChatEvent::Ended { reason: EndReason::Shutdown { flushed: true } }));
    assert_eq!(desk.next().await, None);
    let mut sent = Vec::new();
    while let Ok(seen) = desk.sees.try_recv() {
        if let Seen::Sent(events) = seen {
            sent.extend(events.iter().map(|e| e["event"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(sent, ["chat_session_signaling", "chat_session_end"]);
}

#[tokio::test]
async fn a_center_that_never_answers_cannot_hold_up_the_end() {
    let config = SessionConfig { end_within: Duration::from_millis(50), ..Default::default() };
    let mut desk = Desk::with(config, |c| c.sends = Script::new([], Some(Reply::Hold))).await;
    desk.until_seen(|s| *s == Seen::Poll).await;
    desk.chat.command(Command::End);
    let events = desk.until(is_end).await;
    assert_eq!(events.last(), Some(&ChatEvent::Ended { reason: EndReason::ByClient { confirmed: false } }));
}
