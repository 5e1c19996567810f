//! Acoustic echo cancellation: WebRTC's AEC3, as the `sonora` crates have it in Rust, set for the open speaker of a
//! kiosk: a longer filter than a laptop's, and no trust in "only the near end speaks" before the filter knows the room.

use super::{Block, ProcessStats, Stage};
use crate::SAMPLE_RATE;
use sonora::three_band_filter_bank::{NUM_BANDS, SPLIT_BAND_SIZE, ThreeBandFilterBank};
use sonora_aec3::{block, block_processor::BlockProcessor, common::BLOCK_SIZE, config::EchoCanceller3Config};
use std::collections::VecDeque;

/// The engine's full scale is that of 16-bit samples.
const SCALE: f32 = 32_768.0;

/// What differs from the engine's defaults: found by a search over the rooms of the echo lab for much echo gone and a
/// voice that stays whole while both speak (`docs/figures-echo.md`).
fn settings() -> EchoCanceller3Config {
    let mut config = EchoCanceller3Config::default();
    let filter = &mut config.filter;
    // A shorter filter learns a room sooner, and goes on learning faster; the suppressor takes the tail of the echo.
    filter.refined.length_blocks = 10;
    filter.coarse.length_blocks = 10;
    filter.refined_initial.length_blocks = 9;
    filter.coarse_initial.length_blocks = 9;
    filter.refined.leakage_converged = 0.005;
    filter.refined.error_floor = 0.01;
    filter.initial_state_seconds = 0.5;
    // The room is heard for a shorter time than the engine thinks.
    config.ep_strength.default_len = 0.3;
    config.ep_strength.nearend_len = 0.3;
    // How much the filter may be trusted to have taken out.
    config.erle.max_l = 20.0;
    let suppressor = &mut config.suppressor;
    // While this side speaks: less is taken for echo, and for longer.
    suppressor.nearend_tuning.mask_lf.enr_suppress = 12.0;
    suppressor.nearend_tuning.mask_hf.enr_transparent = 1.0;
    suppressor.nearend_tuning.mask_hf.enr_suppress = 3.0;
    let detection = &mut suppressor.dominant_nearend_detection;
    detection.hold_duration = 100;
    detection.trigger_threshold = 8;
    detection.snr_threshold = 10.0;
    detection.enr_exit_threshold = 30.0;
    detection.use_unbounded_echo_spectrum = false;
    config
}

/// 10 ms blocks at 48 kHz cut into three bands of 4 ms blocks, which is what the engine works on, and back.
struct Bands {
    bank: ThreeBandFilterBank,
    waiting: [VecDeque<f32>; NUM_BANDS],
}

impl Bands {
    /// `waiting` samples of silence first.
    fn new(waiting: usize) -> Self {
        Self { bank: ThreeBandFilterBank::new(), waiting: std::array::from_fn(|_| VecDeque::from(vec![0.0; waiting])) }
    }

    fn split(&mut self, sound: &Block) {
        let scaled = sound.map(|sample| sample * SCALE);
        let mut bands = [[0.0; SPLIT_BAND_SIZE]; NUM_BANDS];
        self.bank.analysis(&scaled, &mut bands);
        self.waiting.iter_mut().zip(bands).for_each(|(waiting, band)| waiting.extend(band));
    }

    /// The next block for the engine, if enough waits.
    fn take(&mut self, block: &mut block::Block) -> bool {
        if self.waiting[0].len() < BLOCK_SIZE {
            return false;
        }
        for (n, waiting) in self.waiting.iter_mut().enumerate() {
            block.view_mut(n, 0).iter_mut().zip(waiting.drain(..BLOCK_SIZE)).for_each(|(to, from)| *to = from);
        }
        true
    }

    fn put(&mut self, block: &block::Block) {
        self.waiting.iter_mut().enumerate().for_each(|(n, waiting)| waiting.extend(block.view(n, 0)));
    }

    fn join(&mut self, sound: &mut Block) {
        let mut bands = [[0.0; SPLIT_BAND_SIZE]; NUM_BANDS];
        for (band, waiting) in bands.iter_mut().zip(&mut self.waiting) {
            let enough = SPLIT_BAND_SIZE.min(waiting.len());
            band.iter_mut().zip(waiting.drain(..enough)).for_each(|(to, from)| *to = from);
        }
        self.bank.synthesis(&bands, sound);
        sound.iter_mut().for_each(|sample| *sample /= SCALE);
    }
}

/// Takes the echo of the speaker out of a microphone's sound, and lets both voices through when both speak. Holds the
/// sound back by about 4 ms.
pub struct EchoCanceller {
    engine: BlockProcessor,
    far: Bands,
    near: Bands,
    out: Bands,
    block: block::Block,
    rendered: bool,
}

impl EchoCanceller {
    /// Samples of a band that must lie ready so that a block of 10 ms always comes out whole: blocks of 64 never leave
    /// more than this behind.
    const AHEAD: usize = BLOCK_SIZE / 2;

    /// One that knows nothing of the room yet.
    pub fn new() -> Self {
        Self {
            engine: BlockProcessor::new(&settings(), SAMPLE_RATE as usize, 1, 1),
            far: Bands::new(0),
            near: Bands::new(0),
            out: Bands::new(Self::AHEAD),
            block: block::Block::new(NUM_BANDS, 1),
            rendered: false,
        }
    }
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for EchoCanceller {
    fn render(&mut self, far: &Block) {
        self.rendered = true;
        self.far.split(far);
        while self.far.take(&mut self.block) {
            self.engine.buffer_render(&self.block);
        }
    }

    fn capture(&mut self, near: &mut Block) {
        let saturated = near.iter().any(|sample| sample.abs() > 0.999);
        self.near.split(near);
        while self.near.take(&mut self.block) {
            self.engine.process_capture(false, saturated, None, &mut self.block);
            self.out.put(&self.block);
        }
        self.out.join(near);
    }

    fn report(&self, stats: &mut ProcessStats) {
        if self.rendered {
            let own = self.engine.get_metrics();
            stats.echo_delay_ms = u32::try_from(own.delay_ms).ok();
            stats.echo_return_loss = Some(own.echo_return_loss);
            stats.echo_return_loss_enhancement = Some(own.echo_return_loss_enhancement);
        }
    }
}
