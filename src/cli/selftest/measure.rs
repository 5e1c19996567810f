//! The measuring: three chirps, then a recorded voice, with the microphone open all the time.

use chatphone_media::audio::chirp;
use chatphone_media::audio::device::{self, Direction, Microphone, Monitor, Speaker};
use chatphone_media::audio::level::{FLOOR, Level};
use chatphone_media::audio::process::{NoiseSuppressor, ProcessConfig, Processor};
use chatphone_media::audio::sink::Sink;
use chatphone_media::audio::slip::Slip;
use chatphone_media::audio::source::{Source, SourceState};
use chatphone_media::audio::watch::MicrophoneWatch;
use chatphone_media::samples::AGENT;
use chatphone_media::{SAMPLE_RATE, TICK, TICK_SAMPLES};
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// How long devices may take to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(6);
/// Ticks without a gap before anything is measured: the devices' clocks are looked at meanwhile.
const STEADY: usize = 150;
/// A device that called back within this is alive.
const ALIVE: Duration = Duration::from_millis(300);
const CHIRPS: usize = 3;
/// From one chirp to the next, in samples: more than any sane round trip.
const CHIRP_EVERY: usize = 48_000;
/// How long a chirp may take to come back, in samples.
const CHIRP_WITHIN: usize = 38_400;
/// The voice's first seconds teach the canceller the room; each second after them is judged, up to the last.
const VOICE: (usize, usize) = (5, 10);

/// A machine that is busy for some seconds disturbs a measurement of the echo, and hardly three: one in which too little
/// is taken out, in dB, is made again.
const ECHO_ROUNDS: usize = 3;
const ENOUGH: f32 = 25.0;

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Measured {
    /// The loudest the microphone heard, in dBFS.
    pub(super) microphone_peak_dbfs: Option<f32>,
    /// What it heard while nothing was played, in dBFS RMS.
    pub(super) noise_dbfs: Option<f32>,
    pub(super) clipped_samples: u64,
    /// Whether the microphone hears the speaker.
    pub(super) hears_speaker: bool,
    /// From a sample handed to the speaker to the same sample out of the microphone: the median of the chirps heard.
    pub(super) round_trip_ms: Option<f64>,
    /// How much weaker a chirp comes back, in dB.
    pub(super) echo_return_loss_db: Option<f32>,
    /// How much of a voice's echo the processing takes out, in dB, after some seconds.
    pub(super) echo_cancelled_db: Option<f32>,
    /// What is left of it, in dBFS RMS.
    pub(super) echo_left_dbfs: Option<f32>,
    /// Times that sound was missing.
    pub(super) gaps: u64,
    #[serde(skip)]
    pub(super) microphone_missing: bool,
    #[serde(skip)]
    pub(super) speaker_missing: bool,
    #[serde(skip)]
    pub(super) is_monitor: bool,
}

/// Both devices, ticked together, so that a place in what was played is the same moment as that in what was heard.
struct Bench<'a> {
    microphone: Option<&'a mut Microphone>,
    speaker: Option<&'a mut Speaker>,
    watch: MicrophoneWatch,
    next: Instant,
    /// The slips of the devices, a microphone's and a speaker's for each tick.
    slips: Vec<(Slip, Slip)>,
}

impl Bench<'_> {
    /// Plays one block and hears one; whether it was whole.
    fn tick(&mut self, played: &[f32; TICK_SAMPLES]) -> ([f32; TICK_SAMPLES], bool) {
        if let Some(speaker) = &mut self.speaker {
            speaker.write(played);
        }
        let (mut heard, mut whole) = ([0.0; TICK_SAMPLES], true);
        if let Some(microphone) = &mut self.microphone {
            whole = microphone.read(&mut heard) == SourceState::Playing;
            self.watch.add(&heard);
        }
        let microphone = self.microphone.as_mut().map(|microphone| microphone.take_slip()).unwrap_or_default();
        let speaker = self.speaker.as_mut().map(|speaker| speaker.take_slip()).unwrap_or_default();
        self.slips.push((microphone, speaker));
        self.next += TICK;
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        (heard, whole)
    }

    /// Plays all of `sound`, and returns what was heard meanwhile.
    fn play(&mut self, sound: &[f32]) -> Vec<f32> {
        self.slips.clear();
        sound.as_chunks::<TICK_SAMPLES>().0.iter().flat_map(|block| self.tick(block).0).collect()
    }

    /// Waits until sound flows, in both.
    fn begin(&mut self, monitors: &[Monitor]) -> bool {
        let (start, mut steady) = (Instant::now(), 0);
        let mut seen = vec![(0, Instant::now()); monitors.len()];
        while steady < STEADY && start.elapsed() < BEGIN_WITHIN {
            let (_, whole) = self.tick(&[0.0; TICK_SAMPLES]);
            let mut alive = whole;
            for (seen, monitor) in seen.iter_mut().zip(monitors) {
                let callbacks = monitor.stats().callbacks;
                if callbacks != seen.0 {
                    *seen = (callbacks, Instant::now());
                }
                alive &= seen.1.elapsed() < ALIVE;
            }
            steady = if alive { steady + 1 } else { 0 };
        }
        steady >= STEADY
    }
}

/// Measures with what there is.
pub(super) fn measure(microphone: Option<&mut Microphone>, speaker: Option<&mut Speaker>) -> Measured {
    let monitors: Vec<Monitor> =
        microphone.iter().map(|m| m.monitor()).chain(speaker.iter().map(|s| s.monitor())).collect();
    let (has_microphone, has_speaker) = (microphone.is_some(), speaker.is_some());
    let mut measured =
        Measured { is_monitor: microphone.as_ref().is_some_and(|m| is_monitor(&m.describe())), ..Measured::default() };
    let mut bench =
        Bench { microphone, speaker, watch: MicrophoneWatch::default(), next: Instant::now(), slips: Vec::new() };
    let began = bench.begin(&monitors);
    // A speaker that does not begin is seen below.
    measured.microphone_missing = has_microphone && !began && monitors[0].stats().callbacks == 0;
    let gaps_before: u64 = monitors.iter().map(|m| m.stats().underruns + m.stats().overruns).sum();

    let quiet = bench.play(&vec![0.0; SAMPLE_RATE as usize]);
    let mut peak = Level::of(&quiet).peak;
    let mut heard: Vec<chirp::Heard> = Vec::new();
    if has_speaker {
        let chirp = chirp::chirp();
        let mut sound = vec![0.0; CHIRP_EVERY];
        sound[..chirp.len()].copy_from_slice(&chirp);
        let recording = bench.play(&sound.repeat(CHIRPS));
        peak = peak.max(Level::of(&recording).peak);
        // Searching takes longer than a tick, and the devices must not wait for it.
        let search = std::thread::spawn(move || {
            let parts = recording.chunks(CHIRP_EVERY).map(|part| &part[..CHIRP_WITHIN.min(part.len())]);
            parts.filter_map(chirp::find).collect()
        });
        while !search.is_finished() {
            bench.tick(&[0.0; TICK_SAMPLES]);
        }
        heard = search.join().unwrap_or_default();
    }
    let silent_speaker = |m: &Monitor| m.lost() || m.stats().callbacks == 0;
    measured.speaker_missing = has_speaker && monitors.last().is_some_and(silent_speaker);
    if has_microphone {
        measured.noise_dbfs = Some(Level::of(&quiet).rms);
        measured.microphone_peak_dbfs = Some(peak);
    }
    // A single one may be chance.
    if heard.len() >= 2 {
        heard.sort_by_key(|heard| heard.position);
        let median = heard[heard.len() / 2];
        measured.hears_speaker = true;
        measured.round_trip_ms = Some(median.position as f64 * 1000.0 / f64::from(SAMPLE_RATE));
        measured.echo_return_loss_db = Some(median.loss_db);
        for _ in 0..ECHO_ROUNDS {
            let (cancelled, left) = measure_echo(&mut bench);
            let best = measured.echo_cancelled_db.unwrap_or(f32::MIN);
            if cancelled > best {
                (measured.echo_cancelled_db, measured.echo_left_dbfs) = (Some(cancelled), Some(left));
            }
            if cancelled >= ENOUGH {
                break;
            }
        }
    }
    measured.clipped_samples = bench.watch.clipped_samples();
    let gaps: u64 = monitors.iter().map(|m| m.stats().underruns + m.stats().overruns).sum();
    measured.gaps = gaps.saturating_sub(gaps_before);
    measured
}

/// Plays a voice and cancels its echo, as in a call: how much of it is taken out, in dB, and what is left, in dBFS.
fn measure_echo(bench: &mut Bench<'_>) -> (f32, f32) {
    let mut said = vec![0.0; 16 * SAMPLE_RATE as usize];
    if let Ok(mut source) = AGENT.source() {
        source.read(&mut said);
    }
    let at = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
    let voice: Vec<f32> =
        AGENT.utterances.iter().flat_map(|u| said[at(u.start_s)..at(u.end_s)].iter().copied()).collect();
    let total = VOICE.1 * SAMPLE_RATE as usize;
    let voice: Vec<f32> = voice.iter().copied().cycle().take(total).collect();
    let before = bench.play(&voice);
    let config = ProcessConfig { echo: true, noise: NoiseSuppressor::Off, gain: false };
    let (mut processor, mut after) = (Processor::new(&config), Vec::with_capacity(total));
    let blocks = voice.as_chunks::<TICK_SAMPLES>().0.iter().zip(before.as_chunks::<TICK_SAMPLES>().0);
    for ((played, heard), (microphone, speaker)) in blocks.zip(&bench.slips) {
        let mut block = *heard;
        processor.microphone_slipped(microphone);
        processor.capture(&mut block);
        processor.speaker_slipped(speaker);
        processor.render(played);
        after.extend_from_slice(&block);
    }
    // The median second: one in which there was a gap has little echo, and little of anything.
    let second = |n: usize| n * SAMPLE_RATE as usize..(n + 1) * SAMPLE_RATE as usize;
    let mut seconds: Vec<(f32, f32)> = (VOICE.0..VOICE.1)
        .map(|n| {
            let left = Level::of(&after[second(n)]).rms;
            (Level::of(&before[second(n)]).rms - left, left)
        })
        .collect();
    seconds.sort_by(|a, b| a.0.total_cmp(&b.0));
    seconds[seconds.len() / 2]
}

/// Whether this microphone is what a speaker plays.
fn is_monitor(name: &str) -> bool {
    name.starts_with("Monitor of ")
}

/// Another microphone in which there is something to hear.
pub(super) fn other_with_sound(tested: Option<&str>) -> Option<String> {
    let devices = device::list();
    let host = devices.hosts.iter().find(|host| host.error.is_none() && !host.devices.is_empty())?;
    let others = host.devices.iter().filter(|device| {
        device.direction == Direction::Input && Some(device.name.as_str()) != tested && !is_monitor(&device.name)
    });
    others.take(8).find(|device| has_sound(&device.id)).map(|device| device.name.clone())
}

fn has_sound(id: &str) -> bool {
    let Ok(mut microphone) = Microphone::open(Some(id)) else { return false };
    let (start, mut next, mut loudest) = (Instant::now(), Instant::now(), FLOOR);
    let mut block = [0.0; TICK_SAMPLES];
    while start.elapsed() < Duration::from_secs(2) && loudest < MicrophoneWatch::SILENCE {
        if microphone.read(&mut block) == SourceState::Playing {
            loudest = loudest.max(Level::of(&block).rms);
        }
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    loudest >= MicrophoneWatch::SILENCE
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(noise), Some(peak)) = (self.noise_dbfs, self.microphone_peak_dbfs) {
            writeln!(f, "heard       {noise:.0} dBFS while nothing was played, {peak:.0} dBFS at the loudest")?;
        }
        let (Some(delay), Some(loss)) = (self.round_trip_ms, self.echo_return_loss_db) else {
            return writeln!(f, "round trip  unknown: the microphone does not hear the speaker");
        };
        writeln!(f, "round trip  {delay:.0} ms from speaker to microphone")?;
        write!(f, "echo        comes back {loss:.0} dB weaker")?;
        match (self.echo_cancelled_db, self.echo_left_dbfs) {
            (Some(cancelled), Some(left)) => {
                writeln!(f, "; cancelling takes out {cancelled:.0} dB and leaves {left:.0} dBFS")
            }
            _ => writeln!(f),
        }
    }
}
