//! Packets that wait, in order.

use super::{Pushed, RtpPacket};
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

/// Packets by timestamp, a bounded number of them, and a count of those that were given up.
pub(super) struct Slots {
    /// The longest that a packet is taken to last, in clock units: a second.
    longest: i64,
    slots: BTreeMap<i64, Stored>,
    discarded: u64,
}

impl Slots {
    /// More packets than this never wait; then the oldest gives way.
    pub const MOST: usize = 256;

    pub fn new(clock_rate: u32) -> Self {
        Self { longest: i64::from(clock_rate), slots: BTreeMap::new(), discarded: 0 }
    }

    /// Keeps a packet, unless there is one of its time.
    pub fn store(&mut self, mut stored: Stored) -> Pushed {
        // A packet of no duration would never move the timeline on.
        stored.duration = stored.duration.clamp(1, self.longest);
        if self.slots.contains_key(&stored.timestamp) {
            return Pushed::Duplicate;
        }
        self.slots.insert(stored.timestamp, stored);
        if self.slots.len() > Self::MOST {
            self.slots.pop_first();
            self.discarded += 1;
        }
        Pushed::Stored
    }

    /// Counts a packet that is not kept.
    pub fn discard(&mut self) -> Pushed {
        self.discarded += 1;
        Pushed::Discarded
    }

    pub fn first(&self) -> Option<&Stored> {
        self.slots.first_key_value().map(|(_, stored)| stored)
    }

    pub fn last(&self) -> Option<&Stored> {
        self.slots.last_key_value().map(|(_, stored)| stored)
    }

    pub fn take_first(&mut self) -> Option<Stored> {
        self.slots.pop_first().map(|(_, stored)| stored)
    }

    /// Gives up what begins before `timestamp`.
    pub fn discard_before(&mut self, timestamp: i64) {
        while self.first().is_some_and(|first| first.timestamp < timestamp) {
            self.slots.pop_first();
            self.discarded += 1;
        }
    }

    pub fn discard_all(&mut self) {
        self.discarded += self.slots.len() as u64;
        self.slots.clear();
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn discarded(&self) -> u64 {
        self.discarded
    }
}
