//! The way to STUN and TURN servers: over UDP, TCP and TLS, through a proxy, past names that nobody answers for.
//!
//! The WebRTC crate speaks to such servers over UDP alone, looks up their names on its driver task, where one that hangs
//! holds up everything, and says nothing of a server that refuses. So it is told an address of our own for each server
//! ([`relays`]), and its sockets are wrapped ([`socket`]): what goes to such an address is sent to the server by whatever
//! way it has, and what comes from the server comes from that address.
//!
//! - [`server`]: an address of a server; [`settings`]: how it is reached; [`event`]: what is told of it.
//! - [`tunnel`]: the stream to a server over TCP or TLS; [`queue`] and [`inbox`] on its sides, [`frame`] on it.
//! - [`dial`]: its making, by [`proxy`] and [`tls`].
//! - [`address`]: the addresses of our own; [`way`]: the look-up of names; [`trouble`]: what is told of those of no use.
//! - [`watch`]: who refused what; [`stun`]: the messages.

mod address;
mod dial;
mod event;
mod frame;
mod inbox;
mod proxy;
mod queue;
mod relays;
mod server;
mod settings;
mod socket;
mod stun;
mod tls;
mod trouble;
mod tunnel;
mod watch;
mod way;

pub use event::RelayEvent;
pub(super) use relays::Relays;
pub(super) use server::names_a_relay;
pub(crate) use server::shown as shown_ice_url;
pub use server::{RelayProtocol, unusable_ice_servers};
pub use settings::{RelaySettings, Renew};
pub(super) use stun::relayed_payload;
