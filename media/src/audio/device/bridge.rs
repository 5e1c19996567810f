//! Between a device's clock and the call's: resamplers whose ratio follows how full the ring between them is.
//!
//! Each side runs at its own idea of 48 kHz, and the device in bursts. The fill of the ring, averaged, tells which side
//! is faster, and the ratio gives way until the fill is at its target: slowly, for an echo canceller must follow every
//! change of delay. What a device does when it begins says nothing about its clock: it is only watched for a second, and
//! then the fill is set right at once. So it is whenever a side stood still. The target is as small as this machine
//! allows, which is found out: each time sound runs out it grows, and slowly shrinks again.

mod steering;

use super::{pcm::Layout, stream::Shared};
use crate::{SAMPLE_RATE, TICK_SAMPLES, audio::slip::Slip};
use rtrb::{Consumer, Producer};
use rubato::{
    Adjustable, Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use steering::{Controller, MAX_DEVIATION, SETTLING, STEP, Steering};

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

/// From a device's ring to the call.
pub(super) struct Inlet {
    ring: Consumer<u8>,
    layout: Layout,
    shared: Arc<Shared>,
    resampler: Async<f32>,
    controller: Controller,
    /// Too little came: wait until the target is reached, so that it does not happen every time.
    starting: bool,
    bytes: Vec<u8>,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Converted and not yet read.
    ready: Vec<f32>,
    /// Samples of `ready` that are silence put in.
    silent: usize,
    /// Frames that found no room, as counted when it was last looked at.
    dropped: u64,
    slip: Slip,
}

impl Inlet {
    pub fn new(ring: Consumer<u8>, layout: Layout, rate: u32, shared: Arc<Shared>) -> Option<Self> {
        let resampler = resampler(f64::from(SAMPLE_RATE) / f64::from(rate), FixedAsync::Output)?;
        let most = resampler.output_frames_max();
        Some(Self {
            ring,
            layout,
            shared,
            controller: Controller::new(rate, true),
            starting: true,
            bytes: Vec::new(),
            input: Vec::new(),
            output: vec![0.0; most],
            ready: Vec::with_capacity(2 * most),
            silent: 0,
            dropped: 0,
            slip: Slip { anew: true, ..Slip::default() },
            resampler,
        })
    }

    /// Fills `out`; false if it had to be silence, of which there are whole ticks only: so an echo canceller can leave
    /// them out.
    pub fn read(&mut self, out: &mut [f32]) -> bool {
        let dropped = self.shared.dropped.load(Relaxed);
        let lost = dropped - std::mem::replace(&mut self.dropped, dropped);
        self.slip.left_out += (lost as f64 / self.controller.rate * f64::from(SAMPLE_RATE)).round() as usize;
        let mut whole = true;
        for part in out.chunks_mut(TICK_SAMPLES) {
            while self.ready.len() < part.len() {
                if !self.convert() {
                    self.put_in(1);
                    whole = false;
                }
            }
            part.copy_from_slice(&self.ready[..part.len()]);
            self.ready.drain(..part.len());
            let silent = self.silent.min(part.len());
            self.silent -= silent;
            self.slip.put_in += silent;
        }
        whole
    }

    /// How what was read lies on the device's time line.
    pub fn take_slip(&mut self) -> Slip {
        std::mem::take(&mut self.slip)
    }

    /// Makes one tick of sound; false if the ring holds too little.
    fn convert(&mut self) -> bool {
        let frames = self.waiting();
        self.controller.observe(&self.shared);
        let target = self.controller.target();
        let excess = self.controller.fill(frames, &self.shared) - target;
        if self.starting {
            if excess < 0.0 {
                return false;
            }
            self.starting = false;
            self.controller.mean = None;
            // What piled up before anybody listened is old.
            self.pass_over((excess / STEP) as usize);
        } else if excess > target + 0.040 {
            self.pass_over((excess / STEP) as usize);
            self.shared.overruns.fetch_add(1, Relaxed);
            self.controller.settle(SETTLING.1);
        }
        let Steering { deviation, mending, excess } = self.controller.steer(self.waiting(), &self.shared);
        self.slip.hurry = mending;
        // Out of range it cannot be: it is clamped to half of what was announced.
        let _ = self.resampler.set_resample_ratio_relative(1.0 / (1.0 + deviation), true);
        let ticks = (excess / STEP) as isize;
        if ticks > 0 {
            self.pass_over(ticks.unsigned_abs());
        } else if ticks < 0 {
            // Meanwhile the ring fills.
            self.put_in(ticks.unsigned_abs());
        }
        if self.ready.len() >= TICK_SAMPLES || self.produce() {
            return true;
        }
        self.starting = true;
        // A device that is lost is no underrun of one that lags.
        if !self.shared.lost.load(Relaxed) {
            self.shared.underruns.fetch_add(1, Relaxed);
            self.controller.ran_out();
        }
        false
    }

    /// Frames that wait, in the ring and behind it.
    fn waiting(&self) -> usize {
        self.ring.slots() / self.layout.frame_bytes()
            + (self.ready.len() as f64 / f64::from(SAMPLE_RATE) * self.controller.rate) as usize
    }

    /// Converts the next of the ring into `ready`; false if it holds too little.
    fn produce(&mut self) -> bool {
        let frame = self.layout.frame_bytes();
        let needed = self.resampler.input_frames_next();
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

    /// Lets so many ticks of sound go unheard by the call.
    fn pass_over(&mut self, ticks: usize) {
        for _ in 0..ticks {
            if self.ready.len() < TICK_SAMPLES && !self.produce() {
                return;
            }
            // Silence that was put in was never heard by the device.
            let silent = self.silent.min(TICK_SAMPLES);
            self.silent -= silent;
            self.slip.passed_over.extend(self.ready.drain(..TICK_SAMPLES).skip(silent));
        }
    }

    fn put_in(&mut self, ticks: usize) {
        self.ready.resize(self.ready.len() + ticks * TICK_SAMPLES, 0.0);
        self.silent += ticks * TICK_SAMPLES;
    }
}

/// From the call to a device's ring.
pub(super) struct Outlet {
    ring: Producer<u8>,
    layout: Layout,
    shared: Arc<Shared>,
    resampler: Async<f32>,
    controller: Controller,
    /// As counted by the callback when it was last looked at.
    underruns: u64,
    /// Frames of silence, as counted by the callback; None: nothing was written yet.
    silence: Option<u64>,
    /// Frames of silence that are less than a sample.
    part: f64,
    slip: Slip,
    /// Frames still to be left out.
    skip: usize,
    /// The device takes nothing: counted once.
    stalled: bool,
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
            underruns: shared.underruns.load(Relaxed),
            shared,
            controller: Controller::new(rate, false),
            silence: None,
            part: 0.0,
            slip: Slip { anew: true, ..Slip::default() },
            skip: 0,
            stalled: false,
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
        let underruns = self.shared.underruns.load(Relaxed);
        let ran_out = std::mem::replace(&mut self.underruns, underruns) < underruns;
        if ran_out {
            self.controller.ran_out();
        }
        let capacity = self.ring.buffer().capacity();
        let frames = (capacity - self.ring.slots()) / frame;
        self.controller.observe(&self.shared);
        let target = self.controller.target();
        let (wanted, most) = (self.controller.frames(target), self.controller.frames(2.0 * target + 0.040));
        if frames > most {
            // The device stands still: what it does not take now it would play too late. Before it has started, or
            // after it is lost, that is no overrun.
            if self.shared.running() && !std::mem::replace(&mut self.stalled, true) {
                self.shared.overruns.fetch_add(1, Relaxed);
            }
            self.controller.settle(SETTLING.1);
            self.slip.left_out += TICK_SAMPLES;
            return;
        }
        self.stalled = false;
        self.bytes.clear();
        let silence = self.shared.silence.load(Relaxed);
        // What was played before there was anything to play is no gap.
        let gap = silence - self.silence.replace(silence).unwrap_or(silence);
        self.note_silence(gap as f64);
        if frames < wanted / 4 || (ran_out && frames < wanted) {
            // Ran empty, or begins: some silence first, so that it does not run empty every time.
            self.output_silence(wanted - frames);
            self.controller.mean = None;
        }
        let Steering { deviation, mending, excess } =
            self.controller.steer(frames + self.bytes.len() / frame, &self.shared);
        if excess < 0.0 {
            self.output_silence(self.controller.frames(-excess));
        } else {
            self.skip += self.controller.frames(excess);
        }
        // As in `Inlet`.
        let _ = self.resampler.set_resample_ratio_relative(1.0 / (1.0 + deviation), true);
        self.slip.hurry = mending;
        let made = run(&mut self.resampler, &self.input[..TICK_SAMPLES], &mut self.output);
        let skipped = self.skip.min(made);
        self.skip -= skipped;
        self.slip.left_out += (skipped * TICK_SAMPLES).checked_div(made).unwrap_or(0);
        self.layout.encode(&self.output[skipped..made], &mut self.bytes);
        // It fits: the ring holds more than `most` and a tick.
        let _ = self.ring.push_entire_slice(&self.bytes);
    }

    /// How what was written lies on the device's time line.
    pub fn take_slip(&mut self) -> Slip {
        std::mem::take(&mut self.slip)
    }

    fn note_silence(&mut self, frames: f64) {
        let samples = frames / self.controller.rate * f64::from(SAMPLE_RATE) + self.part;
        self.part = samples.fract();
        self.slip.put_in += samples as usize;
    }

    fn output_silence(&mut self, frames: usize) {
        self.note_silence(frames as f64);
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
        add(&shared.dropped, ((bytes.len() - taken) / frame) as u64);
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
    add(&shared.silence, (rest.len() / frame) as u64);
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

#[cfg(test)]
mod echo_tests;
