//! A phone that is killed in a call and started again takes the chat up and calls again.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod bad_input_support;

use bad_input_support::{CLIENT_ID, Home, Running, within};
use chatphone::simulator::{AgentSound, Simulator, SimulatorConfig};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// From the start of the second process to sound from the agent, at the most, on a busy machine too.
const BACK_WITHIN: Duration = Duration::from_secs(3);

async fn center() -> Simulator {
    let mut config = SimulatorConfig::default();
    config.agent.join_after = Duration::from_millis(20);
    config.agent.sound = AgentSound::Tone(880.0);
    Simulator::start(config).await.unwrap()
}

/// `chatphone chat`, which reads what is typed from a pipe that stays open.
fn chat(home: &Home, url: &str, more: &[&str]) -> Running {
    let args = ["chat", "--url", url, "--app-id", "app", "--client-id", CLIENT_ID, "--json", "--play", "tone:440"];
    let mut command = home.command(&[&args[..], more].concat());
    command.stdin(Stdio::piped());
    Running::start(command)
}

async fn kill(mut run: Running) {
    run.signal("KILL");
    within(run.child.wait()).await.unwrap();
}

/// The marks of running calls in this home.
fn marks(home: &Home) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(home.file("state/chatphone")) else { return Vec::new() };
    files.map(|f| f.unwrap().file_name().into_string().unwrap()).filter(|name| name.starts_with("call-")).collect()
}

/// The order of what a second run tells, up to sound from the agent.
async fn comes_back(run: &mut Running, begun: Instant) -> (Value, Duration, Duration) {
    let opened = run.until("chat_opened").await;
    assert_eq!(opened["resumed"], true, "{opened}");
    let cut = run.until("call_was_cut").await;
    let asked = run.until("call_requesting").await;
    assert_eq!(asked["party_id"], cut["party_id"]);
    let to_request = begun.elapsed();
    run.until("call_media_flowing").await;
    (cut, to_request, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_process_is_killed_is_made_again_by_the_next() {
    let (center, home) = (center().await, Home::new());
    // `CHATPHONE_SURVIVAL_TIMES=10` measures more often.
    let times = std::env::var("CHATPHONE_SURVIVAL_TIMES").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut first = Running::start(home.call(&center.base_url(), &[]));
    let chat_id = first.until("chat_opened").await["chat_id"].clone();
    let party = first.until("call_requesting").await["party_id"].clone();
    first.until("call_media_flowing").await;
    assert_eq!(marks(&home).len(), 1);
    assert!(!marks(&home)[0].contains(CLIENT_ID));
    let (mut requests, mut sounds) = (Vec::new(), Vec::new());
    let mut running = first;
    for n in 1..=times {
        kill(running).await;
        let begun = Instant::now();
        let last: &[&str] = if n == times { &["--duration", "1s"] } else { &[] };
        let mut next = Running::start(home.call(&center.base_url(), last));
        let (cut, to_request, to_sound) = comes_back(&mut next, begun).await;
        assert_eq!(cut["party_id"], party);
        assert!(cut["name"].as_str().is_some_and(|name| !name.is_empty() && party != name), "{cut}");
        requests.push(to_request);
        sounds.push(to_sound);
        running = next;
    }
    let report = running.end().await.completed();
    assert_eq!((&report["chat_id"], &report["party"]["id"]), (&chat_id, &party));
    assert!(report["received"]["packets"].as_u64().unwrap() >= 30, "{report}");
    assert!(marks(&home).is_empty());
    for (what, mut took) in [("REQUEST_CALL", requests), ("sound", sounds)] {
        took.sort();
        println!(
            "kill -9 and start -> {what}: median {:?}, worst {:?} of {times}",
            took[took.len() / 2],
            took[took.len() - 1]
        );
        assert!(took[took.len() / 2] <= BACK_WITHIN, "{took:?}");
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_offers_the_call_again_or_asks_for_it_by_itself() {
    let (center, home) = (center().await, Home::new());
    let mut first = chat(&home, &center.base_url(), &[]);
    first.child.stdin.as_mut().unwrap().write_all(b"/call\n").await.unwrap();
    first.until("call_media_flowing").await;
    kill(first).await;

    // Told, and not called.
    let mut second = chat(&home, &center.base_url(), &["--keep-chat"]);
    second.until("history").await;
    let cut = second.until("call_was_cut").await;
    second.child.stdin.as_mut().unwrap().write_all(b"/call\n").await.unwrap();
    let asked = second.until("call_requesting").await;
    assert_eq!(asked["party_id"], cut["party_id"]);
    second.until("call_media_flowing").await;
    kill(second).await;

    let begun = Instant::now();
    let mut third = chat(&home, &center.base_url(), &["--call-again"]);
    comes_back(&mut third, begun).await;
    // Ended in the right way: nothing was cut.
    third.child.stdin.as_mut().unwrap().write_all(b"/hangup\n").await.unwrap();
    third.until("call_report").await;
    assert!(marks(&home).is_empty());
    kill(third).await;
    let mut fourth = chat(&home, &center.base_url(), &["--call-again"]);
    fourth.until("history").await;
    fourth.child.stdin.as_mut().unwrap().write_all(b"/end\n").await.unwrap();
    let ran = fourth.end().await;
    assert!(!ran.stdout.contains("call_was_cut"), "{}", ran.stdout);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cut_in_a_chat_that_is_gone_is_not_offered() {
    let (old, home) = (center().await, Home::new());
    let addr = old.addr();
    let mut first = Running::start(home.call(&old.base_url(), &[]));
    first.until("call_media_flowing").await;
    kill(first).await;
    old.shutdown().await;
    let config = SimulatorConfig { listen: addr, ..Default::default() };
    let new = Simulator::start(config).await.unwrap();
    let ran = Running::start(home.call(&new.base_url(), &["--duration", "300ms"])).end().await;
    ran.completed();
    assert!(!ran.stdout.contains("call_was_cut"), "{}", ran.stdout);
    assert!(marks(&home).is_empty());
    new.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_there_is_not_lost_to_a_closed_center() {
    let config = SimulatorConfig { hours: chatphone::simulator::Hours::Closed, ..Default::default() };
    let (center, home) = (Simulator::start(config).await.unwrap(), Home::new());
    std::fs::write(home.file("heard.wav"), "precious").unwrap();
    let ran = Running::start(home.call(&center.base_url(), &["--record", "heard.wav"])).end().await;
    ran.failed("unavailable");
    assert_eq!(std::fs::read_to_string(home.file("heard.wav")).unwrap(), "precious");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_while_the_hours_are_asked_for_are_waited_out() {
    let (center, home) = (center().await, Home::new());
    for fault in ["availability:status=503", "availability:reset", "availability:cut"] {
        center.inject(fault.parse().unwrap());
    }
    Running::start(home.call(&center.base_url(), &["--duration", "300ms"])).end().await.completed();
    center.inject("availability:5500:*".parse().unwrap());
    let ran = Running::start(home.call(&center.base_url(), &[])).end().await;
    assert!(ran.failed("failed")["reason"].as_str().unwrap().contains("5500"));
    center.shutdown().await;
}
