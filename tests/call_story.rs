//! A customer calls a contact center: what each kind of call comes to.
#![allow(clippy::unwrap_used)]

mod common;

use chatphone::api::ServerEvent;
use chatphone::call::{CallConfig, Outcome};
use chatphone::chat::ChatEvent;
use chatphone::phone::PhoneEvent;
use chatphone::simulator::{AgentSound, Hours, Rejection};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use chatphone_media::audio::source::SourceSpec;
use chatphone_media::samples::{AGENT, CUSTOMER};
use common::{call, call_watched, center, correlations, plan, write_sample};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn two_recorded_voices_are_heard_at_the_other_end() {
    let dir = tempfile::tempdir().unwrap();
    let agent_says = write_sample(dir.path(), &AGENT);
    let center = center(|c| {
        c.agent.sound = AgentSound::Play(agent_says);
        c.agent.record_dir = Some(dir.path().join("agent"));
    })
    .await;
    let mut plan = plan(&center.base_url());
    let heard = dir.path().join("heard.wav");
    plan.sound.source = SourceSpec::File(write_sample(dir.path(), &CUSTOMER));
    plan.sound.record = Some(heard.clone());
    plan.duration = Some(Duration::from_secs_f64(16.5));
    let summary = call(plan).await;
    let recordings = center.recordings();
    center.shutdown().await;

    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(summary.codec, Some("opus"));
    assert_eq!(summary.received.lost, 0, "{summary}");
    assert!(summary.sent.packets >= 700 && summary.received.packets >= 700, "{summary}");
    assert_eq!(summary.recording.as_ref(), Some(&heard));
    let timing = &summary.timing_ms;
    assert!(timing.request_to_offer.unwrap() <= timing.request_to_connected.unwrap());
    assert!(timing.request_to_connected.unwrap() < timing.request_to_first_audio.unwrap());
    for (who, found) in [
        ("the customer", correlations(&AGENT, &heard)),
        ("the agent", correlations(&CUSTOMER, recordings.last().unwrap())),
    ] {
        assert!(found.iter().all(|c| *c >= 0.9), "{who} heard {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_calls_and_both_sides_are_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let center = center(|c| {
        c.agent.sound = AgentSound::Tone(880.0);
        c.agent.incoming = true;
    })
    .await;
    let mut plan = plan(&center.base_url());
    plan.incoming = true;
    let both = dir.path().join("both.wav");
    plan.sound.record_both = Some(both.clone());
    let summary = call(plan).await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(summary.timing_ms.request_to_connected, None);
    // Mixed to mono by the reader: both tones are there.
    let sound = read_wav(&both).unwrap();
    let end = &sound[sound.len() - 24_000..];
    for hz in [440.0, 880.0] {
        assert!(tone_level(end, hz) > -30.0, "{hz} Hz at {} dBFS", tone_level(end, hz));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_says_who_refused_and_why() {
    let center =
        center(|c| c.agent.reject = Some(Rejection { code: "486".into(), reason: "in a meeting".into() })).await;
    let summary = call(plan(&center.base_url())).await;
    assert_eq!(summary.outcome, Outcome::Rejected, "{summary}");
    assert!(summary.reason.contains("in a meeting"), "{}", summary.reason);
    assert_eq!(summary.codec, None);
    assert!(summary.party.is_some() && summary.chat_id.is_some());
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_answers_ends_by_itself() {
    let center = center(|c| c.agent.no_offer = true).await;
    let mut plan = plan(&center.base_url());
    plan.limits = CallConfig { no_offer: Duration::from_millis(300), ..CallConfig::default() };
    let summary = call(plan).await;
    assert_eq!(summary.outcome, Outcome::NoAnswer, "{summary}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_hangs_up() {
    let center = center(|c| c.agent.hang_up_after = Some(Duration::from_millis(500))).await;
    let mut plan = plan(&center.base_url());
    plan.duration = None;
    let summary = call(plan).await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert!((0.4..3.0).contains(&summary.duration_s), "{summary}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_contact_center_is_not_bothered() {
    let center = center(|c| c.hours = Hours::Closed).await;
    let summary = call(plan(&center.base_url())).await;
    assert_eq!(summary.outcome, Outcome::Unavailable, "{summary}");
    assert!(summary.reason.contains("closed"), "{}", summary.reason);
    assert_eq!(summary.chat_id, None);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_the_wait_ends() {
    let center = center(|c| c.agents = Some(0)).await;
    let mut plan = plan(&center.base_url());
    plan.wait = Duration::from_millis(300);
    let summary = call(plan).await;
    assert_eq!(summary.outcome, Outcome::Unavailable, "{summary}");
    assert!(summary.reason.contains("no agent"), "{}", summary.reason);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_stopped_before_it_is_answered_is_cancelled() {
    let center = center(|c| c.agent.answer_after = Duration::from_secs(30)).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let plan = plan(&center.base_url());
    let wait = async move {
        stopped.await.ok();
    };
    let summary = chatphone::cli::place::place_call(plan, wait, |event, _| {
        if let PhoneEvent::Call(chatphone::call::CallEvent::Requesting { .. }) = event {
            stop.take().map(|s| s.send(()));
        }
    })
    .await;
    assert_eq!(summary.outcome, Outcome::Cancelled, "{summary}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_customers_call_at_once() {
    let center = center(|_| {}).await;
    let url = center.base_url();
    let calls = (0..4).map(|_| {
        let plan = plan(&url);
        tokio::spawn(call(plan))
    });
    for summary in futures::future::join_all(calls).await {
        let summary = summary.unwrap();
        assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
        assert_eq!(summary.received.lost, 0, "{summary}");
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echoing_agent_sends_the_customers_own_tone_back() {
    let dir = tempfile::tempdir().unwrap();
    let center = center(|_| {}).await;
    let mut plan = plan(&center.base_url());
    let heard = dir.path().join("echo.wav");
    plan.sound.record = Some(heard.clone());
    let mut signals = Vec::new();
    let summary = call_watched(plan, |event, _| {
        if let PhoneEvent::Signaling { sent, signal, .. } = event {
            signals.push((*sent, signal.name().to_owned()));
        }
    })
    .await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    let sound = read_wav(&heard).unwrap();
    assert!(tone_level(&sound[sound.len() / 2..], 440.0) > -30.0);
    let order: Vec<_> = signals.iter().filter(|(_, name)| name != "ICE_CANDIDATE").map(|(_, n)| n.as_str()).collect();
    assert_eq!(order, ["REQUEST_CALL", "OFFER_CALL", "ANSWER_CALL", "END_CALL", "END_CALL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_heard_at_the_other_end_each_once() {
    for codec in [CodecKind::Opus, CodecKind::Pcmu] {
        let center = center(|c| c.agent.sound = AgentSound::Tone(880.0)).await;
        let mut plan = plan(&center.base_url());
        plan.sound.codecs = vec![codec];
        plan.dial = Some("1w2#".parse().unwrap());
        plan.duration = Some(Duration::from_secs(3));
        let mut pressed = Vec::new();
        let summary = call_watched(plan, |event, _| {
            if let PhoneEvent::Chat(ChatEvent::Server { event: ServerEvent::Message(message), .. }) = event
                && let Some(key) = message.msg.strip_prefix("You pressed ")
            {
                pressed.push(key.to_owned());
            }
        })
        .await;
        assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
        assert_eq!(pressed, ["1.", "2.", "#."], "{codec}");
        center.shutdown().await;
    }
}
