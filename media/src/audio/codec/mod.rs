//! Codecs: frames of sound to packets and back.
//!
//! Whatever rate a codec works at, its two traits speak [`crate::SAMPLE_RATE`]; RTP timestamps run at the codec's own
//! [`CodecKind::clock_rate`].

mod g711;
mod g722;
mod libopus;
mod opus;
mod waveform;

pub use self::libopus::OpusError;
pub use self::opus::{OpusConfig, OpusDecoder, OpusEncoder};

use crate::SAMPLE_RATE;
use bytes::Bytes;
use g711::{ALaw, MuLaw};
use g722::G722;
use std::{fmt, str::FromStr};
use waveform::{WaveformDecoder, WaveformEncoder};

/// Samples (at [`SAMPLE_RATE`]) in the 20 ms frame every encoder here makes.
pub const FRAME_SAMPLES: usize = 960;

/// The longest a packet can last, in samples at [`SAMPLE_RATE`]: 120 ms (RFC 6716 section 2.1.4).
pub const MAX_PACKET_SAMPLES: usize = 5760;

/// The codecs a contact center offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CodecKind {
    /// Opus (RFC 6716, RTP: RFC 7587).
    #[default]
    Opus,
    /// G.722 at 64 kbit/s (RTP: RFC 3551 section 4.5.2).
    G722,
    /// G.711 µ-law (RFC 3551 section 4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 section 4.5.14).
    Pcma,
}

impl CodecKind {
    /// All of them, best sound first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma];

    /// The encoding name of SDP's `a=rtpmap` (compare without case).
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The RTP clock rate in Hz. G.722 samples at 16 kHz, yet its clock is 8 kHz (RFC 3551 section 4.5.2).
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// The channel count of SDP's `a=rtpmap`: Opus always says 2 (RFC 7587 section 7), whatever is sent.
    pub fn channels(self) -> u16 {
        match self {
            Self::Opus => 2,
            Self::G722 | Self::Pcmu | Self::Pcma => 1,
        }
    }

    /// The static payload type (RFC 3551 table 4); Opus has none.
    pub fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Opus => None,
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
        }
    }

    /// RTP clock units in one 20 ms frame.
    pub fn frame_timestamps(self) -> u32 {
        self.clock_rate() / 50
    }

    /// Samples at [`SAMPLE_RATE`] in one RTP clock unit.
    pub fn samples_per_timestamp(self) -> u32 {
        SAMPLE_RATE / self.clock_rate()
    }

    /// An encoder of this kind.
    pub fn encoder(self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, Error> {
        match self {
            Self::Opus => Ok(Box::new(OpusEncoder::new(&config.opus)?)),
            Self::G722 => Ok(Box::new(WaveformEncoder::new(G722::default())?)),
            Self::Pcmu => Ok(Box::new(WaveformEncoder::new(MuLaw)?)),
            Self::Pcma => Ok(Box::new(WaveformEncoder::new(ALaw)?)),
        }
    }

    /// A decoder of this kind.
    pub fn decoder(self) -> Result<Box<dyn Decoder>, Error> {
        match self {
            Self::Opus => Ok(Box::new(OpusDecoder::new()?)),
            Self::G722 => Ok(Box::new(WaveformDecoder::new(G722::default())?)),
            Self::Pcmu => Ok(Box::new(WaveformDecoder::new(MuLaw)?)),
            Self::Pcma => Ok(Box::new(WaveformDecoder::new(ALaw)?)),
        }
    }
}

impl fmt::Display for CodecKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no codec this crate knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no codec chatphone knows; use opus, G722, PCMU or PCMA")]
pub struct UnknownCodec(String);

impl FromStr for CodecKind {
    type Err = UnknownCodec;

    fn from_str(text: &str) -> Result<Self, UnknownCodec> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownCodec(text.into()))
    }
}

/// How to encode; each codec reads what concerns it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EncoderConfig {
    /// For [`CodecKind::Opus`].
    pub opus: OpusConfig,
}

/// What can be changed about an encoder while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderSettings {
    /// In all, with every kind of redundancy, in bit/s (see [`OpusConfig::bitrate`]).
    pub bitrate: u32,
    /// In percent, 0..=100 (see [`OpusConfig::expected_loss`]).
    pub expected_loss: u8,
    /// Frames of 10 ms, 0..=104, 0 is off (see [`OpusConfig::dred_frames`]).
    pub dred_frames: u8,
}

/// What a codec cannot do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This codec cannot be set up.
    #[error("{0} is not available")]
    Unavailable(CodecKind),
    /// A setting is out of its range.
    #[error("{what} must be {range}, not {value}")]
    Setting {
        /// Which one.
        what: &'static str,
        /// What it may be.
        range: &'static str,
        /// What was asked for.
        value: i64,
    },
    /// A frame or a buffer has the wrong number of samples: a mistake of the caller.
    #[error("a frame of {0} samples does not fit this codec")]
    FrameSize(usize),
    /// A packet from the network that is not what it should be.
    #[error("a packet of {length} bytes is not {kind}")]
    Malformed {
        /// What it should be.
        kind: CodecKind,
        /// Its length in bytes.
        length: usize,
    },
    /// libopus failed (out of memory, or a bug).
    #[error("opus")]
    Opus(#[from] OpusError),
}

/// What the encoder did with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// To be sent.
    Packet(Bytes),
    /// Silence that need not be sent (discontinuous transmission).
    Dtx,
}

/// Turns frames of sound into packets.
pub trait Encoder: Send {
    /// What it makes.
    fn kind(&self) -> CodecKind;

    /// Encodes one frame of [`FRAME_SAMPLES`].
    fn encode(&mut self, frame: &[f32]) -> Result<Encoded, Error>;

    /// Goes on with these settings. Codecs of one rate and without error correction ignore them.
    fn adapt(&mut self, _settings: &EncoderSettings) -> Result<(), Error> {
        Ok(())
    }
}

/// Turns packets into sound. All lengths are samples at [`SAMPLE_RATE`].
pub trait Decoder: Send {
    /// What it takes.
    fn kind(&self) -> CodecKind;

    /// How long `packet` lasts, or an error if it is none. Cheap: only looks at the packet's head and length.
    fn packet_samples(&self, packet: &[u8]) -> Result<usize, Error>;

    /// Decodes `packet` into the beginning of `out` ([`MAX_PACKET_SAMPLES`] always suffice) and returns how many
    /// samples it lasts.
    fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, Error>;

    /// Fills all of `out` with the lost sound just before `next_packet`, from what `next_packet` says about it.
    /// True if it did say something; otherwise the sound is concealed. Follow it with
    /// [`decode`](Self::decode)`(next_packet)`.
    fn decode_fec(&mut self, next_packet: &[u8], out: &mut [f32]) -> Result<bool, Error>;

    /// Fills all of `out` with a guess of what was lost, fading out when it goes on.
    fn conceal(&mut self, out: &mut [f32]) -> Result<(), Error>;

    /// How far back `packet` can [`restore`](Self::restore) what was lost before it, in samples. Cheap.
    fn reach(&mut self, _packet: &[u8]) -> usize {
        0
    }

    /// Fills all of `out` with the lost sound that begins `distance` samples before `packet`, from what `packet` says
    /// about it. If that is nothing, `out` and the decoder are as they were.
    fn restore(&mut self, _packet: &[u8], _distance: usize, _out: &mut [f32]) -> Result<Restored, Error> {
        Ok(Restored::No)
    }
}

/// Whether [`Decoder::restore`] could restore something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// No: the packet says nothing about it.
    No,
    /// From a coarse copy (in-band forward error correction).
    Copy,
    /// From deep redundancy.
    Deep,
}

#[cfg(test)]
mod tests;
