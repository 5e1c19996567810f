//! What a peer of a call gets of the network: the same peer, the same sockets, no call.

use crate::api::types::IceServer;
use crate::peer::{AudioPeer, LocalNetwork, PeerConfig, PeerEvent, RelaySettings};
use chatphone_media::audio::codec::CodecKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// A server that has not answered by then is of no use to a call.
const LIMIT: Duration = Duration::from_secs(5);

/// A candidate, and when it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Address and port, as in the candidate.
    pub address: String,
    /// From the start of gathering.
    pub after: Duration,
}

/// What came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathered {
    /// Addresses of this machine.
    pub hosts: Vec<IpAddr>,
    /// An address as a server sees it.
    pub srflx: Option<Found>,
    /// An address that a server relays from.
    pub relay: Option<Found>,
}

/// What peers of this check are made of.
#[derive(Debug, Clone)]
pub(super) struct Peers<'a> {
    pub network: &'a LocalNetwork,
    /// How servers are reached over TCP and TLS.
    pub relays: RelaySettings,
}

impl Peers<'_> {
    /// A peer with these servers.
    pub fn config(&self, ice_servers: Vec<IceServer>, relay_only: bool) -> PeerConfig {
        let relays = self.relays.clone();
        PeerConfig { ice_servers, relays, network: self.network.clone(), relay_only, codecs: vec![CodecKind::Opus] }
    }

    /// Gathers with one server, or none, until it gave what it is for.
    ///
    /// # Errors
    /// In words: no peer could be made.
    pub async fn gather(&self, server: Option<&IceServer>, turn: bool) -> Result<Gathered, String> {
        let (peer, mut events) = AudioPeer::new(self.config(server.cloned().into_iter().collect(), false))
            .await
            .map_err(|e| e.to_string())?;
        let (begun, deadline) = (Instant::now(), tokio::time::Instant::now() + LIMIT);
        peer.create_offer().await.map_err(|e| e.to_string())?;
        let mut found = Gathered::default();
        while let Ok(Some(event)) = timeout_at(deadline, events.recv()).await {
            match event {
                PeerEvent::LocalCandidate(candidate) => found.add(&candidate.candidate, begun.elapsed()),
                PeerEvent::GatheringComplete => break,
                _ => {}
            }
            if if turn { found.relay.is_some() } else { found.srflx.is_some() } {
                break;
            }
        }
        peer.close().await;
        Ok(found)
    }
}

impl Gathered {
    /// Takes a candidate attribute (RFC 8839, 5.1): `candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host …`.
    fn add(&mut self, candidate: &str, after: Duration) {
        let words: Vec<&str> = candidate.split_ascii_whitespace().collect();
        let &[_, _, _, _, address, port, "typ", kind, ..] = words.as_slice() else { return };
        let found = || Some(Found { address: format!("{address}:{port}"), after });
        match kind {
            "host" => self.hosts.extend(address.parse::<IpAddr>().ok().filter(|ip| !self.hosts.contains(ip))),
            "srflx" if self.srflx.is_none() => self.srflx = found(),
            "relay" if self.relay.is_none() => self.relay = found(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_candidate_of_each_kind_is_kept() {
        let mut found = Gathered::default();
        let ms = Duration::from_millis;
        found.add("candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host", ms(1));
        found.add("candidate:1 1 udp 2130706431 192.0.2.1 5002 typ host", ms(1));
        found.add("candidate:2 1 udp 1 203.0.113.9 6000 typ srflx raddr 192.0.2.1 rport 5000", ms(20));
        found.add("candidate:2 1 udp 1 203.0.113.9 6001 typ srflx raddr 192.0.2.1 rport 5000", ms(30));
        found.add("nonsense", ms(1));
        assert_eq!(found.hosts, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(found.srflx, Some(Found { address: "203.0.113.9:6000".into(), after: ms(20) }));
        assert_eq!(found.relay, None);
    }
}
