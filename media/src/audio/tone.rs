//! A sine, for tests and for finding one's way in a recording.

use super::source::{Source, SourceState};
use crate::SAMPLE_RATE;
use std::f64::consts::TAU;

/// An endless sine.
#[derive(Debug, Clone)]
pub struct Tone {
    hz: f32,
    amplitude: f32,
    /// Turns (0..1), in f64 so that an hour of tone does not drift off its frequency.
    phase: f64,
}

impl Tone {
    /// Level of [`Tone::new`] in dBFS, where 0 dBFS is the level of a full-scale sine (AES17).
    pub const DEFAULT_LEVEL: f32 = -16.0;

    /// A sine of `hz` at [`Tone::DEFAULT_LEVEL`].
    pub fn new(hz: f32) -> Self {
        Self::with_level(hz, Self::DEFAULT_LEVEL)
    }

    /// A sine of `hz` at `dbfs` (0 is a full-scale sine; more is clipped to 0).
    pub fn with_level(hz: f32, dbfs: f32) -> Self {
        Self { hz, amplitude: 10f32.powf(dbfs.min(0.0) / 20.0), phase: 0.0 }
    }
}

impl Source for Tone {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        let step = f64::from(self.hz) / f64::from(SAMPLE_RATE);
        for sample in out {
            *sample = (self.phase * TAU).sin() as f32 * self.amplitude;
            self.phase = (self.phase + step).fract();
        }
        SourceState::Playing
    }

    fn describe(&self) -> String {
        format!("tone {} Hz", self.hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::compare::tone_level;

    #[test]
    fn a_tone_has_its_frequency_and_level_and_no_seam_between_reads() {
        let mut tone = Tone::with_level(1000.0, -20.0);
        let mut all = Vec::new();
        for length in [480, 1, 479, 960, 48_000] {
            let mut part = vec![9.0; length];
            assert_eq!(tone.read(&mut part), SourceState::Playing);
            all.extend(part);
        }
        assert!((tone_level(&all[..48_000], 1000.0) + 20.0).abs() < 0.05);
        assert!(tone_level(&all[..48_000], 1100.0) < -80.0);
    }
}
