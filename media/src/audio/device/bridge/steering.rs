//! Steers the ratio of a resampler by how full the ring beside it is.

use super::Shared;
use crate::{SAMPLE_RATE, TICK_SAMPLES};
use std::sync::atomic::Ordering::Relaxed;

/// What the target holds beyond what bursts and ticks need, in seconds: at least, and at most. Wake-ups that come late
/// eat it.
const MARGIN: std::ops::RangeInclusive<f64> = 0.005..=0.100;

/// How much the margin grows each time that sound runs out.
const MARGIN_STEP: f64 = 0.008;

/// In how many seconds the margin shrinks to a third.
const MARGIN_MEMORY: f64 = 120.0;

/// No burst, however large, makes the target larger than this.
const MAX_TARGET: f64 = 0.200;

/// How fast the loop that steers the ratio is: its natural frequency, in rad/s, while the clock of the device is being
/// learnt and when it is known.
const SPEED: (f64, f64) = (1.0, 0.12);

/// In how many seconds it goes from the one to the other.
const LEARNING: f64 = 12.0;

/// The most the ratio gives way to mend the fill, beside the drift of the clocks.
const MAX_MENDING: f64 = 0.0005;

/// How fast the fill is led to where it is to be, in seconds a second: no ear hears it.
const LEAD: f64 = 0.002;

/// How long a device is only watched, in seconds: when it begins, and after sound ran out.
pub(super) const SETTLING: (f64, f64) = (1.0, 0.3);

/// A fill that is off by more than this is set right at once, in seconds; by so much it may be off after settling.
const OFF: (f64, f64) = (0.015, 0.0005);

/// A fill that is off by more than this is so for another reason than the device's clock, in seconds.
const LATE: f64 = 0.0005;

/// Length of one step, in seconds.
pub(super) const STEP: f64 = TICK_SAMPLES as f64 / SAMPLE_RATE as f64;

/// The most the ratio gives way.
pub(super) const MAX_DEVIATION: f64 = 0.005;

/// What a [`Controller`] says.
pub(super) struct Steering {
    /// How much faster than its nominal rate the device is to be read (or the slower it is to be fed).
    pub(super) deviation: f64,
    /// The part of it that mends the fill; the rest is the device's clock.
    pub(super) mending: f64,
    /// Seconds of sound to be left out at once; if negative, of silence to be put in.
    pub(super) excess: f64,
}

/// Steers a ratio by a fill: a proportional-integral loop.
pub(super) struct Controller {
    /// Device frames per second.
    pub(super) rate: f64,
    /// The device gives bursts, and a step is taken out at once; else it takes bursts.
    gives: bool,
    /// Seconds since the device began.
    age: f64,
    /// Mean fill in seconds, and what it should be by now: the target, or on the way to it.
    pub(super) mean: Option<f64>,
    setpoint: f64,
    /// The setpoint, averaged as the fill is.
    mean_setpoint: f64,
    /// How much faster the device's clock is, as far as is known.
    drift: f64,
    /// Seconds until the fill is set right; then it is steered.
    settling: Option<f64>,
    margin: f64,
    /// The largest burst of late, in seconds.
    burst: f64,
}

impl Controller {
    pub(super) fn new(rate: u32, gives: bool) -> Self {
        Self {
            rate: rate.into(),
            gives,
            age: 0.0,
            mean: None,
            setpoint: 0.0,
            mean_setpoint: 0.0,
            drift: 0.0,
            settling: Some(SETTLING.0),
            margin: *MARGIN.start(),
            burst: 0.0,
        }
    }

    /// The fill to aim at. Of the ring it is what lies in it between two bursts of the device, a burst and a step at most,
    /// for a device that gives, and what is left after a burst for one that takes: as if it worked sample by sample.
    pub(super) fn target(&self) -> f64 {
        let needed = if self.gives { 1.1 * self.burst + STEP } else { 0.1 * self.burst };
        (needed + self.margin).min(MAX_TARGET)
    }

    /// How much there is, given that `frames` wait in the ring, in seconds. A device works in bursts, and would go on
    /// between them if it could: without that, the fill jumps by a burst whenever bursts and steps overtake each other.
    pub(super) fn fill(&self, frames: usize, shared: &Shared) -> f64 {
        let since = shared.now_us().saturating_sub(shared.called_us.load(Relaxed)) as f64 / 1e6;
        let since = since.min(1.5 * self.burst);
        frames as f64 / self.rate + if self.gives { since } else { -since }
    }

    /// What is known of the fill is of no use any more.
    pub(super) fn settle(&mut self, seconds: f64) {
        (self.mean, self.settling) = (None, Some(seconds));
    }

    /// Sound ran out.
    pub(super) fn ran_out(&mut self) {
        self.margin = (self.margin + MARGIN_STEP).min(*MARGIN.end());
        self.mean = None;
        self.settling.get_or_insert(SETTLING.1);
    }

    /// To be called once a step: what the target needs to know.
    pub(super) fn observe(&mut self, shared: &Shared) {
        let burst = shared.burst.load(Relaxed) as f64 / self.rate;
        // The first bursts of a device may be huge.
        let memory = if self.settling.is_some() { 0.3 } else { 60.0 };
        self.burst = burst.max(self.burst - (self.burst - burst) * STEP / memory);
        self.margin = (self.margin * (1.0 - STEP / MARGIN_MEMORY)).max(*MARGIN.start());
    }

    /// What to do, given that `frames` wait in the ring.
    pub(super) fn steer(&mut self, frames: usize, shared: &Shared) -> Steering {
        let fill = self.fill(frames, shared);
        self.age += STEP;
        let learning = (1.0 - self.age / LEARNING).max(0.0);
        let speed = SPEED.1 + (SPEED.0 - SPEED.1) * learning;
        let before = self.mean.unwrap_or(fill);
        // Averaged ten times as fast as it is steered by, and faster while nothing is steered.
        let share = if self.settling.is_some() { 0.1 } else { 10.0 * speed * STEP };
        let mean = before + (fill - before) * share;
        self.mean = Some(mean);
        let counted = if self.gives { mean - 0.5 * self.burst } else { mean + 0.5 * self.burst };
        shared.fill_us.store((counted.max(0.0) * 1e6) as u32, Relaxed);
        let target = self.target();
        match &mut self.settling {
            Some(left) if *left > 0.0 => {
                *left -= STEP;
                return Steering { deviation: self.drift, mending: 0.0, excess: 0.0 };
            }
            Some(_) => {
                self.settling = None;
                // A microphone's sound is left out by whole steps.
                let whole = if self.gives { ((mean - target) / STEP).trunc() * STEP } else { mean - target };
                let excess = if whole.abs() > OFF.1 { whole } else { 0.0 };
                self.setpoint = mean - excess;
                (self.mean, self.mean_setpoint) = (Some(self.setpoint), self.setpoint);
                return Steering { deviation: self.drift, mending: 0.0, excess };
            }
            None => {}
        }
        let lead = (target - self.setpoint).clamp(-LEAD * STEP, LEAD * STEP);
        self.setpoint += lead;
        self.mean_setpoint += (self.setpoint - self.mean_setpoint) * share;
        let error = mean - self.mean_setpoint;
        if error.abs() > OFF.0 {
            self.settle(SETTLING.1);
        }
        // A device that is late says nothing about its clock.
        let believed = error.clamp(-LATE, LATE);
        self.drift = (self.drift + speed * speed * believed * STEP).clamp(-MAX_DEVIATION, MAX_DEVIATION);
        let mending = (1.4 * speed * error).clamp(-MAX_MENDING, MAX_MENDING) - lead / STEP;
        Steering { deviation: (mending + self.drift).clamp(-MAX_DEVIATION, MAX_DEVIATION), mending, excess: 0.0 }
    }

    pub(super) fn frames(&self, seconds: f64) -> usize {
        (seconds * self.rate) as usize
    }
}
