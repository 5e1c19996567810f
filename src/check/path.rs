//! Which ways there are for sound, by what all servers together gave.

use super::finding::{Endpoint, Protocol, ServerFound};
use serde::Serialize;

/// The ways there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPath {
    /// How much of UDP there is.
    pub udp: Udp,
    /// The protocols over which a relay can be used, best first.
    pub relays: Vec<Protocol>,
    /// TURN servers were in the list.
    pub has_turn: bool,
    /// A server told the outer address, so that the far end may be reached without a relay.
    pub reflected: bool,
    /// Servers were in the list.
    pub has_servers: bool,
    /// Calls use relayed candidates alone.
    pub relay_only: bool,
    /// Those that said nothing: nobody there, or a firewall in between.
    pub silent: Vec<Endpoint>,
}

/// Whether UDP gets out of this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Udp {
    /// A server answered over it.
    Open,
    /// No server answered over it, while one did over TCP or TLS.
    Blocked,
    /// No server answered at all.
    NoAnswer,
    /// There is no server to try it with.
    Unknown,
}

/// The ways that these servers give to calls, which use a relay or nothing with `relay_only`.
pub fn media_path(servers: &[&ServerFound], relay_only: bool) -> MediaPath {
    let over_udp = |server: &&&ServerFound| server.url.protocol() == Protocol::Udp;
    let answered = |server: &&ServerFound| server.works() || heard(server);
    let udp = if servers.iter().filter(over_udp).count() == 0 {
        Udp::Unknown
    } else if servers.iter().filter(over_udp).any(answered) {
        Udp::Open
    } else if servers.iter().any(answered) {
        Udp::Blocked
    } else {
        Udp::NoAnswer
    };
    let mut relays: Vec<_> = servers.iter().filter(|s| s.relays()).map(|s| s.url.protocol()).collect();
    relays.sort_unstable();
    relays.dedup();
    MediaPath {
        udp,
        relays,
        has_turn: servers.iter().any(|s| s.url.is_turn()),
        reflected: servers.iter().any(|s| s.gathered.srflx.is_some() || s.reflects()),
        has_servers: !servers.is_empty(),
        relay_only,
        silent: servers.iter().filter(|s| !answered(s)).map(|s| s.url.endpoint().clone()).collect(),
    }
}

/// Whether a server said anything, if only no.
fn heard(server: &ServerFound) -> bool {
    use super::ask::NotGranted::{Credentials, NoCredentials, NoTrust, Stun};
    use super::finding::NoTrust::Proxy;
    match &server.asked {
        // It was not asked at all.
        Err(NoTrust(Proxy(_))) => false,
        asked => matches!(asked, Ok(_) | Err(NoCredentials | Credentials(_) | Stun(..) | NoTrust(_))),
    }
}
