#![allow(clippy::unwrap_used)]

use super::call::{CallTrouble, MediaPlan, OnWay};
use super::plan::{Change, Concerns, Faults, Instead, Strike};
use super::*;
use crate::api::ErrorCode;
use crate::api::signaling::{IceCandidate, Signal};
use serde_json::{Value, json};
use std::time::Duration;

const T0: Duration = Duration::ZERO;

fn faults(specs: &[&str]) -> Faults {
    Faults::new(specs.iter().map(|s| s.parse().unwrap()).collect(), 1)
}

fn instead(faults: &mut Faults, method: ApiMethod) -> Option<Instead> {
    faults.request(method, Concerns::default(), T0).instead
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_fault_strikes_its_method_as_often_as_ordered() {
    let mut faults = faults(&["poll:5000:2"]);
    assert_eq!(instead(&mut faults, ApiMethod::History), None);
    let expected = Some(Instead::Code(ErrorCode::ServerTimeout));
    assert_eq!(instead(&mut faults, ApiMethod::Poll), expected);
    assert_eq!(instead(&mut faults, ApiMethod::Poll), expected);
    assert_eq!(instead(&mut faults, ApiMethod::Poll), None);
}

#[test]
fn a_fault_without_end_strikes_every_method() {
    let mut faults = faults(&["any:html:*"]);
    for &method in ApiMethod::ALL {
        assert_eq!(instead(&mut faults, method), Some(Instead::Html));
    }
}

#[test]
fn orders_for_one_method_strike_one_after_the_other() {
    let mut faults = faults(&["poll:5000", "poll:html"]);
    assert_eq!(instead(&mut faults, ApiMethod::Poll), Some(Instead::Code(ErrorCode::ServerTimeout)));
    assert_eq!(instead(&mut faults, ApiMethod::Poll), Some(Instead::Html));
    assert_eq!(instead(&mut faults, ApiMethod::Poll), None);
}

#[test]
fn a_fault_can_be_for_the_nth_time_or_each_nth_time() {
    let strikes = |spec: &str| -> Vec<u32> {
        let mut faults = faults(&[spec]);
        (1..=10).filter(|_| instead(&mut faults, ApiMethod::Poll).is_some()).collect()
    };
    assert_eq!(strikes("poll:reset:nth=3"), [3]);
    assert_eq!(strikes("poll:reset:every=4"), [4, 8]);
    assert_eq!(strikes("poll:reset:after=7"), [8]);
    assert_eq!(strikes("poll:reset:after=7:*"), [8, 9, 10]);
}

#[test]
fn a_share_is_drawn_from_the_seed() {
    let strikes = |seed| -> Vec<bool> {
        let mut faults = Faults::new(vec!["poll:reset:30%".parse().unwrap()], seed);
        (0..1000).map(|_| instead(&mut faults, ApiMethod::Poll).is_some()).collect()
    };
    let count = strikes(1).into_iter().filter(|struck| *struck).count();
    assert!((250..350).contains(&count), "{count}");
    assert_eq!(strikes(1), strikes(1));
    assert_ne!(strikes(1), strikes(2));
}

#[test]
fn a_further_order_does_not_change_what_the_first_draws() {
    let first = |specs: &[&str]| -> Vec<Duration> {
        let mut faults = faults(specs);
        (0..20).map(|_| faults.request(ApiMethod::Poll, Concerns::default(), T0).delay).collect()
    };
    assert_eq!(first(&["poll:delay=0ms-1s:*"]), first(&["poll:delay=0ms-1s:*", "history:delay=0ms-1s:*"]));
}

#[test]
fn a_fault_can_be_for_one_client_chat_or_agent() {
    let who = Concerns { client: Some("c"), chat: Some("t"), agent: Some("Ada") };
    for (spec, fits) in [
        ("poll:html:client=c", true),
        ("poll:html:client=d", false),
        ("poll:html:chat=t", true),
        ("poll:html:chat=u", false),
        ("poll:html:agent=Ada:client=c", true),
        ("poll:html:agent=Ben:client=c", false),
    ] {
        assert_eq!(faults(&[spec]).request(ApiMethod::Poll, who, T0).instead.is_some(), fits, "{spec}");
    }
}

#[test]
fn a_storm_strikes_all_for_its_time() {
    let mut faults = faults(&["any:storm=5s:after=1:1"]);
    let at = |faults: &mut Faults, now| faults.request(ApiMethod::Poll, Concerns::default(), now).instead;
    assert_eq!(at(&mut faults, s(0)), None);
    let mut seen: Vec<u16> = Vec::new();
    for n in 0..40 {
        let Some(Instead::Status(status)) = at(&mut faults, s(1) + Duration::from_millis(120 * n)) else {
            panic!("{n}")
        };
        seen.push(status);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [500, 502, 503, 504]);
    assert_eq!(at(&mut faults, s(6)), None);
}

#[test]
fn delays_are_within_their_range_and_add_up_to_what_else_strikes() {
    let mut faults = faults(&["any:delay=100ms-200ms:*", "poll:cut:*", "poll:5500"]);
    let strike = faults.request(ApiMethod::Poll, Concerns::default(), T0);
    assert!((100..=200).contains(&strike.delay.as_millis()));
    assert_eq!((strike.instead, strike.changes), (Some(Instead::Code(ErrorCode::Internal)), vec![Change::Cut]));
}

#[test]
fn events_come_twice_late_or_never() {
    let answer = |faults: &mut Faults, events: &[u32]| -> Vec<Value> {
        let Strike { changes, .. } =
            faults.request(ApiMethod::Poll, Concerns { chat: Some("t"), ..Concerns::default() }, T0);
        let mut events = events.iter().map(|n| json!(n)).collect();
        faults.change_events("t", &changes, &mut events);
        events
    };
    let two = |spec: &str| {
        let mut faults = faults(&[spec]);
        let first = answer(&mut faults, &[1, 2]);
        json!([first, answer(&mut faults, &[3])])
    };
    assert_eq!(two("poll:duplicate"), json!([[1, 1, 2, 2], [3]]));
    assert_eq!(two("poll:repeat"), json!([[1, 2], [3, 1, 2]]));
    assert_eq!(two("poll:postpone"), json!([[], [3, 1, 2]]));
    assert_eq!(two("poll:lose"), json!([[], [3]]));
    let mut faults = faults(&["poll:reorder"]);
    let numbers: Vec<u32> = (0..20).collect();
    let mixed = answer(&mut faults, &numbers);
    let mut sorted: Vec<_> = mixed.iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(!sorted.is_sorted());
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..20));
}

#[test]
fn orders_are_listed_and_taken_back() {
    let mut faults = faults(&["poll:5000:3"]);
    let id = faults.add("call:no-offer".parse().unwrap());
    instead(&mut faults, ApiMethod::Poll);
    let list: Vec<_> = faults.list().into_iter().map(|o| (o.spec, o.struck)).collect();
    assert_eq!(list, [("poll:5000:3".to_owned(), 1), ("call:no-offer:1".to_owned(), 0)]);
    assert!(faults.remove(id) && !faults.remove(id));
    faults.clear();
    assert!(faults.list().is_empty());
}

#[test]
fn every_kind_listed_can_be_ordered_in_a_line_and_as_an_object() {
    for kind in FAULT_KINDS {
        let fault: Fault = kind.example.parse().unwrap_or_else(|e| panic!("{}: {e}", kind.example));
        let name = kind.form.split(['=', '[', '-']).next().unwrap();
        assert!(kind.form == "CODE" || kind.example.contains(name), "{kind:?}");
        let line: Fault = fault.to_string().parse().unwrap();
        assert_eq!(line, fault, "{fault}");
        let object = serde_json::to_value(&fault).unwrap();
        assert!(object.is_object());
        assert_eq!(serde_json::from_value::<Fault>(object).unwrap(), fault);
        assert_eq!(serde_json::from_value::<Fault>(kind.example.into()).unwrap(), fault);
        let on = match fault.kind {
            FaultKind::Http(..) => "METHOD",
            FaultKind::Call(_) => "call",
            FaultKind::Media(_) => "media",
        };
        assert_eq!(on, kind.on);
    }
}

#[test]
fn a_plan_is_read_from_json_and_written_the_same() {
    let text =
        r#"{"seed": 7, "faults": ["poll:5000:3", {"on": "media", "kind": "loss", "arg": "5%"}], "quirks": ["markup"]}"#;
    let plan: FaultPlan = serde_json::from_str(text).unwrap();
    assert_eq!((plan.seed, plan.faults.len(), plan.quirks.to_string().as_str()), (Some(7), 2, "markup"));
    let written = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<FaultPlan>(&written).unwrap(), plan);
    assert_eq!(serde_json::from_str::<FaultPlan>("{}").unwrap(), FaultPlan::default());
    for nonsense in [r#"{"fault": []}"#, r#"{"faults": ["fax:1"]}"#, r#"{"quirks": ["colour"]}"#, "[]x"] {
        assert!(serde_json::from_str::<FaultPlan>(nonsense).is_err(), "{nonsense}");
    }
}

#[test]
fn every_published_code_can_be_ordered() {
    for code in ErrorCode::ALL {
        let fault: Fault = format!("any:{}", code.code()).parse().unwrap();
        assert_eq!(fault.kind, FaultKind::Http(None, HttpFault::Code(*code)));
    }
}

#[test]
fn once_is_what_is_meant_without_a_word_but_a_bad_line_stays() {
    let count = |spec: &str| spec.parse::<Fault>().unwrap().when.count;
    assert_eq!(count("poll:html"), Some(1));
    assert_eq!(count("call:no-offer"), Some(1));
    assert_eq!((count("poll:html:5%"), count("poll:html:every=2"), count("media:no-ice")), (None, None, None));
    assert_eq!((count("poll:html:5%:2"), count("media:no-ice:1")), (Some(2), Some(1)));
}

#[test]
fn nonsense_orders_are_refused() {
    for spec in [
        "",
        "poll",
        "poll:9",
        "poll:5000:0",
        "poll:5000:x",
        "poll:5000=1",
        "fax:5000",
        "poll:status=99",
        "poll:delay",
        "poll:delay=2s-1s",
        "poll:delay=1e99",
        "poll:delay=-1",
        "poll:html:101%",
        "poll:html:nth=0",
        "poll:html:every=0",
        "poll:html:colour=red",
        "poll:html:client=",
        "poll:content-type=\n",
        "call:html",
        "call:late-offer",
        "media:loss",
        "media:loss=5",
        "media:loss=5%x0",
        "media:loss=100%x2",
        "media:loss=NaN%",
        "media:no-ice-in",
        "media:jitter-sideways=5ms",
    ] {
        assert!(spec.parse::<Fault>().is_err(), "{spec}");
    }
    for object in [
        json!({"on": "poll"}),
        json!({"on": "poll", "kind": "html", "count": 0}),
        json!({"on": "poll", "kind": "html", "count": "often"}),
        json!({"on": "poll", "kind": "html", "rate": 1.5}),
        json!({"on": "poll", "kind": "html", "colour": "red"}),
        json!(7),
    ] {
        assert!(serde_json::from_value::<Fault>(object.clone()).is_err(), "{object}");
    }
}

const SDP: &str =
    "v=0\r\nm=audio 9 X 111\r\na=fingerprint:sha-256 0A:FF\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n";

fn candidate() -> Signal {
    IceCandidate { candidate: "candidate:1".into(), ..Default::default() }.into()
}

/// What becomes of an offer and what follows it, from a line with these faults.
fn offered(specs: &[&str], then: &[Signal]) -> (CallTrouble, Vec<OnWay>, Option<MediaPlan>, Option<Duration>) {
    let (mut faults, mut call) = (faults(specs), CallTrouble::default());
    let mut disturbed = call.outgoing(&mut faults, Concerns::default(), Some(1), Signal::offer_call(SDP, false), T0);
    for signal in then {
        disturbed
            .messages
            .extend(call.outgoing(&mut faults, Concerns::default(), Some(1), signal.clone(), T0).messages);
    }
    (call, disturbed.messages, disturbed.media, disturbed.end_after)
}

fn names(messages: &[OnWay]) -> Vec<(&str, u64)> {
    messages.iter().map(|m| (m.signal.name(), m.after.as_millis() as u64)).collect()
}

#[test]
fn without_faults_signaling_passes_as_it_is() {
    let (_, messages, media, end) = offered(&[], &[candidate(), Signal::end_call()]);
    let expected = [Signal::offer_call(SDP, false), candidate(), Signal::end_call()];
    assert!(messages.iter().all(|m| m.after.is_zero() && m.party.is_none()));
    assert!(messages.into_iter().map(|m| m.signal).eq(expected));
    assert_eq!((media, end), (None, None));
}

#[test]
fn each_fault_of_a_call_changes_what_the_client_gets() {
    let end = Signal::end_call;
    type Case<'a> = (&'a str, Signal, &'a [(&'a str, u64)]);
    let cases: &[Case] = &[
        ("call:late-offer=3s", candidate(), &[("OFFER_CALL", 3000), ("ICE_CANDIDATE", 3000)]),
        ("call:no-offer", candidate(), &[("ICE_CANDIDATE", 0)]),
        ("call:double-offer", end(), &[("OFFER_CALL", 0), ("OFFER_CALL", 0), ("END_CALL", 0)]),
        ("call:offer-after-reject", end(), &[("CALL_REJECTED", 0), ("OFFER_CALL", 0), ("END_CALL", 0)]),
        ("call:end-before-offer", end(), &[("END_CALL", 0), ("OFFER_CALL", 0), ("END_CALL", 0)]),
        ("call:double-end", end(), &[("OFFER_CALL", 0), ("END_CALL", 0), ("END_CALL", 0)]),
        ("call:no-end", end(), &[("OFFER_CALL", 0)]),
        ("call:candidates-first=1s", candidate(), &[("OFFER_CALL", 1000), ("ICE_CANDIDATE", 0)]),
        ("call:garbage-candidates", candidate(), &[("OFFER_CALL", 0), ("ICE_CANDIDATE", 0), ("ICE_CANDIDATE", 0)]),
        ("call:no-candidates", candidate(), &[("OFFER_CALL", 0)]),
        ("call:unknown-signal", end(), &[("CALL_PROGRESS", 0), ("OFFER_CALL", 0), ("END_CALL", 0)]),
        ("media:no-ice", candidate(), &[("OFFER_CALL", 0)]),
    ];
    for (spec, then, expected) in cases {
        let (_, messages, ..) = offered(&[spec], std::slice::from_ref(then));
        assert_eq!(names(&messages), *expected, "{spec}");
    }
}

#[test]
fn a_description_can_be_spoilt() {
    let sdp = |spec: &str| {
        let (_, messages, ..) = offered(&[spec], &[]);
        let Signal::OfferCall(offer) = &messages[0].signal else { panic!("{messages:?}") };
        offer.sdp.clone()
    };
    assert_eq!(sdp("call:empty-sdp"), "");
    assert_eq!(sdp("call:truncated-sdp"), SDP[..SDP.len() / 2]);
    assert!(!sdp("call:garbage-sdp").contains("fingerprint"));
    assert_eq!(sdp("media:bad-fingerprint"), SDP.replace("0A:FF", "F5:00"));
    assert!(!sdp("media:no-ice").contains("candidate"));
}

#[test]
fn a_call_without_ice_hears_nothing_of_the_clients_candidates_either() {
    let (call, ..) = offered(&["media:no-ice"], &[]);
    assert_eq!(call.incoming(candidate()), None);
    let Some(Signal::AnswerCall(answer)) = call.incoming(Signal::answer_call(SDP)) else { panic!() };
    assert!(!answer.sdp.contains("candidate") && answer.sdp.contains("fingerprint"));
    assert_eq!(CallTrouble::default().incoming(candidate()), Some(candidate()));
}

#[test]
fn a_call_can_end_at_each_point() {
    assert_eq!(offered(&["call:end-after-offer=2s"], &[]).3, Some(s(2)));
    let (call, ..) = offered(&["call:end-after-answer", "call:end-after-connect=1s"], &[]);
    assert_eq!((call.end_after_answer(), call.end_after_connect()), (Some(T0), Some(s(1))));
}

#[test]
fn messages_can_come_from_somebody_else() {
    for spec in ["call:wrong-party", "call:scenario-party"] {
        let (_, messages, ..) = offered(&[spec], &[candidate()]);
        assert!(messages.len() == 2 && messages.iter().all(|m| m.party.is_some()), "{spec}");
    }
}

#[test]
fn the_next_call_draws_faults_of_its_own_and_a_renegotiation_none() {
    let (mut faults, mut call) = (faults(&["call:double-offer"]), CallTrouble::default());
    let mut offer = |peer| {
        let signal = Signal::offer_call(SDP, false);
        call.outgoing(&mut faults, Concerns::default(), Some(peer), signal, T0).messages.len()
    };
    assert_eq!([offer(1), offer(1), offer(2)], [2, 1, 1]);
}

#[test]
fn what_is_wrong_with_each_way_of_a_line_adds_up() {
    let (_, _, media, _) = offered(&["media:loss-in=5%x3", "media:delay=50ms", "media:stop-out=2s"], &[]);
    let media = media.unwrap();
    let (to_agent, to_customer) = (media.incoming.unwrap(), media.outgoing.unwrap());
    use chatphone_media::lab::Loss;
    assert_eq!(to_agent.network.loss, Loss::Bursts { rate: 0.05, mean_length: 3.0 });
    assert_eq!((to_customer.network.loss, to_customer.stop, to_agent.stop), (Loss::None, Some(s(2)), None));
    assert_eq!([to_agent.network.delay, to_customer.network.delay], [Duration::from_millis(50); 2]);
    assert_ne!(to_agent.network.seed, to_customer.network.seed);
}

proptest::proptest! {
    #[test]
    fn any_line_is_read_or_refused_without_a_panic(
        line in "((poll|any|call|media):)?[a-z-]{0,16}(=[0-9a-z%.-]{0,8})?(:[a-z0-9=%*.-]{0,9}){0,3}",
    ) {
        if let Ok(fault) = line.parse::<Fault>() {
            proptest::prop_assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
        }
    }
}

#[test]
fn a_storm_for_one_client_spares_the_others() {
    let mut faults = faults(&["any:storm=5s:client=a"]);
    let mut of = |client| {
        let who = Concerns { client: Some(client), ..Concerns::default() };
        faults.request(ApiMethod::Poll, who, T0).instead.is_some()
    };
    assert_eq!([of("a"), of("b"), of("a")], [true, false, true]);
}
