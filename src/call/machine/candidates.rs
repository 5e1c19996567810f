//! Candidates that wait for their session description (RFC 8838): remote ones until it is applied, local ones until it
//! is sent.

use super::description::Description;
use crate::api::signaling::IceCandidate;
use std::time::{Duration, Instant};

/// How many candidates wait at most in one direction; the first are kept, since a peer names its best ones first.
pub(super) const MAX_WAITING: usize = 256;

/// Remote candidates that cannot be added yet.
#[derive(Debug, Default)]
pub(super) struct RemoteCandidates {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    party_id: Option<String>,
    since: Instant,
    candidate: IceCandidate,
}

impl RemoteCandidates {
    /// Keeps a candidate; `false` when there is no room for it.
    pub(super) fn push(&mut self, now: Instant, party_id: Option<String>, candidate: IceCandidate) -> bool {
        let room = self.waiting.len() < MAX_WAITING;
        if room {
            self.waiting.push(Waiting { party_id, since: now, candidate });
        }
        room
    }

    /// Forgets what waits for longer than `limit`.
    pub(super) fn forget_older_than(&mut self, now: Instant, limit: Duration) {
        self.waiting.retain(|w| now.saturating_duration_since(w.since) <= limit);
    }

    /// Forgets what does not come from `party_id`; what names no party may.
    pub(super) fn keep_party(&mut self, party_id: Option<&str>) {
        self.waiting.retain(|w| super::call::may_be_same(w.party_id.as_deref(), party_id));
    }

    /// Takes what belongs to an applied description, oldest first. What names another ICE generation waits on: its
    /// description (an ICE restart) may be yet to come.
    pub(super) fn take_for(&mut self, description: &Description) -> Vec<IceCandidate> {
        let belongs = |w: &mut Waiting| description.takes_candidate_of(ufrag(&w.candidate));
        self.waiting.extract_if(.., belongs).map(|w| w.candidate).collect()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// The ICE generation that a candidate names: the W3C field beside it, or the extension within it (RFC 8839, 5.1).
fn ufrag(candidate: &IceCandidate) -> Option<&str> {
    let field = candidate.extra.get("usernameFragment").and_then(|v| v.as_str());
    let mut words = candidate.candidate.split_ascii_whitespace();
    let extension = || words.find(|w| *w == "ufrag").and_then(|_| words.next());
    field.or_else(extension).filter(|u| !u.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn candidate(text: &str) -> IceCandidate {
        IceCandidate { candidate: text.into(), ..Default::default() }
    }

    #[test]
    fn the_generation_is_read_from_the_line_or_the_field_beside_it() {
        let line = "candidate:1 1 udp 2113937151 192.0.2.1 5000 typ host generation 0 ufrag 9aXy network-cost 999";
        assert_eq!(ufrag(&candidate(line)), Some("9aXy"));
        assert_eq!(ufrag(&candidate("candidate:1 1 udp 1 192.0.2.1 5000 typ host ufrag")), None);
        assert_eq!(ufrag(&candidate("")), None);
        let mut beside = candidate("candidate:1 1 udp 1 192.0.2.1 5000 typ host");
        beside.extra.insert("usernameFragment".into(), "Zz".into());
        assert_eq!(ufrag(&beside), Some("Zz"));
    }

    #[test]
    fn a_candidate_of_another_generation_waits_on() {
        let (now, mut queue) = (Instant::now(), RemoteCandidates::default());
        for text in ["a ufrag one", "b", "c ufrag two"] {
            assert!(queue.push(now, None, candidate(text)));
        }
        let taken = queue.take_for(&Description::of("a=ice-ufrag:one"));
        assert_eq!(taken, [candidate("a ufrag one"), candidate("b")]);
        assert_eq!(queue.take_for(&Description::of("a=ice-ufrag:two")), [candidate("c ufrag two")]);
    }

    #[test]
    fn the_queue_is_bounded_and_keeps_the_first() {
        let (now, mut queue) = (Instant::now(), RemoteCandidates::default());
        for n in 0..MAX_WAITING + 10 {
            assert_eq!(queue.push(now, None, candidate(&n.to_string())), n < MAX_WAITING);
        }
        let taken = queue.take_for(&Description::default());
        assert_eq!(taken.len(), MAX_WAITING);
        assert_eq!(taken.first().unwrap().candidate, "0");
    }
}
