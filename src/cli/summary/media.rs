//! What a report says of the sound. Names are those of W3C webrtc-stats in snake case, where they exist, with the unit
//! at the end where there is one.

use super::{ms, round};
use crate::call::CallStats;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt;

/// What was sent (W3C `RTCOutboundRtpStreamStats`).
#[derive(Debug, Clone, Default, Serialize)]
pub struct SentSummary {
    /// RTP packets.
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// What the encoder aimed at last, redundancy and all.
    pub target_bitrate_bps: u32,
    /// The loss that the encoder prepared for last.
    pub expected_loss_percent: u8,
    /// Deep redundancy (DRED) in each packet, last.
    pub dred_ms: u16,
    /// Energy of the sound: the sum of (RMS amplitude)² x seconds.
    pub total_audio_energy: f64,
}

/// What was received (W3C `RTCInboundRtpStreamStats`). Samples are of 48 kHz.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReceivedSummary {
    /// RTP packets.
    pub packets: u64,
    /// Packets expected but not received (RFC 3550, A.3); negative with duplicates.
    pub lost: i64,
    /// Packets that came too late, or too many at once.
    pub discarded: u64,
    /// Interarrival jitter (RFC 3550, 6.4.1).
    pub jitter_ms: f64,
    /// Sound made up in place of what did not arrive in time.
    pub concealed_ms: f64,
    /// Mean time in the jitter buffer.
    pub jitter_buffer_ms: Option<f64>,
    /// Time in the jitter buffer, added up over all samples; the next two likewise.
    pub jitter_buffer_delay_s: f64,
    /// What the jitter buffer aimed at.
    pub jitter_buffer_target_delay_s: f64,
    /// What it would have aimed at for the network's jitter alone.
    pub jitter_buffer_minimum_delay_s: f64,
    /// Samples that came out of the jitter buffer: what to divide the three above by.
    pub jitter_buffer_emitted_count: u64,
    /// Samples played.
    pub total_samples_received: u64,
    /// Samples made up for what was lost or late.
    pub concealed_samples: u64,
    /// Those of them that were silence.
    pub silent_concealed_samples: u64,
    /// How often concealment began.
    pub concealment_events: u64,
    /// Samples of noise in announced silence (DTX, RFC 3389): not concealed.
    pub comfort_noise_samples: u64,
    /// Samples put in by playing slower.
    pub inserted_samples_for_deceleration: u64,
    /// Samples left out by playing faster.
    pub removed_samples_for_acceleration: u64,
    /// Lost packets restored from what later ones say.
    pub fec_packets_received: u64,
    /// Those of them restored from deep redundancy.
    pub dred_packets_received: u64,
    /// Energy of the sound: the sum of (RMS amplitude)² x seconds.
    pub total_audio_energy: f64,
}

/// How the far end received us, by its last RTCP report (W3C `RTCRemoteInboundRtpStreamStats`).
#[derive(Debug, Clone, Serialize)]
pub struct RemoteSummary {
    /// Packets lost since the beginning; negative with duplicates.
    pub lost: i32,
    /// Loss between the last two reports.
    pub fraction_lost_percent: f64,
    /// Interarrival jitter.
    pub jitter_ms: f64,
    /// Round-trip time; `null` where the report answers none of ours.
    pub round_trip_time_ms: Option<f64>,
}

/// An estimate of how good the call was to hear (E-model, ITU-T G.107), and what it was made from.
#[derive(Debug, Clone, Serialize)]
pub struct QualitySummary {
    /// The mean opinion score, 1 to 4.4.
    pub mos: f64,
    /// The transmission rating R, 0 to 93.2.
    pub rating: f64,
    /// Share of the sound that was concealed, silence left out.
    pub loss_percent: f64,
    /// Mean length of concealment over that of single losses at random.
    pub burst_ratio: f64,
    /// Mouth to ear, one way, as estimated.
    pub one_way_delay_ms: f64,
}

/// The figures of a running call, by the names that its report has them.
pub fn figures(stats: &CallStats) -> Map<String, Value> {
    let all = json!({
        "codec": stats.codec.map(|codec| codec.name()),
        "sent": SentSummary::of(stats),
        "received": ReceivedSummary::of(stats),
        "remote": RemoteSummary::of(stats),
        "quality": QualitySummary::of(stats),
        "rtt_ms": stats.peer.round_trip_time().map(|d| round(d.as_secs_f64() * 1000.0, 2)),
        "microphone": stats.media.microphone,
        "speaker": stats.media.speaker,
    });
    match all {
        Value::Object(figures) => figures,
        _ => Map::new(),
    }
}

impl SentSummary {
    pub(super) fn of(stats: &CallStats) -> Self {
        let sender = &stats.media.sender;
        Self {
            packets: sender.packets_sent,
            bytes: sender.bytes_sent,
            target_bitrate_bps: sender.target_bitrate,
            expected_loss_percent: sender.expected_loss,
            dred_ms: sender.dred_ms,
            total_audio_energy: round(sender.total_audio_energy, 6),
        }
    }
}

impl ReceivedSummary {
    pub(super) fn of(stats: &CallStats) -> Self {
        let receiver = &stats.media.receiver;
        Self {
            packets: receiver.packets_received,
            lost: receiver.packets_lost,
            discarded: receiver.packets_discarded,
            jitter_ms: round(receiver.jitter * 1000.0, 2),
            concealed_ms: ms(stats.concealed()),
            jitter_buffer_ms: stats.mean_jitter_buffer_delay().map(ms),
            jitter_buffer_delay_s: round(receiver.jitter_buffer_delay, 3),
            jitter_buffer_target_delay_s: round(receiver.jitter_buffer_target_delay, 3),
            jitter_buffer_minimum_delay_s: round(receiver.jitter_buffer_minimum_delay, 3),
            jitter_buffer_emitted_count: receiver.jitter_buffer_emitted_count,
            total_samples_received: receiver.total_samples_received,
            concealed_samples: receiver.concealed_samples,
            silent_concealed_samples: receiver.silent_concealed_samples,
            concealment_events: receiver.concealment_events,
            comfort_noise_samples: receiver.comfort_noise_samples,
            inserted_samples_for_deceleration: receiver.inserted_samples_for_deceleration,
            removed_samples_for_acceleration: receiver.removed_samples_for_acceleration,
            fec_packets_received: receiver.fec_packets_received,
            dred_packets_received: receiver.dred_packets_received,
            total_audio_energy: round(receiver.total_audio_energy, 6),
        }
    }
}

impl RemoteSummary {
    pub(super) fn of(stats: &CallStats) -> Option<Self> {
        let report = stats.peer.remote_report?;
        let network = report.network(stats.codec?.clock_rate());
        Some(Self {
            lost: report.packets_lost,
            fraction_lost_percent: round(network.fraction_lost * 100.0, 1),
            jitter_ms: round(network.jitter.as_secs_f64() * 1000.0, 2),
            round_trip_time_ms: network.round_trip_time.map(|time| round(time.as_secs_f64() * 1000.0, 2)),
        })
    }
}

impl QualitySummary {
    pub(super) fn of(stats: &CallStats) -> Option<Self> {
        let (inputs, quality) = stats.quality()?;
        Some(Self {
            mos: round(quality.mos, 2),
            rating: round(quality.rating, 1),
            loss_percent: round(inputs.loss * 100.0, 2),
            burst_ratio: round(inputs.burst_ratio, 2),
            one_way_delay_ms: inputs.delay.map_or(0.0, ms),
        })
    }
}

impl fmt::Display for SentSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kbits = f64::from(self.target_bitrate_bps) / 1000.0;
        write!(f, "{} packets, {} bytes, at {kbits:.0} kbit/s", self.packets, self.bytes)?;
        if self.dred_ms > 0 { write!(f, " with {} ms of deep redundancy", self.dred_ms) } else { Ok(()) }
    }
}

impl fmt::Display for ReceivedSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, lost, jitter_ms, concealed_ms, .. } = self;
        write!(f, "{packets} packets, {lost} lost")?;
        if self.fec_packets_received > 0 {
            write!(f, " ({} restored)", self.fec_packets_received)?;
        }
        let buffer = self.jitter_buffer_ms.map_or_else(|| "-".into(), |ms| format!("{ms:.0} ms"));
        write!(f, ", jitter {jitter_ms:.1} ms, {concealed_ms:.0} ms concealed, jitter buffer {buffer}")
    }
}

impl fmt::Display for RemoteSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, fraction_lost_percent, jitter_ms, .. } = self;
        write!(f, "{lost} packets lost, {fraction_lost_percent:.1} % at last, jitter {jitter_ms:.1} ms")
    }
}

impl fmt::Display for QualitySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MOS {:.1} by estimate, {:.0} ms from mouth to ear", self.mos, self.one_way_delay_ms)
    }
}
