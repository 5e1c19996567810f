//! What is known about a call, once: every output is a view of this.

use super::machine::{CallEnd, CallTimes, Recovery};
use crate::peer::PeerStats;
use crate::peer::media::MediaStats;
use chatphone_media::SAMPLE_RATE;
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::emodel::{Inputs, Quality, estimate};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A frame is sent when its end was spoken, and Opus looks 6.5 ms ahead.
const FRAME_DELAY: Duration = Duration::from_micros(26_500);

/// The figures of a call, running or over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallStats {
    /// The codec agreed on.
    pub codec: Option<CodecKind>,
    /// The way of the packets.
    pub peer: PeerStats,
    /// The sound.
    pub media: MediaStats,
}

impl CallStats {
    /// Mean time a sample waited in the jitter buffer.
    pub fn mean_jitter_buffer_delay(&self) -> Option<Duration> {
        let receiver = &self.media.receiver;
        let count = receiver.jitter_buffer_emitted_count;
        (count > 0).then(|| Duration::from_secs_f64((receiver.jitter_buffer_delay / count as f64).max(0.0)))
    }

    /// How good the call is to hear (see [`emodel`](chatphone_media::audio::emodel)), and what that was estimated from.
    /// The way from mouth to ear is taken to be half of the round trip, the wait in the jitter buffer, and what a frame of
    /// 20 ms and its encoder take. `None` before anything was heard.
    pub fn quality(&self) -> Option<(Inputs, Quality)> {
        let receiver = &self.media.receiver;
        receiver.first_audio?;
        let way = self.peer.round_trip_time().unwrap_or_default() / 2;
        let delay = way + self.mean_jitter_buffer_delay().unwrap_or_default() + FRAME_DELAY;
        let inputs = receiver.quality_inputs(Some(delay));
        Some((inputs, estimate(&inputs)))
    }

    /// How much of what was played was made up.
    pub fn concealed(&self) -> Duration {
        Duration::from_secs_f64(self.media.receiver.concealed_samples as f64 / f64::from(SAMPLE_RATE))
    }
}

/// A call that is over.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// How it ended.
    pub end: CallEnd,
    /// When its steps happened.
    pub times: CallTimes,
    /// The agent.
    pub party_id: Option<String>,
    /// The last figures.
    pub stats: CallStats,
    /// What interruptions did to it.
    pub recovery: Recovery,
    /// Where the far end's voice was recorded.
    pub recording: Option<PathBuf>,
    /// Where both directions were recorded.
    pub recording_both: Option<PathBuf>,
    /// What went wrong beside, in words: a recording cut short, ICE servers that could not be fetched.
    pub problems: Vec<String>,
}

impl CallReport {
    /// From REQUEST_CALL to a later step.
    pub fn since_request(&self, step: Option<Instant>) -> Option<Duration> {
        Some(step?.saturating_duration_since(self.times.request_sent?))
    }

    /// From connected to the end; zero for a call that was never connected.
    pub fn duration(&self) -> Duration {
        match (self.times.connected, self.times.ended) {
            (Some(connected), Some(ended)) => ended.saturating_duration_since(connected),
            _ => Duration::ZERO,
        }
    }
}
