//! Gain control: WebRTC's AGC2, as the `sonora` crate has it in Rust.

use super::{
    Block, Stage,
    engine::{engine, run},
};
use sonora::{AudioProcessing, Config, config};

/// Brings speech to one loudness, slowly, and keeps peaks below full scale. Noise is not raised above -50 dBFS.
pub struct GainControl(AudioProcessing);

impl GainControl {
    /// Decibels at first, and at most. A microphone that is set sensibly needs no more, and whatever the echo canceller
    /// left is raised with the voice.
    const INITIAL_DB: f32 = 6.0;
    const MAX_DB: f32 = 24.0;

    /// One that has heard nothing.
    pub fn new() -> Self {
        let adaptive = config::AdaptiveDigital {
            initial_gain_db: Self::INITIAL_DB,
            max_gain_db: Self::MAX_DB,
            ..config::AdaptiveDigital::default()
        };
        let settings =
            config::GainController2 { adaptive_digital: Some(adaptive), ..config::GainController2::default() };
        Self(engine(Config { gain_controller2: Some(settings), ..Config::default() }))
    }
}

impl Default for GainControl {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for GainControl {
    fn capture(&mut self, near: &mut Block) {
        run(&mut self.0, near);
    }
}
