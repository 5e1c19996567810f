//! What is told of servers that are of no use.

use super::event::RelayEvent;
use super::relays::Relays;
use crate::peer::event::{PeerEvent, PeerState};
use std::net::SocketAddr;

impl Relays {
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
    pub(super) fn tell(&self, index: usize, event: RelayEvent) {
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
}
