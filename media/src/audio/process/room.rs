//! A made-up room between a loudspeaker and a microphone: for the tests and the lab, the same for the same seed.

use super::Block;
use crate::{SAMPLE_RATE, TICK_SAMPLES};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{collections::VecDeque, sync::Arc};

/// How a room sounds and how long the way through it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoomConfig {
    /// Which room of its kind.
    pub seed: u32,
    /// From the loudspeaker's samples to the first sound in the microphone, in milliseconds: buffers and air.
    pub delay_ms: f32,
    /// How long the sound lingers, until it is 60 dB down, in milliseconds.
    pub reverberation_ms: f32,
    /// Level of the echo beside what was played, in dB (the energy of the impulse response).
    pub gain_db: f32,
    /// The delay swings by so much to either side, in milliseconds, as the buffers of two devices make it do.
    pub swing_ms: f32,
    /// How long one swing takes, in seconds.
    pub swing_period_s: f32,
    /// Level of the microphone's own noise, in dBFS RMS.
    pub noise_dbfs: f32,
}

impl Default for RoomConfig {
    /// A small room with a loudspeaker on the table: the echo as loud as a voice.
    fn default() -> Self {
        Self {
            seed: 1,
            delay_ms: 60.0,
            reverberation_ms: 120.0,
            gain_db: -6.0,
            swing_ms: 0.0,
            swing_period_s: 20.0,
            noise_dbfs: -75.0,
        }
    }
}

/// Random numbers that are the same on every machine: xorshift (Marsaglia 2003).
#[derive(Debug, Clone)]
pub struct Noise(u32);

impl Noise {
    /// A sequence of its own for every seed.
    pub fn new(seed: u32) -> Self {
        let mut noise = Self(seed.wrapping_mul(2_654_435_761) | 1);
        (0..8).for_each(|_| _ = noise.sample());
        noise
    }

    /// The next number, even in -1.0..1.0.
    pub fn sample(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / (1u32 << 31) as f32 - 1.0
    }
}

/// Turns what is played into what a microphone hears of it.
pub struct Room {
    config: RoomConfig,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Spectrum of the impulse response, scaled for the inverse transform.
    response: Vec<Complex<f32>>,
    /// The last [`Room::SIZE`] samples played, the newest last.
    played: Vec<f32>,
    /// Reverberant sound that is still on its way through the buffers, the newest last.
    delayed: VecDeque<f32>,
    noise: Noise,
    samples: u64,
}

impl Room {
    /// Of the transforms: the block and the impulse response together.
    const SIZE: usize = 8192;

    /// An empty room. It lingers no longer than 160 ms, whatever is asked for.
    pub fn new(config: RoomConfig) -> Self {
        let mut noise = Noise::new(config.seed);
        let rate = SAMPLE_RATE as f32 / 1000.0;
        let length = ((config.reverberation_ms * rate) as usize).clamp(1, Self::SIZE - TICK_SAMPLES);
        let decay = 1000f32.ln() / length as f32;
        // The direct sound, then reflections that fade exponentially, together as strong.
        let mut response: Vec<f32> = (0..length).map(|n| noise.sample() * (-decay * n as f32).exp()).collect();
        response[0] = 0.0;
        let late: f32 = response.iter().map(|tap| tap * tap).sum();
        response[0] = late.sqrt().max(1e-3);
        let energy = 2.0 * response[0] * response[0];
        let scale = 10f32.powf(config.gain_db / 20.0) / energy.sqrt() / Self::SIZE as f32;
        response.iter_mut().for_each(|tap| *tap *= scale);

        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(Self::SIZE), planner.plan_fft_inverse(Self::SIZE));
        response.resize(Self::SIZE, 0.0);
        let mut spectrum = forward.make_output_vec();
        // Both have the sizes that the plan asks for.
        let _ = forward.process(&mut response, &mut spectrum);
        let longest = ((config.delay_ms + config.swing_ms) * rate) as usize + 8;
        Self {
            config,
            forward,
            inverse,
            response: spectrum,
            played: vec![0.0; Self::SIZE],
            delayed: VecDeque::from(vec![0.0; longest]),
            noise,
            samples: 0,
        }
    }

    /// What the microphone hears of `far` and of what was played before it.
    pub fn echo(&mut self, far: &Block) -> Block {
        let mut heard = [0.0; TICK_SAMPLES];
        let noise = 10f32.powf(self.config.noise_dbfs / 20.0) * 3f32.sqrt();
        for (out, reverberant) in heard.iter_mut().zip(self.reverberate(far)) {
            self.delayed.pop_front();
            self.delayed.push_back(reverberant);
            *out = self.at(self.delay()) + noise * self.noise.sample();
            self.samples += 1;
        }
        heard
    }

    /// `far` through the impulse response, by overlap-save.
    fn reverberate(&mut self, far: &Block) -> Vec<f32> {
        self.played.drain(..TICK_SAMPLES);
        self.played.extend_from_slice(far);
        let (mut spectrum, mut out) = (self.forward.make_output_vec(), self.inverse.make_output_vec());
        let _ = self.forward.process(&mut self.played.clone(), &mut spectrum);
        spectrum.iter_mut().zip(&self.response).for_each(|(bin, response)| *bin *= response);
        // The inverse transform insists on real end bins; rounding may have left a trace.
        for end in [0, Self::SIZE / 2] {
            spectrum[end].im = 0.0;
        }
        let _ = self.inverse.process(&mut spectrum, &mut out);
        out.split_off(Self::SIZE - TICK_SAMPLES)
    }

    /// The delay of this very sample, in samples.
    fn delay(&self) -> f32 {
        let turn = self.samples as f64 / f64::from(SAMPLE_RATE) / f64::from(self.config.swing_period_s);
        let swing = f64::from(self.config.swing_ms) * (turn * std::f64::consts::TAU).sin();
        ((f64::from(self.config.delay_ms) + swing) * f64::from(SAMPLE_RATE) / 1000.0) as f32
    }

    /// What was reverberant `delay` samples ago, between samples by a cubic.
    fn at(&self, delay: f32) -> f32 {
        let whole = delay.floor();
        let t = 1.0 - (delay - whole);
        let newest = self.delayed.len() as isize - 1;
        let place = newest - whole as isize - 1;
        let sample =
            |n: isize| usize::try_from(place + n).ok().and_then(|n| self.delayed.get(n)).copied().unwrap_or(0.0);
        let (a, b, c, d) = (sample(-1), sample(0), sample(1), sample(2));
        b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
    }
}
