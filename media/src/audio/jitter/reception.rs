//! What a receiver counts about the packets of a stream (RFC 3550 section 6.4.1, appendices A.1, A.3 and A.8).

use super::RtpPacket;
use std::time::{Duration, Instant};

/// Counts of what came from the network. Streams that followed each other (a new SSRC) are added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReceptionStats {
    /// Packets that came, late ones and duplicates among them (as RFC 3550 appendix A.3 counts).
    pub packets_received: u64,
    /// Packets expected minus packets received: negative when duplicates outnumber the lost ones.
    pub packets_lost: i64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Interarrival jitter of the stream.
    pub jitter: Duration,
}

/// A packet's sequence number without its wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub number: i64,
    /// No packet behind it has come yet.
    pub newest: bool,
}

/// What a packet is within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first of a stream.
    Restart {
        sequence: Sequence,
    },
    Normal {
        sequence: Sequence,
    },
    Duplicate,
    /// Its sequence number is far off; the stream restarts there if the next packet follows it.
    Implausible,
}

pub(super) struct Reception {
    clock_rate: f64,
    stream: Option<Stream>,
    /// Of the streams before.
    past: ReceptionStats,
    implausible_next: Option<u16>,
}

struct Stream {
    ssrc: u32,
    base: i64,
    newest: i64,
    received: u64,
    duplicates: u64,
    /// Bit n: `newest - n` has come.
    seen: u128,
    jitter: f64,
    transit: Option<Transit>,
    /// The next to be judged lost or not.
    settled: i64,
    losses: Vec<usize>,
}

struct Transit {
    arrival: Instant,
    timestamp: u32,
}

impl Reception {
    /// A sequence number may leap so far ahead or behind and still belong (RFC 3550 appendix A.1; `seen` remembers a
    /// few more than the 100 behind).
    const MAX_DROPOUT: i64 = 3000;
    const MAX_MISORDER: i64 = 100;

    /// A packet so far behind the newest is lost for good.
    const SETTLED: i64 = 16;

    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: f64::from(clock_rate),
            stream: None,
            past: ReceptionStats::default(),
            implausible_next: None,
        }
    }

    pub fn started(&self) -> bool {
        self.stream.is_some()
    }

    pub fn register(&mut self, packet: &RtpPacket, arrival: Instant) -> Arrival {
        let number = packet.sequence_number;
        let stream = match &mut self.stream {
            Some(stream) if stream.ssrc == packet.ssrc => stream,
            _ => return self.restart(packet, arrival),
        };
        let ahead = i64::from(number.wrapping_sub(stream.newest as u16) as i16);
        if !(-Self::MAX_MISORDER..=Self::MAX_DROPOUT).contains(&ahead) {
            if self.implausible_next == Some(number) {
                return self.restart(packet, arrival);
            }
            self.implausible_next = Some(number.wrapping_add(1));
            return Arrival::Implausible;
        }
        self.implausible_next = None;
        stream.received += 1;
        if !stream.mark(ahead) {
            stream.duplicates += 1;
            return Arrival::Duplicate;
        }
        stream.measure_jitter(packet.timestamp, arrival, self.clock_rate);
        let unwrapped = if ahead > 0 { stream.newest } else { stream.newest + ahead };
        stream.base = stream.base.min(unwrapped);
        Arrival::Normal { sequence: Sequence { number: unwrapped, newest: ahead > 0 } }
    }

    /// Counts a packet of the stream that is no sound, as telephone events are: it shares the sequence numbers, and its
    /// timestamp says nothing about when it was sent.
    pub fn count_other(&mut self, ssrc: u32, sequence_number: u16) {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) else { return };
        let ahead = i64::from(sequence_number.wrapping_sub(stream.newest as u16) as i16);
        if !(-Self::MAX_MISORDER..=Self::MAX_DROPOUT).contains(&ahead) {
            return;
        }
        stream.received += 1;
        if !stream.mark(ahead) {
            stream.duplicates += 1;
        }
    }

    /// The sender's timestamps jumped: the next difference says nothing about the network.
    pub fn forget_transit(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.transit = None;
        }
    }

    /// The packets judged lost since the last call: for each, how far behind it the next one is that came.
    pub fn take_losses(&mut self) -> Vec<usize> {
        self.stream.as_mut().map(|stream| std::mem::take(&mut stream.losses)).unwrap_or_default()
    }

    pub fn stats(&self) -> ReceptionStats {
        let Some(stream) = &self.stream else { return self.past };
        let expected = stream.newest - stream.base + 1;
        ReceptionStats {
            packets_received: self.past.packets_received + stream.received,
            packets_lost: self.past.packets_lost + expected - stream.received as i64,
            duplicates: self.past.duplicates + stream.duplicates,
            jitter: Duration::from_secs_f64((stream.jitter / self.clock_rate).max(0.0)),
        }
    }

    fn restart(&mut self, packet: &RtpPacket, arrival: Instant) -> Arrival {
        self.past = self.stats();
        self.implausible_next = None;
        let number = i64::from(packet.sequence_number);
        self.stream = Some(Stream {
            ssrc: packet.ssrc,
            base: number,
            newest: number,
            received: 1,
            duplicates: 0,
            seen: 1,
            jitter: 0.0,
            transit: Some(Transit { arrival, timestamp: packet.timestamp }),
            settled: number + 1,
            losses: Vec::new(),
        });
        Arrival::Restart { sequence: Sequence { number, newest: true } }
    }
}

impl Stream {
    /// Marks the packet `ahead` of the newest as seen; false if it was.
    fn mark(&mut self, ahead: i64) -> bool {
        if ahead > 0 {
            self.seen = self.seen.checked_shl(ahead as u32).unwrap_or(0) | 1;
            self.newest += ahead;
            self.settle();
            return true;
        }
        let bit = 1u128 << (-ahead as u32);
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }

    /// Judges what is so far back that it will not come any more.
    fn settle(&mut self) {
        let until = self.newest - Reception::SETTLED;
        self.settled = self.settled.max(until - 64);
        while self.settled < until {
            let back = (self.newest - self.settled) as u32;
            let missing = self.seen >> back & 1 == 0;
            let next = (1..back).find(|&distance| self.seen >> (back - distance) & 1 == 1);
            if let (true, Some(distance)) = (missing, next) {
                self.losses.push(distance as usize);
            }
            self.settled += 1;
        }
    }

    /// RFC 3550 appendix A.8, on differences, so that no common clock is needed.
    fn measure_jitter(&mut self, timestamp: u32, arrival: Instant, clock_rate: f64) {
        if let Some(last) = &self.transit {
            let sent = f64::from(timestamp.wrapping_sub(last.timestamp) as i32);
            let later = arrival.saturating_duration_since(last.arrival).as_secs_f64();
            let earlier = last.arrival.saturating_duration_since(arrival).as_secs_f64();
            let came = (later - earlier) * clock_rate;
            self.jitter += ((came - sent).abs() - self.jitter) / 16.0;
        }
        self.transit = Some(Transit { arrival, timestamp });
    }
}
