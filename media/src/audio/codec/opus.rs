//! Opus, by libopus.

use super::{
    CodecKind, Decoder, Encoded, Encoder, EncoderSettings, Error, FRAME_SAMPLES, MAX_PACKET_SAMPLES, Restored,
    libopus::{self, Redundancy, RedundancyDecoder, Setting},
};
use crate::SAMPLE_RATE;
use bytes::Bytes;

/// How to encode Opus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusConfig {
    /// Bit/s, 6,000..=510,000 (RFC 7587 section 3.1.1). The default of 40,000 is
    /// full-band speech with a quarter of the bits left for the copies that mend losses.
    pub bitrate: u32,
    /// 0 (cheapest) ..= 10 (best).
    pub complexity: u8,
    /// In-band forward error correction: each packet carries a coarse copy of the one before.
    pub fec: bool,
    /// The loss the encoder prepares for, in percent, 0..=100. Without any, `fec` adds nothing.
    pub expected_loss: u8,
    /// Discontinuous transmission: silence is not sent.
    pub dtx: bool,
    /// Deep redundancy (DRED): each packet says so many frames of 10 ms before it once more, in a few bytes; 0..=104,
    /// 0 is off. It takes its share of the bit rate, more of it the more loss is expected, and none without. A
    /// receiver that does not know it skips it.
    pub dred_frames: u8,
}

impl Default for OpusConfig {
    fn default() -> Self {
        Self { bitrate: 40_000, complexity: 5, fec: true, expected_loss: 10, dtx: false, dred_frames: 0 }
    }
}

impl OpusConfig {
    fn check(&self) -> Result<(), Error> {
        let checks = [
            ("the Opus bitrate", "6000..=510000", i64::from(self.bitrate), 6_000..=510_000),
            ("the Opus complexity", "0..=10", i64::from(self.complexity), 0..=10),
            ("the expected loss", "0..=100", i64::from(self.expected_loss), 0..=100),
            ("the deep redundancy", "0..=104 frames", i64::from(self.dred_frames), 0..=104),
        ];
        for (what, range, value, allowed) in checks {
            if !allowed.contains(&value) {
                return Err(Error::Setting { what, range, value });
            }
        }
        Ok(())
    }
}

/// 48 kHz mono, 20 ms frames.
pub struct OpusEncoder {
    inner: libopus::Encoder,
    dtx: bool,
    /// The other side knows that silence follows.
    announced: bool,
    buffer: [u8; Self::MAX_PACKET],
}

impl OpusEncoder {
    /// The largest payload: with RTP, SRTP, UDP and IPv6 around it, it fits into the 1,280 bytes that every path
    /// carries. Deep redundancy makes do with what is left of it.
    const MAX_PACKET: usize = 1200;

    /// An encoder as `config` says.
    pub fn new(config: &OpusConfig) -> Result<Self, Error> {
        config.check()?;
        // `Voip` would cut the lows, which a file or a line has on purpose; what a microphone needs is for the
        // processing before the encoder. Told that it is a voice, `Audio` uses the same modes.
        let mut inner = libopus::Encoder::new()?;
        for setting in [
            Setting::VoiceSignal,
            Setting::Complexity(config.complexity.into()),
            Setting::InbandFec(config.fec),
            Setting::Dtx(config.dtx),
        ] {
            inner.set(setting)?;
        }
        let mut encoder = Self { inner, dtx: config.dtx, announced: false, buffer: [0; Self::MAX_PACKET] };
        let OpusConfig { bitrate, expected_loss, dred_frames, .. } = *config;
        encoder.adapt(&EncoderSettings { bitrate, expected_loss, dred_frames })?;
        Ok(encoder)
    }
}

impl Encoder for OpusEncoder {
    fn kind(&self) -> CodecKind {
        CodecKind::Opus
    }

    fn encode(&mut self, frame: &[f32]) -> Result<Encoded, Error> {
        if frame.len() != FRAME_SAMPLES {
            return Err(Error::FrameSize(frame.len()));
        }
        let length = self.inner.encode(frame, &mut self.buffer)?;
        // libopus says "need not be transmitted" with a packet of two bytes or less. The first of them is sent all
        // the same: without it, a receiver cannot tell silence from loss.
        let silent = self.dtx && length <= 2;
        if silent && std::mem::replace(&mut self.announced, true) {
            return Ok(Encoded::Dtx);
        }
        self.announced = silent;
        Ok(Encoded::Packet(Bytes::copy_from_slice(&self.buffer[..length])))
    }

    fn adapt(&mut self, settings: &EncoderSettings) -> Result<(), Error> {
        let EncoderSettings { bitrate, expected_loss, dred_frames } = *settings;
        OpusConfig { bitrate, expected_loss, dred_frames, ..OpusConfig::default() }.check()?;
        // Its network computes on every frame, sent or not: without loss that is for nothing.
        let frames = if expected_loss == 0 { 0 } else { dred_frames };
        for setting in [
            Setting::Bitrate(bitrate as i32),
            Setting::PacketLossPercent(expected_loss.into()),
            Setting::DredDuration(frames.into()),
        ] {
            self.inner.set(setting)?;
        }
        Ok(())
    }
}

/// Decodes to 48 kHz mono, whatever rate and channels the sender chose. What is lost is concealed by libopus's neural
/// network, or restored from what later packets say about it.
pub struct OpusDecoder {
    inner: libopus::Decoder,
    /// None until a packet carries any.
    dred: Option<Dred>,
}

/// Deep redundancy of the packet looked at last.
struct Dred {
    decoder: RedundancyDecoder,
    redundancy: Redundancy,
    /// The packet that `redundancy` was read from.
    packet: Vec<u8>,
    /// From how many samples before it to how many there is any.
    range: (usize, usize),
}

impl OpusDecoder {
    /// libopus conceals and recovers in multiples of 2.5 ms only.
    const STEP: usize = 120;

    /// Neural concealment, and nothing of what costs as much on packets that come.
    const COMPLEXITY: u8 = 5;

    /// The most that libopus carries of it: 1.04 s.
    const MAX_DRED: usize = 104 * SAMPLE_RATE as usize / 100;

    /// A decoder that has heard nothing yet.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { inner: libopus::Decoder::new(Self::COMPLEXITY)?, dred: None })
    }

    /// One that conceals by repeating what was heard, without a neural network: 0.3 ms of processor time less for each
    /// frame concealed, and worse.
    pub fn with_classic_concealment() -> Result<Self, Error> {
        Ok(Self { inner: libopus::Decoder::new(0)?, dred: None })
    }

    fn dred(&mut self) -> Result<&mut Dred, Error> {
        Ok(match &mut self.dred {
            Some(dred) => dred,
            none => none.insert(Dred {
                decoder: RedundancyDecoder::new()?,
                redundancy: Redundancy::new()?,
                packet: Vec::new(),
                range: (0, 0),
            }),
        })
    }

    /// How far back the deep redundancy of `packet` goes, in samples; 0 without.
    fn dred_reach(&mut self, packet: &[u8]) -> Result<usize, Error> {
        if !has_padding(packet) {
            return Ok(0);
        }
        let dred = self.dred()?;
        dred.packet.clear();
        let (reach, _) = dred.decoder.parse(&mut dred.redundancy, packet, Self::MAX_DRED, true)?;
        Ok(reach)
    }

    fn restore_dred(&mut self, packet: &[u8], distance: usize, out: &mut [f32]) -> Result<bool, Error> {
        if !has_padding(packet) {
            return Ok(false);
        }
        let dred = self.dred()?;
        if dred.packet != packet {
            dred.packet.clear();
            dred.range = dred.decoder.parse(&mut dred.redundancy, packet, Self::MAX_DRED, false)?;
            dred.packet.extend_from_slice(packet);
        }
        let (from, to) = dred.range;
        if distance > from || distance < to + out.len() {
            return Ok(false);
        }
        // Just read: it is there.
        if let Some(dred) = &self.dred {
            self.inner.restore(&dred.redundancy, distance, out)?;
        }
        Ok(true)
    }

    fn check_fill(out: &[f32]) -> Result<(), Error> {
        let fits = !out.is_empty() && out.len().is_multiple_of(Self::STEP) && out.len() <= MAX_PACKET_SAMPLES;
        if fits { Ok(()) } else { Err(Error::FrameSize(out.len())) }
    }

    fn malformed(packet: &[u8]) -> Error {
        Error::Malformed { kind: CodecKind::Opus, length: packet.len() }
    }
}

impl Decoder for OpusDecoder {
    fn kind(&self) -> CodecKind {
        CodecKind::Opus
    }

    fn packet_samples(&self, packet: &[u8]) -> Result<usize, Error> {
        // An empty slice means "lost" to libopus; from the network it is just wrong.
        if packet.is_empty() {
            return Err(Self::malformed(packet));
        }
        opus::packet::get_nb_samples(packet, SAMPLE_RATE).map_err(|_| Self::malformed(packet))
    }

    fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, Error> {
        let samples = self.packet_samples(packet)?;
        let Some(out) = out.get_mut(..samples) else { return Err(Error::FrameSize(out.len())) };
        self.inner.decode(packet, out, false).map_err(|_| Self::malformed(packet))
    }

    fn decode_fec(&mut self, next_packet: &[u8], out: &mut [f32]) -> Result<bool, Error> {
        Self::check_fill(out)?;
        if !has_fec(next_packet) {
            self.conceal(out)?;
            return Ok(false);
        }
        self.inner.decode(next_packet, out, true).map_err(|_| Self::malformed(next_packet))?;
        Ok(true)
    }

    fn conceal(&mut self, out: &mut [f32]) -> Result<(), Error> {
        Self::check_fill(out)?;
        self.inner.decode(&[], out, false)?;
        Ok(())
    }

    fn reach(&mut self, packet: &[u8]) -> usize {
        self.dred_reach(packet).unwrap_or(0).max(copied(packet))
    }

    fn restore(&mut self, packet: &[u8], distance: usize, out: &mut [f32]) -> Result<Restored, Error> {
        Self::check_fill(out)?;
        if distance == out.len() && distance == copied(packet) {
            self.inner.decode(packet, out, true).map_err(|_| Self::malformed(packet))?;
            return Ok(Restored::Copy);
        }
        let restored = self.restore_dred(packet, distance, out).map_err(|_| Self::malformed(packet))?;
        Ok(if restored { Restored::Deep } else { Restored::No })
    }
}

/// Samples of which a packet holds a copy: the length of one of its frames.
fn copied(packet: &[u8]) -> usize {
    match has_fec(packet) {
        true => opus::packet::get_samples_per_frame(packet, SAMPLE_RATE).unwrap_or(0),
        false => 0,
    }
}

/// Whether a packet has padding, in which extensions such as deep redundancy travel: only packets of code 3 do (RFC 6716
/// section 3.2.5).
fn has_padding(packet: &[u8]) -> bool {
    packet.len() > 2 && packet[0] & 3 == 3 && packet[1] & 0x40 != 0
}

/// Whether a packet holds a copy of the frame before it: the LBRR flag of its first SILK frame (RFC 6716 section
/// 4.2.3), which sits in the first byte of the frame behind one voice-activity flag for each 20 ms.
fn has_fec(packet: &[u8]) -> bool {
    let Some(&toc) = packet.first() else { return false };
    // Configurations from 16 on are CELT only and have no such copy (RFC 6716 table 2).
    let config = toc >> 3;
    if config >= 16 {
        return false;
    }
    let Ok(samples) = opus::packet::get_samples_per_frame(packet, SAMPLE_RATE) else { return false };
    let voice_flags = (samples / FRAME_SAMPLES).max(1);
    let Ok(parsed) = opus::packet::parse(packet) else { return false };
    let Some(&first) = parsed.frames.first().and_then(|frame| frame.first()) else { return false };
    // voice_flags is 1..=3: a SILK frame lasts 60 ms at most.
    (first >> (7 - voice_flags.min(3))) & 1 == 1
}
