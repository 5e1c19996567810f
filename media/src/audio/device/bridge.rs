//! Between a device's clock and the call's: resamplers whose ratio follows how full the ring between them is.
//!
//! Each side runs at its own idea of 48 kHz, and the device in bursts. The fill of the ring, averaged over a second,
//! tells which side is faster; the ratio gives way by at most 0.5 % (nobody hears that) until the fill is at its
//! target. What that cannot mend (a side that stood still) is mended at once: too much is dropped, too little is
//! waited for. So the delay stays near the target, whatever happens.

use super::{pcm::Layout, stream::Shared};
use crate::{SAMPLE_RATE, TICK_SAMPLES};
use rtrb::{Consumer, Producer};
use rubato::{
    Adjustable, Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The delay aimed at, in seconds, unless the device's bursts need more.
const TARGET: f64 = 0.020;

/// No burst, however large, makes the target larger than this.
const MAX_TARGET: f64 = 0.200;

/// Ratio change for each second of fill that is off target: 10 ms off give 0.2 %.
const GAIN: f64 = 0.2;

/// The most the ratio gives way.
const MAX_DEVIATION: f64 = 0.005;

/// Room in the ring, in seconds.
pub(super) const RING: f64 = 0.5;

fn resampler(ratio: f64, fixed: FixedAsync) -> Option<Async<f32>> {
    let parameters = SincInterpolationParameters {
        sinc_len: 128,
        f_cutoff: None,
        interpolation: SincInterpolationType::Quadratic,
        oversampling_factor: 128,
        window: WindowFunction::BlackmanHarris2,
    };
    Async::new_sinc(ratio, 1.0 + 2.0 * MAX_DEVIATION, &parameters, TICK_SAMPLES, 1, fixed).ok()
}

/// Steers a ratio by a fill.
struct Controller {
    /// Device frames per second.
    rate: f64,
    /// Mean fill in seconds.
    mean: Option<f64>,
}

impl Controller {
    fn target(&self, shared: &Shared) -> f64 {
        let burst = shared.burst.load(Relaxed) as f64 / self.rate;
        // A tick is read at once and a burst may just be missed; a little is for the controller to be wrong.
        (burst + 0.015).clamp(TARGET, MAX_TARGET)
    }

    /// How much faster than its nominal rate the device is to be read (or the slower it is to be fed), given that
    /// `frames` wait in the ring.
    fn deviation(&mut self, frames: usize, shared: &Shared) -> f64 {
        let fill = frames as f64 / self.rate;
        let before = self.mean.unwrap_or(fill);
        let mean = before + (fill - before) * 0.01;
        self.mean = Some(mean);
        shared.fill_us.store((mean * 1e6) as u32, Relaxed);
        (GAIN * (mean - self.target(shared))).clamp(-MAX_DEVIATION, MAX_DEVIATION)
    }

    fn frames(&self, seconds: f64) -> usize {
        (seconds * self.rate) as usize
    }
}

/// From a device's ring to the call.
pub(super) struct Inlet {
    ring: Consumer<u8>,
    layout: Layout,
    shared: Arc<Shared>,
    resampler: Async<f32>,
    controller: Controller,
    /// Too little came: wait until the target is reached, so that it does not happen every time.
    waiting: bool,
    bytes: Vec<u8>,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Converted and not yet read.
    ready: Vec<f32>,
}

impl Inlet {
    pub fn new(ring: Consumer<u8>, layout: Layout, rate: u32, shared: Arc<Shared>) -> Option<Self> {
        let resampler = resampler(f64::from(SAMPLE_RATE) / f64::from(rate), FixedAsync::Output)?;
        let most = resampler.output_frames_max();
        Some(Self {
            ring,
            layout,
            shared,
            controller: Controller { rate: rate.into(), mean: None },
            waiting: true,
            bytes: Vec::new(),
            input: Vec::new(),
            output: vec![0.0; most],
            ready: Vec::with_capacity(2 * most),
            resampler,
        })
    }

    /// Fills `out`; false if some of it had to be silence.
    pub fn read(&mut self, out: &mut [f32]) -> bool {
        let mut whole = true;
        while self.ready.len() < out.len() {
            if !self.convert() {
                self.ready.resize(out.len(), 0.0);
                whole = false;
            }
        }
        out.copy_from_slice(&self.ready[..out.len()]);
        self.ready.drain(..out.len());
        whole
    }

    /// Makes one tick of sound; false if the ring holds too little.
    fn convert(&mut self) -> bool {
        let frame = self.layout.frame_bytes();
        let mut frames = self.ring.slots() / frame;
        let target = self.controller.target(&self.shared);
        let (wanted, most) = (self.controller.frames(target), self.controller.frames(2.0 * target + 0.040));
        if self.waiting {
            if frames < wanted {
                return false;
            }
            self.waiting = false;
            self.controller.mean = None;
            // What piled up before anybody listened is old.
            frames -= self.discard(frames - wanted);
        } else if frames > most {
            let dropped = self.discard(frames - wanted);
            frames -= dropped;
            self.shared.overruns.fetch_add(1, Relaxed);
            self.controller.mean = None;
        }
        let deviation = self.controller.deviation(frames, &self.shared);
        // Out of range it cannot be: it is clamped to half of what was announced.
        let _ = self.resampler.set_resample_ratio_relative(1.0 / (1.0 + deviation), true);
        let needed = self.resampler.input_frames_next();
        if frames < needed {
            self.waiting = true;
            // A device that is lost is no underrun of one that lags.
            if !self.shared.lost.load(Relaxed) {
                self.shared.underruns.fetch_add(1, Relaxed);
            }
            return false;
        }
        self.bytes.resize(needed * frame, 0);
        if self.ring.pop_entire_slice(&mut self.bytes).is_err() {
            return false;
        }
        self.input.clear();
        self.layout.decode(&self.bytes, &mut self.input);
        let made = run(&mut self.resampler, &self.input, &mut self.output);
        self.ready.extend_from_slice(&self.output[..made]);
        made > 0
    }

    fn discard(&mut self, frames: usize) -> usize {
        match self.ring.read_chunk(frames * self.layout.frame_bytes()) {
            Ok(chunk) => {
                chunk.commit_all();
                frames
            }
            Err(_) => 0,
        }
    }
}

/// From the call to a device's ring.
pub(super) struct Outlet {
    ring: Producer<u8>,
    layout: Layout,
    shared: Arc<Shared>,
    resampler: Async<f32>,
    controller: Controller,
    input: Vec<f32>,
    output: Vec<f32>,
    bytes: Vec<u8>,
}

impl Outlet {
    pub fn new(ring: Producer<u8>, layout: Layout, rate: u32, shared: Arc<Shared>) -> Option<Self> {
        let resampler = resampler(f64::from(rate) / f64::from(SAMPLE_RATE), FixedAsync::Input)?;
        let most = resampler.output_frames_max();
        Some(Self {
            ring,
            layout,
            shared,
            controller: Controller { rate: rate.into(), mean: None },
            input: Vec::with_capacity(2 * TICK_SAMPLES),
            output: vec![0.0; most],
            bytes: Vec::new(),
            resampler,
        })
    }

    pub fn write(&mut self, samples: &[f32]) {
        self.input.extend_from_slice(samples);
        while self.input.len() >= TICK_SAMPLES {
            self.convert();
            self.input.drain(..TICK_SAMPLES);
        }
    }

    fn convert(&mut self) {
        let frame = self.layout.frame_bytes();
        let capacity = self.ring.buffer().capacity();
        let frames = (capacity - self.ring.slots()) / frame;
        let target = self.controller.target(&self.shared);
        let (wanted, most) = (self.controller.frames(target), self.controller.frames(2.0 * target + 0.040));
        if frames > most {
            // The device stands still: what it does not take now it would play too late. Before it has started, or
            // after it is lost, that is no overrun.
            if self.shared.running() {
                self.shared.overruns.fetch_add(1, Relaxed);
            }
            self.controller.mean = None;
            return;
        }
        self.bytes.clear();
        if frames < wanted / 4 {
            // Ran empty, or begins: some silence first, so that it does not run empty every time.
            self.output_silence(wanted - frames);
            self.controller.mean = None;
        }
        let deviation = self.controller.deviation(frames + self.bytes.len() / frame, &self.shared);
        // As in `Inlet`.
        let _ = self.resampler.set_resample_ratio_relative(1.0 / (1.0 + deviation), true);
        let made = run(&mut self.resampler, &self.input[..TICK_SAMPLES], &mut self.output);
        self.layout.encode(&self.output[..made], &mut self.bytes);
        // It fits: the ring holds more than `most` and a tick.
        let _ = self.ring.push_entire_slice(&self.bytes);
    }

    fn output_silence(&mut self, frames: usize) {
        let from = self.bytes.len();
        self.bytes.resize(from + frames * self.layout.frame_bytes(), 0);
        self.layout.silence(&mut self.bytes[from..]);
    }
}

fn run(resampler: &mut Async<f32>, input: &[f32], output: &mut [f32]) -> usize {
    let capacity = output.len();
    let (Ok(input), Ok(mut output)) =
        (InterleavedSlice::new(input, 1, input.len()), InterleavedSlice::new_mut(output, 1, capacity))
    else {
        return 0;
    };
    resampler.process_into_buffer(&input, &mut output, Some(&Indexing::new())).map_or(0, |(_, made)| made)
}

/// The device's end of an [`Inlet`]'s ring. Runs in a real-time callback.
pub(super) fn deliver(ring: &mut Producer<u8>, bytes: &[u8], frame: usize, shared: &Shared) {
    shared.note_callback(bytes.len() / frame);
    // Whole frames only, or all that follows would be shifted.
    let room = ring.slots() / frame * frame;
    let taken = bytes.len().min(room);
    if taken < bytes.len() {
        add(&shared.device_overruns, 1);
    }
    let _ = ring.push_entire_slice(&bytes[..taken]);
}

/// The device's end of an [`Outlet`]'s ring. Runs in a real-time callback.
pub(super) fn collect(ring: &mut Consumer<u8>, out: &mut [u8], layout: Layout, shared: &Shared) {
    let frame = layout.frame_bytes();
    shared.note_callback(out.len() / frame);
    let available = ring.slots() / frame * frame;
    let taken = out.len().min(available);
    let (sound, rest) = out.split_at_mut(taken);
    let _ = ring.pop_entire_slice(sound);
    layout.silence(rest);
    // Counted once for each time it runs empty: a speaker nobody speaks to is empty all the time.
    let sounding = rest.is_empty();
    if shared.sounding.swap(sounding, Relaxed) && !sounding {
        add(&shared.underruns, 1);
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Relaxed);
}

#[cfg(test)]
mod tests;
