//! What happens to this machine's network: addresses that come and go, another route to the contact center, a sleep.
//!
//! A connection does not notice any of these by itself: TCP waits for an answer to what it sent, and a poll that is held
//! sends nothing. Who is told can begin anew at once instead of waiting for a time limit.
//!
//! | part | what it knows |
//! |---|---|
//! | [`change`] | which differences matter, and when they have settled: no I/O, no clock |
//! | [`sleep`] | telling a sleep or a standstill from time that passed: no I/O |
//! | [`watch`] | asking the system: addresses, routes, clocks |
//!
//! # How the system is asked
//!
//! On Linux a netlink socket rings when an address or a route changes; elsewhere, and now and then there too, the addresses
//! are looked at without being called. Either way what counts is the difference between two looks, so that a lost message
//! costs time and no more. The route is the source address that the system would choose: connecting a UDP socket looks that
//! up and sends nothing.

pub mod change;
pub mod sleep;
pub mod watch;

pub use watch::NetworkWatch;

use std::net::IpAddr;
use std::time::Duration;

/// Something happened to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkEvent {
    /// Addresses went, or the way to the contact center or the world begins at another one.
    AddressesChanged {
        /// All there are now, those of the loopback among them.
        addresses: Vec<IpAddr>,
        /// Those that are gone.
        gone: Vec<IpAddr>,
        /// Whether the contact center, or the world, is reached from another address than before. Otherwise only what was
        /// bound to one of those gone is dead.
        route: bool,
    },
    /// The machine slept and is awake again, or the program was not run: connections may have died meanwhile.
    WokeUp {
        /// For how long.
        slept: Duration,
        /// All addresses there are now.
        addresses: Vec<IpAddr>,
    },
}

impl NetworkEvent {
    /// In a word, as programs are told: `addresses` or `woke_up`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddressesChanged { .. } => "addresses",
            Self::WokeUp { .. } => "woke_up",
        }
    }
}

impl std::fmt::Display for NetworkEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AddressesChanged { .. } => f.write_str("the network changed"),
            Self::WokeUp { slept, .. } => write!(f, "everything stood still here for {} s", slept.as_secs()),
        }
    }
}
