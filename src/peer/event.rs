use super::relay::RelayEvent;
use super::rtcp::RemoteReport;
use crate::api::signaling::IceCandidate;
use bytes::Bytes;
use chatphone_media::pipeline::{Content, RtpPacket};
use std::time::Instant;

/// The state of the connection as a whole (W3C `RTCPeerConnectionState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// ICE and DTLS are up: media can flow.
    Connected,
    /// Checks stopped being answered; may come back.
    Disconnected,
    /// Gave up.
    Failed,
    /// Closed by this side.
    Closed,
}

/// One RTP packet as it came out of SRTP.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedRtp {
    /// Synchronization source (RFC 3550, 3).
    pub ssrc: u32,
    /// Payload type as negotiated.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence_number: u16,
    /// Timestamp, in units of the codec's clock rate.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// The codec's bytes.
    pub payload: Bytes,
    /// When it reached this process.
    pub arrival: Instant,
}

impl ReceivedRtp {
    /// The packet as the media path takes it: sound.
    pub fn into_packet(self) -> RtpPacket {
        let Self { ssrc, sequence_number, timestamp, marker, payload, .. } = self;
        RtpPacket { ssrc, sequence_number, timestamp, marker, content: Content::Sound, payload }
    }

    /// The packet as the media path takes it: comfort noise (RFC 3389).
    pub fn into_noise(self) -> RtpPacket {
        RtpPacket { content: Content::ComfortNoise, ..self.into_packet() }
    }
}

/// What a peer reports.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerEvent {
    /// A candidate of this side, to be sent to the far end.
    LocalCandidate(IceCandidate),
    /// This side has no more candidates.
    GatheringComplete,
    /// The state of the connection changed.
    State(PeerState),
    /// Media came in.
    Rtp(ReceivedRtp),
    /// The far end told how it receives us.
    RemoteReport(RemoteReport),
    /// A TURN server did something that the call may suffer from.
    Relay(RelayEvent),
}
