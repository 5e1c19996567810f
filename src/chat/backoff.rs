//! How long to wait after a fault: exponential back-off with full jitter.
//!
//! The n-th wait in a row is drawn evenly from 0 to `min(7 s, 300 ms · 2^(n-1))`. Drawing from zero spreads the clients of
//! a server that comes back evenly over the interval, where "half fixed, half random" would have them return in waves.

use rand::{RngExt, rngs::StdRng};
use std::time::Duration;

/// The upper end of the first wait.
pub const FIRST: Duration = Duration::from_millis(300);

/// The upper end of the longest wait.
pub const LONGEST: Duration = Duration::from_secs(7);

/// Waits between the tries of one request.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How many times in a row it failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and draws the wait before the next try.
    pub fn fail(&mut self, rng: &mut StdRng) -> Duration {
        let upper = Self::upper(self.failures);
        self.failures = self.failures.saturating_add(1);
        jitter(rng, Duration::ZERO, upper)
    }

    /// It worked: the next failure is the first again. Whether there had been any.
    pub fn succeed(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    fn upper(failures_before: u32) -> Duration {
        FIRST.saturating_mul(1_u32.checked_shl(failures_before).unwrap_or(u32::MAX)).min(LONGEST)
    }
}

/// A time drawn evenly between two, to the microsecond.
pub(super) fn jitter(rng: &mut StdRng, from: Duration, to: Duration) -> Duration {
    // Both are seconds at most, far inside u64.
    Duration::from_micros(rng.random_range(from.as_micros() as u64..=to.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_stay_below_a_bound_that_doubles_up_to_seven_seconds() {
        let bounds = [300, 600, 1200, 2400, 4800, 7000, 7000];
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::default();
            for bound in bounds {
                assert!(backoff.fail(&mut rng) <= Duration::from_millis(bound));
            }
        }
    }

    #[test]
    fn the_jitter_is_full() {
        let mut rng = StdRng::seed_from_u64(1);
        let waits: Vec<_> = (0..1000).map(|_| Backoff::default().fail(&mut rng)).collect();
        assert!(waits.iter().any(|w| *w < FIRST / 10), "some are near zero");
        assert!(waits.iter().any(|w| *w > FIRST * 9 / 10), "some are near the bound");
    }

    #[test]
    fn a_success_starts_over() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.fail(&mut rng);
        }
        assert!(backoff.succeed());
        assert!(!backoff.succeed());
        assert!(backoff.fail(&mut rng) <= FIRST);
    }

    #[test]
    fn a_day_of_failures_does_not_overflow() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff { failures: u32::MAX - 1 };
        for _ in 0..3 {
            assert!(backoff.fail(&mut rng) <= LONGEST);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::default();
            (0..8).map(|_| backoff.fail(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
