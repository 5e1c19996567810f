//! DTMF: telephone events (RFC 4733) both ways, and the tones themselves where the far end takes no events.

use std::collections::VecDeque;
use std::f32::consts::TAU;
use std::fmt;
use std::str::FromStr;

/// One key of a telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(u8);

/// The keys in the order of their event codes (RFC 4733, 3.2, table 3).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// Row and column frequencies in Hz (ITU-T Q.23).
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keypad by rows, to find a key's two frequencies.
const PAD: [&[u8; 4]; 4] = [b"123A", b"456B", b"789C", b"*0#D"];

impl Digit {
    /// The key with this label: `0` to `9`, `*`, `#`, `A` to `D` in either case.
    pub fn from_char(label: char) -> Option<Self> {
        let label = u8::try_from(label.to_ascii_uppercase()).ok()?;
        KEYS.iter().position(|k| *k == label).map(|code| Self(code as u8))
    }

    /// The key of a telephone event's code; `None` for events that are no keys.
    pub fn from_event(code: u8) -> Option<Self> {
        (usize::from(code) < KEYS.len()).then_some(Self(code))
    }

    /// The code of the telephone event.
    pub fn event(self) -> u8 {
        self.0
    }

    /// The label.
    pub fn label(self) -> char {
        char::from(KEYS[usize::from(self.0)])
    }

    /// The two frequencies, in Hz.
    pub fn frequencies(self) -> (f32, f32) {
        let label = KEYS[usize::from(self.0)];
        let place = (0..4).flat_map(|r| (0..4).map(move |c| (r, c))).find(|(r, c)| PAD[*r][*c] == label);
        let (row, column) = place.unwrap_or_default();
        (ROWS[row], COLUMNS[column])
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.label())
    }
}

/// What is to be dialled: keys and pauses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dial(Vec<Step>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Key(Digit),
    /// So many frames of nothing.
    Pause(u32),
}

/// Why a text cannot be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nothing to dial.
    #[error("there is nothing to dial; use 0-9, *, #, A-D, and w for a pause of half a second")]
    Empty,
    /// A character that is no key.
    #[error("'{0}' is no key; use 0-9, *, #, A-D, and w for a pause of half a second")]
    NoKey(char),
    /// Too much of it.
    #[error("at most {0} keys and pauses can be dialled at once")]
    TooLong(usize),
}

impl Dial {
    /// The most steps at once.
    pub const MAX: usize = 256;
}

impl FromStr for Dial {
    type Err = DialError;

    /// Keys, `w` or `,` for a pause of 500 ms; spaces and `-` are passed over.
    fn from_str(text: &str) -> Result<Self, DialError> {
        let mut steps = Vec::new();
        for c in text.chars() {
            match c {
                ' ' | '-' => continue,
                'w' | 'W' | ',' => steps.push(Step::Pause(PAUSE_FRAMES)),
                _ => steps.push(Step::Key(Digit::from_char(c).ok_or(DialError::NoKey(c))?)),
            }
            if steps.len() > Self::MAX {
                return Err(DialError::TooLong(Self::MAX));
            }
        }
        if steps.is_empty() { Err(DialError::Empty) } else { Ok(Self(steps)) }
    }
}

/// A frame is 20 ms. A key sounds for 100 ms, more than the 40 ms that every receiver must take (ITU-T Q.24).
const KEY_FRAMES: u32 = 5;
/// The last packet of an event goes out three times (RFC 4733, 2.5.1.4).
const END_REPEATS: u32 = 2;
/// Between two keys: with the repeats of the end 100 ms.
const GAP_FRAMES: u32 = 3;
const PAUSE_FRAMES: u32 = 25;
/// Power of the tone in -dBm0, as the event says it.
const VOLUME: u8 = 10;

/// A telephone event to be sent instead of a frame of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// Event, end bit, volume, duration (RFC 4733, 2.3).
    pub payload: [u8; 4],
    /// When the event began, which all its packets carry.
    pub timestamp: u32,
    /// The first packet of an event.
    pub marker: bool,
}

/// Sends what is dialled, frame by frame. No clock: one call each 20 ms.
#[derive(Debug, Default)]
pub struct Dialler {
    steps: VecDeque<Step>,
    /// The step under way: frames done, and when its event began.
    current: Option<(Step, u32, u32)>,
    phase: (f32, f32),
}

/// What a frame is to carry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DialFrame {
    /// Sound as usual.
    Sound,
    /// A key is pressed: this event, or [`Dialler::tone`] of this key where events cannot be sent.
    Key(Digit, EventPacket),
}

impl Dialler {
    /// Dials this too, after what is being dialled.
    pub fn dial(&mut self, dial: Dial) {
        if self.steps.len() < 4 * Dial::MAX {
            self.steps.extend(dial.0);
        }
    }

    /// Whether something is being dialled.
    pub fn is_busy(&self) -> bool {
        self.current.is_some() || !self.steps.is_empty()
    }

    /// The next frame of 20 ms, which begins at `timestamp` and lasts `duration` of the events' clock.
    pub fn frame(&mut self, timestamp: u32, duration: u32) -> DialFrame {
        let (step, done, began) = match self.current.take() {
            Some(current) => current,
            None => match self.steps.pop_front() {
                Some(step) => (step, 0, timestamp),
                None => return DialFrame::Sound,
            },
        };
        let length = match step {
            Step::Key(_) => KEY_FRAMES + END_REPEATS + GAP_FRAMES,
            Step::Pause(frames) => frames,
        };
        if done + 1 < length {
            self.current = Some((step, done + 1, began));
        }
        match step {
            Step::Key(digit) if done < KEY_FRAMES + END_REPEATS => {
                let lasted = (done + 1).min(KEY_FRAMES) * duration;
                let end = done + 1 >= KEY_FRAMES;
                let [high, low] = u16::try_from(lasted).unwrap_or(u16::MAX).to_be_bytes();
                let payload = [digit.event(), u8::from(end) << 7 | VOLUME, high, low];
                DialFrame::Key(digit, EventPacket { payload, timestamp: began, marker: done == 0 })
            }
            _ => DialFrame::Sound,
        }
    }

    /// Writes a key's two tones, each at -10 dBFS, over a frame of sound.
    pub fn tone(&mut self, digit: Digit, out: &mut [f32]) {
        let (row, column) = digit.frequencies();
        let step = |hz: f32| TAU * hz / crate::SAMPLE_RATE as f32;
        for sample in out {
            *sample = 0.316 * (self.phase.0.sin() + self.phase.1.sin());
            self.phase.0 = (self.phase.0 + step(row)) % TAU;
            self.phase.1 = (self.phase.1 + step(column)) % TAU;
        }
    }
}

/// Tells keys from received telephone events: each once, however many packets it takes and whichever are lost.
#[derive(Debug, Default)]
pub struct DtmfReceiver {
    /// SSRC and timestamp of the last event.
    last: Option<(u32, u32)>,
}

impl DtmfReceiver {
    /// Takes a packet of the telephone-event payload type; gives the key with the first packet of its event. Packets may
    /// be late or doubled; what is no event, or no key, gives nothing. Timestamps of another SSRC have nothing to do with
    /// those before (RFC 3550, 5.1: they begin at random).
    pub fn push(&mut self, ssrc: u32, payload: &[u8], timestamp: u32) -> Option<Digit> {
        let [event, ..] = *payload.first_chunk::<4>()?;
        let digit = Digit::from_event(event)?;
        // Older than the last event (with wrap-around): a late repeat.
        let is_old = |(stream, last)| stream == ssrc && timestamp.wrapping_sub(last) as i32 <= 0;
        if self.last.is_some_and(is_old) {
            return None;
        }
        self.last = Some((ssrc, timestamp));
        Some(digit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn events(dial: &str) -> Vec<EventPacket> {
        let mut dialler = Dialler::default();
        dialler.dial(dial.parse().unwrap());
        let mut packets = Vec::new();
        let mut timestamp = u32::MAX - 960;
        while dialler.is_busy() {
            if let DialFrame::Key(_, packet) = dialler.frame(timestamp, 960) {
                packets.push(packet);
            }
            timestamp = timestamp.wrapping_add(960);
        }
        packets
    }

    #[test]
    fn an_event_lasts_100_ms_and_its_end_goes_out_three_times() {
        let packets = events("5");
        let durations: Vec<_> = packets.iter().map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]])).collect();
        assert_eq!(durations, [960, 1920, 2880, 3840, 4800, 4800, 4800]);
        let ends: Vec<_> = packets.iter().map(|p| p.payload[1] >> 7).collect();
        assert_eq!(ends, [0, 0, 0, 0, 1, 1, 1]);
        assert!(packets.iter().all(|p| p.payload[0] == 5 && p.timestamp == packets[0].timestamp));
        assert_eq!(packets.iter().filter(|p| p.marker).count(), 1);
    }

    #[test]
    fn a_received_event_is_one_key_also_when_doubled_late_or_half_lost() {
        let mut receiver = DtmfReceiver::default();
        let packets = events("1w2#");
        // The first packets of every event are lost, the rest come twice.
        let heard: String = packets
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 7 > 2)
            .flat_map(|(_, p)| [p, p])
            .filter_map(|p| receiver.push(7, &p.payload, p.timestamp))
            .map(Digit::label)
            .collect();
        assert_eq!(heard, "12#");
        assert_eq!(receiver.push(7, &packets[0].payload, packets[0].timestamp), None);
    }

    #[test]
    fn keys_of_another_stream_are_heard_wherever_its_timestamps_begin() {
        let payload = &events("5")[0].payload;
        for first in [0, 1_000, u32::MAX - 960, 1 << 31] {
            let mut receiver = DtmfReceiver::default();
            assert!(receiver.push(7, payload, 1_000_000).is_some());
            assert!(receiver.push(8, payload, first).is_some(), "{first}");
            assert_eq!(receiver.push(8, payload, first), None, "{first}");
            assert!(receiver.push(8, payload, first.wrapping_add(960)).is_some(), "{first}");
        }
    }

    #[test]
    fn a_w_is_half_a_second() {
        let mut dialler = Dialler::default();
        dialler.dial("1w2".parse().unwrap());
        let frames: Vec<bool> = (0..45).map(|i| matches!(dialler.frame(i * 960, 960), DialFrame::Key(..))).collect();
        let starts: Vec<_> = (0..45).filter(|i| frames[*i] && (*i == 0 || !frames[i - 1])).collect();
        // 10 frames of the first key, 25 of the pause.
        assert_eq!(starts, [0, 35]);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!("12x".parse::<Dial>(), Err(DialError::NoKey('x')));
        assert_eq!("".parse::<Dial>(), Err(DialError::Empty));
        assert_eq!("1".repeat(300).parse::<Dial>(), Err(DialError::TooLong(Dial::MAX)));
    }

    #[test]
    fn every_key_has_its_two_tones() {
        for (label, hz) in
            [('1', (697.0, 1209.0)), ('0', (941.0, 1336.0)), ('#', (941.0, 1477.0)), ('d', (941.0, 1633.0))]
        {
            let digit = Digit::from_char(label).unwrap();
            assert_eq!(digit.frequencies(), hz);
            let mut sound = vec![0.0; 4800];
            Dialler::default().tone(digit, &mut sound);
            for hz in [hz.0, hz.1] {
                assert!((crate::audio::compare::tone_level(&sound, hz) + 10.0).abs() < 1.0);
            }
            assert!(sound.iter().all(|s| s.abs() <= 1.0));
        }
    }

    proptest! {
        #[test]
        fn any_payload_and_any_text_is_taken_without_panic(
            payload in proptest::collection::vec(any::<u8>(), 0..8), ssrc: u32, timestamp: u32, text in ".{0,40}",
        ) {
            DtmfReceiver::default().push(ssrc, &payload, timestamp);
            let _ = text.parse::<Dial>();
        }
    }
}
