//! Microphone and speaker: opened for a moment. Nothing is played.

use super::finding::DeviceFound;
use chatphone_media::audio::device::{Microphone, Monitor, Speaker, Wanted};
use chatphone_media::audio::sink::Sink;
use chatphone_media::audio::source::Source;
use chatphone_media::{TICK, TICK_SAMPLES};
use std::time::{Duration, Instant};

/// Sound flows by then, or does not at all: some sound servers take more than a second to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(4);
/// How long a microphone is listened to.
const LISTEN: Duration = Duration::from_millis(500);

/// Opens the microphone and listens for a moment. Blocks.
pub(super) fn microphone(wanted: Wanted) -> DeviceFound {
    let mut microphone = match Microphone::open_with(wanted, Box::new(|_| ())) {
        Ok(microphone) => microphone,
        Err(error) => return DeviceFound::Missing(error.to_string()),
    };
    let (monitor, name) = (microphone.monitor(), microphone.describe());
    let mut peak = 0.0_f32;
    let works = flows(&monitor, || {
        let mut heard = [0.0; TICK_SAMPLES];
        microphone.read(&mut heard);
        peak = heard.iter().fold(peak, |peak, sample| peak.max(sample.abs()));
    });
    if !works {
        return DeviceFound::Dead(name);
    }
    // Digital silence: even a quiet room is louder than half a bit of 16.
    DeviceFound::Works { name, silent: peak < 0.5 / 32_768.0 }
}

/// Opens the speaker and gives it silence. Blocks.
pub(super) fn speaker(wanted: Wanted) -> DeviceFound {
    let mut speaker = match Speaker::open_with(wanted, Box::new(|_| ())) {
        Ok(speaker) => speaker,
        Err(error) => return DeviceFound::Missing(error.to_string()),
    };
    let (monitor, name) = (speaker.monitor(), speaker.describe());
    if flows(&monitor, || speaker.write(&[0.0; TICK_SAMPLES])) {
        DeviceFound::Works { name, silent: false }
    } else {
        DeviceFound::Dead(name)
    }
}

/// Ticks until the device has called back and was then used for a moment; false: it never did.
fn flows(monitor: &Monitor, mut tick: impl FnMut()) -> bool {
    let (begun, mut flowing, mut next) = (Instant::now(), None, Instant::now());
    loop {
        tick();
        if flowing.is_none() && monitor.stats().callbacks > 1 {
            flowing = Some(Instant::now());
        }
        match flowing {
            Some(since) if since.elapsed() >= LISTEN => return !monitor.lost(),
            None if begun.elapsed() >= BEGIN_WITHIN => return false,
            _ => {}
        }
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
