//! When to play faster or slower, and by how much.

use super::{Codec, output::Output};
use crate::{SAMPLE_RATE, audio::stretch};

const MS: f64 = SAMPLE_RATE as f64 / 1000.0;

/// Keeps the wait of packets near the target, by leaving out or repeating single periods of the sound where that is not
/// heard: silence at any time, a voice where it is steady.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    /// How long packets wait, in milliseconds, averaged over a few.
    waited: Option<f64>,
    /// Samples since the last change.
    since: usize,
    /// The level of the speech, an amplitude that decays slowly.
    level: f32,
}

impl Tempo {
    /// Nothing is changed while the wait is off by no more than this, in milliseconds.
    const TOO_LONG: f64 = 12.0;
    const TOO_SHORT: f64 = -1.0;

    /// A packet is decoded that waited so long, in milliseconds. `jumped`: the wait has just changed for a reason.
    pub fn measure(&mut self, waited: f64, jumped: bool) {
        self.waited = match self.waited {
            Some(average) if !jumped => Some(average + (waited - average) * 0.25),
            _ => Some(waited),
        };
    }

    /// Changes the last `samples` of the output if that brings the wait nearer to `target` milliseconds.
    pub fn adjust(&mut self, output: &mut Output, samples: usize, target: f64, codec: &mut Codec) {
        self.since = self.since.saturating_add(samples);
        let quiet = self.quiet(output.tail(samples));
        let Some(waited) = self.waited else { return };
        let off = waited - target;
        if (Self::TOO_SHORT..=Self::TOO_LONG).contains(&off) {
            return;
        }
        // How like two periods must be, and the time between changes, by how urgent it is.
        let (likeness, pause) = match off {
            off if off > 200.0 => (0.3, 0),
            off if off > 80.0 => (0.6, 0),
            off if off > 40.0 => (0.8, 0),
            off if off > Self::TOO_LONG => (0.9, 2_400),
            off if off < -20.0 => (0.6, 0),
            _ => (0.85, 1_900),
        };
        if quiet {
            let wish = (off.abs().min(10.0) * MS) as usize;
            self.change(output, samples, wish.clamp(stretch::MIN_PERIOD, stretch::MAX_PERIOD), off, codec);
            return;
        }
        if self.since < pause {
            return;
        }
        let Some(period) = output.period(samples) else { return };
        // Rather stay a little late than become early.
        if period.likeness >= likeness && (off < 0.0 || period.samples as f64 / MS < off + 4.0) {
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
            self.count(change, codec);
        }
    }

    fn count(&mut self, change: f64, codec: &mut Codec) {
        self.waited = self.waited.map(|waited| waited + change / MS);
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
