//! What a chat survives: connections cut, servers restarted, answers half sent, pages in the server's place, other
//! networks. What single requests survive is in `chat_driver`, what goes on in virtual time in the tests of `chat::session`.
#![allow(clippy::unwrap_used)]

mod bad_input_support;
mod chat_support;
mod survival_support;

use bad_input_support::{Home, Running};
use chat_support::{Desk, Reply, Seen, is_end, is_text, message, texts, within};
use chatphone::chat::{ChatDriver, ChatEvent, Command, EndReason, Operation, SessionConfig};
use chatphone::simulator::{Simulator, SimulatorConfig};
use serde_json::json;
use std::time::{Duration, Instant};
use survival_support::{Center, Door};

fn is_reconnecting(event: &ChatEvent) -> bool {
    matches!(event, ChatEvent::Reconnecting { operation: Operation::Poll, .. })
}

/// A chat with an agent in it, through a door that can be closed.
struct Story {
    center: Center,
    door: Door,
    chat: ChatDriver,
}

impl Story {
    async fn begin() -> Self {
        let center = Center::start().await;
        let door = Door::open_to(center.simulator.addr()).await;
        let mut chat = ChatDriver::new(chat_support::client(door.addr()), SessionConfig::default());
        chat.command(Command::Open(Default::default()));
        let mut story = Self { center, door, chat };
        while story.chat.session().parties().agent().is_none() {
            story.next().await;
        }
        story
    }

    async fn next(&mut self) -> ChatEvent {
        within(self.chat.next()).await.expect("the session ended")
    }

    async fn until(&mut self, mut fits: impl FnMut(&ChatEvent) -> bool) {
        while !fits(&self.next().await) {}
    }

    /// The agent writes.
    async fn say(&self, text: &str) {
        let chat_id = self.chat.session().chat_id().unwrap();
        self.center.order(chat_id, json!({"do": "message", "text": text})).await;
    }
}

/// Each time the door is closed for another while, and what the agent wrote meanwhile is to be seen within a second of its
/// opening. `CHATPHONE_SURVIVAL_TIMES=10` measures more often.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_during_an_outage_is_seen_within_a_second_of_its_end() {
    let times = std::env::var("CHATPHONE_SURVIVAL_TIMES").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut story = Story::begin().await;
    let mut took = Vec::new();
    for n in 0..times {
        story.door.close();
        let words = format!("are you there? {n}");
        story.say(&words).await;
        let outage = tokio::time::sleep(Duration::from_millis(700 + 731 * n % 6000));
        tokio::pin!(outage);
        loop {
            tokio::select! {
                () = &mut outage => break,
                event = story.chat.next() => assert!(event.is_some()),
            }
        }
        story.door.open().await;
        let begun = Instant::now();
        story.until(|e| is_text(e, &words)).await;
        took.push(begun.elapsed());
    }
    took.sort();
    println!(
        "outage over -> next event: median {:?}, worst {:?} of {times}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() / 2] <= Duration::from_secs(1), "{took:?}");
    story.center.simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_held_that_was_cut_off_is_seen_all_the_same_and_once() {
    let mut story = Story::begin().await;
    let mut seen = Vec::new();
    for fault in ["poll:cut", "poll:truncated", "poll:reset"] {
        story.center.simulator.inject(fault.parse().unwrap());
        // The poll that is held already answers the first well; the next one is struck.
        for n in 1..=2 {
            let words = format!("{fault} {n}");
            story.say(&words).await;
            while !seen.contains(&words) {
                let event = story.next().await;
                seen.extend(texts(std::slice::from_ref(&event)).into_iter().map(str::to_owned));
            }
        }
    }
    story.say("last").await;
    while !seen.contains(&"last".to_owned()) {
        let event = story.next().await;
        seen.extend(texts(std::slice::from_ref(&event)).into_iter().map(str::to_owned));
    }
    seen.retain(|words| words.starts_with("poll"));
    assert_eq!(seen.len(), 6, "each once: {seen:?}");
    story.center.simulator.shutdown().await;
}

#[tokio::test]
async fn a_reconnect_polls_again_at_once_over_a_new_connection_and_sends_again_under_the_same_id() {
    let mut desk = Desk::new(|c| c.sends.tell(Reply::Hold)).await;
    desk.until_seen(|s| *s == Seen::Poll).await;
    desk.message("hello");
    assert_eq!(desk.until_sent().await[0]["msg_id"], "c-1:1");
    desk.chat.command(Command::Reconnect);
    let (mut dropped, mut polled, mut sent) = (0, 0, Vec::new());
    while dropped == 0 || polled == 0 || sent.is_empty() {
        match desk.until_seen(|_| true).await {
            Seen::PollDropped => dropped += 1,
            Seen::Poll => polled += 1,
            Seen::Sent(events) => sent = events,
        }
    }
    assert_eq!((dropped, polled, &sent[0]["msg_id"]), (1, 1, &json!("c-1:1")));
    desk.center.polls.tell(Reply::Json(json!({"events": [message("news")]})));
    let events = desk.until(|e| is_text(e, "news")).await;
    assert!(!events.iter().any(|e| matches!(e, ChatEvent::Reconnecting { .. })), "nothing failed: {events:?}");
}

#[tokio::test]
async fn a_sign_in_page_between_is_named_and_survived() {
    let mut desk = Desk::new(|c| {
        (0..4).for_each(|_| c.polls.tell(Reply::Html));
        c.polls.tell(Reply::Status(302));
        c.polls.tell(Reply::Status(511));
        c.sends.tell(Reply::Html);
    })
    .await;
    desk.message("kept");
    desk.center.polls.tell(Reply::Json(json!({"events": [message("back")]})));
    let events = desk.until(|e| is_text(e, "back")).await;
    let told: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            ChatEvent::Reconnecting { operation: Operation::Poll, message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.iter().all(|m| m.contains("sign-in page") || m.contains("sign in")), "{told:?}");
    let sent = |e: &ChatEvent| matches!(e, ChatEvent::Sent { .. });
    if !events.iter().any(sent) {
        desk.until(sent).await;
    }
}

#[tokio::test]
async fn a_cut_poll_is_told_and_then_its_end() {
    let mut story = Story::begin().await;
    story.door.close();
    story.until(is_reconnecting).await;
    story.door.open().await;
    story.say("hello").await;
    let mut back = false;
    story
        .until(|e| {
            back |= *e == ChatEvent::Reconnected;
            is_text(e, "hello")
        })
        .await;
    assert!(back, "told before or with the first answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_chat_ends_it_cleanly() {
    let first = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let addr = first.addr();
    let mut door = Door::open_to(addr).await;
    let home = Home::new();
    let mut command = home.command(&[
        "chat",
        "--url",
        &format!("http://{}", door.addr()),
        "--app-id",
        "app",
        "--client-id",
        "secret-id",
        "--json",
        "--wait-agent",
        "0s",
    ]);
    command.stdin(std::process::Stdio::piped());
    let mut chat = Running::start(command);
    chat.until("party_joined").await;
    door.close();
    let other = Simulator::start(SimulatorConfig::default()).await.unwrap();
    door.lead_to(other.addr());
    chat.until("reconnecting").await;
    door.open().await;
    let end = chat.until("chat_ended").await;
    assert_eq!((&end["reason"], &end["ok"]), (&json!("the contact center no longer has this chat"), &json!(false)));
    let ran = chat.end().await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    first.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn of_two_programs_with_one_client_id_the_second_gives_way_in_the_end() {
    let config = SimulatorConfig { hold: Duration::from_secs(1), ..Default::default() };
    let simulator = Simulator::start(config).await.unwrap();
    let config = SessionConfig { in_use_after: Duration::from_secs(4), ..Default::default() };
    let mut chats: Vec<_> =
        (0..2).map(|_| ChatDriver::new(chat_support::client(simulator.addr()), config.clone())).collect();
    chats[0].command(Command::Open(Default::default()));
    while chats[0].session().parties().agent().is_none() {
        within(chats[0].next()).await.unwrap();
    }
    chats[1].command(Command::Open(Default::default()));
    let mut second = chats.pop().unwrap();
    let mut first = chats.pop().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            tokio::select! {
                event = first.next() => assert!(!event.as_ref().is_none_or(is_end), "{event:?}"),
                event = second.next() => if let Some(ChatEvent::Ended { reason }) = event { break reason },
            }
        }
    })
    .await;
    assert_eq!(ended.expect("they go on for ever"), EndReason::InUse);
    simulator.shutdown().await;
}

/// Time limits must not hang on the time of day, which people and time servers set: only the nonce of a poll does.
#[test]
fn no_time_limit_hangs_on_the_time_of_day() {
    let mut files = vec!["src/chat", "src/call", "src/network", "src/phone/actor.rs"]
        .into_iter()
        .map(Into::into)
        .collect::<Vec<std::path::PathBuf>>();
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        read += 1;
        for clock in ["SystemTime", "chrono::", "Utc::now", "Local::now"] {
            assert!(!text.contains(clock), "{} uses {clock}", path.display());
        }
    }
    assert!(read > 30, "only {read} files");
}
