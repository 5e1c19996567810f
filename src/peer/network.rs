use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

/// The UDP ports that media may use.
pub type PortRange = RangeInclusive<u16>;

/// The local addresses that media may use, and so the host candidates of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNetwork {
    addresses: Vec<IpAddr>,
    ports: Option<PortRange>,
}

impl LocalNetwork {
    /// Every IPv4 interface but loopback; loopback too when the contact center itself is on this machine, since a peer
    /// bound to an outside address does not reach one bound to 127.0.0.1 on every system.
    pub fn towards(host: Option<IpAddr>) -> Self {
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
        if host.is_some_and(|ip| ip.is_loopback()) {
            // First, so that its candidate goes out first.
            addresses.insert(0, IpAddr::V4(Ipv4Addr::LOCALHOST));
            if !has_outside_interface() {
                addresses.pop();
            }
        }
        Self { addresses, ports: None }
    }

    /// This address alone.
    pub fn only(address: IpAddr) -> Self {
        Self { addresses: vec![address], ports: None }
    }

    /// Keeps to a range of ports.
    pub fn with_ports(mut self, ports: Option<PortRange>) -> Self {
        self.ports = ports;
        self
    }

    /// The addresses; an unspecified one stands for every interface.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The range of ports, where there is one.
    pub fn ports(&self) -> Option<&PortRange> {
        self.ports.as_ref()
    }

    /// What to bind: port 0 without a range, else the next free port of the range for each address. `skip` moves on in
    /// the range after a lost race for a port.
    pub(super) fn socket_addresses(&self, skip: u16) -> Option<Vec<SocketAddr>> {
        let Some(ports) = &self.ports else {
            return Some(self.addresses.iter().map(|ip| SocketAddr::new(*ip, 0)).collect());
        };
        let mut free = ports.clone().skip(skip.into());
        self.addresses
            .iter()
            .map(|ip| free.find(|port| UdpSocket::bind((*ip, *port)).is_ok()).map(|port| SocketAddr::new(*ip, port)))
            .collect()
    }

    /// How many ports there are to try.
    pub(super) fn attempts(&self) -> u16 {
        self.ports.as_ref().map_or(1, |p| u16::try_from(p.len()).unwrap_or(u16::MAX).min(16))
    }
}

impl fmt::Display for LocalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if i == 0 { "" } else { ", " })?;
        }
        if let Some(ports) = &self.ports {
            write!(f, " ports {}-{}", ports.start(), ports.end())?;
        }
        Ok(())
    }
}

/// Whether the machine has an address that others could reach. No packet is sent: connecting a UDP socket only looks up
/// the route (192.0.2.0/24 and its like are reserved for documentation, RFC 5737).
fn has_outside_interface() -> bool {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|s| {
            s.connect((Ipv4Addr::new(203, 0, 113, 1), 9))?;
            s.local_addr()
        })
        .is_ok_and(|a| !a.ip().is_loopback() && !a.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_local_contact_center_is_reached_over_loopback() {
        let local = LocalNetwork::towards(Some("127.0.0.1".parse().unwrap()));
        assert_eq!(local.addresses[0], IpAddr::V4(Ipv4Addr::LOCALHOST));
        let outside = LocalNetwork::towards(None);
        assert!(!outside.addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[test]
    fn a_busy_port_of_the_range_is_passed_over() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let network = LocalNetwork::only(Ipv4Addr::LOCALHOST.into()).with_ports(Some(port..=port));
        assert_eq!(network.socket_addresses(0), None);
        drop(taken);
        assert_eq!(network.socket_addresses(0).unwrap()[0].port(), port);
    }
}
