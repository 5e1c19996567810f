//! The limits of a session.

use std::time::Duration;

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
    /// The chat is left to another program when its polls were in the way for so long. A server holds a poll for 15 s at
    /// the most: a poll of this client's whose connection died is gone by then. The other program asks again as soon as
    /// its poll is answered, and stays the one who gets the events.
    pub in_use_after: Duration,
    /// How long [`Command::End`](crate::chat::Command::End) waits for the server to take it.
    pub end_within: Duration,
    /// How long [`Command::Shutdown`](crate::chat::Command::Shutdown) waits for the outbox to empty.
    pub shutdown_within: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            queue_limit: 512,
            batch_limit: 32,
            open_attempts: 4,
            history_attempts: 4,
            in_use_after: Duration::from_secs(45),
            end_within: Duration::from_secs(3),
            shutdown_within: Duration::from_secs(2),
        }
    }
}
