//! The life of a chat session, as a state machine without I/O. [`ChatDriver`](super::ChatDriver) is its driver.
//!
//! # Inputs
//!
//! | input | what it means |
//! |---|---|
//! | [`Session::command`] | `Open`, `Send`, `Signal`, `Disconnect`, `End`, `Shutdown` |
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
//!   5509 is waited out for 0.3 to 1 s. Passing faults are retried without end, with back-off ([`super::backoff`]); when one
//!   kind of request works again, the others do not wait for the rest of theirs. Three refusals in a row end it.
//! - **Over**: `chat_session_ended`, the states `failed` and `completed`, the inactivity timeout, 404/5005, `End`,
//!   `Shutdown`.
//!
//! `End` and `Shutdown` begin a bounded wait for the outbox to empty; what is sent after them is refused.
//! How events are merged is in [`super::inbox`], how they are sent in [`super::outbox`].

use super::identity;
use super::inbox::Inbox;
use super::io::{Action, ChatEvent, Command, EndReason, Failure, HistoryEvent, Operation, SendError};
use super::outbox::{self, Lane, Outbox};
use super::parties::Parties;
use super::poll::Poll;
use super::request::Request;
use crate::api::event::{ClientDisconnect, ClientEnd};
use crate::api::types::{Chat, ChatRequest, SessionState};
use crate::api::{ClientEvent, ServerEvent};
use rand::{SeedableRng, rngs::StdRng};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The limits of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionConfig {
    /// How many events may wait in a lane; more are refused. From 1.
    pub queue_limit: usize,
    /// How many events go into one Send Events. From 1.
    pub batch_limit: usize,
    /// How often Request Chat is tried before the chat counts as not opened. From 1.
    pub open_attempts: u32,
    /// How often the history is tried before the session goes on without it. From 1.
    pub history_attempts: u32,
    /// How long [`Command::End`] waits for the server to take it.
    pub end_within: Duration,
    /// How long [`Command::Shutdown`] waits for the outbox to empty.
    pub shutdown_within: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            queue_limit: 512,
            batch_limit: 32,
            open_attempts: 4,
            history_attempts: 4,
            end_within: Duration::from_secs(3),
            shutdown_within: Duration::from_secs(2),
        }
    }
}

#[derive(Debug)]
enum Phase {
    Idle,
    Opening { body: ChatRequest, request: Request },
    Restoring { request: Request },
    Live,
    Over,
}

#[derive(Debug)]
struct Closing {
    by: ClosedBy,
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ClosedBy {
    End,
    Shutdown,
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
            Err(Failure::Transient { message }) => {
                let (attempt, delay) = request.fail(now, &mut self.rng);
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
        let Phase::Restoring { request } = &mut self.phase else { return };
        request.answered(now);
        match outcome {
            Ok(events) => {
                let recovered = request.succeed();
                self.restored(events, true);
                self.reconnected(recovered);
            }
            Err(Failure::SessionGone) => self.finish(EndReason::Gone),
            Err(Failure::Transient { message }) => {
                let (attempt, delay) = request.fail(now, &mut self.rng);
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
                self.reconnected(recovered);
            }
            Err(Failure::SessionGone) => self.finish(EndReason::Gone),
            Err(Failure::BusyPoll) => self.poll.busy(now, &mut self.rng),
            Err(Failure::Fatal { message }) if self.poll.refuse() => self.finish(EndReason::Refused { message }),
            Err(Failure::Fatal { message } | Failure::Transient { message }) => {
                let (attempt, delay) = self.poll.request.fail(now, &mut self.rng);
                self.reconnecting(Operation::Poll, attempt, delay, message);
            }
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
                self.reconnected(recovered);
            }
            Err(Failure::SessionGone) => self.finish(EndReason::Gone),
            Err(Failure::Fatal { message }) => {
                let (dropped, recovered) = self.outbox.refuse(lane);
                if let Some(event) = dropped {
                    self.out.push_back(ChatEvent::SendFailed { event, error: SendError::Refused { message } });
                }
                self.reconnected(recovered);
            }
            Err(failure) => {
                let (attempt, delay) = self.outbox.fail(lane, now, &mut self.rng);
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

    /// When [`handle_timeout`](Self::handle_timeout) is due, if no other input comes before.
    pub fn next_timeout(&self) -> Option<Instant> {
        let waits = match &self.phase {
            Phase::Idle | Phase::Over => None,
            Phase::Opening { request, .. } | Phase::Restoring { request } => request.waits_until(),
            Phase::Live => self.poll.request.waits_until().into_iter().chain(self.outbox.waits_until()).min(),
        };
        let deadline = self.closing.as_ref().filter(|_| !self.is_over()).map(|c| c.deadline);
        waits.into_iter().chain(deadline).min()
    }

    /// The next thing to do; `None` until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
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
                self.poll.request.start(now).then(|| Action::Poll { chat_id: chat_id() })
            }
        }
    }

    fn enqueue(&mut self, event: ClientEvent) {
        let refused = match self.closing {
            None => self.outbox.push(event).err(),
            Some(_) => Some((event, SendError::Closed)),
        };
        if let Some((event, error)) = refused {
            self.out.push_back(ChatEvent::SendFailed { event, error });
        }
    }

    fn opened(&mut self, chat: Chat) {
        let not_opened = if chat.chat_id.is_empty() {
            Some("the contact center gave no chat id".to_owned())
        } else if matches!(chat.state, SessionState::Failed | SessionState::Completed) {
            Some(format!("the contact center answered with a session that is {}", chat.state))
        } else {
            None
        };
        if let Some(message) = not_opened {
            return self.finish(EndReason::NotOpened { message });
        }
        let recovered = matches!(&self.phase, Phase::Opening { request, .. } if request.is_failing());
        let resumed = chat.is_new_chat == Some(false);
        self.chat_id = chat.chat_id.clone();
        self.state = chat.state.clone();
        self.ewt = chat.ewt.clone();
        self.phase = if resumed { Phase::Restoring { request: Request::default() } } else { Phase::Live };
        self.reconnected(recovered);
        self.out.push_back(ChatEvent::Opened { chat, resumed });
    }

    fn restored(&mut self, events: Vec<ServerEvent>, complete: bool) {
        let events = self.inbox.restore(events, self.now);
        self.outbox.resume(&self.chat_id, &events, &mut self.rng);
        for event in &events {
            // Only who takes part is taken from the past. The state is newer in Request Chat's answer, and an end in
            // the history of a session that lives is not its end.
            match event {
                ServerEvent::PartyJoined(e) => self.parties.joined(e),
                ServerEvent::PartyLeft(e) => self.parties.left(e),
                _ => {}
            }
        }
        let events = events.into_iter().map(|event| HistoryEvent { own: self.is_own(&event), event }).collect();
        let parties = self.parties.present().cloned().collect();
        self.out.push_back(ChatEvent::Restored { parties, events, complete });
        self.phase = Phase::Live;
    }

    /// Hands on what has arrived, in order.
    fn hand_on(&mut self) {
        let mut over: Option<EndReason> = None;
        for event in self.inbox.take() {
            let ends = self.apply(&event);
            // "Ended" alone says less than what came before or with it.
            if ends.is_some() && matches!(over, None | Some(EndReason::ByServer)) {
                over = ends;
            }
            let own = self.is_own(&event);
            self.out.push_back(match event {
                ServerEvent::Signaling(e) if !own => ChatEvent::Signal {
                    party_id: e
                        .party_id
                        .filter(|id| !id.is_empty())
                        .or_else(|| self.parties.agent().map(|p| p.id.clone())),
                    signal: e.data,
                },
                event => ChatEvent::Server { event, own },
            });
        }
        if let Some(reason) = over {
            self.finish(reason);
        }
    }

    /// Notes what an event says about the session; gives the reason if it ends it.
    fn apply(&mut self, event: &ServerEvent) -> Option<EndReason> {
        match event {
            ServerEvent::PartyJoined(e) => self.parties.joined(e),
            ServerEvent::PartyLeft(e) => self.parties.left(e),
            ServerEvent::Status(e) => {
                self.state = e.state.clone();
                self.ewt = e.ewt.clone();
                match e.state {
                    SessionState::Failed => return Some(EndReason::ServerFailed),
                    SessionState::Completed => return Some(EndReason::ByServer),
                    _ => {}
                }
            }
            ServerEvent::Ended(_) => return Some(EndReason::ByServer),
            ServerEvent::InactivityTimeout(e) => return Some(EndReason::Inactivity { message: e.msg.clone() }),
            _ => {}
        }
        None
    }

    fn is_own(&self, event: &ServerEvent) -> bool {
        identity::party_of(event).is_some_and(|id| id == self.chat_id)
    }

    fn close(&mut self, by: ClosedBy, end_chat: bool) {
        let ends_already = matches!(self.closing, Some(Closing { by: ClosedBy::End, .. }));
        if end_chat && !ends_already {
            // `End` and `Disconnect` always find room.
            let _ = self.outbox.push(ClientEnd::default().into());
        }
        let within = match by {
            ClosedBy::End => self.config.end_within,
            ClosedBy::Shutdown => self.config.shutdown_within,
        };
        let deadline = self.now + within;
        self.closing = Some(match self.closing.take() {
            // What was begun goes on, only sooner.
            Some(begun) => Closing { deadline: begun.deadline.min(deadline), ..begun },
            None => Closing { by, deadline },
        });
        self.outbox.hurry();
    }

    /// Ends a session that is being closed when it has nothing left to send, or no time.
    fn check_closing(&mut self) {
        let Some(closing) = &self.closing else { return };
        if self.is_over() {
            return;
        }
        // Without a session there is nobody to send to.
        let done = self.outbox.is_empty() || matches!(self.phase, Phase::Idle);
        if done || closing.deadline <= self.now {
            self.finish(match closing.by {
                ClosedBy::End => EndReason::ByClient { confirmed: done },
                ClosedBy::Shutdown => EndReason::Shutdown { flushed: done },
            });
        }
    }

    fn finish(&mut self, reason: EndReason) {
        if self.is_over() {
            return;
        }
        self.phase = Phase::Over;
        self.hand_on();
        // An end that was asked for is no surprise, whoever says it first.
        let reason = match (&self.closing, reason) {
            (Some(c), EndReason::ByServer | EndReason::Gone) if c.by == ClosedBy::End => {
                EndReason::ByClient { confirmed: true }
            }
            (_, reason) => reason,
        };
        let unsent = self.outbox.drain();
        self.out.extend(unsent.into_iter().map(|event| ChatEvent::SendFailed { event, error: SendError::Closed }));
        self.out.push_back(ChatEvent::Ended { reason });
    }

    fn reconnecting(&mut self, operation: Operation, attempt: u32, delay: Duration, message: String) {
        self.out.push_back(ChatEvent::Reconnecting { operation, attempt, delay, message });
    }

    /// A kind of request works; if it had failed, the others are tried at once, and the user is told when all work.
    fn reconnected(&mut self, had_failed: bool) {
        if !had_failed {
            return;
        }
        self.outbox.hurry();
        self.poll.request.hurry();
        if !self.outbox.is_failing() && !self.poll.request.is_failing() {
            self.out.push_back(ChatEvent::Reconnected);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
