//! Every kind of finding, and the words for it.
#![allow(clippy::unwrap_used)]

use super::{Audience, Judgement, judge};
use crate::api::{ApiError, ErrorCode, Operation};
use crate::check::ask::{Granted, NotGranted};
use crate::check::finding::*;
use crate::check::gather::{Found, Gathered};
use crate::check::path::media_path;
use crate::check::step::{StepName, Verdict};
use crate::check::url::ServerUrl;
use std::time::Duration;

const DAY: i64 = 24 * 3600;
/// 2026-11-22.
const NOW: i64 = 1_795_305_600;

fn of(name: StepName, finding: Finding) -> Judgement {
    judge(&Probed { name, took: Duration::from_millis(12), finding })
}

fn center() -> Endpoint {
    Endpoint { host: "cc.example".into(), port: 443, protocol: Protocol::Tls }
}

/// Whom there is something to tell.
fn told(judged: &Judgement) -> Vec<Audience> {
    let mut told: Vec<_> = judged.advice.iter().map(|advice| advice.to).collect();
    told.sort_unstable();
    told.dedup();
    told
}

use Audience::{ContactCenter, Here, NetworkDepartment};

#[test]
fn an_unknown_name_is_for_the_network_department_and_for_whoever_typed_it() {
    let found = Err(NoConnection::NoName("no such host".into()));
    let judged = of(StepName::Dns, Finding::Dns { host: "cc.example".into(), found });
    assert_eq!(judged.verdict, Verdict::Failed);
    assert_eq!(told(&judged), [NetworkDepartment, Here]);
    assert!(judged.advice.iter().any(|a| a.text == "DNS must resolve cc.example from this network."));
}

#[test]
fn what_a_firewall_is_to_let_through_is_named_with_host_port_protocol_and_direction() {
    for reason in [NoConnection::TimedOut, NoConnection::Refused, NoConnection::Other("odd".into())] {
        let finding = Finding::Tcp { with: center(), proxy: false, found: Err(reason), broken_v6: false };
        let judged = of(StepName::Tcp, finding);
        assert_eq!(judged.verdict, Verdict::Failed);
        let allow = judged.advice.iter().find_map(|a| a.allow.clone()).unwrap();
        assert_eq!((allow.direction, allow.to), ("outbound", center()));
    }
    // Without a network there is no firewall to blame.
    let finding = Finding::Tcp { with: center(), proxy: false, found: Err(NoConnection::NoRoute), broken_v6: false };
    assert_eq!(told(&of(StepName::Tcp, finding)), [Here]);
    // A proxy is the network department's.
    let found = Err(NoConnection::Refused);
    let judged = of(StepName::Tcp, Finding::Tcp { with: center(), proxy: true, found, broken_v6: false });
    assert_eq!(told(&judged), [NetworkDepartment]);
}

#[test]
fn ipv6_that_does_not_work_is_a_warning() {
    let found = Ok("192.0.2.1:443".parse().unwrap());
    let judged = of(StepName::Tcp, Finding::Tcp { with: center(), proxy: false, found, broken_v6: true });
    assert_eq!((judged.verdict, told(&judged)), (Verdict::Warning, vec![NetworkDepartment]));
}

fn certificate() -> Certificate {
    Certificate {
        subject: "cc.example".into(),
        issuer: "Acme Inspection".into(),
        not_before: NOW - 30 * DAY,
        not_after: NOW + 30 * DAY,
    }
}

fn tls(found: Result<String, NoTrust>, certificate: Certificate) -> Judgement {
    of(StepName::Tls, Finding::Tls { with: center(), found, certificate: Some(certificate), now: NOW })
}

#[test]
fn an_unknown_issuer_is_most_likely_an_inspecting_proxy() {
    let judged = tls(Err(NoTrust::UnknownIssuer), certificate());
    assert_eq!(judged.verdict, Verdict::Failed);
    assert!(judged.message.contains("\"Acme Inspection\"") && judged.message.contains("proxy"), "{}", judged.message);
    assert!(judged.advice.iter().any(|a| a.to == Here && a.text.contains("--ca-file")));
    assert!(judged.advice.iter().any(|a| a.to == NetworkDepartment && a.text.contains("inspect")));
}

#[test]
fn each_fault_of_tls_is_told_to_who_can_mend_it() {
    let expired = Certificate { not_after: NOW - DAY, ..certificate() };
    let future = Certificate { not_before: NOW + DAY, ..certificate() };
    let cases = [
        (NoTrust::Expired, expired, "ended on 2026-11-21", vec![ContactCenter, Here]),
        (NoTrust::NotYetValid, future, "begins on 2026-11-23", vec![Here]),
        (NoTrust::WrongName, certificate(), "another name", vec![NetworkDepartment, Here]),
        (NoTrust::NoTls, certificate(), "does not speak TLS", vec![NetworkDepartment, Here]),
        (NoTrust::TimedOut, certificate(), "says nothing", vec![NetworkDepartment]),
        (NoTrust::Proxy(407), certificate(), "user name and password", vec![NetworkDepartment, Here]),
        (NoTrust::Proxy(403), certificate(), "proxy refuses", vec![NetworkDepartment]),
        (NoTrust::Other("odd".into()), certificate(), "odd", vec![]),
    ];
    for (fault, certificate, words, whom) in cases {
        let judged = tls(Err(fault.clone()), certificate);
        assert_eq!((judged.verdict, told(&judged)), (Verdict::Failed, whom), "{fault:?}");
        assert!(judged.message.contains(words), "{fault:?}: {}", judged.message);
    }
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    assert_eq!(tls(Ok("TLS 1.3".into()), certificate()).verdict, Verdict::Ok);
    let soon = Certificate { not_after: NOW + 3 * DAY, ..certificate() };
    let judged = tls(Ok("TLS 1.3".into()), soon);
    assert_eq!((judged.verdict, told(&judged)), (Verdict::Warning, vec![ContactCenter]));
    assert_eq!(judged.details["certificate"]["not_after"], "2026-11-25");
}

#[test]
fn a_clock_is_wrong_when_it_is_more_than_five_minutes_off() {
    for (ahead, verdict) in [
        (None, Verdict::Ok),
        (Some(0), Verdict::Ok),
        (Some(300), Verdict::Ok),
        (Some(301), Verdict::Warning),
        (Some(-7200), Verdict::Warning),
    ] {
        assert_eq!(of(StepName::Clock, Finding::Clock(ahead)).verdict, verdict, "{ahead:?}");
    }
    assert_eq!(of(StepName::Clock, Finding::Clock(Some(-7200))).message, "this machine's clock is 2h behind");
}

#[test]
fn a_page_in_place_of_the_contact_center_is_a_sign_in_page() {
    let faults = [
        NoAnswer::Page { status: 200, title: Some("Hotel".into()) },
        NoAnswer::Page { status: 403, title: None },
        NoAnswer::Redirect("http://portal.example/".into()),
    ];
    for fault in faults {
        let judged = of(StepName::Http, Finding::Http { host: "cc.example".into(), found: Err(fault.clone()) });
        assert_eq!((judged.verdict, told(&judged)), (Verdict::Failed, vec![NetworkDepartment, Here]), "{fault:?}");
        assert_eq!(judged.details["captive_portal"], true);
        assert!(judged.advice.iter().any(|a| a.text.contains("sign in")));
    }
    for fault in [NoAnswer::ProxyPassword, NoAnswer::Broken("odd".into()), NoAnswer::TimedOut] {
        let judged = of(StepName::Http, Finding::Http { host: "cc.example".into(), found: Err(fault.clone()) });
        assert_eq!(judged.verdict, Verdict::Failed, "{fault:?}");
        assert!(judged.details.get("captive_portal").is_none() && !judged.advice.is_empty(), "{fault:?}");
    }
}

fn refused(code: ErrorCode) -> Judgement {
    let error = ApiError::Status {
        retry_after: None,
        operation: Operation::CheckAvailability,
        host: "cc.example".into(),
        status: code.http_status(),
        code: Some(code),
        message: String::new(),
    };
    of(StepName::Api, Finding::Api(Err(error)))
}

#[test]
fn each_refusal_of_the_api_names_the_setting_that_is_wrong() {
    use ErrorCode::*;
    for (code, words) in [
        (InvalidTenantUrl, "--tenant"),
        (AppIdMissing, "--app-id"),
        (InvalidApplication, "--app-id"),
        (ApplicationNotFound, "--app-id"),
        (ClientIdMissing, "--client-id"),
        (AuthorizationMissing, "Authorization header"),
        (AuthorizationFormat, "Authorization header"),
        (AuthorizationScheme, "Authorization header"),
        (NoServer, "chat servers"),
        (Internal, "chat servers"),
    ] {
        let judged = refused(code);
        assert_eq!(judged.verdict, Verdict::Failed);
        assert!(judged.advice.iter().any(|a| a.text.contains(words)), "{code:?}: {:?}", judged.advice);
        assert_eq!(judged.details["error_code"], code.code());
    }
    assert!(ErrorCode::ALL.iter().all(|code| !refused(*code).advice.is_empty()));
}

#[test]
fn closed_hours_are_a_warning_in_words() {
    let hours = |open, word: &str| of(StepName::Hours, Finding::Hours { open, word: word.into(), wait_s: Some(30.0) });
    let closed = hours(false, "notAvailable");
    assert_eq!(closed.verdict, Verdict::Warning);
    assert!(closed.message.starts_with("closed now"), "{}", closed.message);
    assert_eq!(hours(true, "available").message, "open, expected wait 30 s");
}

#[test]
fn slow_answers_are_a_warning() {
    let times =
        |ms: &[u64]| of(StepName::Latency, Finding::Latency(ms.iter().copied().map(Duration::from_millis).collect()));
    assert_eq!(times(&[10, 20, 3000]).verdict, Verdict::Ok);
    assert_eq!(times(&[10, 20, 3000]).message, "20 ms (median of 3, worst 3000 ms)");
    assert_eq!(times(&[600, 700, 800]).verdict, Verdict::Warning);
    assert_eq!(times(&[]).verdict, Verdict::Failed);
}

/// A server that a peer got this from, and that said so when it was asked.
fn server(url: &str, candidate: bool, asked: Result<(), NotGranted>) -> ServerFound {
    let url = ServerUrl::parse(url).unwrap();
    let found = candidate.then(|| Found { address: "203.0.113.1:5000".into(), after: Duration::from_millis(20) });
    let (srflx, relay) = if url.is_turn() { (None, found) } else { (found, None) };
    let gathered = Gathered { hosts: vec![[192, 0, 2, 5].into()], srflx, relay };
    let mapped = Some("203.0.113.1:5000".parse().unwrap());
    let granted = |()| Granted { mapped, relayed: None, lifetime: Some(Duration::from_secs(600)) };
    ServerFound { url, gathered, asked: asked.map(granted) }
}

const SILENT: Result<(), NotGranted> = Err(NotGranted::NoConnection(NoConnection::TimedOut));

#[test]
fn each_fault_of_a_server_is_told_to_who_can_mend_it() {
    let cases = [
        (NotGranted::NoConnection(NoConnection::NoName("odd".into())), "name is not known", vec![NetworkDepartment]),
        // What is silent is told by all servers together.
        (NotGranted::NoConnection(NoConnection::TimedOut), "no answer", vec![]),
        (NotGranted::NoConnection(NoConnection::Refused), "nobody listens", vec![]),
        (NotGranted::NoConnection(NoConnection::NoRoute), "no way there", vec![]),
        (NotGranted::NoConnection(NoConnection::Other("odd".into())), "odd", vec![]),
        (NotGranted::NoTrust(NoTrust::UnknownIssuer), "does not trust", vec![NetworkDepartment, Here]),
        (NotGranted::NoTrust(NoTrust::Expired), "has ended", vec![ContactCenter]),
        (NotGranted::NoTrust(NoTrust::WrongName), "another name", vec![ContactCenter]),
        (NotGranted::NoTrust(NoTrust::NoTls), "does not speak TLS", vec![ContactCenter]),
        (NotGranted::NoTrust(NoTrust::Proxy(403)), "the proxy refuses the way", vec![NetworkDepartment]),
        (NotGranted::NoTrust(NoTrust::Proxy(407)), "wants a user name and password", vec![NetworkDepartment, Here]),
        (NotGranted::NoCredentials, "none were given", vec![ContactCenter]),
        (NotGranted::Credentials(401), "does not take the user name and password", vec![ContactCenter]),
        (NotGranted::Stun(486, "Allocation Quota Reached".into()), "486 Allocation Quota", vec![ContactCenter]),
        (NotGranted::NoStun, "no STUN or TURN server", vec![NetworkDepartment]),
    ];
    for (fault, words, whom) in cases {
        let found = server("turns:a.example", false, Err(fault.clone()));
        let judged = of(StepName::IceServer, Finding::IceServer(Box::new(found)));
        assert_eq!((judged.verdict, told(&judged)), (Verdict::Failed, whom), "{fault:?}");
        assert!(judged.message.contains(words), "{fault:?}: {}", judged.message);
    }
}

#[test]
fn what_a_call_would_get_counts_more_than_what_the_server_says() {
    let judge = |found| of(StepName::IceServer, Finding::IceServer(Box::new(found)));
    // Through a proxy, which only calls know.
    assert_eq!(judge(server("turns:a.example", true, SILENT)).verdict, Verdict::Ok);
    let useless = judge(server("turn:a.example", false, Ok(())));
    assert_eq!(useless.verdict, Verdict::Failed);
    assert!(useless.message.contains("a call gets nothing"), "{}", useless.message);
    let works = judge(server("turn:a.example", true, Ok(())));
    assert_eq!(works.message, "relays from 203.0.113.1:5000 after 20 ms");
    assert_eq!(works.details["lifetime_s"], 600);
}

fn path(servers: &[ServerFound]) -> Judgement {
    let path = media_path(&servers.iter().collect::<Vec<_>>(), false);
    of(StepName::MediaPath, Finding::MediaPath(path))
}

#[test]
fn blocked_udp_is_known_by_what_answers_over_tcp() {
    let udp = || server("turn:a.example", false, SILENT);
    let judged = path(&[server("stun:a.example", false, SILENT), udp(), server("turns:a.example:443", true, Ok(()))]);
    assert_eq!(judged.verdict, Verdict::Warning);
    assert_eq!(
        judged.message,
        "UDP is blocked: calls go through a relay over TLS, and stutter more where packets are lost"
    );
    let texts: Vec<String> = judged.advice.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["Tell your network department: allow UDP to a.example port 3478, outbound, and the answers to it (sound of \
             calls, the best way)."],
        "the same endpoint is named once"
    );
    // The relay over TCP answers, but a call gets nothing of it.
    let judged = path(&[udp(), server("turns:a.example:443", false, Ok(()))]);
    assert_eq!(judged.verdict, Verdict::Failed);
    assert!(judged.message.starts_with("UDP is blocked"), "{}", judged.message);
}

#[test]
fn when_nothing_answers_everything_is_to_be_opened() {
    let servers =
        ["turn:a.example", "turn:a.example?transport=tcp", "turns:a.example:443"].map(|url| server(url, false, SILENT));
    let judged = path(&servers);
    assert_eq!(judged.verdict, Verdict::Failed);
    let opened: Vec<_> = judged.advice.iter().map(|a| a.allow.clone().unwrap().to).collect();
    let wanted = [(3478, Protocol::Udp), (3478, Protocol::Tcp), (443, Protocol::Tls)];
    assert_eq!(opened.iter().map(|e| (e.port, e.protocol)).collect::<Vec<_>>(), wanted);
}

#[test]
fn one_silent_server_among_others_is_for_the_contact_center() {
    let judged = path(&[server("turn:a.example", true, Ok(())), server("turn:b.example", false, SILENT)]);
    assert_eq!((judged.verdict, told(&judged)), (Verdict::Ok, vec![ContactCenter]));
    assert!(judged.advice[0].text.starts_with("b.example:3478 (UDP) does not answer"), "{:?}", judged.advice);
}

#[test]
fn each_state_of_the_way_for_sound_has_its_verdict() {
    let (stun, turn) =
        (|works| server("stun:a.example", works, Ok(())), |works| server("turn:a.example", works, Ok(())));
    let tcp = |asked| server("turn:a.example?transport=tcp", true, asked);
    for (servers, verdict, words) in [
        (vec![], Verdict::Warning, "without servers"),
        (vec![stun(true), turn(true)], Verdict::Ok, "a relay can be had over UDP"),
        (vec![stun(true)], Verdict::Warning, "there is no relay"),
        (vec![stun(true), turn(false)], Verdict::Warning, "there is no relay"),
        (vec![stun(true), tcp(Ok(()))], Verdict::Warning, "over TCP only"),
        (vec![tcp(Ok(()))], Verdict::Ok, "UDP was not tried"),
        (vec![server("stun:a.example", false, SILENT), tcp(Ok(()))], Verdict::Warning, "UDP is blocked"),
        (vec![server("stun:a.example", false, SILENT)], Verdict::Failed, "no STUN or TURN server"),
    ] {
        let judged = path(&servers);
        assert_eq!(judged.verdict, verdict, "{}", judged.message);
        assert!(judged.message.contains(words), "{words}: {}", judged.message);
    }
    let relay_only = media_path(&[&stun(true)], true);
    assert_eq!(of(StepName::MediaPath, Finding::MediaPath(relay_only)).verdict, Verdict::Failed);
}

#[test]
fn a_machine_without_nat_needs_no_outer_address() {
    let mut found = server("stun:a.example", false, Ok(()));
    assert!(!found.works());
    found.gathered.hosts = vec![[203, 0, 113, 1].into()];
    let judged = of(StepName::IceServer, Finding::IceServer(Box::new(found)));
    assert_eq!((judged.verdict, judged.message.as_str()), (Verdict::Ok, "sees this machine under its own address"));
}

#[test]
fn devices_that_are_missing_dead_or_silent_are_told_apart() {
    let name = || "Headset".to_owned();
    for (found, verdict, words) in [
        (DeviceFound::Works { name: name(), silent: false }, Verdict::Ok, "Headset"),
        (DeviceFound::Works { name: name(), silent: true }, Verdict::Warning, "no sound at all"),
        (DeviceFound::Dead(name()), Verdict::Failed, "no sound flows"),
        (DeviceFound::Missing("none".into()), Verdict::Failed, "no microphone can be used: none"),
    ] {
        let judged = of(StepName::Microphone, Finding::Microphone(found));
        assert_eq!(judged.verdict, verdict);
        assert!(judged.message.contains(words), "{}", judged.message);
        assert!(verdict == Verdict::Ok || told(&judged) == [Here]);
    }
    // A speaker that is given silence is not silent.
    let speaker = DeviceFound::Works { name: name(), silent: true };
    assert_eq!(of(StepName::Speaker, Finding::Speaker(speaker)).verdict, Verdict::Ok);
}

#[test]
fn a_local_network_without_addresses_or_ports_is_told() {
    let local = |addresses: &[[u8; 4]], ports| {
        let addresses = addresses.iter().map(|a| (*a).into()).collect();
        of(StepName::LocalNetwork, Finding::LocalNetwork(Ok(LocalFound { addresses, mdns: true, ports })))
    };
    assert_eq!(local(&[[192, 0, 2, 1]], None).verdict, Verdict::Ok);
    assert_eq!(local(&[], None).verdict, Verdict::Failed);
    assert_eq!(local(&[[192, 0, 2, 1]], Some((100, 101))).message, "192.0.2.1, 100 of 101 ports free");
    assert_eq!(local(&[[192, 0, 2, 1]], Some((1, 101))).verdict, Verdict::Warning);
    let broken = of(StepName::LocalNetwork, Finding::LocalNetwork(Err("no UDP socket".into())));
    assert_eq!((broken.verdict, told(&broken)), (Verdict::Failed, vec![Here]));
}

#[test]
fn a_test_call_that_did_not_come_about_says_through_what() {
    let through = Some(ServerUrl::parse("turns:a.example").unwrap());
    for (reason, words) in [
        (NoCall::NotConnected { through: through.clone() }, "did not connect through turns:a.example"),
        (NoCall::NoSound { through }, "no sound came"),
        (NoCall::NotConnected { through: None }, "inside this machine"),
        (NoCall::Setup("no thread".into()), "no thread"),
    ] {
        let judged = of(StepName::LoopbackCall, Finding::LoopbackCall(Err(reason)));
        assert_eq!(judged.verdict, Verdict::Failed);
        assert!(judged.message.contains(words), "{}", judged.message);
    }
}

#[test]
fn what_was_left_out_says_why() {
    let text = |why| of(StepName::Tls, Finding::Skipped(why));
    assert_eq!(text(Why::After(StepName::Dns)).message, "not tried: name (DNS) failed");
    assert_eq!(text(Why::NotAsked("--chat")).message, "not tried without --chat");
    assert!(
        [Why::Flag("--no-audio"), Why::PlainHttp, Why::NoServer]
            .map(text)
            .iter()
            .all(|j| j.verdict == Verdict::Skipped)
    );
}
