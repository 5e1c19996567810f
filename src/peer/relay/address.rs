//! The addresses by which the crate knows the servers.
//!
//! They never go on a wire, and are of those reserved for documentation (RFC 5737, RFC 3849), so that no host has them.

use super::server::Server;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use webrtc::peer_connection::RTCIceServer;

/// The port of the first server's address; the others follow.
const FIRST_PORT: u16 = 3478;

/// The address of a server; `index` is below [`MAX_SERVERS`](super::relays::MAX_SERVERS).
pub(super) fn known_as(index: usize, is_v4: bool) -> SocketAddr {
    let number = index as u16;
    match is_v4 {
        true => (Ipv4Addr::new(192, 0, 2, 1 + number as u8), FIRST_PORT + number).into(),
        false => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1 + number), FIRST_PORT + number).into(),
    }
}

/// The server as the crate is to know it.
pub(super) fn as_told(index: usize, server: &Server) -> RTCIceServer {
    let address = known_as(index, true);
    let url = match server.is_stun {
        true => format!("stun:{address}"),
        false => format!("turn:{address}?transport=udp"),
    };
    RTCIceServer { urls: vec![url], username: server.username.clone(), credential: server.password.clone() }
}

/// Which server has this address, where it has one.
pub(super) fn index_of(address: SocketAddr) -> Option<usize> {
    let index = usize::from(address.port().checked_sub(FIRST_PORT)?);
    (index < super::relays::MAX_SERVERS && known_as(index, address.is_ipv4()) == address).then_some(index)
}
