//! What holds for any event, any signaling message and any JSON.
#![allow(clippy::unwrap_used)]

use chatphone::api::error::ErrorBody;
use chatphone::api::filename;
use chatphone::api::signaling::Signal;
use chatphone::api::types::*;
use chatphone::api::{ClientEvent, ServerEvent};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Fields of the API and two that are not.
const FIELDS: &[&str] = &[
    "party_id",
    "msg_id",
    "msg",
    "message_text",
    "timestamp",
    "state",
    "ewt",
    "first_name",
    "display_name",
    "type",
    "form_request_id",
    "form_name",
    "form_timeout",
    "form_id",
    "data",
    "session_id",
    "file_id",
    "file_type",
    "file_name",
    "url",
    "urls",
    "latitude",
    "longitude",
    "service_name",
    "case_id",
    "ref_msg_id",
    "destination_party_id",
    "channel",
    "title",
    "page",
    "provider_type",
    "sdp",
    "sdpMid",
    "sdpMLineIndex",
    "candidate",
    "offerVideo",
    "reason_code",
    "reason",
    "number",
    "chat",
    "parameters",
    "chat_id",
    "is_new_chat",
    "phone_number",
    "events",
    "servers",
    "widgets",
    "username",
    "credential",
    "definition",
    "error_code",
    "error_message",
    "new_field",
    "überraschung",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000, 0_i32..4).prop_map(|(n, places)| Value::from(f64::from(n) / 10_f64.powi(places))),
        any::<f64>().prop_map(Value::from),
        "-?[0-9]{1,14}(\\.[0-9]{1,3})?".prop_map(Value::from),
        prop_oneof![Just("true"), Just("false"), Just("")].prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object_of(inner.clone()).prop_map(Value::Object),
            object_of(inner).prop_map(|o| Value::String(Value::Object(o).to_string())),
        ]
    })
}

fn object_of(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![8 => prop::sample::select(FIELDS).prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::vec((name, values), 0..7).prop_map(|fields| fields.into_iter().collect())
}

/// An object whose tag is mostly one of `names`.
fn tagged(tag: &'static str, names: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![
        12 => prop::sample::select(names).prop_map(Value::from),
        1 => Just(Value::from("chat_session_inactvity_timeout")),
        1 => scalar(),
    ];
    (name, object_of(json())).prop_map(move |(name, mut object)| {
        object.insert(tag.to_owned(), name);
        object
    })
}

/// Reading what was written gives the same value, and no field of the object is lost.
fn assert_round_trip<T>(object: Map<String, Value>, tag: &str) -> Result<T, TestCaseError>
where
    T: DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug,
{
    let value: T = serde_json::from_value(Value::Object(object.clone())).unwrap();
    let written = serde_json::to_value(&value).unwrap();
    let fields = written.as_object().unwrap();
    for (name, before) in &object {
        let Some(after) = fields.get(name) else {
            return Err(TestCaseError::fail(format!("{name} of {object:?} is lost in {fields:?}")));
        };
        if !FIELDS.contains(&name.as_str()) && name != tag {
            prop_assert_eq!(before, after);
        }
    }
    prop_assert_eq!(&serde_json::from_value::<T>(written.clone()).unwrap(), &value);
    prop_assert_eq!(&serde_json::to_value(&value).unwrap(), &written);
    Ok(value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_server_event_round_trips(object in tagged("event", ServerEvent::NAMES)) {
        assert_round_trip::<ServerEvent>(object, "event")?;
    }

    #[test]
    fn any_client_event_round_trips(object in tagged("event", ClientEvent::NAMES)) {
        assert_round_trip::<ClientEvent>(object, "event")?;
    }

    #[test]
    fn any_signaling_message_round_trips(object in tagged("type", Signal::NAMES)) {
        assert_round_trip::<Signal>(object, "type")?;
    }

    #[test]
    fn any_json_object_is_some_event(object in object_of(json())) {
        let event = assert_round_trip::<ServerEvent>(object.clone(), "event")?;
        prop_assert_eq!(event, ServerEvent::Unknown(object));
    }

    #[test]
    fn no_json_panics(value in json()) {
        fn read<T: DeserializeOwned + serde::Serialize>(value: &Value) {
            if let Ok(read) = serde_json::from_value::<T>(value.clone()) {
                serde_json::to_value(read).unwrap();
            }
        }
        read::<ServerEvents>(&value);
        read::<ServerEvent>(&value);
        read::<ClientEvent>(&value);
        read::<Signal>(&value);
        read::<Availability>(&value);
        read::<ExpectedParameters>(&value);
        read::<ChatRequest>(&value);
        read::<Chat>(&value);
        read::<UploadedFile>(&value);
        read::<IceServers>(&value);
        read::<WidgetConfiguration>(&value);
        read::<ErrorBody>(&value);
    }

    #[test]
    fn no_text_as_json_panics(text in ".{0,80}") {
        let _ = serde_json::from_str::<ServerEvents>(&text);
        let _ = Signal::from_data(Value::String(text));
    }

    #[test]
    fn any_text_gives_a_name_inside_its_folder(text in "[./\\\\: a-zA-Z0-9\u{0}\u{202e}<>|\"*?éCONUL]{0,300}|.{0,100}") {
        let name = filename::safe(&text, "file");
        prop_assert!(!name.is_empty() && name.len() <= 255 && !name.starts_with('.'));
        prop_assert!(!name.contains(|c: char| c.is_control() || "/\\:<>|\"*?".contains(c)));
        let path = std::path::Path::new(&name);
        prop_assert_eq!(path.components().count(), 1);
        prop_assert_eq!(path.file_name().unwrap().to_str().unwrap(), name.as_str());
        prop_assert_eq!(filename::safe(&name, "file"), name);
    }
}
