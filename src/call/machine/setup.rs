//! A call begins and ends: what the user, the chat and the clock say.

use super::call::{Call, Negotiation, Past};
use super::{CallEnd, CallEvent, CallMachine, Direction, EndedBy, Offerer, Outcome, Output, Phase, TimeLimit};
use crate::api::signaling::{OfferCall, Signal};
use std::time::{Duration, Instant};

/// `reason_code` of our CALL_REJECTED. The API publishes no codes, so they are SIP's (RFC 3261, 21).
pub(super) mod code {
    /// The user declined.
    pub(in super::super) const DECLINE: &str = "603";
    /// There is a call already.
    pub(in super::super) const BUSY: &str = "486";
    /// The user did not answer.
    pub(in super::super) const NO_ANSWER: &str = "480";
}

/// What to say to the agent at the end of a call.
pub(super) enum Farewell<'a> {
    /// Nothing: the agent knows, or cannot be reached.
    None,
    /// END_CALL.
    End,
    /// CALL_REJECTED with a code and a reason, then END_CALL.
    Reject(&'a str, &'a str),
}

/// How a call ends.
pub(super) struct Ending<'a> {
    pub(super) outcome: Outcome,
    pub(super) by: EndedBy,
    pub(super) reason: String,
    pub(super) code: Option<String>,
    pub(super) farewell: Farewell<'a>,
    /// The agent's END_CALL has been here.
    pub(super) end_came: bool,
}

impl Ending<'static> {
    pub(super) fn new(outcome: Outcome, by: EndedBy, reason: impl Into<String>) -> Self {
        Self { outcome, by, reason: reason.into(), code: None, farewell: Farewell::End, end_came: false }
    }
}

impl CallMachine {
    pub(super) fn request(&mut self, now: Instant, party_id: String, video: bool, offerer: Offerer) {
        if let Some(call) = &self.call {
            if call.phase == Phase::Ringing && call.party_id.as_deref() == Some(&party_id) {
                self.accept(now);
            } else {
                tracing::debug!(phase = ?call.phase, "a request during a call is ignored");
            }
            return;
        }
        let mut call = Call::new(Direction::Outgoing, Some(party_id.clone()), video);
        call.offerer = offerer;
        call.deadline = match offerer {
            Offerer::Agent => due(now, self.config.no_offer, TimeLimit::NoOffer),
            Offerer::Client => due(now, self.config.no_answer, TimeLimit::NoAnswer),
        };
        if let Some(past) = &self.past
            && past.reply_owed
            && past.end_owed
            && past.is_fresh(now, &self.config)
            && let Some(settled) = past.ended.checked_add(self.config.settle).filter(|t| *t > now)
        {
            call.held = true;
            call.resend = Some(settled);
        }
        let held = call.held;
        self.begin(call);
        self.event(CallEvent::Requesting { party_id, video });
        if self.chat_over {
            return self.end(now, Ending::new(Outcome::Unavailable, EndedBy::Chat, "the chat has ended"));
        }
        if !held {
            self.ask(now);
        }
        self.prepare_peer();
    }

    /// Sends the request, for the first time or again.
    pub(super) fn ask(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        call.held = false;
        call.resend = None;
        match call.offerer {
            Offerer::Agent => {
                // A shorter interval would flood the agent.
                let again = self.config.reask.map(|d| d.max(Duration::from_secs(1)));
                call.resend = again.and_then(|d| now.checked_add(d));
                self.times.request_sent.get_or_insert(now);
                let signal = Signal::request_call(call.video);
                self.send(signal);
            }
            Offerer::Client => self.make_offer(),
        }
    }

    /// In the old flow: has the peer make the offer, once it is ready.
    pub(super) fn make_offer(&mut self) {
        let Some(call) = &mut self.call else { return };
        let peer = &mut call.peer;
        if call.phase == Phase::Requesting
            && call.offerer == Offerer::Client
            && !call.held
            && peer.ready
            && peer.negotiation == Negotiation::Stable
        {
            peer.negotiation = Negotiation::MakingOffer;
            self.outputs.push_back(Output::CreateOffer);
        }
    }

    pub(super) fn ring(&mut self, now: Instant, party_id: Option<String>, offer: OfferCall) {
        let video = offer.offer_video;
        let mut call = Call::new(Direction::Incoming, party_id.clone(), video);
        call.offer = Some(offer);
        call.deadline = due(now, self.config.no_answer, TimeLimit::NoAnswer);
        self.begin(call);
        self.times.offer_received = Some(now);
        self.remote.forget_older_than(now, self.config.late);
        self.remote.keep_party(party_id.as_deref());
        self.event(CallEvent::Ringing { party_id, video });
        // Making a peer tells the agent nothing; candidates go out after the answer.
        self.prepare_peer();
    }

    fn begin(&mut self, call: Call) {
        self.call = Some(call);
        self.times = Default::default();
        self.recovery = Default::default();
    }

    pub(super) fn prepare_peer(&mut self) {
        self.outputs.push_back(Output::PreparePeer);
        self.has_peer = true;
    }

    pub(super) fn accept(&mut self, now: Instant) {
        match &mut self.call {
            Some(call) if call.phase == Phase::Ringing => {
                call.phase = Phase::Connecting;
                call.deadline = due(now, self.config.no_connection, TimeLimit::NoConnection);
                self.times.accepted = Some(now);
                self.negotiate();
            }
            _ => tracing::debug!("nothing to accept"),
        }
    }

    pub(super) fn decline(&mut self, now: Instant, reason: &str) {
        if self.phase() != Phase::Ringing {
            return tracing::debug!("nothing to decline");
        }
        let farewell = Farewell::Reject(code::DECLINE, if reason.is_empty() { "declined" } else { reason });
        let text = if reason.is_empty() { "declined".to_owned() } else { format!("declined: {reason}") };
        self.end(now, Ending { farewell, ..Ending::new(Outcome::Rejected, EndedBy::Local, text) });
    }

    pub(super) fn hang_up(&mut self, now: Instant) {
        let (outcome, reason) = match self.phase() {
            Phase::Idle => return tracing::debug!("nothing to hang up"),
            Phase::Ringing => return self.decline(now, ""),
            Phase::Requesting | Phase::Connecting => (Outcome::Cancelled, "hung up before the call was connected"),
            Phase::Connected => (Outcome::Completed, "hung up"),
        };
        self.end(now, Ending::new(outcome, EndedBy::Local, reason));
    }

    pub(super) fn party_left(&mut self, now: Instant, party_id: &str) {
        let Some(call) = self.call.as_ref().filter(|c| c.party_id.as_deref() == Some(party_id)) else { return };
        let (outcome, reason) = match call.phase {
            Phase::Idle | Phase::Requesting => (Outcome::Unavailable, "the agent left before offering the call"),
            Phase::Ringing => (Outcome::NoAnswer, "the agent left before the call was accepted"),
            Phase::Connecting => (Outcome::Failed, "the agent left while the call was being connected"),
            Phase::Connected => (Outcome::Completed, "the agent left the chat"),
        };
        if self.survives_leaving(now) {
            return;
        }
        // END_CALL still goes out: a media server that stays behind the agent can then let go of the session.
        self.end(now, Ending::new(outcome, EndedBy::Remote, reason));
    }

    pub(super) fn chat_ended(&mut self, now: Instant) {
        self.chat_over = true;
        let (outcome, reason) = match self.phase() {
            Phase::Idle => return,
            Phase::Requesting => (Outcome::Unavailable, "the chat ended before the call was offered"),
            Phase::Ringing => (Outcome::NoAnswer, "the chat ended before the call was accepted"),
            Phase::Connecting => (Outcome::Failed, "the chat ended while the call was being connected"),
            Phase::Connected if self.call.as_ref().is_some_and(|c| c.watch.is_cut()) => {
                (Outcome::Lost, "the chat ended while the call was cut off")
            }
            Phase::Connected => (Outcome::Completed, "the chat ended"),
        };
        self.end(now, Ending::new(outcome, EndedBy::Chat, reason));
    }

    /// Something on this side broke the call.
    pub(super) fn fault(&mut self, now: Instant, reason: String) {
        if self.call.is_some() {
            self.end(now, Ending::new(Outcome::Failed, EndedBy::Fault, reason));
        }
    }

    pub(super) fn over_limit(&mut self, now: Instant, limit: TimeLimit) {
        if limit == TimeLimit::NoConnection && self.survives_failure(now) {
            return;
        }
        let secs = |d: Duration| format!("{} s", d.as_secs_f64());
        let (outcome, reason) = match limit {
            TimeLimit::NoOffer => {
                (Outcome::NoAnswer, format!("the agent did not offer the call within {}", secs(self.config.no_offer)))
            }
            TimeLimit::NoAnswer => {
                (Outcome::NoAnswer, format!("the call was not answered within {}", secs(self.config.no_answer)))
            }
            TimeLimit::NoConnection => {
                (Outcome::Failed, format!("no connection within {}", secs(self.config.no_connection)))
            }
            TimeLimit::NoMedia => (Outcome::Failed, format!("no media within {}", secs(self.config.no_media))),
        };
        let ringing = self.phase() == Phase::Ringing;
        let farewell = if ringing { Farewell::Reject(code::NO_ANSWER, "no answer") } else { Farewell::End };
        self.end(now, Ending { farewell, ..Ending::new(outcome, EndedBy::TimeLimit(limit), reason) });
    }

    /// Ends the current call: farewell, `ClosePeer`, `Ended`, in this order.
    pub(super) fn end(&mut self, now: Instant, ending: Ending<'_>) {
        let Some(call) = self.call.take() else { return };
        let requesting = call.phase == Phase::Requesting;
        // Nothing was said yet, so there is nothing to take back, and the call before is still the last one known.
        let silent = requesting && self.times.request_sent.is_none();
        let farewell = if silent || self.chat_over { Farewell::None } else { ending.farewell };
        let party_id = call.party_id;
        match farewell {
            Farewell::None => {}
            Farewell::End => self.send_to(party_id.clone(), Signal::end_call()),
            Farewell::Reject(code, reason) => {
                self.send_to(party_id.clone(), Signal::call_rejected(code, reason));
                self.send_to(party_id.clone(), Signal::end_call());
            }
        }
        if !silent {
            self.past = Some(Past {
                ended: now,
                party_id,
                end_owed: !ending.end_came,
                reply_owed: (requesting || call.watch.awaits_offer()) && ending.by != EndedBy::Remote,
                description: call
                    .peer
                    .applying
                    .or(call.peer.applied)
                    .or(call.kept.as_ref().and_then(|k| k.applied.clone())),
            });
        }
        self.seen.call_over(now);
        self.remote.clear();
        self.times.ended = Some(now);
        self.recovery.gap += call.watch.open_gap(now);
        if call.kept.is_some() {
            self.outputs.push_back(Output::CloseKept);
        }
        if std::mem::take(&mut self.has_peer) {
            self.outputs.push_back(Output::ClosePeer);
        }
        let (outcome, reason, ended_by) = (ending.outcome, ending.reason, ending.by);
        self.event(CallEvent::Ended(CallEnd { outcome, reason, code: ending.code, ended_by }));
    }
}

/// When a limit that begins now is over.
pub(super) fn due(now: Instant, limit: Duration, what: TimeLimit) -> Option<(Instant, TimeLimit)> {
    now.checked_add(limit).map(|t| (t, what))
}
