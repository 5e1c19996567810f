//! Plays the tones of a telephone on the speaker: ringing, the far end being asked, busy, sound that stopped.
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

/// How long the tone that tells of an interruption is played: two beeps.
const NOTICE_TONE: Duration = Duration::from_millis(600);

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
        let Some(tone) = self.tone_of(event) else { return false };
        let ends = matches!(event, CallEvent::Ended(_));
        let once = matches!(event, CallEvent::Interrupted { .. }).then_some(NOTICE_TONE);
        self.play(tone, ends.then_some(END_TONE).or(once));
        ends && self.playing.is_some()
    }

    /// The tone that goes with an event, or none at all; `None`: the event changes nothing.
    fn tone_of(&mut self, event: &CallEvent) -> Option<Option<CallTone>> {
        Some(match event {
            CallEvent::Requesting { .. } => {
                self.asked = true;
                Some(CallTone::Ringback)
            }
            CallEvent::Ringing { .. } => Some(CallTone::Ring),
            CallEvent::Ended(end) => std::mem::take(&mut self.asked).then(|| end_tone(end.outcome)).flatten(),
            CallEvent::Interrupted { .. } => Some(CallTone::Notice),
            CallEvent::Resumed { .. } | CallEvent::Restored { .. } => None,
            CallEvent::Offered { .. } | CallEvent::Answered | CallEvent::Connected => None,
            _ => return None,
        })
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
    match Speaker::open_with(speaker, Box::new(|_| ())) {
        Ok(mut speaker) => sound(tone, &mut speaker, at_most, stopped),
        Err(error) => tracing::warn!(%error, "no tone can be played"),
    }
}

fn sound(tone: CallTone, speaker: &mut dyn Sink, at_most: Option<Duration>, stopped: &Receiver<()>) {
    let (mut source, mut block) = (tone.source(), [0.0; TICK_SAMPLES]);
    let mut next = Instant::now();
    // Counted in what was played: a machine that stands still makes a tone no shorter.
    let mut left = at_most.map(|most| most.as_millis() / TICK.as_millis());
    while left != Some(0) {
        left = left.map(|left| left - 1);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::call::{CallEnd, EndedBy};
    use chatphone_media::audio::compare::tone_level;
    use chatphone_media::audio::pipe::pipe;
    use chatphone_media::audio::source::SourceState;

    fn ended(outcome: Outcome) -> CallEvent {
        CallEvent::Ended(CallEnd { outcome, reason: String::new(), code: None, ended_by: EndedBy::Remote })
    }

    fn requesting() -> CallEvent {
        CallEvent::Requesting { party_id: "1".into(), video: false }
    }

    #[test]
    fn a_call_that_is_asked_for_rings_back_until_it_is_answered_and_tells_how_it_ended() {
        let mut ringer = Ringer::new(None);
        let mut tone = |event: CallEvent| ringer.tone_of(&event);
        assert_eq!(tone(requesting()), Some(Some(CallTone::Ringback)));
        assert_eq!(tone(CallEvent::Answered), Some(None));
        assert_eq!(tone(CallEvent::MediaFlowing), None);
        assert_eq!(tone(ended(Outcome::Completed)), Some(None));
        for (outcome, end) in [
            (Outcome::Rejected, Some(CallTone::Busy)),
            (Outcome::NoAnswer, Some(CallTone::Reorder)),
            (Outcome::Cancelled, None),
        ] {
            tone(requesting());
            assert_eq!(tone(ended(outcome)), Some(end), "{outcome}");
        }
    }

    #[test]
    fn an_interruption_is_heard_until_it_is_over() {
        let mut ringer = Ringer::new(None);
        let reason = crate::call::Interruption::NoPackets;
        assert_eq!(ringer.tone_of(&CallEvent::Interrupted { reason }), Some(Some(CallTone::Notice)));
        assert_eq!(ringer.tone_of(&CallEvent::Restoring { attempt: 1, attempts: 5 }), None);
        assert_eq!(ringer.tone_of(&CallEvent::Restored { attempt: 1, gap: TICK }), Some(None));
    }

    #[test]
    fn whoever_is_called_hears_it_ring_and_no_tone_at_the_end() {
        let mut ringer = Ringer::new(None);
        let ringing = CallEvent::Ringing { party_id: Some("1".into()), video: false };
        assert_eq!(ringer.tone_of(&ringing), Some(Some(CallTone::Ring)));
        assert_eq!(ringer.tone_of(&ended(Outcome::Rejected)), Some(None));
        // Without a speaker nothing is waited for.
        assert!(!ringer.follow(&requesting()) && !ringer.follow(&ended(Outcome::Failed)));
    }

    #[test]
    fn a_tone_is_played_until_it_is_told_to_stop_and_no_longer_than_it_may() {
        let (mut speaker, mut heard) = pipe(48_000);
        let (_stop, stopped) = channel();
        sound(CallTone::Busy, &mut speaker, Some(20 * TICK), &stopped);
        let mut played = [0.0; 20 * TICK_SAMPLES];
        assert_eq!(heard.read(&mut played), SourceState::Playing);
        assert!(tone_level(&played, 425.0) > -27.0, "{}", tone_level(&played, 425.0));
        // That was all of it.
        heard.read(&mut played);
        assert_eq!(played, [0.0; 20 * TICK_SAMPLES]);
        let (mut speaker, _heard) = pipe(48_000);
        let (stop, stopped) = channel();
        drop(stop);
        // It would last for ever.
        sound(CallTone::Ring, &mut speaker, None, &stopped);
    }
}
