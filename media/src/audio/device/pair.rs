//! Two made-up devices with a room between them, in virtual time, and the sound of a call through both: for the tests and
//! the lab. Their clocks may differ, and there may be every gap that there can be.

use super::{
    bridge::{Inlet, Outlet, RING, collect, deliver},
    pcm::Layout,
    stream::Shared,
};
use crate::{
    SAMPLE_RATE, TICK_SAMPLES,
    audio::{
        level::Level,
        process::{
            Block, Processor,
            room::{Room, RoomConfig},
        },
    },
};
use cpal::SampleFormat;
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    f64::consts::PI,
    sync::{Arc, atomic::Ordering::Relaxed},
};

const LAYOUT: Layout = Layout { format: SampleFormat::F32, channels: 1 };
/// One block for the room.
const BURST: usize = TICK_SAMPLES;

/// What stands still, from when on and for how long, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Gap {
    /// The call: the clock makes up for what it missed, up to half a second.
    Call(usize, usize),
    /// The sound server: no callbacks, and then all that were due.
    Server(usize, usize),
    /// The speaker takes nothing, and plays nothing.
    Speaker(usize, usize),
    /// The speaker plays silence for so long, and nobody is told.
    Untold(usize, usize),
}

impl Gap {
    /// Whether it is of this kind and lasts at `now`.
    fn lasts(self, now: usize) -> bool {
        let (Self::Call(from, length)
        | Self::Server(from, length)
        | Self::Speaker(from, length)
        | Self::Untold(from, length)) = self;
        (from..from + length).contains(&now)
    }
}

/// A speaker, a room, and a microphone that hears what the room makes of it.
pub struct Pair {
    outlet: Outlet,
    speaker_ring: Consumer<u8>,
    speaker: Arc<Shared>,
    inlet: Inlet,
    microphone_ring: Producer<u8>,
    microphone: Arc<Shared>,
    room: Room,
    /// Frames of the speaker's and the microphone's clock in a millisecond.
    rates: (f64, f64),
    /// What the room makes of what the speaker played, by the speaker's clock.
    echo: Vec<f32>,
    /// By how many frames the speaker's time is late.
    behind: f64,
    heard_frames: usize,
}

impl Pair {
    /// Two devices whose clocks are so many millionths fast. None if the resampler
    /// cannot be had.
    pub fn new((speaker_ppm, microphone_ppm): (f64, f64)) -> Option<Self> {
        let ring = || RingBuffer::new((RING * f64::from(SAMPLE_RATE)) as usize * LAYOUT.frame_bytes());
        let (speaker, microphone) = (Arc::new(Shared::default()), Arc::new(Shared::default()));
        let ((to_speaker, speaker_ring), (microphone_ring, from_microphone)) = (ring(), ring());
        let room = RoomConfig { delay_ms: 40.0, reverberation_ms: 90.0, ..RoomConfig::default() };
        Some(Self {
            outlet: Outlet::new(to_speaker, LAYOUT, SAMPLE_RATE, speaker.clone())?,
            speaker_ring,
            speaker,
            inlet: Inlet::new(from_microphone, LAYOUT, SAMPLE_RATE, microphone.clone())?,
            microphone_ring,
            microphone,
            room: Room::new(room),
            rates: (48.0 * (1.0 + speaker_ppm / 1e6), 48.0 * (1.0 + microphone_ppm / 1e6)),
            echo: Vec::new(),
            behind: 0.0,
            heard_frames: 0,
        })
    }

    fn play(&mut self, silent: bool) {
        let (mut bytes, mut played) = (vec![0; BURST * LAYOUT.frame_bytes()], Vec::new());
        if !silent {
            collect(&mut self.speaker_ring, &mut bytes, LAYOUT, &self.speaker);
        }
        LAYOUT.decode(&bytes, &mut played);
        for block in played.as_chunks::<TICK_SAMPLES>().0 {
            self.echo.extend(self.room.echo(block));
        }
    }

    /// All bursts that are due.
    fn devices(&mut self, now: f64, late: bool) {
        let tell = |shared: &Shared, ms: f64| shared.virtual_us.store((ms * 1000.0) as u64, Relaxed);
        while (self.echo.len() as f64) <= now * self.rates.0 - self.behind {
            tell(&self.speaker, if late { now } else { (self.echo.len() as f64 + self.behind) / self.rates.0 });
            self.play(false);
        }
        while ((self.heard_frames + BURST) as f64) <= now * self.rates.1 {
            let at = |frame: usize| self.at(frame as f64 * self.rates.0 / self.rates.1 - self.behind);
            let heard: Vec<f32> = (self.heard_frames..self.heard_frames + BURST).map(at).collect();
            self.heard_frames += BURST;
            tell(&self.microphone, if late { now } else { self.heard_frames as f64 / self.rates.1 });
            let mut bytes = Vec::new();
            LAYOUT.encode(&heard, &mut bytes);
            deliver(&mut self.microphone_ring, &bytes, LAYOUT.frame_bytes(), &self.microphone);
        }
    }

    /// The echo between two frames of the speaker's: a windowed sinc.
    fn at(&self, place: f64) -> f32 {
        const REACH: isize = 16;
        let (whole, part) = (place.floor() as isize, place.fract());
        (1 - REACH..=REACH)
            .map(|n| {
                let sample = usize::try_from(whole + n).ok().and_then(|n| self.echo.get(n)).copied().unwrap_or(0.0);
                let x = n as f64 - part;
                let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
                let window = 0.5 + 0.5 * (PI * x / (REACH + 1) as f64).cos();
                sample * (sinc * window) as f32
            })
            .sum()
    }

    /// Plays all of `voice` and hears its echo, which `processor` takes out.
    pub fn call(mut self, processor: &mut Processor, voice: &[f32], gaps: &[Gap]) -> Heard {
        let mut heard = Heard::default();
        let mut blocks = voice.as_chunks::<TICK_SAMPLES>().0.iter();
        let (mut next, mut late) = (0, false);
        for now in 0..voice.len() / (SAMPLE_RATE as usize / 1000) {
            let last = |kind: fn(&Gap) -> bool| gaps.iter().any(|gap| kind(gap) && gap.lasts(now));
            if last(|gap| matches!(gap, Gap::Speaker(..))) {
                self.behind += self.rates.0;
            }
            if last(|gap| matches!(gap, Gap::Untold(..))) && now % 10 == 0 {
                self.play(true);
            }
            let stands = last(|gap| matches!(gap, Gap::Server(..)));
            if !stands {
                self.devices(now as f64, late);
            }
            late = stands;
            if last(|gap| matches!(gap, Gap::Call(..))) {
                continue;
            }
            if now > next + 500 {
                next = now;
            }
            for shared in [&self.speaker, &self.microphone] {
                shared.virtual_us.store(now as u64 * 1000, Relaxed);
            }
            while next <= now {
                let Some(far) = blocks.next() else { break };
                self.tick(processor, far, &mut heard);
                next += 10;
            }
        }
        let count = |shared: &Shared| shared.underruns.load(Relaxed) + shared.overruns.load(Relaxed);
        heard.gaps = count(&self.speaker) + count(&self.microphone) + self.microphone.device_overruns.load(Relaxed);
        heard
    }

    /// One step of the call.
    fn tick(&mut self, processor: &mut Processor, far: &Block, heard: &mut Heard) {
        let mut block = [0.0; TICK_SAMPLES];
        self.inlet.read(&mut block);
        heard.microphone.extend(block);
        processor.microphone_slipped(&self.inlet.take_slip());
        processor.capture(&mut block);
        heard.out.extend(block);
        self.outlet.write(far);
        processor.speaker_slipped(&self.outlet.take_slip());
        processor.render(far);
    }
}

/// What the microphone gave the call, and what the canceller made of it.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Out of the microphone.
    pub microphone: Vec<f32>,
    /// The same without the echo.
    pub out: Vec<f32>,
    /// Gaps counted in both devices.
    pub gaps: u64,
}

impl Heard {
    /// By how many dB the echo is weaker between two seconds.
    pub fn removed(&self, from: usize, to: usize) -> f32 {
        let second = SAMPLE_RATE as usize;
        let part = (from * second).min(self.out.len())..(to * second).min(self.out.len());
        Level::of(&self.microphone[part.clone()]).rms - Level::of(&self.out[part]).rms
    }
}
