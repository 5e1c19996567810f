//! Comfort noise (RFC 3389): what a far end whose codec has no silence of its own sends instead of silence.
//!
//! A packet says how loud the noise of the room is, and may say how it sounds; the receiver makes such noise until sound
//! comes again.

use super::{codec, resample::Resampler};
use crate::SAMPLE_RATE;

/// The noise of a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Root mean square, where 1 is full scale (a square wave of it is 0 dBov).
    pub level: f32,
    /// Reflection coefficients of its spectrum, each within ±1; none is white.
    reflections: Vec<f32>,
}

impl Description {
    /// Coefficients beyond so many are left out: a telephone's band has no room for more detail.
    const MOST: usize = 12;
    /// A filter must not ring for ever.
    const STEEPEST: f32 = 0.98;

    /// Reads a payload (RFC 3389 section 3); none: it is empty.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&level, spectrum) = payload.split_first()?;
        let quantized = |&index: &u8| 258.0 * (f32::from(index) - 127.0) / 32_768.0;
        let reflections = spectrum.iter().take(Self::MOST).map(quantized);
        Some(Self {
            // The first bit is reserved.
            level: 10f32.powf(-f32::from(level & 0x7F) / 20.0),
            reflections: reflections.map(|k| k.clamp(-Self::STEEPEST, Self::STEEPEST)).collect(),
        })
    }
}

/// Makes noise as described.
pub struct ComfortNoise {
    description: Description,
    /// Where the level is on its way to that of the description.
    level: f32,
    /// What the filter remembers.
    backward: [f32; Description::MOST + 1],
    resampler: Resampler,
    random: u32,
    narrow: Vec<f32>,
    /// Made and not yet handed out.
    ready: Vec<f32>,
}

impl ComfortNoise {
    /// Noise is described, and made, at the rate of a telephone's codecs.
    pub const RATE: u32 = 8_000;
    /// 5 ms at [`Self::RATE`].
    const BLOCK: usize = 40;
    /// How much of the way to a new level each block goes: there in 50 ms or so.
    const STEP: f32 = 0.2;

    /// Noise as `description` has it.
    ///
    /// # Errors
    /// When the resampler cannot be set up.
    pub fn new(description: Description) -> Result<Self, codec::Error> {
        let resampler =
            Resampler::new(Self::RATE, SAMPLE_RATE).map_err(|_| codec::Error::Unavailable(codec::CodecKind::Pcmu))?;
        Ok(Self {
            level: description.level,
            description,
            backward: [0.0; Description::MOST + 1],
            resampler,
            random: 0x2545_F491,
            narrow: Vec::new(),
            ready: Vec::new(),
        })
    }

    /// Goes over to another noise.
    pub fn become_like(&mut self, description: Description) {
        self.description = description;
    }

    /// Fills `out`, at [`SAMPLE_RATE`].
    pub fn fill(&mut self, out: &mut [f32]) {
        while self.ready.len() < out.len() {
            self.make_block();
        }
        out.copy_from_slice(&self.ready[..out.len()]);
        self.ready.drain(..out.len());
    }

    fn make_block(&mut self) {
        self.level += (self.description.level - self.level) * Self::STEP;
        // What a filter of these coefficients makes of white noise is louder by their product.
        let softer: f32 = self.description.reflections.iter().map(|k| 1.0 - k * k).product();
        // A uniform distribution over ±1 has a root mean square of 1/√3.
        let amplitude = self.level * (3.0 * softer).sqrt();
        self.narrow.clear();
        for _ in 0..Self::BLOCK {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (self.random >> 8) as f32 / (1 << 23) as f32 - 1.0;
            let sample = self.filter(white * amplitude);
            self.narrow.push(sample);
        }
        self.resampler.process(&self.narrow, &mut self.ready);
    }

    /// An all-pole lattice, which is stable whatever the coefficients.
    fn filter(&mut self, excitation: f32) -> f32 {
        let mut forward = excitation;
        for (n, &k) in self.description.reflections.iter().enumerate().rev() {
            forward -= k * self.backward[n];
            self.backward[n + 1] = self.backward[n] + k * forward;
        }
        self.backward[0] = forward;
        forward
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::compare::tone_level;

    fn noise(payload: &[u8]) -> Vec<f32> {
        let mut noise = ComfortNoise::new(Description::parse(payload).unwrap()).unwrap();
        let mut out = vec![0.0; 96_000];
        noise.fill(&mut out);
        out.split_off(4_800)
    }

    fn rms_db(sound: &[f32]) -> f32 {
        10.0 * (sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len() as f32).log10()
    }

    #[test]
    fn noise_is_as_loud_as_it_is_described_white_or_not() {
        for level in [20u8, 50, 70] {
            for spectrum in [&[][..], &[60, 150], &[20, 200, 127, 130, 90]] {
                let payload = [&[level], spectrum].concat();
                let loudness = rms_db(&noise(&payload));
                assert!((loudness + f32::from(level)).abs() < 1.5, "{payload:?}: {loudness} dB");
            }
        }
    }

    #[test]
    fn the_spectrum_is_that_of_the_coefficients() {
        let band = |sound: &[f32], hz: std::ops::Range<u32>| {
            let levels = hz.clone().step_by(20).map(|hz| 10f32.powf(tone_level(&sound[..24_000], hz as f32) / 10.0));
            10.0 * levels.sum::<f32>().log10()
        };
        // A first coefficient of -0.5 makes for low notes, one of +0.5 for high ones.
        let (low, high) = (noise(&[30, 64]), noise(&[30, 190]));
        assert!(band(&low, 300..900) > band(&low, 3_000..3_600) + 6.0);
        assert!(band(&high, 300..900) + 6.0 < band(&high, 3_000..3_600));
    }

    #[test]
    fn the_reserved_bit_and_index_and_long_payloads_do_no_harm() {
        assert_eq!(Description::parse(&[0x80 | 40]), Description::parse(&[40]));
        assert_eq!(Description::parse(&[]), None);
        let worst = [&[0], &[255; 300][..]].concat();
        assert!(noise(&worst).iter().all(|sample| sample.is_finite()));
        let worst = [&[0], &[0; 300][..]].concat();
        assert!(noise(&worst).iter().all(|sample| sample.is_finite()));
    }

    #[test]
    fn a_new_level_is_come_to_smoothly() {
        let mut noise = ComfortNoise::new(Description::parse(&[70]).unwrap()).unwrap();
        let mut out = vec![0.0; 480];
        noise.become_like(Description::parse(&[30]).unwrap());
        let mut before = -70.0;
        for _ in 0..30 {
            noise.fill(&mut out);
            before = rms_db(&out);
        }
        assert!((before + 30.0).abs() < 3.0, "{before}");
        let mut noise = ComfortNoise::new(Description::parse(&[70]).unwrap()).unwrap();
        noise.become_like(Description::parse(&[30]).unwrap());
        noise.fill(&mut out);
        assert!(rms_db(&out) < -38.0, "{}", rms_db(&out));
    }
}
