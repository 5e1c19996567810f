//! One WebRTC audio peer: the plumbing under a call, without any signaling.
//!
//! [`AudioPeer`] wraps one `RTCPeerConnection` with one audio transceiver. Who sends which description over what, and
//! when, is not known here: the phone (`call`) and the simulated agents (`simulator`) each bring their own, so that the
//! two sides share the wires but none of the decisions. [`media`] drives sound through a peer.
//!
//! Everything the peer reports comes as [`PeerEvent`]s on one channel; the crate's handler callbacks run on its driver
//! task, where a slow handler would stall ICE, so they only hand on.

mod codecs;
mod connect;
mod connection;
mod early;
mod error;
mod event;
mod handler;
pub mod media;
mod network;
mod nomination;
mod relay;
mod rtcp;
mod sdp;
mod stats;
mod tap;

pub use codecs::{NegotiatedCodec, NegotiatedCodecs};
pub use connect::{AudioPeer, PeerConfig, RtpWriter};
pub use error::PeerError;
pub use event::{PeerEvent, PeerState, ReceivedRtp};
pub use network::{LocalNetwork, PortRange};
pub(crate) use relay::shown_ice_url;
pub use relay::{RelayEvent, RelayProtocol, RelaySettings, Renew, unusable_ice_servers};
pub use rtcp::RemoteReport;
pub use sdp::{has_active_video, validate_offer};
pub use stats::{CandidateInfo, PeerStats};
pub use tap::{PacketTap, PassingPacket, RtpInfo};
