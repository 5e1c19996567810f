#![allow(clippy::unwrap_used)]
use super::{
    room::{Noise, Room, RoomConfig},
    *,
};
use crate::{
    audio::{compare::best_match, level::Level, source::Source},
    samples::{AGENT, CUSTOMER, Sample},
};

/// What a voice says, over and over, with short pauses.
fn speech(sample: Sample, seconds: usize) -> Vec<f32> {
    let mut all = vec![0.0; 16 * 48_000];
    sample.source().unwrap().read(&mut all);
    let at = |seconds: f64| (seconds * 48_000.0) as usize;
    let mut said = Vec::new();
    for utterance in sample.utterances {
        said.extend_from_slice(&all[at(utterance.start_s - 0.1)..at(utterance.end_s + 0.1)]);
    }
    said.iter().copied().cycle().take(seconds * 48_000).collect()
}

struct Heard {
    /// What the microphone heard, and what came out.
    microphone: Vec<f32>,
    out: Vec<f32>,
    stats: ProcessStats,
}

/// Plays `far` into a room in which `near` speaks.
fn talk(config: &ProcessConfig, room: RoomConfig, far: &[f32], near: &[f32]) -> Heard {
    let (mut processor, mut room) = (Processor::new(config), Room::new(room));
    let mut heard = Heard { microphone: Vec::new(), out: Vec::new(), stats: ProcessStats::default() };
    for (far, near) in far.as_chunks::<TICK_SAMPLES>().0.iter().zip(near.as_chunks::<TICK_SAMPLES>().0) {
        let mut block = room.echo(far);
        block.iter_mut().zip(near).for_each(|(sample, near)| *sample += near);
        heard.microphone.extend(block);
        processor.capture(&mut block);
        processor.render(far);
        heard.out.extend(block);
    }
    heard.stats = processor.stats();
    heard
}

const ECHO: ProcessConfig = ProcessConfig { echo: true, noise: NoiseSuppressor::Off, gain: false };

/// By how many dB the second is weaker, from `from` seconds on.
fn removed(heard: &Heard, from: usize) -> f32 {
    let from = from * 48_000;
    Level::of(&heard.microphone[from..]).rms - Level::of(&heard.out[from..]).rms
}

#[test]
fn echo_is_gone_after_two_seconds() {
    let far = speech(AGENT, 8);
    for (delay_ms, reverberation_ms) in [(20.0, 60.0), (130.0, 120.0), (300.0, 90.0)] {
        let room = RoomConfig { delay_ms, reverberation_ms, seed: 3, ..RoomConfig::default() };
        let heard = talk(&ECHO, room, &far, &vec![0.0; far.len()]);
        let erle = removed(&heard, 2);
        println!("{delay_ms} ms: {erle:.1} dB {:?}", heard.stats);
        assert!(erle >= 35.0, "{delay_ms} ms: {erle} dB");
        // The estimate is in whole blocks of 4 ms, and early rather than late.
        let estimated = heard.stats.echo_delay_ms.unwrap() as f32;
        assert!((estimated - delay_ms).abs() <= 24.0, "{delay_ms} ms is estimated as {estimated} ms");
    }
}

#[test]
fn echo_whose_delay_swings_as_device_buffers_do_stays_away() {
    // A millisecond to either side within 20 s, which is 310 ppm at the steepest: twice what the bridges to two devices
    // do once they have found their ratio. Much beyond it the filter does not keep up.
    let far = speech(AGENT, 20);
    let room = RoomConfig { swing_ms: 1.0, swing_period_s: 20.0, ..RoomConfig::default() };
    let heard = talk(&ECHO, room, &far, &vec![0.0; far.len()]);
    let erle = removed(&heard, 2);
    println!("{erle:.1} dB {:?}", heard.stats);
    assert!(erle >= 30.0, "{erle} dB");
}

#[test]
fn a_voice_is_kept_while_both_speak() {
    let (far, near) = (speech(AGENT, 12), speech(CUSTOMER, 12));
    let heard = talk(&ECHO, RoomConfig::default(), &far, &near);
    let from = 4 * 48_000;
    // As much of the voice as of its echo went in; what came out is the voice.
    let mixed = best_match(&near[from + 960..12 * 48_000 - 4800], &heard.microphone[from..]).unwrap().correlation;
    let kept = best_match(&near[from + 960..12 * 48_000 - 4800], &heard.out[from..]).unwrap().correlation;
    println!("correlation {mixed:.3} -> {kept:.3}");
    assert!(kept > 0.9 && kept > mixed, "{mixed} {kept}");
    let (before, after) = (Level::of(&near[from..]).rms, Level::of(&heard.out[from..]).rms);
    assert!((before - after).abs() < 3.0, "{before} dBFS became {after} dBFS");
}

#[test]
fn a_voice_alone_passes_as_it_was() {
    let near = speech(CUSTOMER, 10);
    let heard = talk(&ECHO, RoomConfig::default(), &vec![0.0; near.len()], &near);
    let found = best_match(&near[2 * 48_000..9 * 48_000], &heard.out).unwrap();
    println!("{found:?}");
    assert!(found.correlation > 0.95, "{found:?}");
}

/// What is above 300 Hz, by two poles.
fn high_pass(sound: &[f32]) -> Vec<f32> {
    let pole = (-std::f32::consts::TAU * 300.0 / 48_000.0).exp();
    let once = |sound: &[f32]| -> Vec<f32> {
        let (mut before, mut out) = (0.0, 0.0);
        let mut step = |&sample: &f32| {
            out = pole * out + sample - before;
            before = sample;
            out
        };
        sound.iter().map(&mut step).collect()
    };
    once(&once(sound))
}

#[test]
fn noise_in_pauses_is_taken_out_and_speech_kept() {
    let near = speech(CUSTOMER, 8);
    let mut noisy = near.clone();
    let mut noise = Noise::new(7);
    noisy.iter_mut().for_each(|sample| *sample += 0.02 * noise.sample());
    let mut pause = vec![0.0; 4 * 48_000];
    pause.iter_mut().for_each(|sample| *sample += 0.02 * noise.sample());
    let whole: Vec<f32> = noisy.iter().chain(&pause).copied().collect();
    for suppressor in [NoiseSuppressor::Recurrent, NoiseSuppressor::Spectral] {
        let config = ProcessConfig { noise: suppressor, ..ProcessConfig::default() };
        let quiet = RoomConfig { noise_dbfs: -120.0, ..RoomConfig::default() };
        let heard = talk(&config, quiet, &vec![0.0; whole.len()], &whole);
        let left = Level::of(&heard.out[10 * 48_000..]).rms;
        let before = Level::of(&pause).rms;
        println!("{suppressor:?}: {before:.1} -> {left:.1} dBFS");
        assert!(left < before - 12.0, "{suppressor:?}: {before} -> {left}");
        // Where the voice is: below, the spectral one has a high-pass filter, which shifts phases.
        let (said, kept) = (high_pass(&near[48_000..7 * 48_000]), high_pass(&heard.out[..8 * 48_000]));
        let found = best_match(&said, &kept).unwrap();
        println!("{suppressor:?}: {found:?}");
        // And it weakens speech where that is no louder than the noise, which the recurrent one does not.
        let least = if suppressor == NoiseSuppressor::Recurrent { 0.97 } else { 0.75 };
        assert!(found.correlation > least, "{suppressor:?}: {found:?}");
    }
}

#[test]
fn a_faint_voice_is_raised_and_a_loud_one_not_clipped() {
    let config = ProcessConfig { gain: true, ..ProcessConfig::default() };
    let quiet_room = RoomConfig { noise_dbfs: -85.0, ..RoomConfig::default() };
    let level = |gain: f32| {
        let near: Vec<f32> = speech(CUSTOMER, 20).iter().map(|sample| (sample * gain).clamp(-1.0, 1.0)).collect();
        let heard = talk(&config, quiet_room, &vec![0.0; near.len()], &near);
        (Level::of(&near[15 * 48_000..]), Level::of(&heard.out[15 * 48_000..]))
    };
    let (before, after) = level(0.1);
    println!("{before:?} -> {after:?}");
    assert!(after.rms > before.rms + 10.0, "{before:?} {after:?}");
    let (before, after) = level(4.0);
    println!("{before:?} -> {after:?}");
    assert!(after.peak < -0.2 && after.rms <= before.rms + 1.0, "{before:?} {after:?}");
}

#[test]
fn nonsense_comes_out_finite_and_within_bounds() {
    let mut processor = Processor::new(&ProcessConfig::ALL);
    for n in 0..300 {
        let mut block = [match n % 5 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => 1e30,
            3 => -7.0,
            _ => 0.5,
        }; TICK_SAMPLES];
        processor.render(&block);
        processor.capture(&mut block);
        assert!(block.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
    }
    // And it recovers.
    let near = speech(CUSTOMER, 5);
    let mut out = Vec::new();
    for block in near.as_chunks::<TICK_SAMPLES>().0 {
        let mut block = *block;
        processor.render(&[0.0; TICK_SAMPLES]);
        processor.capture(&mut block);
        out.extend(block);
    }
    assert!(Level::of(&out[3 * 48_000..]).rms > -35.0);
}

#[test]
fn without_stages_nothing_is_changed() {
    let config = ProcessConfig::default();
    assert!(config.is_off());
    let mut block = [0.25; TICK_SAMPLES];
    Processor::new(&config).capture(&mut block);
    assert_eq!(block, [0.25; TICK_SAMPLES]);
}
