//! Noise suppression, two ways: a recurrent network (RNNoise, as `nnnoiseless` has it) and the spectral gain of
//! WebRTC. The figures behind the choice are in `docs/figures-echo.md`.

use super::{
    Block, Stage,
    engine::{engine, run},
};
use nnnoiseless::DenoiseState;
use sonora::{AudioProcessing, Config, config};

/// Which noise suppression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoiseSuppressor {
    /// None.
    #[default]
    Off,
    /// A recurrent network; holds the sound back by 10 ms.
    Recurrent,
    /// Spectral gain.
    Spectral,
}

impl NoiseSuppressor {
    pub(super) fn stage(self) -> Option<Box<dyn Stage>> {
        match self {
            Self::Off => None,
            Self::Recurrent => Some(Box::new(RecurrentSuppressor::new())),
            Self::Spectral => Some(Box::new(SpectralSuppressor::new())),
        }
    }
}

/// A recurrent network that tells speech from noise in 22 bands.
pub struct RecurrentSuppressor {
    state: Box<DenoiseState<'static>>,
    input: Block,
}

impl RecurrentSuppressor {
    /// The network's full scale is that of 16-bit samples.
    const SCALE: f32 = 32_768.0;

    /// One that has heard nothing.
    pub fn new() -> Self {
        Self { state: DenoiseState::new(), input: [0.0; crate::TICK_SAMPLES] }
    }
}

impl Default for RecurrentSuppressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for RecurrentSuppressor {
    fn capture(&mut self, near: &mut Block) {
        const { assert!(DenoiseState::FRAME_SIZE == crate::TICK_SAMPLES) };
        for (scaled, sample) in self.input.iter_mut().zip(near.iter()) {
            *scaled = sample * Self::SCALE;
        }
        self.state.process_frame(near, &self.input);
        near.iter_mut().for_each(|sample| *sample /= Self::SCALE);
    }
}

/// WebRTC's noise suppression at its high level (about 18 dB).
pub struct SpectralSuppressor(AudioProcessing);

impl SpectralSuppressor {
    /// One that has heard nothing.
    pub fn new() -> Self {
        let level = config::NoiseSuppressionLevel::High;
        let settings = config::NoiseSuppression { level, ..config::NoiseSuppression::default() };
        Self(engine(Config { noise_suppression: Some(settings), ..Config::default() }))
    }
}

impl Default for SpectralSuppressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for SpectralSuppressor {
    fn capture(&mut self, near: &mut Block) {
        run(&mut self.0, near);
    }
}
