//! What happens, as JSON for programs: one object a line. `docs/chat-json.md` lists the names, which scripts rely on.
//!
//! Values of forms are never among them, be they secure or not.

use super::forms::{Field, FormRequest, is_answer};
use super::render::is_fine;
use crate::api::lenient::Timestamp;
use crate::api::{ClientEvent, ServerEvent};
use crate::call::CallEvent;
use crate::chat::ChatEvent;
use crate::phone::PhoneState;
use serde_json::{Map, Value, json};

/// Objects of one event, most often one.
pub type Objects = Vec<Value>;

/// The objects for an event of the chat.
pub fn chat(event: &ChatEvent, state: &PhoneState) -> Objects {
    vec![match event {
        ChatEvent::Opened { chat, resumed } => json!({
            "event": "chat_opened", "chat_id": chat.chat_id, "resumed": resumed, "state": chat.state, "ewt_s": seconds(&chat.ewt),
        }),
        ChatEvent::Restored { parties, events, complete } => {
            let present: Vec<_> = parties.iter().map(|p| json!({ "party_id": p.id, "name": p.name() })).collect();
            let mut all =
                vec![json!({ "event": "history", "complete": complete, "parties": present, "events": events.len() })];
            all.extend(events.iter().filter_map(|past| {
                let mut object = server(&past.event, past.own, state)?;
                object["history"] = true.into();
                Some(object)
            }));
            return all;
        }
        ChatEvent::Server { event, own } => return server(event, *own, state).into_iter().collect(),
        ChatEvent::Signal { .. } => return Vec::new(),
        // Told when it passes.
        ChatEvent::Sent { event: ClientEvent::Signaling(_) } => return Vec::new(),
        ChatEvent::Sent { event } => sent(event),
        ChatEvent::SendFailed { event, error } => {
            json!({ "event": "send_failed", "kind": event.name(), "message": error.to_string() })
        }
        ChatEvent::Reconnecting { operation, attempt, delay, message } => json!({
            "event": "reconnecting", "operation": operation.to_string(), "attempt": attempt,
            "delay_ms": delay.as_millis() as u64, "message": message,
        }),
        ChatEvent::Reconnected => json!({ "event": "reconnected" }),
        ChatEvent::Ended { reason } => {
            json!({ "event": "chat_ended", "reason": reason.to_string(), "ok": is_fine(reason) })
        }
    }]
}

fn server(event: &ServerEvent, own: bool, state: &PhoneState) -> Option<Value> {
    let id = |id: Option<&String>| json!(id);
    let name = |id: Option<&String>| json!(id.filter(|_| !own).map(|id| state.party_name(id)));
    let (mut object, at) = match event {
        ServerEvent::Message(m) => (
            json!({ "event": "message", "party_id": id(m.party_id.as_ref()), "name": name(m.party_id.as_ref()), "text": m.plain_text(), "msg_id": m.msg_id }),
            m.timestamp,
        ),
        ServerEvent::Typing(t) => (
            json!({ "event": "typing", "party_id": id(t.party_id.as_ref()), "name": name(t.party_id.as_ref()) }),
            t.timestamp,
        ),
        ServerEvent::NotTyping(t) => (
            json!({ "event": "not_typing", "party_id": id(t.party_id.as_ref()), "name": name(t.party_id.as_ref()) }),
            t.timestamp,
        ),
        ServerEvent::Status(s) => (json!({ "event": "chat_status", "state": s.state, "ewt_s": seconds(&s.ewt) }), None),
        ServerEvent::Ended(_) => (json!({ "event": "session_ended" }), None),
        ServerEvent::PartyJoined(p) => (
            json!({ "event": "party_joined", "party_id": p.party_id, "name": name(Some(&p.party_id)), "type": p.party_type }),
            p.timestamp,
        ),
        ServerEvent::PartyLeft(p) => {
            (json!({ "event": "party_left", "party_id": p.party_id, "name": name(Some(&p.party_id)) }), p.timestamp)
        }
        ServerEvent::FormShow(form) => (form_object(&form.into()), form.timestamp),
        ServerEvent::SecureFormShow(form) => (form_object(&form.into()), form.timestamp),
        ServerEvent::TimeoutWarning(w) => (json!({ "event": "timeout_warning", "text": w.msg }), w.timestamp),
        ServerEvent::InactivityTimeout(w) => (json!({ "event": "inactivity_timeout", "text": w.msg }), w.timestamp),
        ServerEvent::File(f) => (
            json!({
                "event": "file", "party_id": id(f.party_id.as_ref().or(f.session_id.as_ref())), "name": name(f.party_id.as_ref().or(f.session_id.as_ref())),
                "file_id": f.file_id, "file_type": f.file_type, "file_name": f.file_name, "msg_id": f.msg_id,
            }),
            f.timestamp,
        ),
        ServerEvent::Location(l) => (
            json!({
                "event": "location", "party_id": id(l.party_id.as_ref()), "name": name(l.party_id.as_ref()), "latitude": l.latitude, "longitude": l.longitude,
                "url": l.url, "msg_id": l.msg_id,
            }),
            l.timestamp,
        ),
        ServerEvent::CobrowsingRequested(c) => (
            json!({ "event": "cobrowsing_requested", "party_id": id(c.party_id.as_ref()), "name": name(c.party_id.as_ref()) }),
            c.timestamp,
        ),
        ServerEvent::Info(i) => (json!({ "event": "info", "service_name": i.service_name }), i.timestamp),
        ServerEvent::CaseSet(c) => (json!({ "event": "case_set", "case_id": c.case_id }), c.timestamp),
        ServerEvent::MessageDelivered(d) => (
            json!({ "event": "delivered", "ref_msg_id": d.ref_msg_id, "party_id": id(d.party_id.as_ref()), "name": name(d.party_id.as_ref()) }),
            d.timestamp,
        ),
        ServerEvent::MessageRead(d) => (
            json!({ "event": "read", "ref_msg_id": d.ref_msg_id, "party_id": id(d.party_id.as_ref()), "name": name(d.party_id.as_ref()) }),
            d.timestamp,
        ),
        ServerEvent::Signaling(_) => return None,
        ServerEvent::Unknown(raw) => {
            let mut raw: Map<String, Value> = raw.clone();
            // A copy of the customer's own answer to a form.
            if own || is_answer(event.name()) {
                raw.remove("data");
            }
            (json!({ "event": "unknown", "name": event.name(), "raw": raw }), None)
        }
    };
    if own {
        object["own"] = true.into();
    }
    if let Some(at) = at {
        object["server_time_ms"] = millis(at).into();
    }
    Some(object)
}

fn sent(event: &ClientEvent) -> Value {
    let mut object = json!({ "event": "sent", "kind": event.name() });
    match event {
        ClientEvent::Message(m) => {
            object["msg_id"] = m.msg_id.clone().into();
            object["text"] = m.msg.clone().into();
        }
        ClientEvent::File(f) => {
            object["msg_id"] = f.msg_id.clone().into();
            object["file_id"] = f.file_id.clone().into();
            object["file_name"] = f.file_name.clone().into();
        }
        ClientEvent::FormData(form) => {
            object["form_request_id"] = form.form_request_id.clone().into();
            object["form_name"] = form.form_name.clone().into();
        }
        ClientEvent::SecureFormData(form) => {
            object["form_request_id"] = form.form_request_id.clone().into();
            object["form_name"] = form.form_name.clone().into();
        }
        _ => {}
    }
    object
}

fn form_object(form: &FormRequest) -> Value {
    let field = |f: &Field| json!({ "name": f.name, "label": f.label, "type": f.kind, "required": f.required, "options": f.options });
    json!({
        "event": if form.secure { "secure_form" } else { "form" }, "form_request_id": form.id, "form_name": form.name,
        "timeout_s": form.timeout_s, "fields": form.fields.iter().map(field).collect::<Vec<_>>(),
    })
}

/// The object for an event of the call.
pub fn call(event: &CallEvent, state: &PhoneState) -> Value {
    let name = |id: &Option<String>| id.as_ref().map(|id| state.party_name(id));
    match event {
        CallEvent::Requesting { party_id, video } => {
            json!({ "event": "call_requesting", "party_id": party_id, "name": state.party_name(party_id), "video": video })
        }
        CallEvent::Ringing { party_id, video } => {
            json!({ "event": "call_ringing", "party_id": party_id, "name": name(party_id), "video": video })
        }
        CallEvent::Offered { party_id, video } => {
            json!({ "event": "call_offered", "party_id": party_id, "name": name(party_id), "video": video })
        }
        CallEvent::Answered => json!({ "event": "call_answered" }),
        CallEvent::Connected => json!({ "event": "call_connected" }),
        CallEvent::Disconnected => json!({ "event": "call_disconnected" }),
        CallEvent::Reconnected => json!({ "event": "call_reconnected" }),
        CallEvent::MediaFlowing => json!({ "event": "call_media_flowing" }),
        CallEvent::Interrupted { reason } => {
            json!({ "event": "call_interrupted", "reason": reason, "message": reason.to_string() })
        }
        CallEvent::Resumed { gap } => json!({ "event": "call_resumed", "gap_ms": gap.as_millis() as u64 }),
        CallEvent::Restoring { attempt, attempts } => {
            json!({ "event": "call_restoring", "attempt": attempt, "attempts": attempts })
        }
        CallEvent::Restored { attempt, gap } => {
            json!({ "event": "call_restored", "attempt": attempt, "gap_ms": gap.as_millis() as u64 })
        }
        CallEvent::Renegotiating => json!({ "event": "call_renegotiating" }),
        CallEvent::RenegotiationFailed { error } => json!({ "event": "call_renegotiation_failed", "message": error }),
        CallEvent::DeclinedBusy { party_id } => {
            json!({ "event": "call_declined_busy", "party_id": party_id, "name": state.party_name(party_id) })
        }
        CallEvent::Ended(end) => {
            json!({ "event": "call_ended", "outcome": end.outcome, "reason": end.reason, "code": end.code })
        }
    }
}

fn seconds(ewt: &Option<String>) -> Option<f64> {
    ewt.as_deref()?.trim().parse().ok()
}

fn millis(at: Timestamp) -> i64 {
    at.as_millis()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::chat::HistoryEvent;

    fn event(json: Value) -> ServerEvent {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_server_event_has_an_object_with_a_name() {
        let state = PhoneState::default();
        for name in ServerEvent::NAMES.iter().filter(|name| **name != "chat_session_signaling").chain(&["new_event"]) {
            let event = event(json!({ "event": name, "party_id": "p" }));
            let objects = chat(&ChatEvent::Server { event, own: false }, &state);
            assert!(!objects[0]["event"].as_str().unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn values_of_forms_are_left_out() {
        let state = PhoneState::default();
        for name in ["chat_session_form_data", "chat_session_secure_form_data"] {
            let raw = json!({ "event": name, "form_request_id": 1, "data": { "card": "4111" } });
            let event: ClientEvent = serde_json::from_value(raw.clone()).unwrap();
            let past = HistoryEvent { event: serde_json::from_value(raw).unwrap(), own: true };
            let objects = [
                chat(&ChatEvent::Sent { event }, &state),
                chat(&ChatEvent::Restored { parties: vec![], events: vec![past], complete: true }, &state),
            ];
            let all = serde_json::to_string(&objects).unwrap();
            assert!(all.contains(name) && !all.contains("4111"), "{all}");
        }
    }

    #[test]
    fn an_unknown_event_is_given_whole() {
        let objects = chat(
            &ChatEvent::Server { event: event(json!({ "event": "new", "a": [1] })), own: false },
            &PhoneState::default(),
        );
        assert_eq!(objects, [json!({ "event": "unknown", "name": "new", "raw": { "event": "new", "a": [1] } })]);
    }
}
