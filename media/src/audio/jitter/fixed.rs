//! A fixed delay.

use super::{
    Pushed, ReceptionStats, RtpPacket,
    reception::{Arrival, Reception},
    slots::{Slots, Stored},
};
use std::time::{Duration, Instant};

/// How a [`FixedJitterBuffer`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JitterConfig {
    /// RTP clock rate in Hz, 1,000 at least.
    pub clock_rate: u32,
    /// How long the fastest packets wait, 0..=1 s.
    pub delay: Duration,
}

impl JitterConfig {
    /// The delay unless told otherwise.
    pub const DEFAULT_DELAY: Duration = Duration::from_millis(60);
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self { clock_rate: 48_000, delay: Self::DEFAULT_DELAY }
    }
}

/// What is to be played next. Durations are in RTP clock units.
#[derive(Debug, PartialEq, Eq)]
pub enum Pop<'a> {
    /// This packet.
    Packet {
        /// To be decoded.
        packet: RtpPacket,
        /// When it came.
        arrival: Instant,
    },
    /// Sound that is missing: lost, or not there yet.
    Lost {
        /// How much of it; at most 20 ms.
        duration: u32,
        /// The packet right behind, if it is there: it may hold a copy (forward error correction).
        next: Option<&'a RtpPacket>,
    },
    /// Nothing is missing: no stream yet, the first delay, silence that was not sent, or a stream that stopped.
    Empty {
        /// How much silence to play: at most 20 ms.
        duration: u32,
    },
}

/// A jitter buffer with a fixed delay. Reorders; drops duplicates and what comes too late; follows the sender's clock
/// by a frame now and then; starts over on a new SSRC or a jump of sequence numbers or timestamps. Its memory is
/// bounded, whatever the network does.
pub struct FixedJitterBuffer {
    clock_rate: u32,
    frame: i64,
    delay: i64,
    horizon: i64,
    slots: Slots,
    reception: Reception,
    /// Timestamp (unwrapped) that the next pop plays.
    expected: i64,
    /// Newest timestamp seen: what the next one is unwrapped against.
    newest: i64,
    /// End of the last packet played: nothing before it is played any more.
    played_until: i64,
    last_played_sequence: Option<i64>,
    /// Time popped since the last packet.
    dry: i64,
    late_run: u32,
    lead: LeadWindow,
    adjust: Option<Adjust>,
}

/// A frame to leave out or to put in, to follow the sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Adjust {
    Skip,
    Stretch,
}

/// How early the earliest packet of the last two seconds or so came, in clock units before its turn. It should be
/// the delay; it wanders when the clocks of the two sides differ or the path changes.
#[derive(Debug, Clone, Copy)]
struct LeadWindow {
    best: i64,
    packets: u32,
}

impl LeadWindow {
    const PACKETS: u32 = 100;
    const NEW: Self = Self { best: i64::MIN, packets: 0 };
}

impl FixedJitterBuffer {
    /// More packets than this never wait; then the oldest gives way.
    pub const MAX_PACKETS: usize = Slots::MOST;

    /// So many packets in a row that are too late mean the path has become slower: start over with the delay.
    const LATE_RUN: u32 = 5;

    /// A buffer that has seen nothing.
    pub fn new(config: &JitterConfig) -> Self {
        let clock_rate = config.clock_rate.max(1_000);
        let units = |time: Duration| (time.as_secs_f64() * f64::from(clock_rate)).round() as i64;
        let delay = units(config.delay.min(Duration::from_secs(1)));
        Self {
            clock_rate,
            frame: i64::from(clock_rate / 50),
            delay,
            horizon: delay + i64::from(clock_rate),
            slots: Slots::new(clock_rate),
            reception: Reception::new(clock_rate),
            expected: 0,
            newest: 0,
            played_until: i64::MIN,
            last_played_sequence: None,
            dry: 0,
            late_run: 0,
            lead: LeadWindow::NEW,
            adjust: None,
        }
    }

    /// Takes a packet that lasts `duration` clock units and came at `arrival`.
    pub fn push(&mut self, packet: RtpPacket, duration: u32, arrival: Instant) -> Pushed {
        let sequence = match self.reception.register(&packet, arrival) {
            Arrival::Restart { sequence } => {
                self.restart(&packet);
                sequence
            }
            Arrival::Normal { sequence } => sequence,
            Arrival::Duplicate => return Pushed::Duplicate,
            Arrival::Implausible => {
                return self.slots.discard();
            }
        };
        let timestamp = self.unwrap_timestamp(packet.timestamp);
        self.follow_jumps(timestamp, sequence.newest);
        let (sequence, duration) = (sequence.number, duration.into());
        self.store(Stored { packet, timestamp, sequence, duration, arrival, reach: 0 })
    }

    /// The next stretch of sound; moves the timeline on by its duration.
    pub fn pop(&mut self) -> Pop<'_> {
        let frame = self.frame;
        if !self.reception.started() {
            return Pop::Empty { duration: frame as u32 };
        }
        match self.adjust.take() {
            Some(Adjust::Stretch) if self.playing() => {
                return Pop::Lost { duration: frame as u32, next: None };
            }
            Some(Adjust::Skip) => self.skip_frame(),
            _ => {}
        }
        let Some(timestamp) = self.slots.first().map(|first| first.timestamp) else {
            self.expected += frame;
            self.dry += frame;
            return if self.playing() {
                Pop::Lost { duration: frame as u32, next: None }
            } else {
                Pop::Empty { duration: frame as u32 }
            };
        };
        if timestamp <= self.expected {
            return self.play_first();
        }
        let gap = (timestamp - self.expected).min(frame);
        self.expected += gap;
        self.dry += gap;
        let playing = self.playing();
        let expected = self.expected;
        let last = self.last_played_sequence;
        let first = self.slots.first();
        let not_sent = first.is_some_and(|slot| last.is_none_or(|last| slot.sequence == last + 1));
        if not_sent || !playing {
            return Pop::Empty { duration: gap as u32 };
        }
        let next = first.filter(|_| timestamp == expected).map(|slot| &slot.packet);
        Pop::Lost { duration: gap as u32, next }
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when no packet waits.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Packets dropped because they came too late or too early (W3C `packetsDiscarded`).
    pub fn discarded(&self) -> u64 {
        self.slots.discarded()
    }

    /// Counts a packet of the stream that is no sound (a telephone event).
    pub fn count_other(&mut self, ssrc: u32, sequence_number: u16) {
        self.reception.count_other(ssrc, sequence_number);
    }

    /// What the network did: counts, loss, jitter.
    pub fn reception(&self) -> ReceptionStats {
        self.reception.stats()
    }

    /// Whether sound is going on, so that what is missing is a hole in it: a stream that has been dry for a second
    /// has stopped.
    fn playing(&self) -> bool {
        self.last_played_sequence.is_some() && self.dry <= i64::from(self.clock_rate)
    }

    fn unwrap_timestamp(&mut self, timestamp: u32) -> i64 {
        let unwrapped = self.newest + i64::from(timestamp.wrapping_sub(self.newest as u32) as i32);
        self.newest = self.newest.max(unwrapped);
        unwrapped
    }

    /// A new stream: nothing of the old one is comparable.
    fn restart(&mut self, packet: &RtpPacket) {
        self.slots.discard_all();
        self.newest = i64::from(packet.timestamp);
        self.played_until = i64::MIN;
        self.last_played_sequence = None;
        self.rebase(self.newest);
    }

    /// Makes `timestamp` play after the delay.
    fn rebase(&mut self, timestamp: i64) {
        self.expected = timestamp - self.delay;
        self.dry = 0;
        self.late_run = 0;
        self.lead = LeadWindow::NEW;
        self.adjust = None;
    }

    /// A timestamp far from the timeline moves the timeline: the sender's clock jumped, or we were stopped for long.
    fn follow_jumps(&mut self, timestamp: i64, newest_sequence: bool) {
        let ahead = timestamp - self.expected;
        if ahead > self.horizon {
            self.rebase(timestamp);
            self.slots.discard_before(self.expected);
        } else if ahead < -self.horizon && newest_sequence {
            self.slots.discard_all();
            self.newest = timestamp;
            self.played_until = i64::MIN;
            self.reception.forget_transit();
            self.rebase(timestamp);
        }
    }

    fn store(&mut self, stored: Stored) -> Pushed {
        let timestamp = stored.timestamp;
        if timestamp < self.expected {
            self.late_run += 1;
            if self.late_run < Self::LATE_RUN || timestamp < self.played_until {
                return self.slots.discard();
            }
            self.rebase(timestamp);
        } else {
            self.late_run = 0;
            self.observe_lead(timestamp - self.expected);
        }
        self.slots.store(stored)
    }

    fn observe_lead(&mut self, lead: i64) {
        self.lead.best = self.lead.best.max(lead);
        self.lead.packets += 1;
        if self.lead.packets < LeadWindow::PACKETS {
            return;
        }
        let off = self.lead.best - self.delay;
        let tolerance = self.frame * 3 / 2;
        self.adjust = match off {
            _ if off > tolerance => Some(Adjust::Skip),
            _ if off < -tolerance => Some(Adjust::Stretch),
            _ => None,
        };
        self.lead = LeadWindow::NEW;
    }

    fn skip_frame(&mut self) {
        if self.slots.first().is_some_and(|first| first.timestamp <= self.expected) {
            if let Some(first) = self.slots.take_first() {
                self.expected = self.expected.max(first.timestamp + first.duration);
                self.last_played_sequence = Some(first.sequence);
                self.played_until = self.expected;
                self.slots.discard();
            }
        } else {
            self.expected += self.frame;
            self.slots.discard_before(self.expected);
        }
    }

    fn play_first(&mut self) -> Pop<'_> {
        let Some(first) = self.slots.take_first() else {
            return Pop::Empty { duration: self.frame as u32 };
        };
        self.expected = first.timestamp + first.duration;
        self.played_until = self.expected;
        self.last_played_sequence = Some(first.sequence);
        self.dry = 0;
        Pop::Packet { packet: first.packet, arrival: first.arrival }
    }
}

#[cfg(test)]
#[path = "fixed_tests.rs"]
mod tests;
