//! The codecs of a peer: what is offered and accepted, and what both sides agreed on.

use chatphone_media::audio::codec::CodecKind;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters};

/// The codec both sides agreed on, with the payload type the far end expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// The codec.
    pub kind: CodecKind,
    /// Its payload type in what we send.
    pub payload_type: u8,
}

/// The codecs both sides agreed on, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NegotiatedCodecs {
    /// The far end takes what we send (`sendrecv` or `recvonly`).
    takes_media: bool,
    audio: Vec<NegotiatedCodec>,
    /// Payload type and clock rate of telephone events.
    events: Vec<(u8, u32)>,
    /// Payload type of comfort noise.
    noise: Option<u8>,
}

impl NegotiatedCodecs {
    /// What is agreed, in our order of preference.
    pub(super) fn of(agreed: &[RTCRtpCodecParameters], ours: &[CodecKind], takes_media: bool) -> Self {
        let audio = ours.iter().filter_map(|kind| {
            let codec = agreed.iter().find(|c| is_named(&c.rtp_codec.mime_type, kind.name()))?;
            Some(NegotiatedCodec { kind: *kind, payload_type: codec.payload_type })
        });
        let events = agreed.iter().filter(|c| is_named(&c.rtp_codec.mime_type, TELEPHONE_EVENT));
        NegotiatedCodecs {
            takes_media,
            audio: audio.collect(),
            events: events.map(|c| (c.payload_type, c.rtp_codec.clock_rate)).collect(),
            noise: agreed.iter().find(|c| is_named(&c.rtp_codec.mime_type, COMFORT_NOISE)).map(|c| c.payload_type),
        }
    }

    /// Whether the far end takes what we send: it does not while it holds the call (RFC 3264, 8.4).
    pub fn takes_media(&self) -> bool {
        self.takes_media
    }

    /// The one to send with.
    pub fn sending(&self) -> Option<NegotiatedCodec> {
        self.audio.first().copied()
    }

    /// What an incoming payload type means. The far end may send with any codec of the answer, and change at any time.
    pub fn kind_of(&self, payload_type: u8) -> Option<CodecKind> {
        self.audio.iter().find(|c| c.payload_type == payload_type).map(|c| c.kind)
    }

    /// Payload type and clock rate to send telephone events (RFC 4733) with: if possible they share the clock of the
    /// sound they interrupt.
    pub fn sending_events(&self) -> Option<(u8, u32)> {
        let rate = self.sending()?.kind.clock_rate();
        self.events.iter().find(|(_, r)| *r == rate).or(self.events.first()).copied()
    }

    /// Whether an incoming payload type is a telephone event.
    pub fn is_event(&self, payload_type: u8) -> bool {
        self.events.iter().any(|(p, _)| *p == payload_type)
    }

    /// Whether an incoming payload type is comfort noise (RFC 3389). None is sent: it saves bits that nobody counts on
    /// these ways, and a silence that is cut out wrongly is heard.
    pub fn is_noise(&self, payload_type: u8) -> bool {
        self.noise == Some(payload_type)
    }
}

/// The encoding name of telephone events.
const TELEPHONE_EVENT: &str = "telephone-event";
/// That of comfort noise (RFC 3389), and its payload type at 8 kHz.
const COMFORT_NOISE: &str = "CN";
const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

fn is_named(mime_type: &str, encoding: &str) -> bool {
    mime_type.split_once('/').is_some_and(|(_, name)| name.eq_ignore_ascii_case(encoding))
}

/// The codecs, best first, comfort noise where a codec has its clock rate, and telephone events at the clock rate of the
/// best: the crate tells codecs apart by their name alone, so there can be one of each.
pub(super) fn all_codecs(kinds: &[CodecKind]) -> Vec<RTCRtpCodecParameters> {
    let events = kinds.first().map(|kind| kind.clock_rate()).map(|clock_rate| RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: format!("audio/{TELEPHONE_EVENT}"),
            clock_rate,
            channels: 0,
            sdp_fmtp_line: "0-15".into(),
            rtcp_feedback: vec![],
        },
        payload_type: if clock_rate == 8000 { 126 } else { 110 },
    });
    let noise = kinds.iter().any(|kind| kind.clock_rate() == 8000).then(|| RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: format!("audio/{COMFORT_NOISE}"),
            clock_rate: 8000,
            channels: 0,
            sdp_fmtp_line: String::new(),
            rtcp_feedback: vec![],
        },
        payload_type: COMFORT_NOISE_PAYLOAD_TYPE,
    });
    let once = kinds.iter().enumerate().filter(|(n, kind)| !kinds[..*n].contains(kind));
    once.map(|(_, kind)| codec_parameters(*kind)).chain(noise).chain(events).collect()
}

pub(super) fn codec_parameters(kind: CodecKind) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: format!("audio/{}", kind.name()),
            clock_rate: kind.clock_rate(),
            // The crate writes the channel count into the rtpmap where it is not 0; RFC 3551 leaves 1 out.
            channels: if kind.channels() == 1 { 0 } else { kind.channels() },
            sdp_fmtp_line: if kind == CodecKind::Opus { "minptime=10;useinbandfec=1".into() } else { String::new() },
            rtcp_feedback: vec![],
        },
        // Offered as this; in an answer the offer's number counts.
        payload_type: kind.static_payload_type().unwrap_or(111),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_that_is_named_twice_is_offered_once() {
        let names: Vec<_> = all_codecs(&[CodecKind::Pcmu, CodecKind::Opus, CodecKind::Pcmu])
            .into_iter()
            .map(|codec| codec.rtp_codec.mime_type)
            .collect();
        assert_eq!(names, ["audio/PCMU", "audio/opus", "audio/CN", "audio/telephone-event"]);
    }
}
