//! The echo lab: what the processing of a microphone's sound does, in made-up rooms, with recorded voices. The same
//! every time it is run, but for the times.
//!
//! Writes what `scripts/bench-echo` scores to a folder (for each condition `NAME.ref.wav`, what should be heard,
//! `NAME.in.wav`, what the microphone heard, and `NAME.out.wav`, what came out) and prints a line of JSON for each.
//!
//! `cargo run --release -p chatphone-media --example echo_lab -- FOLDER`

use chatphone_media::{
    SAMPLE_RATE, TICK_SAMPLES,
    audio::{
        device::pair::{Gap, Pair},
        level::Level,
        process::{
            NoiseSuppressor, ProcessConfig, Processor,
            room::{Noise, Room, RoomConfig},
        },
        source::Source,
    },
    samples::{AGENT, CUSTOMER, Sample},
};
use std::{
    error::Error,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const SECOND: usize = SAMPLE_RATE as usize;

/// Each condition lasts so many seconds; what happens before this second is not scored.
const SECONDS: usize = 14;
const FROM: usize = 2;

const ECHO: ProcessConfig = ProcessConfig { echo: true, noise: NoiseSuppressor::Off, gain: false };

/// What a voice says, over and over, with a short pause between utterances.
fn speech(sample: Sample) -> Vec<f32> {
    let mut all = vec![0.0; 16 * SECOND];
    if let Ok(mut source) = sample.source() {
        source.read(&mut all);
    }
    let at = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
    let mut said = Vec::new();
    for utterance in sample.utterances {
        said.extend_from_slice(&all[at(utterance.start_s - 0.1)..at(utterance.end_s + 0.1)]);
    }
    said.into_iter().cycle().take(SECONDS * SECOND).collect()
}

struct Run {
    name: String,
    microphone: Vec<f32>,
    out: Vec<f32>,
    took: Duration,
}

/// Plays `far` into `room` in which `near` speaks.
fn run(name: &str, config: &ProcessConfig, room: RoomConfig, far: &[f32], near: &[f32]) -> Run {
    let (mut processor, mut room) = (Processor::new(config), Room::new(room));
    let mut run = Run { name: name.into(), microphone: Vec::new(), out: Vec::new(), took: Duration::ZERO };
    for (far, near) in far.as_chunks::<TICK_SAMPLES>().0.iter().zip(near.as_chunks::<TICK_SAMPLES>().0) {
        let mut block = room.echo(far);
        block.iter_mut().zip(near).for_each(|(sample, near)| *sample += near);
        run.microphone.extend(block);
        let start = Instant::now();
        processor.capture(&mut block);
        processor.render(far);
        run.took += start.elapsed();
        run.out.extend(block);
    }
    run
}

impl Run {
    /// The time for each 10 ms, in microseconds.
    fn cost(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / (self.out.len() / TICK_SAMPLES) as f64
    }

    fn removed(&self, from: usize, to: usize) -> f32 {
        let part = from * SECOND..to * SECOND;
        Level::of(&self.microphone[part.clone()]).rms - Level::of(&self.out[part]).rms
    }

    fn save(&self, folder: &Path, reference: &[f32], from: usize) -> Result<(), Box<dyn Error>> {
        for (kind, sound) in [("ref", reference), ("in", &self.microphone), ("out", &self.out)] {
            let path = folder.join(format!("{}.{kind}.wav", self.name));
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: SAMPLE_RATE,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut writer = hound::WavWriter::create(path, spec)?;
            for sample in &sound[from * SECOND..] {
                writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
            }
            writer.finalize()?;
        }
        Ok(())
    }
}

fn rooms() -> Vec<(&'static str, RoomConfig)> {
    let room = RoomConfig::default();
    vec![
        ("near-20ms", RoomConfig { delay_ms: 20.0, reverberation_ms: 60.0, seed: 3, ..room }),
        ("small-60ms", RoomConfig { delay_ms: 60.0, reverberation_ms: 90.0, seed: 1, ..room }),
        ("lively-60ms", RoomConfig { delay_ms: 60.0, reverberation_ms: 120.0, seed: 1, ..room }),
        ("lively-130ms", RoomConfig { delay_ms: 130.0, reverberation_ms: 120.0, seed: 3, ..room }),
        ("quiet-130ms", RoomConfig { delay_ms: 130.0, reverberation_ms: 100.0, gain_db: -20.0, seed: 5, ..room }),
        ("far-300ms", RoomConfig { delay_ms: 300.0, reverberation_ms: 90.0, seed: 4, ..room }),
        ("faint-60ms", RoomConfig { delay_ms: 60.0, reverberation_ms: 100.0, gain_db: -14.0, seed: 6, ..room }),
        ("swinging-0.5ms", RoomConfig { swing_ms: 0.5, reverberation_ms: 90.0, seed: 2, ..room }),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("say where the recordings go")?);
    std::fs::create_dir_all(&folder)?;
    let (far, near) = (speech(AGENT), speech(CUSTOMER));
    let silence = vec![0.0; far.len()];
    for (name, room) in rooms() {
        let alone = run(&format!("echo-{name}"), &ECHO, room, &far, &silence);
        let worst = (FROM..SECONDS).map(|second| alone.removed(second, second + 1)).fold(f32::MAX, f32::min);
        println!(
            "{{\"kind\":\"echo\",\"name\":\"{}\",\"erle_db\":{:.1},\"first_2s_db\":{:.1},\"worst_second_db\":{worst:.1},\"us\":{:.0}}}",
            alone.name,
            alone.removed(FROM, SECONDS),
            alone.removed(0, FROM),
            alone.cost()
        );
        for (chain, config) in [("aec", ECHO), ("all", ProcessConfig::ALL)] {
            let both = run(&format!("both-{name}-{chain}"), &config, room, &far, &near);
            both.save(&folder, &near, 4)?;
            println!("{{\"kind\":\"speech\",\"name\":\"{}\",\"us\":{:.0}}}", both.name, both.cost());
        }
    }
    pairs(&far)?;
    let quiet = RoomConfig { noise_dbfs: -90.0, ..RoomConfig::default() };
    for (chain, config) in chains() {
        let alone = run(&format!("clean-{chain}"), &config, quiet, &silence, &near);
        alone.save(&folder, &near, 4)?;
        println!("{{\"kind\":\"speech\",\"name\":\"{}\",\"us\":{:.0}}}", alone.name, alone.cost());
        for (kind, noise) in noises() {
            let noisy: Vec<f32> = near.iter().zip(noise).map(|(voice, noise)| voice + noise).collect();
            let alone = run(&format!("noise-{kind}-{chain}"), &config, quiet, &silence, &noisy);
            alone.save(&folder, &near, 4)?;
            println!("{{\"kind\":\"speech\",\"name\":\"{}\",\"us\":{:.0}}}", alone.name, alone.cost());
        }
    }
    Ok(())
}

/// Two devices with clocks of their own, and gaps.
fn pairs(far: &[f32]) -> Result<(), Box<dyn Error>> {
    let conditions: [(&str, (f64, f64), &[Gap]); 7] = [
        ("one clock", (0.0, 0.0), &[]),
        ("both 200 ppm fast", (200.0, 200.0), &[]),
        ("speaker 200 ppm fast, microphone 200 ppm slow", (200.0, -200.0), &[]),
        ("speaker 200 ppm slow, microphone 200 ppm fast", (-200.0, 200.0), &[]),
        ("the call stands still for 150 ms at 6 s", (50.0, 50.0), &[Gap::Call(6_000, 150)]),
        ("the sound server stands still for 250 ms at 6 s", (50.0, 50.0), &[Gap::Server(6_000, 250)]),
        ("the speaker plays 50 ms of silence at 6 s, untold", (50.0, 50.0), &[Gap::Untold(6_000, 50)]),
    ];
    for (name, ppm, gaps) in conditions {
        let pair = Pair::new(ppm).ok_or("there is no resampler")?;
        let heard = pair.call(&mut Processor::new(&ECHO), far, gaps);
        println!(
            "{{\"kind\":\"pair\",\"name\":\"{name}\",\"erle_db\":{:.1},\"late_db\":{:.1},\"gaps\":{}}}",
            heard.removed(FROM, SECONDS),
            heard.removed(10, SECONDS),
            heard.gaps
        );
    }
    Ok(())
}

fn chains() -> [(&'static str, ProcessConfig); 5] {
    let none = ProcessConfig::default();
    [
        ("aec", ECHO),
        ("recurrent", ProcessConfig { noise: NoiseSuppressor::Recurrent, ..none }),
        ("spectral", ProcessConfig { noise: NoiseSuppressor::Spectral, ..none }),
        ("gain", ProcessConfig { gain: true, ..none }),
        ("all", ProcessConfig::ALL),
    ]
}

/// Noises about 10 dB below the voice.
fn noises() -> [(&'static str, Vec<f32>); 2] {
    let mut random = Noise::new(11);
    let white: Vec<f32> = (0..SECONDS * SECOND).map(|_| random.sample()).collect();
    // A fan: low-passed noise, with its hum.
    let (mut low, mut fan) = (0.0, Vec::with_capacity(white.len()));
    for (n, sample) in white.iter().enumerate() {
        low += 0.03 * (sample - low);
        fan.push(low + 0.02 * (std::f32::consts::TAU * 120.0 * n as f32 / SAMPLE_RATE as f32).sin());
    }
    let scaled = |noise: Vec<f32>| {
        let scale = 10f32.powf((-28.0 - Level::of(&noise).rms) / 20.0);
        noise.into_iter().map(|sample| sample * scale).collect()
    };
    [("white", scaled(white)), ("fan", scaled(fan))]
}
