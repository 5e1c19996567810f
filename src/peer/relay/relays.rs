//! The servers of one peer.

use super::address::{as_told, index_of, known_as};
use super::event::RelayEvent;
use super::inbox::Inbox;
use super::server::{RelayProtocol, Server, sort_out};
use super::settings::RelaySettings;
use super::socket::RelaySocket;
use super::watch::{Verdict, Watch};
use super::way::{Way, pick};
use crate::api::types::IceServer;
use crate::peer::event::PeerEvent;
use bytes::Bytes;
use rtc::crypto::RTCCryptoProvider;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::peer_connection::RTCIceServer;
use webrtc::runtime::AsyncUdpSocket;

/// Servers used at most: more than any list has, and each costs requests.
pub(super) const MAX_SERVERS: usize = 64;
/// Fresh credentials are asked for no sooner than this after the last time.
const RENEWED_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// Datagrams that wait for the look-up of a name.
const WAITING: usize = 32;

/// The servers of one peer.
pub(in crate::peer) struct Relays {
    pub(super) servers: Vec<Server>,
    settings: RelaySettings,
    crypto: Arc<dyn RTCCryptoProvider>,
    pub(super) events: mpsc::UnboundedSender<PeerEvent>,
    /// The peer has no other candidates.
    pub(super) relay_only: bool,
    /// A server relays for the peer.
    in_use: AtomicBool,
    /// For tasks, which are not to keep it.
    this: Weak<Self>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) ways: Vec<Way>,
    pub(super) watches: Vec<Watch>,
    /// Servers by their address on the wire. Two names may have the same one.
    pub(super) by_address: HashMap<SocketAddr, Vec<usize>>,
    /// Servers by the address that they relay for.
    pub(super) relayed: HashMap<SocketAddr, usize>,
    last_renewal: Option<Instant>,
    renewing: bool,
    dropped: u64,
    /// Servers of which it was told that they are of no use, and whether that was the end of all.
    pub(super) failed: HashSet<usize>,
    pub(super) all_failed: bool,
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
        index_of(address).filter(|index| *index < self.servers.len())
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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

    pub(super) fn count_dropped(&self, index: usize, dropped: u64) {
        if dropped > 0 {
            tracing::debug!(server = self.servers[index].url, dropped, "media was too late for the relay");
            self.state().dropped += dropped;
        }
    }
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Relays").field(&self.servers).finish()
    }
}

/// By the first two bits (RFC 8489, 5); ChannelData and media are something else.
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|b| b >> 6 == 0)
}
