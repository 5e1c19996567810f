//! A thin safe skin over libopus, for what the `opus` crate leaves out: deep redundancy (DRED) and the choice of how
//! much a decoder may compute.
//!
//! Everything is mono at [`SAMPLE_RATE`]. libopus keeps no references to what it is given, uses no global state, and
//! each object here owns its C state alone: all may move between threads.
#![allow(unsafe_code)]

use crate::SAMPLE_RATE;
use opusic_sys as ffi;
use std::{ffi::c_int, ptr::NonNull};

/// libopus refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct OpusError {
    what: &'static str,
    reason: &'static str,
}

impl OpusError {
    fn new(what: &'static str, code: c_int) -> Self {
        let reason = match code {
            ffi::OPUS_BAD_ARG => "invalid argument",
            ffi::OPUS_BUFFER_TOO_SMALL => "buffer too small",
            ffi::OPUS_INTERNAL_ERROR => "internal error",
            ffi::OPUS_INVALID_PACKET => "corrupted stream",
            ffi::OPUS_UNIMPLEMENTED => "request not implemented",
            ffi::OPUS_INVALID_STATE => "invalid state",
            ffi::OPUS_ALLOC_FAIL => "memory allocation failed",
            _ => "unknown error",
        };
        Self { what, reason }
    }
}

fn check(what: &'static str, code: c_int) -> Result<usize, OpusError> {
    usize::try_from(code).map_err(|_| OpusError::new(what, code))
}

/// A setting of an encoder; the numbers are libopus's (`opus_defines.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Bitrate(i32),
    Complexity(i32),
    InbandFec(bool),
    PacketLossPercent(i32),
    Dtx(bool),
    VoiceSignal,
    /// In frames of 10 ms; 0 is off.
    DredDuration(i32),
}

impl Setting {
    fn request(self) -> (c_int, i32) {
        match self {
            Self::Bitrate(bits) => (ffi::OPUS_SET_BITRATE_REQUEST, bits),
            Self::Complexity(complexity) => (ffi::OPUS_SET_COMPLEXITY_REQUEST, complexity),
            Self::InbandFec(on) => (ffi::OPUS_SET_INBAND_FEC_REQUEST, on.into()),
            Self::PacketLossPercent(percent) => (ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent),
            Self::Dtx(on) => (ffi::OPUS_SET_DTX_REQUEST, on.into()),
            Self::VoiceSignal => (ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_VOICE),
            Self::DredDuration(frames) => (ffi::OPUS_SET_DRED_DURATION_REQUEST, frames),
        }
    }
}

/// An encoder for the application `audio`.
pub(super) struct Encoder(NonNull<ffi::OpusEncoder>);

// SAFETY: the C state is owned by this object alone and bound to no thread.
unsafe impl Send for Encoder {}

impl Encoder {
    pub fn new() -> Result<Self, OpusError> {
        let mut error = 0;
        // SAFETY: `error` is valid for the call; the result is checked before use.
        let state =
            unsafe { ffi::opus_encoder_create(SAMPLE_RATE as i32, 1, ffi::OPUS_APPLICATION_AUDIO, &raw mut error) };
        NonNull::new(state).map(Self).ok_or(OpusError::new("no Opus encoder", error))
    }

    pub fn set(&mut self, setting: Setting) -> Result<(), OpusError> {
        let (request, value) = setting.request();
        // SAFETY: the state is valid, and every request in `Setting` takes one `opus_int32` by value.
        let code = unsafe { ffi::opus_encoder_ctl(self.0.as_ptr(), request, value) };
        check("an Opus encoder's setting", code).map(drop)
    }

    /// Encodes `frame` into `packet` and returns its length.
    pub fn encode(&mut self, frame: &[f32], packet: &mut [u8]) -> Result<usize, OpusError> {
        let room = i32::try_from(packet.len()).unwrap_or(i32::MAX);
        // SAFETY: the state is valid; libopus reads `frame.len()` samples (one channel) and writes at most `room` bytes.
        let code = unsafe {
            ffi::opus_encode_float(self.0.as_ptr(), frame.as_ptr(), frame.len() as c_int, packet.as_mut_ptr(), room)
        };
        check("Opus encoding", code)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: created by `opus_encoder_create`, destroyed once.
        unsafe { ffi::opus_encoder_destroy(self.0.as_ptr()) }
    }
}

/// A decoder.
pub(super) struct Decoder(NonNull<ffi::OpusDecoder>);

// SAFETY: the C state is owned by this object alone and bound to no thread.
unsafe impl Send for Decoder {}

impl Decoder {
    /// `complexity`: from 5 on, what is lost is concealed by a neural network.
    pub fn new(complexity: u8) -> Result<Self, OpusError> {
        let mut error = 0;
        // SAFETY: `error` is valid for the call; the result is checked before use.
        let state = unsafe { ffi::opus_decoder_create(SAMPLE_RATE as i32, 1, &raw mut error) };
        let decoder = NonNull::new(state).map(Self).ok_or(OpusError::new("no Opus decoder", error))?;
        let (request, value) = Setting::Complexity(complexity.into()).request();
        // SAFETY: the state is valid, and this request takes one `opus_int32` by value.
        let code = unsafe { ffi::opus_decoder_ctl(decoder.0.as_ptr(), request, value) };
        check("the Opus decoder's complexity", code)?;
        Ok(decoder)
    }

    /// Decodes `packet` (none: conceals), or with `fec` what was lost before it, into `out`; returns the samples.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32], fec: bool) -> Result<usize, OpusError> {
        let data = if packet.is_empty() { std::ptr::null() } else { packet.as_ptr() };
        let length = i32::try_from(packet.len()).map_err(|_| OpusError::new("Opus decoding", ffi::OPUS_BAD_ARG))?;
        // SAFETY: the state is valid; `data` is null (which means lost) or holds `length` bytes; libopus writes at most
        // `out.len()` samples of its one channel.
        let code = unsafe {
            ffi::opus_decode_float(self.0.as_ptr(), data, length, out.as_mut_ptr(), out.len() as c_int, fec.into())
        };
        check("Opus decoding", code)
    }

    /// Fills `out` with the sound that begins `distance` samples before the packet `redundancy` came in.
    pub fn restore(&mut self, redundancy: &Redundancy, distance: usize, out: &mut [f32]) -> Result<usize, OpusError> {
        // SAFETY: both states are valid; libopus writes `out.len()` samples of its one channel.
        let code = unsafe {
            ffi::opus_decoder_dred_decode_float(
                self.0.as_ptr(),
                redundancy.0.as_ptr(),
                distance as i32,
                out.as_mut_ptr(),
                out.len() as i32,
            )
        };
        check("restoring from deep redundancy", code)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: created by `opus_decoder_create`, destroyed once.
        unsafe { ffi::opus_decoder_destroy(self.0.as_ptr()) }
    }
}

/// What a packet says about the second before it.
pub(super) struct Redundancy(NonNull<ffi::OpusDRED>);

// SAFETY: the C state is owned by this object alone and bound to no thread.
unsafe impl Send for Redundancy {}

impl Redundancy {
    pub fn new() -> Result<Self, OpusError> {
        let mut error = 0;
        // SAFETY: `error` is valid for the call; the result is checked before use.
        let state = unsafe { ffi::opus_dred_alloc(&raw mut error) };
        NonNull::new(state).map(Self).ok_or(OpusError::new("no memory for deep redundancy", error))
    }
}

impl Drop for Redundancy {
    fn drop(&mut self) {
        // SAFETY: created by `opus_dred_alloc`, freed once.
        unsafe { ffi::opus_dred_free(self.0.as_ptr()) }
    }
}

/// Reads deep redundancy out of packets.
pub(super) struct RedundancyDecoder(NonNull<ffi::OpusDREDDecoder>);

// SAFETY: the C state is owned by this object alone and bound to no thread.
unsafe impl Send for RedundancyDecoder {}

impl RedundancyDecoder {
    pub fn new() -> Result<Self, OpusError> {
        let mut error = 0;
        // SAFETY: `error` is valid for the call; the result is checked before use.
        let state = unsafe { ffi::opus_dred_decoder_create(&raw mut error) };
        NonNull::new(state).map(Self).ok_or(OpusError::new("no decoder of deep redundancy", error))
    }

    /// Reads the redundancy of `packet` into `redundancy`, looking at most `most` samples back: from how many samples
    /// before the packet to how many before it there is any (0, 0 without). With `defer` it is only looked at, not
    /// decoded, and cannot be used to restore.
    pub fn parse(
        &mut self,
        redundancy: &mut Redundancy,
        packet: &[u8],
        most: usize,
        defer: bool,
    ) -> Result<(usize, usize), OpusError> {
        let length = i32::try_from(packet.len()).map_err(|_| OpusError::new("deep redundancy", ffi::OPUS_BAD_ARG))?;
        let mut end = 0;
        // SAFETY: both states and `end` are valid for the call, and `packet` holds `length` bytes.
        let code = unsafe {
            ffi::opus_dred_parse(
                self.0.as_ptr(),
                redundancy.0.as_ptr(),
                packet.as_ptr(),
                length,
                most as i32,
                SAMPLE_RATE as i32,
                &raw mut end,
                defer.into(),
            )
        };
        Ok((check("deep redundancy", code)?, usize::try_from(end).unwrap_or(0)))
    }
}

impl Drop for RedundancyDecoder {
    fn drop(&mut self) {
        // SAFETY: created by `opus_dred_decoder_create`, destroyed once.
        unsafe { ffi::opus_dred_decoder_destroy(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::audio::{
        codec::{Decoder, Encoded, Encoder, FRAME_SAMPLES, OpusConfig, OpusDecoder, OpusEncoder, Restored},
        source::Source,
    };

    fn packets(config: &OpusConfig) -> Vec<Vec<u8>> {
        let mut source = crate::samples::CUSTOMER.source().unwrap();
        let mut encoder = OpusEncoder::new(config).unwrap();
        let mut frame = [0.0; FRAME_SAMPLES];
        let mut packets = Vec::new();
        for _ in 0..200 {
            source.read(&mut frame);
            if let Encoded::Packet(packet) = encoder.encode(&frame).unwrap() {
                packets.push(packet.to_vec());
            }
        }
        packets
    }

    #[test]
    fn deep_redundancy_reaches_back_as_far_as_asked_and_fits_into_a_datagram() {
        for bitrate in [48_000, 510_000] {
            let config = OpusConfig { dred_frames: 104, expected_loss: 30, bitrate, ..OpusConfig::default() };
            let packets = packets(&config);
            assert!(packets.iter().all(|packet| packet.len() <= 1200));
            let mut decoder = OpusDecoder::new().unwrap();
            let most = packets.iter().map(|packet| decoder.reach(packet)).max().unwrap();
            assert!(most > 10 * FRAME_SAMPLES, "{bitrate}: {most}");
        }
    }

    #[test]
    fn deep_redundancy_is_sent_when_loss_is_expected_and_only_then() {
        let config = OpusConfig { dred_frames: 20, expected_loss: 0, bitrate: 48_000, ..OpusConfig::default() };
        let mut decoder = OpusDecoder::new().unwrap();
        let reach = |packets: &[Vec<u8>], decoder: &mut OpusDecoder| {
            packets.iter().map(|packet| decoder.reach(packet)).max().unwrap()
        };
        assert!(reach(&packets(&config), &mut decoder) <= FRAME_SAMPLES);
        let config = OpusConfig { expected_loss: 30, ..config };
        assert!(reach(&packets(&config), &mut decoder) > 4 * FRAME_SAMPLES);
    }

    #[test]
    fn what_is_out_of_reach_is_not_restored_and_changes_nothing() {
        let config = OpusConfig { dred_frames: 8, expected_loss: 30, bitrate: 48_000, ..OpusConfig::default() };
        let packets = packets(&config);
        let (mut decoder, mut other) = (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
        let (mut out, mut wanted) = (vec![0.0; FRAME_SAMPLES], vec![0.0; FRAME_SAMPLES]);
        for packet in &packets[..150] {
            decoder.decode(packet, &mut out).unwrap();
            other.decode(packet, &mut wanted).unwrap();
        }
        let late = &packets[170];
        assert_eq!(decoder.restore(late, 20 * FRAME_SAMPLES, &mut out).unwrap(), Restored::No);
        decoder.decode(late, &mut out).unwrap();
        other.decode(late, &mut wanted).unwrap();
        assert_eq!(out, wanted);
        let deep = packets[171..]
            .iter()
            .find(|packet| decoder.restore(packet, 3 * FRAME_SAMPLES, &mut out).unwrap() == Restored::Deep);
        assert!(deep.is_some() && out.iter().any(|sample| sample.abs() > 0.001));
    }

    #[test]
    fn packets_of_nonsense_restore_nothing_and_harm_nothing() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = vec![0.0; FRAME_SAMPLES];
        let mut noise = 1u32;
        for length in 0..400 {
            let packet: Vec<u8> = (0..length)
                .map(|n| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Code 3 with padding, so that it is looked at.
                    if n < 2 { 0x43 } else { (noise >> 24) as u8 }
                })
                .collect();
            decoder.reach(&packet);
            let _ = decoder.restore(&packet, 2 * FRAME_SAMPLES, &mut out);
            assert!(out.iter().all(|sample| sample.is_finite()));
        }
    }
}
