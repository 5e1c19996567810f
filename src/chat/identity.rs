//! What makes two events from the server the same event. The reasoning is in [`super::inbox`].

use crate::api::ServerEvent;
use serde_json::{Map, Value};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What an event is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// It has a message id or a time: a copy with the same key is a duplicate, however late it comes.
    Stamped(u64),
    /// It has neither, and may rightly happen again.
    Unstamped {
        /// The whole content.
        key: u64,
        /// What the event is about; of two events of one slot the later replaces the earlier. For an event that is about
        /// nothing lasting, its key.
        slot: u64,
    },
}

/// The identity of an event.
pub(super) fn of(event: &ServerEvent) -> Identity {
    // Reading it as JSON has one rule serve known and unknown events alike. No wire type can fail to become JSON; were
    // one to, it would be an event without a stamp, which is handed on.
    let json = serde_json::to_value(event).unwrap_or_default();
    let empty = Map::new();
    let fields = json.as_object().unwrap_or(&empty);
    if let Some(msg_id) = fields.get("msg_id").filter(|id| !is_blank(id)) {
        let head = (event.name(), party(fields), scalar(msg_id));
        return Identity::Stamped(match said(event) {
            Some(names) => hash(&(head, names.iter().map(|n| digest(fields.get(*n))).collect::<Vec<_>>())),
            None => hash(&(head, digest(Some(&json)))),
        });
    }
    let key = digest(Some(&json));
    if fields.get("timestamp").is_some_and(|t| !is_blank(t)) {
        return Identity::Stamped(key);
    }
    let slot = match event {
        ServerEvent::Status(_) => hash(&"status"),
        ServerEvent::Typing(_) | ServerEvent::NotTyping(_) => hash(&("typing", party(fields))),
        ServerEvent::PartyJoined(_) | ServerEvent::PartyLeft(_) => hash(&("presence", party(fields))),
        _ => key,
    };
    Identity::Unstamped { key, slot }
}

/// The party an event comes from: some servers write `session_id` for it.
pub(super) fn party_of(event: &ServerEvent) -> Option<String> {
    match event {
        ServerEvent::Message(e) => e.party_id.clone(),
        ServerEvent::Signaling(e) => e.party_id.clone(),
        ServerEvent::File(e) => e.party_id.clone().or_else(|| e.session_id.clone()),
        _ => party(serde_json::to_value(event).unwrap_or_default().as_object()?),
    }
}

/// The fields that say what an event with a message id says; `None`: all of them. Copies of one event may differ in the
/// others: a time in another unit, a plain twin of the text.
fn said(event: &ServerEvent) -> Option<&'static [&'static str]> {
    match event {
        ServerEvent::Message(_) => Some(&["msg"]),
        ServerEvent::Signaling(_) => Some(&["data"]),
        ServerEvent::File(_) => Some(&["file_id"]),
        ServerEvent::Location(_) => Some(&["latitude", "longitude"]),
        ServerEvent::CobrowsingRequested(_) => Some(&[]),
        _ => None,
    }
}

fn party(fields: &Map<String, Value>) -> Option<String> {
    ["party_id", "session_id"].iter().find_map(|name| fields.get(*name).filter(|id| !is_blank(id)).map(scalar))
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|s| s.trim().is_empty())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A digest of JSON that does not depend on the order of fields.
fn digest(value: Option<&Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        None | Some(Value::Null) => 0_u8.hash(&mut hasher),
        Some(Value::Object(fields)) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            1_u8.hash(&mut hasher);
            names.into_iter().for_each(|name| (name, digest(fields.get(name))).hash(&mut hasher));
        }
        Some(Value::Array(items)) => {
            2_u8.hash(&mut hasher);
            items.iter().for_each(|item| digest(Some(item)).hash(&mut hasher));
        }
        Some(Value::String(text)) => (3_u8, text).hash(&mut hasher),
        Some(other) => (4_u8, other.to_string()).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn id(v: Value) -> Identity {
        of(&serde_json::from_value(v).unwrap())
    }

    #[test]
    fn copies_of_a_message_may_differ_in_time_and_twin() {
        let poll = id(
            json!({"event": "chat_session_message", "party_id": "a", "msg_id": "1", "msg": "hi", "timestamp": 1_700_000_000_123_i64}),
        );
        let sent = id(
            json!({"msg": "hi", "event": "chat_session_message", "msg_id": 1, "party_id": "a", "timestamp": 1_700_000_000, "message_text": "hi"}),
        );
        assert_eq!(poll, sent);
        assert!(matches!(poll, Identity::Stamped(_)));
    }

    #[test]
    fn one_message_id_used_for_different_things_is_different_events() {
        let base =
            json!({"event": "chat_session_signaling", "party_id": "a", "msg_id": "1", "data": {"type": "END_CALL"}});
        for (field, other) in [
            ("event", json!("chat_session_cobrowsing_requested")),
            ("party_id", json!("b")),
            ("msg_id", json!("2")),
            ("data", json!({"type": "ICE_CANDIDATE", "candidate": "x"})),
        ] {
            let mut changed = base.clone();
            changed[field] = other;
            assert_ne!(id(base.clone()), id(changed), "{field}");
        }
    }

    #[test]
    fn a_file_names_its_party_by_session_id() {
        let file = |session: &str| {
            id(json!({"event": "chat_session_file", "session_id": session, "msg_id": "1", "file_id": "f"}))
        };
        assert_ne!(file("a"), file("b"));
    }

    #[test]
    fn an_unknown_event_with_a_message_id_is_known_by_all_of_it() {
        let survey = |stars: u8| id(json!({"event": "survey", "msg_id": "1", "stars": stars}));
        assert_eq!(survey(1), survey(1));
        assert_ne!(survey(1), survey(2));
    }

    #[test]
    fn an_empty_message_id_is_none() {
        let e = id(json!({"event": "chat_session_message", "msg_id": "", "msg": "hi"}));
        assert!(matches!(e, Identity::Unstamped { .. }));
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let a = id(json!({"event": "survey", "timestamp": 5, "a": {"x": 1, "y": [1, 2]}}));
        let b = id(json!({"a": {"y": [1, 2], "x": 1}, "timestamp": 5, "event": "survey"}));
        assert_eq!(a, b);
        assert_ne!(a, id(json!({"event": "survey", "timestamp": 5, "a": {"x": 1, "y": [2, 1]}})));
    }
}
