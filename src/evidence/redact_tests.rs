#![allow(clippy::unwrap_used)]

use super::super::record::{Candidate, CandidatePair, Event, Note, Signaling};
use super::*;
use crate::api::event::{ClientMessage, FormData};
use proptest::prelude::*;
use proptest::sample::select;

fn written(redactor: &mut Redactor, mut body: Body) -> String {
    redactor.body(&mut body);
    serde_json::to_string(&body).unwrap()
}

fn event(sent: bool, event: Value) -> Body {
    Body::Event(Event { sent, own: false, name: None, event })
}

fn http(request: Value, response: Value) -> Http {
    Http {
        operation: "Send Events".into(),
        method: "POST".into(),
        path: "/clientweb/api/v1/chats/c-1/events".into(),
        query: "tenantUrl=cc.example".into(),
        host: "cc.example".into(),
        request: Some(request),
        response: Some(response),
        ..Http::default()
    }
}

#[test]
fn what_a_record_is_for_stays() {
    let offer = json!({"type": "OFFER_CALL", "offerVideo": false, "sdp": "v=0\r\na=fingerprint:sha-256 AB:CD\r\n"});
    let list = json!({"events": [
        {"event": "chat_session_signaling", "party_id": "p-1", "msg_id": "m-1", "timestamp": 17, "data": offer},
        {"event": "chat_session_party_joined", "party_id": "p-1", "display_name": "Ann", "type": "internal"}]});
    let text = written(&mut Redactor::default(), Body::Http(Box::new(http(json!({}), list.clone()))));
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["response"], list);
    assert_eq!(read["path"], "/clientweb/api/v1/chats/c-1/events");
}

#[test]
fn message_text_gives_way_to_its_length_unless_it_is_wanted() {
    let message = json!({"event": "chat_session_message", "msg_id": "1", "msg": "my card is 4111"});
    let without = written(&mut Redactor::default(), event(true, message.clone()));
    assert!(without.contains("(15 characters)") && !without.contains("4111"), "{without}");
    let with = written(&mut Redactor::new(true, []), event(true, message));
    assert!(with.contains("my card is 4111"), "{with}");
}

#[test]
fn not_a_value_of_a_form_is_kept_even_where_text_is() {
    for kind in ["chat_session_form_data", "chat_session_secure_form_data"] {
        let form =
            json!({"event": kind, "form_request_id": "7", "form_name": "card", "data": {"pan": "4111", "cvc": 123}});
        let text = written(&mut Redactor::new(true, []), event(true, form));
        assert!(!text.contains("4111") && !text.contains("123"), "{text}");
        assert!(text.contains("\"fields\":2") && text.contains("\"form_name\":\"card\""), "{text}");
    }
}

#[test]
fn a_server_that_repeats_what_was_said_does_not_put_it_into_the_record() {
    let said = json!({"events": [{"event": "chat_session_secure_form_data", "data": {"pan": "4111222233334444"}}]});
    let answer = json!({"error_code": 5003, "error_message": "cannot read 4111222233334444"});
    let text = written(&mut Redactor::default(), Body::Http(Box::new(http(said, answer))));
    assert!(!text.contains("4111222233334444"), "{text}");
    let failed = Note {
        event: "send_failed".into(),
        fields: serde_json::from_value(json!({"message": "refused: 4111222233334444"})).unwrap(),
    };
    assert!(!written(&mut Redactor::default(), Body::Chat(failed)).contains("4111"));
}

#[test]
fn the_password_of_a_transport_has_one_stand_in() {
    let mut redactor = Redactor::default();
    let mut signal = |pwd: &str| {
        let sdp = format!("v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{pwd}\r\na=fingerprint:sha-256 AA:BB\r\n");
        written(
            &mut redactor,
            Body::Signaling(Signaling {
                sent: false,
                party_id: None,
                name: None,
                signal: "OFFER_CALL".into(),
                data: json!({ "sdp": sdp }),
            }),
        )
    };
    let (a, b, again) =
        (signal("aaaaaaaaaaaaaaaaaaaaaa"), signal("bbbbbbbbbbbbbbbbbbbbbb"), signal("aaaaaaaaaaaaaaaaaaaaaa"));
    assert!(a.contains("a=ice-pwd:redacted-1\\r\\n") && b.contains("a=ice-pwd:redacted-2\\r\\n"), "{a} {b}");
    assert_eq!(a, again);
    assert!(a.contains("a=fingerprint:sha-256 AA:BB") && a.contains("a=ice-ufrag:abcd"));
}

#[test]
fn credentials_of_a_relay_come_up_nowhere_else_either() {
    let mut redactor = Redactor::default();
    let servers =
        json!({"servers": [{"url": "turn:relay.example:3478", "username": "17:kiosk", "credential": "S3cr3t+/="}]});
    let text = written(&mut redactor, Body::Http(Box::new(http(json!({}), servers))));
    assert!(text.contains("turn:relay.example:3478") && !text.contains("S3cr3t") && !text.contains("kiosk"), "{text}");
    let outcome = json!({"problems": ["401 for 17:kiosk with S3cr3t+/="]});
    let Value::Object(outcome) = outcome else { unreachable!() };
    let text = written(&mut redactor, Body::Outcome(outcome));
    assert!(!text.contains("S3cr3t") && !text.contains("kiosk"), "{text}");
}

#[test]
fn the_events_of_the_api_are_redacted_as_they_are_sent() {
    let message: crate::api::ClientEvent = ClientMessage { msg: "hush".into(), ..Default::default() }.into();
    let data = serde_json::from_value(json!({"pan": "4111"})).unwrap();
    let form: crate::api::ClientEvent = FormData { data, ..Default::default() }.into();
    for sent in [message, form] {
        let text = written(&mut Redactor::default(), event(true, serde_json::to_value(&sent).unwrap()));
        assert!(!text.contains("hush") && !text.contains("4111"), "{text}");
    }
}

/// JSON with a secret in one of many places, below keys that anybody might choose.
fn any_json(secret: String) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(secret.clone())),
        Just(json!(format!("x {secret} y"))),
        Just(json!(null)),
        any::<i32>().prop_map(|n| json!(n)),
        Just(json!({ "a": secret })),
    ];
    let key = select(vec![
        "msg",
        "text",
        "message_text",
        "data",
        "credential",
        "username",
        "password",
        "authorization",
        "cookie",
        "file",
        "content",
        "value",
        "pan",
        "latitude",
        "title",
        "page",
        "cobrowsing_url",
        "parameters",
        "phone_number",
        "from",
        "file_name",
        "x-y",
        "fields",
        "raw",
        "servers",
        "events",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

fn planted() -> impl Strategy<Value = (String, Value, &'static str)> {
    let secret = "[A-Z0-9]{4}#[A-Za-z0-9]{4,12}";
    let name = select(vec![
        "chat_session_message",
        "chat_session_form_data",
        "chat_session_secure_form_data",
        "chat_session_file",
        "chat_session_location",
        "chat_session_navigation",
        "chat_session_unheard_of",
        "chat_session_form_show",
    ]);
    (secret, name).prop_flat_map(|(secret, name)| (Just(secret.clone()), any_json(secret), Just(name)))
}

proptest! {
    #[test]
    fn no_secret_in_any_field_of_an_event_comes_out((secret, value, name) in planted()) {
        let mut sent = json!({"event": name, "party_id": "p"});
        sent.as_object_mut().unwrap().insert("data".into(), value.clone());
        sent.as_object_mut().unwrap().insert("body".into(), value.clone());
        sent.as_object_mut().unwrap().insert("msg".into(), value);
        let text = written(&mut Redactor::default(), event(true, sent.clone()));
        prop_assert!(!text.contains(&secret), "{text}");
        // The same in the bodies of an exchange.
        let list = json!({ "events": [sent] });
        let text = written(&mut Redactor::default(), Body::Http(Box::new(http(list.clone(), list))));
        prop_assert!(!text.contains(&secret), "{text}");
    }

    #[test]
    fn a_form_comes_out_of_no_record_that_keeps_text((secret, value, _) in planted()) {
        let form = json!({"event": "chat_session_secure_form_data", "form_name": "f", "data": {"a": value}});
        let text = written(&mut Redactor::new(true, []), event(true, form.clone()));
        prop_assert!(!text.contains(&secret), "{text}");
        let text = written(&mut Redactor::new(true, []), Body::Http(Box::new(http(json!({"events": [form]}), json!({})))));
        prop_assert!(!text.contains(&secret), "{text}");
    }

    #[test]
    fn the_clients_id_comes_out_nowhere(id in "[A-Za-z0-9 /%\"\\\\=]{4,40}", before in "[a-z/]{0,5}") {
        prop_assume!(!"(redacted)".contains(id.trim()) && id.trim().len() >= 4 && id.trim() == id);
        let mixed = format!("{before}!{id}!");
        let encoded = utf8_percent_encode(&id, NON_ALPHANUMERIC).to_string();
        let all = |text: &str| -> Map<String, Value> {
            let Value::Object(map) = json!({"reason": text, "list": [text, {"deep": text}], "n": 1}) else { unreachable!() };
            map
        };
        let candidate = Candidate {
            candidate_type: "host".into(), protocol: "udp".into(), address: Some(mixed.clone()), port: 1, more: all(&mixed),
        };
        let known = json!({"event": "chat_session_status", "state": mixed, "chat_id": id, "reason": mixed});
        let signal = json!({"type": "OFFER_CALL", "sdp": format!("v=0\r\no={mixed}\r\n"), "reason": mixed});
        let bodies = [
            event(false, known.clone()),
            Body::Signaling(Signaling {
                sent: true, party_id: Some(mixed.clone()), name: Some(mixed.clone()), signal: "OFFER_CALL".into(), data: signal,
            }),
            Body::Call(Note { event: "call_ended".into(), fields: all(&mixed) }),
            Body::Outcome(all(&mixed)),
            Body::Stats(all(&id)),
            Body::CandidatePair(CandidatePair { local: candidate.clone(), remote: candidate }),
            Body::Http(Box::new(Http {
                path: format!("/a/{encoded}/b/x{encoded}"),
                query: format!("tenantUrl={encoded}&clientId={encoded}&{encoded}"),
                host: mixed.clone(),
                error: Some(mixed.clone()),
                ..http(known.clone(), known)
            })),
        ];
        let mut redactor = Redactor::new(false, [id.clone()]);
        for body in bodies {
            let mut body = body;
            redactor.body(&mut body);
            let read = serde_json::to_value(&body).unwrap();
            prop_assert!(!holds(&read, &id) && !holds(&read, &encoded), "{read}");
        }
    }
}

fn holds(value: &Value, secret: &str) -> bool {
    match value {
        Value::String(text) => text.contains(secret),
        Value::Array(list) => list.iter().any(|item| holds(item, secret)),
        Value::Object(object) => object.iter().any(|(key, item)| key.contains(secret) || holds(item, secret)),
        _ => false,
    }
}
