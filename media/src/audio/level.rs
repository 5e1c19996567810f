//! How loud it is.

/// The level reported for digital silence, in dBFS; nothing quieter is told apart.
pub const FLOOR: f32 = -127.0;

/// Loudness of a stretch of sound, in dBFS ([`FLOOR`]..=0 for sound within full scale).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Root mean square; 0 dBFS is the RMS of a full-scale sine (AES17), so a sine has the same `rms` and `peak`.
    pub rms: f32,
    /// The largest sample.
    pub peak: f32,
}

impl Level {
    /// Digital silence.
    pub const SILENCE: Self = Self { rms: FLOOR, peak: FLOOR };

    /// The level of all of `samples`.
    pub fn of(samples: &[f32]) -> Self {
        let mut meter = Meter::default();
        meter.add(samples);
        meter.take()
    }
}

/// Amplitude (1.0 is full scale) to dBFS.
pub fn to_dbfs(amplitude: f32) -> f32 {
    if amplitude > 0.0 { (20.0 * amplitude.log10()).max(FLOOR) } else { FLOOR }
}

/// Gathers sound between two looks at it.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    energy: f64,
    samples: u64,
    peak: f32,
}

impl Meter {
    /// Counts `samples` in.
    pub fn add(&mut self, samples: &[f32]) {
        for &sample in samples {
            self.energy += f64::from(sample * sample);
            self.peak = self.peak.max(sample.abs());
        }
        self.samples += samples.len() as u64;
    }

    /// The level since the last `take`; [`Level::SILENCE`] if there was nothing.
    pub fn take(&mut self) -> Level {
        let Self { energy, samples, peak } = std::mem::take(self);
        if samples == 0 {
            return Level::SILENCE;
        }
        let rms = (2.0 * energy / samples as f64).sqrt() as f32;
        Level { rms: to_dbfs(rms), peak: to_dbfs(peak) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{source::Source, tone::Tone};

    #[test]
    fn a_sine_reads_its_level_in_rms_and_peak() {
        let mut samples = [0.0; 48_000];
        Tone::with_level(997.0, -20.0).read(&mut samples);
        let Level { rms, peak } = Level::of(&samples);
        assert!((rms + 20.0).abs() < 0.01 && (peak + 20.0).abs() < 0.01, "{rms} {peak}");
    }

    #[test]
    fn silence_and_nothing_read_the_floor() {
        assert_eq!(Level::of(&[0.0; 480]), Level::SILENCE);
        assert_eq!(Meter::default().take(), Level::SILENCE);
    }

    #[test]
    fn taking_starts_afresh() {
        let mut meter = Meter::default();
        meter.add(&[1.0]);
        assert!(meter.take().peak > -0.1);
        meter.add(&[0.1]);
        assert!((meter.take().peak + 20.0).abs() < 0.01);
    }
}
