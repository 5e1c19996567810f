//! Calls whose sound stops, and what becomes of them.
#![allow(clippy::unwrap_used)]

mod common;

use chatphone::call::{CallConfig, CallEvent, Outcome};
use chatphone::cli::place::{CallPlan, place_call};
use chatphone::cli::summary::CallSummary;
use chatphone::phone::PhoneEvent;
use chatphone::simulator::{AgentSound, Simulator};
use chatphone_media::SAMPLE_RATE;
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use common::{center, plan};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a call goes on after what was waited for.
const ON: Duration = Duration::from_millis(1500);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A contact center with these faults, whose agents send a tone of 880 Hz.
async fn faulty(faults: &[&str], dir: Option<&Path>) -> Simulator {
    let faults: Vec<_> = faults.iter().map(|f| f.parse().unwrap_or_else(|e| panic!("{f}: {e}"))).collect();
    center(|c| {
        c.faults = faults;
        c.agent.sound = AgentSound::Tone(880.0);
        c.agent.record_dir = dir.map(|dir| dir.join("agent"));
    })
    .await
}

/// What the front end was told of interruptions, and when.
type Told = Vec<(Instant, CallEvent)>;

/// Calls, and hangs up a while after the call is back.
async fn call(plan: CallPlan) -> (CallSummary, Told) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (mut stop, mut told) = (Some(stop), Vec::new());
    let stopped = async move {
        if stopped.await.is_ok() {
            tokio::time::sleep(ON).await;
        } else {
            std::future::pending().await
        }
    };
    let call = place_call(CallPlan { duration: None, ..plan }, stopped, |event, _| {
        let PhoneEvent::Call(event) = event else { return };
        if matches!(event, CallEvent::Resumed { .. } | CallEvent::Restored { .. }) {
            stop.take().map(|stop| stop.send(()));
        }
        use CallEvent::*;
        if matches!(event, Interrupted { .. } | Resumed { .. } | Restoring { .. } | Restored { .. }) {
            told.push((Instant::now(), event.clone()));
        }
    });
    let summary = tokio::time::timeout(LONG, call).await.expect("an end");
    (summary, told)
}

fn names(told: &Told) -> Vec<&'static str> {
    let name = |event: &CallEvent| match event {
        CallEvent::Interrupted { .. } => "interrupted",
        CallEvent::Resumed { .. } => "resumed",
        CallEvent::Restoring { .. } => "restoring",
        CallEvent::Restored { .. } => "restored",
        _ => "other",
    };
    told.iter().map(|(_, event)| name(event)).collect()
}

/// Limits for those who cannot wait.
fn impatient() -> CallConfig {
    CallConfig {
        interrupted_after: Duration::from_millis(600),
        restore_after: Duration::from_millis(900),
        restore_offer: Duration::from_millis(600),
        restore_wait: Duration::from_millis(100),
        restore_attempts: 3,
        ..CallConfig::default()
    }
}

/// Whether each tenth of a second of a recording has this tone.
fn has_tone(recording: &Path, hz: f32) -> Vec<bool> {
    let sound = read_wav(recording).unwrap();
    sound.chunks(SAMPLE_RATE as usize / 10).map(|part| tone_level(part, hz) > -40.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_blackout_is_told_and_the_call_goes_on_as_it_was() {
    let center = faulty(&["media:blackout=1s-3s:1"], None).await;
    let (summary, told) = call(plan(&center.base_url())).await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(names(&told), ["interrupted", "resumed"]);
    let interruptions = summary.interruptions;
    assert_eq!((interruptions.count, interruptions.restorations), (1, 0));
    assert!((1_800.0..3_000.0).contains(&interruptions.gap_ms), "{summary}");
}

/// The agent's peer dies, the call comes back, and one recording has it all.
async fn restored(codec: CodecKind) {
    let dir = tempfile::tempdir().unwrap();
    let center = faulty(&["call:peer-dies=1500ms"], Some(dir.path())).await;
    let mut plan = plan(&center.base_url());
    plan.sound.codecs = vec![codec];
    let (heard, both) = (dir.path().join("heard.wav"), dir.path().join("both.wav"));
    plan.sound.record = Some(heard.clone());
    plan.sound.record_both = Some(both.clone());
    let (summary, told) = call(plan).await;
    let recordings = center.recordings();
    center.shutdown().await;

    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(names(&told), ["interrupted", "restoring", "restored"]);
    let gap_s = summary.interruptions.gap_ms / 1000.0;
    assert_eq!((summary.interruptions.count, summary.interruptions.restorations), (1, 1), "{summary}");
    assert!((2.8..6.0).contains(&gap_s), "{summary}");
    assert_eq!(summary.codec, Some(codec.name()));
    // One recording in real time: sound, the gap, sound again.
    assert_eq!(summary.recording.as_ref(), Some(&heard));
    for recording in [&heard, &both] {
        let tone = has_tone(recording, 880.0);
        let length_s = tone.len() as f64 / 10.0;
        assert!((length_s - summary.duration_s).abs() < 0.6, "{length_s} s of {summary}");
        let silent_s = tone.iter().skip(5).filter(|has| !**has).count() as f64 / 10.0;
        assert!((silent_s - gap_s).abs() < 0.8, "{silent_s} s of silence in {tone:?}, {summary}");
        assert!(tone[8..12].iter().all(|has| *has) && tone[tone.len() - 8..].iter().all(|has| *has), "{tone:?}");
    }
    // The customer was heard before and after, and its figures are those of the whole call.
    assert_eq!(recordings.len(), 2);
    for recording in &recordings {
        let tone = has_tone(recording, 440.0);
        assert!(tone.iter().filter(|has| **has).count() >= 6, "{recording:?}: {tone:?}");
    }
    let expected = 50.0 * (summary.duration_s - gap_s);
    let received = summary.received.packets as f64;
    assert!((received - expected).abs() < 40.0, "{received} packets, {expected} expected, {summary}");
    assert!(summary.received.lost < 20, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_far_end_died_is_asked_for_again_and_goes_on() {
    restored(CodecKind::Opus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_g711_comes_back_too() {
    restored(CodecKind::Pcmu).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_blackout_ends_with_sound_over_whichever_way_works_first() {
    let center = faulty(&["media:blackout=1s-8s:1"], None).await;
    let begun = Instant::now();
    let (summary, told) = call(plan(&center.base_url())).await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}, told {told:?}");
    assert_eq!(names(&told)[..2], ["interrupted", "restoring"]);
    assert!(matches!(names(&told).last(), Some(&("resumed" | "restored"))), "{told:?}");
    assert!((6_500.0..10_000.0).contains(&summary.interruptions.gap_ms), "{summary} after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_are_used_up_lose_the_call_with_a_reason() {
    let center = faulty(&["call:peer-dies=500ms", "call:no-offer:after=1:*"], None).await;
    let mut plan = plan(&center.base_url());
    plan.limits = impatient();
    let (summary, told) = call(plan).await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Lost, "{summary}");
    assert_eq!(names(&told), ["interrupted", "restoring", "restoring", "restoring"]);
    assert!(summary.reason.contains("3 times") && summary.reason.starts_with("no sound for"), "{summary}");
    assert_eq!((summary.interruptions.count, summary.interruptions.restorations), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_who_refuses_to_go_on_is_quoted() {
    let center = faulty(&["call:peer-dies=500ms", "call:offer-after-reject:after=1:*"], None).await;
    let mut plan = plan(&center.base_url());
    plan.limits = impatient();
    let (summary, _) = call(plan).await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Lost, "{summary}");
    assert!(summary.reason.contains("The agent declined the call"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_who_hangs_up_the_restored_call_has_hung_up() {
    let center = faulty(&["call:peer-dies=500ms", "call:end-after-offer:after=1:*"], None).await;
    let mut plan = plan(&center.base_url());
    plan.limits = impatient();
    let (summary, told) = call(plan).await;
    center.shutdown().await;
    assert_eq!((summary.outcome, summary.reason.as_str()), (Outcome::Completed, "the agent hung up"), "{told:?}");
    assert_eq!(names(&told), ["interrupted", "restoring"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_old_call_ahead_of_the_new_offer_is_no_hang_up() {
    let center = faulty(&["call:peer-dies=500ms", "call:end-before-offer:after=1:*"], None).await;
    let mut plan = plan(&center.base_url());
    plan.limits = CallConfig { restore_offer: Duration::from_secs(5), ..impatient() };
    let (summary, told) = call(plan).await;
    center.shutdown().await;
    assert_eq!((summary.outcome, summary.interruptions.restorations), (Outcome::Completed, 1), "{summary} {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_to_be_restored_is_only_told_of() {
    let center = faulty(&["call:peer-dies=500ms"], None).await;
    let program = env!("CARGO_BIN_EXE_chatphone");
    let run = |flags: &[&str]| {
        let mut command = tokio::process::Command::new(program);
        command.args(["call", "--json", "--app-id", "test", "--client-id", &uuid::Uuid::new_v4().to_string()]);
        command.args(["--play", "tone:440", "--url", &center.base_url()]).args(flags);
        async move { command.output().await.unwrap() }
    };
    let output = run(&["--no-restore", "--duration", "4s"]).await;
    let events = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && events.contains("\"call_interrupted\""), "{events}");
    assert!(!events.contains("call_restoring"), "{events}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_call_is_an_exit_code_of_1_and_a_reason() {
    let center = faulty(&["call:peer-dies=500ms", "call:no-offer:after=1:*"], None).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatphone"));
    command.args(["call", "--json", "--app-id", "test", "--client-id", &uuid::Uuid::new_v4().to_string()]);
    command.args(["--play", "tone:440", "--restore-within", "3s", "--url", &center.base_url()]);
    let output = command.output().await.unwrap();
    center.shutdown().await;
    let (events, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{events}{errors}");
    for event in ["call_interrupted", "call_restoring", "call_ended"] {
        assert!(events.contains(&format!("\"event\":\"{event}\"")), "{event} in {events}");
    }
    let report: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&report["outcome"], &report["interruptions"]["count"]), (&"lost".into(), &1.into()), "{report}");
    assert!(errors.contains("the call was not completed: lost: no sound for"), "{errors}");
}

/// Not a test but the figures of docs/reliability.md: `cargo test --test call_recovery figures -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn figures() {
    for (name, fault, dead_s) in [
        ("far end died → sound again", "call:peer-dies=1s", 0.0),
        ("end of a blackout of 2 s → sound again", "media:blackout=1s-3s:1", 2.0),
        ("end of a blackout of 10 s → sound again", "media:blackout=1s-11s:1", 10.0),
    ] {
        let mut took = Vec::new();
        for _ in 0..10 {
            let center = faulty(&[fault], None).await;
            let (summary, _) = call(plan(&center.base_url())).await;
            center.shutdown().await;
            assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
            took.push(summary.interruptions.gap_ms / 1000.0 - dead_s);
        }
        took.sort_by(f64::total_cmp);
        println!("{name}: median {:.2} s, worst {:.2} s", (took[4] + took[5]) / 2.0, took[9]);
    }
}
