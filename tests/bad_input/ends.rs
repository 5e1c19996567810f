//! Ends that nobody planned: Ctrl-C at any moment, a process that is killed, a server that dies.

use crate::bad_input_support::agent::Agent;
use crate::bad_input_support::center::{Center, Seen};
use crate::bad_input_support::{Home, Ran, Running, grown, wav_bytes, within};
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Ctrl-C may take this long, whatever the network does.
const SOON: Duration = Duration::from_secs(8);

async fn interrupted(running: Running) -> Ran {
    running.signal("INT");
    let (ran, took) = running.end_timed().await;
    assert!(took < SOON, "{took:?}");
    ran
}

/// The recording is a WAV file of so many seconds at least, and holds the agent's tone.
fn heard(path: &Path, at_least_s: f64) {
    let sound = read_wav(path).unwrap();
    assert!(sound.len() as f64 / 48_000.0 >= at_least_s, "{} samples", sound.len());
    let end = &sound[sound.len() / 2..];
    assert!(tone_level(end, 880.0) > -30.0, "{} dBFS", tone_level(end, 880.0));
}

/// A contact center in a process of its own, which can be killed.
async fn simulator(home: &Home, flags: &[&str]) -> (Running, String) {
    let args = ["simulate", "--listen", "127.0.0.1:0", "--agent", "tone:880", "--join-after", "20ms"];
    let mut running = Running::start(home.command(&[&args[..], flags].concat()));
    let line = running.line().await.unwrap();
    let url = line.strip_prefix("listening on ").expect(&line).to_owned();
    (running, url)
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_before_the_chat_is_open() {
    let mut center = Center::start().await;
    center.hold_chat();
    let running = Running::start(Home::new().call(&center.url, &[]));
    while center.next().await != Seen::RequestChat {}
    let report = interrupted(running).await.failed("cancelled");
    assert_eq!(report["reason"], "stopped before the call");
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_before_the_first_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let running = Running::start(Home::new().call(&url, &[]));
    let _held = within(listener.accept()).await.unwrap();
    let report = interrupted(running).await.failed("cancelled");
    assert_eq!((&report["reason"], &report["chat_id"]), (&json!("stopped before the call"), &json!(null)));
}

/// Ctrl-C while Request Chat is on its way; then it is answered.
#[cfg(unix)]
async fn ctrl_c_while_the_chat_opens(new: bool) -> Vec<String> {
    let mut center = Center::start().await;
    center.hold_chat();
    let running = Running::start(Home::new().call(&center.url, &[]));
    while center.next().await != Seen::RequestChat {}
    running.signal("INT");
    center.open_chat(new);
    running.end().await.failed("cancelled");
    center.so_far()
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_while_the_chat_opens_ends_a_new_chat() {
    assert_eq!(ctrl_c_while_the_chat_opens(true).await, ["chat_session_end"]);
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_while_the_chat_opens_leaves_one_that_was_there() {
    assert_eq!(ctrl_c_while_the_chat_opens(false).await, [""; 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_while_waiting_for_an_agent_ends_the_chat() {
    let mut center = Center::start().await;
    let mut running = Running::start(Home::new().call(&center.url, &[]));
    running.until("chat_opened").await;
    interrupted(running).await.failed("cancelled");
    assert_eq!(center.so_far(), ["chat_session_end"]);
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_while_asking_for_a_call_ends_call_and_chat() {
    let mut center = Center::with_agent().await;
    let running = Running::start(Home::new().call(&center.url, &[]));
    center.signaled("REQUEST_CALL").await;
    let report = interrupted(running).await.failed("cancelled");
    assert!(report["reason"].as_str().unwrap().contains("before the call was connected"), "{report}");
    assert_eq!(center.so_far(), ["END_CALL", "chat_session_end"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_a_call_ends_call_and_chat_and_keeps_the_recording() {
    for signal in ["INT", "TERM"] {
        let (home, mut center) = (Home::new(), Center::with_agent().await);
        let mut running = Running::start(home.call(&center.url, &["--record", "a.wav", "--record-both", "b.wav"]));
        let mut agent = Agent::new(center.voice()).await;
        center.signaled("REQUEST_CALL").await;
        agent.call(&mut center).await;
        running.until("call_connected").await;
        grown(&home.file("a.wav"), wav_bytes(1)).await;
        running.signal(signal);
        let (ran, took) = running.end_timed().await;
        assert!(took < SOON, "{took:?}");
        let report = ran.completed();
        assert_eq!((&report["reason"], &report["recording"]), (&json!("hung up"), &json!("a.wav")));
        let sent = center.so_far();
        assert!(sent.ends_with(&["END_CALL".to_owned(), "chat_session_end".to_owned()]), "{sent:?}");
        for name in ["a.wav", "b.wav"] {
            assert!(read_wav(home.file(name)).unwrap().len() >= 48_000, "{name}");
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_when_the_server_no_longer_answers_is_bounded_in_time() {
    let (home, sim_home) = (Home::new(), Home::new());
    let (mut center, url) = simulator(&sim_home, &[]).await;
    let mut running = Running::start(home.call(&url, &["--record", "heard.wav"]));
    running.until("call_media_flowing").await;
    grown(&home.file("heard.wav"), wav_bytes(1)).await;
    center.child.start_kill().unwrap();
    running.until("reconnecting").await;
    interrupted(running).await.completed();
    heard(&home.file("heard.wav"), 1.0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once() {
    let (home, sim_home) = (Home::new(), Home::new());
    let (mut center, url) = simulator(&sim_home, &[]).await;
    let mut running = Running::start(home.call(&url, &["--record", "heard.wav"]));
    running.until("call_media_flowing").await;
    grown(&home.file("heard.wav"), wav_bytes(1)).await;
    center.child.start_kill().unwrap();
    running.until("reconnecting").await;
    running.signal("INT");
    // Now END_CALL waits for a server that is no more.
    running.until("call_ended").await;
    running.signal("INT");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(!ran.stdout.contains("\"duration_s\""), "there was no time for a report: {ran:#?}");
    heard(&home.file("heard.wav"), 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_killed_leaves_a_recording() {
    let (home, sim_home) = (Home::new(), Home::new());
    let (_center, url) = simulator(&sim_home, &[]).await;
    let mut running = Running::start(home.call(&url, &["--record", "heard.wav"]));
    running.until("call_media_flowing").await;
    grown(&home.file("heard.wav"), wav_bytes(2)).await;
    running.child.start_kill().unwrap();
    let ran = running.end().await;
    assert_eq!(ran.code, None, "{ran:#?}");
    heard(&home.file("heard.wav"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_a_call_ends_it_and_keeps_the_recording() {
    let (home, sim_home) = (Home::new(), Home::new());
    let (mut center, url) = simulator(&sim_home, &[]).await;
    let mut running =
        Running::start(home.call(&url, &["--record", "heard.wav", "--duration", "5m", "--restore-within", "12s"]));
    running.until("call_media_flowing").await;
    grown(&home.file("heard.wav"), wav_bytes(1)).await;
    center.child.start_kill().unwrap();
    running.until("call_interrupted").await;
    let (ran, took) = running.end_timed().await;
    let report = ran.failed("lost");
    assert!(took < Duration::from_secs(30), "{took:?}");
    let why = "and the contact center could not be reached to ask for the call again";
    assert!(report["reason"].as_str().unwrap().ends_with(why), "{report}");
    assert_eq!(report["recording"], "heard.wav");
    assert!(report["ice"]["local"].is_string() && report["ice"]["remote"].is_string(), "{report}");
    let sound = read_wav(home.file("heard.wav")).unwrap();
    assert!(tone_level(&sound[24_000..48_000], 880.0) > -30.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_before_the_call_ends_the_wait_in_time() {
    let (home, sim_home) = (Home::new(), Home::new());
    let (mut center, url) = simulator(&sim_home, &["--no-agent"]).await;
    let mut running = Running::start(home.call(&url, &["--wait", "2s"]));
    running.until("chat_opened").await;
    center.child.start_kill().unwrap();
    let (ran, took) = running.end_timed().await;
    ran.failed("unavailable");
    assert!(took < SOON, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_after_one_another_keep_a_recording_each() {
    let (home, sim_home) = (Home::new(), Home::new());
    let (_center, url) = simulator(&sim_home, &[]).await;
    let args = ["chat", "--url", &url, "--app-id", "app", "--json", "--play", "silence", "--record", "heard.wav"];
    let mut command = home.command(&args);
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    let mut lines = running.child.stdin.take().unwrap();
    for (name, hangs_up) in [("heard.wav", "/hangup\n"), ("heard-2.wav", "/quit\n")] {
        lines.write_all(b"/call\n").await.unwrap();
        running.until("call_media_flowing").await;
        grown(&home.file(name), wav_bytes(1)).await;
        lines.write_all(hangs_up.as_bytes()).await.unwrap();
        let report = running.until("call_report").await;
        assert_eq!((&report["outcome"], &report["recording"]), (&json!("completed"), &json!(name)));
    }
    let ran = running.end().await;
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    heard(&home.file("heard.wav"), 1.0);
    heard(&home.file("heard-2.wav"), 1.0);
}
