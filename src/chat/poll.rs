//! The long poll: one in flight, the next at once, unless the server does not hold it.

use super::backoff::jitter;
use super::request::Request;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// An answer without news that comes sooner was not held by the server.
const QUICK: Duration = Duration::from_secs(1);

/// So many quick answers without news in a row are no reason to slow down.
const QUICK_FREE: u32 = 3;

/// The first pause, which doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest pause: two polls a second against a server that never holds one, and half a second of delay at most.
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// The pause after the server said that it still holds another poll.
const BUSY_PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_millis(300)..=Duration::from_secs(1);

/// So many refusals in a row end the session. More than one, since a sign-in page in between answers for a moment too.
const REFUSALS: u32 = 3;

/// The poll.
#[derive(Debug, Default)]
pub(super) struct Poll {
    pub request: Request,
    quick: u32,
    refusals: u32,
}

impl Poll {
    /// It was answered after `took`, with so many new events. Whether it had failed before.
    pub fn succeed(&mut self, took: Duration, news: usize, now: Instant) -> bool {
        // A proxy that answers from its cache brings events, but no news.
        self.quick = if news == 0 && took < QUICK { self.quick.saturating_add(1) } else { 0 };
        self.refusals = 0;
        let pause = match self.quick.checked_sub(QUICK_FREE + 1) {
            None => Duration::ZERO,
            Some(n) => PAUSE_FIRST.saturating_mul(1 << n.min(10)).min(PAUSE_LONGEST),
        };
        self.request.wait(now, pause);
        self.request.succeed()
    }

    /// The server still holds another poll.
    pub fn busy(&mut self, now: Instant, rng: &mut StdRng) {
        self.request.wait(now, jitter(rng, *BUSY_PAUSE.start(), *BUSY_PAUSE.end()));
    }

    /// The server refused it. Whether that is final.
    pub fn refuse(&mut self) -> bool {
        self.refusals += 1;
        self.refusals >= REFUSALS
    }
}
