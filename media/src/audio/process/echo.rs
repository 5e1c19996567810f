//! Acoustic echo cancellation: WebRTC's AEC3, as the `sonora` crates have it in Rust, set for the open speaker of a
//! kiosk: a longer filter than a laptop's, and no trust in "only the near end speaks" before the filter knows the room.

use super::{Block, ProcessStats, Stage};
use crate::{SAMPLE_RATE, audio::slip::Slip};
use sonora::three_band_filter_bank::{NUM_BANDS, SPLIT_BAND_SIZE, ThreeBandFilterBank};
use sonora_aec3::{block, block_processor::BlockProcessor, common::BLOCK_SIZE, config, config::EchoCanceller3Config};
use std::{collections::VecDeque, f64::consts::PI, sync::LazyLock};

/// The engine's full scale is that of 16-bit samples.
const SCALE: f32 = 32_768.0;

/// How long one of the engine's blocks is, in milliseconds.
const BLOCK_MS: u32 = 4;

/// What differs from the engine's defaults: found by a search over voices and rooms for much echo gone and a voice that
/// stays whole while both speak (`docs/figures-echo.md`).
fn settings() -> EchoCanceller3Config {
    let mut config = EchoCanceller3Config::default();
    // A new delay makes the engine learn anew: only one that is far enough off is worth it.
    config.delay.hysteresis_limit_blocks = 3;
    config.delay.detect_pre_echo = false;
    config.delay.delay_headroom_samples = 16;
    set_filter(&mut config.filter);
    // How much the filter may be trusted to have taken out.
    config.erle.max_l = 19.0;
    config.erle.max_h = 2.66;
    config.erle.onset_detection = false;
    // For how long the room is heard.
    config.ep_strength.default_len = 0.64;
    config.ep_strength.nearend_len = 0.4;
    config.ep_strength.use_conservative_tail_frequency_response = false;
    config.echo_audibility.floor_power = 66.0;
    set_suppressor(&mut config.suppressor);
    config
}

fn set_filter(filter: &mut config::Filter) {
    // The second filter learns fast, which in double talk means the wrong thing: it is a yardstick and never heard. Of
    // all settings this one keeps most of a voice.
    filter.enable_coarse_filter_output_usage = false;
    filter.coarse.rate = 0.51;
    filter.coarse_reset_hangover_blocks = 4;
    // A shorter filter learns a room sooner, and goes on learning faster; the suppressor takes the tail of the echo.
    filter.refined.length_blocks = 8;
    filter.coarse.length_blocks = 8;
    filter.refined_initial.length_blocks = 7;
    filter.coarse_initial.length_blocks = 7;
    filter.refined.leakage_converged = 0.001_2;
    filter.refined.leakage_diverged = 0.005_5;
    filter.refined.error_floor = 0.026;
    filter.refined.error_ceil = 1.75;
    filter.initial_state_seconds = 0.5;
}

fn set_suppressor(suppressor: &mut config::Suppressor) {
    suppressor.nearend_average_blocks = 3;
    suppressor.last_lf_band = 2;
    suppressor.first_hf_band = 5;
    suppressor.last_lf_smoothing_band = 4;
    suppressor.high_frequency_suppression.limiting_gain_band = 14;
    let normal = &mut suppressor.normal_tuning;
    normal.mask_lf.enr_transparent = 0.13;
    normal.mask_lf.enr_suppress = 0.45;
    normal.mask_hf.enr_transparent = 0.06;
    normal.mask_hf.enr_suppress = 0.117;
    normal.max_inc_factor = 1.75;
    normal.max_dec_factor_lf = 0.26;
    // While this side speaks: less is taken for echo, and for longer.
    let near = &mut suppressor.nearend_tuning;
    near.mask_lf.enr_transparent = 1.17;
    near.mask_lf.enr_suppress = 14.5;
    near.mask_hf.enr_transparent = 0.87;
    near.mask_hf.enr_suppress = 2.1;
    near.max_inc_factor = 3.0;
    near.max_dec_factor_lf = 0.57;
    let detection = &mut suppressor.dominant_nearend_detection;
    detection.enr_threshold = 0.23;
    detection.enr_exit_threshold = 62.0;
    detection.snr_threshold = 6.1;
    detection.hold_duration = 267;
    detection.trigger_threshold = 7;
    detection.use_unbounded_echo_spectrum = false;
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

/// What the speaker played, for whoever comes later and maybe at another pace.
#[derive(Default)]
struct Played {
    /// The last [`Played::REACH`] samples that were taken, and all that were not.
    samples: VecDeque<f32>,
    taken: usize,
    /// How far the next is from a whole sample, 0..1.
    part: f64,
}

impl Played {
    /// Of the interpolation, to either side.
    const REACH: usize = 16;

    fn len(&self) -> usize {
        self.samples.len() - self.taken
    }

    /// Puts silence before all that was not taken.
    fn extend_front(&mut self, samples: usize) {
        (0..samples).for_each(|_| self.samples.insert(self.taken, 0.0));
    }

    fn extend(&mut self, samples: impl IntoIterator<Item = f32>) {
        self.samples.extend(samples);
    }

    /// Fills `out`, `pace` samples for each of it; returns how many there were too few.
    fn take(&mut self, out: &mut [f32], pace: f64) -> usize {
        let mut missing = 0;
        for sample in out {
            if self.len() == 0 {
                *sample = 0.0;
                missing += 1;
                continue;
            }
            *sample = if self.part == 0.0 { self.samples[self.taken] } else { self.between() };
            self.part += pace;
            let whole = self.part.floor();
            self.part -= whole;
            self.leave_out(whole as usize);
        }
        missing
    }

    /// The sound between two samples: a windowed sinc, out of a table.
    fn between(&self) -> f32 {
        const PHASES: usize = 256;
        static TABLE: LazyLock<Vec<[f32; 2 * Played::REACH]>> = LazyLock::new(|| {
            let tap = |phase: usize, n: usize| {
                let x = n as f64 + 1.0 - Played::REACH as f64 - phase as f64 / PHASES as f64;
                let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
                (sinc * (0.5 + 0.5 * (PI * x / (Played::REACH + 1) as f64).cos())) as f32
            };
            (0..=PHASES).map(|phase| std::array::from_fn(|n| tap(phase, n))).collect()
        });
        let place = self.part * PHASES as f64;
        let (phase, share) = (place as usize, place.fract() as f32);
        let taps = TABLE[phase].iter().zip(&TABLE[phase + 1]).map(|(a, b)| a + share * (b - a));
        let first = self.taken as isize + 1 - Self::REACH as isize;
        let sample = |n: usize| usize::try_from(first + n as isize).ok().and_then(|n| self.samples.get(n));
        taps.enumerate().filter_map(|(n, tap)| Some(tap * sample(n)?)).sum()
    }

    /// Leaves out so many; returns how many there were too few.
    fn leave_out(&mut self, samples: usize) -> usize {
        let most = samples.min(self.len());
        self.taken += most;
        let old = self.taken.saturating_sub(Self::REACH);
        self.samples.drain(..old);
        self.taken -= old;
        samples - most
    }
}

/// Takes the echo of the speaker out of a microphone's sound, and lets both voices through when both speak. Holds the
/// sound back by about 4 ms.
///
/// It works in the devices' time: what the speaker played waits in a queue until the microphone has sound to go with it,
/// so that a gap in either, of which it is told, changes nothing between the two.
pub struct EchoCanceller {
    engine: BlockProcessor,
    /// What the speaker played (silence that it put in included) and that has not yet met the microphone's sound.
    played: Played,
    /// Samples of silence that stood for what the speaker played: it had not told yet.
    owed: usize,
    /// Samples of silence that wait first.
    lead: usize,
    /// What the microphone and the speaker hurry by.
    hurry: (f64, f64),
    /// Samples at the beginning of what is rendered next that were not played.
    unplayed: usize,
    /// Samples of what is captured next that the microphone did not hear.
    unheard: usize,
    /// As the engine has it.
    delay_ms: i32,
    /// It was moved away from the edge between two blocks.
    off_edge: bool,
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

    /// More than this never waits for the microphone, in samples: then one of the two stands still, and what is known of
    /// the delay is of no use.
    const MOST: usize = SAMPLE_RATE as usize;

    /// A device's echo is never sooner than this, in samples: so much may the microphone catch up with the speaker.
    const LEAD: usize = SAMPLE_RATE as usize / 50;

    /// When the speaker stood still for more than this, in samples, its delay is another afterwards.
    const ASTRAY: usize = SAMPLE_RATE as usize / 50;

    /// One that knows nothing of the room yet.
    pub fn new() -> Self {
        Self {
            engine: engine(),
            played: Played::default(),
            owed: 0,
            lead: 0,
            hurry: (0.0, 0.0),
            unplayed: 0,
            unheard: 0,
            delay_ms: 0,
            off_edge: false,
            far: Bands::new(0),
            near: Bands::new(0),
            out: Bands::new(Self::AHEAD),
            block: block::Block::new(NUM_BANDS, 1),
            rendered: false,
        }
    }

    /// A canceller that knows nothing lets less through than one that knows the wrong delay.
    fn begin_anew(&mut self) {
        self.engine = engine();
        self.played = Played::default();
        self.played.extend(std::iter::repeat_n(0.0, self.lead));
        self.owed = 0;
        self.off_edge = false;
    }

    /// One step of the devices' time; `lost`: nobody knows what was heard or what was played, and there is nothing to
    /// learn.
    fn step(&mut self, near: &mut Block, far: &Block, lost: bool) {
        self.far.split(far);
        while self.far.take(&mut self.block) {
            self.engine.buffer_render(&self.block);
        }
        // A saturated microphone is not learnt from.
        let saturated = lost || near.iter().any(|sample| sample.abs() > 0.999);
        self.near.split(near);
        while self.near.take(&mut self.block) {
            self.engine.process_capture(false, saturated, None, &mut self.block);
            self.out.put(&self.block);
        }
        self.out.join(near);
        self.leave_edge();
    }

    /// A delay that is found to be one block more or less, and nothing else, lies at the edge between two: each time the
    /// engine takes the other, it begins to learn anew. Half a block away it stays in one.
    fn leave_edge(&mut self) {
        let delay = self.engine.get_metrics().delay_ms;
        let before = std::mem::replace(&mut self.delay_ms, delay);
        if delay.abs_diff(before) == BLOCK_MS && !self.off_edge {
            self.off_edge = true;
            self.played.extend_front(BLOCK_SIZE * 3 / 2);
        }
    }

    /// The next that was played, after `silence` samples of silence, and whether all of it is known.
    fn next_played(&mut self, silence: usize) -> (Block, bool) {
        let mut far = [0.0; crate::TICK_SAMPLES];
        let missing = self.played.take(&mut far[silence..], 1.0 + self.hurry.0 + self.hurry.1);
        self.owed += missing;
        (far, missing == 0)
    }

    /// Sound of which nothing comes out.
    fn pass_over(&mut self, heard: &[f32], lost: bool) {
        let (blocks, rest) = heard.as_chunks::<{ crate::TICK_SAMPLES }>();
        for block in blocks {
            let (far, known) = self.next_played(0);
            self.step(&mut block.clone(), &far, lost || !known);
        }
        self.owed += self.played.leave_out(rest.len());
    }
}

fn engine() -> BlockProcessor {
    BlockProcessor::new(&settings(), SAMPLE_RATE as usize, 1, 1)
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for EchoCanceller {
    fn speaker_slipped(&mut self, slip: &Slip) {
        if slip.anew || slip.put_in > Self::MOST {
            self.lead = Self::LEAD;
            self.begin_anew();
        } else {
            let paid = slip.put_in.min(self.owed);
            self.owed -= paid;
            self.played.extend(std::iter::repeat_n(0.0, slip.put_in - paid));
        }
        self.unplayed += slip.left_out;
        self.hurry.1 = slip.hurry;
    }

    fn microphone_slipped(&mut self, slip: &Slip) {
        if slip.anew || slip.left_out + slip.passed_over.len() > Self::MOST {
            self.begin_anew();
        } else {
            self.pass_over(&slip.passed_over, false);
            self.pass_over(&vec![0.0; slip.left_out], true);
        }
        self.unheard += slip.put_in;
        self.hurry.0 = slip.hurry;
    }

    fn render(&mut self, far: &Block) {
        self.rendered = true;
        let unplayed = self.unplayed.min(far.len());
        self.unplayed -= unplayed;
        if unplayed < far.len() {
            // What is owed now was no silence of the speaker's that it had not told yet: it stood still.
            if self.owed > Self::ASTRAY {
                self.begin_anew();
            }
            self.owed = 0;
            self.played.extend(far[unplayed..].iter().copied());
        }
        if self.played.len() > Self::MOST {
            self.begin_anew();
        }
    }

    fn capture(&mut self, near: &mut Block) {
        let unheard = self.unheard.min(near.len());
        self.unheard -= unheard;
        // While the microphone is silent for want of sound, the devices' time stands still.
        if unheard < near.len() {
            let (far, known) = self.next_played(unheard);
            self.step(near, &far, self.rendered && !known);
        }
    }

    fn report(&self, stats: &mut ProcessStats) {
        if self.rendered {
            let own = self.engine.get_metrics();
            let waiting = self.played.len() as i32 / (SAMPLE_RATE as i32 / 1000);
            stats.echo_delay_ms = u32::try_from(own.delay_ms + waiting).ok();
            stats.echo_return_loss = Some(own.echo_return_loss);
            stats.echo_return_loss_enhancement = Some(own.echo_return_loss_enhancement);
        }
    }
}
