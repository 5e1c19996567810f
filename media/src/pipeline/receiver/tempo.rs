//! When to play faster or slower, and by how much.

use super::{Codec, output::Output};
use crate::{SAMPLE_RATE, TICK_SAMPLES, audio::stretch};

const MS: f64 = SAMPLE_RATE as f64 / 1000.0;

const ONE_TICK: f64 = 10.0;

/// Keeps the wait of packets near the target, by leaving out or repeating single periods of the sound where that is not
/// heard: silence at any time, a voice where it is steady.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    /// How long packets wait until they are played, in milliseconds, averaged over a few.
    delay: Option<f64>,
    /// Samples that were ahead of the packet decoded last.
    ahead: usize,
    /// Samples since the last change.
    since: usize,
    /// How much that was, in samples.
    last: usize,
    /// The level of the speech, an amplitude that decays slowly.
    level: f32,
}

impl Tempo {
    /// Nothing is changed while the wait is off by no more than this, in milliseconds.
    const TOO_LONG: f64 = 12.0;
    const TOO_SHORT: f64 = -1.0;

    /// Of a long target, this share more does not matter.
    const SLACK: f64 = 0.04;

    /// A packet is decoded that waited so many milliseconds, with so many samples still ahead of it. `jumped`: the wait
    /// has just changed for a reason.
    pub fn measure(&mut self, waited: f64, ahead: usize, jumped: bool) {
        self.ahead = ahead;
        let delay = waited + ahead as f64 / MS;
        self.delay = match self.delay {
            Some(average) if !jumped => Some(average + (delay - average) * 0.25),
            _ => Some(delay),
        };
    }

    /// Changes the last `samples` of the output if that brings the wait nearer to `target` milliseconds.
    pub fn adjust(&mut self, output: &mut Output, samples: usize, target: f64, codec: &mut Codec) {
        self.since = self.since.saturating_add(samples);
        let quiet = self.quiet(output.tail(samples));
        let Some(delay) = self.delay else { return };
        // Packets are decoded when less than a tick is ahead: what is ahead then is delay that helps no packet, and the
        // wait changes by whole ticks only.
        let off = delay - self.ahead as f64 / MS - target;
        // Up to a frame, the target is there for the copies in the next packet, and is kept to the millisecond.
        let slack = (target - 20.0).max(0.0) * Self::SLACK;
        let enough = (Self::TOO_SHORT - slack..=Self::TOO_LONG + slack).contains(&off);
        if quiet {
            let spare = match off {
                off if off < Self::TOO_SHORT - slack => TICK_SAMPLES - self.ahead.min(TICK_SAMPLES),
                off if off > ONE_TICK + 1.0 + slack => self.ahead + TICK_SAMPLES,
                _ => self.ahead,
            };
            if spare >= stretch::MIN_PERIOD || !enough {
                let off = if off < Self::TOO_SHORT - slack { off } else { off.max(1.0) };
                let change = spare.clamp(stretch::MIN_PERIOD, stretch::MAX_PERIOD);
                self.change(output, samples, change, off, codec);
            }
            return;
        }
        if enough {
            return;
        }
        // In a hurry, half as fast again as it was spoken: that can be followed.
        let hurry = 2 * self.last;
        // How like two periods must be, and the time between changes, by how urgent it is.
        let (likeness, pause) = match off {
            off if off > 200.0 => (0.3, hurry),
            off if off > 80.0 => (0.6, hurry),
            off if off > 40.0 => (0.8, hurry),
            off if off > Self::TOO_LONG => (0.9, 2_400),
            off if off < -20.0 => (0.6, 0),
            _ => (0.85, 1_900),
        };
        if self.since < pause {
            return;
        }
        let Some(period) = output.period(samples) else { return };
        // What is left out is first what was spare, then whole ticks of the wait: rather too long than too short.
        let ticks = period.samples.saturating_sub(self.ahead).div_ceil(TICK_SAMPLES);
        if period.likeness >= likeness && (off < 0.0 || off - ticks as f64 * ONE_TICK >= 0.0) {
            self.change(output, samples, period.samples, off, codec);
        }
    }

    /// Takes about half out of the last `samples`.
    pub fn halve(&mut self, output: &mut Output, samples: usize, codec: &mut Codec) {
        let mut left = samples;
        while left > samples / 2 + stretch::MIN_PERIOD {
            let Some(period) = output.period(left) else { break };
            let removed = output.shorten(left, period.samples);
            if removed == 0 {
                break;
            }
            left -= removed;
            self.count(-(removed as f64), codec);
        }
    }

    fn change(&mut self, output: &mut Output, samples: usize, period: usize, off: f64, codec: &mut Codec) {
        let change =
            if off > 0.0 { -(output.shorten(samples, period) as f64) } else { output.lengthen(samples, period) as f64 };
        if change != 0.0 {
            self.since = 0;
            self.last = change.abs() as usize;
            self.count(change, codec);
        }
    }

    fn count(&mut self, change: f64, codec: &mut Codec) {
        self.delay = self.delay.map(|delay| delay + change / MS);
        let samples = change.abs() as u64;
        if change > 0.0 {
            codec.stats.inserted_samples_for_deceleration += samples;
        } else {
            codec.stats.removed_samples_for_acceleration += samples;
        }
    }

    /// Whether this is a pause in the speech.
    fn quiet(&mut self, sound: &[f32]) -> bool {
        let rms = (sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len().max(1) as f32).sqrt();
        self.level = if rms > self.level { rms } else { self.level + (rms - self.level) * 0.002 };
        rms < 0.0005 || rms < self.level * 0.03
    }
}
