//! Playout that adapts: it slows down and speeds up the sound so that packets wait as long as the network asks for.

use super::{
    Codec, Content, Decoded, Follows, RtpPacket,
    output::{Origin, Output},
    tempo::Tempo,
};
use crate::{
    SAMPLE_RATE, TICK_SAMPLES,
    audio::{
        codec::FRAME_SAMPLES,
        jitter::{AdaptiveConfig, AdaptiveJitterBuffer, Next, ReceptionStats},
    },
};
use std::time::Instant;

/// Plays what an [`AdaptiveJitterBuffer`] keeps.
///
/// "Waited" is always how long the packet that is decoded next would have waited, had it come on the fastest path: it
/// is compared with the target.
pub(super) struct AdaptivePlayout {
    buffer: AdaptiveJitterBuffer,
    output: Output,
    tempo: Tempo,
    playing: bool,
    /// Timestamp (without wraps) of what is decoded next.
    expected: i64,
    last_sequence: Option<i64>,
    /// Samples concealed since the time line stood still: what they stand for may still come, or be lost.
    hole: usize,
    /// What is decoded next does not follow from what was played last.
    disjoint: bool,
}

impl AdaptivePlayout {
    /// Concealment goes on in steps of this many samples: as soon as a packet is there, it ends.
    const STEP: usize = TICK_SAMPLES;

    /// A stream that has been dry for so many samples has stopped.
    const STOPPED: usize = SAMPLE_RATE as usize;

    /// What is lost is skipped rather than concealed when everything is later than the target by so many milliseconds.
    const SKIP: f64 = 40.0;

    pub fn new(clock_rate: u32, config: AdaptiveConfig) -> Self {
        Self {
            buffer: AdaptiveJitterBuffer::new(clock_rate, config),
            output: Output::new(),
            tempo: Tempo::default(),
            playing: false,
            expected: 0,
            last_sequence: None,
            hole: 0,
            disjoint: false,
        }
    }

    pub fn push(&mut self, codec: &mut Codec, packet: RtpPacket, samples: usize, arrival: Instant) {
        let unit = codec.unit();
        let reach = if packet.content == Content::Sound { codec.decoder.reach(&packet.payload) } else { 0 };
        let (_, next) = self.buffer.push(packet, (samples / unit) as u32, (reach / unit) as u32, arrival);
        if let Next::Restart { timestamp } = next {
            self.expected = timestamp;
            self.playing = false;
            self.last_sequence = None;
            self.hole = 0;
            codec.follows = Follows::Sound;
        }
    }

    pub fn pull(&mut self, codec: &mut Codec, out: &mut [f32; TICK_SAMPLES], now: Instant) {
        self.squeeze(codec, now);
        while self.output.len() < TICK_SAMPLES {
            self.produce(codec, now);
        }
        let target = self.buffer.target();
        let (target, minimum) = (target.target() / 1000.0, target.minimum() / 1000.0);
        let stats = &mut codec.stats;
        self.output.pull(out, |samples, origin| {
            let Origin::Packet(arrival) = origin else { return };
            let count = samples as f64;
            stats.jitter_buffer_delay += now.saturating_duration_since(arrival).as_secs_f64() * count;
            stats.jitter_buffer_target_delay += target * count;
            stats.jitter_buffer_minimum_delay += minimum * count;
            stats.jitter_buffer_emitted_count += samples as u64;
        });
    }

    pub fn count_other(&mut self, ssrc: u32, sequence_number: u16) {
        self.buffer.count_other(ssrc, sequence_number);
    }

    pub fn counts(&self) -> (ReceptionStats, u64) {
        (self.buffer.reception(), self.buffer.discarded())
    }

    /// Adds at least one sample to the output.
    fn produce(&mut self, codec: &mut Codec, now: Instant) {
        if !self.playing && !self.begin(codec, now) {
            return self.silence(codec);
        }
        self.buffer.played_to(self.expected);
        let Some(first) = self.buffer.first() else { return self.run_dry(codec) };
        if first.timestamp <= self.expected {
            return self.decode(codec, now);
        }
        let not_sent = self.last_sequence.is_none_or(|last| first.sequence == last + 1);
        if not_sent {
            self.pause(codec, first.timestamp, now);
        } else {
            self.bridge(codec, now);
        }
    }

    /// Whether it is time for the first packet of a stream.
    fn begin(&mut self, codec: &mut Codec, now: Instant) -> bool {
        let Some(first) = self.buffer.first() else { return false };
        if self.buffer.waited(first.timestamp, now) + 0.5 < self.buffer.target().target() {
            return false;
        }
        self.expected = first.timestamp;
        self.playing = true;
        self.last_sequence = None;
        self.hole = 0;
        self.disjoint = false;
        codec.concealed_run = 0;
        true
    }

    fn silence(&mut self, codec: &mut Codec) {
        codec.concealed_run = 0;
        self.output.push(&[0.0; Self::STEP], Origin::Made);
    }

    /// Nothing is there: goes on somehow, with the time line standing still, for what is missing may only be late.
    fn run_dry(&mut self, codec: &mut Codec) {
        if codec.is_silence() {
            codec.generate(Self::STEP);
        } else if self.hole >= Self::STOPPED {
            self.playing = false;
            return self.silence(codec);
        } else {
            codec.conceal(Self::STEP);
            self.hole += Self::STEP;
        }
        self.output.push(&codec.scratch[..Self::STEP], Origin::Made);
    }

    /// Silence that was not sent, until `timestamp` is due: it is as long as it needs to be for the target.
    fn pause(&mut self, codec: &mut Codec, timestamp: i64, now: Instant) {
        if self.buffer.waited(timestamp, now) + 0.5 >= self.buffer.target().target() {
            self.expected = timestamp;
            self.hole = 0;
            return;
        }
        if codec.is_silence() {
            codec.generate(Self::STEP);
        } else {
            codec.scratch[..Self::STEP].fill(0.0);
        }
        self.output.push(&codec.scratch[..Self::STEP], Origin::Made);
    }

    /// Packets are missing before the first that is there: restores them from it, or conceals them.
    fn bridge(&mut self, codec: &mut Codec, now: Instant) {
        let Some(first) = self.buffer.first() else { return };
        let unit = codec.unit();
        let end = first.timestamp;
        let missing = end - self.expected;
        // What has been concealed while nothing was there stands for what turns out to be lost; yet what can be
        // restored is worth playing as long as that does not make the delay longer than wanted.
        let concealed = ((self.hole / unit) as i64).min(missing);
        let restorable = end - missing.min(first.reach);
        let resume = self.expected + concealed;
        let target = self.buffer.target().target();
        self.expected = if restorable < resume && self.buffer.waited(restorable, now) <= target + 5.0 {
            self.disjoint = true;
            restorable
        } else {
            self.disjoint |= self.hole > concealed as usize * unit;
            resume
        };
        self.hole = 0;
        let late = self.buffer.waited(self.expected, now) - target;
        if late > Self::SKIP {
            let skip = (late * f64::from(SAMPLE_RATE) / 1000.0 / unit as f64) as i64;
            self.expected = end.min(self.expected + skip);
            self.disjoint = true;
        }
        let distance = (end - self.expected) as usize * unit;
        if distance == 0 {
            return;
        }
        let reach = first.reach as usize * unit;
        let payload = first.packet.payload.clone();
        let whole = distance.min(crate::audio::codec::MAX_PACKET_SAMPLES);
        let chunk = distance.min(FRAME_SAMPLES);
        let restored = match distance <= reach {
            true if codec.restore(&payload, distance, chunk) => Some(chunk),
            true if whole != chunk && codec.restore(&payload, distance, whole) => Some(whole),
            _ => None,
        };
        let samples = restored.unwrap_or_else(|| {
            let guess = if distance > reach { (distance - reach).min(Self::STEP) } else { distance.min(Self::STEP) };
            codec.conceal(guess);
            guess
        });
        self.add(codec, samples, Origin::Made);
        self.expected += (samples / unit).max(1) as i64;
    }

    fn decode(&mut self, codec: &mut Codec, now: Instant) {
        let Some(stored) = self.buffer.take_first() else { return };
        let waited = self.buffer.waited(stored.timestamp, now);
        // What was concealed while this packet was late has made the delay longer.
        self.disjoint |= self.hole > 0;
        self.tempo.measure(waited, self.output.len(), self.disjoint);
        self.hole = 0;
        self.expected = stored.timestamp + stored.duration;
        self.last_sequence = Some(stored.sequence);
        match codec.decode(&stored.packet, now) {
            Decoded::Samples(samples) => {
                self.add(codec, samples, Origin::Packet(stored.arrival));
                self.tempo.adjust(&mut self.output, samples, self.buffer.target().target(), codec);
            }
            Decoded::Noise(samples) => self.add(codec, samples, Origin::Made),
            Decoded::Malformed(samples) => {
                codec.conceal(samples);
                self.add(codec, samples, Origin::Made);
            }
        }
        self.buffer.played_to(self.expected);
    }

    fn add(&mut self, codec: &Codec, samples: usize, origin: Origin) {
        let sound = &codec.scratch[..samples];
        if std::mem::take(&mut self.disjoint) {
            self.output.join(sound, origin);
        } else {
            self.output.push(sound, origin);
        }
    }

    /// Shortens at once what is beyond the bound: after a stall, all that it held back is there together.
    fn squeeze(&mut self, codec: &mut Codec, now: Instant) {
        if !self.playing {
            return;
        }
        let most = self.buffer.target().max();
        let ahead = |output: &Output| output.len() as f64 * 1000.0 / f64::from(SAMPLE_RATE);
        // Of more than twice the bound, the oldest is given up: nobody would understand it that fast.
        let excess = self.buffer.waited(self.expected, now) + ahead(&self.output) - 2.0 * most;
        if excess > 0.0 && self.buffer.first().is_some() {
            let units = (excess * f64::from(SAMPLE_RATE) / 1000.0 / codec.unit() as f64) as i64;
            self.expected = (self.expected + units).min(self.buffer.newest());
            self.buffer.played_to(self.expected);
            self.disjoint = true;
            self.hole = 0;
        }
        while self.buffer.waited(self.expected, now) + ahead(&self.output) > most + 20.0
            && self.buffer.first().is_some_and(|first| first.timestamp <= self.expected)
        {
            let before = self.output.len();
            self.decode(codec, now);
            let added = self.output.len().saturating_sub(before);
            self.tempo.halve(&mut self.output, added, codec);
        }
    }
}
