//! The two halves of a call's media path. Neither has a clock or a thread: their owner ticks them every
//! [`TICK`](crate::TICK), be it the timer of one call or a clock shared by hundreds.

mod adapt;
mod receiver;
mod sender;

pub use crate::audio::jitter::{Content, RtpPacket};
pub use adapt::{Adaptation, NetworkReport};
pub use receiver::{JitterBuffer, Receiver, ReceiverConfig, ReceiverStats};
pub use sender::{EncodedPacket, Sender, SenderConfig, SenderStats};

/// Energy and level of sound, as W3C webrtc-stats count them.
#[derive(Debug, Clone, Default)]
struct Loudness {
    /// Sum of (RMS amplitude)² x seconds.
    total_energy: f64,
    /// Mean square over the last 100 ms or so.
    recent: f64,
}

impl Loudness {
    fn add(&mut self, samples: &[f32]) {
        let sum: f64 = samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum();
        self.total_energy += sum / f64::from(crate::SAMPLE_RATE);
        let share = (samples.len() as f64 / 4800.0).min(1.0);
        self.recent += (sum / samples.len().max(1) as f64 - self.recent) * share;
    }

    fn level(&self) -> f64 {
        self.recent.sqrt().min(1.0)
    }
}

#[cfg(test)]
mod tests;
