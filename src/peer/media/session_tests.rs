#![allow(clippy::unwrap_used)]
use super::*;
use chatphone_media::TICK;
use chatphone_media::audio::call_tone::CallTone;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::sink;
use chatphone_media::audio::tone::Tone;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Keeps what it hears.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<f32>>>);

impl Sink for Ear {
    fn write(&mut self, samples: &[f32]) {
        self.0.lock().unwrap().extend_from_slice(samples);
    }

    fn finish(&mut self) -> Result<(), sink::Error> {
        Ok(())
    }
}

impl Ear {
    /// What was heard since the last call of this.
    fn take(&self) -> Vec<f32> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn level(&self, hz: f32) -> f32 {
        tone_level(&self.take(), hz)
    }
}

/// One side of a call in virtual time.
struct Side {
    session: MediaSession,
    handle: MediaHandle,
    packets: UnboundedReceiver<EncodedPacket>,
    /// What goes to a recording.
    recorded: Ear,
    /// What goes to the speaker.
    spoken: Ear,
}

impl Side {
    fn new(source: Box<dyn Source>, codec: CodecKind) -> Self {
        let (recorded, spoken) = (Ear::default(), Ear::default());
        let parts = MediaParts {
            speaker: Some(Box::new(spoken.clone())),
            ..MediaParts::new(source, Box::new(recorded.clone()))
        };
        let (packets_tx, packets) = unbounded_channel();
        let (session, handle) = MediaSession::new(parts, codec, MediaConfig::default(), packets_tx).unwrap();
        Self { session, handle, packets, recorded, spoken }
    }
}

struct Talk {
    here: Side,
    there: Side,
    codec: CodecKind,
    now: Instant,
}

impl Talk {
    /// `here` sends what `source` gives, `there` a tone of 880 Hz.
    fn new(source: Box<dyn Source>, codec: CodecKind) -> Self {
        let there = Side::new(Box::new(Tone::new(880.0)), codec);
        let mut talk = Self { here: Side::new(source, codec), there, codec, now: Instant::now() };
        talk.run(500);
        talk
    }

    /// Goes on for so many milliseconds; what was heard before is forgotten.
    fn run(&mut self, milliseconds: u64) {
        // Mute, hold and levels begin within the time on the way.
        for part in [300, milliseconds] {
            for side in [&self.here, &self.there] {
                side.recorded.take();
                side.spoken.take();
            }
            for _ in 0..part / 10 {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        let Self { here, there, codec, now } = self;
        while let Ok(packet) = here.packets.try_recv() {
            there.handle.push(*codec, packet.into_rtp(1), *now);
        }
        while let Ok(packet) = there.packets.try_recv() {
            here.handle.push(*codec, packet.into_rtp(2), *now);
        }
        assert!(here.session.tick(*now) && there.session.tick(*now));
        *now += TICK;
    }
}

fn controls(change: impl FnOnce(&mut SoundControls)) -> SoundControls {
    let mut controls = SoundControls::default();
    change(&mut controls);
    controls
}

#[test]
fn a_call_on_hold_sends_silence_and_is_not_heard_but_recorded() {
    let mut talk = Talk::new(Box::new(Tone::new(440.0)), CodecKind::Opus);
    assert!(talk.here.spoken.level(880.0) > -20.0 && talk.there.spoken.level(440.0) > -20.0);
    talk.here.handle.set_controls(controls(|c| c.held = true));
    talk.run(500);
    assert_eq!(talk.here.spoken.level(880.0), tone_level(&[0.0; 4_800], 880.0));
    assert!(talk.there.spoken.level(440.0) < -60.0);
    assert!(talk.here.recorded.level(880.0) > -20.0, "a recording goes on");
    talk.here.handle.set_controls(SoundControls::default());
    talk.run(500);
    assert!(talk.here.spoken.level(880.0) > -20.0 && talk.there.spoken.level(440.0) > -20.0);
}

#[test]
fn a_muted_call_sends_silence_and_is_heard() {
    let mut talk = Talk::new(Box::new(Tone::new(440.0)), CodecKind::Opus);
    talk.here.handle.set_controls(controls(|c| c.muted = true));
    talk.run(500);
    assert!(talk.there.spoken.level(440.0) < -60.0 && talk.here.spoken.level(880.0) > -20.0);
}

#[test]
fn levels_are_those_that_were_set() {
    let mut talk = Talk::new(Box::new(Tone::new(440.0)), CodecKind::Pcmu);
    let near = |level: f32, wanted: f32| (level - wanted).abs() < 1.0;
    let (there, here) = (talk.there.spoken.level(440.0), talk.here.spoken.level(880.0));
    talk.here.handle.set_controls(controls(|c| (c.microphone_gain_db, c.speaker_gain_db) = (-12.0, 6.0)));
    talk.run(500);
    assert!(near(talk.there.spoken.level(440.0), there - 12.0));
    assert!(near(talk.here.spoken.level(880.0), here + 6.0));
    assert!(near(talk.here.recorded.level(880.0), here), "a recording is of what was sent");
    // More than full scale is cut off, and no more than that happens.
    talk.here.handle.set_controls(controls(|c| (c.microphone_gain_db, c.speaker_gain_db) = (40.0, 40.0)));
    talk.run(500);
    assert!(talk.here.spoken.take().iter().all(|sample| sample.abs() <= 1.0));
    assert!(talk.there.spoken.level(440.0) > -6.0);
}

#[test]
fn a_ringing_tone_keeps_its_cadence_through_a_call() {
    for codec in CodecKind::ALL {
        let mut talk = Talk::new(Box::new(CallTone::Busy.source()), codec);
        talk.run(3_000);
        let heard = talk.there.spoken.take();
        let on = heard.chunks(2_400).filter(|part| tone_level(part, 425.0) > -35.0).count() as f64 / 60.0;
        assert!((0.4..0.65).contains(&on), "{codec}: on for {on} of the time");
        let off = heard.chunks(2_400).filter(|part| tone_level(part, 425.0) < -50.0).count() as f64 / 60.0;
        assert!((0.3..0.6).contains(&off), "{codec}: off for {off} of the time");
    }
}

#[test]
fn a_session_whose_handle_is_gone_ends() {
    let Side { mut session, handle, .. } = Side::new(Box::new(Tone::new(440.0)), CodecKind::Opus);
    assert!(session.tick(Instant::now()));
    drop(handle);
    assert!(!session.tick(Instant::now()));
}
