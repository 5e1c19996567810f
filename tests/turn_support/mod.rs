//! A real TURN server on this machine, peers that use it, and what stands between them.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../coturn_support/mod.rs"]
pub mod coturn;
pub mod proxy;

use chatphone::api::types::IceServer;
use chatphone::peer::{AudioPeer, LocalNetwork, PeerConfig, PeerEvent, PeerState, RelayEvent, RelaySettings};
use chatphone_media::audio::codec::CodecKind;
pub use coturn::{Coturn, PASSWORD, SECRET, USER};
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

pub type Events = UnboundedReceiver<PeerEvent>;

/// Credentials of a user of [`Options::secret`] servers that are good until `expiry` (s of Unix time).
pub fn credentials_until(expiry: u64) -> (String, String) {
    let username = format!("{expiry}:{USER}");
    let crypto = rtc::crypto::default_provider().unwrap();
    let mut mac = crypto.crypto().new_hmac(rtc::crypto::HmacAlgorithm::Sha1, SECRET.as_bytes()).unwrap();
    let mut out = [0; 20];
    mac.sign(&[username.as_bytes()], &mut out).unwrap();
    (username, base64(&out))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().chain([0, 0].iter()).take(3).fold(0u32, |w, b| w << 8 | u32::from(*b));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

pub fn server(url: impl Into<String>) -> IceServer {
    server_for(url, (USER.into(), PASSWORD.into()))
}

pub fn server_for(url: impl Into<String>, (username, password): (String, String)) -> IceServer {
    IceServer { urls: vec![url.into()], username: Some(username), credential: Some(password), ..Default::default() }
}

pub fn config(ice_servers: Vec<IceServer>, relays: RelaySettings, relay_only: bool) -> PeerConfig {
    PeerConfig {
        ice_servers,
        relays,
        network: LocalNetwork::only([127, 0, 0, 1].into()),
        relay_only,
        codecs: vec![CodecKind::Opus],
    }
}

/// The far end: its own address alone.
pub fn host() -> PeerConfig {
    config(vec![], RelaySettings::default(), false)
}

/// A peer, with what its relays said.
pub struct End {
    pub peer: AudioPeer,
    pub events: Events,
    pub relay_events: Vec<RelayEvent>,
    pub gathered: bool,
}

impl End {
    pub async fn new(config: PeerConfig) -> Self {
        let (peer, events) = AudioPeer::new(config).await.unwrap();
        Self { peer, events, relay_events: Vec::new(), gathered: false }
    }

    /// The next thing that a relay did.
    pub async fn relay_event(&mut self) -> RelayEvent {
        let next = async {
            loop {
                if let PeerEvent::Relay(event) = self.events.recv().await.expect("the peer is there") {
                    return event;
                }
            }
        };
        timeout(Duration::from_secs(15), next).await.expect("a relay's event within 15 s")
    }

    pub async fn relay_protocol(&self) -> Option<String> {
        self.peer.stats().await.local_candidate.and_then(|c| c.relay_protocol)
    }

    /// Sends numbered packets of this size; gives those that the other side did not get.
    pub async fn sends(&self, other: &mut Self, packets: u16, size: usize, every: Duration) -> Vec<u16> {
        let writer = self.peer.rtp_writer();
        let codec = self.peer.negotiated_codecs().await.sending().unwrap();
        let write = |i: u16| writer.write(codec.payload_type, i, u32::from(i) * 960, false, vec![7; size].into());
        // The first packet of a stream is how the other side comes to know it.
        let mut warm = tokio::time::interval(Duration::from_millis(5));
        let mut number = 0;
        timeout(Duration::from_secs(5), async {
            loop {
                tokio::select! {
                    _ = warm.tick() => {
                        write(number).await;
                        number += 1;
                    }
                    event = other.events.recv() => if let PeerEvent::Rtp(_) = event.expect("the peer is there") {
                        return;
                    },
                }
            }
        })
        .await
        .expect("a packet within 5 s");
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let send = async {
            for i in number..number + packets {
                ticks.tick().await;
                write(i).await;
            }
        };
        let mut missing: std::collections::BTreeSet<u16> = (number..number + packets).collect();
        let receive = async {
            while !missing.is_empty() {
                if let PeerEvent::Rtp(packet) = other.events.recv().await.expect("the peer is there") {
                    missing.remove(&packet.sequence_number);
                }
            }
        };
        let within = every * u32::from(packets) + Duration::from_secs(3);
        let (_, _) = tokio::join!(send, timeout(within, receive));
        missing.into_iter().collect()
    }
}

/// Servers of which nobody answers: STUN and TURN over UDP, TCP that takes the connection and is silent (so is its TLS),
/// TCP that refuses, and a name that does not exist.
pub async fn dead_servers() -> (Vec<IceServer>, UdpSocket) {
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = hole.local_addr().unwrap();
    let (tcp, _) = proxy::silent().await;
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = [
        format!("stun:{udp}"),
        format!("turn:{udp}?transport=udp"),
        format!("turn:{tcp}?transport=tcp"),
        format!("turns:{tcp}?transport=tcp"),
        format!("turn:{refused}?transport=tcp"),
        "stun:no-such-host.invalid".into(),
        "turn:no-such-host.invalid".into(),
        "turns:no-such-host.invalid".into(),
    ];
    (urls.into_iter().map(server).collect(), hole)
}

/// Carries candidates to the other side until this one is connected.
async fn connects(events: &mut Events, other: &AudioPeer, relay_events: &mut Vec<RelayEvent>, gathered: &mut bool) {
    loop {
        match events.recv().await.expect("the peer is there") {
            PeerEvent::LocalCandidate(candidate) => other.add_candidate(&candidate).await.unwrap(),
            PeerEvent::State(PeerState::Connected) => return,
            PeerEvent::State(PeerState::Failed) => panic!("ICE failed: {relay_events:?}"),
            PeerEvent::Relay(event) => relay_events.push(event),
            PeerEvent::GatheringComplete => *gathered = true,
            _ => {}
        }
    }
}

/// Connects two peers, the first of which offers.
pub async fn connected(a: PeerConfig, b: PeerConfig) -> (End, End) {
    let (mut a, mut b) = (End::new(a).await, End::new(b).await);
    let offer = a.peer.create_offer().await.unwrap();
    let answer = b.peer.accept_offer(&offer).await.unwrap();
    a.peer.accept_answer(&answer).await.unwrap();
    connect(&mut a, &mut b).await;
    (a, b)
}

/// Carries candidates between two peers that know each other's descriptions until they are connected.
pub async fn connect(a: &mut End, b: &mut End) {
    timeout(Duration::from_secs(20), async {
        tokio::join!(
            connects(&mut a.events, &b.peer, &mut a.relay_events, &mut a.gathered),
            connects(&mut b.events, &a.peer, &mut b.relay_events, &mut b.gathered),
        );
    })
    .await
    .unwrap_or_else(|_| panic!("connected within 20 s: {:?}", a.relay_events));
}
