//! Notices what is wrong with a microphone by its sound: nothing in it, or too much.

use super::level::{Level, to_dbfs};
use crate::{SAMPLE_RATE, TICK};
use serde::Serialize;
use std::{fmt, time::Duration};

/// What is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MicrophoneNotice {
    /// Nothing was heard for [`MicrophoneWatch::SILENT_FOR`]: it is switched off, unplugged, or the wrong one.
    Silent,
    /// Something is heard again.
    Heard,
    /// It is overdriven: turn it down or move away. Told at most every [`MicrophoneWatch::CLIPPING_EVERY`].
    Clipping,
}

impl fmt::Display for MicrophoneNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "nothing comes from the microphone: is it switched off, or the wrong one?",
            Self::Heard => "the microphone is heard again",
            Self::Clipping => "the microphone is overdriven: turn it down or move away from it",
        })
    }
}

/// Watches a microphone's sound, as it comes from the device. Has no clock: sound is time.
#[derive(Debug, Default)]
pub struct MicrophoneWatch {
    quiet: Duration,
    silent: bool,
    /// Overdriven samples, fading: each second about half of them are forgotten.
    clipped: f32,
    since_clipping: Option<Duration>,
    clipped_samples: u64,
}

impl MicrophoneWatch {
    /// Below this level, in dBFS RMS, no room is: it is the hiss of a microphone that hears nothing.
    pub const SILENCE: f32 = -70.0;

    /// Silence for so long is noticed.
    pub const SILENT_FOR: Duration = Duration::from_secs(3);

    /// Clipping is told again after this.
    pub const CLIPPING_EVERY: Duration = Duration::from_secs(10);

    /// Samples at full scale within a second or so that are noticed: about a millisecond's.
    const CLIPPED: f32 = 48.0;

    /// Looks at some samples, of about 10 ms.
    pub fn add(&mut self, samples: &[f32]) -> Option<MicrophoneNotice> {
        let took = Duration::from_secs_f64(samples.len() as f64 / f64::from(SAMPLE_RATE));
        let clipped = samples.iter().filter(|sample| sample.abs() >= 0.999).count();
        self.clipped_samples += clipped as u64;
        self.clipped = self.clipped * (1.0 - 0.5 * took.as_secs_f32()).max(0.0) + clipped as f32;
        if let Some(since) = &mut self.since_clipping {
            *since += took;
        }
        if self.clipped >= Self::CLIPPED {
            self.clipped = 0.0;
            if self.since_clipping.is_none_or(|since| since >= Self::CLIPPING_EVERY) {
                self.since_clipping = Some(Duration::ZERO);
                return Some(MicrophoneNotice::Clipping);
            }
        }
        let quiet = Level::of(samples).rms < Self::SILENCE;
        self.quiet = if quiet { self.quiet + took } else { Duration::ZERO };
        if !self.silent && self.quiet + TICK / 2 > Self::SILENT_FOR {
            self.silent = true;
            return Some(MicrophoneNotice::Silent);
        }
        if self.silent && !quiet {
            self.silent = false;
            return Some(MicrophoneNotice::Heard);
        }
        None
    }

    /// Samples at full scale so far.
    pub fn clipped_samples(&self) -> u64 {
        self.clipped_samples
    }
}

/// Decibels to a factor for amplitudes. What is not a number is 0 dB.
pub fn gain_factor(db: f32) -> f32 {
    if db.is_nan() { 1.0 } else { 10f32.powf(db.clamp(to_dbfs(0.0), 40.0) / 20.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        TICK_SAMPLES,
        audio::{process::room::Noise, source::Source, tone::Tone},
    };

    fn listen(watch: &mut MicrophoneWatch, source: &mut dyn Source, seconds: f64) -> Vec<MicrophoneNotice> {
        let mut block = [0.0; TICK_SAMPLES];
        (0..(seconds * 100.0) as usize)
            .filter_map(|_| {
                source.read(&mut block);
                watch.add(&block)
            })
            .collect()
    }

    #[test]
    fn three_seconds_of_silence_are_noticed_once_and_its_end_too() {
        let mut watch = MicrophoneWatch::default();
        let mut nothing = crate::audio::source::Silence;
        assert_eq!(listen(&mut watch, &mut nothing, 2.9), []);
        assert_eq!(listen(&mut watch, &mut nothing, 10.0), [MicrophoneNotice::Silent]);
        assert_eq!(listen(&mut watch, &mut Tone::with_level(200.0, -50.0), 1.0), [MicrophoneNotice::Heard]);
    }

    #[test]
    fn hiss_below_seventy_is_silence_and_a_quiet_room_is_not() {
        struct Hiss(Noise, f32);
        impl Source for Hiss {
            fn read(&mut self, out: &mut [f32]) -> crate::audio::source::SourceState {
                out.iter_mut().for_each(|sample| *sample = self.0.sample() * self.1);
                crate::audio::source::SourceState::Playing
            }
            fn describe(&self) -> String {
                "hiss".into()
            }
        }
        let mut watch = MicrophoneWatch::default();
        assert_eq!(listen(&mut watch, &mut Hiss(Noise::new(1), 0.0003), 4.0), [MicrophoneNotice::Silent]);
        let mut watch = MicrophoneWatch::default();
        assert_eq!(listen(&mut watch, &mut Hiss(Noise::new(1), 0.001), 10.0), []);
    }

    #[test]
    fn clipping_is_noticed_and_not_told_all_the_time() {
        struct Loud(Tone);
        impl Source for Loud {
            fn read(&mut self, out: &mut [f32]) -> crate::audio::source::SourceState {
                let state = self.0.read(out);
                out.iter_mut().for_each(|sample| *sample = (*sample * 1.5).clamp(-1.0, 1.0));
                state
            }
            fn describe(&self) -> String {
                "loud".into()
            }
        }
        let mut watch = MicrophoneWatch::default();
        let mut loud = Loud(Tone::with_level(300.0, 0.0));
        assert_eq!(listen(&mut watch, &mut loud, 9.0), [MicrophoneNotice::Clipping]);
        assert!(watch.clipped_samples() > 48_000);
        assert_eq!(listen(&mut watch, &mut loud, 5.0), [MicrophoneNotice::Clipping]);
        // A single click is no clipping.
        let mut watch = MicrophoneWatch::default();
        let mut block = [0.1; TICK_SAMPLES];
        block[7] = 1.0;
        assert_eq!(watch.add(&block), None);
    }

    #[test]
    fn decibels_are_factors() {
        assert_eq!(gain_factor(0.0), 1.0);
        assert!((gain_factor(-6.0206) - 0.5).abs() < 1e-4);
        assert_eq!(gain_factor(f32::NAN), 1.0);
        assert!(gain_factor(f32::NEG_INFINITY) < 1e-6 && gain_factor(f32::INFINITY) == 100.0);
    }
}
