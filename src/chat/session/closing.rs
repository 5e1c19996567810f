//! The end of a session: asked for, or come by itself.

use super::{Phase, Session};
use crate::api::event::ClientEnd;
use crate::chat::io::{ChatEvent, EndReason, SendError};
use std::time::Instant;

/// An end that was asked for and waits for the outbox to empty.
#[derive(Debug)]
pub(super) struct Closing {
    by: ClosedBy,
    ends_chat: bool,
    pub(super) deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ClosedBy {
    End,
    Shutdown,
}

impl Closing {
    /// The reason for the end, and whether everything went out before it.
    pub(super) fn reason(&self, done: bool) -> EndReason {
        match self.by {
            ClosedBy::End => EndReason::ByClient { confirmed: done },
            ClosedBy::Shutdown => EndReason::Shutdown { flushed: done },
        }
    }
}

impl Session {
    pub(super) fn close(&mut self, by: ClosedBy, end_chat: bool) {
        let within = match by {
            ClosedBy::End => self.config.end_within,
            ClosedBy::Shutdown => self.config.shutdown_within,
        };
        let deadline = self.now + within;
        // What was begun goes on, only sooner.
        let begun = self.closing.take().unwrap_or(Closing { by, ends_chat: false, deadline });
        if end_chat && !begun.ends_chat {
            self.outbox.push(ClientEnd::default().into()); // always finds room
        }
        self.closing = Some(Closing {
            by: begun.by,
            ends_chat: begun.ends_chat || end_chat,
            deadline: begun.deadline.min(deadline),
        });
        self.outbox.hurry();
    }

    /// Ends a session that is being closed when it has nothing left to send, or no time.
    pub(super) fn check_closing(&mut self) {
        let Some(closing) = &self.closing else { return };
        if self.is_over() {
            return;
        }
        // Without a session there is nobody to send to.
        let done = self.outbox.is_empty() || matches!(self.phase, Phase::Idle);
        if done || closing.deadline <= self.now {
            self.finish(closing.reason(done));
        }
    }

    pub(super) fn finish(&mut self, reason: EndReason) {
        if self.is_over() {
            return;
        }
        self.phase = Phase::Over;
        self.hand_on();
        let unsent = self.outbox.drain();
        // An end that was asked for is no surprise, whoever says it first.
        let reason = match (&self.closing, reason) {
            (Some(closing), EndReason::ByServer | EndReason::Gone) => closing.reason(true),
            (_, reason) => reason,
        };
        let reason = match reason {
            EndReason::Shutdown { flushed } => EndReason::Shutdown { flushed: flushed && unsent.is_empty() },
            other => other,
        };
        self.out.extend(unsent.into_iter().map(|event| ChatEvent::SendFailed { event, error: SendError::Closed }));
        self.out.push_back(ChatEvent::Ended { reason });
    }
}
