//! What the phone makes of calls in which something was ordered to go wrong.
#![allow(clippy::unwrap_used)]

mod common;

use chatphone::call::{CallConfig, Outcome};
use chatphone::cli::summary::CallSummary;
use chatphone::simulator::AgentSound;
use common::{call, center, plan};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_millis(1500);

/// A call to a center with these faults.
async fn call_with(faults: &[&str], duration: Duration) -> CallSummary {
    let faults: Vec<_> = faults.iter().map(|f| f.parse().unwrap_or_else(|e| panic!("{f}: {e}"))).collect();
    let center = center(|c| {
        c.faults = faults;
        c.agent.sound = AgentSound::Tone(880.0);
    })
    .await;
    let mut plan = plan(&center.base_url());
    plan.duration = Some(duration);
    plan.limits = CallConfig {
        no_offer: Duration::from_secs(2),
        no_connection: Duration::from_secs(8),
        no_media: Duration::from_secs(3),
        ..CallConfig::default()
    };
    let summary = call(plan).await;
    center.shutdown().await;
    summary
}

async fn ends_as(expected: Outcome, faults: &[&str]) {
    for fault in faults {
        let summary = call_with(&[fault], SHORT).await;
        assert_eq!(summary.outcome, expected, "{fault}: {summary}");
        assert!(!summary.reason.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_what_is_no_reason_to_fail() {
    let faults = [
        "call:late-offer=500ms",
        "call:early-offer",
        "call:double-offer",
        "call:double-end",
        "call:no-end",
        "call:candidates-first=300ms",
        "call:garbage-candidates",
        "call:no-candidates",
        "call:unknown-signal",
        "poll:duplicate:*",
        "poll:repeat:*",
        "poll:5000:2",
        "poll:reset:nth=3",
        "poll:cut:1",
        "send-events:5500:2",
        "send-events:reset:2",
        "ice-servers:html",
        "any:delay=10ms-80ms:*",
    ];
    ends_as(Outcome::Completed, &faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_cannot_be_used_fails_the_call() {
    ends_as(Outcome::Failed, &["call:garbage-sdp", "call:truncated-sdp", "call:empty-sdp"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_does_not_come_is_no_answer() {
    ends_as(Outcome::NoAnswer, &["call:no-offer", "call:late-offer=6s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_or_an_end_before_the_offer_is_a_refusal() {
    ends_as(Outcome::Rejected, &["call:offer-after-reject", "call:end-before-offer"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_the_connection_is_a_failure_and_after_it_the_end() {
    ends_as(Outcome::Failed, &["call:end-after-offer", "call:end-after-answer"]).await;
    let ended = call_with(&["call:end-after-connect=400ms"], LONG).await;
    assert_eq!(ended.outcome, Outcome::Completed, "{ended}");
    assert!(ended.duration_s < 1.4, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_is_a_failure() {
    ends_as(Outcome::Failed, &["media:no-ice", "media:bad-fingerprint"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_seen_in_the_figures() {
    let good = call_with(&[], LONG).await;
    assert_eq!((good.received.lost, good.outcome), (0, Outcome::Completed), "{good}");
    let lossy = call_with(&["media:loss-out=30%"], LONG).await;
    let share = lossy.received.lost as f64 / (lossy.received.lost as f64 + lossy.received.packets as f64);
    assert!((0.1..0.5).contains(&share), "{lossy}");
    let trembling = call_with(&["media:jitter-out=60ms"], LONG).await;
    assert!(trembling.received.jitter_ms > good.received.jitter_ms + 5.0, "{trembling}\n{good}");
    let twice = call_with(&["media:duplicates-out=100%", "media:reorder-out=20%", "media:delay=80ms"], LONG).await;
    assert_eq!(twice.outcome, Outcome::Completed, "{twice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_never_comes_is_a_failure() {
    let silent = call_with(&["media:stop-out=0s"], Duration::from_secs(20)).await;
    assert_eq!((silent.outcome, silent.received.packets), (Outcome::Failed, 0), "{silent}");
}
