//! What scripts rely on: names, types and nulls of what is printed, exit codes, and the lines to wait for.
#![allow(clippy::unwrap_used)]

mod bad_input_support;

use bad_input_support::{CLIENT_ID, Home, Running, grown, report, wav_bytes};
use chatphone::api::types::ParameterType;
use chatphone::simulator::{AgentSound, Rejection, Simulator, SimulatorConfig};
use serde_json::{Value, json};
use std::process::Stdio;

async fn center(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig::default();
    config.agent.join_after = std::time::Duration::from_millis(20);
    change(&mut config);
    Simulator::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_call_has_every_figure() {
    let center = center(|c| c.agent.sound = AgentSound::Tone(880.0)).await;
    let home = Home::new();
    let flags = ["--duration", "1500ms", "--record", "heard.wav"];
    let report = Running::start(home.call(&center.base_url(), &flags)).end().await.completed();
    assert_eq!(report["reason"], "hung up");
    assert_eq!(report["codec"], "opus");
    assert_eq!(report["recording"], "heard.wav");
    assert_eq!(report["problems"], json!([]));
    assert!(report["party"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{report}");
    for name in [
        "/chat_id",
        "/timing_ms/request_to_offer",
        "/timing_ms/offer_to_answer",
        "/timing_ms/request_to_connected",
        "/timing_ms/request_to_first_audio",
        "/received/jitter_buffer_ms",
        "/rtt_ms",
        "/quality/mos",
        "/ice/local",
        "/ice/remote",
    ] {
        assert!(!report.pointer(name).unwrap().is_null(), "{name} is null in {report}");
    }
    // From connected, not from the start of the command.
    let duration = report["duration_s"].as_f64().unwrap();
    assert!((1.5..4.0).contains(&duration), "{report}");
    let sent = report["sent"]["packets"].as_u64().unwrap();
    assert!(sent >= 50 && report["received"]["packets"].as_u64().unwrap() >= 50, "{report}");
    assert!(report["sent"]["bytes"].as_u64().unwrap() > sent, "{report}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_stand_in_the_published_order() {
    let center = center(|c| c.agent.reject = Some(Rejection { code: "486".into(), reason: "busy".into() })).await;
    let ran = Running::start(Home::new().call(&center.base_url(), &[])).end().await;
    let report = ran.failed("rejected");
    let names: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let published = "outcome reason chat_id party timing_ms duration_s codec sent received rtt_ms ice recording recording_both problems \
                     remote quality";
    assert!(names.starts_with(&published.split(' ').collect::<Vec<_>>()), "{names:?}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_has_a_party_and_no_media() {
    let center = center(|c| c.agent.reject = Some(Rejection { code: "486".into(), reason: "busy".into() })).await;
    let ran = Running::start(Home::new().call(&center.base_url(), &["--record", "heard.wav"])).end().await;
    let report = ran.failed("rejected");
    assert_eq!(report["reason"], "the agent rejected the call: busy");
    assert!(report["chat_id"].is_string() && report["party"]["id"].is_string(), "{report}");
    for name in ["/codec", "/rtt_ms", "/ice/local", "/ice/remote", "/recording", "/timing_ms/request_to_offer"] {
        assert!(report.pointer(name).unwrap().is_null(), "{name} in {report}");
    }
    assert_eq!(
        (&report["duration_s"], &report["remote"], &report["quality"]),
        (&json!(0.0), &json!(null), &json!(null))
    );
    for (name, sent) in report["sent"].as_object().unwrap() {
        assert_eq!(sent.as_f64(), Some(0.0), "{name}");
    }
    center.shutdown().await;
}

#[tokio::test]
async fn a_failed_call_has_every_name_too() {
    let ran = Running::start(Home::new().call("http://127.0.0.1:1", &[])).end().await;
    let report = ran.failed("failed");
    report::check(&report);
    for name in ["/chat_id", "/party", "/codec", "/timing_ms/request_to_connected"] {
        assert!(report.pointer(name).unwrap().is_null(), "{name} in {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_when_the_agent_hangs_up() {
    let center = center(|c| c.agent.hang_up_after = Some(std::time::Duration::from_millis(300))).await;
    let report = Running::start(Home::new().call(&center.base_url(), &["--duration", "5m"])).end().await.completed();
    assert_eq!(report["reason"], "the agent hung up");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incoming_call_is_taken() {
    let center = center(|c| c.agent.incoming = true).await;
    let flags = ["--incoming", "--duration", "300ms"];
    let report = Running::start(Home::new().call(&center.base_url(), &flags)).end().await.completed();
    assert!(report["timing_ms"]["request_to_offer"].is_null(), "{report}");
    assert!(report["timing_ms"]["offer_to_answer"].is_number(), "{report}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_codec_is_named_as_asked() {
    let center = center(|_| {}).await;
    for (flag, name) in [("opus", "opus"), ("g722", "G722"), ("PCMU", "PCMU"), ("pcma", "PCMA")] {
        let flags = ["--codec", flag, "--duration", "200ms"];
        let report = Running::start(Home::new().call(&center.base_url(), &flags)).end().await.completed();
        assert_eq!(report["codec"], name);
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_people_the_report_is_text_and_the_reason_is_on_stderr() {
    let center = center(|c| c.agent.reject = Some(Rejection { code: "486".into(), reason: "busy".into() })).await;
    let args = ["call", "--url", &center.base_url(), "--app-id", "a", "--client-id", CLIENT_ID, "--play", "silence"];
    let ran = Home::new().run(&args).await;
    assert_eq!(ran.sentence(1), "the call was not completed: rejected: the agent rejected the call: busy");
    assert!(ran.stdout.contains("outcome    rejected (the agent rejected the call: busy)"), "{ran:#?}");
    center.shutdown().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_changes_no_exit_code() {
    let center = center(|c| c.agent.reject = Some(Rejection { code: "486".into(), reason: "busy".into() })).await;
    let home = Home::new();
    for (mut command, code) in [
        (home.call(&center.base_url(), &[]), 1),
        (home.call("http://127.0.0.1:1", &[]), 1),
        (home.command(&["devices", "--json"]), 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    center.shutdown().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_nobody_reads_goes_on() {
    let home = Home::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut demo = home.command(&["demo", "--out", "out"]);
    let demo = demo.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    grown(&home.file("out/customer-hears.wav"), wav_bytes(1)).await;
    let id = demo.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let output = demo.wait_with_output().await.unwrap();
    // Hung up early: not all was heard.
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let sentence = stderr.lines().last().unwrap();
    assert!(sentence.starts_with("chatphone: a recording does not hold what was said"), "{stderr}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_whose_name_is_no_utf_8_is_reported_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let center = center(|_| {}).await;
    let home = Home::new();
    let mut command = home.call(&center.base_url(), &["--duration", "200ms", "--record"]);
    command.arg(std::ffi::OsStr::from_bytes(b"heard\xff.wav"));
    let report = Running::start(command).end().await.completed();
    assert_eq!(report["recording"], "heard\u{fffd}.wav");
    center.shutdown().await;
}

#[tokio::test]
async fn simulate_says_where_it_listens_and_stops_cleanly() {
    let home = Home::new();
    let mut running = Running::start(home.command(&["simulate", "--listen", "127.0.0.1:0"]));
    let line = running.line().await.unwrap();
    let addr: std::net::SocketAddr = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
    let url = format!("http://{addr}");
    let ran = home.run(&["availability", "--json", "--url", &url, "--app-id", "a"]).await;
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &answer["chat"]), (Some(0), &json!("available")));
    #[cfg(unix)]
    {
        running.signal("INT");
        let ran = running.end().await;
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_answer_in_one_line_of_json() {
    let center = center(|c| c.parameters.push(("email".into(), ParameterType::Email))).await;
    let url = center.base_url();
    for (command, name) in [
        ("availability", "chat"),
        ("parameters", "parameters"),
        ("ice-servers", "servers"),
        ("configuration", "widgets"),
    ] {
        let ran = Home::new().run(&[command, "--json", "--url", &url, "--app-id", "a"]).await;
        assert_eq!((ran.code, ran.stdout.lines().count(), ran.stderr.as_str()), (Some(0), 1, ""), "{ran:#?}");
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(answer.get(name).is_some(), "{answer}");
        let text = Home::new().run(&[command, "--url", &url, "--app-id", "a"]).await;
        assert!(text.code == Some(0) && !text.stdout.trim().is_empty(), "{text:#?}");
    }
    center.shutdown().await;
}

#[tokio::test]
async fn devices_have_hosts_with_names_and_devices() {
    let ran = Home::new().run(&["devices", "--json"]).await;
    assert_eq!((ran.code, ran.stdout.lines().count(), ran.stderr.as_str()), (Some(0), 1, ""), "{ran:#?}");
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    for host in answer["hosts"].as_array().unwrap() {
        assert!(host["name"].is_string() && host["default"].is_boolean(), "{host}");
        assert!(host["error"].is_null() || host["error"].is_string(), "{host}");
        for device in host["devices"].as_array().unwrap() {
            let texts = ["name", "id", "direction"];
            assert!(texts.iter().all(|name| device[name].is_string()), "{device}");
            assert!(device["formats"].is_array() && device["default"].is_boolean(), "{device}");
        }
    }
}

#[tokio::test]
async fn version_and_help_exit_with_0() {
    for args in [&["--version"][..], &["--help"], &["call", "--help"], &["simulate", "--help"], &["demo", "--help"]] {
        let ran = Home::new().run(args).await;
        assert!(ran.code == Some(0) && ran.stdout.contains("chatphone") && ran.stderr.is_empty(), "{ran:#?}");
    }
}
