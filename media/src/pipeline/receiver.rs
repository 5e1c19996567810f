//! From packets to sound.

use super::{Loudness, RtpPacket};
use crate::{
    SAMPLE_RATE, TICK_SAMPLES,
    audio::{
        codec::{CodecKind, Decoder, Error, MAX_PACKET_SAMPLES},
        jitter::{FixedJitterBuffer, JitterConfig, Pop},
        level::{Level, Meter},
    },
};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How a [`Receiver`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// What the packets hold.
    pub codec: CodecKind,
    /// How long the jitter buffer holds sound back, 0..=1 s.
    pub delay: Duration,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self { codec: CodecKind::default(), delay: JitterConfig::DEFAULT_DELAY }
    }
}

/// What a [`Receiver`] saw and did. Names as in W3C webrtc-stats (`RTCInboundRtpStreamStats`), where they exist.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ReceiverStats {
    /// Packets that came, late ones and duplicates among them.
    pub packets_received: u64,
    /// Payload bytes in them, without RTP and lower headers.
    pub bytes_received: u64,
    /// Packets expected minus packets received (RFC 3550 appendix A.3); may be negative.
    pub packets_lost: i64,
    /// Packets dropped by the jitter buffer: too late, too early, or to follow the sender's clock.
    pub packets_discarded: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that are not of the codec.
    pub malformed: u64,
    /// Interarrival jitter in seconds (RFC 3550 section 6.4.1).
    pub jitter: f64,
    /// Samples (at [`SAMPLE_RATE`]) played in place of lost or late ones.
    pub concealed_samples: u64,
    /// Those of them that were silence.
    pub silent_concealed_samples: u64,
    /// Times that concealment began.
    pub concealment_events: u64,
    /// Seconds each sample waited between arrival and playout, added up over all samples: divide by
    /// `jitter_buffer_emitted_count` for the mean.
    pub jitter_buffer_delay: f64,
    /// Samples that came out of the jitter buffer.
    pub jitter_buffer_emitted_count: u64,
    /// Packets recovered from the forward error correction in the packet behind.
    pub fec_packets_received: u64,
    /// Samples played since the first packet, concealed ones among them.
    pub total_samples_received: u64,
    /// Energy of the sound played: the sum of (RMS amplitude)² x seconds.
    pub total_audio_energy: f64,
    /// RMS amplitude of the last 100 ms played, 0..=1.
    pub audio_level: f64,
    /// When the first packet came.
    #[serde(skip)]
    pub first_packet: Option<Instant>,
    /// When the first sound of a packet was pulled.
    #[serde(skip)]
    pub first_audio: Option<Instant>,
}

/// Puts packets in order, decodes them, fills the holes.
pub struct Receiver {
    jitter: FixedJitterBuffer,
    decoder: Box<dyn Decoder>,
    /// Decoded and not yet pulled.
    pending: Vec<f32>,
    scratch: Vec<f32>,
    /// Samples concealed since the last real one.
    concealed_run: usize,
    /// The last packet said that silence follows (Opus: two bytes or less).
    silence_announced: bool,
    meter: Meter,
    loudness: Loudness,
    stats: ReceiverStats,
}

impl Receiver {
    /// Concealed sound whose peak is below this counts as silence: -60 dBFS.
    const SILENT: f32 = 0.001;

    /// Concealment fades out between these, in samples: what goes on for longer is a guess nobody wants to hear.
    const FADE: std::ops::Range<usize> = 9_600..24_000;

    /// A receiver that has heard nothing.
    pub fn new(config: ReceiverConfig) -> Result<Self, Error> {
        let clock_rate = config.codec.clock_rate();
        Ok(Self {
            jitter: FixedJitterBuffer::new(&JitterConfig { clock_rate, delay: config.delay }),
            decoder: config.codec.decoder()?,
            pending: Vec::with_capacity(2 * MAX_PACKET_SAMPLES),
            scratch: vec![0.0; MAX_PACKET_SAMPLES],
            concealed_run: 0,
            silence_announced: false,
            meter: Meter::default(),
            loudness: Loudness::default(),
            stats: ReceiverStats::default(),
        })
    }

    /// Takes a packet that came from the network at `arrival`.
    pub fn push(&mut self, packet: RtpPacket, arrival: Instant) {
        let Ok(samples) = self.decoder.packet_samples(&packet.payload) else {
            self.stats.malformed += 1;
            return;
        };
        self.stats.first_packet.get_or_insert(arrival);
        self.stats.bytes_received += packet.payload.len() as u64;
        let duration = samples as u32 / self.decoder.kind().samples_per_timestamp();
        self.jitter.push(packet, duration, arrival);
    }

    /// Fills `out` with the next 10 ms. To be called every [`crate::TICK`]; `now` is only used for the statistics.
    pub fn pull(&mut self, out: &mut [f32; TICK_SAMPLES], now: Instant) {
        while self.pending.len() < TICK_SAMPLES {
            self.decode_next(now);
        }
        out.copy_from_slice(&self.pending[..TICK_SAMPLES]);
        self.pending.drain(..TICK_SAMPLES);
        if self.stats.first_packet.is_some() {
            self.stats.total_samples_received += TICK_SAMPLES as u64;
        }
        self.meter.add(out);
        self.loudness.add(out);
    }

    /// The level of what was pulled since the last call of this.
    pub fn take_level(&mut self) -> Level {
        self.meter.take()
    }

    /// The codec.
    pub fn codec(&self) -> CodecKind {
        self.decoder.kind()
    }

    /// What happened so far.
    pub fn stats(&self) -> ReceiverStats {
        let reception = self.jitter.reception();
        ReceiverStats {
            packets_received: reception.packets_received,
            packets_lost: reception.packets_lost,
            packets_discarded: self.jitter.discarded(),
            duplicates: reception.duplicates,
            jitter: reception.jitter.as_secs_f64(),
            total_audio_energy: self.loudness.total_energy,
            audio_level: self.loudness.level(),
            ..self.stats
        }
    }

    /// Adds at least one sample to `pending`.
    fn decode_next(&mut self, now: Instant) {
        let unit = self.decoder.kind().samples_per_timestamp() as usize;
        let fill = |duration: u32| (duration as usize * unit).clamp(1, MAX_PACKET_SAMPLES);
        match self.jitter.pop() {
            Pop::Packet { packet, arrival } => match self.decoder.decode(&packet.payload, &mut self.scratch) {
                Ok(samples) if samples > 0 => {
                    self.silence_announced = self.decoder.kind() == CodecKind::Opus && packet.payload.len() <= 2;
                    self.concealed_run = 0;
                    let waited = now.saturating_duration_since(arrival).as_secs_f64();
                    self.stats.jitter_buffer_delay += waited * samples as f64;
                    self.stats.jitter_buffer_emitted_count += samples as u64;
                    self.stats.first_audio.get_or_insert(now);
                    self.pending.extend_from_slice(&self.scratch[..samples]);
                }
                // Its head was right and its body is not: as good as lost.
                _ => {
                    self.stats.malformed += 1;
                    self.conceal(fill(packet_duration(&*self.decoder, &packet.payload)));
                }
            },
            Pop::Lost { duration, next } => {
                let samples = fill(duration);
                let out = &mut self.scratch[..whole_steps(samples)];
                let recovered = next.is_some_and(|next| self.decoder.decode_fec(&next.payload, out).unwrap_or(false));
                if recovered {
                    self.concealed_run = 0;
                    self.stats.fec_packets_received += 1;
                    self.pending.extend_from_slice(&self.scratch[..samples]);
                } else {
                    self.conceal(samples);
                }
            }
            Pop::Empty { duration } if self.silence_announced => {
                // Comfort noise: nothing was lost.
                let samples = fill(duration);
                self.generate(samples);
                self.pending.extend_from_slice(&self.scratch[..samples]);
            }
            Pop::Empty { duration } => {
                self.concealed_run = 0;
                self.pending.resize(self.pending.len() + fill(duration), 0.0);
            }
        }
    }

    /// Lets the decoder fill `samples` of `scratch`.
    fn generate(&mut self, samples: usize) {
        let out = &mut self.scratch[..whole_steps(samples)];
        if self.decoder.conceal(out).is_err() {
            out.fill(0.0);
        }
    }

    fn conceal(&mut self, samples: usize) {
        self.generate(samples);
        let made = &mut self.scratch[..samples];
        if !self.silence_announced {
            if self.concealed_run == 0 {
                self.stats.concealment_events += 1;
            }
            fade(made, self.concealed_run, Self::FADE);
            self.concealed_run += samples;
            self.stats.concealed_samples += samples as u64;
            if made.iter().all(|sample| sample.abs() < Self::SILENT) {
                self.stats.silent_concealed_samples += samples as u64;
            }
        }
        self.pending.extend_from_slice(&self.scratch[..samples]);
    }
}

/// Fades `samples`, the first of which is number `from`, linearly to nothing over `range`.
fn fade(samples: &mut [f32], from: usize, range: std::ops::Range<usize>) {
    for (n, sample) in samples.iter_mut().enumerate() {
        let left = range.end.saturating_sub(from + n) as f32 / range.len() as f32;
        *sample *= left.min(1.0);
    }
}

/// Rounded up to 2.5 ms: codecs conceal in whole steps.
fn whole_steps(samples: usize) -> usize {
    let step = SAMPLE_RATE as usize / 400;
    (samples.div_ceil(step) * step).min(MAX_PACKET_SAMPLES)
}

fn packet_duration(decoder: &dyn Decoder, payload: &[u8]) -> u32 {
    let samples = decoder.packet_samples(payload).unwrap_or(0) as u32;
    samples / decoder.kind().samples_per_timestamp()
}
