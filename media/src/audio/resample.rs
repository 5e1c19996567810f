//! Changing the sample rate of mono sound, by rubato.
//!
//! [`Resampler`] is for a ratio that is fixed and known: files, codecs. The bridge to a device, whose clock drifts,
//! is [`super::device`]'s own.

use rubato::{Fft, FixedSync, Indexing, Resampler as _, audioadapter_buffers::direct::InterleavedSlice};

/// Rates that can be converted, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// Why a resampler cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot convert from {from} Hz to {to} Hz")]
pub struct Error {
    /// Rate of the input, in Hz.
    pub from: u32,
    /// Rate of the output, in Hz.
    pub to: u32,
}

/// Converts a stream from one rate to another. Sample 0 of the output is sample 0 of the input: the filter's delay is
/// taken out.
pub struct Resampler {
    /// None: the rates are the same.
    inner: Option<Fft<f32>>,
    ratio: f64,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Samples of the filter's delay still to be left out.
    skip: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Input samples converted at a time, unless the rates ask for more.
    const CHUNK: usize = 256;

    /// From `from` Hz to `to` Hz, each within [`RATES`].
    pub fn new(from: u32, to: u32) -> Result<Self, Error> {
        let mut resampler = Self::with_chunk(from, to, Self::CHUNK)?;
        resampler.skip = resampler.inner.as_ref().map_or(0, |inner| inner.output_delay());
        Ok(resampler)
    }

    /// As [`new`](Self::new), yet blocks of `block` input samples give their share of the output at once, and the
    /// filter's delay (half a block) stays in.
    pub(crate) fn in_blocks(from: u32, to: u32, block: usize) -> Result<Self, Error> {
        Self::with_chunk(from, to, block)
    }

    fn with_chunk(from: u32, to: u32, chunk: usize) -> Result<Self, Error> {
        let fail = || Error { from, to };
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return Err(fail());
        }
        let inner = match from == to {
            true => None,
            false => Some(Fft::new(from as usize, to as usize, chunk, 1, FixedSync::Both).map_err(|_| fail())?),
        };
        let most = inner.as_ref().map_or(0, |inner| inner.output_frames_max());
        Ok(Self {
            inner,
            ratio: f64::from(to) / f64::from(from),
            input: Vec::new(),
            output: vec![0.0; most],
            skip: 0,
            taken: 0,
            given: 0,
        })
    }

    /// Takes `samples` and appends what comes of them to `out`; some stay inside until more comes.
    pub fn process(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        if self.inner.is_none() {
            self.given += samples.len() as u64;
            out.extend_from_slice(samples);
            return;
        }
        self.input.extend_from_slice(samples);
        while self.convert_chunk(false, out) {}
    }

    /// Appends what is still inside, so that all in all input length x ratio came out. Start afresh with a new one.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let due = (self.taken as f64 * self.ratio).round() as u64;
        let start = out.len();
        while self.inner.is_some() && self.given < due {
            if !self.convert_chunk(true, out) {
                break;
            }
        }
        let excess = self.given.saturating_sub(due) as usize;
        out.truncate(out.len().saturating_sub(excess).max(start));
    }

    /// Converts one chunk; with `flush` an incomplete one is filled up with silence.
    fn convert_chunk(&mut self, flush: bool, out: &mut Vec<f32>) -> bool {
        let Some(inner) = &mut self.inner else { return false };
        let needed = inner.input_frames_next();
        if self.input.len() < needed {
            if !flush {
                return false;
            }
            self.input.resize(needed, 0.0);
        }
        let capacity = self.output.len();
        let adapters = (
            InterleavedSlice::new(&self.input[..needed], 1, needed),
            InterleavedSlice::new_mut(&mut self.output[..], 1, capacity),
        );
        let (Ok(input), Ok(mut output)) = adapters else { return false };
        let made = match inner.process_into_buffer(&input, &mut output, Some(&Indexing::new())) {
            Ok((_, made)) => made,
            // Both buffers have the size that rubato asked for.
            Err(_) => return false,
        };
        self.input.drain(..needed);
        let skipped = made.min(self.skip);
        self.skip -= skipped;
        self.given += (made - skipped) as u64;
        out.extend_from_slice(&self.output[skipped..made]);
        true
    }
}

/// Converts all of `samples` at once.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, Error> {
    let mut resampler = Resampler::new(from, to)?;
    let mut out = Vec::with_capacity((samples.len() as f64 * resampler.ratio) as usize + 4096);
    resampler.process(samples, &mut out);
    resampler.finish(&mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::compare::tone_level_at;

    fn sine(hz: f64, rate: u32, samples: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..samples).map(|n| (step * n as f64).sin() as f32 * 0.5).collect()
    }

    #[test]
    fn a_tone_keeps_its_frequency_level_and_place_at_any_rate() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000] {
            let out = resample(&sine(1000.0, rate, rate as usize), rate, 48_000).unwrap();
            assert_eq!(out.len(), 48_000, "{rate}");
            let level = tone_level_at(&out, 1000.0, 48_000);
            assert!((level + 6.02).abs() < 0.1, "{rate}: {level} dBFS");
            // In phase with the same tone made at 48 kHz, away from the ends.
            let wanted = sine(1000.0, 48_000, 48_000);
            let worst = (4800..43_200).map(|n| (out[n] - wanted[n]).abs()).fold(0.0, f32::max);
            assert!(worst < 0.005, "{rate}: off by {worst}");
        }
    }

    #[test]
    fn what_lies_above_the_new_rate_does_not_fold_back() {
        let out = resample(&sine(6000.0, 48_000, 48_000), 48_000, 8_000).unwrap();
        assert!(tone_level_at(&out, 2000.0, 8_000) < -70.0);
    }

    #[test]
    fn pieces_give_the_same_as_the_whole() {
        let input = sine(440.0, 44_100, 20_000);
        let whole = resample(&input, 44_100, 48_000).unwrap();
        let mut resampler = Resampler::new(44_100, 48_000).unwrap();
        let mut pieces = Vec::new();
        for piece in input.chunks(77) {
            resampler.process(piece, &mut pieces);
        }
        resampler.finish(&mut pieces);
        assert_eq!(pieces, whole);
    }

    #[test]
    fn absurd_rates_are_refused() {
        for rate in [0, 1, 3_999, 1_000_000] {
            assert_eq!(Resampler::new(rate, 48_000).err(), Some(Error { from: rate, to: 48_000 }));
        }
    }
}
