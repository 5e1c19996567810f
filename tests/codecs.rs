//! Every codec that a contact center offers, both ways, over real WebRTC.
#![allow(clippy::unwrap_used)]

mod common;

use chatphone::api::event::ClientMessage;
use chatphone::api::{ClientEvent, ServerEvent};
use chatphone::call::{CallConfig, CallEvent, CallSetup, Outcome, SoundSpec};
use chatphone::chat::{ChatEvent, SessionConfig};
use chatphone::peer::LocalNetwork;
use chatphone::peer::media::MediaClock;
use chatphone::phone::{EndChat, Phone, PhoneConfig, PhoneEvent};
use chatphone::simulator::AgentSound;
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::source::SourceSpec;
use chatphone_media::samples::{AGENT, CUSTOMER, Sample};
use common::{call, center, client, correlations, plan, write_sample};
use std::time::Duration;

/// The beginning of a sample, so that a call is short: its first words.
fn first_words(sample: &'static Sample) -> Sample {
    Sample { name: sample.name, wav: sample.wav, utterances: &sample.utterances[..1] }
}

/// A call with an agent who has this codec alone: both hear what the other says, and the report names the codec.
async fn speech_both_ways(codec: CodecKind) {
    let dir = tempfile::tempdir().unwrap();
    let agent_says = write_sample(dir.path(), &AGENT);
    let center = center(|c| {
        c.agent.codecs = vec![codec];
        c.agent.sound = AgentSound::Play(agent_says);
        c.agent.record_dir = Some(dir.path().join("agent"));
    })
    .await;
    let mut plan = plan(&center.base_url());
    let heard = dir.path().join("heard.wav");
    plan.sound.source = SourceSpec::File(write_sample(dir.path(), &CUSTOMER));
    plan.sound.record = Some(heard.clone());
    plan.duration = Some(Duration::from_secs_f64(6.0));
    let summary = call(plan).await;
    let recordings = center.recordings();
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(summary.codec, Some(codec.name()), "{summary}");
    // A machine that stands still makes a socket drop some, even on loopback.
    let most = (summary.received.packets / 50) as i64;
    assert!((0..=most).contains(&summary.received.lost), "{summary}");
    for (who, found) in [
        ("the customer", correlations(&first_words(&AGENT), &heard)),
        ("the agent", correlations(&first_words(&CUSTOMER), recordings.last().unwrap())),
    ] {
        // Without any gap it is more than 0.9; of other words less than a fifth.
        assert!(found.iter().all(|c| *c >= 0.8), "{codec}: {who} heard {found:?}");
    }
    let r = &summary.received;
    assert!(r.jitter_buffer_emitted_count > 200_000 && r.total_audio_energy > 0.0, "{r:?}");
    assert!(r.jitter_buffer_delay_s / r.jitter_buffer_emitted_count as f64 > 0.001, "{r:?}");
    assert!(r.jitter_buffer_target_delay_s >= r.jitter_buffer_minimum_delay_s, "{r:?}");
    let remote = summary.remote.as_ref().expect("the agent's side reports");
    assert!(
        (0..=most).contains(&i64::from(remote.lost)) && remote.round_trip_time_ms.is_some_and(|ms| ms > 0.0),
        "{remote:?}"
    );
    let quality = summary.quality.as_ref().unwrap();
    assert!(quality.mos > 3.0 && quality.one_way_delay_ms > 26.0, "{quality:?}");
    assert!(summary.to_string().contains("MOS "), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_goes_both_ways_in_opus() {
    speech_both_ways(CodecKind::Opus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_goes_both_ways_in_g722() {
    speech_both_ways(CodecKind::G722).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_goes_both_ways_when_pcmu_alone_is_offered() {
    speech_both_ways(CodecKind::Pcmu).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_goes_both_ways_in_pcma() {
    speech_both_ways(CodecKind::Pcma).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_customers_order_decides_what_is_sent() {
    let center = center(|_| ()).await;
    for codecs in [[CodecKind::Pcma, CodecKind::Opus], [CodecKind::G722, CodecKind::Pcmu]] {
        let mut plan = plan(&center.base_url());
        plan.sound.codecs = codecs.to_vec();
        let summary = call(plan).await;
        assert_eq!((summary.outcome, summary.codec), (Outcome::Completed, Some(codecs[0].name())), "{summary}");
        assert!(summary.received.packets > 20, "{summary}");
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_codec_in_common_the_call_fails_and_says_which_there_are() {
    let center = center(|c| c.agent.codecs = vec![CodecKind::Pcmu]).await;
    let mut plan = plan(&center.base_url());
    plan.sound.codecs = vec![CodecKind::Opus, CodecKind::G722];
    let summary = call(plan).await;
    center.shutdown().await;
    assert_eq!((summary.outcome, summary.codec), (Outcome::Failed, None), "{summary}");
    assert!(summary.reason.contains("no codec in common"), "{}", summary.reason);
    assert!(summary.reason.contains("PCMU") && summary.reason.contains("opus, G722"), "{}", summary.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_has_the_codecs_asked_for_in_their_order_and_what_goes_with_them() {
    for (codecs, formats) in [
        (&[CodecKind::G722, CodecKind::Pcma][..], &["G722/8000", "PCMA/8000", "CN/8000", "telephone-event/8000"][..]),
        (&[CodecKind::Opus], &["opus/48000/2", "telephone-event/48000"]),
    ] {
        let center = center(|c| c.agent.codecs = codecs.to_vec()).await;
        let mut offered = Vec::new();
        let mut plan = plan(&center.base_url());
        plan.duration = Some(Duration::from_millis(100));
        common::call_watched(plan, |event, _| {
            if let PhoneEvent::Signaling { sent: false, signal, .. } = event {
                let signal = serde_json::to_value(signal).unwrap();
                let sdp = signal["sdp"].as_str().unwrap_or_default();
                let maps = sdp.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '));
                offered.extend(maps.map(|(_, encoding)| encoding.to_owned()));
            }
        })
        .await;
        center.shutdown().await;
        assert_eq!(offered, formats);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_both_ways_in_a_narrow_band_call() {
    let center = center(|c| {
        c.agent.codecs = vec![CodecKind::Pcma];
        c.agent.reply_after = Duration::from_millis(20);
    })
    .await;
    let client = client(&center.base_url());
    let (phone, mut events, _task) = Phone::start(PhoneConfig {
        call: CallSetup {
            client: client.clone(),
            clock: MediaClock::start().unwrap(),
            network: LocalNetwork::towards(Some([127, 0, 0, 1].into())),
            relay_only: false,
            sound: SoundSpec::default(),
            opened: None,
            tap: None,
            limits: CallConfig::default(),
        },
        client,
        request: Default::default(),
        session: SessionConfig::default(),
        end_chat: EndChat::Always,
        watch_network: false,
        last_call: None,
    });
    let (mut here, mut there, mut asked) = (String::new(), String::new(), false);
    let keys = async {
        while (here.len(), there.len()) != (4, 4) {
            match events.recv().await.unwrap() {
                PhoneEvent::Chat(ChatEvent::Server { event: ServerEvent::Message(message), .. }) => {
                    if !std::mem::replace(&mut asked, true) {
                        phone.request_call(None, false);
                    }
                    if let Some(key) = message.msg.strip_prefix("You pressed ") {
                        there.push_str(key.trim_end_matches('.'));
                    }
                }
                PhoneEvent::Call(CallEvent::MediaFlowing) => {
                    phone.dial("19*D".parse().unwrap());
                    let say = ClientMessage { msg: "/dtmf 28#A".into(), ..ClientMessage::default() };
                    phone.send(ClientEvent::Message(say));
                }
                PhoneEvent::Call(CallEvent::Ended(end)) => panic!("{end:?}"),
                PhoneEvent::Digit(digit) => here.push_str(&digit.to_string()),
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), keys).await.expect("eight keys");
    assert_eq!((here.as_str(), there.as_str()), ("28#A", "19*D"));
    phone.shut_down();
    center.shutdown().await;
}
