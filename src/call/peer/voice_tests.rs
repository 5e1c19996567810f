#![allow(clippy::unwrap_used)]
use super::*;
use crate::api::{Client, ClientConfig, Identity};
use crate::call::SoundSpec;
use crate::peer::media::MediaClock;
use crate::peer::{AudioPeer, LocalNetwork, PeerConfig};
use chatphone_media::audio::codec::OpusConfig;
use chatphone_media::audio::sink::Null;
use chatphone_media::audio::source::Silence;
use std::net::Ipv4Addr;
use std::time::Duration;

fn network() -> LocalNetwork {
    LocalNetwork::towards(Some(Ipv4Addr::LOCALHOST.into()))
}

fn setup() -> Setup {
    let identity = Identity::ClientId("client".into());
    Setup {
        client: Client::new(ClientConfig::new("http://127.0.0.1:1", "app", identity)).unwrap(),
        clock: MediaClock::start().unwrap(),
        network: network(),
        relay_only: false,
        sound: SoundSpec::default(),
        notices: unbounded_channel().0,
        opened: Default::default(),
        tap: None,
    }
}

/// A peer that has agreed on codecs with another.
async fn peer() -> AudioPeer {
    let config = PeerConfig {
        ice_servers: Vec::new(),
        relays: Default::default(),
        network: network(),
        relay_only: false,
        codecs: CodecKind::ALL.to_vec(),
    };
    let (far, _events) = AudioPeer::new(config.clone()).await.unwrap();
    let (peer, _events) = AudioPeer::new(config).await.unwrap();
    peer.accept_offer(&far.create_offer().await.unwrap()).await.unwrap();
    peer
}

impl Voice {
    async fn starts_with(&mut self, peer: &AudioPeer, setup: &Setup) {
        self.start(peer.rtp_writer(), peer.negotiated_codecs().await, setup).unwrap();
    }

    /// The bit rate, once the session has taken all that it was told: its figures come every 100 ms.
    async fn bit_rate(&self) -> u32 {
        let Stage::Running(handle, _) = &self.stage else { panic!("no sound runs") };
        let mut stats = handle.stats();
        for _ in 0..2 {
            stats.borrow_and_update();
            stats.changed().await.unwrap();
        }
        stats.borrow().sender.target_bitrate
    }
}

#[tokio::test]
async fn what_filled_the_way_to_one_peer_is_held_against_it_and_not_against_the_next() {
    let usual = OpusConfig::default().bitrate;
    let setup = setup();
    let mut voice = Voice::new();
    voice.opened(MediaParts::new(Box::new(Silence), Box::new(Null)), setup.notices.clone());
    let first = peer().await;
    voice.starts_with(&first, &setup).await;
    let report = |fraction_lost, ms| RemoteReport {
        ssrc: 1,
        fraction_lost,
        packets_lost: 0,
        jitter: 0,
        round_trip_time: Some(Duration::from_millis(ms)),
    };
    voice.report(report(0.0, 40));
    let fills = async {
        while voice.bit_rate().await >= usual {
            voice.report(report(0.3, 800));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), fills).await.expect("less is sent");
    voice.starts_with(&first, &setup).await;
    assert!(voice.bit_rate().await < usual, "it is the same peer, and the same way");
    voice.unplug();
    voice.starts_with(&peer().await, &setup).await;
    assert!(voice.bit_rate().await >= usual);
    voice.close().await.unwrap();
}
