//! A receiver's figures.

use crate::audio::emodel::{self, Inputs, Quality};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What a [`Receiver`](super::Receiver) saw and did. Names as in W3C webrtc-stats (`RTCInboundRtpStreamStats`), where
/// they exist. All samples are at [`crate::SAMPLE_RATE`].
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
    /// Samples played in place of lost or late ones.
    pub concealed_samples: u64,
    /// Those of them that were silence.
    pub silent_concealed_samples: u64,
    /// Times that concealment began.
    pub concealment_events: u64,
    /// Samples of noise played where the far end said that it sends silence (DTX, RFC 3389): not concealed, for nothing
    /// is missing.
    pub comfort_noise_samples: u64,
    /// Samples put in by playing slower.
    pub inserted_samples_for_deceleration: u64,
    /// Samples left out by playing faster.
    pub removed_samples_for_acceleration: u64,
    /// Seconds each sample waited between its packet's arrival and playout, added up over all samples: divide by
    /// `jitter_buffer_emitted_count` for the mean.
    pub jitter_buffer_delay: f64,
    /// The delay the jitter buffer aims at, in seconds for each sample, added up likewise.
    pub jitter_buffer_target_delay: f64,
    /// The delay it would aim at for the sake of the network's jitter alone, added up likewise.
    pub jitter_buffer_minimum_delay: f64,
    /// Samples that came out of the jitter buffer.
    pub jitter_buffer_emitted_count: u64,
    /// Packets recovered from what later packets say about them: forward error correction or deep redundancy.
    pub fec_packets_received: u64,
    /// Those of them that were recovered from deep redundancy.
    pub dred_packets_received: u64,
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

impl ReceiverStats {
    /// These figures as those of a stream that began with another receiver, whose last ones are `before`: counters add up,
    /// the first packet is the first of both, and levels are of now.
    #[must_use]
    pub fn continuing(self, before: &Self) -> Self {
        // None is left out: a field that is new must find its place here.
        let Self {
            packets_received,
            bytes_received,
            packets_lost,
            packets_discarded,
            duplicates,
            malformed,
            jitter,
            concealed_samples,
            silent_concealed_samples,
            concealment_events,
            comfort_noise_samples,
            inserted_samples_for_deceleration,
            removed_samples_for_acceleration,
            jitter_buffer_delay,
            jitter_buffer_target_delay,
            jitter_buffer_minimum_delay,
            jitter_buffer_emitted_count,
            fec_packets_received,
            dred_packets_received,
            total_samples_received,
            total_audio_energy,
            audio_level,
            first_packet,
            first_audio,
        } = self;
        Self {
            packets_received: before.packets_received + packets_received,
            bytes_received: before.bytes_received + bytes_received,
            packets_lost: before.packets_lost + packets_lost,
            packets_discarded: before.packets_discarded + packets_discarded,
            duplicates: before.duplicates + duplicates,
            malformed: before.malformed + malformed,
            jitter,
            concealed_samples: before.concealed_samples + concealed_samples,
            silent_concealed_samples: before.silent_concealed_samples + silent_concealed_samples,
            concealment_events: before.concealment_events + concealment_events,
            comfort_noise_samples: before.comfort_noise_samples + comfort_noise_samples,
            inserted_samples_for_deceleration: before.inserted_samples_for_deceleration
                + inserted_samples_for_deceleration,
            removed_samples_for_acceleration: before.removed_samples_for_acceleration
                + removed_samples_for_acceleration,
            jitter_buffer_delay: before.jitter_buffer_delay + jitter_buffer_delay,
            jitter_buffer_target_delay: before.jitter_buffer_target_delay + jitter_buffer_target_delay,
            jitter_buffer_minimum_delay: before.jitter_buffer_minimum_delay + jitter_buffer_minimum_delay,
            jitter_buffer_emitted_count: before.jitter_buffer_emitted_count + jitter_buffer_emitted_count,
            fec_packets_received: before.fec_packets_received + fec_packets_received,
            dred_packets_received: before.dred_packets_received + dred_packets_received,
            total_samples_received: before.total_samples_received + total_samples_received,
            total_audio_energy: before.total_audio_energy + total_audio_energy,
            audio_level,
            first_packet: before.first_packet.or(first_packet),
            first_audio: before.first_audio.or(first_audio),
        }
    }

    /// Mean time a sample waited in the jitter buffer; none before the first.
    pub fn mean_jitter_buffer_delay(&self) -> Option<Duration> {
        let mean = self.jitter_buffer_delay / self.jitter_buffer_emitted_count as f64;
        Duration::try_from_secs_f64(mean).ok()
    }

    /// An estimate of the quality (see [`emodel`]) from the share of samples concealed while there was sound, the mean
    /// length of concealment, and `delay`, from mouth to ear one way: none for listening alone.
    pub fn quality(&self, delay: Option<Duration>) -> Quality {
        emodel::estimate(&self.quality_inputs(delay))
    }

    /// What [`quality`](Self::quality) is estimated from.
    pub fn quality_inputs(&self, delay: Option<Duration>) -> Inputs {
        let concealed = (self.concealed_samples - self.silent_concealed_samples.min(self.concealed_samples)) as f64;
        let loss = concealed / (self.total_samples_received.max(1) as f64);
        // Losses at random would come in runs of 1 / (1 - loss) packets of 20 ms.
        let run = concealed / 960.0 / self.concealment_events.max(1) as f64;
        Inputs { loss, burst_ratio: (run * (1.0 - loss)).max(1.0), delay }
    }
}
