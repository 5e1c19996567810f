//! What the machine remembers of the current call, of its peer, and of the call before.

use super::description::Description;
use super::recovery::Watch;
use super::{CallConfig, Direction, Offerer, Phase, TimeLimit};
use crate::api::signaling::{IceCandidate, OfferCall};
use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Instant;

/// Whether two names may mean the same party: a missing one may mean any.
pub(super) fn may_be_same(a: Option<&str>, b: Option<&str>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// The current call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) direction: Direction,
    pub(super) offerer: Offerer,
    /// The agent; `None` until the agent's side names itself.
    pub(super) party_id: Option<String>,
    pub(super) video: bool,
    /// Never `Idle`.
    pub(super) phase: Phase,
    /// Our request is not sent yet: the call before must settle first.
    pub(super) held: bool,
    /// What ends the call when nothing happens.
    pub(super) deadline: Option<(Instant, TimeLimit)>,
    /// When to send the request (again).
    pub(super) resend: Option<Instant>,
    /// The newest remote offer that is not given to the peer yet. An older one is overtaken: its sender cannot take an
    /// answer to it any more (RFC 3264, 4).
    pub(super) offer: Option<OfferCall>,
    /// The newest peer: what is negotiated is negotiated with it.
    pub(super) peer: Peer,
    /// The one before it, which is kept until the newest brings sound.
    pub(super) kept: Option<Peer>,
    /// That the connection was lost was told, and not yet that it is back.
    pub(super) lost_told: bool,
    /// What is heard, and what is done where nothing is.
    pub(super) watch: Watch,
}

impl Call {
    pub(super) fn new(direction: Direction, party_id: Option<String>, video: bool) -> Self {
        let phase = if direction == Direction::Incoming { Phase::Ringing } else { Phase::Requesting };
        Self {
            direction,
            offerer: Offerer::Agent,
            party_id,
            video,
            phase,
            held: false,
            deadline: None,
            resend: None,
            offer: None,
            peer: Peer::default(),
            kept: None,
            lost_told: false,
            watch: Watch::default(),
        }
    }

    /// Whether a message of `party_id` belongs to this call.
    pub(super) fn is_with(&self, party_id: Option<&str>) -> bool {
        may_be_same(self.party_id.as_deref(), party_id)
    }
}

/// The peer of the current call, as far as the machine knows it.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) ready: bool,
    pub(super) negotiation: Negotiation,
    /// The remote description that is being applied.
    pub(super) applying: Option<Description>,
    /// The remote description that is applied.
    pub(super) applied: Option<Description>,
    /// The agent's side has our description, and so can take our candidates.
    pub(super) described: bool,
    pub(super) connected: bool,
    /// Candidates that wait for our description to be sent.
    pub(super) candidates: Vec<IceCandidate>,
}

/// Where the exchange of descriptions stands (the W3C `RTCSignalingState`, with the peer's own work told apart).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Negotiation {
    #[default]
    Stable,
    /// The peer is making an offer.
    MakingOffer,
    /// Our offer is sent.
    LocalOffer,
    /// The peer is applying the answer to it.
    ApplyingAnswer,
    /// The peer is applying a remote offer.
    ApplyingOffer,
}

/// The call before: what may still arrive of it.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) ended: Instant,
    pub(super) party_id: Option<String>,
    /// Its END_CALL may still come.
    pub(super) end_owed: bool,
    /// It was given up before the reply to our request came.
    pub(super) reply_owed: bool,
    /// Its last remote description.
    pub(super) description: Option<Description>,
}

impl Past {
    pub(super) fn is_fresh(&self, now: Instant, config: &CallConfig) -> bool {
        now.saturating_duration_since(self.ended) < config.late
    }
}

/// Offers that came already, to know one that comes again. No two offers of real peers are alike.
#[derive(Debug, Default)]
pub(super) struct SeenOffers {
    seen: VecDeque<(u64, Option<Instant>)>,
}

impl SeenOffers {
    const MAX: usize = 32;

    /// Whether this offer came before; it has now.
    pub(super) fn came_before(&mut self, now: Instant, config: &CallConfig, party_id: Option<&str>, sdp: &str) -> bool {
        self.seen.retain(|(_, over)| over.is_none_or(|t| now.saturating_duration_since(t) < config.late));
        let mut hasher = DefaultHasher::new();
        (party_id, sdp).hash(&mut hasher);
        let hash = hasher.finish();
        let before = self.seen.iter().any(|(h, _)| *h == hash);
        if !before {
            if self.seen.len() == Self::MAX {
                self.seen.pop_front();
            }
            self.seen.push_back((hash, None));
        }
        before
    }

    /// The call is over: from here on its offers are forgotten with it.
    pub(super) fn call_over(&mut self, now: Instant) {
        for (_, over) in &mut self.seen {
            over.get_or_insert(now);
        }
    }
}
