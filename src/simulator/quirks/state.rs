//! Quirks at work: what they change in an answer, and what they keep from one to the next.

use super::{Dice, Quirk, Quirks, events, values};
use crate::api::ErrorCode;
use crate::api::error::ErrorBody;
use crate::simulator::fault::ApiMethod;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Chats whose last answer is kept.
const MAX_CHATS: usize = 1000;

/// The chosen quirks, and what they remember.
#[derive(Debug, Default)]
pub(in crate::simulator) struct QuirkState {
    quirks: Quirks,
    /// The last events of each chat, to come again.
    last: HashMap<String, Vec<Value>>,
    /// The last answer to a poll of each chat, as a proxy keeps it.
    cached: HashMap<String, Value>,
    /// Polls without news so far.
    idle_polls: u64,
}

impl QuirkState {
    pub fn new(quirks: Quirks) -> Self {
        Self { quirks, ..Self::default() }
    }

    pub fn chosen(&self) -> &Quirks {
        &self.quirks
    }

    pub fn is_empty(&self) -> bool {
        self.quirks.is_empty()
    }

    /// What a proxy answers to a poll that does not forbid it.
    pub fn cached(&self, chat: &str) -> Option<Value> {
        self.cached.get(chat).filter(|_| self.quirks.has(Quirk::CachedPolls)).cloned()
    }

    /// Changes an answer; `null`: no body.
    pub fn apply(&mut self, method: ApiMethod, chat: Option<&str>, status: &mut StatusCode, answer: &mut Value) {
        // The widget's configuration is a web page's, and nothing strange is known of it.
        if self.quirks.is_empty() || method == ApiMethod::Configuration {
            return;
        }
        if !status.is_success() {
            return self.error(*status, answer);
        }
        match method {
            ApiMethod::Poll | ApiMethod::SendEvents | ApiMethod::History => {
                let Some(Value::Array(list)) = answer.get_mut("events") else { return };
                let idle = method == ApiMethod::Poll && list.is_empty();
                if let Some(chat) =
                    chat.filter(|_| method != ApiMethod::History && self.quirks.has(Quirk::RepeatedEvents))
                {
                    let before = keep(&mut self.last, chat, list.clone());
                    list.extend(before.unwrap_or_default());
                }
                if list.is_empty() && idle {
                    self.no_news(status, answer);
                } else {
                    events::rewrite(&self.quirks, list);
                }
                let caches = method == ApiMethod::Poll && status.is_success() && answer.is_object();
                if let Some(chat) = chat.filter(|_| caches && self.quirks.has(Quirk::CachedPolls)) {
                    keep(&mut self.cached, chat, answer.clone());
                }
            }
            ApiMethod::Availability => {
                let dice = self.dice(answer);
                if dice.has(Quirk::Unavailable) && answer["chat"] == "notAvailable" {
                    answer["chat"] = "unavailable".into();
                }
                self.object(answer);
            }
            ApiMethod::IceServers => self.ice_servers(answer),
            _ => self.object(answer),
        }
    }

    fn dice(&self, value: &Value) -> Dice<'_> {
        Dice { quirks: &self.quirks, hash: hash(value) }
    }

    /// An answer that is one object.
    fn object(&self, answer: &mut Value) {
        let dice = self.dice(answer);
        if let Value::Object(fields) = answer {
            values::fields(dice, fields, &["ewt", "phone_number", "file_name"]);
        }
        values::scalars(dice, answer);
    }

    fn error(&self, status: StatusCode, answer: &mut Value) {
        if status == StatusCode::NOT_FOUND && self.dice(answer).has(Quirk::Bare404) {
            *answer = Value::Null;
            return;
        }
        self.object(answer);
    }

    fn no_news(&mut self, status: &mut StatusCode, answer: &mut Value) {
        self.idle_polls += 1;
        let error = |code: ErrorCode| {
            let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
            (status, serde_json::to_value(ErrorBody::new(code, code.meaning().to_owned())).unwrap_or_default())
        };
        if self.quirks.has(Quirk::BusyPolls) && self.idle_polls.is_multiple_of(3) {
            (*status, *answer) = error(ErrorCode::TooManyPolls);
            return;
        }
        let dice = Dice { quirks: &self.quirks, hash: self.idle_polls << 7 };
        match dice.one_of(&[Quirk::NoEvents5511, Quirk::NoEventsEmpty]) {
            Some(Quirk::NoEvents5511) => (*status, *answer) = error(ErrorCode::NoEvents),
            Some(_) => *answer = Value::Null,
            None => self.object(answer),
        }
    }

    fn ice_servers(&self, answer: &mut Value) {
        let Some(Value::Array(servers)) = answer.get_mut("servers") else { return };
        if servers.is_empty() && self.quirks.has(Quirk::IceMissing) {
            *answer = json!({});
        } else if self.quirks.has(Quirk::IceUrls) {
            for server in servers.iter_mut().filter_map(Value::as_object_mut) {
                if let Some(url) = server.remove("url") {
                    server.insert("urls".into(), Value::Array(vec![url]));
                }
            }
        }
        self.object(answer);
    }
}

/// Keeps a value for a chat; gives the one before.
fn keep<T>(kept: &mut HashMap<String, T>, chat: &str, value: T) -> Option<T> {
    // A chat that is over fetches nothing any more.
    if kept.len() >= MAX_CHATS
        && !kept.contains_key(chat)
        && let Some(other) = kept.keys().next().cloned()
    {
        kept.remove(&other);
    }
    kept.insert(chat.to_owned(), value)
}

pub(super) fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
