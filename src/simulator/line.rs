//! One agent's telephone line: the signaling of calls between the agent and the client. A state machine without I/O.
//!
//! Inputs: a signaling message from the client ([`Line::signal`]), what the agent's WebRTC peer reports
//! ([`Line::peer`]), timers that ran out ([`Line::timer`]), and the agent's own wishes ([`Line::call`],
//! [`Line::hang_up`], [`Line::reject_next`], [`Line::close`]).
//! Outputs: signaling messages to the client, commands to the peer, and timers to be set ([`LineOutput`]).
//!
//! An offer is asked of the peer before anybody wants a call (certificate, sockets and candidates take their time), so
//! that it can go out in the moment it is wanted. Every call has a peer of its own; what an older one still says is
//! passed over.

use super::config::Rejection;
use super::desk::line::CallState;
use super::fault::MediaPlan;
use crate::api::signaling::IceCandidate;
use crate::api::signaling::Signal;
use chatphone_media::audio::dtmf::{Dial, Digit};
use std::time::Duration;

/// Names one WebRTC peer of one agent.
pub(super) type CallId = u64;

/// The first thing a peer is to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    /// Make an offer and keep it ready.
    Offer,
    /// Answer this offer of the client.
    Answer(String),
}

/// What a running peer is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallCommand {
    /// The client's answer to the peer's offer.
    AcceptAnswer(String),
    /// A further offer of the client, in a running call.
    AcceptOffer(String),
    /// A candidate of the client. May come before the descriptions are set.
    AddCandidate(IceCandidate),
    /// The agent presses keys.
    Dial(Dial),
    /// The line is bad from now on.
    Impair(MediaPlan),
    /// The call is over.
    Close,
}

/// What a peer reports.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallEvent {
    /// The offer is ready.
    Offer(String),
    /// The answer to the client's offer.
    Answer(String),
    /// A candidate was gathered.
    Candidate(IceCandidate),
    /// Media can flow.
    Connected,
    /// The customer pressed a key.
    Digit(Digit),
    /// The call cannot be made, or is lost.
    Failed(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LineOutput {
    Send(Signal),
    StartPeer(CallId, Role),
    Command(CallId, CallCommand),
    /// To be given back to [`Line::timer`] at that time.
    Timer(Duration, LineTimer),
}

/// A timer of a line; one that is out of date does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineTimer {
    /// The agent has heard it ring long enough.
    PickUp(u64),
    /// The client did not answer the offer.
    NoAnswer(CallId),
    /// The agent has talked long enough.
    HangUp(CallId),
}

/// How the agent treats calls.
#[derive(Debug, Clone, Default)]
pub(super) struct LineConfig {
    pub answer_after: Duration,
    pub reject: Option<Rejection>,
    pub no_offer: bool,
    pub hang_up_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// The client asked for a call; the agent has not picked up. Holds the number of this request.
    Ringing(u64),
    /// The agent wants to offer, the peer is not ready.
    Offering,
    /// Waits for ANSWER_CALL since then.
    Offered(Duration),
    /// The client offered, the peer makes the answer.
    Answering,
    /// Descriptions are exchanged.
    Up,
}

#[derive(Debug)]
struct Peer {
    id: CallId,
    offer: Option<String>,
    /// Candidates from before the client knew of the call.
    held: Vec<IceCandidate>,
    /// The client has this peer's description: candidates may follow it.
    described: bool,
}

impl Peer {
    /// One that the client knows.
    fn used(id: CallId) -> Self {
        Self { id, offer: None, held: Vec::new(), described: true }
    }
}

#[derive(Debug)]
pub(super) struct Line {
    config: LineConfig,
    state: State,
    peer: Option<Peer>,
    /// The peer of a call that the client asked for again: it carries sound until the next one does.
    old: Option<CallId>,
    /// The base of peer ids, different for each line; the count makes them unique.
    id_base: CallId,
    count: u64,
    reject_next: Option<Rejection>,
    out: Vec<LineOutput>,
}

/// A client that gives no answer to an offer for so long is not there.
const NO_ANSWER: Duration = Duration::from_secs(60);
/// A REQUEST_CALL this soon after an offer crossed it on the way: it asks for the call that is being offered.
const CROSSING: Duration = Duration::from_millis(800);

impl Line {
    /// A line with a first peer already asked for. Peers are numbered from `id_base` up; lines must be given bases a
    /// billion apart.
    pub fn new(config: LineConfig, id_base: CallId) -> Self {
        let mut line = Self {
            config,
            state: State::Idle,
            peer: None,
            old: None,
            id_base,
            count: 0,
            reject_next: None,
            out: Vec::new(),
        };
        line.start_peer(Role::Offer);
        line
    }

    /// Treats calls in another way, from the next one on.
    pub fn configure(&mut self, config: LineConfig) {
        self.config = config;
    }

    /// Takes what is to be done.
    pub fn take_outputs(&mut self) -> Vec<LineOutput> {
        std::mem::take(&mut self.out)
    }

    /// Whether a call is up or on its way.
    pub fn is_busy(&self) -> bool {
        self.state != State::Idle
    }

    /// A signaling message from the client.
    pub fn signal(&mut self, signal: Signal, now: Duration) {
        match signal {
            Signal::RequestCall(_) => self.requested(now),
            Signal::OfferCall(offer) if self.state == State::Up => {
                self.command(CallCommand::AcceptOffer(offer.sdp));
            }
            Signal::OfferCall(offer) => match self.rejection() {
                Some(rejection) => self.reject(rejection),
                None => {
                    self.drop_peer();
                    self.start_peer(Role::Answer(offer.sdp));
                    self.state = State::Answering;
                }
            },
            Signal::AnswerCall(answer) if matches!(self.state, State::Offered(_)) => {
                self.command(CallCommand::AcceptAnswer(answer.sdp));
                self.state = State::Up;
            }
            Signal::IceCandidate(candidate)
                if matches!(self.state, State::Offered(_) | State::Answering | State::Up) =>
            {
                self.command(CallCommand::AddCandidate(candidate));
            }
            Signal::EndCall(_) if self.is_busy() => {
                self.send(Signal::end_call());
                self.reset();
            }
            Signal::CallRejected(_) if self.is_busy() => self.reset(),
            _ => {}
        }
    }

    /// A report of a peer.
    pub fn peer(&mut self, id: CallId, event: CallEvent, now: Duration) {
        let Some(peer) = self.peer.as_mut().filter(|p| p.id == id) else { return };
        match event {
            CallEvent::Offer(sdp) => {
                peer.offer = Some(sdp);
                if self.state == State::Offering {
                    self.offer(now);
                }
            }
            CallEvent::Answer(sdp) if matches!(self.state, State::Answering | State::Up) => {
                self.send(Signal::answer_call(sdp));
                self.state = State::Up;
                self.release_candidates();
            }
            CallEvent::Answer(_) => {}
            CallEvent::Candidate(candidate) if peer.described => self.send(candidate.into()),
            CallEvent::Candidate(candidate) => peer.held.push(candidate),
            CallEvent::Connected => {
                self.drop_old();
                if let Some(after) = self.config.hang_up_after {
                    self.out.push(LineOutput::Timer(now + after, LineTimer::HangUp(id)));
                }
            }
            // For the conversation, not for the line.
            CallEvent::Digit(_) => {}
            // The way there was may come back yet, or the client asks once more.
            CallEvent::Failed(_) if self.old.is_some() => {
                self.drop_peer();
                self.peer = self.old.take().map(Peer::used);
                self.state = State::Up;
            }
            // Nobody has heard of this peer yet; a call that is wanted later starts a new one.
            CallEvent::Failed(_) if matches!(self.state, State::Idle | State::Ringing(_)) => self.drop_peer(),
            CallEvent::Failed(reason) => {
                if self.state == State::Offering || self.state == State::Answering {
                    self.send(Signal::call_rejected("500", reason));
                } else {
                    self.send(Signal::end_call());
                }
                self.reset();
            }
        }
    }

    /// A timer ran out.
    pub fn timer(&mut self, timer: LineTimer, now: Duration) {
        match timer {
            LineTimer::PickUp(request) if self.state == State::Ringing(request) => match self.rejection() {
                Some(rejection) => self.reject(rejection),
                None => self.offer(now),
            },
            LineTimer::NoAnswer(id) if matches!(self.state, State::Offered(_)) && self.peer_is(id) => self.hang_up(),
            LineTimer::HangUp(id) if self.peer_is(id) => self.hang_up(),
            _ => {}
        }
    }

    /// The agent calls the client.
    pub fn call(&mut self, now: Duration) {
        if !self.is_busy() {
            self.offer(now);
        }
    }

    /// The agent picks up at once. False: nothing rings.
    pub fn answer(&mut self, now: Duration) -> bool {
        let rings = matches!(self.state, State::Ringing(_));
        if rings {
            self.offer(now);
        }
        rings
    }

    /// The agent refuses the call that rings, else the next one.
    pub fn refuse(&mut self, rejection: Rejection) {
        if matches!(self.state, State::Ringing(_)) {
            self.reject(rejection);
        } else {
            self.reject_next = Some(rejection);
        }
    }

    /// How far the call has come.
    pub fn call_state(&self) -> CallState {
        match self.state {
            State::Idle => CallState::Idle,
            State::Ringing(_) | State::Answering => CallState::Ringing,
            State::Offering | State::Offered(_) => CallState::Calling,
            State::Up => CallState::Up,
        }
    }

    /// The agent's signaling message as it stands, whatever the state of the line.
    pub fn inject(&mut self, signal: Signal) {
        self.send(signal);
    }

    /// The agent ends the call.
    pub fn hang_up(&mut self) {
        if self.is_busy() {
            self.send(Signal::end_call());
            self.reset();
        }
    }

    /// The agent presses keys, in a call that is up. False: there is none.
    pub fn dial(&mut self, dial: Dial) -> bool {
        let up = self.state == State::Up;
        if up {
            self.command(CallCommand::Dial(dial));
        }
        up
    }

    /// The peer of the call, or the one kept ready for the next.
    pub fn peer_id(&self) -> Option<CallId> {
        self.peer.as_ref().map(|p| p.id)
    }

    /// The agent will refuse the next call.
    pub fn reject_next(&mut self) {
        self.reject_next = Some(Rejection { code: "603".into(), reason: "The agent declined the call".into() });
    }

    /// The agent goes; a call that is up ends.
    pub fn close(&mut self) {
        if self.is_busy() {
            self.send(Signal::end_call());
        }
        self.drop_old();
        self.drop_peer();
        self.state = State::Idle;
    }

    fn requested(&mut self, now: Duration) {
        match self.state {
            State::Ringing(_) | State::Offering => return,
            State::Offered(since) if now < since + CROSSING => return,
            // The client asks for a call it has already: it was started anew and knows nothing of the one before.
            State::Offered(_) | State::Answering if self.old.is_some() => {
                self.drop_peer();
                self.start_peer(Role::Offer);
            }
            State::Offered(_) | State::Answering => self.reset(),
            // Or its way is broken: whether the one there was carries on is seen when the next one is there.
            State::Up if !self.config.no_offer => {
                self.drop_old();
                self.old = self.peer.take().map(|peer| peer.id);
                self.start_peer(Role::Offer);
            }
            State::Up | State::Idle => {}
        }
        if self.config.no_offer {
            return;
        }
        self.count += 1;
        self.state = State::Ringing(self.count);
        self.out.push(LineOutput::Timer(now + self.config.answer_after, LineTimer::PickUp(self.count)));
    }

    fn offer(&mut self, now: Duration) {
        if self.peer.is_none() {
            self.start_peer(Role::Offer);
        }
        let Some(peer) = &self.peer else { return };
        match peer.offer.clone() {
            None => self.state = State::Offering,
            Some(sdp) => {
                let id = peer.id;
                self.state = State::Offered(now);
                self.send(Signal::offer_call(sdp, false));
                self.release_candidates();
                self.out.push(LineOutput::Timer(now + NO_ANSWER, LineTimer::NoAnswer(id)));
            }
        }
    }

    fn rejection(&mut self) -> Option<Rejection> {
        let once = self.reject_next.take();
        self.config.reject.clone().or(once)
    }

    fn reject(&mut self, rejection: Rejection) {
        self.send(Signal::call_rejected(rejection.code, rejection.reason));
        if self.is_busy() {
            self.reset();
        }
    }

    /// The client knows this peer's description: its candidates may go.
    fn release_candidates(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        peer.described = true;
        for candidate in std::mem::take(&mut peer.held) {
            self.send(candidate.into());
        }
    }

    /// No call; a peer nobody has used yet is kept for the next one.
    fn reset(&mut self) {
        self.state = State::Idle;
        self.drop_old();
        if self.peer.as_ref().is_none_or(|p| p.described || p.offer.is_none()) {
            self.drop_peer();
            self.start_peer(Role::Offer);
        }
    }

    fn start_peer(&mut self, role: Role) {
        self.count += 1;
        let id = self.id_base + self.count;
        self.peer = Some(Peer { id, offer: None, held: Vec::new(), described: false });
        self.out.push(LineOutput::StartPeer(id, role));
    }

    fn drop_peer(&mut self) {
        if let Some(peer) = self.peer.take() {
            self.out.push(LineOutput::Command(peer.id, CallCommand::Close));
        }
    }

    fn drop_old(&mut self) {
        if let Some(id) = self.old.take() {
            self.out.push(LineOutput::Command(id, CallCommand::Close));
        }
    }

    fn peer_is(&self, id: CallId) -> bool {
        self.peer.as_ref().is_some_and(|p| p.id == id)
    }

    fn command(&mut self, command: CallCommand) {
        if let Some(peer) = &self.peer {
            self.out.push(LineOutput::Command(peer.id, command));
        }
    }

    fn send(&mut self, signal: Signal) {
        self.out.push(LineOutput::Send(signal));
    }
}

#[cfg(test)]
mod tests;
