//! Whether a recording holds what was said: normalised cross-correlation, and the level of a tone.

use super::level::{FLOOR, to_dbfs};
use crate::SAMPLE_RATE;
use realfft::{RealFftPlanner, num_complex::Complex};

/// Where a recording is most like a reference, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Where the reference's first sample lies in the recording, in seconds.
    pub offset_s: f64,
    /// Normalised cross-correlation there: 1 is the same but for its level, 0 has nothing in common, -1 is inverted.
    pub correlation: f32,
}

/// Finds `reference` in `recording` (both at [`SAMPLE_RATE`]).
///
/// The reference must lie wholly within the recording. None if the reference is longer than the recording, or either
/// is silent. Takes memory of some ten times the recording: meant for files of minutes, not hours.
pub fn best_match(reference: &[f32], recording: &[f32]) -> Option<Match> {
    let places = recording.len().checked_sub(reference.len())? + 1;
    let reference_energy: f64 = reference.iter().map(|&sample| square(sample)).sum();
    if reference.is_empty() || reference_energy < 1e-9 {
        return None;
    }
    let products = cross_correlate(reference, recording)?;
    // Energy of the recording under the reference, at every place.
    let mut energy: f64 = recording[..reference.len()].iter().map(|&sample| square(sample)).sum();
    // Below this the recording is silent beside the reference, and a quotient would only be rounding.
    let least = 1e-6 * reference_energy;
    let mut best: Option<(usize, f64)> = None;
    for place in 0..places {
        if energy > least {
            let correlation = f64::from(products[place]) / (energy * reference_energy).sqrt();
            if best.is_none_or(|(_, most)| correlation > most) {
                best = Some((place, correlation));
            }
        }
        if let Some(&entering) = recording.get(place + reference.len()) {
            energy = (energy + square(entering) - square(recording[place])).max(0.0);
        }
    }
    best.map(|(place, correlation)| Match {
        offset_s: place as f64 / f64::from(SAMPLE_RATE),
        correlation: correlation.clamp(-1.0, 1.0) as f32,
    })
}

/// Length of a piece in [`likeness`], in seconds: a few syllables.
const PIECE_S: f64 = 0.3;
/// How far a piece is looked for around its place, in seconds: as much as a jitter buffer may shift it.
const AROUND_S: f64 = 0.6;

/// How much of `reference` is in `recording` (both at [`SAMPLE_RATE`]), 0 to 1, when what was played may have been
/// stretched and shrunk on the way, as a jitter buffer does: the normalised cross-correlation of pieces of 300 ms, each
/// where it fits best around its place, weighted by energy. None as in [`best_match`].
pub fn likeness(reference: &[f32], recording: &[f32]) -> Option<f32> {
    let samples = |s: f64| (s * f64::from(SAMPLE_RATE)) as usize;
    let place = samples(best_match(reference, recording)?.offset_s);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (n, piece) in reference.chunks(samples(PIECE_S)).enumerate() {
        let energy: f64 = piece.iter().map(|&sample| square(sample)).sum();
        let begin = place + n * samples(PIECE_S);
        let from = begin.saturating_sub(samples(AROUND_S));
        let to = (begin + piece.len() + samples(AROUND_S)).min(recording.len());
        let found = recording.get(from..to).and_then(|part| best_match(piece, part));
        // A silent piece has no correlation and hardly any weight.
        sum += energy * found.map_or(0.0, |m| f64::from(m.correlation));
        weights += energy;
    }
    (weights > 0.0).then_some((sum / weights) as f32)
}

/// The level of a sine of `hz` within `samples` (at [`SAMPLE_RATE`]), in dBFS, where 0 is a full-scale sine.
pub fn tone_level(samples: &[f32], hz: f32) -> f32 {
    tone_level_at(samples, hz, SAMPLE_RATE)
}

/// [`tone_level`] at another sample rate: a Goertzel filter under a Hann window, so that a tone between two bins
/// reads right and strong neighbours do not leak in.
pub(crate) fn tone_level_at(samples: &[f32], hz: f32, rate: u32) -> f32 {
    if samples.is_empty() {
        return FLOOR;
    }
    let tau = std::f64::consts::TAU;
    let step = tau * f64::from(hz) / f64::from(rate);
    let coefficient = 2.0 * step.cos();
    let (mut last, mut before, mut weight) = (0.0, 0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (tau * (n as f64 + 0.5) / samples.len() as f64).cos();
        weight += window;
        let next = f64::from(sample) * window + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    to_dbfs((2.0 * power.max(0.0).sqrt() / weight) as f32)
}

fn square(sample: f32) -> f64 {
    f64::from(sample) * f64::from(sample)
}

/// Sum over n of `reference[n] * recording[place + n]` for each place, by FFT.
fn cross_correlate(reference: &[f32], recording: &[f32]) -> Option<Vec<f32>> {
    // No wrap-around touches the places asked for, as the reference fits within the recording there.
    let size = recording.len().next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let transform = |samples: &[f32]| -> Option<Vec<Complex<f32>>> {
        let mut padded = samples.to_vec();
        padded.resize(size, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).ok()?;
        Some(spectrum)
    };
    let mut product = transform(recording)?;
    for (bin, other) in product.iter_mut().zip(transform(reference)?) {
        *bin *= other.conj();
    }
    // The inverse transform insists on real end bins; rounding may have left a trace.
    for end in [0, size / 2] {
        if let Some(bin) = product.get_mut(end) {
            bin.im = 0.0;
        }
    }
    let mut sums = inverse.make_output_vec();
    inverse.process(&mut product, &mut sums).ok()?;
    let scale = 1.0 / size as f32;
    sums.iter_mut().for_each(|sum| *sum *= scale);
    Some(sums)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::{source::Source, tone::Tone};

    fn noise(samples: usize, mut seed: u32) -> Vec<f32> {
        std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .take(samples)
        .collect()
    }

    #[test]
    fn speech_with_a_gap_and_a_cut_is_like_itself_and_unlike_another() {
        let read = |sample: &crate::samples::Sample| {
            let mut sound = vec![0.0; 48_000 * 5];
            crate::audio::source::Source::read(&mut sample.source().unwrap(), &mut sound);
            sound
        };
        let (customer, agent) = (read(&crate::samples::CUSTOMER), read(&crate::samples::AGENT));
        let said = &customer[105_600..230_400];
        let mut heard = vec![0.0; 20_000];
        heard.extend_from_slice(&customer[..150_000]);
        heard.extend(vec![0.0; 1440]);
        heard.extend_from_slice(&customer[150_000..190_000]);
        heard.extend_from_slice(&customer[190_960..]);
        assert!(likeness(said, &heard).unwrap() > 0.95);
        assert!(best_match(said, &heard).unwrap().correlation < 0.9, "or the pieces would not be needed");
        assert!(likeness(said, &agent).unwrap_or(0.0) < 0.7);
    }

    #[test]
    fn a_quieter_copy_within_noise_is_found_where_it_is() {
        let reference = noise(48_000, 1);
        let mut recording = noise(480_000, 2).iter().map(|sample| sample * 0.01).collect::<Vec<_>>();
        for (n, sample) in reference.iter().enumerate() {
            recording[123_456 + n] += sample * 0.2;
        }
        let found = best_match(&reference, &recording).unwrap();
        assert_eq!((found.offset_s * 48_000.0).round(), 123_456.0);
        assert!(found.correlation > 0.99, "{found:?}");
    }

    #[test]
    fn something_else_does_not_match() {
        let found = best_match(&noise(48_000, 1), &noise(480_000, 2)).unwrap();
        assert!(found.correlation < 0.05, "{found:?}");
    }

    #[test]
    fn the_very_same_matches_wholly_at_once() {
        let reference = noise(10_000, 3);
        let found = best_match(&reference, &reference).unwrap();
        assert_eq!(found.offset_s, 0.0);
        assert!(found.correlation > 0.9999);
    }

    #[test]
    fn silence_and_too_short_recordings_have_no_match() {
        assert_eq!(best_match(&[0.0; 100], &[0.5; 1000]), None);
        assert_eq!(best_match(&[0.5; 100], &[0.0; 1000]), None);
        assert_eq!(best_match(&[0.5; 1001], &[0.5; 1000]), None);
        assert_eq!(best_match(&[], &[]), None);
    }

    #[test]
    fn a_tone_between_two_bins_reads_its_level_and_others_do_not() {
        let mut samples = vec![0.0; 4801];
        Tone::with_level(440.3, -16.0).read(&mut samples);
        assert!((tone_level(&samples, 440.3) + 16.0).abs() < 0.1);
        assert!(tone_level(&samples, 880.0) < -70.0);
        assert_eq!(tone_level(&[0.0; 480], 440.0), FLOOR);
        assert_eq!(tone_level(&[], 440.0), FLOOR);
    }
}
