//! How addresses are translated between here and the servers.

use super::finding::Nat;
use std::net::{IpAddr, SocketAddr};

/// What our address as one or more servers see it, asked from one socket, says of the network (RFC 4787, 4.1). `hosts`:
/// the addresses of this machine.
pub fn classify(mapped: &[SocketAddr], hosts: &[IpAddr]) -> Option<Nat> {
    let first = mapped.first()?;
    Some(if mapped.iter().all(|address| hosts.contains(&address.ip())) {
        Nat::None
    } else if mapped.iter().any(|address| address != first) {
        Nat::AddressDependent
    } else if mapped.len() > 1 {
        Nat::EndpointIndependent
    } else {
        Nat::Present
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(mapped: &[&str]) -> Option<Nat> {
        let mapped: Vec<SocketAddr> = mapped.iter().map(|a| a.parse().unwrap()).collect();
        classify(&mapped, &[[192, 168, 1, 5].into()])
    }

    #[test]
    fn the_kind_is_told_by_what_two_servers_see() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["192.168.1.5:4000", "192.168.1.5:4000"]), Some(Nat::None));
        assert_eq!(of(&["203.0.113.1:4000"]), Some(Nat::Present));
        assert_eq!(of(&["203.0.113.1:4000", "203.0.113.1:4000"]), Some(Nat::EndpointIndependent));
        assert_eq!(of(&["203.0.113.1:4000", "203.0.113.1:4001"]), Some(Nat::AddressDependent));
        assert_eq!(of(&["203.0.113.1:4000", "203.0.113.2:4000"]), Some(Nat::AddressDependent));
    }
}
