//! What the agent's side says.

use super::call::{Negotiation, Past, may_be_same};
use super::description::Description;
use super::setup::{Ending, Farewell, code, due};
use super::{CallEvent, CallMachine, EndedBy, Offerer, Outcome, Output, Phase, TimeLimit};
use crate::api::signaling::{CallRejected, IceCandidate, OfferCall, Signal};
use std::time::Instant;

impl CallMachine {
    pub(super) fn on_signal(&mut self, now: Instant, party_id: Option<String>, signal: Signal) {
        if self.chat_over {
            return tracing::debug!(signal = signal.name(), "a signal after the chat is ignored");
        }
        if let Some(call) = &mut self.call
            && call.party_id.is_none()
        {
            call.party_id = party_id.clone();
        }
        match signal {
            Signal::OfferCall(offer) => self.on_offer(now, party_id, offer),
            Signal::AnswerCall(answer) => self.on_answer(now, party_id.as_deref(), answer.sdp),
            Signal::IceCandidate(candidate) => self.on_remote_candidate(now, party_id, candidate),
            Signal::CallRejected(rejected) => self.on_rejected(now, party_id.as_deref(), rejected),
            Signal::EndCall(_) => self.on_end_call(now, party_id.as_deref()),
            Signal::RequestCall(_) | Signal::RequestPhoneCall(_) | Signal::RequestSms(_) | Signal::Unknown(_) => {
                tracing::debug!(signal = signal.name(), "a signal that means nothing to a client is ignored");
            }
        }
    }

    fn on_offer(&mut self, now: Instant, party_id: Option<String>, offer: OfferCall) {
        if self.seen.came_before(now, &self.config, party_id.as_deref(), &offer.sdp) {
            return tracing::debug!("OFFER_CALL came again");
        }
        if self.is_late_offer(now, party_id.as_deref(), &offer) {
            return;
        }
        let Some(call) = &mut self.call else { return self.ring(now, party_id, offer) };
        match call.phase {
            // After a transfer another agent than the one asked may take the call.
            Phase::Idle | Phase::Requesting => self.take_offer(now, party_id, offer),
            Phase::Connected
                if call.watch.is_restoring() && (call.watch.is_cut() || call.is_with(party_id.as_deref())) =>
            {
                self.on_restoring_offer(now, party_id, offer);
            }
            _ if !call.is_with(party_id.as_deref()) => self.decline_busy(party_id),
            Phase::Ringing => {
                call.video = offer.offer_video;
                call.offer = Some(offer);
            }
            Phase::Connecting | Phase::Connected => {
                let description = Description::of(&offer.sdp);
                let peer = &call.peer;
                let current = peer.applying.as_ref().or(peer.applied.as_ref());
                let starts_over = current.is_some_and(|d| d.is_other_peer(&description));
                call.offer = Some(offer);
                if starts_over {
                    self.replace_peer(now);
                } else {
                    self.renegotiated(now);
                }
                self.negotiate();
            }
        }
    }

    /// Whether an offer belongs to the call before, which is over; such a one is dealt with here.
    fn is_late_offer(&mut self, now: Instant, party_id: Option<&str>, offer: &OfferCall) -> bool {
        if self.call.as_ref().is_some_and(|c| c.phase != Phase::Requesting) {
            return false;
        }
        let may_be_late =
            |p: &&mut Past| p.end_owed && p.is_fresh(now, &self.config) && may_be_same(p.party_id.as_deref(), party_id);
        let Some(past) = self.past.as_mut().filter(may_be_late) else { return false };
        if past.reply_owed && self.call.as_ref().is_none_or(|c| c.held) {
            tracing::debug!("the offer for a request that was given up is answered by END_CALL");
            past.reply_owed = false;
            self.send_to(party_id.map(str::to_owned), Signal::end_call());
        } else if past.description.as_ref().is_some_and(|d| d.is_same_session(&Description::of(&offer.sdp))) {
            // Our END_CALL for this very session is on its way.
            tracing::debug!("an offer of a session that is over is ignored");
        } else {
            return false;
        }
        if self.call.is_none() {
            self.seen.call_over(now);
        }
        true
    }

    /// Takes the offer that we asked for.
    fn take_offer(&mut self, now: Instant, party_id: Option<String>, offer: OfferCall) {
        let Some(call) = &mut self.call else { return };
        if call.offerer == Offerer::Client {
            // Both sides offer: the client yields, and its peer with an offer of its own makes room for a fresh one.
            call.offerer = Offerer::Agent;
            if call.peer.negotiation != Negotiation::Stable {
                self.replace_peer(now);
            }
        }
        let Some(call) = &mut self.call else { return };
        call.held = false;
        call.resend = None;
        call.phase = Phase::Connecting;
        call.deadline = due(now, self.config.no_connection, TimeLimit::NoConnection);
        call.party_id = party_id.or(call.party_id.take());
        call.video = offer.offer_video;
        let event = CallEvent::Offered { party_id: call.party_id.clone(), video: offer.offer_video };
        call.offer = Some(offer);
        self.remote.forget_older_than(now, self.config.late);
        self.remote.keep_party(call.party_id.as_deref());
        self.times.offer_received = Some(now);
        self.event(event);
        self.negotiate();
    }

    /// The agent's side starts over with a peer that is new: so do we. A connected call has to connect again.
    pub(super) fn replace_peer(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        let was_connected = std::mem::take(&mut call.peer).connected;
        // An attempt to restore the call has limits of its own.
        if call.phase != Phase::Requesting && !call.watch.is_restoring() {
            call.deadline = due(now, self.config.no_connection, TimeLimit::NoConnection);
        }
        if was_connected && !std::mem::replace(&mut call.lost_told, true) {
            self.event(CallEvent::Disconnected);
        }
        self.peer_replaced(now);
        self.outputs.push_back(Output::ClosePeer);
        self.prepare_peer();
    }

    /// Turns down the call of another party than the current call's.
    fn decline_busy(&mut self, party_id: Option<String>) {
        self.send_to(party_id.clone(), Signal::call_rejected(code::BUSY, "busy"));
        self.send_to(party_id.clone(), Signal::end_call());
        if let Some(party_id) = party_id {
            self.event(CallEvent::DeclinedBusy { party_id });
        }
    }

    fn on_remote_candidate(&mut self, now: Instant, party_id: Option<String>, candidate: IceCandidate) {
        match &self.call {
            // It may belong to an offer that is yet to come.
            None => self.remote.forget_older_than(now, self.config.late),
            Some(call) if call.phase == Phase::Requesting || call.is_with(party_id.as_deref()) => {}
            Some(_) => return tracing::debug!("a candidate of another party is ignored"),
        }
        if !self.remote.push(now, party_id, candidate) {
            return tracing::debug!("too many candidates wait: one is dropped");
        }
        self.negotiate();
    }

    fn on_rejected(&mut self, now: Instant, party_id: Option<&str>, rejected: CallRejected) {
        let Some(call) = self.call.as_mut().filter(|c| c.is_with(party_id)) else {
            if let Some(past) = self.past.as_mut().filter(|p| may_be_same(p.party_id.as_deref(), party_id)) {
                past.reply_owed = false;
            }
            return tracing::debug!("CALL_REJECTED without a call is ignored");
        };
        if call.held {
            // The reply to the request before. What was held back need not wait any longer.
            if let Some(past) = &mut self.past {
                past.reply_owed = false;
            }
            return self.ask(now);
        }
        if call.watch.is_restoring() {
            return self.restoration_rejected(now, &rejected);
        }
        if call.phase == Phase::Connected {
            if call.peer.negotiation == Negotiation::LocalOffer {
                call.peer.negotiation = Negotiation::Stable;
                self.event(CallEvent::RenegotiationFailed { error: "the agent refused the offer".into() });
                self.negotiate();
            } else {
                tracing::debug!("CALL_REJECTED in a running call is ignored");
            }
            return;
        }
        // In a request no session exists that an END_CALL could end.
        let farewell = if call.phase == Phase::Requesting { Farewell::None } else { Farewell::End };
        let code = rejected.reason_code.as_deref().map(quote).filter(|c| !c.is_empty());
        let why = rejected.reason.as_deref().map(quote).filter(|r| !r.is_empty()).or_else(|| code.clone());
        let reason = match why {
            Some(why) => format!("the agent rejected the call: {why}"),
            None => "the agent rejected the call".to_owned(),
        };
        self.end(now, Ending { code, farewell, ..Ending::new(Outcome::Rejected, EndedBy::Remote, reason) });
    }

    fn on_end_call(&mut self, now: Instant, party_id: Option<&str>) {
        let requesting = self.call.as_ref().is_none_or(|c| c.phase == Phase::Requesting);
        if requesting
            && let Some(past) = self.past.as_mut()
            && past.end_owed
            && past.is_fresh(now, &self.config)
            && may_be_same(past.party_id.as_deref(), party_id)
        {
            // It confirms the end of the call before; everything after it is new.
            past.end_owed = false;
            past.reply_owed = false;
            if self.call.as_ref().is_some_and(|c| c.held) {
                self.ask(now);
            }
            return;
        }
        let Some(call) = self.call.as_ref().filter(|c| c.is_with(party_id)) else {
            return tracing::debug!("END_CALL for a call that is over, or of another party, is ignored");
        };
        let phase = call.phase;
        if self.may_be_end_of_old(now) {
            return tracing::debug!("END_CALL right after the call was asked for again: an offer is waited for");
        }
        let (outcome, reason) = match phase {
            Phase::Idle | Phase::Requesting => (Outcome::Rejected, "the agent ended the call without offering it"),
            Phase::Ringing => (Outcome::NoAnswer, "the agent gave up before the call was accepted"),
            Phase::Connecting => (Outcome::Failed, "the agent ended the call before it was connected"),
            Phase::Connected => (Outcome::Completed, "the agent hung up"),
        };
        self.end(now, Ending { end_came: true, ..Ending::new(outcome, EndedBy::Remote, reason) });
    }
}

/// Words of the agent's side, fit for one line of a report.
pub(super) fn quote(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect::<String>().trim().to_owned()
}
