//! The state machine of a call inside a chat: no I/O, no clock, no tasks.
//!
//! # Inputs ([`Input`])
//!
//! | from | input | |
//! |---|---|---|
//! | the user | `Request` | asks an agent for a call |
//! | | `Accept`, `Decline` | answers an incoming call |
//! | | `HangUp` | ends or gives up the call |
//! | the chat | `Signal` | a signaling message arrived: OFFER_CALL, ANSWER_CALL, ICE_CANDIDATE, CALL_REJECTED, END_CALL |
//! | | `PartyLeft`, `ChatEnded` | the agent or the chat is gone |
//! | | `CurrentAgent` | whom a call would go to now |
//! | | `Signaling` | the chat gets through to the server, or not |
//! | the network | `NetworkChanged` | the addresses there are now; the machine woke up |
//! | the peer | `PeerReady` | made, after `PreparePeer` |
//! | | `LocalAnswer` | after `ApplyOffer`: the offer is applied, this is our answer |
//! | | `LocalOffer` | after `CreateOffer`, or unasked in a running call: our offer |
//! | | `AnswerApplied` | after `ApplyAnswer` |
//! | | `RemoteDescriptionFailed` | `ApplyOffer` or `ApplyAnswer` did not work |
//! | | `LocalCandidate`, `CandidateFailed` | ICE candidates (RFC 8838) |
//! | | `PeerConnected`, `PeerDisconnected`, `PeerFailed` | its connection state |
//! | media | `MediaFlowing`, `MediaFailed` | the first RTP packet; a device that is gone |
//! | | `Media` | when the far end was last heard |
//!
//! # Outputs ([`Output`])
//!
//! | to | output | |
//! |---|---|---|
//! | the chat | `SendSignal` | REQUEST_CALL, OFFER_CALL, ANSWER_CALL, ICE_CANDIDATE, CALL_REJECTED, END_CALL |
//! | the peer | `PreparePeer`, `ClosePeer` | always in pairs |
//! | | `KeepPeer`, `CloseKept`, `ReturnPeer` | while a second peer is tried |
//! | | `CreateOffer`, `ApplyOffer`, `ApplyAnswer`, `AddCandidate` | what to negotiate |
//! | the front end | `Event` | [`CallEvent`]; the last of every call is `Ended`, once |
//!
//! # What the driver promises
//!
//! After every input and at every [`next_timeout`](CallMachine::next_timeout) it takes the outputs until there are none,
//! in order. A peer that `ClosePeer` closed says nothing more: what its tasks still report is dropped by the driver.
//! Each `ApplyOffer` is followed by `LocalAnswer`, `RemoteDescriptionFailed`, `PeerFailed` or `ClosePeer`.
//!
//! # One machine for all calls of a chat
//!
//! The messages carry no call id, so only what was before tells a late message of the last call from one of this call. A
//! machine is therefore made once per chat and remembers the last call for [`CallConfig::late`]:
//! - END_CALL that confirms ours, arriving when the next call is already asked for, does not end it;
//! - OFFER_CALL for a request we gave up does not ring: it is answered by END_CALL, since a server that had no session
//!   yet may have dropped our first one;
//! - a message delivered twice does nothing the second time.

mod call;
mod candidates;
mod description;
mod negotiation;
mod outcome;
mod recovery;
mod restoring;
mod setup;
mod signals;
#[cfg(test)]
mod tests;
mod timers;

pub use outcome::{CallEnd, EndedBy, Outcome};
pub use recovery::{Interruption, MediaSigns, Recovery};
pub use timers::{CallConfig, CallTimes, TimeLimit};

use crate::api::signaling::{IceCandidate, Signal};
use call::{Call, Past, SeenOffers};
use candidates::RemoteCandidates;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Who sends OFFER_CALL in a call that the client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offerer {
    /// The agent, after our REQUEST_CALL: the published flow.
    #[default]
    Agent,
    /// The client, and the agent sends ANSWER_CALL: an old flow.
    Client,
}

/// Who began a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// This client.
    Outgoing,
    /// The agent, by an unasked OFFER_CALL.
    Incoming,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The user asks the agent `party_id` for a call. Accepts the call instead when that agent's is ringing; ignored
    /// while another call is there (see [`CallMachine::phase`]).
    Request {
        /// The agent.
        party_id: String,
        /// Whether video is wanted beside audio.
        video: bool,
        /// Who makes the offer.
        offerer: Offerer,
    },
    /// The user takes the incoming call.
    Accept,
    /// The user turns the incoming call down.
    Decline {
        /// For the agent, in words.
        reason: String,
    },
    /// The user ends the call, in whatever state it is; an incoming one that was not accepted is declined.
    HangUp,
    /// A signaling message arrived.
    Signal {
        /// Who sent it. `None`: it belongs to the current call.
        party_id: Option<String>,
        /// The message.
        signal: Signal,
    },
    /// A party left the chat.
    PartyLeft(String),
    /// The agent of the chat that a call would go to now, also the one who has it.
    CurrentAgent(Option<String>),
    /// The chat is over: nothing can be sent any more.
    ChatEnded,
    /// Whether the chat gets through to the server: while it does not, asking for anything is in vain.
    Signaling {
        /// It works, for the first time or again.
        up: bool,
    },
    /// The addresses of this machine changed, or it woke up: a way that one of those missing belonged to is dead.
    NetworkChanged {
        /// The addresses there are now.
        addresses: Vec<IpAddr>,
    },
    /// The peer is made and takes descriptions.
    PeerReady,
    /// The offer is applied, and this is the answer.
    LocalAnswer {
        /// The session description (RFC 8866).
        sdp: String,
    },
    /// The peer made an offer: after `CreateOffer`, or in a running call to renegotiate.
    LocalOffer {
        /// The session description (RFC 8866).
        sdp: String,
    },
    /// The remote answer is applied.
    AnswerApplied,
    /// The remote offer or answer could not be applied. Ends a call that has no other description yet; a running call
    /// goes on as it was.
    RemoteDescriptionFailed {
        /// What was wrong with it.
        error: String,
    },
    /// The peer found a local candidate.
    LocalCandidate(IceCandidate),
    /// A remote candidate could not be added. Never ends a call: others may do.
    CandidateFailed {
        /// What was wrong with it.
        error: String,
    },
    /// ICE and DTLS are up, for the first time or again.
    PeerConnected,
    /// The connection is lost for the moment. The call goes on: it may come back.
    PeerDisconnected,
    /// The peer could not be made, or lost the connection for good.
    PeerFailed {
        /// What happened.
        reason: String,
    },
    /// The first RTP packet arrived.
    MediaFlowing,
    /// What is heard of the far end, at intervals.
    Media(MediaSigns),
    /// Sound can no longer be taken or played, e.g. the device is gone. Ends the call.
    MediaFailed {
        /// What happened.
        error: String,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a signaling message, in order, at once.
    SendSignal {
        /// To whom. `None`: the agent's side never named itself; the chat's only agent is meant.
        party_id: Option<String>,
        /// The message.
        signal: Signal,
    },
    /// Fetch the ICE servers and make a peer, then say `PeerReady`. Comes as early as possible, while the offer is
    /// waited for.
    PreparePeer,
    /// Make an offer, then say `LocalOffer`.
    CreateOffer,
    /// Apply the remote offer, then say `LocalAnswer`.
    ApplyOffer {
        /// The session description as it came: possibly nonsense, possibly empty.
        sdp: String,
        /// The peer has a session already, and keeps its connection. If it has an offer of its own open, that one is
        /// rolled back first: on glare the client yields.
        renegotiation: bool,
    },
    /// Apply the remote answer to our offer, then say `AnswerApplied`.
    ApplyAnswer {
        /// The session description as it came.
        sdp: String,
    },
    /// Add a remote candidate; its description is set. An empty `candidate` means no more will come.
    AddCandidate(IceCandidate),
    /// Close and forget the peer, also one that is still being made. `PreparePeer` may follow in the same call, when
    /// the agent's side starts over with a peer of its own that is new (e.g. a reloaded browser).
    ClosePeer,
    /// The peer goes on carrying sound, and says nothing more but in `Media`; `PreparePeer` follows for one beside it.
    KeepPeer,
    /// Close the peer that was kept.
    CloseKept,
    /// Close the newest peer; the one that was kept takes its place again, and says how it is connected.
    ReturnPeer,
    /// Tell the front end.
    Event(CallEvent),
}

/// What a front end learns of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// We asked an agent for a call.
    Requesting {
        /// The agent.
        party_id: String,
        /// Whether video was asked for.
        video: bool,
    },
    /// An agent calls: accept or decline.
    Ringing {
        /// The agent, when named.
        party_id: Option<String>,
        /// Whether video is offered.
        video: bool,
    },
    /// The offer for our request arrived, and is being applied.
    Offered {
        /// The agent who offers: after a transfer another than the one asked.
        party_id: Option<String>,
        /// Whether video is offered.
        video: bool,
    },
    /// The offer is answered.
    Answered,
    /// The connection is up.
    Connected,
    /// The connection is lost for the moment.
    Disconnected,
    /// The connection is back.
    Reconnected,
    /// The first RTP packet arrived.
    MediaFlowing,
    /// No sound arrives any more.
    Interrupted {
        /// Why, as far as is known.
        reason: Interruption,
    },
    /// Sound arrives again, over the same peer.
    Resumed {
        /// How long there was none.
        gap: Duration,
    },
    /// The call is asked for again, in the same chat.
    Restoring {
        /// The number of this attempt, from 1.
        attempt: u32,
        /// How many there may be.
        attempts: u32,
    },
    /// Sound arrives again, over a new peer. Comes without `Interrupted` where the agent's side began anew so soon that
    /// there was nothing to tell.
    Restored {
        /// The attempt that worked; 0: the agent's side began anew by itself.
        attempt: u32,
        /// How long there was none.
        gap: Duration,
    },
    /// A new offer in the running call is being applied.
    Renegotiating,
    /// A renegotiation did not work; the call goes on as it was.
    RenegotiationFailed {
        /// What was wrong.
        error: String,
    },
    /// Another agent called during this call, and was told that we are busy.
    DeclinedBusy {
        /// The other agent.
        party_id: String,
    },
    /// The call is over. The last event of every call.
    Ended(CallEnd),
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// There is no call.
    Idle,
    /// Asked for, not offered (when the client offers: not answered).
    Requesting,
    /// Offered by the agent, not accepted by the user.
    Ringing,
    /// Offered and accepted, not connected.
    Connecting,
    /// Connected at least once.
    Connected,
}

/// The calls of one chat, one after another.
#[derive(Debug)]
pub struct CallMachine {
    config: CallConfig,
    call: Option<Call>,
    /// A `PreparePeer` is not followed by its `ClosePeer` yet.
    has_peer: bool,
    past: Option<Past>,
    seen: SeenOffers,
    remote: RemoteCandidates,
    chat_over: bool,
    /// The agent a call would go to now.
    agent: Option<String>,
    /// The chat does not get through.
    cut_off: bool,
    /// Since when it does again; `None`: it always did.
    through_since: Option<Instant>,
    times: CallTimes,
    recovery: Recovery,
    outputs: VecDeque<Output>,
}

impl CallMachine {
    /// A machine for one chat, without a call.
    pub fn new(config: CallConfig) -> Self {
        Self {
            config,
            call: None,
            has_peer: false,
            past: None,
            seen: SeenOffers::default(),
            remote: RemoteCandidates::default(),
            chat_over: false,
            agent: None,
            cut_off: false,
            through_since: None,
            times: CallTimes::default(),
            recovery: Recovery::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Outputs are waiting afterwards.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Request { party_id, video, offerer } => self.request(now, party_id, video, offerer),
            Input::Accept => self.accept(now),
            Input::Decline { reason } => self.decline(now, &reason),
            Input::HangUp => self.hang_up(now),
            Input::Signal { party_id, signal } => self.on_signal(now, party_id, signal),
            Input::PartyLeft(party_id) => self.party_left(now, &party_id),
            Input::ChatEnded => self.chat_ended(now),
            Input::CurrentAgent(agent) => self.current_agent(agent),
            Input::Signaling { up } => self.signaling(now, up),
            Input::NetworkChanged { addresses } => self.network_changed(now, &addresses),
            Input::PeerReady => self.peer_ready(),
            Input::LocalAnswer { sdp } => self.local_answer(now, sdp),
            Input::LocalOffer { sdp } => self.local_offer(now, sdp),
            Input::AnswerApplied => self.answer_applied(),
            Input::RemoteDescriptionFailed { error } => self.remote_description_failed(now, error),
            Input::LocalCandidate(candidate) => self.local_candidate(candidate),
            Input::CandidateFailed { error } => tracing::debug!(error, "a remote candidate cannot be used"),
            Input::PeerConnected => self.peer_connected(now),
            Input::PeerDisconnected => self.peer_disconnected(),
            Input::PeerFailed { reason } => {
                if !self.survives_failure(now) {
                    self.fault(now, reason);
                }
            }
            Input::MediaFlowing => self.media_flowing(now),
            Input::Media(signs) => self.media_signs(now, signs),
            Input::MediaFailed { error } => self.fault(now, error),
        }
        self.pursue(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. Changes with every input.
    pub fn next_timeout(&self) -> Option<Instant> {
        let call = self.call.as_ref()?;
        call.deadline.map(|(t, _)| t).into_iter().chain(call.resend).chain(self.watch_timeout()).min()
    }

    /// Does what is due at `now`; before that it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(call) = &self.call else { return };
        if let Some((_, limit)) = call.deadline.filter(|(t, _)| *t <= now) {
            self.over_limit(now, limit);
        } else if call.resend.is_some_and(|t| t <= now) {
            self.ask(now);
        }
        self.pursue(now);
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where the call stands.
    pub fn phase(&self) -> Phase {
        self.call.as_ref().map_or(Phase::Idle, |c| c.phase)
    }

    /// Who began the current call; `None` without one.
    pub fn direction(&self) -> Option<Direction> {
        self.call.as_ref().map(|c| c.direction)
    }

    /// The agent of the current call, if there is one and the agent is known.
    pub fn party_id(&self) -> Option<&str> {
        self.call.as_ref()?.party_id.as_deref()
    }

    /// The time line of the current call, or of the last one when there is none.
    pub fn times(&self) -> &CallTimes {
        &self.times
    }

    /// What interruptions did to the current call, or to the last one.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    fn event(&mut self, event: CallEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Sends to the agent of the current call.
    fn send(&mut self, signal: Signal) {
        let party_id = self.call.as_ref().and_then(|c| c.party_id.clone());
        self.send_to(party_id, signal);
    }

    fn send_to(&mut self, party_id: Option<String>, signal: Signal) {
        self.outputs.push_back(Output::SendSignal { party_id, signal });
    }
}
