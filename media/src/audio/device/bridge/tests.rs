#![allow(clippy::unwrap_used)]
use super::*;
use crate::audio::{compare::tone_level, source::Source, tone::Tone};
use cpal::SampleFormat;
use rtrb::RingBuffer;

/// A device whose clock is `ppm` off and that works in bursts, in virtual time.
struct Device {
    rate: f64,
    burst: usize,
    /// Frames it has produced or consumed by its own clock.
    due: f64,
    /// Steps so far.
    steps: u64,
}

impl Device {
    fn new(rate: u32, ppm: f64, burst: usize) -> Self {
        Self { rate: f64::from(rate) * (1.0 + ppm / 1e6), burst, due: 0.0, steps: 0 }
    }

    /// Bursts within the next 10 ms, and the time of the last.
    fn bursts(&mut self, shared: &Shared) -> usize {
        self.due += self.rate / 100.0;
        self.steps += 1;
        let bursts = (self.due / self.burst as f64) as usize;
        self.due -= (bursts * self.burst) as f64;
        shared.virtual_us.store(self.now_us() - (self.due / self.rate * 1e6) as u64, Relaxed);
        bursts
    }

    fn now_us(&self) -> u64 {
        self.steps * 10_000
    }
}

const LAYOUT: Layout = Layout { format: SampleFormat::F32, channels: 2 };

fn ring(rate: u32) -> (Producer<u8>, Consumer<u8>) {
    RingBuffer::new((RING * f64::from(rate)) as usize * LAYOUT.frame_bytes())
}

fn sine(hz: f64, rate: f64, from: &mut u64, frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let samples: Vec<f32> = (0..frames)
        .map(|n| 0.25 * (std::f64::consts::TAU * hz * (*from + n as u64) as f64 / rate).sin() as f32)
        .collect();
    *from += frames as u64;
    LAYOUT.encode(&samples, &mut bytes);
    bytes
}

/// All but the tone, in dBFS: clicks, gaps, wobble.
fn noise_beside(samples: &[f32], hz: f32) -> f32 {
    [0.5, 0.8, 1.25, 2.0, 3.0].iter().map(|&factor| tone_level(samples, hz * factor)).fold(-127.0, f32::max)
}

fn listen(rate: u32, ppm: f64, burst: usize, seconds: usize) -> (Vec<f32>, Arc<Shared>) {
    let shared = Arc::new(Shared::default());
    let (mut producer, consumer) = ring(rate);
    let mut inlet = Inlet::new(consumer, LAYOUT, rate, shared.clone()).unwrap();
    let mut device = Device::new(rate, ppm, burst);
    let (mut heard, mut position) = (Vec::new(), 0);
    for _ in 0..seconds * 100 {
        for _ in 0..device.bursts(&shared) {
            // By the device's own clock the tone is 1 kHz at its nominal rate.
            let bytes = sine(1000.0, f64::from(rate), &mut position, burst);
            deliver(&mut producer, &bytes, LAYOUT.frame_bytes(), &shared);
        }
        let mut out = [0.0; 480];
        shared.virtual_us.store(device.now_us(), Relaxed);
        inlet.read(&mut out);
        heard.extend(out);
    }
    (heard, shared)
}

fn speak(rate: u32, ppm: f64, burst: usize, seconds: usize) -> (Vec<f32>, Arc<Shared>) {
    let shared = Arc::new(Shared::default());
    let (producer, mut consumer) = ring(rate);
    let mut outlet = Outlet::new(producer, LAYOUT, rate, shared.clone()).unwrap();
    let mut device = Device::new(rate, ppm, burst);
    let mut tone = Tone::with_level(1000.0, -12.0);
    let mut played = Vec::new();
    for _ in 0..seconds * 100 {
        let mut samples = [0.0; 480];
        tone.read(&mut samples);
        shared.virtual_us.store(device.now_us(), Relaxed);
        outlet.write(&samples);
        for _ in 0..device.bursts(&shared) {
            let mut bytes = vec![0; burst * LAYOUT.frame_bytes()];
            collect(&mut consumer, &mut bytes, LAYOUT, &shared);
            LAYOUT.decode(&bytes, &mut played);
        }
    }
    (played, shared)
}

#[test]
fn a_microphone_that_drifts_is_followed_without_a_gap() {
    for (rate, ppm, burst) in [(48_000, 300.0, 480), (48_000, -300.0, 480), (44_100, 100.0, 441), (16_000, -500.0, 160)]
    {
        let (heard, shared) = listen(rate, ppm, burst, 25);
        let late = &heard[heard.len() - 48_000..];
        assert_eq!((shared.underruns.load(Relaxed), shared.overruns.load(Relaxed)), (0, 0), "{rate} {ppm}");
        let noise = noise_beside(late, 1000.0);
        assert!(noise < -65.0, "{rate} {ppm}: {noise}");
        let level = tone_level(&late[..4800], 1000.0);
        assert!((level + 12.04).abs() < 0.3, "{rate} {ppm}: {level}");
        let delay = shared.fill_us.load(Relaxed);
        assert!((5_000..35_000).contains(&delay), "{rate} {ppm}: {delay} us");
    }
}

#[test]
fn a_speaker_that_drifts_is_followed_without_a_gap() {
    for (rate, ppm, burst) in [(48_000, 300.0, 480), (48_000, -300.0, 480), (44_100, 100.0, 441), (96_000, -500.0, 960)]
    {
        let (played, shared) = speak(rate, ppm, burst, 25);
        assert_eq!((shared.underruns.load(Relaxed), shared.overruns.load(Relaxed)), (0, 0), "{rate} {ppm}");
        let late = &played[played.len() - rate as usize..];
        // Measured at 48 kHz, the device's rate scales the frequency.
        let hz = 1000.0 * 48_000.0 / rate as f32;
        let noise = noise_beside(late, hz);
        assert!(noise < -65.0, "{rate} {ppm}: {noise}");
        let delay = shared.fill_us.load(Relaxed);
        assert!((5_000..35_000).contains(&delay), "{rate} {ppm}: {delay} us");
    }
}

#[test]
fn a_device_of_large_bursts_gets_a_delay_to_match() {
    let (_, shared) = listen(48_000, 50.0, 4096, 30);
    assert_eq!(shared.overruns.load(Relaxed), 0);
    // One, from which it learns.
    assert!(shared.underruns.load(Relaxed) <= 1, "{}", shared.underruns.load(Relaxed));
    assert!(shared.fill_us.load(Relaxed) < 140_000);
    let (_, shared) = speak(48_000, 50.0, 4096, 30);
    assert!(shared.underruns.load(Relaxed) <= 2, "{}", shared.underruns.load(Relaxed));
    assert!(shared.fill_us.load(Relaxed) < 140_000);
}

#[test]
fn a_call_that_stood_still_does_not_play_late_ever_after() {
    let shared = Arc::new(Shared::default());
    let (mut producer, consumer) = ring(48_000);
    let mut inlet = Inlet::new(consumer, LAYOUT, 48_000, shared.clone()).unwrap();
    let mut position = 0;
    let mut tick = |inlet: &mut Inlet, read: bool| {
        let bytes = sine(1000.0, 48_000.0, &mut position, 480);
        deliver(&mut producer, &bytes, LAYOUT.frame_bytes(), &shared);
        if read {
            inlet.read(&mut [0.0; 480]);
        }
    };
    (0..100).for_each(|_| tick(&mut inlet, true));
    (0..300).for_each(|_| tick(&mut inlet, false));
    (0..100).for_each(|_| tick(&mut inlet, true));
    assert!(shared.device_overruns.load(Relaxed) > 0);
    assert_eq!(shared.overruns.load(Relaxed), 1);
    assert!(shared.fill_us.load(Relaxed) < 40_000, "{}", shared.fill_us.load(Relaxed));
}

#[test]
fn a_microphone_that_stops_gives_silence_and_comes_back() {
    let shared = Arc::new(Shared::default());
    let (mut producer, consumer) = ring(48_000);
    let mut inlet = Inlet::new(consumer, LAYOUT, 48_000, shared.clone()).unwrap();
    let mut position = 0;
    let mut out = [9.0; 480];
    assert!(!inlet.read(&mut out));
    assert_eq!(out, [0.0; 480]);
    for round in 1..4 {
        for _ in 0..50 {
            let bytes = sine(1000.0, 48_000.0, &mut position, 480);
            deliver(&mut producer, &bytes, LAYOUT.frame_bytes(), &shared);
            inlet.read(&mut out);
        }
        assert!(tone_level(&out, 1000.0) > -14.0);
        (0..50).for_each(|_| {
            inlet.read(&mut out);
        });
        assert_eq!(out, [0.0; 480]);
        assert_eq!(shared.underruns.load(Relaxed), round);
    }
}

#[test]
fn a_speaker_that_never_starts_holds_little_and_counts_nothing() {
    let shared = Arc::new(Shared::default());
    let (producer, consumer) = ring(48_000);
    let mut outlet = Outlet::new(producer, LAYOUT, 48_000, shared.clone()).unwrap();
    (0..1000).for_each(|_| outlet.write(&[0.1; 480]));
    assert!(consumer.slots() / LAYOUT.frame_bytes() < 4800);
    assert_eq!(shared.overruns.load(Relaxed), 0);
}
