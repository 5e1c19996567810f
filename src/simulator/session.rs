//! One chat session: its state, its events, and what of them the client has still to get.

use super::admin::log::From as Side;
use super::auth::ClientKey;
use super::bounded::{Bounded, json_bytes};
use super::desk::line::{CallState, DeskLine};
use super::desk::wire::DeskId;
use super::fault::CallTrouble;
use super::line::Line;
use crate::api::event::{
    CobrowsingRequested, FormShow, PartyJoined, PartyLeft, SecureFormShow, ServerFile, ServerLocation, ServerMessage,
    ServerNotTyping, ServerSignaling, ServerTyping, SessionStatus, TimeoutWarning,
};
use crate::api::lenient::Timestamp;
use crate::api::signaling::Signal;
use crate::api::types::{Chat, PartyType, SessionState};
use crate::api::{ClientEvent, ServerEvent};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Events kept for Get Chat History; the oldest go first.
const MAX_HISTORY: usize = 10_000;
/// Events kept for a client that does not fetch them; the oldest go first.
const MAX_WAITING: usize = 2_000;
/// What the events of either may hold as JSON, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Events of the client remembered to know repeated ones.
const MAX_SEEN: usize = 500;

/// An agent in a session.
#[derive(Debug)]
pub(super) struct Agent {
    pub party_id: String,
    pub first_name: String,
    pub last_name: String,
    pub photo: &'static [u8],
    pub who: Who,
    /// What goes wrong in the call of a bot's line.
    pub trouble: CallTrouble,
}

/// Who an agent is, with its telephone line.
#[derive(Debug)]
pub(super) enum Who {
    Bot(Line),
    Desk {
        id: DeskId,
        line: DeskLine,
        /// What the desk's page measured last in the call.
        report: Option<Map<String, Value>>,
    },
}

impl Agent {
    /// Whether a call is up. One that rings is no talk.
    pub fn is_in_call(&self) -> bool {
        let state = match &self.who {
            Who::Bot(line) => line.call_state(),
            Who::Desk { line, .. } => line.state(),
        };
        state == CallState::Up
    }

    /// The line of a bot.
    pub fn bot_line(&self) -> Option<&Line> {
        match &self.who {
            Who::Bot(line) => Some(line),
            Who::Desk { .. } => None,
        }
    }

    /// The desk that the agent sits at, unless it is a bot.
    pub fn desk(&self) -> Option<DeskId> {
        match self.who {
            Who::Bot(_) => None,
            Who::Desk { id, .. } => Some(id),
        }
    }

    pub fn display_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim_end().to_owned()
    }
}

#[derive(Debug)]
pub(super) struct Session {
    pub id: String,
    /// Its place in the order of coming.
    pub number: u64,
    pub client: ClientKey,
    pub phone_number: Option<String>,
    pub customer_name: Option<String>,
    /// What the client gave with Request Chat.
    pub parameters: Map<String, Value>,
    /// When it was requested.
    pub since: At,
    pub state: SessionState,
    pub agent: Option<Agent>,
    /// A poll is being held for this session.
    pub poll_held: bool,
    /// Over: it exists only until its last events are fetched.
    pub ended: bool,
    /// The form that ends the session when it comes back.
    pub survey: Option<String>,
    /// When the client last sent something.
    pub last_heard: Duration,
    pub warned: bool,
    waiting: Bounded<ServerEvent>,
    history: Bounded<ServerEvent>,
    /// What happened since [`Session::take_fresh`], in order, for desks and the log.
    fresh: Vec<Fresh>,
    /// Hashes of the client's latest events.
    seen: VecDeque<u64>,
    messages: u64,
    forms: u64,
}

/// An event of the conversation, of either side.
#[derive(Debug)]
pub(super) struct Fresh {
    pub from: Side,
    pub event: ServerEvent,
}

/// Whose file or message it is, in the events of the scenario.
pub(super) const SCENARIO_PARTY: &str = "scenario";

impl Session {
    pub fn new(id: String, number: u64, client: ClientKey, now: Duration, since: At) -> Self {
        Self {
            id,
            number,
            client,
            phone_number: None,
            customer_name: None,
            parameters: Map::new(),
            since,
            state: SessionState::Queued,
            agent: None,
            poll_held: false,
            ended: false,
            survey: None,
            last_heard: now,
            warned: false,
            waiting: Bounded::new(MAX_WAITING, MAX_BYTES),
            history: Bounded::new(MAX_HISTORY, MAX_BYTES),
            fresh: Vec::new(),
            seen: VecDeque::new(),
            messages: 0,
            forms: 0,
        }
    }

    /// The answer of Request Chat, or of Get Active Chat when `is_new` is `None`.
    pub fn describe(&self, ewt_s: Option<u32>, is_new: Option<bool>) -> Chat {
        Chat {
            chat_id: self.id.clone(),
            state: self.state.clone(),
            ewt: ewt_s.filter(|_| self.state == SessionState::Queued).map(|s| s.to_string()),
            is_new_chat: is_new,
            phone_number: self.phone_number.clone(),
            ..Default::default()
        }
    }

    /// Adds an event: to what the client has to get, and to history unless it is signaling.
    pub fn post(&mut self, event: impl Into<ServerEvent>) {
        let event = event.into();
        let bytes = json_bytes(&event);
        if !matches!(event, ServerEvent::Signaling(_)) {
            self.history.push(event.clone(), bytes);
        }
        self.fresh.push(Fresh { from: Side::Server, event: event.clone() });
        self.waiting.push(event, bytes);
    }

    /// Keeps an event of the client in history, marked as its own. The values of secure forms are never kept, and
    /// signaling is no history.
    pub fn keep(&mut self, event: &ClientEvent, at_ms: i64) {
        let Ok(serde_json::Value::Object(mut fields)) = serde_json::to_value(event) else { return };
        if matches!(event, ClientEvent::SecureFormData(_)) {
            // Whatever else a client puts beside them may tell as much.
            fields.retain(|name, _| ["event", "form_request_id", "form_name"].contains(&name.as_str()));
        }
        fields.insert("party_id".into(), self.id.clone().into());
        fields.insert("timestamp".into(), at_ms.into());
        let Ok(kept) = serde_json::from_value::<ServerEvent>(fields.into()) else { return };
        if !matches!(event, ClientEvent::Signaling(_)) {
            self.history.push(kept.clone(), json_bytes(&kept));
        }
        self.fresh.push(Fresh { from: Side::Client, event: kept });
    }

    /// What happened since this was asked last.
    pub fn take_fresh(&mut self) -> Vec<Fresh> {
        std::mem::take(&mut self.fresh)
    }

    /// Whether this very event came before: a client sends one again when it does not know that it arrived. Only
    /// events with a `msg_id` can be told apart.
    pub fn is_repeated(&mut self, event: &ClientEvent) -> bool {
        let Ok(value) = serde_json::to_value(event) else { return false };
        if value.get("msg_id").and_then(|id| id.as_str()).is_none_or(str::is_empty) {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        value.to_string().hash(&mut hasher);
        let hash = hasher.finish();
        if self.seen.contains(&hash) {
            return true;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        false
    }

    pub fn has_news(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the events that the client has to get.
    pub fn take_news(&mut self) -> Vec<ServerEvent> {
        self.waiting.take()
    }

    pub fn history(&self) -> Vec<ServerEvent> {
        self.history.iter().cloned().collect()
    }

    /// Goes over to another state and says so.
    pub fn enter(&mut self, state: SessionState, ewt_s: Option<u32>) {
        self.state = state.clone();
        self.post(SessionStatus { state, ewt: ewt_s.map(|s| s.to_string()), ..Default::default() });
    }

    fn next_message_id(&mut self) -> String {
        self.messages += 1;
        format!("{}:{}", self.id, self.messages)
    }

    fn next_form_id(&mut self) -> String {
        self.forms += 1;
        self.forms.to_string()
    }

    pub fn joined(&mut self, at: At) {
        let Some(agent) = &self.agent else { return };
        let event = PartyJoined {
            party_id: agent.party_id.clone(),
            first_name: Some(agent.first_name.clone()),
            last_name: Some(agent.last_name.clone()),
            display_name: Some(agent.display_name()),
            party_type: PartyType::Internal,
            timestamp: at.ms(),
            ..Default::default()
        };
        self.post(event);
    }

    pub fn scenario_joined(&mut self, at: At) {
        self.post(PartyJoined {
            party_id: SCENARIO_PARTY.into(),
            display_name: Some("Automatic assistant".into()),
            party_type: PartyType::Scenario,
            timestamp: at.ms(),
            ..Default::default()
        });
    }

    pub fn left(&mut self, party_id: &str, at: At) {
        self.post(PartyLeft { party_id: party_id.into(), timestamp: at.ms(), ..Default::default() });
    }

    pub fn say(&mut self, party_id: &str, msg: impl Into<String>, plain: Option<String>, at: At) {
        let msg_id = Some(self.next_message_id());
        self.post(ServerMessage {
            party_id: Some(party_id.into()),
            msg_id,
            msg: msg.into(),
            message_text: plain,
            timestamp: at.ms(),
            ..Default::default()
        });
    }

    pub fn typing(&mut self, party_id: &str, on: bool, at: At) {
        let (party_id, timestamp) = (Some(party_id.to_owned()), at.s());
        if on {
            self.post(ServerTyping { party_id, timestamp, ..Default::default() });
        } else {
            self.post(ServerNotTyping { party_id, timestamp, ..Default::default() });
        }
    }

    /// Shows a form that is good for `timeout_s` seconds; gives its request id.
    pub fn show_form(&mut self, name: &str, timeout_s: u32, at: At) -> String {
        let id = self.next_form_id();
        self.post(FormShow {
            form_request_id: Some(id.clone()),
            form_name: Some(name.into()),
            form_timeout: Some(timeout_s.into()),
            timestamp: at.s(),
            ..Default::default()
        });
        id
    }

    pub fn show_secure_form(&mut self, form_id: &str, at: At) {
        let form_request_id = Some(self.next_form_id());
        self.post(SecureFormShow {
            form_request_id,
            form_id: Some(form_id.into()),
            timestamp: at.s(),
            ..Default::default()
        });
    }

    pub fn share_file(&mut self, party_id: &str, file_id: String, name: &str, is_image: bool, at: At) {
        let msg_id = Some(self.next_message_id());
        self.post(ServerFile {
            party_id: Some(party_id.into()),
            msg_id,
            file_id,
            file_type: Some(if is_image { "image" } else { "attachment" }.into()),
            file_name: Some(name.into()),
            timestamp: at.ms(),
            ..Default::default()
        });
    }

    pub fn share_location(&mut self, party_id: &str, latitude: f64, longitude: f64, at: At) {
        let msg_id = Some(self.next_message_id());
        self.post(ServerLocation {
            party_id: Some(party_id.into()),
            msg_id,
            url: Some(format!("https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}")),
            latitude: Some(latitude),
            longitude: Some(longitude),
            timestamp: at.s(),
            ..Default::default()
        });
    }

    pub fn ask_cobrowsing(&mut self, party_id: &str, at: At) {
        let msg_id = Some(self.next_message_id());
        self.post(CobrowsingRequested {
            party_id: Some(party_id.into()),
            msg_id,
            timestamp: at.ms(),
            ..Default::default()
        });
    }

    pub fn warn(&mut self, at: At) {
        self.warned = true;
        self.post(TimeoutWarning {
            msg: "This chat ends soon if you do not write.".into(),
            timestamp: at.ms(),
            ..Default::default()
        });
    }

    /// Sends a signaling message as real servers do: with the party it comes from and a time.
    pub fn signal(&mut self, party_id: Option<String>, signal: Signal, at: At) {
        let msg_id = Some(self.next_message_id());
        self.post(ServerSignaling { party_id, msg_id, data: signal, timestamp: at.ms(), extra: Default::default() });
    }
}

/// A moment of the wall clock, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub i64);

impl At {
    /// As the events have it that count milliseconds.
    pub fn ms(self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.0))
    }

    /// As the events have it that count seconds.
    pub fn s(self) -> Option<Timestamp> {
        Some(Timestamp::from_secs(self.0.div_euclid(1000)))
    }
}
