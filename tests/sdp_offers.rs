//! Offers of browsers and media servers, and what a peer of ours answers (RFC 8829, 5.3; RFC 8843, 7.3).
#![allow(clippy::unwrap_used)]

use chatphone::api::signaling::IceCandidate;
use chatphone::peer::{AudioPeer, LocalNetwork, NegotiatedCodec, PeerConfig};
use chatphone_media::audio::codec::CodecKind;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// One section (`m=` line and what follows), or the head of a description.
struct Section<'a>(Vec<&'a str>);

impl<'a> Section<'a> {
    fn all(sdp: &'a str) -> (Section<'a>, Vec<Section<'a>>) {
        let mut sections = vec![Section(Vec::new())];
        for line in sdp.lines() {
            if line.starts_with("m=") {
                sections.push(Section(Vec::new()));
            }
            sections.last_mut().unwrap().0.push(line);
        }
        let head = sections.remove(0);
        (head, sections)
    }

    fn m_line(&self) -> Vec<&'a str> {
        self.0[0].split(' ').collect()
    }

    fn kind(&self) -> &'a str {
        self.m_line()[0]
    }

    fn port(&self) -> &'a str {
        self.m_line()[1]
    }

    fn formats(&self) -> HashSet<&'a str> {
        self.m_line()[3..].iter().copied().collect()
    }

    fn values(&self, attribute: &str) -> Vec<&'a str> {
        let prefix = format!("a={attribute}:");
        self.0.iter().filter_map(|line| line.strip_prefix(&prefix)).collect()
    }

    fn value(&self, attribute: &str) -> Option<&'a str> {
        self.values(attribute).first().copied()
    }

    fn has(&self, flag: &str) -> bool {
        self.0.contains(&format!("a={flag}").as_str())
    }

    fn direction(&self) -> &'static str {
        ["sendonly", "recvonly", "inactive"].into_iter().find(|d| self.has(d)).unwrap_or("sendrecv")
    }

    fn rejected(&self) -> bool {
        self.port() == "0" && !self.has("bundle-only")
    }
}

fn bundled<'a>(head: &Section<'a>) -> HashSet<&'a str> {
    let group = head.values("group").into_iter().find_map(|g| g.strip_prefix("BUNDLE"));
    group.unwrap_or_default().split_whitespace().collect()
}

/// Checks what every answer must be, whatever the offer.
fn check(name: &str, offer: &str, answer: &str) {
    let ((offer_head, offered), (head, answered)) = (Section::all(offer), Section::all(answer));
    let show = || format!("{name}\n--- offer\n{offer}\n--- answer\n{answer}");
    assert_eq!(offered.len(), answered.len(), "as many sections: {}", show());
    assert!(!head.has("ice-lite"), "we are no lite agent: {}", show());
    let mut accepted_mids = HashSet::new();
    for (theirs, ours) in offered.iter().zip(&answered) {
        assert_eq!(theirs.kind(), ours.kind(), "in the same order: {}", show());
        assert_eq!(theirs.m_line()[2], ours.m_line()[2], "the same protocol: {}", show());
        if let Some(mid) = theirs.value("mid") {
            assert_eq!(Some(mid), ours.value("mid"), "the same names: {}", show());
        }
        if theirs.rejected() || theirs.kind() != "m=audio" {
            assert!(ours.rejected(), "what is rejected, and what is no audio, stays rejected: {}", show());
        }
        if ours.rejected() {
            continue;
        }
        accepted_mids.extend(ours.value("mid"));
        assert!(ours.formats().is_subset(&theirs.formats()) && !ours.formats().is_empty(), "{}", show());
        assert!(ours.has("rtcp-mux"), "{}", show());
        for extension in ours.values("extmap") {
            let same = |offered: &&str| offered.split(' ').nth(1) == extension.split(' ').nth(1);
            let offered = theirs.values("extmap").into_iter().find(same);
            let id = |e: &str| e.split([' ', '/']).next().map(str::to_owned);
            assert_eq!(offered.and_then(id), id(extension), "an extension keeps its number: {}", show());
        }
        for attribute in ["ice-ufrag", "ice-pwd", "fingerprint"] {
            assert!(ours.value(attribute).or(head.value(attribute)).is_some(), "{attribute}: {}", show());
        }
        let setup = ours.value("setup").or(head.value("setup"));
        let roles: &[&str] = match theirs.value("setup").or(offer_head.value("setup")) {
            Some("active") => &["passive"],
            Some("passive") => &["active"],
            _ => &["active", "passive"],
        };
        assert!(roles.contains(&setup.unwrap_or_default()), "DTLS roles (RFC 8842, 5.3): {}", show());
        let directions: &[&str] = match theirs.direction() {
            "sendrecv" => &["sendrecv"],
            "sendonly" => &["recvonly"],
            "recvonly" => &["sendonly", "inactive"],
            _ => &["inactive"],
        };
        assert!(directions.contains(&ours.direction()), "{}", show());
    }
    let active = answered.iter().filter(|s| !s.rejected()).count();
    assert!(active >= 1, "{}", show());
    let ours = bundled(&head);
    assert!(ours.is_subset(&bundled(&offer_head)) && ours.is_subset(&accepted_mids), "BUNDLE: {}", show());
}

fn config() -> PeerConfig {
    PeerConfig {
        ice_servers: vec![],
        relays: Default::default(),
        network: LocalNetwork::only([127, 0, 0, 1].into()),
        relay_only: false,
        codecs: CodecKind::ALL.to_vec(),
    }
}

fn on_the_wire(sdp: &str) -> String {
    sdp.replace('\n', "\r\n")
}

async fn answered(name: &str, offer: &str) -> (String, NegotiatedCodec) {
    let (peer, _events) = AudioPeer::new(config()).await.unwrap();
    let offer = on_the_wire(offer);
    let answer = peer.accept_offer(&offer).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    check(name, &offer, &answer);
    let codec = peer.negotiated_codecs().await.sending().unwrap_or_else(|| panic!("{name}: no codec in\n{answer}"));
    peer.close().await;
    (answer, codec)
}

macro_rules! offers {
    ($($test:ident: $file:literal => $kind:ident, $payload_type:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            let (_, codec) = answered($file, include_str!(concat!("offers/", $file, ".sdp"))).await;
            assert_eq!(codec, NegotiatedCodec { kind: CodecKind::$kind, payload_type: $payload_type });
        })*

        const CORPUS: &[&str] = &[$(include_str!(concat!("offers/", $file, ".sdp"))),*];
    };
}

offers! {
    chromium_with_audio_gets_opus: "chromium-audio" => Opus, 111;
    chromium_with_audio_and_video_gets_audio: "chromium-audio-video" => Opus, 111;
    chromium_with_a_data_channel_gets_audio: "chromium-data-channel" => Opus, 111;
    chromium_that_adds_video_gets_audio: "chromium-video-added" => Opus, 111;
    chromium_that_stopped_video_gets_audio: "chromium-video-stopped" => Opus, 111;
    firefox_with_audio_and_video_gets_audio: "firefox-audio-video" => Opus, 109;
    safari_gets_opus_under_its_number: "safari-audio" => Opus, 96;
    a_media_server_with_g711_alone_gets_g711: "media-server-pcmu" => Pcmu, 0;
    a_media_server_that_wants_to_be_dtls_client_is: "media-server-g722-active" => G722, 9;
    a_lite_server_is_answered_by_a_full_agent: "ice-lite" => Opus, 111;
    the_first_audio_that_is_not_rejected_counts: "many-sections" => Opus, 120;
    audio_that_goes_along_with_video_has_its_transport: "bundle-only" => Opus, 111;
    music_on_hold_is_only_received: "music-on-hold" => Pcma, 8;
}

#[tokio::test(flavor = "multi_thread")]
async fn video_comes_and_goes_in_a_call_and_the_audio_stays() {
    let (peer, _events) = AudioPeer::new(config()).await.unwrap();
    let mut transports = HashSet::new();
    for (name, offer) in [
        ("added", include_str!("offers/chromium-video-added.sdp")),
        ("removed", include_str!("offers/chromium-video-removed.sdp")),
        ("stopped", include_str!("offers/chromium-video-stopped.sdp")),
    ] {
        let offer = on_the_wire(offer);
        let answer = peer.accept_offer(&offer).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        check(name, &offer, &answer);
        let (_, sections) = Section::all(&answer);
        transports.insert(sections[0].value("ice-ufrag").unwrap().to_owned());
        assert_eq!(peer.negotiated_codecs().await.sending().map(|c| c.kind), Some(CodecKind::Opus));
    }
    assert_eq!(transports.len(), 1, "ICE is not restarted");
    peer.close().await;
}

/// One change that breaks an offer in some way.
#[derive(Debug, Clone)]
enum Damage {
    DropLine(usize),
    RepeatLine(usize, usize),
    CutAt(usize),
    Replace(usize, String),
    Insert(usize, String),
    SwapLines(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let line = prop_oneof![
        "[ -~]{0,40}",
        "a=[a-z-]{1,12}:[ -~]{0,24}",
        "m=(audio|video|application) -?[0-9]{1,6} [A-Z/]{3,20}( [0-9]{1,4}){0,4}",
        "a=(rtpmap|fmtp|ssrc|mid|setup|candidate|extmap|group|rtcp-fb|ice-ufrag|simulcast|rid):[ -~]{0,30}",
        "a=candidate:-?[0-9]{1,12} [0-9]{1,6} [a-z]{1,4} [0-9]{1,12} [0-9.:]{1,20} [0-9]{1,7} typ [a-z]{1,6}",
    ];
    prop_oneof![
        any::<usize>().prop_map(Damage::DropLine),
        (any::<usize>(), 1..200usize).prop_map(|(at, times)| Damage::RepeatLine(at, times)),
        any::<usize>().prop_map(Damage::CutAt),
        (any::<usize>(), any::<String>()).prop_map(|(at, text)| Damage::Replace(at, text)),
        (any::<usize>(), line).prop_map(|(at, text)| Damage::Insert(at, text)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
    ]
}

fn damaged(offer: &str, damages: &[Damage]) -> String {
    let mut lines: Vec<String> = offer.lines().map(str::to_owned).collect();
    for damage in damages {
        let count = lines.len().max(1);
        if lines.is_empty() {
            break;
        }
        match damage {
            Damage::DropLine(at) => drop(lines.remove(at % count)),
            Damage::RepeatLine(at, times) => {
                let line = lines[at % count].clone();
                lines.splice(at % count..at % count, std::iter::repeat_n(line, *times));
            }
            Damage::CutAt(at) => {
                let line = &mut lines[at % count];
                let end =
                    line.char_indices().map(|(i, _)| i).nth(at % (line.chars().count() + 1)).unwrap_or(line.len());
                line.truncate(end);
            }
            Damage::Replace(at, text) => lines[at % count].clone_from(text),
            Damage::Insert(at, text) => lines.insert(at % count, text.clone()),
            Damage::SwapLines(a, b) => lines.swap(a % count, b % count),
        }
    }
    lines.join("\r\n") + "\r\n"
}

/// Panics anywhere in this process, also in the tasks of the WebRTC crate, which nobody waits for.
fn panics() -> &'static AtomicUsize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            before(info);
        }));
    });
    &PANICS
}

/// Gives a fresh peer a description and a candidate. Whatever they are, it comes back with a result, and still closes.
fn survives(offer: &str, candidate: &str) {
    let before = panics().load(Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (peer, _events) = AudioPeer::new(config()).await.unwrap();
        let given = async {
            let accepted = peer.accept_offer(offer).await;
            for mid in [None, Some("0".to_owned())] {
                let candidate = IceCandidate { candidate: candidate.into(), sdp_mid: mid, ..Default::default() };
                let _ = peer.add_candidate(&candidate).await;
            }
            // A renegotiation with the same.
            let again = peer.accept_offer(offer).await;
            (accepted.is_ok(), again.is_ok())
        };
        timeout(Duration::from_secs(10), given).await.expect("an answer or an error within 10 s");
        timeout(Duration::from_secs(10), peer.close()).await.expect("closed within 10 s");
    });
    drop(runtime);
    assert_eq!(panics().load(Ordering::Relaxed), before, "a task panicked");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_offer_makes_a_peer_panic_or_hang(
        file in 0..CORPUS.len(),
        damages in proptest::collection::vec(damage(), 1..6),
        candidate in prop_oneof![any::<String>(), "candidate:[ -~]{0,80}", "(candidate:)?1 1 (udp|tcp|UDP|x) [0-9]{1,12} [ -~]{0,20} [0-9]{1,6} typ (host|srflx|relay|prflx|x)[ -~]{0,30}"],
    ) {
        survives(&damaged(CORPUS[file], &damages), &candidate);
    }
}
