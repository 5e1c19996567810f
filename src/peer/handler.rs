//! What the WebRTC crate reports, on its way to whoever owns the peer.

use super::early::Gate;
use super::event::{PeerEvent, PeerState, ReceivedRtp};
use super::sdp::Sections;
use crate::api::signaling::IceCandidate;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceConnectionState, RTCIceGatheringState, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState,
};

/// The far end's offer, which candidates of both sides refer to. `None` where this side made the offer.
pub(super) type RemoteOffer = Arc<Mutex<Option<Sections>>>;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands on what the crate reports. A closed channel means that nobody listens any more: the peer is being dropped.
#[derive(Clone)]
pub(super) struct Handler {
    pub(super) events: mpsc::UnboundedSender<PeerEvent>,
    pub(super) ice_up: Gate,
    pub(super) offer: RemoteOffer,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(init) => {
                let candidate = IceCandidate {
                    candidate: init.candidate,
                    sdp_mid: init.sdp_mid.filter(|mid| !mid.is_empty()),
                    sdp_mline_index: init.sdp_mline_index.or(Some(0)),
                    ..Default::default()
                };
                let candidate = match &*lock(&self.offer) {
                    Some(offer) => offer.outward(candidate),
                    None => candidate,
                };
                let _ = self.events.send(PeerEvent::LocalCandidate(candidate));
            }
            Err(error) => tracing::debug!(%error, "a local candidate has no text form"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.events.send(PeerEvent::GatheringComplete);
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        if matches!(state, RTCIceConnectionState::Connected | RTCIceConnectionState::Completed) {
            self.ice_up.open();
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connected => PeerState::Connected,
            RTCPeerConnectionState::Disconnected => PeerState::Disconnected,
            RTCPeerConnectionState::Failed => PeerState::Failed,
            RTCPeerConnectionState::Closed => PeerState::Closed,
            _ => return,
        };
        let _ = self.events.send(PeerEvent::State(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if track.kind().await != RtpCodecKind::Audio {
            return;
        }
        let events = self.events.clone();
        // Ends with the connection, which ends the track's events.
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                let rtp = ReceivedRtp {
                    ssrc: packet.header.ssrc,
                    payload_type: packet.header.payload_type,
                    sequence_number: packet.header.sequence_number,
                    timestamp: packet.header.timestamp,
                    marker: packet.header.marker,
                    payload: packet.payload,
                    arrival: Instant::now(),
                };
                if events.send(PeerEvent::Rtp(rtp)).is_err() {
                    break;
                }
            }
        });
    }
}
