//! The poller: carries out what a [`Session`] asks for.

use super::io::{Action, Cause, ChatEvent, Command, Failure};
use super::outbox::Lane;
use super::session::{Session, SessionConfig};
use crate::api::types::Chat;
use crate::api::{ApiError, Client, ServerEvent};
use std::collections::VecDeque;
use std::future::Future;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Owns a [`Session`] and makes its requests with a [`Client`], each in a task of its own. Tasks and timers run on tokio's
/// runtime; dropping the driver drops the requests in flight.
///
/// ```no_run
/// # async fn example(client: chatphone::api::Client) {
/// use chatphone::chat::{ChatDriver, ChatEvent, Command, SessionConfig};
///
/// let mut chat = ChatDriver::new(client, SessionConfig::default());
/// chat.command(Command::Open(Default::default()));
/// while let Some(event) = chat.next().await {
///     if let ChatEvent::Signal { party_id, signal } = event {
///         println!("{} from {party_id:?}", signal.name());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct ChatDriver {
    client: Client,
    session: Session,
    requests: JoinSet<Outcome>,
    events: VecDeque<ChatEvent>,
}

/// How a request ended.
#[derive(Debug)]
enum Outcome {
    Chat(Result<Chat, Failure>),
    History(Result<Vec<ServerEvent>, Failure>),
    Poll(Result<Vec<ServerEvent>, Failure>),
    Sent(Lane, Result<Vec<ServerEvent>, Failure>),
}

impl ChatDriver {
    /// A driver with a session that is not open yet.
    pub fn new(client: Client, config: SessionConfig) -> Self {
        let session = Session::new(config, rand::random(), now());
        Self { client, session, requests: JoinSet::new(), events: VecDeque::new() }
    }

    /// The session, to be read. It may be ahead of the events that [`next`](Self::next) has given.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Takes a command; what is to be sent is on its way when this returns. Must be called on tokio's runtime.
    pub fn command(&mut self, command: Command) {
        if command == Command::Reconnect {
            // What was answered already is not to be lost with the rest.
            while let Some(done) = self.requests.try_join_next() {
                self.feed(done);
            }
        }
        self.session.command(command, now());
        self.carry_out();
    }

    /// The next event; `None` after [`ChatEvent::Ended`]. The session goes on only while this is awaited; before
    /// [`Command::Open`] it waits. Cancel safe: an event is not lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ChatEvent> {
        loop {
            self.carry_out();
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.session.is_over() {
                return None;
            }
            let timeout = self.session.next_timeout();
            tokio::select! {
                Some(done) = self.requests.join_next() => {
                    self.feed(done);
                    // What has arrived by now is merged in one go.
                    while let Some(done) = self.requests.try_join_next() {
                        self.feed(done);
                    }
                }
                () = sleep_until(timeout) => self.session.handle_timeout(now()),
            }
        }
    }

    fn feed(&mut self, done: Result<Outcome, tokio::task::JoinError>) {
        match done {
            Ok(Outcome::Chat(outcome)) => self.session.handle_chat(outcome, now()),
            Ok(Outcome::History(outcome)) => self.session.handle_history(outcome, now()),
            Ok(Outcome::Poll(outcome)) => self.session.handle_poll(outcome, now()),
            Ok(Outcome::Sent(lane, outcome)) => self.session.handle_sent(lane, outcome, now()),
            Err(e) => match e.try_into_panic() {
                // A bug, which is not to be hidden as a request that never comes back.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(aborted) => tracing::debug!("a request was aborted: {aborted}"),
            },
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Event(event) => self.events.push_back(event),
                Action::GiveUp => {
                    // Their outcomes, too: a new set has none.
                    self.requests = JoinSet::new();
                    self.client.reconnect();
                }
                Action::RequestChat(body) => {
                    self.spawn(|client| async move { client.request_chat(&body).await }, Outcome::Chat)
                }
                Action::History { chat_id } => {
                    self.spawn(|client| async move { client.history(&chat_id).await }, Outcome::History)
                }
                Action::Poll { chat_id } => {
                    self.spawn(|client| async move { client.poll_events(&chat_id).await }, Outcome::Poll)
                }
                Action::Send { chat_id, lane, events } => self.spawn(
                    move |client| async move { client.send_events(&chat_id, &events).await },
                    move |outcome| Outcome::Sent(lane, outcome),
                ),
            }
        }
        if self.session.is_over() {
            self.requests.abort_all();
        }
    }

    fn spawn<T, F>(
        &mut self,
        request: impl FnOnce(Client) -> F,
        outcome: impl FnOnce(Result<T, Failure>) -> Outcome + Send + 'static,
    ) where
        F: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        let request = request(self.client.clone());
        self.requests.spawn(async move { outcome(request.await.map_err(Failure::from)) });
    }
}

impl From<ApiError> for Failure {
    fn from(e: ApiError) -> Self {
        if e.is_session_gone() {
            Self::SessionGone
        } else if e.is_busy_poll() {
            Self::BusyPoll
        } else if let Some(cause) = Cause::of(&e) {
            Self::Transient { cause, message: e.to_string() }
        } else {
            Self::Fatal { message: e.to_string() }
        }
    }
}

impl Cause {
    /// What kind of passing fault an error is; `None`: it does not pass by itself.
    pub fn of(error: &ApiError) -> Option<Self> {
        Some(match error {
            _ if error.is_from_elsewhere() => Self::Elsewhere,
            _ if !error.is_transient() => return None,
            ApiError::Unreachable { .. } | ApiError::Timeout { connecting: true, .. } => Self::Unreachable,
            ApiError::Status { retry_after, .. } => Self::Refused { retry_after: *retry_after },
            _ => Self::Broken,
        })
    }
}

/// tokio's clock, which a test may pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
