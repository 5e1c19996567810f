//! Packets that wait for an adaptive playout.

use super::{
    Pushed, ReceptionStats, RtpPacket,
    reception::{Arrival, Reception},
    slots::{Slots, Stored},
    target::{AdaptiveConfig, DelayTarget, Observed},
};
use std::time::Instant;

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
    slots: Slots,
    reception: Reception,
    target: DelayTarget,
    /// Time zero of the target's transit times.
    origin: Option<Instant>,
    newest: i64,
    played_to: i64,
}

impl AdaptiveJitterBuffer {
    /// More packets than this never wait; then the oldest gives way.
    pub const MAX_PACKETS: usize = Slots::MOST;

    /// Milliseconds by which a packet must be off for it to be the sender's clock that jumped.
    const JUMP: f64 = 3_000.0;

    /// A buffer for a stream with this RTP clock rate in Hz (1,000 at least) that has seen nothing.
    pub fn new(clock_rate: u32, config: AdaptiveConfig) -> Self {
        let clock_rate = clock_rate.max(1_000);
        Self {
            clock_rate,
            slots: Slots::new(clock_rate),
            reception: Reception::new(clock_rate),
            target: DelayTarget::new(config),
            origin: None,
            newest: 0,
            played_to: i64::MIN,
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
                return (self.slots.discard(), Next::Same);
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
                return (self.slots.discard(), Next::Same);
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
        self.slots.first()
    }

    /// Takes it off.
    pub fn take_first(&mut self) -> Option<Stored> {
        self.slots.take_first()
    }

    /// Says that everything before this timestamp (without wraps) has been played: what comes for it is too late.
    pub fn played_to(&mut self, timestamp: i64) {
        self.played_to = timestamp;
        self.slots.discard_before(timestamp);
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
        self.slots.last().map_or(self.newest, |last| last.timestamp + last.duration)
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

    fn restart(&mut self, timestamp: i64, arrival: Instant) {
        self.slots.discard_all();
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

    fn store(&mut self, stored: Stored) -> Pushed {
        if stored.timestamp < self.played_to { self.slots.discard() } else { self.slots.store(stored) }
    }

    fn since_origin(&self, at: Instant) -> f64 {
        let Some(origin) = self.origin else { return 0.0 };
        (at.saturating_duration_since(origin).as_secs_f64() - origin.saturating_duration_since(at).as_secs_f64())
            * 1000.0
    }
}
