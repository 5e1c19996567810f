//! How long to wait after a fault.
//!
//! # Nobody answered
//!
//! Connections that are refused, reset or not made cost both sides next to nothing, and whoever waits for the network to
//! come back wants to know at once. The next try comes within 0.3 s, later ones within [`QUICK`] or a 150th of the
//! fault's age, whichever is longer, up to [`LONGEST`]: events are at most a second late after the first two minutes of a
//! fault, and after an hour a device on a battery asks ten times a minute, where nothing tells it sooner
//! (see [`crate::network`]).
//!
//! # The server cannot
//!
//! HTTP 5xx and 429 come from a server, or a proxy before it, that has too much to do already: exponential back-off, the
//! n-th wait drawn from 0 to `min(7 s, 300 ms · 2^(n-1))`. When it says how long to stay away (`Retry-After`), it is
//! obeyed, up to [`OBEYED`].
//!
//! # Herds
//!
//! Every wait is drawn evenly from zero (full jitter): the thousands of clients of a server that comes back spread over the
//! interval, where "half fixed, half random" would have them return in waves.

use super::io::Cause;
use rand::{RngExt, rngs::StdRng};
use std::time::{Duration, Instant};

/// The upper end of the first wait.
pub const FIRST: Duration = Duration::from_millis(300);

/// The upper end of further waits while nobody answers, at first.
pub const QUICK: Duration = Duration::from_millis(800);

/// The upper end of the longest wait.
pub const LONGEST: Duration = Duration::from_secs(7);

/// How long a server is left alone at the most because it asks for it: a session would not survive longer.
pub const OBEYED: Duration = Duration::from_secs(60);

/// While nobody answers, an outage is found to be over this share of its length late, at the most.
const SHARE: u32 = 150;

/// Waits between the tries of one request.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
    /// Those in which the server answered.
    refusals: u32,
    since: Option<Instant>,
}

impl Backoff {
    /// How many times in a row it failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and draws the wait before the next try.
    pub fn fail(&mut self, cause: Cause, now: Instant, rng: &mut StdRng) -> Duration {
        let begun = *self.since.get_or_insert(now);
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        match cause {
            Cause::Unreachable | Cause::Broken if first => jitter(rng, Duration::ZERO, FIRST),
            Cause::Unreachable | Cause::Broken => {
                let share = now.saturating_duration_since(begun) / SHARE;
                jitter(rng, Duration::ZERO, share.clamp(QUICK, LONGEST))
            }
            Cause::Refused { retry_after } => {
                let wait = self.exponential(rng);
                // Those who were told the same time would all come at its end.
                let told = retry_after
                    .map(|told| told.min(OBEYED))
                    .map(|told| told + jitter(rng, Duration::ZERO, FIRST.max(told / 4)));
                told.map_or(wait, |told| told.max(wait))
            }
            Cause::Elsewhere => self.exponential(rng),
        }
    }

    /// It worked: the next failure is the first again. Whether there had been any.
    pub fn succeed(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }

    fn exponential(&mut self, rng: &mut StdRng) -> Duration {
        let upper = FIRST.saturating_mul(1_u32.checked_shl(self.refusals).unwrap_or(u32::MAX)).min(LONGEST);
        self.refusals = self.refusals.saturating_add(1);
        jitter(rng, Duration::ZERO, upper)
    }
}

/// A time drawn evenly between two, to the microsecond.
pub(super) fn jitter(rng: &mut StdRng, from: Duration, to: Duration) -> Duration {
    // Both are minutes at most, far inside u64.
    Duration::from_micros(rng.random_range(from.as_micros() as u64..=to.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const BUSY: Cause = Cause::Refused { retry_after: None };

    fn told(seconds: u64) -> Cause {
        Cause::Refused { retry_after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn waits_for_a_server_that_cannot_stay_below_a_bound_that_doubles_up_to_seven_seconds() {
        let bounds = [300, 600, 1200, 2400, 4800, 7000, 7000];
        for seed in 0..200 {
            let (mut rng, now) = (StdRng::seed_from_u64(seed), Instant::now());
            let mut backoff = Backoff::default();
            for bound in bounds {
                assert!(backoff.fail(BUSY, now, &mut rng) <= Duration::from_millis(bound));
            }
        }
    }

    #[test]
    fn while_nobody_answers_waits_stay_below_a_second_for_two_minutes_and_grow_then() {
        let (mut rng, begun) = (StdRng::seed_from_u64(1), Instant::now());
        let mut backoff = Backoff::default();
        let (mut now, mut tries) = (begun, 0);
        while now < begun + Duration::from_secs(120) {
            let wait = backoff.fail(Cause::Unreachable, now, &mut rng);
            assert!(wait <= QUICK);
            now += wait + Duration::from_millis(1);
            tries += 1;
        }
        assert!((200..500).contains(&tries), "{tries} tries in two minutes");
        now = begun + Duration::from_secs(3600);
        let waits: Vec<_> = (0..1000).map(|_| backoff.fail(Cause::Broken, now, &mut rng)).collect();
        assert!(waits.iter().all(|w| *w <= LONGEST));
        assert!(waits.iter().any(|w| *w > LONGEST / 2));
    }

    #[test]
    fn a_thousand_clients_that_were_cut_off_together_come_back_evenly() {
        let now = Instant::now();
        let mut in_each_tenth = [0; 10];
        for seed in 0..1000 {
            let mut backoff = Backoff::default();
            let mut rng = StdRng::seed_from_u64(seed);
            backoff.fail(Cause::Broken, now, &mut rng);
            let wait = backoff.fail(Cause::Unreachable, now, &mut rng);
            in_each_tenth[(wait.as_micros() * 10 / (QUICK.as_micros() + 1)) as usize] += 1;
        }
        assert!(in_each_tenth.iter().all(|n| (60..150).contains(n)), "{in_each_tenth:?}");
    }

    #[test]
    fn a_server_that_says_when_to_come_back_is_obeyed_within_reason() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), Instant::now());
        let mut waits = |seconds| -> Vec<_> {
            (0..100).map(|_| Backoff::default().fail(told(seconds), now, &mut rng).as_secs_f64()).collect()
        };
        assert!(waits(8).iter().all(|w| (8.0..=10.0).contains(w)));
        assert!(waits(86_400).iter().all(|w| (60.0..=75.0).contains(w)));
        let some = waits(8);
        assert!(some.iter().any(|w| (w - some[0]).abs() > 0.5), "not all at once");
    }

    #[test]
    fn connections_that_failed_before_do_not_lengthen_the_waits_for_a_server() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), Instant::now());
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for _ in 0..20 {
                backoff.fail(Cause::Unreachable, now, &mut rng);
            }
            assert!(backoff.fail(BUSY, now, &mut rng) <= FIRST);
        }
    }

    #[test]
    fn the_jitter_is_full() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), Instant::now());
        for cause in [BUSY, Cause::Broken, Cause::Elsewhere] {
            let waits: Vec<_> = (0..1000).map(|_| Backoff::default().fail(cause, now, &mut rng)).collect();
            assert!(waits.iter().any(|w| *w < FIRST / 10), "some are near zero");
            assert!(waits.iter().any(|w| *w > FIRST * 9 / 10), "some are near the bound");
        }
    }

    #[test]
    fn a_success_starts_over() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), Instant::now());
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.fail(BUSY, now, &mut rng);
        }
        assert!(backoff.succeed());
        assert!(!backoff.succeed());
        assert!(backoff.fail(BUSY, now, &mut rng) <= FIRST);
    }

    #[test]
    fn a_day_of_failures_does_not_overflow() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), Instant::now());
        let mut backoff = Backoff { failures: u32::MAX - 1, refusals: u32::MAX - 1, since: None };
        for _ in 0..3 {
            assert!(backoff.fail(BUSY, now, &mut rng) <= LONGEST);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let now = Instant::now();
        let waits = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::default();
            (0..8).map(|_| backoff.fail(Cause::Broken, now, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
