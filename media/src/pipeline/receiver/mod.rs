//! From packets to sound.

mod adaptive;
mod fixed;
mod output;
mod stats;
mod tempo;

pub use stats::ReceiverStats;

use super::{Content, Loudness, RtpPacket};
use crate::{
    SAMPLE_RATE, TICK_SAMPLES,
    audio::{
        codec::{CodecKind, Decoder, Error, MAX_PACKET_SAMPLES, Restored},
        comfort_noise::{ComfortNoise, Description},
        jitter::{AdaptiveConfig, ReceptionStats},
        level::{Level, Meter},
    },
};
use adaptive::AdaptivePlayout;
use fixed::FixedPlayout;
use std::time::{Duration, Instant};

/// How packets wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterBuffer {
    /// The fastest packets for this long, 0..=1 s.
    Fixed(Duration),
    /// As long as the network asks for.
    Adaptive(AdaptiveConfig),
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::Adaptive(AdaptiveConfig::default())
    }
}

/// How a [`Receiver`] works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiverConfig {
    /// What the packets hold.
    pub codec: CodecKind,
    /// How they wait.
    pub jitter_buffer: JitterBuffer,
}

/// Puts packets in order, decodes them, fills the holes.
pub struct Receiver {
    codec: Codec,
    playout: Playout,
    meter: Meter,
    loudness: Loudness,
}

enum Playout {
    Fixed(Box<FixedPlayout>),
    Adaptive(Box<AdaptivePlayout>),
}

/// The decoder and what every playout does with it.
struct Codec {
    decoder: Box<dyn Decoder>,
    scratch: Vec<f32>,
    /// Samples concealed since the last real one.
    concealed_run: usize,
    /// What the last packet said of the time after it.
    follows: Follows,
    noise: Option<ComfortNoise>,
    stats: ReceiverStats,
}

/// What is to be played where nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// Sound: what is missing is lost.
    Sound,
    /// A key of a telephone, which is sent as an event.
    Key,
    /// Silence, as the codec makes it (Opus: a packet of two bytes or less).
    Silence,
    /// Noise that was described (RFC 3389).
    Noise,
}

impl Receiver {
    /// A receiver that has heard nothing.
    ///
    /// # Errors
    /// When the codec cannot be set up.
    pub fn new(config: ReceiverConfig) -> Result<Self, Error> {
        Ok(Self::with_decoder(config.codec.decoder()?, config.jitter_buffer))
    }

    /// A receiver that decodes with a decoder of one's own choice.
    pub fn with_decoder(decoder: Box<dyn Decoder>, jitter_buffer: JitterBuffer) -> Self {
        let clock_rate = decoder.kind().clock_rate();
        Self {
            codec: Codec::new(decoder),
            playout: match jitter_buffer {
                JitterBuffer::Fixed(delay) => Playout::Fixed(Box::new(FixedPlayout::new(clock_rate, delay))),
                JitterBuffer::Adaptive(config) => Playout::Adaptive(Box::new(AdaptivePlayout::new(clock_rate, config))),
            },
            meter: Meter::default(),
            loudness: Loudness::default(),
        }
    }

    /// Takes a packet that came from the network at `arrival`. Comfort noise goes with a codec of its clock rate, 8 kHz:
    /// with another, it is counted and left.
    pub fn push(&mut self, packet: RtpPacket, arrival: Instant) {
        let codec = &mut self.codec;
        let samples = match packet.content {
            Content::Sound => codec.decoder.packet_samples(&packet.payload).ok(),
            Content::ComfortNoise if codec.decoder.kind().clock_rate() != ComfortNoise::RATE => {
                return self.count_other(&packet);
            }
            // It lasts until there is more; so long it lasts at least.
            Content::ComfortNoise => Description::parse(&packet.payload).map(|_| TICK_SAMPLES),
        };
        let Some(samples) = samples else {
            codec.stats.malformed += 1;
            return;
        };
        codec.stats.first_packet.get_or_insert(arrival);
        codec.stats.bytes_received += packet.payload.len() as u64;
        match &mut self.playout {
            Playout::Fixed(playout) => playout.push(codec, packet, samples, arrival),
            Playout::Adaptive(playout) => playout.push(codec, packet, samples, arrival),
        }
    }

    /// Takes a packet that is no sound but shares the stream's sequence numbers, a telephone event (RFC 4733): it is no
    /// loss, and the sound it stands for is not concealed as one.
    pub fn push_event(&mut self, packet: &RtpPacket) {
        self.codec.follows = Follows::Key;
        self.count_other(packet);
    }

    fn count_other(&mut self, packet: &RtpPacket) {
        match &mut self.playout {
            Playout::Fixed(playout) => playout.count_other(packet.ssrc, packet.sequence_number),
            Playout::Adaptive(playout) => playout.count_other(packet.ssrc, packet.sequence_number),
        }
    }

    /// Fills `out` with the next 10 ms. To be called every [`crate::TICK`]; `now` is when, on the clock of the
    /// packets' arrivals.
    pub fn pull(&mut self, out: &mut [f32; TICK_SAMPLES], now: Instant) {
        match &mut self.playout {
            Playout::Fixed(playout) => playout.pull(&mut self.codec, out, now),
            Playout::Adaptive(playout) => playout.pull(&mut self.codec, out, now),
        }
        for sample in out.iter_mut() {
            // Whatever a packet made the decoder say, a device must not hear it.
            *sample = if sample.is_finite() { sample.clamp(-1.5, 1.5) } else { 0.0 };
        }
        if self.codec.stats.first_packet.is_some() {
            self.codec.stats.total_samples_received += TICK_SAMPLES as u64;
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
        self.codec.decoder.kind()
    }

    /// What happened so far.
    pub fn stats(&self) -> ReceiverStats {
        let (reception, discarded): (ReceptionStats, u64) = match &self.playout {
            Playout::Fixed(playout) => playout.counts(),
            Playout::Adaptive(playout) => playout.counts(),
        };
        ReceiverStats {
            packets_received: reception.packets_received,
            packets_lost: reception.packets_lost,
            packets_discarded: discarded,
            duplicates: reception.duplicates,
            jitter: reception.jitter.as_secs_f64(),
            total_audio_energy: self.loudness.total_energy,
            audio_level: self.loudness.level(),
            ..self.codec.stats
        }
    }
}

/// What a packet turned out to be.
enum Decoded {
    /// So many samples, in `scratch`.
    Samples(usize),
    /// So many samples of noise, in `scratch`.
    Noise(usize),
    /// Its head was right and its body is not: as good as lost. It should have lasted so many samples.
    Malformed(usize),
}

impl Codec {
    /// Concealed sound whose peak is below this counts as silence: -60 dBFS.
    const SILENT: f32 = 0.001;

    /// Concealment fades out between these, in samples: what goes on for longer is a guess nobody wants to hear.
    const FADE: std::ops::Range<usize> = 9_600..24_000;

    fn new(decoder: Box<dyn Decoder>) -> Self {
        Self {
            decoder,
            scratch: vec![0.0; MAX_PACKET_SAMPLES],
            concealed_run: 0,
            follows: Follows::Sound,
            noise: None,
            stats: ReceiverStats::default(),
        }
    }

    /// Samples in one RTP clock unit.
    fn unit(&self) -> usize {
        self.decoder.kind().samples_per_timestamp() as usize
    }

    fn decode(&mut self, packet: &RtpPacket, now: Instant) -> Decoded {
        let payload = &packet.payload[..];
        if packet.content == Content::ComfortNoise {
            return self.begin_noise(payload);
        }
        match self.decoder.decode(payload, &mut self.scratch) {
            Ok(samples) if samples > 0 => {
                let silent = self.decoder.kind() == CodecKind::Opus && payload.len() <= 2;
                self.follows = if silent { Follows::Silence } else { Follows::Sound };
                self.concealed_run = 0;
                self.stats.first_audio.get_or_insert(now);
                Decoded::Samples(samples)
            }
            _ => {
                self.stats.malformed += 1;
                Decoded::Malformed(self.decoder.packet_samples(payload).unwrap_or(0).max(1))
            }
        }
    }

    fn begin_noise(&mut self, payload: &[u8]) -> Decoded {
        let Some(description) = Description::parse(payload) else { return Decoded::Malformed(TICK_SAMPLES) };
        match &mut self.noise {
            Some(noise) if self.follows == Follows::Noise => noise.become_like(description),
            // Whatever the last silence sounded like is long ago.
            noise => *noise = ComfortNoise::new(description).ok(),
        }
        self.follows = Follows::Noise;
        self.concealed_run = 0;
        self.generate(TICK_SAMPLES);
        Decoded::Noise(TICK_SAMPLES)
    }

    /// Whether the far end said that it sends no sound for a while, so that none is lost.
    fn is_silence(&self) -> bool {
        self.follows != Follows::Sound
    }

    /// Restores `samples` of lost sound that begin `distance` samples before `packet`, into `scratch`. False: the packet
    /// says nothing about them, and nothing has happened.
    fn restore(&mut self, packet: &[u8], distance: usize, samples: usize) -> bool {
        let out = &mut self.scratch[..whole_steps(samples)];
        let restored = self.decoder.restore(packet, distance, out).unwrap_or(Restored::No);
        if restored == Restored::No {
            return false;
        }
        self.concealed_run = 0;
        self.stats.fec_packets_received += 1;
        self.stats.dred_packets_received += u64::from(restored == Restored::Deep);
        true
    }

    /// Lets the decoder fill `samples` of `scratch` with a guess, or with comfort noise.
    fn generate(&mut self, samples: usize) {
        let out = &mut self.scratch[..whole_steps(samples)];
        match &mut self.noise {
            Some(noise) if self.follows == Follows::Noise => noise.fill(out),
            _ if self.decoder.conceal(out).is_err() => out.fill(0.0),
            _ => {}
        }
        if matches!(self.follows, Follows::Silence | Follows::Noise) {
            self.stats.comfort_noise_samples += samples as u64;
        }
    }

    /// Fills `samples` of `scratch` with a guess of what was lost, and counts it.
    fn conceal(&mut self, samples: usize) {
        self.generate(samples);
        self.count_concealed(samples);
    }

    /// `samples` of `scratch` are a guess: fades and counts them.
    fn count_concealed(&mut self, samples: usize) {
        // Silence that was announced is no loss.
        if self.is_silence() {
            return;
        }
        let made = &mut self.scratch[..samples];
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

#[cfg(test)]
mod tests;
