//! Descriptions and candidates between the agent's side and the peer, and the peer's connection.

use super::call::Negotiation;
use super::candidates::MAX_WAITING;
use super::description::Description;
use super::setup::due;
use super::signals::quote;
use super::{CallEvent, CallMachine, Offerer, Output, Phase, TimeLimit};
use crate::api::signaling::{IceCandidate, Signal};
use std::time::Instant;

impl CallMachine {
    /// Does what has become possible: gives the newest offer to the peer, and lets go the candidates whose description
    /// is set. Called after everything that may have changed that.
    pub(super) fn negotiate(&mut self) {
        let Some(call) = &mut self.call else { return };
        if !matches!(call.phase, Phase::Connecting | Phase::Connected) {
            return;
        }
        let peer = &mut call.peer;
        let free = matches!(peer.negotiation, Negotiation::Stable | Negotiation::LocalOffer);
        if peer.ready
            && free
            && let Some(offer) = call.offer.take()
        {
            // With an offer of our own open this is glare, and the client yields.
            peer.negotiation = Negotiation::ApplyingOffer;
            peer.applying = Some(Description::of(&offer.sdp));
            let renegotiation = peer.applied.is_some();
            self.outputs.push_back(Output::ApplyOffer { sdp: offer.sdp, renegotiation });
            if renegotiation && peer.described {
                self.outputs.push_back(Output::Event(CallEvent::Renegotiating));
            }
        }
        let applying = matches!(peer.negotiation, Negotiation::ApplyingOffer | Negotiation::ApplyingAnswer);
        if let Some(applied) = peer.applied.as_ref().filter(|_| !applying) {
            self.outputs.extend(self.remote.take_for(applied).into_iter().map(Output::AddCandidate));
        }
        if peer.described && peer.negotiation != Negotiation::ApplyingOffer {
            let party_id = call.party_id.clone();
            let signals = peer.candidates.drain(..).map(Signal::from);
            self.outputs.extend(signals.map(|signal| Output::SendSignal { party_id: party_id.clone(), signal }));
        }
    }

    pub(super) fn peer_ready(&mut self) {
        if let Some(call) = &mut self.call {
            call.peer.ready = true;
            self.make_offer();
            self.negotiate();
        }
    }

    pub(super) fn local_answer(&mut self, now: Instant, sdp: String) {
        let Some(call) = self.call.as_mut().filter(|c| c.peer.negotiation == Negotiation::ApplyingOffer) else {
            return tracing::debug!("an answer to no offer is dropped");
        };
        let peer = &mut call.peer;
        peer.negotiation = Negotiation::Stable;
        peer.applied = peer.applying.take();
        if call.offer.is_none() {
            peer.described = true;
            self.send(Signal::answer_call(sdp));
            self.answered(now);
        }
        // Otherwise a newer offer is there, whose sender would take this answer for one to it.
        self.negotiate();
    }

    fn answered(&mut self, now: Instant) {
        if self.times.answer_sent.is_none() {
            self.times.answer_sent = Some(now);
            self.event(CallEvent::Answered);
        }
    }

    pub(super) fn local_offer(&mut self, now: Instant, sdp: String) {
        let Some(call) = &mut self.call else { return };
        let peer = &mut call.peer;
        match peer.negotiation {
            Negotiation::MakingOffer => {
                self.times.request_sent.get_or_insert(now);
            }
            Negotiation::Stable if peer.described && call.offer.is_none() => {}
            _ => return tracing::debug!("an offer of the peer that does not fit is dropped"),
        }
        peer.negotiation = Negotiation::LocalOffer;
        let signal = Signal::offer_call(sdp, call.video);
        self.send(signal);
    }

    pub(super) fn on_answer(&mut self, now: Instant, party_id: Option<&str>, sdp: String) {
        let Some(call) = self.call.as_mut().filter(|c| c.is_with(party_id)) else {
            return tracing::debug!("ANSWER_CALL without a call is ignored");
        };
        let peer = &mut call.peer;
        if peer.negotiation != Negotiation::LocalOffer {
            return tracing::debug!("ANSWER_CALL to no offer is ignored");
        }
        peer.negotiation = Negotiation::ApplyingAnswer;
        peer.applying = Some(Description::of(&sdp));
        // Only now does the agent's side surely have a peer that takes our candidates.
        peer.described = true;
        self.outputs.push_back(Output::ApplyAnswer { sdp });
        if call.phase == Phase::Requesting && call.offerer == Offerer::Client {
            call.phase = Phase::Connecting;
            call.deadline = due(now, self.config.no_connection, TimeLimit::NoConnection);
            self.remote.keep_party(call.party_id.as_deref());
            self.answered(now);
        }
        self.negotiate();
    }

    pub(super) fn answer_applied(&mut self) {
        let Some(call) = self.call.as_mut().filter(|c| c.peer.negotiation == Negotiation::ApplyingAnswer) else {
            return;
        };
        call.peer.negotiation = Negotiation::Stable;
        call.peer.applied = call.peer.applying.take();
        self.negotiate();
    }

    pub(super) fn remote_description_failed(&mut self, now: Instant, error: String) {
        let Some(call) = &mut self.call else { return };
        let peer = &mut call.peer;
        if !matches!(peer.negotiation, Negotiation::ApplyingOffer | Negotiation::ApplyingAnswer) {
            return;
        }
        peer.negotiation = Negotiation::Stable;
        peer.applying = None;
        if peer.described && peer.applied.is_some() {
            self.event(CallEvent::RenegotiationFailed { error });
        } else if call.offer.is_none() {
            // It quotes what the agent's side wrote, of which nothing may be left.
            let reason = Some(quote(&error)).filter(|r| !r.is_empty());
            let nameless = || "the agent's session description cannot be used".to_owned();
            if self.survives_failure(now) {
                return;
            }
            return self.fault(now, reason.unwrap_or_else(nameless));
        }
        self.negotiate();
    }

    pub(super) fn local_candidate(&mut self, candidate: IceCandidate) {
        let Some(call) = &mut self.call else { return };
        if call.peer.candidates.len() == MAX_WAITING {
            return tracing::debug!("too many local candidates wait: one is dropped");
        }
        call.peer.candidates.push(candidate);
        self.negotiate();
    }

    pub(super) fn peer_connected(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        let peer = &mut call.peer;
        // That the answer to our offer is applied may be reported after what comes of it.
        let applied = peer.applied.is_some() || peer.negotiation == Negotiation::ApplyingAnswer;
        if peer.connected || !peer.described || !applied {
            return;
        }
        peer.connected = true;
        let first = self.times.connected.is_none();
        let limited = matches!(call.deadline, Some((_, TimeLimit::NoConnection)));
        if limited {
            let media = self.times.media.is_some();
            call.deadline = if media { None } else { due(now, self.config.no_media, TimeLimit::NoMedia) };
        }
        call.phase = Phase::Connected;
        self.times.connected.get_or_insert(now);
        let lost_told = std::mem::take(&mut call.lost_told);
        if first {
            self.event(CallEvent::Connected);
        } else if lost_told {
            self.event(CallEvent::Reconnected);
        }
        self.negotiate();
    }

    pub(super) fn peer_disconnected(&mut self) {
        if let Some(call) = self.call.as_mut().filter(|c| c.peer.connected) {
            call.peer.connected = false;
            if !std::mem::replace(&mut call.lost_told, true) {
                self.event(CallEvent::Disconnected);
            }
        }
    }

    pub(super) fn media_flowing(&mut self, now: Instant) {
        // A packet can only be read over a connection, so word of that is merely late.
        if self.phase() == Phase::Connecting {
            self.peer_connected(now);
        }
        let Some(call) = self.call.as_mut().filter(|c| c.phase == Phase::Connected) else { return };
        if self.times.media.is_none() {
            self.times.media = Some(now);
            call.watch.begin(now);
            if matches!(call.deadline, Some((_, TimeLimit::NoMedia))) {
                call.deadline = None;
            }
            self.event(CallEvent::MediaFlowing);
        }
    }
}
