//! The jitter buffer: packets in as the network delivers them, in order and in time out.
//!
//! - [`FixedJitterBuffer`] holds the sound back by a fixed delay. It has no clock: each
//!   [`pop`](FixedJitterBuffer::pop) moves its playout timeline on by what it returns.
//! - [`AdaptiveJitterBuffer`] keeps packets for a playout that stretches time; how long they should wait is what
//!   [`DelayTarget`] learns from how they come.
//!
//! Both work on RTP timestamps, so packets of any duration fit, and a gap between timestamps without a gap between
//! sequence numbers is silence that was not sent, not loss.

mod adaptive;
mod fixed;
mod histogram;
mod reception;
mod slots;
mod target;

pub use adaptive::{AdaptiveJitterBuffer, Next};
pub use fixed::{FixedJitterBuffer, JitterConfig, Pop};
pub use reception::ReceptionStats;
pub use slots::Stored;
pub use target::{AdaptiveConfig, DelayTarget};

use bytes::Bytes;

/// What the media path needs of an RTP packet (RFC 3550 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPacket {
    /// Synchronization source.
    pub ssrc: u32,
    /// Wraps.
    pub sequence_number: u16,
    /// In units of the codec's clock rate; wraps.
    pub timestamp: u32,
    /// First packet after silence that was not sent (RFC 3551 section 4.1).
    pub marker: bool,
    /// What the payload is.
    pub content: Content,
    /// What the codec made.
    pub payload: Bytes,
}

/// What a payload type stands for; which number that is, is for whoever negotiated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// Sound of the codec.
    #[default]
    Sound,
    /// A description of the noise to play until there is sound again (RFC 3389).
    ComfortNoise,
}

/// What became of a packet that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits to be played.
    Stored,
    /// It came too late, or there is no room: dropped.
    Discarded,
    /// It had come before: dropped.
    Duplicate,
}
