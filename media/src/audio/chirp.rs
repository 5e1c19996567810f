//! A chirp, and finding it again: how long sound takes from a speaker to a microphone, and how much of it comes back.

use super::{
    compare::best_match,
    level::{FLOOR, Level},
};
use crate::SAMPLE_RATE;

/// Lowest and highest frequency of the chirp, in Hz: what every small loudspeaker plays.
const SWEEP: (f64, f64) = (400.0, 5_000.0);

/// Its length in seconds.
const LENGTH: f64 = 0.15;

/// Its level in dBFS: audible, and not frightening.
pub const LEVEL: f32 = -16.0;

/// A match below this correlation is chance.
const LEAST_CORRELATION: f32 = 0.25;

/// The chirp: an exponential sweep (Farina 2000) that fades in and out.
pub fn chirp() -> Vec<f32> {
    let samples = (LENGTH * f64::from(SAMPLE_RATE)) as usize;
    let amplitude = 10f64.powf(f64::from(LEVEL) / 20.0);
    let rate = (SWEEP.1 / SWEEP.0).ln() / LENGTH;
    (0..samples)
        .map(|n| {
            let t = n as f64 / f64::from(SAMPLE_RATE);
            let phase = std::f64::consts::TAU * SWEEP.0 * ((t * rate).exp() - 1.0) / rate;
            let edge = (n.min(samples - n) as f64 / 480.0).min(1.0);
            (phase.sin() * amplitude * edge) as f32
        })
        .collect()
}

/// A chirp that was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Where it begins, in samples.
    pub position: usize,
    /// How much it is like what was played, up to 1.
    pub correlation: f32,
    /// How much weaker it is than what was played, in dB (the echo return loss); negative: louder.
    pub loss_db: f32,
}

/// Looks for the chirp in `recording`, with a matched filter.
pub fn find(recording: &[f32]) -> Option<Heard> {
    let chirp = chirp();
    let found = best_match(&chirp, recording)?;
    if found.correlation < LEAST_CORRELATION {
        return None;
    }
    let position = (found.offset_s * f64::from(SAMPLE_RATE)).round() as usize;
    let level = Level::of(recording.get(position..position + chirp.len())?).rms;
    let loss_db = Level::of(&chirp).rms - level;
    (level > FLOOR).then_some(Heard { position, correlation: found.correlation, loss_db })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::process::room::Noise;

    #[test]
    fn a_faint_chirp_in_noise_is_found_where_it_is() {
        let mut noise = Noise::new(3);
        let mut recording: Vec<f32> = (0..48_000).map(|_| 0.004 * noise.sample()).collect();
        chirp().iter().enumerate().for_each(|(n, sample)| recording[12_345 + n] += 0.1 * sample);
        let heard = find(&recording).unwrap();
        assert_eq!(heard.position, 12_345);
        assert!((heard.loss_db - 20.0).abs() < 1.0, "{heard:?}");
    }

    #[test]
    fn noise_and_silence_hold_no_chirp() {
        let mut noise = Noise::new(4);
        let recording: Vec<f32> = (0..48_000).map(|_| 0.1 * noise.sample()).collect();
        assert_eq!(find(&recording), None);
        assert_eq!(find(&[0.0; 48_000]), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn a_chirp_is_as_loud_as_it_is_said_to_be() {
        let level = Level::of(&chirp()[960..6000]);
        assert!((level.rms - LEVEL).abs() < 0.3 && level.peak <= LEVEL + 0.1, "{level:?}");
    }
}
