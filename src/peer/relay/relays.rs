//! The servers of one peer, and the addresses that the crate knows them by.
//!
//! An address of these never goes on a wire. It is one of those reserved for documentation (RFC 5737, RFC 3849), so that
//! no host has it.

use super::event::RelayEvent;
use super::inbox::Inbox;
use super::server::{RelayProtocol, Server, sort_out};
use super::settings::RelaySettings;
use super::socket::RelaySocket;
use super::watch::{Verdict, Watch};
use crate::api::types::IceServer;
use crate::peer::event::{PeerEvent, PeerState};
use bytes::Bytes;
use rtc::crypto::RTCCryptoProvider;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::peer_connection::RTCIceServer;
use webrtc::runtime::AsyncUdpSocket;

/// The port of the first server's address; the others follow.
const FIRST_PORT: u16 = 3478;
/// Servers used at most: more than any list has, and each costs requests.
const MAX_SERVERS: usize = 64;
/// Fresh credentials are asked for no sooner than this after the last time.
const RENEWED_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// Datagrams that wait for the look-up of a name.
const WAITING: usize = 32;

/// The servers of one peer.
pub(in crate::peer) struct Relays {
    servers: Vec<Server>,
    settings: RelaySettings,
    crypto: Arc<dyn RTCCryptoProvider>,
    events: mpsc::UnboundedSender<PeerEvent>,
    /// The peer has no other candidates.
    relay_only: bool,
    /// A server relays for the peer.
    in_use: AtomicBool,
    /// For tasks, which are not to keep it.
    this: Weak<Self>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ways: Vec<Way>,
    watches: Vec<Watch>,
    /// Servers by their address on the wire. Two names may have the same one.
    by_address: HashMap<SocketAddr, Vec<usize>>,
    /// Servers by the address that they relay for.
    relayed: HashMap<SocketAddr, usize>,
    last_renewal: Option<Instant>,
    renewing: bool,
    dropped: u64,
    /// Servers of which it was told that they are of no use, and whether that was the end of all.
    failed: HashSet<usize>,
    all_failed: bool,
}

/// How a server is reached.
enum Way {
    /// By a connection of each socket.
    Tunnel,
    /// By datagrams, once its name is looked up: those that wait for it.
    Finding(Vec<(Arc<UdpSocket>, Bytes)>),
    /// By datagrams to these; `next` is the one to be tried until one answered.
    Known { addresses: Vec<SocketAddr>, next: usize, answered: Vec<SocketAddr> },
}

/// Where a datagram for a server goes.
pub(super) enum Hop {
    /// By the connection for these credentials; to this address, where it is of datagrams.
    Tunnel(u32, Option<SocketAddr>),
    To(SocketAddr),
    /// It waits.
    Nowhere,
    /// The server has no address of the family of the socket.
    NoAddress,
}

impl Relays {
    /// Sorts the servers and begins to look up their names. With them come the servers as the crate is to know them.
    pub fn new(
        servers: &[IceServer],
        settings: RelaySettings,
        relay_only: bool,
        events: mpsc::UnboundedSender<PeerEvent>,
    ) -> Result<(Arc<Self>, Vec<RTCIceServer>), String> {
        let crypto = rtc::crypto::default_provider().map_err(|e| e.to_string())?;
        let mut known: Vec<Server> = Vec::new();
        let (mut told, mut said) = (Vec::new(), HashSet::new());
        for server in sort_out(servers).0 {
            let same = |k: &Server| (&k.host, k.port, k.protocol) == (&server.host, server.port, server.protocol);
            let index = match known.iter().position(same) {
                Some(index) => index,
                None if known.len() == MAX_SERVERS => continue,
                None => {
                    known.push(server.clone());
                    known.len() - 1
                }
            };
            // Two of the same would be two users of one connection, which has one allocation (RFC 8656, 5).
            if !said.insert((index, server.is_stun)) {
                continue;
            }
            told.push(as_told(index, &server));
            // Messages are about the relay.
            if known[index].is_stun {
                known[index] = server;
            }
        }
        let ways = known.iter().map(|s| match s.protocol {
            RelayProtocol::Udp => Way::Finding(Vec::new()),
            RelayProtocol::Tcp | RelayProtocol::Tls => Way::Tunnel,
        });
        let watches = known.iter().map(|s| Watch::new((s.username.clone(), s.password.clone())));
        let state = State { ways: ways.collect(), watches: watches.collect(), ..State::default() };
        let relays = Arc::new_cyclic(|this| Self {
            servers: known,
            settings,
            crypto,
            events,
            relay_only,
            in_use: AtomicBool::new(false),
            this: Weak::clone(this),
            state: Mutex::new(state),
        });
        relays.find_all();
        Ok((relays, told))
    }

    /// A socket that reaches the servers too.
    pub fn wrap(
        self: &Arc<Self>,
        socket: UdpSocket,
        wrap: impl FnOnce(UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>>,
    ) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        if self.servers.is_empty() {
            return wrap(socket);
        }
        let plain = Arc::new(socket.try_clone()?);
        RelaySocket::shared(Arc::clone(self), wrap(socket)?, plain)
    }

    /// The addresses by which the crate knows a server, from its text; `None` for what is no server of these.
    pub fn resolve(&self, text: &str) -> Option<Vec<SocketAddr>> {
        let index = self.index(text.parse().ok()?)?;
        Some(vec![known_as(index, true), known_as(index, false)])
    }

    /// Whether a candidate of the far end has an address by which the crate knows a server: what is sent there would go
    /// to the server.
    pub fn is_taken(&self, candidate: &str) -> bool {
        let mut words = candidate.split_ascii_whitespace().skip(4);
        let (Some(ip), Some(port)) = (words.next(), words.next()) else { return false };
        let (Ok(ip), Ok(port)) = (ip.parse(), port.parse()) else { return false };
        self.index(SocketAddr::new(ip, port)).is_some()
    }

    /// The server that the crate knows by this address.
    pub(super) fn index(&self, address: SocketAddr) -> Option<usize> {
        let index = usize::from(address.port().checked_sub(FIRST_PORT)?);
        (index < self.servers.len() && known_as(index, address.is_ipv4()) == address).then_some(index)
    }

    pub(super) fn server(&self, index: usize) -> &Server {
        &self.servers[index]
    }

    pub(super) fn settings(&self) -> &RelaySettings {
        &self.settings
    }

    /// The server that relays for this address: how it was configured, and what carries the media to it.
    pub fn relaying(&self, address: SocketAddr) -> Option<(String, RelayProtocol)> {
        let server = &self.servers[*self.state().relayed.get(&address)?];
        Some((server.url.clone(), server.protocol))
    }

    /// Whether a server relays for the peer.
    pub fn in_use(&self) -> bool {
        self.in_use.load(Ordering::Acquire)
    }

    /// Datagrams that were dropped since streams were slower than the media.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A datagram on its way to a server: what to send in its place, and where.
    pub(super) fn sends(
        &self,
        index: usize,
        datagram: &[u8],
        from: &Arc<UdpSocket>,
        is_v4: bool,
    ) -> (Option<Bytes>, Hop) {
        let mut state = self.state();
        let signed = match is_stun(datagram) {
            true => state.watches[index].sends(datagram, &*self.crypto).map(Bytes::from),
            false => None,
        };
        let generation = state.watches[index].generation();
        let hop = match &mut state.ways[index] {
            Way::Tunnel => Hop::Tunnel(generation, None),
            Way::Finding(waiting) => {
                if waiting.len() < WAITING {
                    let datagram = signed.clone().unwrap_or_else(|| Bytes::copy_from_slice(datagram));
                    waiting.push((Arc::clone(from), datagram));
                }
                Hop::Nowhere
            }
            Way::Known { addresses, next, answered } => match pick(addresses, next, answered, is_v4) {
                Some(address) if generation > 0 => Hop::Tunnel(generation, Some(address)),
                Some(address) => Hop::To(address),
                None => Hop::NoAddress,
            },
        };
        (signed, hop)
    }

    /// A datagram that came to a socket. Gives whether it was from a server; then it is in the inbox, if it is for the peer.
    pub(super) fn came(&self, from: SocketAddr, datagram: &[u8], inbox: &Inbox, back: impl FnOnce(Vec<u8>)) -> bool {
        // Nobody has an address of ours: who says so wants to be taken for a server.
        if self.index(from).is_some() {
            return true;
        }
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let index = {
            let mut state = self.state();
            let Some(candidates) = state.by_address.get(&from) else { return false };
            let asked = candidates.iter().copied().find(|i| state.watches[*i].asked(datagram));
            let relay = || candidates.iter().copied().find(|i| !self.servers[*i].is_stun);
            let Some(index) = asked.or_else(relay).or(candidates.first().copied()) else { return false };
            if let Way::Known { answered, .. } = &mut state.ways[index]
                && !answered.contains(&from)
            {
                answered.push(from);
            }
            index
        };
        self.received(index, Bytes::copy_from_slice(datagram), inbox, back);
        true
    }

    /// A datagram from the server. `back` sends it something that is not of the peer. Gives the address that the server
    /// relays for from now on, where this says so.
    pub(super) fn received(
        &self,
        index: usize,
        datagram: Bytes,
        inbox: &Inbox,
        back: impl FnOnce(Vec<u8>),
    ) -> Option<SocketAddr> {
        let (for_peer, relayed) = match is_stun(&datagram) {
            true => self.judge(index, &datagram, back),
            false => (true, None),
        };
        if for_peer {
            inbox.push(known_as(index, inbox.is_v4), datagram);
        }
        relayed
    }

    /// Whether the datagram is for the peer, and the address that it says is relayed for.
    fn judge(&self, index: usize, datagram: &[u8], back: impl FnOnce(Vec<u8>)) -> (bool, Option<SocketAddr>) {
        let now = Instant::now();
        let verdict = {
            let mut state = self.state();
            let rested = state.last_renewal.is_none_or(|last| now.duration_since(last) >= RENEWED_AT_MOST_EVERY);
            let may_renew = self.settings.renew.is_some() && (state.renewing || rested);
            state.watches[index].receives(datagram, may_renew, &*self.crypto)
        };
        let mut relayed = None;
        let for_peer = match verdict {
            Verdict::Pass => true,
            Verdict::Allocated(address) => {
                let mut state = self.state();
                state.relayed.insert(address, index);
                state.failed.remove(&index);
                self.in_use.store(true, Ordering::Release);
                relayed = Some(address);
                true
            }
            Verdict::Refused { code, reason } => {
                let reason = crate::api::types::one_line(&reason);
                self.tell(index, RelayEvent::Refused { server: self.servers[index].url.clone(), code, reason });
                true
            }
            Verdict::Denied { code, reason } => {
                let (server, reason) = (&self.servers[index].url, crate::api::types::one_line(&reason));
                tracing::debug!(server, code, reason, "the relay refused a request beside the allocation");
                true
            }
            Verdict::Renew => {
                self.renew(now);
                false
            }
            Verdict::Resend(again) => {
                back(again);
                false
            }
            Verdict::Drop => false,
        };
        (for_peer, relayed)
    }

    /// Fetches the credentials again, in a task.
    fn renew(&self, now: Instant) {
        let Some(renew) = self.settings.renew.clone() else { return };
        {
            let mut state = self.state();
            if std::mem::replace(&mut state.renewing, true) {
                return;
            }
            state.last_renewal = Some(now);
        }
        tracing::info!("a relay refused user name or password: the ICE servers are fetched again");
        let relays = Weak::clone(&self.this);
        tokio::spawn(async move {
            let found = renew.fetch().await.map(|servers| sort_out(&servers).0).unwrap_or_default();
            if let Some(relays) = relays.upgrade() {
                relays.renewed(&found);
            }
        });
    }

    fn renewed(&self, found: &[Server]) {
        let mut state = self.state();
        state.renewing = false;
        for (server, watch) in self.servers.iter().zip(&mut state.watches) {
            let same = |f: &&Server| {
                (&f.host, f.port, f.protocol, f.is_stun) == (&server.host, server.port, server.protocol, false)
            };
            watch.renewed(found.iter().find(same).map(|f| (f.username.clone(), f.password.clone())));
        }
    }

    /// A connection to the server ended, or none could be made. It is lost if something was relayed over it.
    pub(super) fn ended(&self, index: usize, relayed: Option<SocketAddr>, why: String) {
        let server = self.servers[index].url.clone();
        let event = match relayed {
            Some(relayed) => {
                self.state().watches[index].ended();
                RelayEvent::Lost { server, relayed, why }
            }
            None => RelayEvent::Unreachable { server, why },
        };
        self.tell(index, event);
    }

    /// There is something to send to the server, which a socket of this family cannot reach.
    pub(super) fn has_no_address(&self, index: usize, is_v4: bool) {
        if !self.state().failed.contains(&index) {
            let family = if is_v4 { "IPv4" } else { "IPv6" };
            self.ended(index, None, format!("it has no {family} address, which the media of this machine uses"));
        }
    }

    /// Reports it. That a server cannot be reached is told once, and not of one that has refused: such end connections.
    fn tell(&self, index: usize, event: RelayEvent) {
        let is_lost = matches!(event, RelayEvent::Lost { .. });
        let is_news = is_lost || self.state().failed.insert(index);
        if !is_news && matches!(event, RelayEvent::Unreachable { .. }) {
            tracing::debug!("{event}");
            return;
        }
        tracing::warn!("{event}");
        let _ = self.events.send(PeerEvent::Relay(event));
        if !is_lost && self.relay_only && self.was_the_last() {
            // The crate would wait for candidates that never come.
            let _ = self.events.send(PeerEvent::State(PeerState::Failed));
        }
    }

    /// Whether the last server of use is gone now.
    fn was_the_last(&self) -> bool {
        let mut state = self.state();
        let left = self.servers.iter().enumerate().any(|(i, s)| !s.is_stun && !state.failed.contains(&i));
        let had_one = !state.relayed.is_empty();
        !left && !had_one && !std::mem::replace(&mut state.all_failed, true)
    }

    pub(super) fn count_dropped(&self, index: usize, dropped: u64) {
        if dropped > 0 {
            tracing::debug!(server = self.servers[index].url, dropped, "media was too late for the relay");
            self.state().dropped += dropped;
        }
    }

    /// Looks up the names of the servers that are reached by datagrams, each for itself and beside everything else: a
    /// look-up that hangs holds up nobody.
    fn find_all(self: &Arc<Self>) {
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

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Relays").field(&self.servers).finish()
    }
}

/// The next address to try, of the family that the socket has; one that answered before any other.
fn pick(addresses: &[SocketAddr], next: &mut usize, answered: &[SocketAddr], is_v4: bool) -> Option<SocketAddr> {
    if let Some(answered) = answered.iter().find(|a| a.is_ipv4() == is_v4) {
        return Some(*answered);
    }
    let of_family: Vec<_> = addresses.iter().filter(|a| a.is_ipv4() == is_v4).collect();
    let picked = of_family.get(*next % of_family.len().max(1)).map(|a| **a);
    *next = next.wrapping_add(1);
    picked
}

fn known_as(index: usize, is_v4: bool) -> SocketAddr {
    // `index` is below `MAX_SERVERS`.
    let number = index as u16;
    match is_v4 {
        true => (Ipv4Addr::new(192, 0, 2, 1 + number as u8), FIRST_PORT + number).into(),
        false => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1 + number), FIRST_PORT + number).into(),
    }
}

fn as_told(index: usize, server: &Server) -> RTCIceServer {
    let address = known_as(index, true);
    let url = match server.is_stun {
        true => format!("stun:{address}"),
        false => format!("turn:{address}?transport=udp"),
    };
    RTCIceServer { urls: vec![url], username: server.username.clone(), credential: server.password.clone() }
}

/// By the first two bits (RFC 8489, 5); ChannelData and media are something else.
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|b| b >> 6 == 0)
}
