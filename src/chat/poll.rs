//! The long poll: one in flight, the next at once, unless the server does not hold it.

use super::backoff::jitter;
use super::request::Request;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// So many answers without news in a row, each sooner than [`SPACING_LONGEST`], are no reason to slow down.
const QUICK_FREE: u32 = 3;

/// The first spacing from one poll's start to the next, which doubles.
const SPACING_FIRST: Duration = Duration::from_millis(50);

/// The longest spacing: two polls a second against a server that never holds one, and half a second of delay at most.
const SPACING_LONGEST: Duration = Duration::from_millis(500);

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
    busy_since: Option<Instant>,
}

impl Poll {
    /// It was answered after `took`, with so many new events. Whether it had failed before.
    pub fn succeed(&mut self, took: Duration, news: usize, now: Instant) -> bool {
        // A proxy that answers from its cache brings events, but no news.
        self.quick = if news == 0 && took < SPACING_LONGEST { self.quick.saturating_add(1) } else { 0 };
        self.refusals = 0;
        self.busy_since = None;
        let spacing = match self.quick.checked_sub(QUICK_FREE + 1) {
            None => Duration::ZERO,
            Some(n) => SPACING_FIRST.saturating_mul(1 << n.min(10)).min(SPACING_LONGEST),
        };
        self.request.wait(now, spacing.saturating_sub(took));
        self.request.succeed()
    }

    /// The server still holds another poll. How long it has said so.
    pub fn busy(&mut self, now: Instant, rng: &mut StdRng) -> Duration {
        self.request.wait(now, jitter(rng, *BUSY_PAUSE.start(), *BUSY_PAUSE.end()));
        now.duration_since(*self.busy_since.get_or_insert(now))
    }

    /// A poll of ours was dropped or broke off: the server may hold that one for a while.
    pub fn may_be_held(&mut self) {
        self.busy_since = None;
    }

    /// The server refused it. Whether that is final.
    pub fn refuse(&mut self) -> bool {
        self.refusals += 1;
        self.refusals >= REFUSALS
    }
}
