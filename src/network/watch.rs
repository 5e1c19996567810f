//! Asks the system what its network is, and waits for changes.

use super::NetworkEvent;
use super::change::{Changes, Snapshot};
use super::sleep::{self, SleepWatch};
use futures::future::{BoxFuture, FutureExt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Destinations that stand for the world: addresses that are nobody's (RFC 5737, RFC 3849), reached over the default routes.
const WORLD: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// How often the clocks are compared.
const TICK: Duration = Duration::from_secs(1);
/// How often the network is looked at where nothing rings, in ticks; and where something does, in case it failed to.
const TICKS_WITHOUT_BELL: u32 = 2;
const TICKS_WITH_BELL: u32 = 30;
/// How soon after a ring: others follow.
const LOOK_AFTER: Duration = Duration::from_millis(50);
/// More addresses of a contact center are not watched.
const MOST_ADDRESSES: usize = 4;

/// Watches the network. Holds one socket at most, and no task.
pub struct NetworkWatch {
    destinations: Vec<IpAddr>,
    /// Finds the contact center's addresses.
    lookup: Option<BoxFuture<'static, Vec<IpAddr>>>,
    changes: Changes,
    sleeps: SleepWatch,
    begun: std::time::Instant,
    bell: Option<bell::Bell>,
    look_at: Option<Instant>,
    ticks: tokio::time::Interval,
    ticks_since: u32,
}

impl NetworkWatch {
    /// Watches the ways to the world and to the contact center at `host` (`name[:port]`). Within a tokio runtime.
    pub fn towards(host: &str) -> Self {
        let destinations = WORLD.to_vec();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A look-up of names wants a port; which does not matter.
        let host =
            if host.parse::<SocketAddr>().is_ok() || has_port(host) { host.to_owned() } else { format!("{host}:9") };
        let lookup = async move {
            let found = tokio::net::lookup_host(host).await.map(Iterator::collect::<Vec<_>>).unwrap_or_default();
            found.into_iter().map(|a| a.ip()).take(MOST_ADDRESSES).collect()
        };
        Self {
            changes: Changes::new(look(&destinations).unwrap_or_default()),
            destinations,
            lookup: Some(lookup.boxed()),
            sleeps: SleepWatch::default(),
            begun: std::time::Instant::now(),
            bell: bell::Bell::new()
                .inspect_err(|e| tracing::debug!("nothing rings when the network changes: {e}"))
                .ok(),
            look_at: None,
            ticks,
            ticks_since: 0,
        }
    }

    /// Waits for the next event. Cancel safe; never ends.
    pub async fn next(&mut self) -> NetworkEvent {
        loop {
            let settled = self.changes.next_timeout().map(Instant::from_std);
            let look_at = [self.look_at, settled].into_iter().flatten().min();
            tokio::select! {
                () = rung(self.bell.as_ref()) => {
                    self.look_at.get_or_insert_with(|| Instant::now() + LOOK_AFTER);
                }
                () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                    self.look();
                    if let Some(event) = self.changes.handle_timeout(Instant::now().into_std()) {
                        return event;
                    }
                }
                found = found(&mut self.lookup), if self.lookup.is_some() => {
                    self.lookup = None;
                    self.destinations.extend(found);
                    if let Some(snapshot) = look(&self.destinations) {
                        self.changes.begin_anew(snapshot);
                    }
                }
                _ = self.ticks.tick() => {
                    if let Some(slept) = self.sleeps.observe(self.begun.elapsed(), sleep::always()) {
                        let addresses = addresses().unwrap_or_else(|| self.changes.addresses().collect());
                        return NetworkEvent::WokeUp { slept, addresses };
                    }
                    self.ticks_since += 1;
                    if self.ticks_since >= if self.bell.is_some() { TICKS_WITH_BELL } else { TICKS_WITHOUT_BELL } {
                        self.look();
                    }
                }
            }
        }
    }

    fn look(&mut self) {
        (self.look_at, self.ticks_since) = (None, 0);
        if let Some(snapshot) = look(&self.destinations) {
            self.changes.observe(Instant::now().into_std(), snapshot);
        }
    }
}

async fn rung(bell: Option<&bell::Bell>) {
    match bell {
        Some(bell) => bell.rung().await,
        None => std::future::pending().await,
    }
}

async fn found(lookup: &mut Option<BoxFuture<'static, Vec<IpAddr>>>) -> Vec<IpAddr> {
    match lookup {
        Some(lookup) => lookup.await,
        None => std::future::pending().await,
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, port)| !name.contains(':') && port.parse::<u16>().is_ok())
}

/// The network as it is now; `None`: the system does not say, which is no change.
fn look(destinations: &[IpAddr]) -> Option<Snapshot> {
    Some(Snapshot {
        addresses: addresses()?.into_iter().collect(),
        routes: destinations.iter().map(|to| source(*to)).collect(),
    })
}

/// Every address of an interface that is up; `None`: the system does not say.
fn addresses() -> Option<Vec<IpAddr>> {
    if_addrs::get_if_addrs()
        .inspect_err(|error| tracing::debug!("the addresses of this machine are not known: {error}"))
        .ok()
        .map(|all| all.iter().filter(|i| i.is_oper_up()).map(if_addrs::Interface::ip).collect())
}

/// The address from which a destination is reached; `None`: it is not. Sends nothing.
fn source(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_unspecified())
}

/// A socket that can be read when an address or a route changes (rtnetlink(7)).
#[cfg(target_os = "linux")]
mod bell {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    use std::io;
    use tokio::net::UnixDatagram;

    // RTMGRP_… of linux/rtnetlink.h.
    const LINKS: u32 = 0x1;
    const IPV4_ADDRESSES: u32 = 0x10;
    const IPV4_ROUTES: u32 = 0x40;
    const IPV6_ADDRESSES: u32 = 0x100;
    const IPV6_ROUTES: u32 = 0x400;

    /// It is no Unix socket. But to wait for one and to read its datagrams is the same for both.
    pub struct Bell(UnixDatagram);

    impl Bell {
        pub fn new() -> io::Result<Self> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            // Protocol 0 is NETLINK_ROUTE.
            let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            let groups = LINKS | IPV4_ADDRESSES | IPV4_ROUTES | IPV6_ADDRESSES | IPV6_ROUTES;
            rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
            Ok(Self(UnixDatagram::from_std(socket.into())?))
        }

        /// Waits until something changed. What it was is not read: a look tells. Cancel safe.
        pub async fn rung(&self) {
            if self.0.readable().await.is_err() {
                return std::future::pending().await;
            }
            // An error is a ring like any other: there was too much for the socket (ENOBUFS).
            let mut bytes = [0_u8; 8192];
            while self.0.try_recv(&mut bytes).is_ok() {}
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod bell {
    use std::io;

    pub enum Bell {}

    impl Bell {
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub async fn rung(&self) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_have_a_port() {
        assert!(has_port("cc.example.com:8443") && !has_port("cc.example.com") && !has_port("::1"));
    }

    #[test]
    fn this_machine_reaches_itself_from_itself() {
        assert_eq!(source(Ipv4Addr::LOCALHOST.into()), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
