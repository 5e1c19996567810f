//! What is taken out of a record. Everything that is written goes through here, and nothing else takes anything out.
//!
//! Of events and bodies, the values of fields that are known to be harmless stay; every other text and number gives way to
//! what kind of thing it was. So a field that nobody thought of tells nothing. What is a secret by its nature (the client's id,
//! the credentials of TURN servers, the passwords of ICE) is remembered where it is seen, and taken out wherever it comes up
//! again: in a path, a header's echo, a sentence.

use super::record::{Body, Header, Http};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// What stands for a secret.
pub const GONE: &str = "(redacted)";

/// Secrets shorter than this would take half of the record with them: they go where they are the whole of a text.
const SHORT: usize = 4;

/// No more secrets are remembered: a server that sends thousands must not make this slow.
const REMEMBERED: usize = 256;

/// Fields whose values stay.
const HARMLESS: &[&str] = &[
    "event",
    "type",
    "state",
    "ewt",
    "chat",
    "chat_id",
    "is_new_chat",
    "party_id",
    "destination_party_id",
    "msg_id",
    "ref_msg_id",
    "file_id",
    "case_id",
    "session_id",
    "form_request_id",
    "form_id",
    "form_name",
    "form_timeout",
    "file_type",
    "timestamp",
    "channel",
    "provider_type",
    "service_name",
    "first_name",
    "last_name",
    "display_name",
    "error_code",
    "error_message",
    "reason_code",
    "reason",
    "offerVideo",
    "sdpMid",
    "sdpMLineIndex",
    "candidate",
    "usernameFragment",
];

/// Fields that are what somebody wrote.
const TEXT: &[&str] = &["msg", "message_text", "msg_text", "text"];

/// Takes secrets out.
#[derive(Debug, Default)]
pub struct Redactor {
    keep_text: bool,
    secrets: Vec<String>,
    passwords: Vec<String>,
}

/// Where in a body a value is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// In the list of ICE servers.
    servers: bool,
}

impl Redactor {
    /// A redactor that keeps the text of messages if it is told to, and that knows some secrets beforehand.
    pub fn new(keep_text: bool, secrets: impl IntoIterator<Item = String>) -> Self {
        let mut redactor = Self { keep_text, ..Self::default() };
        secrets.into_iter().for_each(|secret| redactor.learn(&secret));
        redactor
    }

    /// Takes secrets out of the first line.
    pub fn header(&mut self, header: &mut Header) {
        header.run.values_mut().for_each(|value| self.everywhere(value));
    }

    /// Takes secrets out of a record.
    pub fn body(&mut self, body: &mut Body) {
        match body {
            Body::Http(http) => self.http(http),
            Body::Event(event) => {
                self.value(&mut event.event, Place::default());
                self.option(&mut event.name);
            }
            Body::Signaling(signaling) => {
                self.value(&mut signaling.data, Place::default());
                self.option(&mut signaling.name);
                self.option(&mut signaling.party_id);
                self.text(&mut signaling.signal);
            }
            Body::Call(note) | Body::Chat(note) | Body::Sound(note) => {
                // The server's words on an event may be the event's.
                if note.event == "send_failed" && !self.keep_text {
                    note.fields.values_mut().for_each(put_away);
                }
                note.fields.values_mut().for_each(|value| self.everywhere(value));
            }
            Body::Stats(fields) | Body::Outcome(fields) => fields.values_mut().for_each(|v| self.everywhere(v)),
            Body::CandidatePair(pair) => {
                for end in [&mut pair.local, &mut pair.remote] {
                    self.option(&mut end.address);
                    end.more.values_mut().for_each(|value| self.everywhere(value));
                }
            }
            Body::Dropped(dropped) => self.text(&mut dropped.reason),
            Body::Media(_) | Body::Unknown => {}
        }
    }

    fn http(&mut self, http: &mut Http) {
        let said = http.request.as_ref().is_some_and(holds_what_was_said);
        for body in [&mut http.request, &mut http.response].into_iter().flatten() {
            self.value(body, Place::default());
        }
        // What the server says of a message or a form may be what is in it.
        if said
            && !self.keep_text
            && let Some(message) = http.response.as_mut().and_then(|answer| answer.get_mut("error_message"))
        {
            put_away(message);
        }
        // Words of this side, on the connection.
        self.option(&mut http.error);
        self.text(&mut http.host);
        http.path = http.path.split('/').map(|part| self.part(part)).collect::<Vec<_>>().join("/");
        let query = http.query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
            Some((name @ ("tenantUrl" | "nonce" | "timestamp"), value)) => format!("{name}={}", self.part(value)),
            Some((name, _)) => format!("{}={GONE}", self.part(name)),
            None => GONE.to_owned(),
        });
        http.query = query.collect::<Vec<_>>().join("&");
    }

    /// A part of an address, which may hold a secret in its percent-encoded form.
    fn part(&self, part: &str) -> String {
        let plain = percent_decode_str(part).decode_utf8_lossy();
        let clean = self.scrubbed(&plain);
        if clean == plain { part.to_owned() } else { clean }
    }

    /// A body, an event or a message, which were made by others.
    fn value(&mut self, value: &mut Value, place: Place) {
        match value {
            Value::Object(object) => self.object(object, place),
            Value::Array(list) => list.iter_mut().for_each(|item| self.value(item, place)),
            other => put_away(other),
        }
    }

    fn object(&mut self, object: &mut Map<String, Value>, place: Place) {
        let signaling = object.get("event").and_then(Value::as_str) == Some("chat_session_signaling");
        // The user name and the credential are known before an address is read that may hold them.
        if place.servers {
            for field in ["username", "credential"] {
                if let Some(Value::String(secret)) = object.get(field) {
                    self.learn(&secret.clone());
                }
            }
        }
        for (key, mut value) in std::mem::take(object) {
            match key.as_str() {
                "data" if signaling => {
                    // A message may be written as JSON inside of JSON.
                    if let Some(inner) = value.as_str().and_then(|text| serde_json::from_str(text).ok()) {
                        value = inner;
                    }
                    self.value(&mut value, place);
                }
                // Forms, plain or secure: not a value of them.
                "data" => value = json!({ "redacted": "form data", "fields": value.as_object().map_or(0, Map::len) }),
                "sdp" if value.is_string() => {
                    if let Value::String(sdp) = &mut value {
                        *sdp = self.description(sdp);
                    }
                }
                "servers" => self.value(&mut value, Place { servers: true }),
                "url" | "urls" if place.servers => self.everywhere(&mut value),
                key if TEXT.contains(&key) && self.keep_text => self.everywhere(&mut value),
                key if HARMLESS.contains(&key) => self.harmless(&mut value, place),
                _ => self.value(&mut value, place),
            }
            object.insert(self.key(key), value);
        }
    }

    fn harmless(&mut self, value: &mut Value, place: Place) {
        match value {
            Value::Object(_) => self.value(value, place),
            // The events of an answer, or scalars in a row.
            Value::Array(list) => list.iter_mut().for_each(|item| self.harmless(item, place)),
            _ => self.everywhere(value),
        }
    }

    /// A key is harmless when it looks like a name.
    fn key(&self, key: String) -> String {
        let is_name = key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c));
        if is_name { self.scrubbed(&key) } else { format!("(key of {} characters)", key.chars().count()) }
    }

    /// A session description (RFC 8866): passwords of ICE and keys go, fingerprints stay.
    fn description(&mut self, sdp: &str) -> String {
        let mut out = String::with_capacity(sdp.len());
        for line in sdp.split_inclusive('\n') {
            let text = line.trim_end_matches(['\r', '\n']);
            let end = &line[text.len()..];
            match text.split_once(':') {
                Some((name, password)) if name.trim().eq_ignore_ascii_case("a=ice-pwd") => {
                    out.push_str(&format!("{name}:{}{end}", self.password(password.trim())));
                }
                Some((name, _)) if matches!(name.trim(), "a=crypto" | "a=key-mgmt") => {
                    out.push_str(&format!("{name}:{GONE}{end}"));
                }
                _ if text.starts_with("k=") => out.push_str(&format!("k={GONE}{end}")),
                _ => {
                    out.push_str(&self.scrubbed(text));
                    out.push_str(end);
                }
            }
        }
        out
    }

    /// The same password has the same stand-in, so that one can see which descriptions are of one transport.
    fn password(&mut self, password: &str) -> String {
        let known = self.passwords.iter().position(|p| p == password);
        let at = known.unwrap_or_else(|| {
            self.learn(password);
            if self.passwords.len() < REMEMBERED {
                self.passwords.push(password.to_owned());
            }
            self.passwords.len() - 1
        });
        format!("redacted-{}", at + 1)
    }

    fn learn(&mut self, secret: &str) {
        if !secret.is_empty() && self.secrets.len() < REMEMBERED && !self.secrets.iter().any(|s| s == secret) {
            self.secrets.push(secret.to_owned());
            // One may be a part of another.
            self.secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        }
    }

    fn option(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn text(&self, text: &mut String) {
        *text = self.scrubbed(text);
    }

    /// Known secrets go, everything else stays.
    fn everywhere(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(list) => list.iter_mut().for_each(|item| self.everywhere(item)),
            Value::Object(object) => object.values_mut().for_each(|item| self.everywhere(item)),
            Value::Number(number) if self.secrets.contains(&number.to_string()) => *value = json!(GONE),
            _ => {}
        }
    }

    fn scrubbed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text == *secret {
                return GONE.to_owned();
            }
            if secret.len() < SHORT {
                continue;
            }
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), GONE);
            }
            let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            if text.contains(&encoded) {
                text = text.replace(&encoded, GONE);
            }
        }
        text
    }
}

/// Whether a request holds a message or a form.
fn holds_what_was_said(body: &Value) -> bool {
    let events = body.get("events").and_then(Value::as_array);
    events.is_some_and(|list| {
        list.iter().any(|event| event.get("event").and_then(Value::as_str) != Some("chat_session_signaling"))
    }) || body.get("parameters").is_some()
}

/// What kind of thing a value was.
fn put_away(value: &mut Value) {
    match value {
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => *value = json!(size_of(text)),
        Value::Number(_) => *value = json!("(number)"),
        Value::Array(list) => list.iter_mut().for_each(put_away),
        Value::Object(object) => *value = json!({ "redacted": "object", "fields": object.len() }),
        Value::Bool(_) | Value::Null => {}
    }
}

fn size_of(text: &str) -> String {
    match text.chars().count() {
        1 => "(1 character)".into(),
        n => format!("({n} characters)"),
    }
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
