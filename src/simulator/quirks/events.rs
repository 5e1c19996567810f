//! Quirks of lists of events.

use super::state::hash;
use super::{Dice, Quirk, Quirks, values};
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// Rewrites the events of an answer.
pub(super) fn rewrite(quirks: &Quirks, events: &mut Vec<Value>) {
    if quirks.has(Quirk::CandidatesFirst) {
        candidates_first(events);
    }
    let mut out = Vec::with_capacity(events.len());
    for event in events.drain(..) {
        let dice = Dice { quirks, hash: hash(&event) };
        around(dice, event, &mut out);
    }
    *events = out;
}

fn signal_type(event: &Value) -> Option<&str> {
    event["data"]["type"].as_str()
}

/// Puts the candidates in front of the first offer.
fn candidates_first(events: &mut Vec<Value>) {
    let Some(offer) = events.iter().position(|e| signal_type(e) == Some("OFFER_CALL")) else { return };
    let rest = events.split_off(offer);
    let (candidates, others): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|e| signal_type(e) == Some("ICE_CANDIDATE"));
    events.extend(candidates);
    events.extend(others);
}

/// One event, and what comes before and behind it.
fn around(dice: Dice<'_>, event: Value, out: &mut Vec<Value>) {
    let name = event["event"].as_str().unwrap_or_default().to_owned();
    if dice.has(Quirk::UnknownEvents) && name != "chat_session_signaling" {
        out.push(json!({"event": "chat_session_weather", "msg_id": "w", "forecast": [{"sun": true}]}));
        out.push(json!({"note": "an event without a name"}));
    }
    if dice.has(Quirk::UnknownState) && name == "chat_session_status" {
        out.push(json!({"event": "chat_session_status", "state": "agent_assigned"}));
    }
    if dice.has(Quirk::UnknownSignals) && name == "chat_session_signaling" {
        let data = json!({"type": "CALL_PROGRESS", "percent": 50});
        let fields = ["party_id", "timestamp"].into_iter().filter_map(|f| Some((f.to_owned(), event.get(f)?.clone())));
        let mut unknown: Object = fields.collect();
        unknown.insert("event".into(), name.clone().into());
        unknown.insert("data".into(), data);
        out.push(unknown.into());
    }
    let again = (dice.has(Quirk::DoubleEnd) && signal_type(&event) == Some("END_CALL")).then(|| {
        let mut again = event.clone();
        again["msg_id"] = format!("{}:again", again["msg_id"].as_str().unwrap_or_default()).into();
        again
    });
    let unpublished = if dice.has(Quirk::UnpublishedEvents) { unpublished(&name, &event) } else { Vec::new() };
    out.push(one(dice, &name, event));
    out.extend(again.map(|event| one(dice, &name, event)));
    out.extend(unpublished);
}

fn unpublished(name: &str, event: &Value) -> Vec<Value> {
    match name {
        "chat_session_party_joined" => vec![
            json!({"event": "chat_session_info", "service_name": "Support"}),
            json!({"event": "chat_session_case_set", "case_id": "00012345"}),
        ],
        "chat_session_message" => {
            let told = |what: &str| {
                let event_name = format!("chat_session_message_{what}");
                json!({"event": event_name, "ref_msg_id": event["msg_id"], "party_id": event["party_id"]})
            };
            vec![told("delivered"), told("read")]
        }
        _ => Vec::new(),
    }
}

fn one(dice: Dice<'_>, name: &str, mut event: Value) -> Value {
    let Value::Object(fields) = &mut event else { return event };
    time(dice, fields);
    message_id(dice, fields);
    match name {
        "chat_session_signaling" => {
            if dice.has(Quirk::SignalBare) {
                fields.shift_remove("party_id");
                fields.shift_remove("timestamp");
            }
            if let Some(Value::Object(data)) = fields.get_mut("data") {
                signal(dice, data);
            }
        }
        "chat_session_message" if dice.has(Quirk::Markup) => markup(dice, fields),
        "chat_session_inactivity_timeout" if dice.has(Quirk::Inactvity) => {
            fields.insert("event".into(), "chat_session_inactvity_timeout".into());
        }
        "chat_session_file" if dice.has(Quirk::FileSessionId) => {
            if let Some(party) = fields.shift_remove("party_id") {
                fields.insert("session_id".into(), party);
            }
        }
        "chat_session_form_show" if dice.has(Quirk::FormFields) => {
            fields.insert("channel".into(), "chat".into());
            let definitions = json!([{"name": "email", "label": "Your e-mail", "type": "EMAIL", "required": true}]);
            fields.insert("fields".into(), definitions);
        }
        _ => {}
    }
    values::fields(dice, fields, optional(name));
    values::scalars(dice, &mut event);
    if dice.has(Quirk::SignalString)
        && let Some(data) = event.get_mut("data").filter(|data| data.is_object() && name == "chat_session_signaling")
    {
        *data = Value::String(data.to_string());
    }
    event
}

/// What may be absent in an event.
fn optional(name: &str) -> &'static [&'static str] {
    match name {
        "chat_session_status" => &["ewt"],
        "chat_session_party_joined" => &["first_name", "last_name"],
        "chat_session_file" => &["file_name"],
        "chat_session_form_show" => &["form_timeout"],
        "chat_session_location" => &["url"],
        _ => &[],
    }
}

fn time(dice: Dice<'_>, fields: &mut Object) {
    // Below this a number counts seconds.
    const SECONDS_BELOW: i64 = 100_000_000_000;
    let Some(at) = fields.get("timestamp").and_then(Value::as_i64) else { return };
    let is_seconds = at < SECONDS_BELOW;
    let at = match dice.one_of(&[Quirk::TimeSeconds, Quirk::TimeMillis, Quirk::TimeMissing]) {
        Some(Quirk::TimeSeconds) if !is_seconds => at / 1000,
        Some(Quirk::TimeMillis) if is_seconds => at.saturating_mul(1000),
        Some(Quirk::TimeMissing) => {
            fields.shift_remove("timestamp");
            return;
        }
        _ => at,
    };
    let written = if dice.has(Quirk::TimeString) { Value::String(at.to_string()) } else { at.into() };
    fields.insert("timestamp".into(), written);
}

/// Another form of id, the same for the same message in every answer.
fn message_id(dice: Dice<'_>, fields: &mut Object) {
    let Some(id) = fields.get("msg_id").and_then(Value::as_str) else { return };
    let number = id.rsplit(':').find_map(|part| part.parse::<u64>().ok());
    let id_hash = hash(&Value::String(id.to_owned()));
    let dice = Dice { hash: id_hash, ..dice };
    let other = match dice.one_of(&[Quirk::MsgIdUuid, Quirk::MsgIdCounter]) {
        Some(Quirk::MsgIdUuid) => {
            let wide = u128::from(id_hash) << 64 | u128::from(id_hash.rotate_left(17));
            uuid::Builder::from_random_bytes(wide.to_be_bytes()).into_uuid().to_string()
        }
        Some(_) => number.unwrap_or(id_hash >> 40).saturating_mul(2).to_string(),
        None => return,
    };
    fields.insert("msg_id".into(), other.into());
}

fn signal(dice: Dice<'_>, data: &mut Object) {
    let kind = data.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == "ICE_CANDIDATE" {
        if dice.has(Quirk::UntypedCandidates) {
            data.shift_remove("type");
        }
        if dice.has(Quirk::NoMlineIndex) {
            data.shift_remove("sdpMLineIndex");
        }
    }
    if dice.has(Quirk::SdpObject)
        && let Some(sdp) = data.get("sdp").filter(|sdp| sdp.is_string()).cloned()
    {
        let ty = if kind == "ANSWER_CALL" { "answer" } else { "offer" };
        data.insert("sdp".into(), json!({"type": ty, "sdp": sdp}));
    }
    values::fields(dice, data, if kind == "CALL_REJECTED" { &["reason"] } else { &[] });
}

fn markup(dice: Dice<'_>, fields: &mut Object) {
    let Some(text) = fields.get("msg").and_then(Value::as_str).map(str::to_owned) else { return };
    let has_twin = ["message_text", "msg_text"].iter().any(|twin| fields.get(*twin).is_some_and(Value::is_string));
    if has_twin {
        return;
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br>");
    fields.insert("msg".into(), format!("<p>{escaped}</p>").into());
    fields.insert(if dice.hash & 1 == 0 { "message_text" } else { "msg_text" }.into(), text.into());
}
