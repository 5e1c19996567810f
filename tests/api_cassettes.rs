//! Real-shaped JSON, as servers and clients write it, read by the wire types.
//!
//! Each file under `cassettes/` is a list of shapes of one thing: the published one first, then those seen in the wild.
#![allow(clippy::unwrap_used)]

use chatphone::api::error::{ErrorBody, ErrorCode};
use chatphone::api::lenient::Timestamp;
use chatphone::api::signaling::Signal;
use chatphone::api::types::*;
use chatphone::api::{ClientEvent, ServerEvent};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cassettes").join(name)
}

fn shapes(path: &Path) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn answers<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let shapes = shapes(&folder("answers").join(name).with_extension("json"));
    shapes.into_iter().map(|shape| serde_json::from_value(shape).unwrap()).collect()
}

/// The shapes by the name of their file.
fn by_name(name: &str) -> Vec<(String, Vec<Value>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), shapes(&path)))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn assert_names_match(found: &[(String, Vec<Value>)], known: &[&str]) {
    let mut known: Vec<&str> = known.to_vec();
    known.sort_unstable();
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), known);
}

/// Every field of `shape` is in `written`, and `null` and unknown ones as they were.
fn assert_no_field_lost(shape: &Value, written: &Value) {
    let (shape, written) = (shape.as_object().unwrap(), written.as_object().unwrap());
    for name in shape.keys() {
        assert!(written.contains_key(name), "{name} of {shape:?} is lost in {written:?}");
    }
}

#[test]
fn every_server_event_is_known_in_every_shape() {
    let found = by_name("server_events");
    assert_names_match(&found, ServerEvent::NAMES);
    for (name, shapes) in found {
        for shape in shapes {
            let event: ServerEvent = serde_json::from_value(shape.clone()).unwrap();
            assert!(!matches!(event, ServerEvent::Unknown(_)), "{shape}");
            assert_eq!(event.name(), name);
            let written = serde_json::to_value(&event).unwrap();
            assert_no_field_lost(&shape, &written);
            assert_eq!(serde_json::from_value::<ServerEvent>(written).unwrap(), event);
        }
    }
}

#[test]
fn every_client_event_is_known_in_every_shape() {
    let found = by_name("client_events");
    assert_names_match(&found, ClientEvent::NAMES);
    for (name, shapes) in found {
        for shape in shapes {
            let event: ClientEvent = serde_json::from_value(shape.clone()).unwrap();
            assert!(!matches!(event, ClientEvent::Unknown(_)), "{shape}");
            assert_eq!(event.name(), name);
            let written = serde_json::to_value(&event).unwrap();
            assert_no_field_lost(&shape, &written);
            assert_eq!(serde_json::from_value::<ClientEvent>(written).unwrap(), event);
        }
    }
}

#[test]
fn every_signaling_message_is_known_in_every_shape_and_as_a_string() {
    let found = by_name("signals");
    assert_names_match(&found, Signal::NAMES);
    for (name, shapes) in found {
        for shape in shapes {
            let signal = Signal::from_data(shape.clone()).unwrap();
            assert!(!matches!(signal, Signal::Unknown(_)), "{shape}");
            assert_eq!(signal.name(), name);
            assert_eq!(Signal::from_data(Value::String(shape.to_string())).unwrap(), signal);
            let written = serde_json::to_value(&signal).unwrap();
            assert_no_field_lost(&shape, &written);
            assert_eq!(Signal::from_data(written).unwrap(), signal);
        }
    }
}

#[test]
fn anything_but_available_means_closed() {
    let all: Vec<Availability> = answers("availability");
    assert_eq!(all.iter().map(Availability::is_open).collect::<Vec<_>>(), [true, true, true, false, false]);
    assert_eq!(all.iter().map(Availability::ewt_s).collect::<Vec<_>>(), [Some(12.0), None, Some(12.5), None, None]);
    assert_eq!(all[4].chat, "unavailable");
    assert_eq!(all[4].extra["reason"], "holiday");
}

#[test]
fn expected_parameters_keep_their_order_and_unknown_types() {
    let all: Vec<ExpectedParameters> = answers("parameters");
    let (names, types): (Vec<_>, Vec<_>) = all[0].parameters.iter().cloned().unzip();
    assert_eq!(names, ["phone", "question", "email", "first_name", "last_name", "account", "company"]);
    assert!(types.iter().all(|t| !matches!(t, ParameterType::Unknown(_))));
    assert_eq!(all[1].parameters, [("colour".to_owned(), ParameterType::Unknown("COLOUR".into()))]);
    assert!(all[2].parameters.is_empty() && all[3].parameters.is_empty());
}

#[test]
fn is_new_chat_comes_as_boolean_text_and_number() {
    let all: Vec<Chat> = answers("request_chat");
    let new: Vec<_> = all.iter().map(|c| c.is_new_chat).collect();
    assert_eq!(new, [Some(true), Some(false), Some(true), Some(true), Some(false)]);
}

#[test]
fn every_state_of_a_chat_is_read_and_an_unknown_one_kept() {
    use SessionState::*;
    let all: Vec<Chat> = answers("request_chat");
    let states: Vec<_> = all.iter().map(|c| c.state.clone()).collect();
    assert_eq!(states, [Queued, Connected, Ivr, Establishing, Unknown("transferring".into())]);
    assert_eq!(all[3].chat_id, "48151623", "an id may be a number");
    for (name, state) in [("connecting", Connecting), ("failed", Failed), ("completed", Completed)] {
        assert_eq!(serde_json::from_value::<SessionState>(json!(name)).unwrap(), state);
    }
}

#[test]
fn the_active_chat_has_no_is_new_chat() {
    let all: Vec<Chat> = answers("active_chat");
    assert!(all.iter().all(|c| c.is_new_chat.is_none() && !c.chat_id.is_empty()));
}

#[test]
fn a_list_of_events_may_be_empty_null_or_missing() {
    let all: Vec<ServerEvents> = answers("send_events");
    assert_eq!(all.iter().map(|a| a.events.len()).collect::<Vec<_>>(), [0, 1, 0, 0]);
}

#[test]
fn an_unknown_event_and_noise_do_not_lose_the_others() {
    let all: Vec<ServerEvents> = answers("poll");
    let names: Vec<_> = all[0].events.iter().map(ServerEvent::name).collect();
    assert_eq!(names, ["chat_session_party_joined", "chat_session_from_the_future", "chat_session_message"]);
    assert_eq!(serde_json::to_value(&all[0].events[1]).unwrap()["whatever"], json!({"deep": [1, 2, 3]}));
}

#[test]
fn in_history_the_chat_id_marks_own_messages_and_text_is_plain() {
    let all: Vec<ServerEvents> = answers("history");
    let messages: Vec<_> = all[0]
        .events
        .iter()
        .filter_map(|e| match e {
            ServerEvent::Message(m) => Some((m.party_id.clone().unwrap(), m.plain_text())),
            _ => None,
        })
        .collect();
    let ServerEvent::PartyJoined(own) = &all[0].events[1] else { panic!("no party") };
    assert_eq!(messages[0], (own.party_id.clone(), "Hello".to_owned()));
    assert_eq!(messages[1].1, "123\n456");
}

#[test]
fn markup_is_stripped_where_no_plain_twin_came() {
    let message = |v: Value| match serde_json::from_value(v).unwrap() {
        ServerEvent::Message(m) => m.plain_text(),
        other => panic!("{other:?}"),
    };
    let event = "chat_session_message";
    assert_eq!(message(json!({"event": event, "msg": "a<br>b"})), "a\nb");
    assert_eq!(message(json!({"event": event, "msg": "a<br>b", "msg_text": "twin"})), "twin");
    assert_eq!(message(json!({"event": event, "msg": "a<br>b", "message_text": ""})), "a\nb");
}

#[test]
fn an_upload_answers_an_id_and_perhaps_a_name() {
    let all: Vec<UploadedFile> = answers("upload");
    assert_eq!(all[1].file_name.as_deref(), Some("invoice.pdf"));
    assert_eq!((all[1].file_id.as_str(), all[2].file_id.as_str()), ("77", "77"));
}

#[test]
fn ice_servers_are_read_in_every_form() {
    let all: Vec<IceServers> = answers("iceservers");
    let urls: Vec<Vec<_>> =
        all.iter().map(|a| a.servers.iter().flat_map(|s| s.urls.iter().map(String::as_str)).collect()).collect();
    assert_eq!(urls[0], ["stun:stun.example.com:3478", "turn:turn.example.com:3478?transport=udp"]);
    assert_eq!(urls[1], ["stun:stun.example.com", "turn:turn.example.com"]);
    assert_eq!((urls[2].len(), urls[3].len()), (1, 1));
    assert!(urls[4..].iter().all(Vec::is_empty));
    assert_eq!(all[0].servers[1].credential.as_deref(), Some("c2VjcmV0"));
}

#[test]
fn a_widget_configuration_is_read_and_written_whole() {
    let shapes = shapes(&folder("answers/configuration.json"));
    let all: Vec<WidgetConfiguration> = answers("configuration");
    assert_eq!(serde_json::to_value(&all[0]).unwrap(), shapes[0]);
    let tab = all[1].widgets[0].definition.contact_tab.as_ref().unwrap();
    assert!(tab.enabled && !tab.show_ewt_out_of_hours);
    assert_eq!(all[1].widgets[0].definition.extra["proactive_offer"], json!({"enabled": false}));
}

#[test]
fn an_error_code_comes_as_text_and_as_a_number() {
    let all: Vec<ErrorBody> = answers("error");
    let codes: Vec<_> = all.iter().map(ErrorBody::code).collect();
    use ErrorCode::*;
    assert_eq!(codes, [SessionNotFound, TooManyPolls, Unknown(9999), Internal]);
    assert_eq!(all[0].error_message, "Chat session not found");
}

#[test]
fn every_published_code_is_known_once() {
    let published = [
        1000, 2000, 2001, 2002, 2003, 2004, 3000, 5000, 5001, 5003, 5004, 5005, 5006, 5500, 5501, 5502, 5509, 5511,
        5558, 5955,
    ];
    assert_eq!(ErrorCode::ALL.iter().map(|c| c.code()).collect::<Vec<_>>(), published);
    for code in published {
        assert_eq!(ErrorCode::from(code).code(), code);
        assert!(!matches!(ErrorCode::from(code), ErrorCode::Unknown(_)));
    }
}

#[test]
fn timestamps_in_seconds_and_milliseconds_mean_the_same() {
    let at = |v: Value| match serde_json::from_value(json!({"event": "chat_session_typing", "timestamp": v})).unwrap() {
        ServerEvent::Typing(t) => t.timestamp.map(Timestamp::as_millis),
        other => panic!("{other:?}"),
    };
    for v in [json!("1700000000"), json!(1_700_000_000), json!("1700000000000"), json!(1_700_000_000_000_u64)] {
        assert_eq!(at(v), Some(1_700_000_000_000));
    }
    assert_eq!(at(json!("soon")), None);
}

#[test]
fn both_spellings_of_the_inactivity_timeout_are_one_event() {
    for name in ["chat_session_inactivity_timeout", "chat_session_inactvity_timeout"] {
        let event = serde_json::from_value(json!({"event": name, "msg": "closed"})).unwrap();
        assert!(matches!(event, ServerEvent::InactivityTimeout(t) if t.msg == "closed"));
    }
}

#[test]
fn signaling_data_is_read_as_text_and_as_object_and_sent_as_object() {
    let read = |data: Value| match serde_json::from_value(json!({"event": "chat_session_signaling", "data": data})) {
        Ok(ServerEvent::Signaling(s)) => s.data,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(json!(r#"{"type":"END_CALL"}"#)), read(json!({"type": "END_CALL"})));
    assert!(serde_json::to_value(Signal::end_call()).unwrap().is_object());
}

#[test]
fn signaling_data_that_is_neither_keeps_the_event_raw() {
    for data in [json!(5), json!(null), json!("no json"), json!("[1]"), json!([])] {
        let shape = json!({"event": "chat_session_signaling", "party_id": "a", "data": data});
        let event: ServerEvent = serde_json::from_value(shape.clone()).unwrap();
        assert!(matches!(event, ServerEvent::Unknown(_)));
        assert_eq!(serde_json::to_value(event).unwrap(), shape);
    }
}

#[test]
fn a_candidate_without_type_is_recognised() {
    let signal = Signal::from_data(json!({"candidate": "candidate:1", "sdpMid": 0, "sdpMLineIndex": "1"})).unwrap();
    let Signal::IceCandidate(c) = signal else { panic!("{signal:?}") };
    assert_eq!((c.candidate.as_str(), c.sdp_mid.as_deref(), c.sdp_mline_index), ("candidate:1", Some("0"), Some(1)));
}

#[test]
fn a_session_description_may_be_wrapped_as_browsers_do() {
    let signal = Signal::from_data(json!({"type": "OFFER_CALL", "sdp": {"type": "offer", "sdp": "v=0"}})).unwrap();
    assert!(matches!(signal, Signal::OfferCall(o) if o.sdp == "v=0"));
}

#[test]
fn a_form_keeps_fields_that_are_not_published() {
    let shape =
        json!({"event": "chat_session_form_show", "form_request_id": 12, "channel": "chat", "fields": [{"a": 1}]});
    let event: ServerEvent = serde_json::from_value(shape.clone()).unwrap();
    assert!(matches!(&event, ServerEvent::FormShow(f) if f.form_request_id.as_deref() == Some("12")));
    assert_eq!(serde_json::to_value(event).unwrap(), shape);
}

#[test]
fn a_known_field_that_cannot_be_read_is_kept() {
    let shape = json!({"event": "chat_session_typing", "party_id": "a", "timestamp": {"at": "noon"}});
    let event: ServerEvent = serde_json::from_value(shape.clone()).unwrap();
    assert!(matches!(event, ServerEvent::Typing(_)));
    assert_eq!(serde_json::to_value(event).unwrap(), shape);
}

#[test]
fn whole_numbers_are_written_without_a_fraction() {
    let shape = json!({"event": "chat_session_form_show", "form_timeout": "60"});
    let event: ServerEvent = serde_json::from_value(shape).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"event":"chat_session_form_show","form_timeout":60}"#);
}

#[test]
fn form_data_is_in_no_debug_text() {
    for event in ["chat_session_form_data", "chat_session_secure_form_data"] {
        for data in [json!({"card": "4111"}), json!("4111")] {
            let event: ClientEvent = serde_json::from_value(json!({"event": event, "data": data})).unwrap();
            assert!(!format!("{event:?}").contains("4111"));
        }
    }
    let raw: Map<_, _> =
        [("event".to_owned(), json!("later")), ("card".to_owned(), json!("4111"))].into_iter().collect();
    assert!(!format!("{:?}", ServerEvent::Unknown(raw)).contains("4111"));
}
