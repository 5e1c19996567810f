//! Session descriptions and candidates from a broken or hostile far end: an error at most, never a panic.

use chatphone::api::signaling::IceCandidate;
use chatphone::peer::{AudioPeer, LocalNetwork, PeerConfig};
use chatphone_media::audio::codec::CodecKind;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{LazyLock, Once};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Panics of any thread: those of the stack's own tasks would otherwise only be printed.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static OFFER: LazyLock<String> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let (peer, _events) = new_peer().await;
        peer.create_offer().await.unwrap()
    })
});

/// What Chromium's offers hold beside what ours do.
const BROWSER_LINES: &str = "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-rsize\r\n\
    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtcp-fb:111 transport-cc\r\na=ptime:20\r\na=sctp-port:5000\r\n\
    a=simulcast:send a;b\r\na=rid:a send\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:x\r\na=ssrc:1 msid:s t\r\n\
    a=candidate:1 1 udp 2113937151 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\na=ice-lite\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

async fn new_peer() -> (AudioPeer, tokio::sync::mpsc::UnboundedReceiver<chatphone::peer::PeerEvent>) {
    let network = LocalNetwork::only([127, 0, 0, 1].into());
    let codecs = CodecKind::ALL.to_vec();
    AudioPeer::new(PeerConfig { ice_servers: vec![], relays: Default::default(), network, relay_only: false, codecs })
        .await
        .unwrap()
}

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, SeqCst);
            usual(info);
        }));
    });
}

/// One way to break a text.
#[derive(Debug, Clone)]
enum Break {
    Cut(usize),
    DropLine(usize),
    DoubleLine(usize),
    SwapLines(usize, usize),
    InsertLine(usize, usize),
    Replace(usize, char),
    /// Another value for the n-th word of a line.
    Word(usize, usize, String),
    Truncate(usize),
}

fn breaks() -> impl Strategy<Value = Break> {
    let at = any::<prop::sample::Index>().prop_map(|i| i.index(4096));
    let word = prop_oneof![
        Just(String::new()),
        Just("-1".to_owned()),
        Just("0".to_owned()),
        Just("65536".to_owned()),
        Just("4294967296".to_owned()),
        Just("99999999999999999999999".to_owned()),
        Just(":".to_owned()),
        Just("/".to_owned()),
        Just("=".to_owned()),
        Just("\u{e4}\u{fffd}".to_owned()),
        "[ -~]{0,20}",
    ];
    prop_oneof![
        at.clone().prop_map(Break::Cut),
        at.clone().prop_map(Break::DropLine),
        at.clone().prop_map(Break::DoubleLine),
        (at.clone(), at.clone()).prop_map(|(a, b)| Break::SwapLines(a, b)),
        (at.clone(), at.clone()).prop_map(|(a, b)| Break::InsertLine(a, b)),
        (at.clone(), any::<char>()).prop_map(|(a, c)| Break::Replace(a, c)),
        (at.clone(), at.clone(), word).prop_map(|(a, b, w)| Break::Word(a, b, w)),
        at.prop_map(Break::Truncate),
    ]
}

fn broken(text: &str, how: &[Break]) -> String {
    let mut text = text.to_owned();
    for one in how {
        let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
        let extra: Vec<&str> = BROWSER_LINES.split_terminator("\r\n").collect();
        let n = lines.len();
        match one {
            Break::Cut(at) => {
                let mut chars: Vec<char> = text.chars().collect();
                if !chars.is_empty() {
                    chars.remove(at % chars.len());
                }
                text = chars.into_iter().collect();
                continue;
            }
            Break::Replace(at, c) => {
                let mut chars: Vec<char> = text.chars().collect();
                if let Some(n) = at.checked_rem(chars.len()) {
                    chars[n] = *c;
                }
                text = chars.into_iter().collect();
                continue;
            }
            Break::Truncate(at) => {
                let count = text.chars().count();
                text = text.chars().take(at.checked_rem(count).unwrap_or(0)).collect();
                continue;
            }
            Break::DropLine(at) => drop(lines.remove(at % n)),
            Break::DoubleLine(at) => lines.insert(at % n, lines[at % n].clone()),
            Break::SwapLines(a, b) => lines.swap(a % n, b % n),
            Break::InsertLine(at, which) => lines.insert(at % n, extra[which % extra.len()].to_owned()),
            Break::Word(line, word, with) => {
                let mut words: Vec<String> = lines[line % n].split([' ', ':', '/']).map(str::to_owned).collect();
                let count = words.len();
                words[word % count].clone_from(with);
                lines[line % n] = words.join(" ");
            }
        }
        text = lines.join("\r\n");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_offer_is_an_error_at_most(how in prop::collection::vec(breaks(), 1..6)) {
        count_panics();
        let sdp = broken(&OFFER, &how);
        let before = PANICS.load(SeqCst);
        RUNTIME.block_on(async {
            let (peer, _events) = new_peer().await;
            let taken = tokio::time::timeout(Duration::from_secs(10), peer.accept_offer(&sdp)).await;
            taken.expect("an answer or an error in time").ok();
            peer.negotiated_codecs().await;
            peer.close().await;
        });
        prop_assert_eq!(PANICS.load(SeqCst), before);
    }

    #[test]
    fn a_broken_answer_is_an_error_at_most(how in prop::collection::vec(breaks(), 1..6)) {
        count_panics();
        let before = PANICS.load(SeqCst);
        RUNTIME.block_on(async {
            let (ours, _ours_events) = new_peer().await;
            let (theirs, _theirs_events) = new_peer().await;
            let offer = ours.create_offer().await.unwrap();
            let answer = theirs.accept_offer(&offer).await.unwrap();
            let taken = tokio::time::timeout(Duration::from_secs(10), ours.accept_answer(&broken(&answer, &how))).await;
            taken.expect("taken or an error in time").ok();
            ours.close().await;
            theirs.close().await;
        });
        prop_assert_eq!(PANICS.load(SeqCst), before);
    }

    #[test]
    fn a_broken_candidate_is_an_error_at_most(
        how in prop::collection::vec(breaks(), 0..5),
        junk in "[ -~]{0,40}",
        mid in prop::option::of("[a-z0-9]{0,3}"),
        index in prop::option::of(any::<u16>()),
    ) {
        count_panics();
        let before = PANICS.load(SeqCst);
        let offer = OFFER.as_str();
        let good = "candidate:1 1 udp 2113937151 192.0.2.1 5000 typ srflx raddr 0.0.0.0 rport 9 generation 0 ufrag x";
        RUNTIME.block_on(async {
            let (peer, _events) = new_peer().await;
            peer.accept_offer(offer).await.unwrap();
            for candidate in [broken(good, &how), junk.clone(), format!("candidate:{junk}")] {
                let candidate =
                    IceCandidate { candidate, sdp_mid: mid.clone(), sdp_mline_index: index, ..Default::default() };
                peer.add_candidate(&candidate).await.ok();
            }
            // The driver still answers.
            peer.stats().await;
            peer.close().await;
        });
        prop_assert_eq!(PANICS.load(SeqCst), before);
    }
}
