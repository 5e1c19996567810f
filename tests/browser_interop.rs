//! What libwebrtc makes of us, and we of it: rates, redundancy, candidates, renegotiation, measured in both.
#![allow(clippy::unwrap_used)]

mod browser_support;
mod common;

use browser_support::customer::Customer;
use browser_support::{Browser, Page};
use chatphone::api::types::ChatRequest;
use chatphone::call::{CallEvent, CallStats, Outcome, SoundSpec};
use chatphone::simulator::Simulator;
use chatphone_media::audio::source::SourceSpec;
use chatphone_media::samples::CUSTOMER;
use serde_json::Value;
use std::time::{Duration, Instant};

async fn center() -> Simulator {
    common::center(|c| c.agents = Some(0)).await
}

async fn in_call(center: &Simulator, page: &Page<'_>, source: SourceSpec) -> Customer {
    let sound = SoundSpec { source, ..SoundSpec::default() };
    let mut customer = Customer::with(center, ChatRequest::default(), sound);
    customer.agent_joins().await;
    customer.phone.request_call(None, false);
    page.click("answer").await;
    customer.hears_something().await;
    page.shows("call-state", "connected").await;
    customer
}

fn number(stats: &Value, name: &str) -> f64 {
    stats[name].as_f64().unwrap_or_else(|| panic!("no {name} in {stats:#}"))
}

async fn ours(customer: &Customer) -> CallStats {
    customer.phone.call_stats().await.expect("a call is up")
}

/// Waits until the browser has played so many seconds of our sound. Gives its statistics then.
async fn played(page: &Page<'_>, seconds: f64) -> Value {
    let give_up = Instant::now() + browser_support::PATIENCE;
    loop {
        let stats = page.stats("inbound-rtp", "audio").await;
        if number(&stats, "totalSamplesDuration") >= seconds {
            return stats;
        }
        assert!(Instant::now() < give_up, "{seconds} s of sound never came: {stats:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many packets the customer received, and when: figures are told once a second, so the moment is that of their change.
async fn received(customer: &Customer) -> (u64, Instant) {
    let before = ours(customer).await.media.receiver.packets_received;
    let give_up = Instant::now() + browser_support::PATIENCE;
    loop {
        let now = ours(customer).await.media.receiver.packets_received;
        if now != before {
            return (now, Instant::now());
        }
        assert!(Instant::now() < give_up, "nothing arrives after {before} packets");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_packets_a_second_go_each_way() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let customer = in_call(&center, &page, SourceSpec::Tone(440.0)).await;
    let theirs = |stats: &Value| (number(stats, "packetsReceived"), number(stats, "timestamp") / 1000.0);
    let (first, begun) = theirs(&played(&page, 1.0).await);
    let (ours_first, ours_begun) = received(&customer).await;
    let (last, ended) = theirs(&played(&page, 5.0).await);
    let (ours_last, ours_ended) = received(&customer).await;
    let rate = (last - first) / (ended - begun);
    assert!((45.0..=55.0).contains(&rate), "the browser receives {rate:.1} packets/s");
    let rate = (ours_last - ours_first) as f64 / ours_ended.duration_since(ours_begun).as_secs_f64();
    assert!((45.0..=55.0).contains(&rate), "the customer receives {rate:.1} packets/s");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_gets_our_error_correction() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "sound=silence").await;
    let dir = tempfile::tempdir().unwrap();
    let voice = common::write_sample(dir.path(), &CUSTOMER);
    let mut customer = in_call(&center, &page, SourceSpec::File(voice)).await;
    let stats = played(&page, 8.0).await;
    // NetEQ counts a copy that came in another packet, whether it was needed or not.
    assert!(number(&stats, "fecPacketsReceived") > 20.0, "{stats:#}");
    // A machine that stands still makes Chromium's socket drop some, even on loopback.
    assert!(number(&stats, "packetsLost") < 0.02 * number(&stats, "packetsReceived"), "{stats:#}");
    assert!(number(&stats, "totalAudioEnergy") > 0.001, "a voice is heard: {stats:#}");
    page.click("hang-up").await;
    let report = customer.call_report().await;
    assert_eq!(report.end.outcome, Outcome::Completed);
    center.shutdown().await;
}

/// A machine that stands still for a moment makes either side conceal. What is asked for is a stretch without.
#[tokio::test(flavor = "multi_thread")]
async fn neither_side_conceals_anything_on_a_clean_link() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let customer = in_call(&center, &page, SourceSpec::Tone(440.0)).await;
    let give_up = Instant::now() + 2 * browser_support::PATIENCE;
    let mut begun = (-1.0, 0, 0.0);
    loop {
        let stats = page.stats("inbound-rtp", "audio").await;
        let theirs = number(&stats, "concealedSamples") - number(&stats, "silentConcealedSamples");
        let ours = ours(&customer).await.media.receiver.concealed_samples;
        let played = number(&stats, "totalSamplesDuration");
        if (theirs, ours) != (begun.0, begun.1) {
            begun = (theirs, ours, played);
        } else if played - begun.2 >= 4.0 {
            break;
        }
        assert!(Instant::now() < give_up, "never 4 s without concealment: browser {theirs}, customer {ours}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    center.shutdown().await;
}

/// A browser that has not been given the microphone hides its addresses behind names that only its own network can
/// resolve (mDNS).
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_hides_its_addresses_is_reached() {
    let center = center().await;
    let browser = Browser::with_flags(&["--use-fake-ui-for-media-stream=deny"]).await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let customer = in_call(&center, &page, SourceSpec::Tone(440.0)).await;
    let sdp = page.eval("globalThis.deskCall.peer.localDescription.sdp").await;
    let sdp = sdp.as_str().unwrap();
    let hosts: Vec<&str> = sdp.lines().filter(|l| l.starts_with("a=candidate") && l.contains("typ host")).collect();
    assert!(!hosts.is_empty() && hosts.iter().all(|l| l.contains(".local ")), "{hosts:#?}");
    let (hz, level) = page.hears().await;
    assert!((hz - 440.0).abs() < 10.0 && level > -40.0, "{hz} Hz at {level} dBFS");
    assert!(ours(&customer).await.media.receiver.packets_received > 0);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sound_runs_on_while_video_is_added_and_removed() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = in_call(&center, &page, SourceSpec::Tone(440.0)).await;
    played(&page, 1.0).await;
    let before = ours(&customer).await.media.receiver;
    for kind in ["added", "removed"] {
        let script = match kind {
            "added" => {
                "globalThis.extra = globalThis.deskCall.peer.addTransceiver('video', { direction: 'sendrecv' });\
                 await globalThis.deskCall.offer();"
            }
            _ => "globalThis.extra.stop(); await globalThis.deskCall.offer();",
        };
        page.eval_async(script).await;
        let renegotiates = |e: &CallEvent| matches!(e, CallEvent::Renegotiating);
        customer.call_is(kind, renegotiates).await;
        page.until("globalThis.deskCall.peer.signalingState === 'stable'").await;
        let (hz, _) = page.hears().await;
        assert!((hz - 440.0).abs() < 10.0, "{kind}: {hz} Hz");
    }
    let give_up = Instant::now() + browser_support::PATIENCE;
    let after = loop {
        let now = ours(&customer).await.media.receiver;
        if now.packets_received > before.packets_received + 100 {
            break now;
        }
        assert!(Instant::now() < give_up, "the customer no longer hears the browser: {now:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // A machine that stands still makes sockets drop some, even on loopback.
    let lost = after.packets_lost - before.packets_lost;
    assert!((lost as f64) < 0.02 * (after.packets_received - before.packets_received) as f64 + 1.0, "{after:?}");
    center.shutdown().await;
}
