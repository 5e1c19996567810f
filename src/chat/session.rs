//! The life of a chat session, as a state machine without I/O. [`ChatDriver`](super::ChatDriver) is its driver.
//!
//! # Inputs
//!
//! | input | what it means |
//! |---|---|
//! | [`Session::command`] | `Open`, `Send`, `Signal`, `Reconnect`, `Disconnect`, `End`, `Shutdown` |
//! | [`Session::handle_chat`] | Request Chat was answered or failed |
//! | [`Session::handle_history`] | Get Chat History was answered or failed |
//! | [`Session::handle_poll`] | Get New Chat Events was answered or failed |
//! | [`Session::handle_sent`] | Send Events of one lane was answered or failed |
//! | [`Session::handle_timeout`] | the time; due at [`Session::next_timeout`] |
//!
//! Every input has the time as a parameter. A failure is one of [`Failure`]: session gone, busy poll, transient, fatal.
//!
//! # Outputs
//!
//! [`Session::poll_action`], to be called after every input until it gives `None`:
//!
//! | action | what to do |
//! |---|---|
//! | `GiveUp` | drop the requests in flight and their connections; no outcome |
//! | `RequestChat` | make the request; outcome to `handle_chat` |
//! | `History` | make the request; outcome to `handle_history` |
//! | `Poll` | make the request; outcome to `handle_poll` |
//! | `Send` | make the request; outcome to `handle_sent` with the lane |
//! | `Event` | tell the user: `Opened`, `Restored`, `Server`, `Signal`, `Sent`, `SendFailed`, `Reconnecting`, `Reconnected`, `Ended` |
//!
//! At most one request of each kind (and lane) is in flight. After `Ended` there is no action any more, and requests in
//! flight are to be dropped.
//!
//! # States
//!
//! ```text
//! Idle ── Open ──▶ Opening ── new chat ───────────────────▶ Live ──▶ Over
//!                     └────── taken up again ─▶ Restoring ──┘
//! ```
//!
//! - **Opening**: Request Chat; a passing fault is tried again [`SessionConfig::open_attempts`] times in all. Asking
//!   twice is safe: the server gives a client the session it has.
//! - **Restoring**: the history is read before the first poll, so that it is shown before what is new, the parties are
//!   known before they signal, and message ids go on. When it cannot be read the session goes on without it.
//! - **Live**: one poll always in flight, or waiting to be: the next starts with the answer to the last, side by
//!   side with sends. A server that answers at once without news is asked less and less often, down to twice a second.
//!   5509 is waited out for 0.3 to 1 s, and ends the session after 45 s without a poll of its own. Passing faults are
//!   retried without end, with back-off ([`super::backoff`]); when one kind of request works again, the others do not wait
//!   for the rest of theirs. A sign-in page in the server's place is such a fault, once the server itself has answered.
//!   Three refusals in a row end it. After a broken connection the history is read beside the poll: for the events of an
//!   answer that was lost, and because its own answer tells at once that the server is back, while the poll is held.
//!   `Reconnect` gives up what is in flight and asks at once.
//! - **Over**: `chat_session_ended`, the states `failed` and `completed`, the inactivity timeout, 404/5005, `End`,
//!   `Shutdown`.
//!
//! `End` and `Shutdown` begin a bounded wait for the outbox to empty; what is sent after them is refused.
//! How events are merged is in [`super::inbox`], how they are sent in [`super::outbox`].

mod closing;
mod config;
mod incoming;
mod recovery;

pub use config::SessionConfig;

use super::catch_up::CatchUp;
use super::inbox::Inbox;
use super::io::{Action, Cause, ChatEvent, Command, EndReason, Failure, Operation, SendError};
use super::outbox::{self, Lane, Outbox};
use super::parties::Parties;
use super::poll::Poll;
use super::request::Request;
use crate::api::event::ClientDisconnect;
use crate::api::types::{Chat, ChatRequest, SessionState};
use crate::api::{ClientEvent, ServerEvent};
use closing::{ClosedBy, Closing};
use rand::{SeedableRng, rngs::StdRng};
use recovery::Reconnects;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug)]
enum Phase {
    Idle,
    Opening { body: ChatRequest, request: Request },
    Restoring { request: Request },
    Live,
    Over,
}

/// One chat session, from Request Chat to its end.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    rng: StdRng,
    now: Instant,
    phase: Phase,
    closing: Option<Closing>,
    chat_id: String,
    state: SessionState,
    ewt: Option<String>,
    parties: Parties,
    inbox: Inbox,
    outbox: Outbox,
    poll: Poll,
    catch_up: CatchUp,
    /// Requests in flight are to be dropped before any other is made.
    give_up: bool,
    reconnects: Reconnects,
    /// Whether the user was told of a fault and not yet of its end.
    reconnecting: bool,
    out: VecDeque<ChatEvent>,
}

impl Session {
    /// A session that is not open yet. `seed` is for the jitter of its waits.
    pub fn new(config: SessionConfig, seed: u64, now: Instant) -> Self {
        let outbox = Outbox::new(config.queue_limit, config.batch_limit);
        Self {
            config,
            rng: StdRng::seed_from_u64(seed),
            now,
            phase: Phase::Idle,
            closing: None,
            chat_id: String::new(),
            state: SessionState::default(),
            ewt: None,
            parties: Parties::default(),
            inbox: Inbox::default(),
            outbox,
            poll: Poll::default(),
            catch_up: CatchUp::default(),
            give_up: false,
            reconnects: Reconnects::default(),
            reconnecting: false,
            out: VecDeque::new(),
        }
    }

    /// The id of the session; `None` until it is open.
    pub fn chat_id(&self) -> Option<&str> {
        Some(self.chat_id.as_str()).filter(|id| !id.is_empty())
    }

    /// The state, as the server told it last; an empty `Unknown` until the session is open.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// The expected wait in seconds, when the server told one last.
    pub fn ewt_s(&self) -> Option<f64> {
        self.ewt.as_deref().and_then(|s| s.trim().parse().ok()).filter(|s: &f64| s.is_finite())
    }

    /// Who takes part.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Whether events are being exchanged: the session is open, its history is read, and it is not over.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    /// Whether it is over. Nothing can be done with it any more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Takes a command.
    pub fn command(&mut self, command: Command, now: Instant) {
        self.now = now;
        if self.is_over() {
            return;
        }
        match command {
            Command::Open(body) => match self.phase {
                Phase::Idle if self.closing.is_none() => {
                    self.phase = Phase::Opening { body, request: Request::default() };
                }
                _ => tracing::warn!("the chat session is opened already"),
            },
            Command::Send(ClientEvent::End(_)) | Command::End => self.close(ClosedBy::End, true),
            Command::Send(event) => self.enqueue(event),
            Command::Signal { party_id, signal } => self.enqueue(outbox::signaling(party_id, signal)),
            Command::Reconnect => self.reconnect(),
            Command::Disconnect => self.enqueue(ClientDisconnect::default().into()),
            Command::Shutdown { end_chat } => self.close(ClosedBy::Shutdown, end_chat),
        }
        self.check_closing();
    }

    /// Request Chat was answered or failed.
    pub fn handle_chat(&mut self, outcome: Result<Chat, Failure>, now: Instant) {
        self.now = now;
        let Phase::Opening { request, .. } = &mut self.phase else { return };
        request.answered(now);
        match outcome {
            Ok(chat) => self.opened(chat),
            Err(Failure::Transient { cause: Cause::Elsewhere, message }) => {
                self.finish(EndReason::NotOpened { message });
            }
            Err(Failure::Transient { cause, message }) => {
                let (attempt, delay) = request.fail(cause, now, &mut self.rng);
                if attempt >= self.config.open_attempts {
                    self.finish(EndReason::NotOpened { message });
                } else {
                    self.reconnecting(Operation::RequestChat, attempt, delay, message);
                }
            }
            Err(failure) => self.finish(EndReason::NotOpened { message: failure.to_string() }),
        }
        self.check_closing();
    }

    /// Get Chat History was answered or failed.
    pub fn handle_history(&mut self, outcome: Result<Vec<ServerEvent>, Failure>, now: Instant) {
        self.now = now;
        if self.is_live() {
            return self.caught_up(outcome);
        }
        let Phase::Restoring { request } = &mut self.phase else { return };
        request.answered(now);
        match outcome {
            Ok(events) => {
                let recovered = request.succeed();
                self.restored(events, true);
                self.works(recovered);
            }
            Err(Failure::SessionGone) => self.finish(EndReason::Gone),
            Err(Failure::Transient { cause, message }) => {
                let (attempt, delay) = request.fail(cause, now, &mut self.rng);
                if attempt >= self.config.history_attempts {
                    tracing::warn!("the history could not be read: {message}");
                    self.restored(Vec::new(), false);
                } else {
                    self.reconnecting(Operation::History, attempt, delay, message);
                }
            }
            Err(failure) => {
                tracing::warn!("the history could not be read: {failure}");
                self.restored(Vec::new(), false);
            }
        }
        self.check_closing();
    }

    /// Get New Chat Events was answered or failed. An answer without events is an empty list.
    pub fn handle_poll(&mut self, outcome: Result<Vec<ServerEvent>, Failure>, now: Instant) {
        self.now = now;
        if !self.is_live() {
            return;
        }
        let Some(took) = self.poll.request.answered(now) else { return };
        match outcome {
            Ok(events) => {
                let news = self.inbox.accept(events, now);
                let recovered = self.poll.succeed(took, news, now);
                self.catch_up.polled();
                self.works(recovered);
            }
            Err(Failure::SessionGone) => self.finish(EndReason::Gone),
            Err(Failure::BusyPoll) => {
                self.catch_up.after_poll = true;
                if self.poll.busy(now, &mut self.rng) >= self.config.in_use_after {
                    self.finish(EndReason::InUse);
                }
            }
            Err(Failure::Fatal { message }) if self.poll.refuse() => self.finish(EndReason::Refused { message }),
            Err(Failure::Fatal { message }) => self.poll_failed(Cause::Refused { retry_after: None }, message),
            Err(Failure::Transient { cause, message }) => self.poll_failed(cause, message),
        }
        self.check_closing();
    }

    /// Send Events of a lane was answered, with new events from the server, or failed.
    pub fn handle_sent(&mut self, lane: Lane, outcome: Result<Vec<ServerEvent>, Failure>, now: Instant) {
        self.now = now;
        if !self.is_live() || !self.outbox.answered(lane, now) {
            return;
        }
        match outcome {
            Ok(events) => {
                self.inbox.accept(events, now);
                let (taken, recovered) = self.outbox.succeed(lane);
                self.out.extend(taken.into_iter().map(|event| ChatEvent::Sent { event }));
                self.works(recovered);
            }
            Err(Failure::SessionGone) => self.finish(EndReason::Gone),
            Err(Failure::Fatal { message }) => {
                let (dropped, recovered) = self.outbox.refuse(lane);
                if let Some(event) = dropped {
                    let end_refused = matches!(event, ClientEvent::End(_));
                    self.out.push_back(ChatEvent::SendFailed { event, error: SendError::Refused { message } });
                    if let Some(closing) = self.closing.as_ref().filter(|_| end_refused) {
                        let reason = closing.reason(false);
                        self.finish(reason);
                    }
                }
                self.works(recovered);
            }
            Err(failure) => {
                let cause = match failure {
                    Failure::Transient { cause, .. } => cause,
                    _ => Cause::Refused { retry_after: None },
                };
                if cause == Cause::Broken {
                    self.catch_up.want();
                }
                let (attempt, delay) = self.outbox.fail(lane, cause, now, &mut self.rng);
                self.reconnecting(Operation::Send(lane), attempt, delay, failure.to_string());
            }
        }
        self.check_closing();
    }

    /// Takes the time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.check_closing();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if no other input comes before. To be asked when
    /// [`poll_action`](Self::poll_action) has nothing left.
    pub fn next_timeout(&self) -> Option<Instant> {
        let (request, sends) = match &self.phase {
            Phase::Idle | Phase::Over => (None, None),
            Phase::Opening { request, .. } | Phase::Restoring { request } => (request.waits_until(), None),
            Phase::Live => {
                let history = self.catch_up.request.waits_until().filter(|_| self.catch_up.wanted);
                (self.poll.request.waits_until(), Some(self.outbox.waits_until().chain(history)))
            }
        };
        // What could have started by now waits for something else, and that comes as an input.
        let waits = request.into_iter().chain(sends.into_iter().flatten()).filter(|at| *at > self.now);
        let deadline = self.closing.as_ref().filter(|_| !self.is_over()).map(|c| c.deadline);
        let reconnect = self.reconnects.due().filter(|_| !self.is_over());
        waits.chain(deadline).chain(reconnect).min()
    }

    /// The next thing to do; `None` until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.reconnect_if_due();
        if std::mem::take(&mut self.give_up) && !self.is_over() {
            return Some(Action::GiveUp);
        }
        self.hand_on();
        if let Some(event) = self.out.pop_front() {
            return Some(Action::Event(event));
        }
        let now = self.now;
        let chat_id = || self.chat_id.clone();
        match &mut self.phase {
            Phase::Idle | Phase::Over => None,
            Phase::Opening { body, request } => request.start(now).then(|| Action::RequestChat(body.clone())),
            Phase::Restoring { request } => request.start(now).then(|| Action::History { chat_id: chat_id() }),
            Phase::Live => {
                for lane in Lane::ALL {
                    if let Some(events) = self.outbox.start(lane, &self.chat_id, now) {
                        return Some(Action::Send { chat_id: chat_id(), lane, events });
                    }
                }
                if self.poll.request.start(now) {
                    return Some(Action::Poll { chat_id: chat_id() });
                }
                // While the poll waits for a fault to pass there is no use in asking.
                let reads = self.catch_up.wanted && self.poll.request.is_in_flight();
                (reads && self.catch_up.request.start(now)).then(|| Action::History { chat_id: chat_id() })
            }
        }
    }

    fn enqueue(&mut self, event: ClientEvent) {
        let refused = match self.closing {
            None => self.outbox.push(event),
            Some(_) => Some((event, SendError::Closed)),
        };
        if let Some((event, error)) = refused {
            self.out.push_back(ChatEvent::SendFailed { event, error });
        }
    }

    fn reconnecting(&mut self, operation: Operation, attempt: u32, delay: Duration, message: String) {
        self.reconnecting = true;
        self.out.push_back(ChatEvent::Reconnecting { operation, attempt, delay, message });
    }

    /// A kind of request works. If it had failed, the others are tried at once; the user is told when all work.
    fn works(&mut self, had_failed: bool) {
        if had_failed {
            self.outbox.hurry();
            self.poll.request.hurry();
        }
        if self.reconnecting && !self.outbox.is_failing() && !self.poll.request.is_failing() {
            self.reconnecting = false;
            self.out.push_back(ChatEvent::Reconnected);
        }
    }
}

#[cfg(test)]
mod tests;
