//! One kind of request: at most one in flight, and when the next may start.

use super::backoff::Backoff;
use super::io::Cause;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// Whether a request is in flight, and when it may start.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    state: State,
    backoff: Backoff,
    /// The server named the time it waits for.
    told_to_wait: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// Nothing to wait for.
    #[default]
    Free,
    /// Not before.
    NotBefore(Instant),
    /// Since.
    InFlight(Instant),
}

impl Request {
    /// Starts it if it may start now; false if it is in flight or must wait.
    pub fn start(&mut self, now: Instant) -> bool {
        let may = self.may_start(now);
        if may {
            self.state = State::InFlight(now);
        }
        may
    }

    /// Whether it may start now.
    pub fn may_start(&self, now: Instant) -> bool {
        match self.state {
            State::Free => true,
            State::NotBefore(at) => at <= now,
            State::InFlight(_) => false,
        }
    }

    /// It was answered. Gives how long that took; `None` when it was not in flight.
    pub fn answered(&mut self, now: Instant) -> Option<Duration> {
        match std::mem::take(&mut self.state) {
            State::InFlight(since) => Some(now.duration_since(since)),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// It worked. Whether it had failed before.
    pub fn succeed(&mut self) -> bool {
        self.backoff.succeed()
    }

    /// It failed for a passing fault. Gives how many times in a row, and the wait before the next try.
    pub fn fail(&mut self, cause: Cause, now: Instant, rng: &mut StdRng) -> (u32, Duration) {
        let delay = self.backoff.fail(cause, now, rng);
        self.told_to_wait = matches!(cause, Cause::Refused { retry_after: Some(_) });
        self.wait(now, delay);
        (self.backoff.failures(), delay)
    }

    /// It may start again after this.
    pub fn wait(&mut self, now: Instant, delay: Duration) {
        self.state = if delay.is_zero() { State::Free } else { State::NotBefore(now + delay) };
    }

    /// It need not wait any longer for a fault that may have passed, unless the server asked for it.
    pub fn hurry(&mut self) {
        if self.is_failing() && !self.told_to_wait && matches!(self.state, State::NotBefore(_)) {
            self.state = State::Free;
        }
    }

    /// It was dropped, or what it waited for has changed: it may start now, unless the server asked to be left alone.
    /// Whether it was in flight.
    pub fn give_up(&mut self) -> bool {
        let in_flight = self.is_in_flight();
        if in_flight {
            self.state = State::Free;
        }
        self.hurry();
        in_flight
    }

    /// Earlier failures do not count any more.
    pub fn begin_anew(&mut self) {
        self.backoff.succeed();
        if !self.is_in_flight() {
            self.state = State::Free;
        }
    }

    /// Whether it was made and not answered yet.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.state, State::InFlight(_))
    }

    /// Whether it failed last time.
    pub fn is_failing(&self) -> bool {
        self.backoff.failures() > 0
    }

    /// When it may start, while it waits.
    pub fn waits_until(&self) -> Option<Instant> {
        match self.state {
            State::NotBefore(at) => Some(at),
            _ => None,
        }
    }
}
