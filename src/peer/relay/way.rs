//! How the servers that are reached by datagrams are found: the look-up of their names.

use super::relays::Relays;
use super::server::RelayProtocol;
use bytes::Bytes;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// How a server is reached.
pub(super) enum Way {
    /// By a connection of each socket.
    Tunnel,
    /// By datagrams, once its name is looked up: those that wait for it.
    Finding(Vec<(Arc<UdpSocket>, Bytes)>),
    /// By datagrams to these; `next` is the one to be tried until one answered.
    Known { addresses: Vec<SocketAddr>, next: usize, answered: Vec<SocketAddr> },
}

/// The next address to try, of the family that the socket has; one that answered before any other.
pub(super) fn pick(
    addresses: &[SocketAddr],
    next: &mut usize,
    answered: &[SocketAddr],
    is_v4: bool,
) -> Option<SocketAddr> {
    if let Some(answered) = answered.iter().find(|a| a.is_ipv4() == is_v4) {
        return Some(*answered);
    }
    let of_family: Vec<_> = addresses.iter().filter(|a| a.is_ipv4() == is_v4).collect();
    let picked = of_family.get(*next % of_family.len().max(1)).map(|a| **a);
    *next = next.wrapping_add(1);
    picked
}

impl Relays {
    /// Looks up the names of the servers that are reached by datagrams, each for itself and beside everything else: a
    /// look-up that hangs holds up nobody.
    pub(super) fn find_all(self: &Arc<Self>) {
        for (index, server) in self.servers.iter().enumerate().filter(|(_, s)| s.protocol == RelayProtocol::Udp) {
            let (host, port) = (server.host.clone(), server.port);
            if let Ok(ip) = host.parse() {
                self.found(index, vec![SocketAddr::new(ip, port)]);
                continue;
            }
            let relays = Arc::downgrade(self);
            tokio::spawn(async move {
                let found = tokio::net::lookup_host((host.as_str(), port)).await;
                let Some(relays) = relays.upgrade() else { return };
                match found {
                    Ok(addresses) => relays.found(index, addresses.collect()),
                    Err(error) => {
                        let why = format!("its name was not found ({error}); check the name and this machine's DNS");
                        relays.ended(index, None, why);
                        relays.found(index, Vec::new());
                    }
                }
            });
        }
    }

    fn found(&self, index: usize, addresses: Vec<SocketAddr>) {
        let mut state = self.state();
        for address in &addresses {
            state.by_address.entry(*address).or_default().push(index);
        }
        let (mut next, answered) = (0, Vec::new());
        if let Way::Finding(waiting) = std::mem::replace(&mut state.ways[index], Way::Tunnel) {
            for (socket, datagram) in waiting {
                let is_v4 = socket.local_addr().is_ok_and(|a| a.is_ipv4());
                // It does not block. A datagram that is lost is repeated.
                if let Some(to) = pick(&addresses, &mut next, &answered, is_v4) {
                    let _ = socket.send_to(&datagram, to);
                }
            }
        }
        state.ways[index] = Way::Known { addresses, next: 0, answered };
    }
}
