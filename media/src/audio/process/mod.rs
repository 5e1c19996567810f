//! What happens to a microphone's sound before it is encoded: the echo of the speaker is taken out, then the noise of
//! the room, and what is left is brought to one loudness.
//!
//! Each of the three is a [`Stage`] and can be left out. All work on blocks of 10 ms at 48 kHz, without a clock: what
//! goes to the speaker is shown to [`Processor::render`], what the microphone heard passes through
//! [`Processor::capture`]. How long the way from the one to the other is (buffers, loudspeaker, air, microphone) is
//! estimated from the sound itself and may change, up to about half a second.
//!
//! ```
//! use chatphone_media::{TICK_SAMPLES, audio::process::{ProcessConfig, Processor}};
//!
//! let mut processor = Processor::new(&ProcessConfig::ALL);
//! let (far, mut near) = ([0.0; TICK_SAMPLES], [0.0; TICK_SAMPLES]);
//! processor.render(&far);
//! processor.capture(&mut near);
//! ```

mod echo;
mod engine;
mod gain;
mod noise;
pub mod room;

pub use echo::EchoCanceller;
pub use gain::GainControl;
pub use noise::{NoiseSuppressor, RecurrentSuppressor, SpectralSuppressor};

use super::slip::Slip;
use crate::TICK_SAMPLES;
use serde::Serialize;

/// 10 ms of mono sound at [`crate::SAMPLE_RATE`].
pub type Block = [f32; TICK_SAMPLES];

/// One thing done to a microphone's sound.
pub trait Stage: Send {
    /// Sees what goes to the speaker, in -1.0..=1.0.
    fn render(&mut self, _far: &Block) {}

    /// Works on what the microphone heard, in place.
    fn capture(&mut self, near: &mut Block);

    /// Is told of a slip of the speaker, before the `render` of the sound it goes with.
    fn speaker_slipped(&mut self, _slip: &Slip) {}

    /// Is told of a slip of the microphone, before the `capture` of the sound it goes with.
    fn microphone_slipped(&mut self, _slip: &Slip) {}

    /// Adds what is known to `stats`.
    fn report(&self, _stats: &mut ProcessStats) {}
}

/// What to do to a microphone's sound. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessConfig {
    /// Take out the echo of the speaker.
    pub echo: bool,
    /// Take out noise.
    pub noise: NoiseSuppressor,
    /// Bring speech to one loudness.
    pub gain: bool,
}

impl ProcessConfig {
    /// Everything: for a microphone beside an open speaker.
    pub const ALL: Self = Self { echo: true, noise: NoiseSuppressor::Recurrent, gain: true };

    /// Whether there is nothing to do.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

/// What the stages know of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ProcessStats {
    /// Estimated way from the speaker's samples to the microphone's, in milliseconds. None: not known yet, or no echo.
    pub echo_delay_ms: Option<u32>,
    /// How much weaker the echo comes back than it went out, in dB (W3C webrtc-stats `echoReturnLoss`).
    pub echo_return_loss: Option<f64>,
    /// How much of the echo the canceller's linear filter takes out, in dB (`echoReturnLossEnhancement`); the
    /// suppressor behind it takes out more.
    pub echo_return_loss_enhancement: Option<f64>,
}

/// The stages in their order: echo, noise, gain.
pub struct Processor {
    stages: Vec<Box<dyn Stage>>,
}

impl Processor {
    /// The stages that `config` asks for. Takes some milliseconds: the gain control brings a small neural network.
    pub fn new(config: &ProcessConfig) -> Self {
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        if config.echo {
            stages.push(Box::new(EchoCanceller::new()));
        }
        stages.extend(config.noise.stage());
        if config.gain {
            stages.push(Box::new(GainControl::new()));
        }
        Self { stages }
    }

    /// Takes what goes to the speaker. To be called for each block, before or after the `capture` of the same 10 ms,
    /// as long as it is always the same.
    pub fn render(&mut self, far: &Block) {
        self.stages.iter_mut().for_each(|stage| stage.render(far));
    }

    /// Is told how what is rendered next lies on the speaker's time line. Without it a gap is a change of the room, which
    /// takes about a second to be learnt.
    pub fn speaker_slipped(&mut self, slip: &Slip) {
        self.stages.iter_mut().for_each(|stage| stage.speaker_slipped(slip));
    }

    /// Is told how what is captured next lies on the microphone's time line.
    pub fn microphone_slipped(&mut self, slip: &Slip) {
        self.stages.iter_mut().for_each(|stage| stage.microphone_slipped(slip));
    }

    /// Works on what the microphone heard. What comes out is finite and within -1.0..=1.0, whatever went in.
    pub fn capture(&mut self, near: &mut Block) {
        clean(near);
        self.stages.iter_mut().for_each(|stage| stage.capture(near));
        clean(near);
    }

    /// What the stages know of themselves.
    pub fn stats(&self) -> ProcessStats {
        let mut stats = ProcessStats::default();
        self.stages.iter().for_each(|stage| stage.report(&mut stats));
        stats
    }
}

fn clean(block: &mut Block) {
    for sample in block {
        *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    }
}

#[cfg(test)]
mod tests;
