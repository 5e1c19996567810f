//! The attempts to restore a call that was cut off: whom to ask, over which peer, and what the agent's side says to it.

use super::call::{Negotiation, Peer};
use super::description::Description;
use super::recovery::Interruption;
use super::setup::Ending;
use super::signals::quote;
use super::{CallEvent, CallMachine, EndedBy, Outcome, Output};
use crate::api::signaling::{CallRejected, OfferCall, Signal};
use std::time::{Duration, Instant};

/// END_CALL this soon after REQUEST_CALL may be that of the call before, which the agent's side ends to begin anew …
const END_OF_OLD: Duration = Duration::from_secs(2);
/// … and was, if its offer follows within this; otherwise the agent hung up.
const OFFER_FOLLOWS: Duration = Duration::from_secs(5);
/// REQUEST_CALL without an offer is sent again after this, and then after twice as long each time: the offer may have gone
/// into a poll that died with the network, and an event that was handed out does not come again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A peer that connects while the addresses change may have none of those there are now: it gets no longer than this.
const OTHER_ADDRESSES: Duration = Duration::from_secs(3);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(super) struct Restoring {
    pub(super) stage: Stage,
    /// When REQUEST_CALL was sent that no offer has come for.
    pub(super) asked: Option<Instant>,
    /// When it is sent again, and after what wait.
    pub(super) again: (Instant, Duration),
    /// The newest peer is of no further use.
    pub(super) broken: bool,
    /// END_CALL came that may be of the call before: when it was not, unless an offer comes.
    pub(super) end_seen: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// For the offer, until then.
    Asked(Instant),
    /// For the first sound, until then.
    Connecting(Instant),
    /// For the next attempt, until then.
    Waiting(Instant),
}

impl Peer {
    /// Descriptions were given to it, or made by it.
    pub(super) fn is_used(&self) -> bool {
        self.negotiation != Negotiation::Stable || self.applied.is_some()
    }
}

impl CallMachine {
    /// Gives up the newest peer for the one that was kept.
    pub(super) fn return_to_kept(&mut self) {
        let Some(call) = &mut self.call else { return };
        call.watch.restoring = None;
        if let Some(kept) = call.kept.take() {
            call.peer = kept;
            call.offer = None;
            call.watch.fresh = false;
            self.outputs.push_back(Output::ReturnPeer);
        }
    }

    /// The agent's side began anew by itself, with a peer that is yet to connect.
    pub(super) fn peer_replaced(&mut self, now: Instant) {
        let seen = self.times.media.is_some();
        if let Some(call) = &mut self.call {
            call.watch.fresh = seen;
            call.watch.local = None;
            call.watch.hold = now.checked_add(self.config.restore_offer);
        }
    }

    /// The agent's side describes anew the peer there is: that gets its time.
    pub(super) fn renegotiated(&mut self, now: Instant) {
        if let Some(call) = &mut self.call {
            call.watch.hold = now.checked_add(self.config.restore_offer);
        }
    }

    /// The peer is broken, or there is none. False: that is the end of the call.
    pub(super) fn survives_failure(&mut self, now: Instant) -> bool {
        if !self.is_restorable() {
            return false;
        }
        if self.call.as_ref().is_some_and(|c| c.watch.is_restoring()) {
            self.attempt_failed(now, true);
        } else {
            if let Some(call) = &mut self.call {
                (call.deadline, call.watch.hold) = (None, None);
            }
            self.way_died(now, Interruption::ConnectionLost);
        }
        true
    }

    /// Asks for the call again.
    pub(super) fn attempt(&mut self, now: Instant) {
        let until = later(now, self.config.restore_offer);
        let Some(call) = &mut self.call else { return };
        let watch = &mut call.watch;
        if watch.attempt >= self.config.restore_attempts {
            return self.lost(now);
        }
        watch.attempt += 1;
        if watch.left.take().is_some() {
            call.party_id = self.agent.clone();
        }
        let before = watch.restoring.replace(Restoring {
            stage: Stage::Asked(until),
            asked: Some(now),
            again: (later(now, ASK_AGAIN), ASK_AGAIN),
            broken: false,
            end_seen: None,
        });
        let useless = match &before {
            None => true,
            Some(restoring) => restoring.broken || call.peer.is_used(),
        };
        // The way there was may yet come back; one that never worked, or is broken, need not be waited for.
        let idle = matches!(call.peer.negotiation, Negotiation::Stable | Negotiation::LocalOffer);
        let keep = before.is_none() && !watch.dead && !watch.fresh && idle;
        (watch.fresh, watch.hold, watch.local) = (true, None, None);
        (call.deadline, call.offer) = (None, None);
        if useless {
            let peer = std::mem::take(&mut call.peer);
            if keep {
                call.kept = Some(peer);
                self.outputs.push_back(Output::KeepPeer);
            } else {
                self.outputs.push_back(Output::ClosePeer);
            }
            self.prepare_peer();
        }
        self.remote.clear();
        let Some(call) = &self.call else { return };
        let (attempt, video) = (call.watch.attempt, call.video);
        self.event(CallEvent::Restoring { attempt, attempts: self.config.restore_attempts });
        self.send(Signal::request_call(video));
    }

    /// The addresses of this machine changed while the call is asked for again. A peer gathers its candidates when it is
    /// made, which may have been while there was no network: one that is not used yet makes room for a fresh one.
    pub(super) fn restore_from_other_addresses(&mut self, now: Instant) {
        let soon = later(now, OTHER_ADDRESSES);
        let Some(call) = &mut self.call else { return };
        let Some(restoring) = &mut call.watch.restoring else { return };
        match &mut restoring.stage {
            Stage::Asked(_) => {
                call.peer = Peer::default();
                self.outputs.push_back(Output::ClosePeer);
                self.prepare_peer();
            }
            Stage::Connecting(until) if !call.peer.connected => *until = soon.min(*until),
            Stage::Connecting(_) => {}
            // What could not be reached before may be now.
            Stage::Waiting(until) => {
                restoring.broken = true;
                *until = now.min(*until);
            }
        }
    }

    /// No offer came yet: says once more that one is waited for.
    pub(super) fn ask_again(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        let video = call.video;
        let Some(restoring) = &mut call.watch.restoring else { return };
        let wait = restoring.again.1.saturating_mul(2);
        restoring.again = (later(now, wait), wait);
        self.send(Signal::request_call(video));
    }

    /// An attempt did not work.
    pub(super) fn attempt_failed(&mut self, now: Instant, broken: bool) {
        let Some(call) = &mut self.call else { return };
        let watch = &mut call.watch;
        let Some(restoring) = &mut watch.restoring else { return };
        let there = |sign: Instant| now.saturating_duration_since(sign) < self.config.restore_after;
        let connects = !broken && matches!(restoring.stage, Stage::Connecting(_));
        if connects && watch.cut.is_some() && watch.fresh_sign.is_some_and(there) {
            return self.settle_for_silence();
        }
        restoring.broken |= broken || call.peer.is_used();
        if watch.cut.is_none() {
            // The old way came back meanwhile, and goes on.
            watch.attempt = 0;
            return self.return_to_kept();
        }
        if watch.attempt >= self.config.restore_attempts {
            return self.lost(now);
        }
        let doubled = self.config.restore_wait.saturating_mul(1 << (watch.attempt - 1).min(16));
        let wait = doubled.min(LONGEST_WAIT.max(self.config.restore_wait));
        restoring.stage = Stage::Waiting(later(now, wait));
    }

    /// The newest peer brings no sound, but the far end is there: an agent who is muted by a program that sends nothing
    /// then, and who hears us. Asking again would change nothing.
    fn settle_for_silence(&mut self) {
        let Some(call) = &mut self.call else { return };
        let watch = &mut call.watch;
        watch.sign = watch.sign.max(watch.fresh_sign.take());
        (watch.restoring, watch.attempt) = (None, 0);
        (watch.fresh, watch.dead) = (false, false);
        if call.kept.take().is_some() {
            self.outputs.push_back(Output::CloseKept);
        }
    }

    /// OFFER_CALL while the call is asked for again.
    pub(super) fn on_restoring_offer(&mut self, now: Instant, party_id: Option<String>, offer: OfferCall) {
        let until = later(now, self.config.restore_offer);
        let Some(call) = &mut self.call else { return };
        let Some(restoring) = &mut call.watch.restoring else { return };
        let description = Description::of(&offer.sdp);
        let is_of_kept = |d: &Description| d.is_same_session(&description) && !d.is_other_peer(&description);
        let of_kept = call.kept.as_ref().and_then(|kept| kept.applied.as_ref()).is_some_and(is_of_kept);
        let current = call.peer.applying.as_ref().or(call.peer.applied.as_ref());
        let starts_over = restoring.broken || current.is_some_and(|d| d.is_other_peer(&description));
        restoring.stage = Stage::Connecting(until);
        (restoring.asked, restoring.end_seen, restoring.broken) = (None, None, false);
        call.party_id = party_id.or(call.party_id.take());
        call.watch.left = None;
        call.video = offer.offer_video;
        self.remote.forget_older_than(now, self.config.late);
        let party_id = call.party_id.clone();
        self.remote.keep_party(party_id.as_deref());
        if of_kept {
            // An ICE restart, or the like: the peer it is for is there.
            self.return_to_kept();
            self.renegotiated(now);
        } else if starts_over {
            self.replace_peer(now);
        }
        if let Some(call) = &mut self.call {
            call.offer = Some(offer);
        }
        self.negotiate();
    }

    /// Whether END_CALL may be that of the call before, which the agent's side ends as it is asked for the next.
    pub(super) fn may_be_end_of_old(&mut self, now: Instant) -> bool {
        let Some(restoring) = self.call.as_mut().and_then(|c| c.watch.restoring.as_mut()) else { return false };
        let soon = restoring.asked.is_some_and(|asked| now.saturating_duration_since(asked) < END_OF_OLD);
        if !soon || restoring.end_seen.is_some() {
            return false;
        }
        restoring.end_seen = now.checked_add(OFFER_FOLLOWS);
        true
    }

    /// CALL_REJECTED while the call is asked for again.
    pub(super) fn restoration_rejected(&mut self, now: Instant, rejected: &CallRejected) {
        let Some(call) = &mut self.call else { return };
        // What was asked of a party that is gone needs no answer.
        if call.watch.left.is_some() || !call.watch.awaits_offer() {
            return tracing::debug!("CALL_REJECTED to a request that is settled is ignored");
        }
        if call.watch.cut.is_none() {
            call.watch.attempt = 0;
            return self.return_to_kept();
        }
        let code = rejected.reason_code.as_deref().map(quote).filter(|c| !c.is_empty());
        let why = rejected.reason.as_deref().map(quote).filter(|r| !r.is_empty()).or_else(|| code.clone());
        let reason = match why {
            Some(why) => format!("the call was cut off, and the agent did not take it up again: {why}"),
            None => "the call was cut off, and the agent did not take it up again".to_owned(),
        };
        self.end(now, Ending { code, ..Ending::new(Outcome::Lost, EndedBy::Remote, reason) });
    }
}

/// The end of a wait that begins now; one without end ends some day.
fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait.min(Duration::from_secs(30 * 86_400))).unwrap_or(now)
}
