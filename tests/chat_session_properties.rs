//! The chat session against a model of a contact center, in virtual time: whatever order answers, copies, faults and
//! commands come in, every event of the center is handed on once, and every event of the client reaches it.
#![allow(clippy::unwrap_used)]

use chatphone::api::event::{ClientMessage, ClientTyping};
use chatphone::api::signaling::{IceCandidate, Signal};
use chatphone::api::types::{Chat, ChatRequest};
use chatphone::api::{ClientEvent, ServerEvent};
use chatphone::chat::{Action, Cause, ChatEvent, Command, Failure, Lane, SendError, Session, SessionConfig};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const CHAT: &str = "chat-1";
/// The center refuses a batch that holds a message beginning with this.
const POISON: &str = "poison";
const BATCH: usize = 5;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// The center has a new event: a message, signaling of one of two parties, a party joining, something unknown.
    Emit(u8),
    /// The user sends a message, one that the center refuses, or a typing event.
    Send(u8),
    /// The user sends signaling.
    Signal,
    /// The poll in flight comes back.
    Poll(Answer),
    /// A send in flight comes back.
    Sent(Lane, Answer),
    /// The network changed.
    Reconnect,
    /// Time passes, in ms.
    Pass(u16),
}

#[derive(Debug, Clone)]
enum Answer {
    /// So many new events, behind copies of the last so many that went out before.
    Events { new: u8, copies: u8 },
    /// Another poll is held; for a send, as `Lost`.
    Busy,
    /// The request did not reach the center.
    Lost,
    /// The center took the request, and its answer was lost; for a poll, as `Lost`.
    TakenUnheard,
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        5 => (0..4_u8, 0..6_u8).prop_map(|(new, copies)| Answer::Events { new, copies }),
        1 => Just(Answer::Busy),
        1 => Just(Answer::Lost),
        1 => Just(Answer::TakenUnheard),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u8).prop_map(Step::Emit),
        3 => (0..12_u8).prop_map(Step::Send),
        3 => Just(Step::Signal),
        4 => answer().prop_map(Step::Poll),
        3 => answer().prop_map(|a| Step::Sent(Lane::Signaling, a)),
        3 => answer().prop_map(|a| Step::Sent(Lane::Conversation, a)),
        1 => Just(Step::Reconnect),
        2 => (0..3000_u16).prop_map(Step::Pass),
    ]
}

/// What one lane was given and what came of it, by the events' words.
#[derive(Debug, Default)]
struct Sending {
    in_flight: Option<Vec<ClientEvent>>,
    commanded: Vec<String>,
    /// What the center took, in the order of first arrival.
    taken: Vec<String>,
    /// How often the center took each.
    times: HashMap<String, usize>,
    /// How often the answer to that was lost.
    unsure: HashMap<String, usize>,
    /// What the user was told.
    told_sent: Vec<String>,
    told_refused: Vec<String>,
}

/// The center, the network and the user around one session.
struct World {
    session: Session,
    now: Instant,
    poll_in_flight: bool,
    /// What the center made, in order, and how much of it went out.
    emitted: Vec<Value>,
    delivered: usize,
    /// What the user was shown, in order.
    shown: Vec<Value>,
    shown_signaling: Vec<(Option<String>, String)>,
    lanes: HashMap<Lane, Sending>,
    /// The message id by the words, and the words by message id.
    ids: HashMap<String, String>,
    words_of: HashMap<String, String>,
    reconnecting: bool,
}

fn words(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Message(m) => m.msg.clone(),
        ClientEvent::Signaling(s) => match &s.data {
            Signal::IceCandidate(c) => c.candidate.clone(),
            other => other.name().to_owned(),
        },
        other => other.name().to_owned(),
    }
}

fn msg_id(event: &ClientEvent) -> Option<&str> {
    match event {
        ClientEvent::Message(m) => Some(&m.msg_id),
        ClientEvent::Signaling(s) => Some(&s.msg_id),
        _ => None,
    }
}

fn is_typing(words: &str) -> bool {
    words == "chat_session_typing"
}

fn transient(message: &str) -> Failure {
    Failure::Transient { cause: Cause::Broken, message: message.into() }
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let mut session = Session::new(SessionConfig { batch_limit: BATCH, ..Default::default() }, seed, now);
        session.command(Command::Open(ChatRequest::default()), now);
        assert!(matches!(session.poll_action(), Some(Action::RequestChat(_))));
        session.handle_chat(Ok(Chat { chat_id: CHAT.into(), is_new_chat: Some(true), ..Default::default() }), now);
        let mut world = Self {
            session,
            now,
            poll_in_flight: false,
            emitted: Vec::new(),
            delivered: 0,
            shown: Vec::new(),
            shown_signaling: Vec::new(),
            lanes: Lane::ALL.map(|lane| (lane, Sending::default())).into(),
            ids: HashMap::new(),
            words_of: HashMap::new(),
            reconnecting: false,
        };
        world.carry_out();
        world
    }

    fn lane(&mut self, lane: Lane) -> &mut Sending {
        self.lanes.get_mut(&lane).unwrap()
    }

    fn lane_of(&mut self, event: &ClientEvent) -> &mut Sending {
        self.lane(if matches!(event, ClientEvent::Signaling(_)) { Lane::Signaling } else { Lane::Conversation })
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Poll { .. } => {
                    assert!(!self.poll_in_flight, "two polls in flight");
                    self.poll_in_flight = true;
                }
                Action::Send { lane, events, .. } => {
                    assert!((1..=BATCH).contains(&events.len()));
                    for event in &events {
                        if let Some(id) = msg_id(event) {
                            let n = id.strip_prefix("chat-1:").expect("the form is chatId:n");
                            assert!(n.parse::<u64>().unwrap() > 0);
                            let id_of = self.ids.entry(words(event)).or_insert_with(|| id.to_owned());
                            assert_eq!(id_of, id, "sent again under another id");
                            let of = self.words_of.entry(id.to_owned()).or_insert_with(|| words(event));
                            assert_eq!(*of, words(event), "one id for two events");
                        }
                    }
                    let before = self.lane(lane).in_flight.replace(events);
                    assert!(before.is_none(), "two sends of a lane in flight");
                }
                Action::GiveUp => {
                    // Of a send nobody knows whether it arrived: here none did.
                    self.poll_in_flight = false;
                    self.lanes.values_mut().for_each(|lane| lane.in_flight = None);
                }
                // Comes while the poll is held, with what went out before.
                Action::History { .. } => {
                    let past = self.emitted[..self.delivered].iter().filter(|v| v["event"] != "chat_session_signaling");
                    let past = past.map(|v| serde_json::from_value(v.clone()).unwrap()).collect();
                    self.session.handle_history(Ok(past), self.now);
                }
                Action::Event(event) => self.see(event),
                other => panic!("{other:?}"),
            }
        }
    }

    fn see(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Server { event, own: false } => self.shown.push(serde_json::to_value(event).unwrap()),
            ChatEvent::Signal { signal: Signal::IceCandidate(c), party_id } => {
                self.shown_signaling.push((party_id, c.candidate));
            }
            ChatEvent::Sent { event } => self.lane_of(&event).told_sent.push(words(&event)),
            ChatEvent::SendFailed { event, error: SendError::Refused { .. } } => {
                self.lane_of(&event).told_refused.push(words(&event));
            }
            ChatEvent::Reconnecting { delay, .. } => {
                assert!(delay <= Duration::from_secs(7));
                self.reconnecting = true;
            }
            ChatEvent::Reconnected => assert!(std::mem::take(&mut self.reconnecting), "an end without a beginning"),
            ChatEvent::Opened { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn emit(&mut self, kind: u8) {
        let n = self.emitted.len();
        let t = 1_700_000_000_001_i64 + 1_700 * n as i64;
        self.emitted.push(match kind {
            0 => json!({"event": "chat_session_message", "party_id": "ann", "msg_id": n.to_string(), "msg": "same words", "timestamp": t}),
            1 | 2 => json!({
                "event": "chat_session_signaling",
                "party_id": if kind == 1 { "ann" } else { "bob" },
                "msg_id": n.to_string(),
                "data": {"type": "ICE_CANDIDATE", "candidate": format!("candidate {n}")},
                // Another machine's clock, which runs backwards.
                "timestamp": t - 4_000 * n as i64,
            }),
            3 => json!({"event": "chat_session_party_joined", "party_id": format!("p{}", n % 3), "type": "internal", "timestamp": t}),
            _ => json!({"event": "chat_session_novel", "msg_id": n.to_string(), "timestamp": t}),
        });
    }

    fn deliver(&mut self, new: u8, copies: u8) -> Vec<ServerEvent> {
        let from = self.delivered.saturating_sub(copies.into());
        let to = (self.delivered + usize::from(new)).min(self.emitted.len());
        self.delivered = to;
        self.emitted[from..to].iter().map(|v| serde_json::from_value(v.clone()).unwrap()).collect()
    }

    fn poll_comes_back(&mut self, answer: Answer) {
        if !std::mem::take(&mut self.poll_in_flight) {
            return;
        }
        let outcome = match answer {
            Answer::Events { new, copies } => Ok(self.deliver(new, copies)),
            Answer::Busy => Err(Failure::BusyPoll),
            Answer::Lost | Answer::TakenUnheard => Err(transient("reset")),
        };
        self.session.handle_poll(outcome, self.now);
    }

    fn send_comes_back(&mut self, lane: Lane, answer: Answer) {
        let Some(events) = self.lane(lane).in_flight.take() else { return };
        let batch: Vec<String> = events.iter().map(words).collect();
        let outcome = match answer {
            Answer::Busy | Answer::Lost => Err(transient("no route")),
            _ if batch.iter().any(|w| w.starts_with(POISON)) => Err(Failure::Fatal { message: "refused".into() }),
            answer => {
                let lane = self.lane(lane);
                for words in &batch {
                    let times = lane.times.entry(words.clone()).or_default();
                    *times += 1;
                    if *times == 1 {
                        lane.taken.push(words.clone());
                    }
                }
                if let Answer::Events { new, copies } = answer {
                    Ok(self.deliver(new, copies))
                } else {
                    batch.into_iter().for_each(|w| *lane.unsure.entry(w).or_default() += 1);
                    Err(transient("no answer in time"))
                }
            }
        };
        self.session.handle_sent(lane, outcome, self.now);
    }

    fn take(&mut self, step: Step) {
        let n = self.lanes.values().map(|l| l.commanded.len()).sum::<usize>();
        match step {
            Step::Emit(kind) => self.emit(kind),
            Step::Send(kind) => {
                let event: ClientEvent = match kind {
                    0 => ClientTyping::default().into(),
                    1 => ClientMessage { msg: format!("{POISON} {n}"), ..Default::default() }.into(),
                    _ => ClientMessage { msg: format!("words {n}"), ..Default::default() }.into(),
                };
                self.lane(Lane::Conversation).commanded.push(words(&event));
                self.session.command(Command::Send(event), self.now);
            }
            Step::Signal => {
                let candidate = format!("ours {n}");
                self.lane(Lane::Signaling).commanded.push(candidate.clone());
                let signal = IceCandidate { candidate, ..Default::default() }.into();
                self.session.command(Command::Signal { party_id: "ann".into(), signal }, self.now);
            }
            Step::Poll(answer) => self.poll_comes_back(answer),
            Step::Sent(lane, answer) => self.send_comes_back(lane, answer),
            Step::Reconnect => self.session.command(Command::Reconnect, self.now),
            Step::Pass(ms) => {
                self.now += Duration::from_millis(ms.into());
                self.session.handle_timeout(self.now);
            }
        }
        self.carry_out();
    }

    fn all_through(&self) -> bool {
        self.delivered == self.emitted.len()
            && !self.reconnecting
            && self.lanes.values().all(|l| l.told_sent.len() + l.told_refused.len() == l.commanded.len())
    }

    /// From now on the network works.
    fn settle(&mut self) {
        for _ in 0..1000 {
            if self.all_through() {
                return;
            }
            let fine = Answer::Events { new: 3, copies: 1 };
            self.take(Step::Poll(fine.clone()));
            self.take(Step::Sent(Lane::Signaling, fine.clone()));
            self.take(Step::Sent(Lane::Conversation, fine));
            if let Some(at) = self.session.next_timeout() {
                self.now = self.now.max(at);
                self.session.handle_timeout(self.now);
                self.carry_out();
            }
        }
        panic!("it does not settle");
    }

    fn check(&self) {
        let (signaling, rest): (Vec<&Value>, Vec<&Value>) =
            self.emitted.iter().partition(|v| v["event"] == "chat_session_signaling");
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let signaling: Vec<_> =
            signaling.iter().map(|v| (Some(text(&v["party_id"])), text(&v["data"]["candidate"]))).collect();
        assert_eq!(self.shown_signaling, signaling, "signaling: each once, in order");
        assert_eq!(self.shown.iter().collect::<Vec<_>>(), rest, "events: each once, in order");

        for (name, lane) in &self.lanes {
            let (poison, wanted): (Vec<String>, Vec<String>) =
                lane.commanded.iter().cloned().partition(|w| w.starts_with(POISON));
            assert_eq!(lane.told_sent, wanted, "{name:?}: the user is told of each, in order");
            assert_eq!(lane.told_refused, poison, "{name:?}: what the center refuses is given back");
            let named = |list: &[String]| list.iter().filter(|w| !is_typing(w)).cloned().collect::<Vec<_>>();
            assert_eq!(named(&lane.taken), named(&wanted), "{name:?}: each reaches the center, in order");
            for words in named(&wanted) {
                let unsure = lane.unsure.get(&words).unwrap_or(&0);
                assert_eq!(lane.times[&words], 1 + unsure, "{words}: again only after an answer was lost");
            }
        }
        assert!(self.poll_in_flight || self.session.next_timeout().is_some(), "the poll goes on");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..Default::default() })]

    #[test]
    fn whatever_happens_every_event_arrives_once_and_in_order(
        seed: u64,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut world = World::new(seed);
        for step in steps {
            world.take(step);
        }
        world.settle();
        world.check();
    }
}
