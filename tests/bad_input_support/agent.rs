//! The agent's end of a call: a real peer that sends silence, and says what it is told in between.

use super::center::{Center, Voice};
use bytes::Bytes;
use chatphone::peer::{AudioPeer, LocalNetwork, PeerConfig, PeerEvent};
use chatphone_media::audio::codec::CodecKind;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinHandle;

/// An Opus frame of 20 ms of silence.
const SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];

pub struct Agent {
    peer: AudioPeer,
    pub offer: String,
    events: JoinHandle<()>,
    sound: Option<JoinHandle<()>>,
}

impl Agent {
    /// Makes the peer and its offer; its candidates go out when there are some.
    pub async fn new(voice: Voice) -> Self {
        let (peer, mut events) = AudioPeer::new(PeerConfig {
            ice_servers: vec![],
            relays: Default::default(),
            network: LocalNetwork::only([127, 0, 0, 1].into()),
            relay_only: false,
            codecs: vec![CodecKind::Opus],
        })
        .await
        .unwrap();
        let offer = peer.create_offer().await.unwrap();
        let events = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let PeerEvent::LocalCandidate(candidate) = event {
                    let mut data = serde_json::to_value(candidate).unwrap();
                    data["type"] = json!("ICE_CANDIDATE");
                    voice.signal(data);
                }
            }
        });
        Self { peer, offer, events, sound: None }
    }

    /// Offers, and takes the answer; then sound flows as soon as the connection is up.
    pub async fn call(&mut self, center: &mut Center) {
        center.signal(json!({"type": "OFFER_CALL", "offerVideo": false, "sdp": self.offer}));
        let answer = center.signaled("ANSWER_CALL").await;
        self.take(answer["sdp"].as_str().unwrap()).await;
    }

    pub async fn take(&mut self, answer: &str) {
        self.peer.accept_answer(answer).await.unwrap();
        let writer = self.peer.rtp_writer();
        let codec = self.peer.negotiated_codecs().await.sending().unwrap();
        self.sound = Some(tokio::spawn(async move {
            let mut clock = tokio::time::interval(Duration::from_millis(20));
            for n in 0_u32.. {
                clock.tick().await;
                let (number, time) = (n as u16, n.wrapping_mul(960));
                writer.write(codec.payload_type, number, time, false, Bytes::from_static(SILENCE)).await;
            }
        }));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.events.abort();
        if let Some(sound) = &self.sound {
            sound.abort();
        }
    }
}
