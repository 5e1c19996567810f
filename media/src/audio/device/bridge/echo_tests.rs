//! The bridges, a room between the two devices, and the echo canceller behind them, in virtual time: devices whose clocks
//! differ, and every gap there can be.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    audio::{
        level::Level,
        process::{
            NoiseSuppressor, ProcessConfig, Processor,
            room::{Room, RoomConfig},
        },
        source::Source,
    },
    samples::AGENT,
};
use cpal::SampleFormat;
use rtrb::RingBuffer;

const LAYOUT: Layout = Layout { format: SampleFormat::F32, channels: 1 };
const BURST: usize = 480;
const ECHO: ProcessConfig = ProcessConfig { echo: true, noise: NoiseSuppressor::Off, gain: false };

/// What stands still, from when on and for how long, in milliseconds.
#[derive(Debug, Clone, Copy)]
enum Gap {
    /// The call: the clock makes up for what it missed, up to half a second.
    Call(usize, usize),
    /// The sound server: no callbacks, and then all that were due.
    Server(usize, usize),
    /// The speaker takes nothing, and plays nothing.
    Speaker(usize, usize),
    /// The speaker plays silence for so long, and nobody is told.
    Untold(usize, usize),
}

struct World {
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

impl World {
    fn new((speaker_ppm, microphone_ppm): (f64, f64)) -> Self {
        let ring = || RingBuffer::new((RING * 48_000.0) as usize * LAYOUT.frame_bytes());
        let (speaker, microphone) = (Arc::new(Shared::default()), Arc::new(Shared::default()));
        let ((to_speaker, speaker_ring), (microphone_ring, from_microphone)) = (ring(), ring());
        let room = RoomConfig { delay_ms: 40.0, reverberation_ms: 90.0, ..RoomConfig::default() };
        Self {
            outlet: Outlet::new(to_speaker, LAYOUT, 48_000, speaker.clone()).unwrap(),
            speaker_ring,
            speaker,
            inlet: Inlet::new(from_microphone, LAYOUT, 48_000, microphone.clone()).unwrap(),
            microphone_ring,
            microphone,
            room: Room::new(room),
            rates: (48.0 * (1.0 + speaker_ppm / 1e6), 48.0 * (1.0 + microphone_ppm / 1e6)),
            echo: Vec::new(),
            behind: 0.0,
            heard_frames: 0,
        }
    }

    fn play(&mut self, silent: bool) {
        let (mut bytes, mut played) = (vec![0; BURST * LAYOUT.frame_bytes()], Vec::new());
        if !silent {
            collect(&mut self.speaker_ring, &mut bytes, LAYOUT, &self.speaker);
        }
        LAYOUT.decode(&bytes, &mut played);
        self.echo.extend(self.room.echo(played.as_slice().try_into().unwrap()));
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
                let sinc = if x.abs() < 1e-9 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
                let window = 0.5 + 0.5 * (std::f64::consts::PI * x / (REACH + 1) as f64).cos();
                sample * (sinc * window) as f32
            })
            .sum()
    }
}

/// What the microphone gave the call, and what the canceller made of it.
struct Heard {
    microphone: Vec<f32>,
    out: Vec<f32>,
    gaps: u64,
}

impl Heard {
    /// By how many dB the echo is weaker between two seconds.
    fn removed(&self, from: f64, to: f64) -> f32 {
        let part = (from * 48_000.0) as usize..((to * 48_000.0) as usize).min(self.out.len());
        Level::of(&self.microphone[part.clone()]).rms - Level::of(&self.out[part]).rms
    }
}

fn voice(seconds: usize) -> Vec<f32> {
    let mut all = vec![0.0; 16 * 48_000];
    AGENT.source().unwrap().read(&mut all);
    let at = |seconds: f64| (seconds * 48_000.0) as usize;
    let said = AGENT.utterances.iter().flat_map(|said| all[at(said.start_s - 0.1)..at(said.end_s + 0.1)].to_vec());
    said.collect::<Vec<_>>().into_iter().cycle().take(seconds * 48_000).collect()
}

/// A voice is played for so many seconds, and its echo heard.
fn call(ppm: (f64, f64), seconds: usize, gaps: &[Gap]) -> Heard {
    let mut world = World::new(ppm);
    let mut processor = Processor::new(&ECHO);
    let voice = voice(seconds + 1);
    let mut heard = Heard { microphone: Vec::new(), out: Vec::new(), gaps: 0 };
    let (mut tick, mut next, mut late) = (0, 0, false);
    for now in 0..seconds * 1000 {
        let within = |from: usize, length: usize| (from..from + length).contains(&now);
        let stands = |which: fn(&Gap) -> Option<(usize, usize)>| {
            gaps.iter().filter_map(which).any(|(from, length)| within(from, length))
        };
        for gap in gaps {
            match *gap {
                Gap::Untold(from, length) if from == now => (0..length / 10).for_each(|_| world.play(true)),
                Gap::Speaker(from, length) if within(from, length) => world.behind += world.rates.0,
                _ => {}
            }
        }
        if !stands(|gap| if let Gap::Server(from, length) = *gap { Some((from, length)) } else { None }) {
            world.devices(now as f64, late);
            late = false;
        } else {
            late = true;
        }
        if stands(|gap| if let Gap::Call(from, length) = *gap { Some((from, length)) } else { None }) {
            continue;
        }
        if now > next + 500 {
            next = now;
        }
        for shared in [&world.speaker, &world.microphone] {
            shared.virtual_us.store(now as u64 * 1000, Relaxed);
        }
        while next <= now {
            let mut block = [0.0; TICK_SAMPLES];
            world.inlet.read(&mut block);
            heard.microphone.extend(block);
            processor.microphone_slipped(&world.inlet.take_slip());
            processor.capture(&mut block);
            heard.out.extend(block);
            let far: &[f32; TICK_SAMPLES] = voice[tick * TICK_SAMPLES..][..TICK_SAMPLES].try_into().unwrap();
            world.outlet.write(far);
            processor.speaker_slipped(&world.outlet.take_slip());
            processor.render(far);
            tick += 1;
            next += 10;
        }
    }
    let count = |shared: &Shared| shared.underruns.load(Relaxed) + shared.overruns.load(Relaxed);
    heard.gaps = count(&world.speaker) + count(&world.microphone) + world.microphone.device_overruns.load(Relaxed);
    heard
}

fn show(name: &str, heard: &Heard) {
    let seconds = heard.out.len() / 48_000;
    let each: Vec<_> = (0..seconds).map(|n| format!("{:.0}", heard.removed(n as f64, n as f64 + 1.0))).collect();
    println!("{name}: {:.1} dB, {} gaps: {}", heard.removed(2.0, seconds as f64), heard.gaps, each.join(" "));
}

#[test]
fn devices_of_one_clock_leave_no_echo_whatever_the_call_s_clock_is() {
    for ppm in [0.0, 200.0, -200.0] {
        let heard = call((ppm, ppm), 12, &[]);
        show(&format!("both {ppm} ppm"), &heard);
        assert_eq!(heard.gaps, 0);
        assert!(heard.removed(2.0, 12.0) >= 35.0);
    }
}

#[test]
fn devices_whose_clocks_differ_leave_no_echo_once_that_is_learnt() {
    for ppm in [(200.0, -200.0), (-200.0, 200.0)] {
        let heard = call(ppm, 20, &[]);
        show(&format!("{ppm:?} ppm"), &heard);
        assert_eq!(heard.gaps, 0);
        assert!(heard.removed(10.0, 20.0) >= 35.0);
    }
}

#[test]
fn a_gap_that_is_counted_changes_nothing_for_the_canceller() {
    let gaps = [Gap::Call(6_000, 150), Gap::Call(6_000, 450), Gap::Call(6_000, 900)];
    for gap in gaps.into_iter().chain([60, 250, 900].map(|length| Gap::Server(6_000, length))) {
        let heard = call((50.0, 50.0), 12, &[gap]);
        show(&format!("{gap:?}"), &heard);
        assert!(heard.gaps > 0, "{gap:?} is no gap");
        // From the gap on, the second in which it is included.
        assert!(heard.removed(6.0, 12.0) >= 30.0, "{gap:?}");
        assert!(heard.removed(7.0, 12.0) >= 35.0, "{gap:?}");
    }
}

#[test]
fn many_gaps_are_got_over_one_by_one() {
    let gaps: Vec<_> = (0..8)
        .map(|n| match n % 2 {
            0 => Gap::Server(4_000 + n * 1_700, 40 + 30 * n),
            _ => Gap::Call(4_000 + n * 1_700, 60 + 40 * n),
        })
        .collect();
    let heard = call((20.0, 20.0), 22, &gaps);
    show("eight gaps in twelve seconds", &heard);
    assert!(heard.gaps >= 8);
    // The gaps themselves included, which are up to a quarter of all.
    assert!(heard.removed(4.0, 17.0) >= 20.0);
    assert!(heard.removed(18.0, 22.0) >= 35.0);
}

#[test]
fn a_gap_that_nobody_tells_of_is_found_out() {
    for gap in [Gap::Speaker(6_000, 400), Gap::Untold(6_000, 50)] {
        let heard = call((50.0, 50.0), 14, &[gap]);
        show(&format!("{gap:?}"), &heard);
        assert!(heard.removed(10.0, 14.0) >= 35.0, "{gap:?}");
    }
}
