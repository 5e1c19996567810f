//! Two peers of ours on this machine: they connect, sound goes both ways, figures are read.
#![allow(clippy::unwrap_used)]

use chatphone::peer::media::{MediaClock, MediaConfig, MediaHandle, MediaParts, MediaSession};
use chatphone::peer::{AudioPeer, LocalNetwork, PeerConfig, PeerEvent, PeerState, has_active_video};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::sink::Null;
use chatphone_media::audio::tone::Tone;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

type Events = UnboundedReceiver<PeerEvent>;

fn config(codecs: &[CodecKind]) -> PeerConfig {
    PeerConfig {
        ice_servers: vec![],
        relays: Default::default(),
        network: LocalNetwork::only([127, 0, 0, 1].into()),
        relay_only: false,
        codecs: codecs.to_vec(),
    }
}

/// Carries candidates to the other side until this side is connected; RTP that came meanwhile is lost, as on the wire.
async fn connected(mine: &mut Events, other: &AudioPeer) {
    while let Some(event) = mine.recv().await {
        match event {
            PeerEvent::LocalCandidate(candidate) => other.add_candidate(&candidate).await.unwrap(),
            PeerEvent::State(PeerState::Connected) => return,
            PeerEvent::State(PeerState::Failed) => panic!("ICE failed"),
            _ => {}
        }
    }
}

async fn pair(offerer: &[CodecKind], answerer: &[CodecKind]) -> ((AudioPeer, Events), (AudioPeer, Events)) {
    let (a, mut a_events) = AudioPeer::new(config(offerer)).await.unwrap();
    let (b, mut b_events) = AudioPeer::new(config(answerer)).await.unwrap();
    let offer = a.create_offer().await.unwrap();
    let answer = b.accept_offer(&offer).await.unwrap();
    a.accept_answer(&answer).await.unwrap();
    timeout(Duration::from_secs(10), async {
        tokio::join!(connected(&mut a_events, &b), connected(&mut b_events, &a));
    })
    .await
    .expect("connected within 10 s");
    ((a, a_events), (b, b_events))
}

async fn talk(clock: &MediaClock, peer: &AudioPeer, hz: f32) -> MediaHandle {
    talk_over(clock, peer, hz, |_| true).await
}

/// Sends a tone of which only these packets, by sequence number, get away.
async fn talk_over(
    clock: &MediaClock,
    peer: &AudioPeer,
    hz: f32,
    gets_away: impl Fn(u16) -> bool + Send + 'static,
) -> MediaHandle {
    let codec = peer.negotiated_codecs().await.sending().unwrap();
    let (packets_tx, mut packets) = unbounded_channel();
    let parts = MediaParts::new(Box::new(Tone::new(hz)), Box::new(Null));
    let (session, handle) = MediaSession::new(parts, codec.kind, MediaConfig::default(), packets_tx).unwrap();
    clock.attach(session);
    let writer = peer.rtp_writer();
    tokio::spawn(async move {
        while let Some(p) = packets.recv().await {
            if !gets_away(p.sequence_number) {
                continue;
            }
            writer.write(codec.payload_type, p.sequence_number, p.timestamp, p.marker, p.payload).await;
        }
    });
    handle
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_goes_both_ways_and_the_far_end_reports_on_it() {
    let started = Instant::now();
    let ((a, _a_events), (b, mut b_events)) = pair(&[CodecKind::Opus], &[CodecKind::Opus]).await;
    println!("connected after {:?}", started.elapsed());
    let clock = MediaClock::start().unwrap();
    let from_a = talk(&clock, &a, 440.0).await;
    let at_b = talk(&clock, &b, 880.0).await;
    let reported = timeout(Duration::from_secs(10), async {
        let mut reported = None;
        while reported.is_none() || at_b.stats().borrow().receiver.audio_level < 0.05 {
            match b_events.recv().await.unwrap() {
                PeerEvent::Rtp(p) => {
                    let arrival = p.arrival;
                    at_b.push(CodecKind::Opus, p.into_packet(), arrival);
                }
                PeerEvent::RemoteReport(report) if report.round_trip_time.is_some() => reported = Some(report),
                _ => {}
            }
        }
        reported.unwrap()
    })
    .await
    .expect("sound and a report within 10 s");
    assert_eq!(reported.packets_lost, 0);
    assert!(reported.round_trip_time.unwrap() < Duration::from_millis(500));
    let stats = b.stats().await;
    assert_eq!(stats.local_candidate.as_ref().unwrap().candidate_type, "host");
    assert!(stats.packets_sent > 10, "{stats:?}");
    let report = at_b.stop().await;
    assert_eq!(report.stats.receiver.packets_lost, 0);
    assert!(report.problems.is_empty());
    drop(from_a);
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_follows_the_loss_that_the_far_end_reports() {
    let ((a, mut a_events), (b, _b_events)) = pair(&[CodecKind::Opus], &[CodecKind::Opus]).await;
    let clock = MediaClock::start().unwrap();
    let from_a = talk_over(&clock, &a, 440.0, |number| number % 5 != 0).await;
    let mut stats = from_a.stats();
    let before = stats.borrow_and_update().sender;
    let followed = async {
        loop {
            tokio::select! {
                event = a_events.recv() => if let PeerEvent::RemoteReport(report) = event.unwrap() {
                    println!("{report:?}");
                    from_a.report(report);
                },
                _ = stats.changed() => {
                    let now = stats.borrow_and_update().sender;
                    if now.dred_ms > 0 {
                        return now;
                    }
                }
            }
        }
    };
    let now = timeout(Duration::from_secs(20), followed).await.expect("deep redundancy is sent within 20 s");
    assert!(before.dred_ms == 0 && now.target_bitrate > before.target_bitrate && now.expected_loss >= 20, "{now:?}");
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn video_that_is_offered_is_answered_with_audio_alone() {
    let offer = include_str!("offers/chromium-audio-video.sdp").replace('\n', "\r\n");
    assert!(has_active_video(&offer));
    let (peer, _events) = AudioPeer::new(config(&[CodecKind::Opus])).await.unwrap();
    let answer = peer.accept_offer(&offer).await.unwrap();
    println!("{answer}");
    assert!(!has_active_video(&answer), "{answer}");
    // RFC 8829, 5.3.1: an answer has as many sections as the offer, a rejected one with port 0.
    assert_eq!(answer.matches("m=audio").count(), 1);
    assert_eq!(answer.matches("m=video 0 ").count(), 1, "{answer}");
    let codec = peer.negotiated_codecs().await.sending().unwrap();
    assert_eq!((codec.kind, codec.payload_type), (CodecKind::Opus, 111));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_has_one_codec_alone_gets_that_one() {
    for kind in CodecKind::ALL {
        let ((a, _a_events), (b, _b_events)) = pair(&[kind], &CodecKind::ALL).await;
        for peer in [&a, &b] {
            let codecs = peer.negotiated_codecs().await;
            assert_eq!(codecs.sending().map(|c| c.kind), Some(kind));
            assert_eq!(codecs.kind_of(codecs.sending().unwrap().payload_type), Some(kind));
        }
        a.close().await;
        b.close().await;
    }
}

/// Connects two peers, the offer going through `rewrite` on its way.
async fn connect_with_offer(rewrite: impl Fn(String) -> String) {
    let (a, mut a_events) = AudioPeer::new(config(&CodecKind::ALL)).await.unwrap();
    let (b, mut b_events) = AudioPeer::new(config(&CodecKind::ALL)).await.unwrap();
    let offer = rewrite(a.create_offer().await.unwrap());
    let answer = b.accept_offer(&offer).await.unwrap();
    a.accept_answer(&answer).await.unwrap_or_else(|e| panic!("{e}:\n{answer}"));
    timeout(Duration::from_secs(10), async {
        tokio::join!(connected(&mut a_events, &b), connected(&mut b_events, &a));
    })
    .await
    .unwrap_or_else(|_| panic!("not connected after 10 s with\n{offer}\n{answer}"));
    a.close().await;
    b.close().await;
}

fn without(sdp: &str, prefixes: &[&str]) -> String {
    sdp.lines().filter(|l| !prefixes.iter().any(|p| l.starts_with(p))).map(|l| format!("{l}\r\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_neither_names_nor_bundles_its_section_connects() {
    connect_with_offer(|offer| without(&offer, &["a=mid", "a=group"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_is_the_dtls_client_connects() {
    connect_with_offer(|offer| offer.replace("a=setup:actpass", "a=setup:active")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_is_the_dtls_server_connects() {
    connect_with_offer(|offer| offer.replace("a=setup:actpass", "a=setup:passive")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_does_not_trickle_connects() {
    let (a, mut a_events) = AudioPeer::new(config(&CodecKind::ALL)).await.unwrap();
    let (b, mut b_events) = AudioPeer::new(config(&CodecKind::ALL)).await.unwrap();
    let mut offer = a.create_offer().await.unwrap();
    loop {
        match timeout(Duration::from_secs(10), a_events.recv()).await.expect("gathered within 10 s").unwrap() {
            PeerEvent::LocalCandidate(candidate) => offer.push_str(&format!("a={}\r\n", candidate.candidate)),
            PeerEvent::GatheringComplete => break,
            _ => {}
        }
    }
    offer.push_str("a=end-of-candidates\r\n");
    assert!(offer.contains("a=candidate:"), "{offer}");
    // Nor does it take any: its candidates alone must do.
    a.accept_answer(&b.accept_offer(&offer).await.unwrap()).await.unwrap();
    timeout(Duration::from_secs(10), async {
        tokio::join!(until_connected(&mut a_events), until_connected(&mut b_events));
    })
    .await
    .expect("connected within 10 s");
}

/// What an agent's side does that hands the call over to a media server in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_codec_may_change_in_a_running_call() {
    let ((a, _a_events), (b, mut b_events)) = pair(&CodecKind::ALL, &CodecKind::ALL).await;
    let before = b.negotiated_codecs().await.sending().unwrap();
    assert_eq!(before.kind, CodecKind::Opus);
    let offer = a.create_offer().await.unwrap();
    let formats: Vec<&str> = ["111", "110", "9", "8"].to_vec();
    let mut g711 = String::new();
    for line in offer.lines() {
        let line = match line.strip_prefix("m=audio ") {
            // The first three words are no formats.
            Some(_) => {
                let words = line.split(' ').enumerate().filter(|(i, word)| *i < 3 || !formats.contains(word));
                words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
            }
            None => line.to_owned(),
        };
        let about = line.split_once(':').and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        if !(line.starts_with("a=rtpmap") || line.starts_with("a=fmtp")) || !formats.contains(&about) {
            g711.push_str(&line);
            g711.push_str("\r\n");
        }
    }
    let answer = b.accept_offer(&g711).await.unwrap();
    a.accept_answer(&answer).await.unwrap();
    for peer in [&a, &b] {
        assert_eq!(peer.negotiated_codecs().await.sending().map(|c| c.kind), Some(CodecKind::Pcmu), "{answer}");
    }
    a.rtp_writer().write(0, 1, 160, true, vec![0xFF; 160].into()).await;
    let heard = timeout(Duration::from_secs(10), async {
        loop {
            if let PeerEvent::Rtp(packet) = b_events.recv().await.unwrap() {
                return packet.payload_type;
            }
        }
    });
    assert_eq!(heard.await.expect("a packet within 10 s"), 0);
}

/// A far end that holds the call (RFC 3264, 8.4) and takes it up again.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_held_goes_both_ways_again() {
    let ((a, _a_events), (b, _b_events)) = pair(&[CodecKind::Opus], &[CodecKind::Opus]).await;
    for (offered, answered, takes) in [
        ("sendonly", "recvonly", false),
        ("sendrecv", "sendrecv", true),
        ("inactive", "inactive", false),
        ("sendrecv", "sendrecv", true),
    ] {
        let offer = a.create_offer().await.unwrap().replace("a=sendrecv", &format!("a={offered}"));
        let answer = b.accept_offer(&offer).await.unwrap();
        assert!(answer.contains(&format!("a={answered}\r\n")), "{offered}: {answer}");
        a.accept_answer(&answer).await.unwrap();
        assert_eq!(b.negotiated_codecs().await.takes_media(), takes, "{offered}");
    }
    assert!(a.negotiated_codecs().await.takes_media());
}

async fn until_connected(events: &mut Events) {
    while let Some(event) = events.recv().await {
        if event == PeerEvent::State(PeerState::Connected) {
            return;
        }
    }
}

/// What a lite agent's handler tells.
#[derive(Clone)]
struct Gathered(tokio::sync::mpsc::UnboundedSender<()>);

#[async_trait::async_trait]
impl webrtc::peer_connection::PeerConnectionEventHandler for Gathered {
    async fn on_ice_gathering_state_change(&self, state: webrtc::peer_connection::RTCIceGatheringState) {
        if state == webrtc::peer_connection::RTCIceGatheringState::Complete {
            let _ = self.0.send(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ice_lite_server_is_connected_to() {
    use webrtc::peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, RTCSessionDescription, SettingEngineBuilder,
    };
    let mut media = MediaEngine::default();
    media.register_default_codecs().unwrap();
    let (done, mut gathered) = unbounded_channel();
    let lite = PeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_setting_engine(SettingEngineBuilder::new().with_lite(true).with_include_loopback_candidate(true).build())
        .with_handler(std::sync::Arc::new(Gathered(done)))
        .with_udp_addrs(vec!["127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()])
        .build()
        .await
        .unwrap();
    lite.add_transceiver_from_kind(rtc::rtp_transceiver::rtp_sender::RtpCodecKind::Audio, None).await.unwrap();
    let offer = lite.create_offer(None).await.unwrap();
    lite.set_local_description(offer).await.unwrap();
    timeout(Duration::from_secs(10), gathered.recv()).await.expect("gathered within 10 s").unwrap();
    let offer = lite.local_description().await.unwrap().sdp;
    assert!(offer.contains("a=ice-lite") && offer.contains("a=candidate"), "{offer}");

    let (peer, mut events) = AudioPeer::new(config(&CodecKind::ALL)).await.unwrap();
    let answer = peer.accept_offer(&offer).await.unwrap();
    lite.set_remote_description(RTCSessionDescription::answer(answer).unwrap()).await.unwrap();
    timeout(Duration::from_secs(10), until_connected(&mut events)).await.expect("connected within 10 s");
    peer.close().await;
    lite.close().await.unwrap();
}
