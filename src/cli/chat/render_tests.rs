#![allow(clippy::unwrap_used)]
use super::*;
use crate::api::types::Chat;
use crate::call::{CallEnd, EndedBy, Outcome};
use crate::chat::{HistoryEvent, Operation, Party, SendError};
use chrono::NaiveDate;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

fn state() -> PhoneState {
    let anna = Party {
        id: "p1".into(),
        party_type: "internal".to_owned().into(),
        first_name: None,
        last_name: None,
        display_name: Some("Anna Lee".into()),
        joined: None,
        present: true,
    };
    PhoneState { chat_id: Some("c".into()), parties: vec![anna.clone()], agent: Some(anna), ..Default::default() }
}

fn parse(name: &str, mut fields: Value) -> ServerEvent {
    fields["event"] = format!("chat_session_{name}").into();
    serde_json::from_value(fields).unwrap()
}

fn show(renderer: &mut Renderer, name: &str, fields: Value) -> Option<Line> {
    let event = ChatEvent::Server { event: parse(name, fields), own: false };
    let mut lines = renderer.chat(&event, &state());
    assert!(lines.len() <= 1, "one event, one line: {lines:?}");
    lines.pop()
}

fn text(name: &str, fields: Value) -> String {
    let line = show(&mut Renderer::default(), name, fields).unwrap();
    match line.who {
        Who::Party(who) => format!("{who}: {}", line.text),
        Who::You => format!("you: {}", line.text),
        Who::Notice | Who::Problem => line.text,
    }
}

fn sent(renderer: &mut Renderer, event: Value) -> Option<Line> {
    let event = serde_json::from_value(event).unwrap();
    renderer.chat(&ChatEvent::Sent { event }, &state()).pop()
}

#[test]
fn every_event_of_the_server_has_its_words() {
    for (name, fields, expected) in [
        ("message", json!({ "party_id": "p1", "msg": "a<br>&lt;b&gt;" }), "Anna Lee: a\n<b>"),
        ("message", json!({ "party_id": "p1", "msg": "<i>x</i>", "message_text": "x" }), "Anna Lee: x"),
        ("message", json!({ "msg": "who?" }), "Anna Lee: who?"),
        ("message", json!({ "party_id": "p9", "msg": "hi" }), "p9: hi"),
        ("status", json!({ "state": "queued", "ewt": "90" }), "waiting for an agent, expected wait 90 s"),
        ("status", json!({ "state": "queued", "ewt": 240 }), "waiting for an agent, expected wait 4 min"),
        ("status", json!({ "state": "connected", "ewt": "0" }), "connected"),
        ("status", json!({ "state": "parked" }), "in the state parked"),
        ("party_joined", json!({ "party_id": "p1", "type": "internal" }), "Anna Lee joined"),
        ("party_joined", json!({ "party_id": "p1", "type": "scenario" }), "Anna Lee (automatic) joined"),
        ("party_left", json!({ "party_id": "p1" }), "Anna Lee left"),
        ("typing", json!({ "party_id": "p1" }), "Anna Lee is typing"),
        (
            "form_show",
            json!({ "form_request_id": 1, "form_name": "contact", "form_timeout": "300",
                    "fields": [{ "name": "n", "label": "Name", "type": "TEXT", "required": true }, "m"] }),
            "a form is asked for: \"contact\" with n (Name, TEXT, required), m, within 5 min; /form answers it",
        ),
        (
            "secure_form_show",
            json!({ "form_request_id": 1, "form_id": "card" }),
            "a secure form is asked for: \"card\"; /secure answers it, /secure-cancel declines it",
        ),
        ("timeout_warning", json!({ "msg": "Still there?" }), "Still there?"),
        ("timeout_warning", json!({}), "the chat ends soon if you say nothing"),
        ("inactivity_timeout", json!({ "msg": "Bye" }), "Bye"),
        (
            "file",
            json!({ "party_id": "p1", "file_id": "7", "file_type": "image", "file_name": "a\n.png" }),
            "Anna Lee sent the image \"a .png\" (id 7); /save 7 keeps it",
        ),
        ("file", json!({ "file_id": "7" }), "Anna Lee sent the file (id 7); /save 7 keeps it"),
        (
            "location",
            json!({ "party_id": "p1", "latitude": "1.5", "longitude": 2, "url": "https://m/" }),
            "Anna Lee shared a place: 1.5, 2 https://m/",
        ),
        ("location", json!({ "latitude": 1.5, "longitude": 2 }), "Anna Lee shared a place: 1.5, 2 geo:1.5,2"),
        ("cobrowsing_requested", json!({}), "Anna Lee asks to browse together: /cobrowse accept, or /cobrowse decline"),
        ("info", json!({ "service_name": "Sales" }), "the service is Sales"),
        ("case_set", json!({ "case_id": 12 }), "the case is 12"),
        ("message_delivered", json!({ "party_id": "p1" }), "your message reached Anna Lee"),
        ("message_read", json!({ "party_id": "p1" }), "Anna Lee read your message"),
        ("ended", json!({}), "the contact center ends the chat"),
        ("surprise", json!({ "a": 1 }), "an unknown event came: chat_session_surprise"),
    ] {
        assert_eq!(text(name, fields.clone()), expected, "{name} {fields}");
    }
}

#[test]
fn typing_is_shown_once_until_it_stops() {
    let mut renderer = Renderer::default();
    let typing = json!({ "party_id": "p1" });
    assert!(show(&mut renderer, "typing", typing.clone()).is_some());
    assert!(show(&mut renderer, "typing", typing.clone()).is_none());
    assert!(show(&mut renderer, "not_typing", typing.clone()).is_none());
    assert!(show(&mut renderer, "typing", typing.clone()).is_some());
    show(&mut renderer, "message", json!({ "party_id": "p1", "msg": "x" }));
    assert!(show(&mut renderer, "typing", typing).is_some(), "a message ends the typing before it");
}

#[test]
fn the_servers_copy_of_an_own_message_is_not_shown_again() {
    let mut renderer = Renderer::new(false, false);
    let line = sent(&mut renderer, json!({ "event": "chat_session_message", "msg_id": "c:1", "msg": "hi" })).unwrap();
    assert_eq!((line.who, line.text), (Who::You, "hi".into()));
    let copy = |id: &str| ChatEvent::Server {
        event: parse("message", json!({ "party_id": "c", "msg_id": id, "msg": "hi" })),
        own: true,
    };
    assert!(renderer.chat(&copy("c:1"), &state()).is_empty());
    assert_eq!(renderer.chat(&copy("c:9"), &state()).len(), 1, "written by another run of this client");
    let mut echoing = Renderer::new(true, true);
    assert!(sent(&mut echoing, json!({ "event": "chat_session_message", "msg_id": "c:1", "msg": "hi" })).is_none());
}

#[test]
fn what_was_sent_is_confirmed_without_the_values_of_forms() {
    let mut renderer = Renderer::default();
    for (event, expected) in [
        (
            json!({ "event": "chat_session_form_data", "form_name": "f", "data": { "a": "4111", "b": "" } }),
            "\"f\": a, b",
        ),
        (
            json!({ "event": "chat_session_secure_form_data", "data": { "a": "4111" } }),
            "the secure form without a name",
        ),
        (json!({ "event": "chat_session_secure_form_cancel" }), "declined the secure form"),
        (
            json!({ "event": "chat_session_file", "file_id": "1", "file_name": "n", "file_type": "image" }),
            "image \"n\" (id 1)",
        ),
        (json!({ "event": "chat_session_location", "latitude": 1, "longitude": 2 }), "a place: 1, 2"),
        (json!({ "event": "chat_session_navigation", "page": "u" }), "your page: u"),
        (json!({ "event": "chat_session_cobrowsing_started" }), "you browse together"),
        (json!({ "event": "chat_session_cobrowsing_rejected" }), "declined to browse"),
        (json!({ "event": "chat_session_cobrowsing_ended" }), "no longer browse"),
        (json!({ "event": "chat_session_disconnect" }), "ended the conversation"),
    ] {
        let line = sent(&mut renderer, event).unwrap();
        assert!(line.text.contains(expected) && !line.text.contains("4111"), "{}", line.text);
    }
    assert_eq!(sent(&mut renderer, json!({ "event": "chat_session_typing" })), None);
}

#[test]
fn a_history_is_shown_with_its_times_and_own_messages() {
    let past = |name: &str, own, fields| HistoryEvent { event: parse(name, fields), own };
    let at = Timestamp::from_millis(1_700_000_000_000);
    let events = vec![
        past("message", true, json!({ "party_id": "c", "msg": "mine", "timestamp": 1_700_000_000_000u64 })),
        past("typing", false, json!({ "party_id": "p1" })),
        past("form_data", true, json!({ "data": { "a": "secret" } })),
        past("secure_form_data", true, json!({ "data": { "a": "secret" } })),
        past("message", false, json!({ "party_id": "p1", "msg": "theirs" })),
    ];
    let event = ChatEvent::Restored { parties: state().parties, events, complete: true };
    let lines = Renderer::default().chat(&event, &state());
    let texts: Vec<_> = lines.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "this was said before:",
            "mine",
            "you answered a form",
            "you answered a secure form",
            "theirs",
            "that was the history; here now: Anna Lee"
        ]
    );
    assert_eq!((lines[1].at, &lines[1].who), (Some(at), &Who::You));
}

#[test]
fn trouble_is_told_apart_from_news() {
    let mut renderer = Renderer::default();
    let problem = |lines: Vec<Line>| lines.iter().all(|l| l.who == Who::Problem) && lines.len() == 1;
    let reconnecting = ChatEvent::Reconnecting {
        operation: Operation::Poll,
        attempt: 1,
        delay: Duration::from_millis(300),
        message: "reset".into(),
    };
    assert!(problem(renderer.chat(&reconnecting, &state())));
    let event = serde_json::from_value(json!({ "event": "chat_session_message", "msg": "private" })).unwrap();
    let failed = renderer.chat(&ChatEvent::SendFailed { event, error: SendError::Closed }, &state());
    assert!(failed[0].text.contains("not sent (message)"), "{failed:?}");
    assert!(problem(failed));
    for (reason, fine) in [
        (EndReason::ByServer, true),
        (EndReason::Shutdown { flushed: true }, true),
        (EndReason::Shutdown { flushed: false }, false),
        (EndReason::ByClient { confirmed: false }, false),
        (EndReason::Gone, false),
    ] {
        assert_eq!(!problem(renderer.chat(&ChatEvent::Ended { reason: reason.clone() }, &state())), fine, "{reason}");
    }
}

#[test]
fn an_opened_chat_tells_its_wait() {
    let chat = Chat { state: SessionState::Queued, ewt: Some("30".into()), ..Default::default() };
    let lines = Renderer::default().chat(&ChatEvent::Opened { chat, resumed: false }, &state());
    assert_eq!(lines[0].text, "the chat is open, waiting for an agent, expected wait 30 s");
}

#[test]
fn calls_are_told_in_words() {
    let ringing = CallEvent::Ringing { party_id: Some("p1".into()), video: false };
    let text = |interactive| Renderer::new(false, interactive).call(&ringing, &state()).text;
    assert_eq!(text(true), "Anna Lee calls: accept? [y/n]");
    assert_eq!(text(false), "Anna Lee calls: /accept or /decline");
    let end =
        CallEnd { outcome: Outcome::Rejected, reason: "busy\u{1b}[1m".into(), code: None, ended_by: EndedBy::Remote };
    let line = Renderer::default().call(&CallEvent::Ended(end), &state());
    assert_eq!(line.text, "the call is over: rejected (busy␛[1m)");
}

#[test]
fn lines_are_set_with_time_breaks_and_colour() {
    let noon = NaiveDate::from_ymd_opt(2026, 3, 4).unwrap().and_hms_opt(12, 3, 45).unwrap();
    let local = |_| Some(NaiveDate::from_ymd_opt(2026, 3, 3).unwrap().and_hms_opt(9, 0, 0).unwrap());
    let line = Line { at: None, who: Who::Party("Anna Lee".into()), text: "a\nb".into() };
    let past = Line { at: Some(Timestamp::from_millis(1)), ..line.clone() };
    let plain = Layout::default();
    assert_eq!(plain.set(&line, noon, local), "12:03:45  Anna Lee: a ↵ b");
    assert_eq!(plain.set(&past, noon, local), "2026-03-03 09:00:00  Anna Lee: a ↵ b");
    let wrapped = Layout { color: false, breaks: true };
    assert_eq!(wrapped.set(&line, noon, local), "12:03:45  Anna Lee: a\n          b");
    let painted = Layout { color: true, breaks: true }.set(&line, noon, local);
    assert!(painted.contains("\u{1b}[1;36mAnna Lee:\u{1b}[0m a"), "{painted:?}");
    assert_eq!(plain.set(&Line::notice("n"), noon, local), "12:03:45  * n");
    assert_eq!(plain.set(&Line::problem("p"), noon, local), "12:03:45  ! p");
}

proptest! {
    #[test]
    fn no_text_of_a_server_drives_a_terminal(
        at in 0..ServerEvent::NAMES.len() + 1,
        text in "[\u{0}-\u{ff}\u{2020}-\u{206f}]{0,20}",
    ) {
        let name = ServerEvent::NAMES.get(at).copied().unwrap_or("x\u{1b}[2J");
        let mut fields = json!({ "event": name });
        for key in ["party_id", "msg", "state", "ewt", "display_name", "form_name", "form_id", "file_name", "file_type",
            "file_id", "url", "service_name", "case_id", "type", "fields"] {
            fields[key] = text.clone().into();
        }
        fields["fields"] = json!([{ "name": text, "label": text, "options": [text] }]);
        let event = ChatEvent::Server { event: serde_json::from_value(fields).unwrap(), own: false };
        for line in Renderer::default().chat(&event, &state()) {
            prop_assert!(text::is_harmless(&line.text), "{line:?}");
            if let Who::Party(name) = line.who {
                prop_assert!(text::is_harmless(&name) && !name.contains('\n'));
            }
        }
    }
}
