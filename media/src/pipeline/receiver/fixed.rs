//! Playout behind a fixed delay.

use super::{Codec, Content, Decoded, RtpPacket};
use crate::{
    TICK_SAMPLES,
    audio::{
        codec::MAX_PACKET_SAMPLES,
        jitter::{FixedJitterBuffer, JitterConfig, Pop, ReceptionStats},
    },
};
use std::time::{Duration, Instant};

/// Plays what a [`FixedJitterBuffer`] gives.
pub(super) struct FixedPlayout {
    jitter: FixedJitterBuffer,
    delay: f64,
    /// Decoded and not yet pulled.
    pending: Vec<f32>,
}

impl FixedPlayout {
    pub fn new(clock_rate: u32, delay: Duration) -> Self {
        Self {
            jitter: FixedJitterBuffer::new(&JitterConfig { clock_rate, delay }),
            delay: delay.as_secs_f64(),
            pending: Vec::with_capacity(2 * MAX_PACKET_SAMPLES),
        }
    }

    pub fn push(&mut self, codec: &Codec, packet: RtpPacket, samples: usize, arrival: Instant) {
        self.jitter.push(packet, (samples / codec.unit()) as u32, arrival);
    }

    pub fn pull(&mut self, codec: &mut Codec, out: &mut [f32; TICK_SAMPLES], now: Instant) {
        while self.pending.len() < TICK_SAMPLES {
            self.decode_next(codec, now);
        }
        out.copy_from_slice(&self.pending[..TICK_SAMPLES]);
        self.pending.drain(..TICK_SAMPLES);
    }

    pub fn count_other(&mut self, ssrc: u32, sequence_number: u16) {
        self.jitter.count_other(ssrc, sequence_number);
    }

    pub fn counts(&self) -> (ReceptionStats, u64) {
        (self.jitter.reception(), self.jitter.discarded())
    }

    /// Adds at least one sample to `pending`.
    fn decode_next(&mut self, codec: &mut Codec, now: Instant) {
        let unit = codec.unit();
        let fill = |duration: u32| (duration as usize * unit).clamp(1, MAX_PACKET_SAMPLES);
        let samples = match self.jitter.pop() {
            Pop::Packet { packet, arrival } => match codec.decode(&packet, now) {
                Decoded::Samples(samples) => {
                    // The samples are played one after another from here on.
                    let ahead = (self.pending.len() + samples / 2) as f64 / f64::from(crate::SAMPLE_RATE);
                    let waited = now.saturating_duration_since(arrival).as_secs_f64() + ahead - 0.005;
                    let stats = &mut codec.stats;
                    stats.jitter_buffer_delay += waited.max(0.0) * samples as f64;
                    stats.jitter_buffer_target_delay += self.delay * samples as f64;
                    stats.jitter_buffer_minimum_delay += self.delay * samples as f64;
                    stats.jitter_buffer_emitted_count += samples as u64;
                    samples
                }
                Decoded::Noise(samples) => samples,
                Decoded::Malformed(samples) => {
                    codec.conceal(samples);
                    samples
                }
            },
            Pop::Lost { duration, next } => {
                let samples = fill(duration);
                let copy = next.filter(|next| next.content == Content::Sound);
                if !copy.is_some_and(|next| codec.restore(&next.payload, samples, samples)) {
                    codec.conceal(samples);
                }
                samples
            }
            Pop::Empty { duration } => {
                let samples = fill(duration);
                if codec.is_silence() {
                    // Comfort noise: nothing was lost.
                    codec.generate(samples);
                } else {
                    codec.concealed_run = 0;
                    codec.scratch[..samples].fill(0.0);
                }
                samples
            }
        };
        self.pending.extend_from_slice(&codec.scratch[..samples]);
    }
}
