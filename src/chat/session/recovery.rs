//! Coming back after a fault: asking anew, and fetching what was missed.

use super::{Phase, Session};
use crate::api::ServerEvent;
use crate::chat::catch_up::possible_news;
use crate::chat::identity;
use crate::chat::io::{Cause, EndReason, Failure, Operation};
use std::time::{Duration, Instant};

/// From one giving up of connections to the next at least; twice as long each time that [`CALM`] was not between.
const SPACING: Duration = Duration::from_millis(250);

/// The most that it doubles to.
const LONGEST_SPACING: Duration = Duration::from_secs(4);

/// So long after the last giving up nothing flaps any more.
const CALM: Duration = Duration::from_secs(10);

/// When connections were given up, and may be again: a network or a sound that flaps is no reason to have a server make
/// several connections a second.
#[derive(Debug, Default)]
pub(super) struct Reconnects {
    last: Option<Instant>,
    spacing: Duration,
    /// One that was asked for too soon is done then.
    due: Option<Instant>,
}

impl Reconnects {
    /// Whether one may be done now; otherwise it will be due.
    fn may(&mut self, now: Instant) -> bool {
        let since = self.last.map(|last| now.saturating_duration_since(last));
        if let Some((last, since)) = self.last.zip(since)
            && since < self.spacing
        {
            self.due = Some(last + self.spacing);
            return false;
        }
        let flaps = since.is_some_and(|since| since < CALM);
        self.spacing = if flaps { (self.spacing * 2).min(LONGEST_SPACING) } else { SPACING };
        (self.last, self.due) = (Some(now), None);
        true
    }

    /// When one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// A server that fails says so sooner; one that has not by then holds the poll.
const HELD: Duration = Duration::from_millis(500);

impl Session {
    /// What is in flight is given up and asked again.
    pub(super) fn reconnect(&mut self) {
        if !self.reconnects.may(self.now) {
            return;
        }
        match &mut self.phase {
            Phase::Idle | Phase::Over => {}
            Phase::Opening { request, .. } | Phase::Restoring { request } => drop(request.give_up()),
            Phase::Live => {
                let polled = self.poll.request.give_up();
                if polled {
                    self.poll.may_be_held();
                }
                let asked = polled | self.outbox.give_up();
                self.catch_up.request.give_up();
                if asked {
                    self.catch_up.want();
                }
            }
        }
        self.give_up = true;
    }

    /// Does what was put off, when it is due.
    pub(super) fn reconnect_if_due(&mut self) {
        if self.reconnects.due().is_some_and(|due| due <= self.now) && !self.is_over() {
            self.reconnect();
        }
    }

    pub(super) fn poll_failed(&mut self, cause: Cause, message: String) {
        // After a connection that was not made nothing is missed. But the next poll will be held, and only the answer to
        // another request tells soon that the server is back.
        self.poll.may_be_held();
        let (attempt, delay) = self.poll.request.fail(cause, self.now, &mut self.rng);
        self.catch_up.want();
        if !matches!(cause, Cause::Broken | Cause::Unreachable) {
            // A server that cannot is not asked twice as often for it: only once it holds a poll, which says much already.
            self.catch_up.wait(self.now, delay + HELD);
        }
        self.reconnecting(Operation::Poll, attempt, delay, message);
    }

    /// The history was read for what a lost answer held. When that fails the poll has told of the fault, or will.
    pub(super) fn caught_up(&mut self, outcome: Result<Vec<ServerEvent>, Failure>) {
        let catch_up = &mut self.catch_up;
        if catch_up.request.answered(self.now).is_none() {
            return;
        }
        let mut recovered = false;
        catch_up.wanted = match outcome {
            Ok(history) => {
                catch_up.request.succeed();
                recovered = self.poll.request.is_in_flight() && self.poll.request.succeed();
                let chat_id = self.chat_id.as_str();
                let news = possible_news(history, &self.parties)
                    .into_iter()
                    .filter(|event| identity::party_of(event).is_none_or(|id| id != chat_id));
                let count = self.inbox.accept(news.collect(), self.now);
                tracing::debug!(count, "read in the history what was missed");
                false
            }
            Err(Failure::SessionGone) => return self.finish(EndReason::Gone),
            Err(Failure::Transient { cause, message }) => {
                let (attempt, _) = catch_up.request.fail(cause, self.now, &mut self.rng);
                tracing::debug!("the history could not be read: {message}");
                attempt < self.config.history_attempts
            }
            Err(failure) => {
                tracing::debug!("the history could not be read: {failure}");
                false
            }
        };
        self.works(recovered);
        self.check_closing();
    }
}
