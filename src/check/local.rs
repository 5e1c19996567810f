//! This machine's own network: which addresses, multicast, free ports.

use super::finding::LocalFound;
use super::gather::Peers;
use crate::peer::LocalNetwork;
use std::net::{Ipv4Addr, UdpSocket};

/// Looks at it.
///
/// # Errors
/// In words: no peer could be made, so no call can.
pub(super) async fn look(peers: &Peers<'_>) -> Result<LocalFound, String> {
    let gathered = peers.gather(None, false).await?;
    Ok(LocalFound { addresses: gathered.hosts, mdns: has_multicast(), ports: free_ports(peers.network) })
}

/// Whether there is a way for mDNS (RFC 6762, 3).
fn has_multicast() -> bool {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::UNSPECIFIED))
        .is_ok()
}

/// How many ports of the range are free on all addresses, and how many there are.
fn free_ports(network: &LocalNetwork) -> Option<(usize, usize)> {
    let ports = network.ports()?;
    let free = |port: &u16| network.addresses().iter().all(|ip| UdpSocket::bind((*ip, *port)).is_ok());
    Some((ports.clone().filter(free).count(), ports.len()))
}
