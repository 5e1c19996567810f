#![allow(clippy::unwrap_used)]
mod closing;
mod opening;
mod polling;
mod receiving;
mod recovering;
mod resuming;
mod sending;

use super::*;
use crate::api::event::{ClientMessage, ClientTyping};
use crate::api::signaling::{EndCall, IceCandidate, Signal};
use crate::chat::Party;
use serde_json::{Value, json};

/// A session in virtual time, and what it asked for.
struct Bench {
    session: Session,
    now: Instant,
}

const CHAT: &str = "c-1";

impl Bench {
    fn new() -> Self {
        Self::with(SessionConfig::default())
    }

    fn with(config: SessionConfig) -> Self {
        let now = Instant::now();
        Self { session: Session::new(config, 1, now), now }
    }

    /// A session that is open, with a poll in flight.
    fn live() -> Self {
        let mut b = Self::new();
        b.open();
        b
    }

    fn open(&mut self) {
        self.command(Command::Open(ChatRequest::default()));
        self.actions();
        self.chat(Ok(chat(json!({"chat_id": CHAT, "state": "queued", "is_new_chat": true}))));
        assert_eq!(self.requests(), ["poll"]);
    }

    fn command(&mut self, command: Command) {
        self.session.command(command, self.now);
    }

    fn chat(&mut self, outcome: Result<Chat, Failure>) {
        self.session.handle_chat(outcome, self.now);
    }

    fn history(&mut self, outcome: Result<Vec<ServerEvent>, Failure>) {
        self.session.handle_history(outcome, self.now);
    }

    fn poll(&mut self, outcome: Result<Vec<ServerEvent>, Failure>) {
        self.session.handle_poll(outcome, self.now);
    }

    fn sent(&mut self, lane: Lane, outcome: Result<Vec<ServerEvent>, Failure>) {
        self.session.handle_sent(lane, outcome, self.now);
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.session.handle_timeout(self.now);
    }

    /// Lets time pass until the session's next timer.
    fn until_timeout(&mut self) -> Duration {
        let at = self.session.next_timeout().expect("a timer runs");
        let passed = at.duration_since(self.now);
        self.now = at;
        self.session.handle_timeout(at);
        passed
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.poll_action()).collect()
    }

    fn events(&mut self) -> Vec<ChatEvent> {
        self.actions().into_iter().filter_map(|a| if let Action::Event(e) = a { Some(e) } else { None }).collect()
    }

    /// The requests asked for, in short: a send as its events' words and ids.
    fn requests(&mut self) -> Vec<String> {
        self.actions().iter().filter_map(short).collect()
    }

    fn message(&mut self, text: &str) {
        self.command(Command::Send(ClientMessage { msg: text.into(), ..Default::default() }.into()));
    }

    fn candidate(&mut self, text: &str) {
        let signal = IceCandidate { candidate: text.into(), ..Default::default() }.into();
        self.command(Command::Signal { party_id: "ann".into(), signal });
    }
}

fn short(action: &Action) -> Option<String> {
    Some(match action {
        Action::RequestChat(_) => "chat".into(),
        Action::History { .. } => "history".into(),
        Action::Poll { .. } => "poll".into(),
        Action::Send { events, .. } => format!("send {}", events.iter().map(word).collect::<Vec<_>>().join(" ")),
        Action::GiveUp => "give up".into(),
        Action::Event(_) => return None,
    })
}

fn word(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Message(m) => format!("{}={}", m.msg_id, m.msg),
        ClientEvent::Signaling(s) => match &s.data {
            Signal::IceCandidate(c) => format!("{}={}", s.msg_id, c.candidate),
            other => format!("{}={}", s.msg_id, other.name()),
        },
        other => other.name().trim_start_matches("chat_session_").into(),
    }
}

fn chat(v: Value) -> Chat {
    serde_json::from_value(v).unwrap()
}

fn events(list: Value) -> Vec<ServerEvent> {
    serde_json::from_value(list).unwrap()
}

fn fault() -> Failure {
    Failure::Transient { cause: Cause::Refused { retry_after: None }, message: "reset".into() }
}

fn refusal() -> Failure {
    Failure::Fatal { message: "no".into() }
}

fn ended(events: &[ChatEvent]) -> Option<&EndReason> {
    match events.last() {
        Some(ChatEvent::Ended { reason }) => Some(reason),
        _ => None,
    }
}

fn shown(events: &[ChatEvent]) -> Vec<String> {
    events
        .iter()
        .filter_map(|e| match e {
            ChatEvent::Server { event: ServerEvent::Message(m), .. } => Some(m.msg.clone()),
            ChatEvent::Server { event, .. } => Some(event.name().to_owned()),
            ChatEvent::Signal { signal, .. } => Some(signal.name().to_owned()),
            _ => None,
        })
        .collect()
}
