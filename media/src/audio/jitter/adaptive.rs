//! Packets that wait for an adaptive playout.

use super::{
    Pushed, ReceptionStats, RtpPacket,
    reception::{Arrival, Reception},
    target::{AdaptiveConfig, DelayTarget, Observed},
};
use std::{collections::BTreeMap, time::Instant};

/// A packet that waits, or waited.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// To be decoded.
    pub packet: RtpPacket,
    /// Its timestamp without wraps, in clock units.
    pub timestamp: i64,
    /// Its sequence number without wraps.
    pub sequence: i64,
    /// How long it lasts, in clock units.
    pub duration: i64,
    /// When it came.
    pub arrival: Instant,
    /// How far back it can restore what was lost, in clock units.
    pub reach: i64,
}

/// What a stream asks of its playout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Same,
    /// The time line begins anew at this timestamp: a new stream, or a sender whose timestamps jumped.
    Restart {
        /// Without wraps, in clock units.
        timestamp: i64,
    },
}

/// Keeps packets in order until they are played, counts what came, and learns how long they should wait.
///
/// It does not play: whoever does takes packets off with [`take_first`](Self::take_first) and says how far it came
/// with [`played_to`](Self::played_to). Its memory is bounded, whatever the network does.
pub struct AdaptiveJitterBuffer {
    clock_rate: u32,
    slots: BTreeMap<i64, Stored>,
    reception: Reception,
    target: DelayTarget,
    /// Time zero of the target's transit times.
    origin: Option<Instant>,
    newest: i64,
    played_to: i64,
    discarded: u64,
}

impl AdaptiveJitterBuffer {
    /// More packets than this never wait; then the oldest gives way.
    pub const MAX_PACKETS: usize = 256;

    /// Milliseconds by which a packet must be off for it to be the sender's clock that jumped.
    const JUMP: f64 = 3_000.0;

    /// A buffer for a stream with this RTP clock rate in Hz (1,000 at least) that has seen nothing.
    pub fn new(clock_rate: u32, config: AdaptiveConfig) -> Self {
        let clock_rate = clock_rate.max(1_000);
        Self {
            clock_rate,
            slots: BTreeMap::new(),
            reception: Reception::new(clock_rate),
            target: DelayTarget::new(config),
            origin: None,
            newest: 0,
            played_to: i64::MIN,
            discarded: 0,
        }
    }

    /// Takes a packet that lasts `duration` clock units, came at `arrival`, and can restore `reach` clock units before
    /// it.
    pub fn push(&mut self, packet: RtpPacket, duration: u32, reach: u32, arrival: Instant) -> (Pushed, Next) {
        let sequence = match self.reception.register(&packet, arrival) {
            Arrival::Restart { sequence } => {
                let timestamp = i64::from(packet.timestamp);
                let (duration, reach) = (i64::from(duration), i64::from(reach));
                self.restart(timestamp, arrival);
                let stored = Stored { packet, timestamp, sequence: sequence.number, duration, arrival, reach };
                self.observe(&stored);
                return (self.store(stored), Next::Restart { timestamp });
            }
            Arrival::Normal { sequence } => sequence,
            Arrival::Duplicate => return (Pushed::Duplicate, Next::Same),
            Arrival::Implausible => {
                self.discarded += 1;
                return (Pushed::Discarded, Next::Same);
            }
        };
        for distance in self.reception.take_losses() {
            self.target.observe_loss(distance);
        }
        let timestamp = self.newest + i64::from(packet.timestamp.wrapping_sub(self.newest as u32) as i32);
        let mut next = Next::Same;
        // Compared as transit times: a pause that was not sent moves both clocks alike.
        if self.waited(timestamp, arrival).abs() > Self::JUMP {
            if !sequence.newest {
                self.discarded += 1;
                return (Pushed::Discarded, Next::Same);
            }
            self.reception.forget_transit();
            self.restart(timestamp, arrival);
            next = Next::Restart { timestamp };
        }
        self.newest = self.newest.max(timestamp);
        let (duration, reach) = (i64::from(duration), i64::from(reach));
        let stored = Stored { packet, timestamp, sequence: sequence.number, duration, arrival, reach };
        self.observe(&stored);
        let pushed = self.store(stored);
        (pushed, next)
    }

    /// The packet to be played next.
    pub fn first(&self) -> Option<&Stored> {
        self.slots.first_key_value().map(|(_, stored)| stored)
    }

    /// Takes it off.
    pub fn take_first(&mut self) -> Option<Stored> {
        self.slots.pop_first().map(|(_, stored)| stored)
    }

    /// Says that everything before this timestamp (without wraps) has been played: what comes for it is too late.
    pub fn played_to(&mut self, timestamp: i64) {
        self.played_to = timestamp;
        while let Some(first) = self.slots.first_entry()
            && *first.key() < timestamp
        {
            first.remove();
            self.discarded += 1;
        }
    }

    /// How long packets should wait.
    pub fn target(&self) -> &DelayTarget {
        &self.target
    }

    /// Milliseconds between the moment a timestamp (without wraps) was due on the fastest path, and `now`: how long a
    /// packet of the fastest would have waited, if it were played now.
    pub fn waited(&self, timestamp: i64, now: Instant) -> f64 {
        self.since_origin(now) - self.milliseconds(timestamp) - self.target.base()
    }

    /// Clock units in milliseconds.
    pub fn milliseconds(&self, units: i64) -> f64 {
        units as f64 * 1000.0 / f64::from(self.clock_rate)
    }

    /// The end of what has come, in clock units without wraps.
    pub fn newest(&self) -> i64 {
        self.slots.last_key_value().map_or(self.newest, |(_, last)| last.timestamp + last.duration)
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when no packet waits.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Packets dropped because they came too late, or because too many waited (W3C `packetsDiscarded`).
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Counts a packet of the stream that is no sound (a telephone event).
    pub fn count_other(&mut self, ssrc: u32, sequence_number: u16) {
        self.reception.count_other(ssrc, sequence_number);
    }

    /// What the network did: counts, loss, jitter.
    pub fn reception(&self) -> ReceptionStats {
        self.reception.stats()
    }

    fn restart(&mut self, timestamp: i64, arrival: Instant) {
        self.discarded += self.slots.len() as u64;
        self.slots.clear();
        self.newest = timestamp;
        self.played_to = i64::MIN;
        self.origin.get_or_insert(arrival);
        // The new stream is taken to come as fast as the fastest of the old one did: the path is likely the same.
        let transit = self.since_origin(arrival) - self.milliseconds(timestamp);
        self.target.offset(transit - self.target.base());
    }

    fn observe(&mut self, stored: &Stored) {
        self.target.observe(Observed {
            arrival: self.since_origin(stored.arrival),
            timestamp: self.milliseconds(stored.timestamp),
            duration: self.milliseconds(stored.duration),
            reach: self.milliseconds(stored.reach),
        });
    }

    fn store(&mut self, mut stored: Stored) -> Pushed {
        // A packet of no duration would never move the timeline on.
        stored.duration = stored.duration.clamp(1, i64::from(self.clock_rate));
        if stored.timestamp < self.played_to {
            self.discarded += 1;
            return Pushed::Discarded;
        }
        if self.slots.contains_key(&stored.timestamp) {
            return Pushed::Duplicate;
        }
        self.slots.insert(stored.timestamp, stored);
        if self.slots.len() > Self::MAX_PACKETS {
            self.slots.pop_first();
            self.discarded += 1;
        }
        Pushed::Stored
    }

    fn since_origin(&self, at: Instant) -> f64 {
        let Some(origin) = self.origin else { return 0.0 };
        (at.saturating_duration_since(origin).as_secs_f64() - origin.saturating_duration_since(at).as_secs_f64())
            * 1000.0
    }
}
