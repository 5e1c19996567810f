//! An engineer keeps evidence of a call, looks at it, and sends it on.
#![allow(clippy::unwrap_used)]

mod common;
mod evidence_support;

use assert_cmd::Command;
use chatphone::call::{CallConfig, Outcome};
use chatphone::cli::evidence;
use chatphone::evidence::ladder::{Flow, TextLayout};
use chatphone::evidence::{Body, Evidence};
use chatphone::simulator::{AgentSound, Rejection};
use common::{call, center};
use evidence_support::{Kept, kept};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn count(evidence: &Evidence, wanted: impl Fn(&Body) -> bool) -> usize {
    evidence.records.iter().filter(|record| wanted(&record.body)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_went_well_is_in_its_record_from_beginning_to_end() {
    let center = center(|_| {}).await;
    let Kept { mut plan, recorder, files } = kept(&center.base_url(), false);
    plan.duration = Some(Duration::from_millis(2500));
    let summary = call(plan).await;
    let finished = recorder.finish().unwrap();
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert!(finished.problems.is_empty() && finished.dropped == 0, "{finished:?}");

    let evidence = Evidence::read(&files.evidence).unwrap();
    assert_eq!(finished.records as usize, evidence.records.len() + 1, "and the first line");
    let asked = |operation: &str| count(&evidence, |b| matches!(b, Body::Http(h) if h.operation == operation));
    for operation in ["Check Availability", "Request Chat", "Get New Chat Events", "Send Events", "Get ICE servers"] {
        assert!(asked(operation) > 0, "{operation}");
    }
    let signals: Vec<_> = evidence
        .records
        .iter()
        .filter_map(|r| match &r.body {
            Body::Signaling(s) if s.signal != "ICE_CANDIDATE" => Some((s.sent, s.signal.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(signals[..3], [(true, "REQUEST_CALL"), (false, "OFFER_CALL"), (true, "ANSWER_CALL")]);
    let described = |b: &Body| matches!(b, Body::Signaling(s) if s.data["sdp"].as_str().is_some_and(|sdp| sdp.contains("a=fingerprint:")));
    assert_eq!(count(&evidence, described), 2, "offer and answer, whole");
    assert_eq!(count(&evidence, |b| matches!(b, Body::CandidatePair(_))), 1);
    assert!(count(&evidence, |b| matches!(b, Body::Stats(_))) >= 2);
    let first = |sent| count(&evidence, |b| matches!(b, Body::Media(m) if m.sent == sent && m.what == "first_packet"));
    assert_eq!((first(true), first(false)), (1, 1));
    let named = |name: &str| count(&evidence, |b| matches!(b, Body::Call(n) if n.event == name));
    assert_eq!((named("call_connected"), named("call_ended")), (1, 1));

    let text = TextLayout::default().show(&Flow::of(&evidence, true));
    for words in ["GET availability", "REQUEST_CALL", "OFFER_CALL", "ICE and DTLS up", "RTP begins", "call completed"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_refused_shows_by_whom_and_why() {
    let reject = Rejection { code: "486".into(), reason: "in a meeting".into() };
    let center = center(|c| c.agent.reject = Some(reject)).await;
    let Kept { plan, recorder, files } = kept(&center.base_url(), false);
    call(plan).await;
    recorder.finish().unwrap();
    center.shutdown().await;
    let flow = Flow::of(&Evidence::read(&files.evidence).unwrap(), false);
    let text = TextLayout::default().show(&flow);
    assert!(text.contains("CALL_REJECTED 486 in a meeting"), "{text}");
    assert!(text.contains("call rejected"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_call_is_in_its_files() {
    let relay = json!({"url": "turn:192.0.2.9:3478", "username": "turn-us3r", "credential": "turn-s3cret"});
    let center = center(|c| c.ice_servers = vec![serde_json::from_value(relay).unwrap()]).await;
    let Kept { plan, recorder, files } = kept(&center.base_url(), true);
    call(plan).await;
    recorder.finish().unwrap();
    center.shutdown().await;
    let record = fs::read_to_string(&files.evidence).unwrap();
    let capture = String::from_utf8_lossy(&fs::read(&files.pcap).unwrap()).into_owned();
    for file in [&record, &capture] {
        assert!(!file.contains(&files.client_id), "the client's id");
        assert!(!file.contains("turn-s3cret"), "the credential of a relay");
        assert!(!file.contains("turn-us3r"), "the user name of a relay");
        assert!(file.contains("turn:192.0.2.9:3478"), "its address stays");
    }
    let passwords = record.matches("a=ice-pwd:").count();
    assert_eq!(passwords, record.matches("a=ice-pwd:redacted-").count());
    assert!(passwords >= 2, "{passwords}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cut_off_and_came_back_shows_both() {
    let center = center(|c| {
        c.faults = vec!["call:peer-dies=1500ms".parse().unwrap()];
        c.agent.sound = AgentSound::Tone(880.0);
    })
    .await;
    let Kept { mut plan, recorder, files } = kept(&center.base_url(), false);
    plan.limits = CallConfig {
        interrupted_after: Duration::from_millis(600),
        restore_after: Duration::from_millis(900),
        restore_offer: Duration::from_millis(600),
        ..CallConfig::default()
    };
    plan.duration = Some(Duration::from_secs(5));
    let summary = call(plan).await;
    evidence::outcome(&recorder, &summary);
    recorder.finish().unwrap();
    center.shutdown().await;
    assert_eq!(summary.interruptions.restorations, 1, "{summary}");
    let text = TextLayout::default().show(&Flow::of(&Evidence::read(&files.evidence).unwrap(), false));
    for words in ["sound interrupted", "asks for the call again (1 of", "call restored after", "it was cut off once"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(text.matches("RTP begins").count(), 4, "both ways, over either connection: {text}");
}

/// A record on disk, as the command reads it.
fn recorded(lines: &str) -> tempfile::NamedTempFile {
    let header = r#"{"evidence":1,"product":"chatphone","version":"0.1.0","started":"2026-01-02T03:04:05.678Z"}"#;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{header}\n{lines}")).unwrap();
    file
}

fn ladder(file: &std::path::Path, flags: &[&str]) -> std::process::Output {
    Command::cargo_bin("chatphone").unwrap().arg("ladder").arg(file).args(flags).output().unwrap()
}

#[test]
fn a_damaged_record_is_an_error_that_names_the_line() {
    let file = recorded("{\"t_ms\":1,\"kind\":\"call\",\"event\":\"call_connected\"}\n{\"t_ms\":2,\n{}\n");
    let output = ladder(file.path(), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("{}:3: not JSON", file.path().display())), "{said}");
}

#[test]
fn a_record_whose_process_was_killed_can_be_looked_at() {
    let file = recorded("{\"t_ms\":1,\"kind\":\"call\",\"event\":\"call_connected\"}\n{\"t_ms\":2,\"ki");
    let output = ladder(file.path(), &[]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && shown.contains("ICE and DTLS up"), "{shown}");
    assert!(shown.contains("03:04:05.679") && shown.contains("breaks off"), "{shown}");
    // Killed between two lines.
    let file = recorded("{\"t_ms\":1,\"kind\":\"call\",\"event\":\"call_connected\"}\n");
    let shown = String::from_utf8(ladder(file.path(), &[]).stdout).unwrap();
    assert!(shown.contains("no outcome"), "{shown}");
}

#[test]
fn a_picture_and_a_page_are_written_where_they_are_wanted() {
    let sdp = "{\"t_ms\":1,\"kind\":\"signaling\",\"sent\":false,\"party_id\":\"p\",\"type\":\"OFFER_CALL\",\"data\":{\"sdp\":\"v=0\\r\\nm=audio 9\\r\\n\"}}\n";
    let file = recorded(sdp);
    let dir = tempfile::tempdir().unwrap();
    let (svg, html) = (dir.path().join("flow.svg"), dir.path().join("flow.html"));
    let output = ladder(file.path(), &["--svg", svg.to_str().unwrap(), "--html", html.to_str().unwrap()]);
    assert!(output.status.success() && output.stdout.is_empty());
    let (svg, html) = (fs::read_to_string(svg).unwrap(), fs::read_to_string(html).unwrap());
    assert!(svg.contains("OFFER_CALL") && svg.trim_end().ends_with("</svg>"));
    assert!(html.contains("m=audio 9") && html.contains("prefers-color-scheme:dark"));
    let shown = ladder(file.path(), &["--sdp"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("    m=audio 9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_keeps_evidence_and_shows_it() {
    let center = center(|_| {}).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("call.jsonl");
    let url = center.base_url();
    let path = file.clone();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::cargo_bin("chatphone").unwrap();
        command.args(["call", "--url", &url, "--app-id", "demo", "--client-id", "kiosk-s3cret", "--play", "silence"]);
        command.args(["--duration", "1s", "--json", "--evidence"]).arg(path).output().unwrap()
    })
    .await
    .unwrap();
    center.shutdown().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("kiosk-s3cret"), "{text}");
    // The outcome in the record is the report that was printed.
    let evidence = Evidence::read(&file).unwrap();
    let Some(Body::Outcome(outcome)) = evidence.records.last().map(|r| &r.body) else { panic!("{evidence:?}") };
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    assert_eq!(outcome["sent"], report["sent"]);
    assert_eq!(outcome["outcome"], "completed");
    let shown = ladder(&file, &["--http"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Outcome: completed"));
}

/// What a chat in a pipe leaves in its record.
async fn chatted(flags: &'static [&str]) -> String {
    let center = center(|_| {}).await;
    let dir = tempfile::tempdir().unwrap();
    let (url, path) = (center.base_url(), dir.path().join("chat.jsonl"));
    let record = path.clone();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::cargo_bin("chatphone").unwrap();
        command
            .args(["chat", "--url", &url, "--app-id", "demo", "--client-id", "kiosk-s3cret", "--evidence"])
            .arg(path);
        command.args(flags).write_stdin("my card is 4111\n/end\n").output().unwrap()
    })
    .await
    .unwrap();
    center.shutdown().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(record).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_in_a_chat_is_kept_only_on_request() {
    let without = chatted(&[]).await;
    assert!(!without.contains("my card is 4111") && without.contains("(15 characters)"), "{without}");
    let with = chatted(&["--evidence-text"]).await;
    assert!(with.contains("my card is 4111") && !with.contains("kiosk-s3cret"), "{with}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_got_no_answer_is_in_the_record_with_the_reason() {
    // Nobody listens where somebody just did.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Kept { plan, recorder, files } = kept(&format!("http://127.0.0.1:{port}"), true);
    call(plan).await;
    recorder.finish().unwrap();
    let evidence = Evidence::read(&files.evidence).unwrap();
    let told = |b: &Body| matches!(b, Body::Http(h) if h.status.is_none() && h.error.as_ref().is_some_and(|e| e.contains("refused")));
    assert!(count(&evidence, told) > 0, "{evidence:?}");
}

#[test]
fn a_file_that_cannot_be_written_stops_nothing_but_is_told_before_the_call() {
    let mut command = Command::cargo_bin("chatphone").unwrap();
    let output = command
        .args(["call", "--url", "http://127.0.0.1:9", "--app-id", "demo", "--evidence", "/nowhere/at/all.jsonl"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("cannot write /nowhere/at/all.jsonl"), "{said}");
}
