//! A far end that nominates with its first check, as browsers do: played by hand, message by message.
#![allow(clippy::unwrap_used)]

use chatphone::peer::{AudioPeer, LocalNetwork, PeerConfig, PeerEvent};
use chatphone_media::audio::codec::CodecKind;
use rtc::crypto::default_provider;
use rtc::ice::attributes::control::AttrControlling;
use rtc::ice::attributes::priority::PriorityAttr;
use rtc::ice::attributes::use_candidate::UseCandidateAttr;
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
use rtc::stun::textattrs::Username;
use rtc::stun::xoraddr::XorMappedAddress;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

async fn peer() -> (AudioPeer, tokio::sync::mpsc::UnboundedReceiver<PeerEvent>) {
    let config = PeerConfig {
        ice_servers: vec![],
        relays: Default::default(),
        network: LocalNetwork::only([127, 0, 0, 1].into()),
        relay_only: false,
        codecs: vec![CodecKind::Opus],
    };
    AudioPeer::new(config).await.unwrap()
}

/// The value of an SDP attribute, such as `ice-ufrag`.
fn attribute<'a>(sdp: &'a str, name: &str) -> &'a str {
    sdp.lines().find_map(|l| l.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':')).unwrap().trim()
}

fn stun(parts: Vec<Box<dyn Setter>>, password: &str) -> Vec<u8> {
    let crypto = default_provider().unwrap();
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), crypto.crypto());
    let mut parts: Vec<Box<dyn Setter + '_>> = parts.into_iter().map(|p| p as Box<dyn Setter + '_>).collect();
    parts.push(Box::new(integrity));
    parts.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    message.build(&parts).unwrap();
    message.raw
}

/// The next STUN message, if what comes is one.
async fn receive(socket: &UdpSocket) -> Option<Message> {
    let mut buffer = [0; 2000];
    let (n, _) = socket.recv_from(&mut buffer).await.unwrap();
    let mut message = Message { raw: buffer[..n].to_vec(), ..Message::default() };
    message.decode().ok().map(|()| message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nomination_before_our_check_is_through_is_answered_without_being_repeated() {
    // Whose description is needed, and who is never heard of again.
    let (offerer, _offerer_events) = peer().await;
    let offer = offerer.create_offer().await.unwrap();
    let (ours, mut events) = peer().await;
    let answer = ours.accept_offer(&offer).await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();

    let nominated = timeout(Duration::from_secs(10), async {
        let to: SocketAddr = loop {
            if let PeerEvent::LocalCandidate(candidate) = events.recv().await.unwrap() {
                let words: Vec<_> = candidate.candidate.split(' ').collect();
                break format!("{}:{}", words[4], words[5]).parse().unwrap();
            }
        };
        let id = TransactionId::new();
        let name = format!("{}:{}", attribute(&answer, "ice-ufrag"), attribute(&offer, "ice-ufrag"));
        let nomination = stun(
            vec![
                Box::new(BINDING_REQUEST),
                Box::new(id),
                Box::new(Username::new(ATTR_USERNAME, name)),
                Box::new(AttrControlling(1)),
                Box::new(PriorityAttr(1)),
                Box::new(UseCandidateAttr::new()),
            ],
            attribute(&answer, "ice-pwd"),
        );
        far.send_to(&nomination, to).await.unwrap();
        loop {
            let Some(message) = receive(&far).await else { continue };
            if message.typ == BINDING_SUCCESS && message.transaction_id == id {
                return;
            }
            if message.typ == BINDING_REQUEST {
                let success = stun(
                    vec![
                        Box::new(BINDING_SUCCESS),
                        Box::new(message.transaction_id),
                        Box::new(XorMappedAddress { ip: to.ip(), port: to.port() }),
                    ],
                    attribute(&offer, "ice-pwd"),
                );
                far.send_to(&success, to).await.unwrap();
            }
        }
    });
    nominated.await.expect("the nomination is answered within 10 s");
    ours.close().await;
    offerer.close().await;
}
