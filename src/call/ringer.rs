//! Plays the tones of a telephone on the speaker: ringing, the far end being asked, busy.
//!
//! It opens the speaker by itself, beside the call's own sound, for as long as a tone lasts: the two share it as any two
//! programs do. Where a device is for one alone, there is no tone while the call has it.

use super::machine::{CallEvent, Outcome};
use chatphone_media::audio::call_tone::CallTone;
use chatphone_media::audio::device::{Speaker, Wanted};
use chatphone_media::audio::sink::Sink;
use chatphone_media::audio::source::Source;
use chatphone_media::{TICK, TICK_SAMPLES};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long the tone that tells of a call's end is played.
pub(super) const END_TONE: Duration = Duration::from_millis(2000);

/// The tones of the calls of a chat. Dropping it ends the tone.
pub(super) struct Ringer {
    speaker: Option<Wanted>,
    playing: Option<(CallTone, Sender<()>)>,
    /// The call is one we asked for: whoever was called does not wait for its end.
    asked: bool,
}

impl Ringer {
    /// Plays on this speaker; on none, it is silent.
    pub(super) fn new(speaker: Option<Wanted>) -> Self {
        Self { speaker, playing: None, asked: false }
    }

    /// Plays what goes with an event. True: a tone that tells of the call's end began, and lasts for [`END_TONE`].
    pub(super) fn follow(&mut self, event: &CallEvent) -> bool {
        let tone = match event {
            CallEvent::Requesting { .. } => Some(CallTone::Ringback),
            CallEvent::Ringing { .. } => Some(CallTone::Ring),
            CallEvent::Ended(end) => std::mem::take(&mut self.asked).then(|| end_tone(end.outcome)).flatten(),
            CallEvent::Offered { .. } | CallEvent::Answered | CallEvent::Connected => None,
            _ => return false,
        };
        self.asked |= matches!(event, CallEvent::Requesting { .. });
        let ends = matches!(event, CallEvent::Ended(_));
        self.play(tone, ends.then_some(END_TONE));
        ends && self.playing.is_some()
    }

    fn play(&mut self, tone: Option<CallTone>, at_most: Option<Duration>) {
        if self.playing.as_ref().map(|(playing, _)| *playing) == tone {
            return;
        }
        self.playing = None;
        let (Some(tone), Some(speaker)) = (tone, self.speaker.clone()) else { return };
        let (stop, stopped) = channel();
        let spawned =
            std::thread::Builder::new().name("ringer".into()).spawn(move || run(tone, speaker, at_most, &stopped));
        match spawned {
            Ok(_) => self.playing = Some((tone, stop)),
            Err(error) => tracing::warn!(%error, "no thread for a tone"),
        }
    }
}

fn end_tone(outcome: Outcome) -> Option<CallTone> {
    match outcome {
        Outcome::Completed | Outcome::Cancelled => None,
        Outcome::Rejected => Some(CallTone::Busy),
        _ => Some(CallTone::Reorder),
    }
}

fn run(tone: CallTone, speaker: Wanted, at_most: Option<Duration>, stopped: &Receiver<()>) {
    let mut speaker = match Speaker::open_with(speaker, Box::new(|_| ())) {
        Ok(speaker) => speaker,
        Err(error) => {
            tracing::warn!(%error, "no tone can be played");
            return;
        }
    };
    let (mut source, mut block) = (tone.source(), [0.0; TICK_SAMPLES]);
    let start = Instant::now();
    let mut next = start;
    while at_most.is_none_or(|most| start.elapsed() < most) {
        source.read(&mut block);
        speaker.write(&block);
        next += TICK;
        // Dropped or told: over.
        if stopped.recv_timeout(next.saturating_duration_since(Instant::now())) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    // A device that is gone by now is the call's to tell.
    let _ = speaker.finish();
}
