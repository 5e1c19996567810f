//! Telling a sleep of the machine from time that passed.
//!
//! Two clocks are compared: one that goes on while the machine sleeps and one that does not. Neither is the time of day,
//! which people and time servers set: that it jumps says nothing about a sleep.

use std::time::Duration;

/// A sleep of less is not told: connections survive it.
pub const SHORTEST: Duration = Duration::from_secs(2);

/// Remembers how far the two clocks were apart.
#[derive(Debug, Default)]
pub struct SleepWatch {
    apart: Option<Duration>,
}

impl SleepWatch {
    /// Takes both clocks, read at one moment, each since a beginning of its own: `awake` stops in a sleep, `always` does
    /// not. Gives how long the machine slept since the last time, if it did.
    pub fn observe(&mut self, awake: Duration, always: Duration) -> Option<Duration> {
        let apart = always.saturating_sub(awake);
        let before = self.apart.replace(apart)?;
        apart.checked_sub(before).filter(|slept| *slept > SHORTEST)
    }
}

/// A clock that goes on while the machine sleeps, where this system has one that is known to.
pub fn always() -> Option<Duration> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return read(rustix::time::ClockId::Boottime);
    // There this one goes on, and std's stops.
    #[cfg(target_vendor = "apple")]
    return read(rustix::time::ClockId::Monotonic);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    None
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn read(clock: rustix::time::ClockId) -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(clock)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_machine_that_slept_is_told_how_long_and_once() {
        let mut watch = SleepWatch::default();
        assert_eq!(watch.observe(s(0), s(1000)), None, "what was before the beginning");
        assert_eq!(watch.observe(s(1), s(1001)), None);
        assert_eq!(watch.observe(s(2), s(1302)), Some(s(300)));
        assert_eq!(watch.observe(s(3), s(1303)), None);
    }

    #[test]
    fn a_program_that_was_not_run_for_long_did_not_sleep() {
        let mut watch = SleepWatch::default();
        watch.observe(s(0), s(0));
        assert_eq!(watch.observe(s(3600), s(3600)), None);
    }

    #[test]
    fn a_nap_is_not_told() {
        let mut watch = SleepWatch::default();
        watch.observe(s(0), s(0));
        assert_eq!(watch.observe(s(1), s(3)), None);
        assert_eq!(watch.observe(s(2), s(4)), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_clock_goes_on() {
        let before = always().unwrap();
        assert!(always().unwrap() >= before);
    }
}
