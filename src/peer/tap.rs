//! Lets somebody look at the packets of a peer as they pass: decrypted, both ways, nothing changed.

use bytes::Bytes;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::marshal::Marshal;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Looks at packets. Called on the task that drives the peer: it must neither wait nor take long.
pub type PacketTap = Arc<dyn Fn(&PassingPacket<'_>) + Send + Sync>;

/// A packet on its way, as it is inside SRTP.
pub struct PassingPacket<'a> {
    /// Sent by this side.
    pub sent: bool,
    /// When it passed.
    pub at: Instant,
    packet: &'a Packet,
}

/// What tells one RTP stream from another (RFC 3550, 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpInfo {
    /// Synchronization source.
    pub ssrc: u32,
    /// Payload type.
    pub payload_type: u8,
}

impl PassingPacket<'_> {
    /// Its stream; `None` for RTCP.
    pub fn rtp(&self) -> Option<RtpInfo> {
        match self.packet {
            Packet::Rtp(rtp) => Some(RtpInfo { ssrc: rtp.header.ssrc, payload_type: rtp.header.payload_type }),
            _ => None,
        }
    }

    /// Its bytes, header and all. `None` for what has no wire form.
    pub fn bytes(&self) -> Option<Bytes> {
        match self.packet {
            Packet::Rtp(rtp) => rtp.marshal().ok().map(Into::into),
            // An empty list only carries notes between interceptors.
            Packet::Rtcp(list) if !list.is_empty() => rtc::rtcp::packet::marshal(list).ok().map(Into::into),
            _ => None,
        }
    }
}

/// The interceptor that shows what passes.
pub(super) struct ShowPackets {
    tap: PacketTap,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl ShowPackets {
    /// Next to the wire, like the reader of RTCP.
    pub(super) const SLOT: usize = super::rtcp::RtcpTap::SLOT + 1;

    pub(super) fn new(tap: PacketTap) -> Self {
        Self { tap, inbound: VecDeque::new(), outbound: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for ShowPackets {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        (self.tap)(&PassingPacket { sent: false, at: msg.now, packet: &msg.message.packet });
        self.inbound.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        (self.tap)(&PassingPacket { sent: true, at: msg.now, packet: &msg.message.packet });
        self.outbound.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for ShowPackets {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
