//! The tones of a telephone (ITU-T E.180): what tells a caller how the call stands, and what tells of a call.

use super::{
    source::{Source, SourceState},
    watch::gain_factor,
};
use crate::SAMPLE_RATE;
use std::f32::consts::TAU;

/// Which tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallTone {
    /// The far end is being asked: 425 Hz, 1 s on, 4 s off.
    Ringback,
    /// Somebody calls: two low notes together, twice, every 3 s.
    Ring,
    /// The far end is busy or does not want to talk: 425 Hz, 0.5 s on, 0.5 s off.
    Busy,
    /// The call could not be made (congestion, "reorder"): 425 Hz, 0.25 s on, 0.25 s off.
    Reorder,
    /// Something happened to the call: 425 Hz, two beeps of 0.1 s every second.
    Notice,
}

/// What a tone is made of.
struct Shape {
    hz: &'static [f32],
    /// Milliseconds on, off, on, off ...
    cadence: &'static [u32],
    /// Level of all its notes together, in dBFS RMS of a sine.
    dbfs: f32,
}

impl CallTone {
    const fn shape(self) -> Shape {
        match self {
            Self::Ringback => Shape { hz: &[425.0], cadence: &[1000, 4000], dbfs: -24.0 },
            Self::Ring => Shape { hz: &[400.0, 450.0], cadence: &[400, 200, 400, 2000], dbfs: -14.0 },
            Self::Busy => Shape { hz: &[425.0], cadence: &[500, 500], dbfs: -24.0 },
            Self::Reorder => Shape { hz: &[425.0], cadence: &[250, 250], dbfs: -24.0 },
            Self::Notice => Shape { hz: &[425.0], cadence: &[100, 100, 100, 700], dbfs: -24.0 },
        }
    }

    /// The tone as an endless source, from the beginning of its cadence.
    pub fn source(self) -> CallToneSource {
        CallToneSource { tone: self, position: 0 }
    }
}

/// Plays a [`CallTone`] for ever.
#[derive(Debug, Clone)]
pub struct CallToneSource {
    tone: CallTone,
    /// Samples since the cadence began.
    position: u32,
}

impl CallToneSource {
    /// Samples in which a tone comes and goes, so that it does not click.
    const RAMP: u32 = SAMPLE_RATE / 200;

    /// How loud the tone is at `position`, 0..=1.
    fn envelope(shape: &Shape, mut position: u32) -> f32 {
        for (n, &milliseconds) in shape.cadence.iter().enumerate() {
            let length = milliseconds * (SAMPLE_RATE / 1000);
            if position < length {
                let edge = position.min(length - position).min(Self::RAMP);
                return if n % 2 == 0 { edge as f32 / Self::RAMP as f32 } else { 0.0 };
            }
            position -= length;
        }
        0.0
    }
}

impl Source for CallToneSource {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        let shape = self.tone.shape();
        let period = shape.cadence.iter().sum::<u32>() * (SAMPLE_RATE / 1000);
        let amplitude = gain_factor(shape.dbfs) / (shape.hz.len() as f32).sqrt();
        for sample in out {
            let seconds = self.position as f32 / SAMPLE_RATE as f32;
            let notes: f32 = shape.hz.iter().map(|hz| (TAU * (hz * seconds).fract()).sin()).sum();
            *sample = notes * amplitude * Self::envelope(&shape, self.position);
            self.position = (self.position + 1) % period;
        }
        SourceState::Playing
    }

    fn describe(&self) -> String {
        format!("{:?} tone", self.tone).to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{compare::tone_level, level::Level};

    fn play(tone: CallTone, seconds: usize) -> Vec<f32> {
        let mut sound = vec![0.0; seconds * 48_000];
        let mut source = tone.source();
        sound.chunks_mut(480).for_each(|part| _ = source.read(part));
        sound
    }

    /// Seconds of sound and of silence, by turns.
    fn cadence(sound: &[f32]) -> Vec<f32> {
        let mut turns: Vec<(bool, usize)> = Vec::new();
        for block in sound.chunks(480) {
            let on = Level::of(block).rms > -60.0;
            match turns.last_mut() {
                Some((last, blocks)) if *last == on => *blocks += 1,
                _ => turns.push((on, 1)),
            }
        }
        turns.iter().map(|(_, blocks)| *blocks as f32 / 100.0).collect()
    }

    #[test]
    fn every_tone_has_its_cadence_and_goes_on() {
        let near = |got: Vec<f32>, wanted: &[f32]| {
            assert_eq!(got.len(), wanted.len(), "{got:?}");
            assert!(got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 0.021), "{got:?} {wanted:?}");
        };
        near(cadence(&play(CallTone::Ringback, 10)), &[1.0, 4.0, 1.0, 4.0]);
        near(cadence(&play(CallTone::Ring, 6)), &[0.4, 0.2, 0.4, 2.0, 0.4, 0.2, 0.4, 2.0]);
        near(cadence(&play(CallTone::Busy, 2)), &[0.5, 0.5, 0.5, 0.5]);
        near(cadence(&play(CallTone::Reorder, 1)), &[0.25, 0.25, 0.25, 0.25]);
        near(cadence(&play(CallTone::Notice, 1)), &[0.1, 0.1, 0.1, 0.7]);
    }

    #[test]
    fn tones_are_of_425_hz_at_a_level_that_does_not_hurt() {
        for tone in [CallTone::Ringback, CallTone::Busy, CallTone::Reorder] {
            let level = tone_level(&play(tone, 1)[480..11_000], 425.0);
            assert!((level + 24.0).abs() < 0.5, "{tone:?}: {level}");
        }
        let ring = Level::of(&play(CallTone::Ring, 1)[480..19_000]);
        assert!(ring.rms < -12.0 && ring.peak < -9.0, "{ring:?}");
    }

    #[test]
    fn no_tone_clicks() {
        for tone in [CallTone::Ringback, CallTone::Ring, CallTone::Busy, CallTone::Reorder] {
            let sound = play(tone, 6);
            let steepest = sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(steepest < 0.02, "{tone:?}: {steepest}");
        }
    }
}
