//! Which differences between two looks at the network matter, and when they have settled.

use super::NetworkEvent;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Changes come in bursts: an address goes, the route follows, another comes. They are told together, so long after the
/// first; what is back by then was no change.
pub const SETTLE: Duration = Duration::from_millis(200);

/// The network at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every address of an interface that is up.
    pub addresses: BTreeSet<IpAddr>,
    /// For each destination the address it is reached from; `None`: it is not.
    pub routes: Vec<Option<IpAddr>>,
}

/// Compares looks at the network. An address that comes is told only when a route begins at it: interfaces of containers
/// and tunnels come and go without concerning anybody.
#[derive(Debug)]
pub struct Changes {
    /// What was told last.
    known: Snapshot,
    latest: Snapshot,
    due: Option<Instant>,
}

impl Changes {
    /// Begins with a first look.
    pub fn new(first: Snapshot) -> Self {
        Self { known: first.clone(), latest: first, due: None }
    }

    /// Takes another look.
    pub fn observe(&mut self, now: Instant, snapshot: Snapshot) {
        self.latest = snapshot;
        if self.matters() {
            self.due.get_or_insert(now + SETTLE);
        } else {
            self.due = None;
            self.known = self.latest.clone();
        }
    }

    /// Takes a look at other destinations than before: their routes are no change.
    pub fn begin_anew(&mut self, snapshot: Snapshot) {
        self.known.routes = snapshot.routes.clone();
        self.latest.routes = snapshot.routes;
    }

    /// The addresses at the last look.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.latest.addresses.iter().copied()
    }

    /// When to look once more and call [`handle_timeout`](Self::handle_timeout).
    pub fn next_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// What has settled by now.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<NetworkEvent> {
        self.due.take_if(|due| *due <= now)?;
        let event = NetworkEvent::AddressesChanged {
            addresses: self.addresses().collect(),
            gone: self.known.addresses.difference(&self.latest.addresses).copied().collect(),
            route: self.known.routes != self.latest.routes,
        };
        self.known = self.latest.clone();
        Some(event)
    }

    fn matters(&self) -> bool {
        self.known.routes != self.latest.routes || !self.known.addresses.is_subset(&self.latest.addresses)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn look(addresses: &[&str], routes: &[Option<&str>]) -> Snapshot {
        let ip = |text: &str| text.parse().unwrap();
        Snapshot {
            addresses: addresses.iter().map(|a| ip(a)).collect(),
            routes: routes.iter().map(|r| r.map(ip)).collect(),
        }
    }

    const WIFI: &str = "192.168.1.7";
    const LTE: &str = "10.64.0.9";

    fn at_home() -> Snapshot {
        look(&["127.0.0.1", WIFI], &[Some(WIFI)])
    }

    /// What is told of looks, each so many ms after the one before.
    fn told(first: Snapshot, looks: &[(u64, Snapshot)]) -> Vec<NetworkEvent> {
        let (mut changes, mut now, mut told) = (Changes::new(first), Instant::now(), Vec::new());
        for (after, snapshot) in looks {
            let next = now + Duration::from_millis(*after);
            if let Some(due) = changes.next_timeout().filter(|due| *due <= next) {
                told.extend(changes.handle_timeout(due));
            }
            now = next;
            changes.observe(now, snapshot.clone());
        }
        if let Some(due) = changes.next_timeout() {
            told.extend(changes.handle_timeout(due));
        }
        assert_eq!(changes.next_timeout(), None);
        told
    }

    fn changed(addresses: &[&str], gone: &[&str], route: bool) -> NetworkEvent {
        let list = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        NetworkEvent::AddressesChanged { addresses: list(addresses), gone: list(gone), route }
    }

    #[test]
    fn another_way_to_the_world_is_told_once_it_has_settled() {
        let without = look(&["127.0.0.1"], &[None]);
        let lte = look(&["127.0.0.1", LTE], &[Some(LTE)]);
        let all = told(at_home(), &[(0, without), (50, lte.clone()), (1000, lte)]);
        assert_eq!(all, [changed(&[LTE, "127.0.0.1"], &[WIFI], true)]);
    }

    #[test]
    fn a_network_that_stays_away_is_told_and_its_return_too() {
        let without = look(&["127.0.0.1"], &[None]);
        let all = told(at_home(), &[(0, without), (5000, at_home())]);
        assert_eq!(all, [changed(&["127.0.0.1"], &[WIFI], true), changed(&["127.0.0.1", WIFI], &[], true)]);
    }

    #[test]
    fn an_interface_of_a_container_that_comes_is_nobodys_business() {
        let docker = look(&["127.0.0.1", WIFI, "172.17.0.1", "fe80::42"], &[Some(WIFI)]);
        assert_eq!(told(at_home(), &[(0, docker.clone()), (1000, docker)]), []);
    }

    #[test]
    fn an_address_that_goes_is_told_for_those_bound_to_it() {
        let vpn = look(&["127.0.0.1", WIFI, LTE], &[Some(WIFI)]);
        assert_eq!(told(vpn, &[(0, at_home())]), [changed(&["127.0.0.1", WIFI], &[LTE], false)]);
    }

    #[test]
    fn an_address_that_came_without_a_word_is_missed_when_it_goes() {
        let docker = look(&["127.0.0.1", WIFI, "172.17.0.1"], &[Some(WIFI)]);
        let all = told(at_home(), &[(0, docker), (1000, at_home())]);
        assert_eq!(all, [changed(&["127.0.0.1", WIFI], &["172.17.0.1"], false)]);
    }

    #[test]
    fn an_address_that_is_back_at_once_was_never_away() {
        let without = look(&["127.0.0.1"], &[None]);
        assert_eq!(told(at_home(), &[(0, without), (100, at_home()), (1000, at_home())]), []);
    }

    #[test]
    fn a_vpn_that_takes_the_way_over_is_told_although_nothing_is_gone() {
        let vpn = look(&["127.0.0.1", WIFI, LTE], &[Some(LTE)]);
        assert_eq!(told(at_home(), &[(0, vpn)]), [changed(&[LTE, "127.0.0.1", WIFI], &[], true)]);
    }

    #[test]
    fn a_network_that_flaps_all_the_time_is_told_five_times_a_second_at_most() {
        let without = look(&["127.0.0.1"], &[None]);
        let looks: Vec<_> =
            (0..1000).map(|n| (30, if n / 10 % 2 == 0 { without.clone() } else { at_home() })).collect();
        let all = told(at_home(), &looks);
        assert!((2..=150).contains(&all.len()), "{} in 30 s", all.len());
    }

    #[test]
    fn another_destination_is_no_change() {
        let mut changes = Changes::new(at_home());
        changes.begin_anew(look(&["127.0.0.1", WIFI], &[Some(WIFI), Some("127.0.0.1")]));
        changes.observe(Instant::now(), look(&["127.0.0.1", WIFI], &[Some(WIFI), Some("127.0.0.1")]));
        assert_eq!(changes.next_timeout(), None);
    }
}
