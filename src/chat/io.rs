//! What goes into a [`Session`](super::Session) and what comes out of it.

use super::outbox::Lane;
use super::parties::Party;
use crate::api::signaling::Signal;
use crate::api::types::{Chat, ChatRequest};
use crate::api::{ClientEvent, ServerEvent};
use std::time::Duration;

/// What a user of the session asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Request Chat: begins a session, or takes up the one this client has. Once per [`Session`](super::Session).
    Open(ChatRequest),
    /// Sends an event. A `msg_id` is filled in by the session, whatever it holds. What is sent before the session is open
    /// goes out when it is.
    Send(ClientEvent),
    /// Sends a signaling message to a party, ahead of everything that is no signaling.
    Signal {
        /// The agent it is for.
        party_id: String,
        /// The message.
        signal: Signal,
    },
    /// The network changed, or the machine woke up: connections may be dead without telling. What is in flight is given up
    /// and asked again at once, over new connections. When that happens again and again, after a wait of up to 4 s.
    Reconnect,
    /// Ends the conversation and keeps the session open under the scenario (a survey may follow).
    Disconnect,
    /// Ends the session. [`ChatEvent::Ended`] comes when the server has taken it, at the latest after
    /// [`SessionConfig::end_within`](super::SessionConfig::end_within).
    End,
    /// Sends what is queued, then stops. [`ChatEvent::Ended`] comes at the latest after
    /// [`SessionConfig::shutdown_within`](super::SessionConfig::shutdown_within).
    Shutdown {
        /// Whether to end the chat too; otherwise the server keeps it for a later run to take up.
        end_chat: bool,
    },
}

/// A request to make. Its outcome goes back by the `handle_…` of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Request Chat; answer by [`Session::handle_chat`](super::Session::handle_chat).
    RequestChat(ChatRequest),
    /// Drops every request in flight, whose outcome must not be told any more, and the connections: the requests that
    /// follow go over new ones.
    GiveUp,
    /// Get Chat History; answer by [`Session::handle_history`](super::Session::handle_history). Asked for before the first
    /// poll of a session that was there before, and again when an answer was lost.
    History {
        /// The session.
        chat_id: String,
    },
    /// Get New Chat Events; answer by [`Session::handle_poll`](super::Session::handle_poll).
    Poll {
        /// The session.
        chat_id: String,
    },
    /// Send Events; answer by [`Session::handle_sent`](super::Session::handle_sent). Each lane has at most one in flight.
    Send {
        /// The session.
        chat_id: String,
        /// The lane the events come from, to be given back with the outcome.
        lane: Lane,
        /// The events, in order.
        events: Vec<ClientEvent>,
    },
    /// Something to tell the user of the session.
    Event(ChatEvent),
}

/// What kind of passing fault it was: it decides how soon to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection was made: nothing was sent.
    Unreachable,
    /// The connection broke, the answer did not come in time or stopped in the middle. Whether the server took the request
    /// is unknown, and the events of its answer are lost.
    Broken,
    /// The server answered that it cannot now (HTTP 5xx, 408, 429).
    Refused {
        /// How long it wants to be left alone, when it said so.
        retry_after: Option<Duration>,
    },
    /// Somebody else answered in the server's place, such as the sign-in page of a network. When the server never answered
    /// before, the address is wrong rather.
    Elsewhere,
}

/// Why a request failed, as far as the session cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The session no longer exists (HTTP 404, code 5005).
    SessionGone,
    /// The server still holds another poll of this session (HTTP 400, code 5509).
    BusyPoll,
    /// A passing fault (5xx, reset, time-out, no network).
    Transient {
        /// What kind of fault.
        cause: Cause,
        /// What happened, for people.
        message: String,
    },
    /// Asking again will not help.
    Fatal {
        /// What happened, for people.
        message: String,
    },
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SessionGone => f.write_str("the chat session no longer exists"),
            Self::BusyPoll => f.write_str("the server still holds another poll"),
            Self::Transient { message, .. } | Self::Fatal { message } => f.write_str(message),
        }
    }
}

/// The requests a session makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Request Chat.
    RequestChat,
    /// Get Chat History.
    History,
    /// Get New Chat Events.
    Poll,
    /// Send Events.
    Send(Lane),
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RequestChat => "requesting the chat",
            Self::History => "reading the history",
            Self::Poll => "waiting for events",
            Self::Send(Lane::Signaling) => "sending signaling",
            Self::Send(Lane::Conversation) => "sending events",
        })
    }
}

/// What a session tells its user.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The session is open.
    Opened {
        /// The server's answer.
        chat: Chat,
        /// True: the session was there before; [`ChatEvent::Restored`] follows.
        resumed: bool,
    },
    /// What happened before in a session that was taken up again. Comes before any other server event.
    Restored {
        /// Who takes part now.
        parties: Vec<Party>,
        /// The history, in order. Holds no signaling: the server does not keep it.
        events: Vec<HistoryEvent>,
        /// False: the history could not be read, the session goes on without it.
        complete: bool,
    },
    /// An event from the server, known or unknown, as it came. [`Session::parties`](super::Session::parties) and
    /// [`Session::state`](super::Session::state) already hold what it says.
    Server {
        /// The event.
        event: ServerEvent,
        /// Whether it is the server's copy of something this client did (its party is the chat itself).
        own: bool,
    },
    /// A signaling message from another party.
    Signal {
        /// Who sent it; when the server did not say, the agent. `None` when there is no agent either.
        party_id: Option<String>,
        /// The message.
        signal: Signal,
    },
    /// The server took an event. One for each event that was queued, in the order of its lane.
    Sent {
        /// The event, with its `msg_id`.
        event: ClientEvent,
    },
    /// An event will not be sent.
    SendFailed {
        /// The event; its `msg_id` is empty unless it was tried.
        event: ClientEvent,
        /// Why.
        error: SendError,
    },
    /// A request failed for a passing fault and is made again.
    Reconnecting {
        /// Which request.
        operation: Operation,
        /// How many times it failed in a row, from 1.
        attempt: u32,
        /// How long until the next try.
        delay: Duration,
        /// What happened.
        message: String,
    },
    /// Every request that failed has worked since.
    Reconnected,
    /// The session is over; nothing follows.
    Ended {
        /// Why.
        reason: EndReason,
    },
}

/// One event of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// The event. Those of the client that the server has no counterpart for (form data, …) are `Unknown`.
    pub event: ServerEvent,
    /// Whether this client did it: its party is the chat itself.
    pub own: bool,
}

/// Why an event will not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many events wait already.
    #[error("{waiting} events wait to be sent already; try again when the connection is back")]
    QueueFull {
        /// How many.
        waiting: usize,
    },
    /// The server refused it.
    #[error("the server refused the event: {message}")]
    Refused {
        /// What the server said.
        message: String,
    },
    /// The session is over or about to end.
    #[error("the chat session is over")]
    Closed,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The server ended it in the normal way.
    #[error("the contact center ended the chat")]
    ByServer,
    /// The server says that the session failed.
    #[error("the chat session failed at the contact center")]
    ServerFailed,
    /// Nothing happened for too long.
    #[error("the chat ended for inactivity: {message}")]
    Inactivity {
        /// The server's text.
        message: String,
    },
    /// The server does not know the session any more.
    #[error("the contact center no longer has this chat")]
    Gone,
    /// [`Command::End`].
    #[error("the chat was ended{}", if *.confirmed { "" } else { ", but the contact center did not confirm it" })]
    ByClient {
        /// Whether the server took the end.
        confirmed: bool,
    },
    /// [`Command::Shutdown`].
    #[error("stopped{}", if *.flushed { "" } else { " before everything was sent" })]
    Shutdown {
        /// Whether everything queued was sent.
        flushed: bool,
    },
    /// Request Chat did not give a session.
    #[error("the chat could not be opened: {message}")]
    NotOpened {
        /// What happened.
        message: String,
    },
    /// Another program polls the session all the time.
    #[error(
        "another program uses this chat: the contact center gives its events to only one; end the other one, or use \
             another client id"
    )]
    InUse,
    /// The server refuses to give events.
    #[error("the contact center refuses the session: {message}")]
    Refused {
        /// What the server said.
        message: String,
    },
}
