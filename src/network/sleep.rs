//! Telling a sleep of the machine, or a standstill of the program, from time that passed.
//!
//! Two clocks are compared: one that goes on while the machine sleeps and one that does not. Neither is the time of day,
//! which people and time servers set: that it jumps says nothing about a sleep.
//!
//! A program that is not run for long (stopped, a virtual machine that is paused) finds its connections in the same state
//! as after a sleep, and notices by the one clock alone: nobody asked it the time.

use std::time::Duration;

/// A sleep of less is not told: connections survive it.
pub const SHORTEST: Duration = Duration::from_secs(2);

/// Not asked for longer than this, the program stood still. A busy machine makes it wait too, but not for so long.
pub const STANDSTILL: Duration = Duration::from_secs(5);

/// Remembers what the two clocks said.
#[derive(Debug, Default)]
pub struct SleepWatch {
    /// The clock that stops.
    awake: Option<Duration>,
    /// How far they were apart.
    apart: Option<Duration>,
}

impl SleepWatch {
    /// Takes both clocks, read at one moment, each since a beginning of its own: `awake` stops in a sleep, `always` does
    /// not (`None`: there is no such clock). To be called about once a second. Gives how long the machine slept or the
    /// program stood still since the last time, if it did.
    pub fn observe(&mut self, awake: Duration, always: Option<Duration>) -> Option<Duration> {
        let gap = awake.saturating_sub(self.awake.replace(awake).unwrap_or(awake));
        let still = if gap > STANDSTILL { gap } else { Duration::ZERO };
        let apart = always.map(|always| always.saturating_sub(awake));
        let before = std::mem::replace(&mut self.apart, apart);
        let slept = apart.zip(before).map_or(Duration::ZERO, |(apart, before)| apart.saturating_sub(before));
        let slept = if slept > SHORTEST { slept } else { Duration::ZERO };
        Some(slept + still).filter(|all| !all.is_zero())
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
        assert_eq!(watch.observe(s(0), Some(s(1000))), None, "what was before the beginning");
        assert_eq!(watch.observe(s(1), Some(s(1001))), None);
        assert_eq!(watch.observe(s(2), Some(s(1302))), Some(s(300)));
        assert_eq!(watch.observe(s(3), Some(s(1303))), None);
    }

    #[test]
    fn a_program_that_was_stopped_for_long_is_told_how_long_and_once() {
        for always in [Some(s(7)), None] {
            let mut watch = SleepWatch::default();
            let at = |t| always.map(|a| a + t);
            assert_eq!(watch.observe(s(1), at(s(1))), None);
            assert_eq!(watch.observe(s(61), at(s(61))), Some(s(60)));
            assert_eq!(watch.observe(s(62), at(s(62))), None);
        }
    }

    #[test]
    fn a_busy_machine_is_no_standstill() {
        let mut watch = SleepWatch::default();
        for t in [0, 4, 9, 10, 15] {
            assert_eq!(watch.observe(s(t), Some(s(t))), None, "at {t} s");
        }
    }

    #[test]
    fn a_nap_is_not_told() {
        let mut watch = SleepWatch::default();
        watch.observe(s(0), Some(s(0)));
        assert_eq!(watch.observe(s(1), Some(s(3))), None);
        assert_eq!(watch.observe(s(2), Some(s(4))), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_clock_goes_on() {
        let before = always().unwrap();
        assert!(always().unwrap() >= before);
    }
}
