//! One way of a call, in virtual time.

use super::network::{Network, Path};
use crate::{
    SAMPLE_RATE, TICK, TICK_SAMPLES,
    audio::{
        codec::{Error, OpusDecoder},
        source::Source,
    },
    pipeline::{NetworkReport, Receiver, ReceiverConfig, ReceiverStats, RtpPacket, Sender, SenderConfig, SenderStats},
};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// How a call is set up.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The far end.
    pub sender: SenderConfig,
    /// The near end.
    pub receiver: ReceiverConfig,
    /// Decodes with libopus's classic concealment instead of the neural one.
    pub classic_concealment: bool,
    /// What lies between.
    pub network: Network,
    /// How often the near end reports to the far end how it receives; none: never.
    pub reports_every: Option<Duration>,
}

/// What was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Everything that was played, from the beginning of the call.
    pub sound: Vec<f32>,
    /// One for each 10 ms.
    pub moments: Vec<Moment>,
    /// The far end's figures.
    pub sender: SenderStats,
    /// The near end's figures.
    pub receiver: ReceiverStats,
    /// Real time spent in the receiver: the one thing here that differs from run to run.
    pub receiver_time: Duration,
}

/// 10 ms of a receiver's life.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// When, in seconds from the beginning.
    pub at: f64,
    /// Mean time the samples played had waited, in seconds; none when none were played.
    pub delay: Option<f64>,
    /// What the jitter buffer aims at, in seconds.
    pub target: Option<f64>,
    /// Samples concealed, of 480.
    pub concealed: u64,
    /// Samples put in by slowing down.
    pub inserted: u64,
    /// Samples taken out by speeding up.
    pub removed: u64,
}

/// A packet under way; the earliest arrival is the greatest, ties keep their order.
#[derive(PartialEq, Eq)]
struct Flying {
    order: Reverse<(Duration, u64)>,
    packet: RtpPacket,
}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Call {
    /// Plays `source` for so many seconds.
    ///
    /// # Errors
    /// When a codec cannot be set up.
    pub fn run(&self, source: Box<dyn Source>, seconds: f64) -> Result<Heard, Error> {
        let sender = SenderConfig {
            initial_sequence_number: Some(self.sender.initial_sequence_number.unwrap_or(65_000)),
            initial_timestamp: Some(self.sender.initial_timestamp.unwrap_or(u32::MAX - 100_000)),
            ..self.sender.clone()
        };
        let mut sender = Sender::new(source, sender)?;
        let mut receiver = match self.classic_concealment {
            false => Receiver::new(self.receiver.clone())?,
            true => {
                let decoder = Box::new(OpusDecoder::with_classic_concealment()?);
                Receiver::with_decoder(decoder, self.receiver.jitter_buffer)
            }
        };
        let mut path = Path::new(self.network.clone());
        let mut flying = BinaryHeap::new();
        let start = Instant::now();
        // The two clocks never tick together; where between, the seed decides.
        let phase = Duration::from_micros(self.network.seed.wrapping_mul(2_654_435_761) % 10_000);
        let sender_tick = TICK.as_secs_f64() / (1.0 + self.network.drift_ppm * 1e-6);
        let (mut sent, mut order) = (0u32, 0);
        let mut reporter = self.reports_every.map(|every| Reporter::new(every, self.network.delay));
        let ticks = (seconds / TICK.as_secs_f64()).round() as u32;
        let mut heard = Heard {
            sound: Vec::with_capacity(ticks as usize * TICK_SAMPLES),
            moments: Vec::with_capacity(ticks as usize),
            sender: SenderStats::default(),
            receiver: ReceiverStats::default(),
            receiver_time: Duration::ZERO,
        };
        for tick in 0..ticks {
            let now = TICK * tick + phase;
            while Duration::from_secs_f64(sender_tick * f64::from(sent)) <= now {
                let at = Duration::from_secs_f64(sender_tick * f64::from(sent));
                sent += 1;
                let Some(packet) = sender.tick() else { continue };
                let packet = packet.into_rtp(0x1234);
                for arrival in path.carry(at) {
                    order += 1;
                    flying.push(Flying { order: Reverse((arrival, order)), packet: packet.clone() });
                }
            }
            let mut out = [0.0; TICK_SAMPLES];
            let before = receiver.stats();
            let busy = Instant::now();
            while flying.peek().is_some_and(|next: &Flying| next.order.0.0 <= now) {
                if let Some(Flying { order: Reverse((at, _)), packet }) = flying.pop() {
                    receiver.push(packet, start + at);
                }
            }
            receiver.pull(&mut out, start + now);
            if let Some(report) = reporter.as_mut().and_then(|reporter| reporter.tick(now, &receiver.stats())) {
                sender.report(&report, start + now);
            }
            heard.receiver_time += busy.elapsed();
            heard.sound.extend_from_slice(&out);
            heard.moments.push(moment(f64::from(tick) * TICK.as_secs_f64(), &before, &receiver.stats()));
        }
        heard.sender = sender.stats();
        heard.receiver = receiver.stats();
        Ok(heard)
    }
}

/// Makes receiver reports (RFC 3550 section 6.4.1), which take no time and are never lost.
struct Reporter {
    every: Duration,
    due: Duration,
    round_trip: Duration,
    received: u64,
    lost: i64,
}

impl Reporter {
    fn new(every: Duration, delay: Duration) -> Self {
        Self { every, due: every, round_trip: 2 * delay, received: 0, lost: 0 }
    }

    fn tick(&mut self, now: Duration, stats: &ReceiverStats) -> Option<NetworkReport> {
        if now < self.due {
            return None;
        }
        self.due += self.every;
        let received = (stats.packets_received - std::mem::replace(&mut self.received, stats.packets_received)) as f64;
        let lost = (stats.packets_lost - std::mem::replace(&mut self.lost, stats.packets_lost)).max(0) as f64;
        Some(NetworkReport {
            fraction_lost: lost / (lost + received).max(1.0),
            round_trip_time: Some(self.round_trip),
            jitter: Duration::from_secs_f64(stats.jitter),
        })
    }
}

fn moment(at: f64, before: &ReceiverStats, after: &ReceiverStats) -> Moment {
    let emitted = after.jitter_buffer_emitted_count - before.jitter_buffer_emitted_count;
    let mean = |sum: f64| (emitted > 0).then(|| sum / emitted as f64);
    Moment {
        at,
        delay: mean(after.jitter_buffer_delay - before.jitter_buffer_delay),
        target: mean(after.jitter_buffer_target_delay - before.jitter_buffer_target_delay),
        concealed: after.concealed_samples - before.concealed_samples,
        inserted: after.inserted_samples_for_deceleration - before.inserted_samples_for_deceleration,
        removed: after.removed_samples_for_acceleration - before.removed_samples_for_acceleration,
    }
}

impl Heard {
    /// Mean time in the jitter buffer, in seconds.
    pub fn mean_delay(&self) -> f64 {
        self.receiver.jitter_buffer_delay / self.receiver.jitter_buffer_emitted_count.max(1) as f64
    }

    /// How long the sound is, in seconds.
    pub fn seconds(&self) -> f64 {
        self.sound.len() as f64 / f64::from(SAMPLE_RATE)
    }
}
