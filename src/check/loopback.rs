//! A call of this machine with itself, through a relay where there is one: two peers, the sound of a real call.

use super::finding::{CallFound, NoCall};
use super::gather::Peers;
use super::url::ServerUrl;
use crate::api::types::IceServer;
use crate::call::CallStats;
use crate::peer::media::{MediaClock, MediaConfig, MediaHandle, MediaParts, MediaSession, Outlet, send_packets};
use crate::peer::{AudioPeer, NegotiatedCodecs, PeerEvent, PeerState};
use chatphone_media::audio::sink::Null;
use chatphone_media::samples::{AGENT, CUSTOMER, Sample};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// For ICE and DTLS to come up.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

type Events = mpsc::UnboundedReceiver<PeerEvent>;

/// Calls for so long. With a relay both sides use nothing else; where the relay does not carry from itself to itself, one
/// side does.
pub(super) async fn call(
    peers: &Peers<'_>,
    relay: Option<(&ServerUrl, &IceServer)>,
    duration: Duration,
) -> Result<CallFound, NoCall> {
    let ways: &[[bool; 2]] = if relay.is_some() { &[[true, true], [true, false]] } else { &[[false, false]] };
    let through = relay.map(|(url, _)| url.clone());
    let mut last = NoCall::NotConnected { through: through.clone() };
    for relay_only in ways {
        match once(peers, relay, *relay_only, duration).await {
            Ok(found) => return Ok(found),
            Err(error @ NoCall::Setup(_)) => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn once(
    peers: &Peers<'_>,
    relay: Option<(&ServerUrl, &IceServer)>,
    relay_only: [bool; 2],
    duration: Duration,
) -> Result<CallFound, NoCall> {
    let through = relay.map(|(url, _)| url.clone());
    let servers = || relay.map(|(_, server)| server.clone()).into_iter().collect::<Vec<_>>();
    let setup = |e: crate::peer::PeerError| NoCall::Setup(e.to_string());
    let begun = Instant::now();
    let (a, mut a_events) = AudioPeer::new(peers.config(servers(), relay_only[0])).await.map_err(setup)?;
    let (b, mut b_events) = AudioPeer::new(peers.config(servers(), relay_only[1])).await.map_err(setup)?;
    let connect = async {
        let offer = a.create_offer().await.map_err(setup)?;
        let answer = b.accept_offer(&offer).await.map_err(setup)?;
        a.accept_answer(&answer).await.map_err(setup)?;
        let (one, other) = tokio::join!(connected(&mut a_events, &b), connected(&mut b_events, &a));
        if one && other { Ok(()) } else { Err(NoCall::NotConnected { through: through.clone() }) }
    };
    match timeout(CONNECT_WITHIN, connect).await {
        Ok(connected) => connected?,
        Err(_) => return Err(NoCall::NotConnected { through }),
    }
    let setup_took = begun.elapsed();
    let clock = MediaClock::start().map_err(|e| NoCall::Setup(e.to_string()))?;
    let one = Side::begin(&clock, &a, &CUSTOMER).await?;
    let other = Side::begin(&clock, &b, &AGENT).await?;
    tokio::select! {
        () = sleep(duration) => {}
        () = one.listen(&mut a_events) => {}
        () = other.listen(&mut b_events) => {}
    }
    let sides = [one.end(&a).await, other.end(&b).await];
    a.close().await;
    b.close().await;
    if sides.iter().any(|side| side.media.receiver.packets_received == 0) {
        return Err(NoCall::NoSound { through });
    }
    Ok(CallFound { through, setup: setup_took, sides })
}

/// Hands candidates to the other side, until this side is connected.
async fn connected(events: &mut Events, other: &AudioPeer) -> bool {
    while let Some(event) = events.recv().await {
        match event {
            PeerEvent::LocalCandidate(candidate) => {
                if let Err(error) = other.add_candidate(&candidate).await {
                    tracing::debug!(%error, "a candidate of this machine is not taken by itself");
                }
            }
            PeerEvent::State(PeerState::Connected) => return true,
            PeerEvent::State(PeerState::Failed | PeerState::Closed) => return false,
            _ => {}
        }
    }
    false
}

/// One end of the sound.
struct Side {
    handle: MediaHandle,
    codecs: NegotiatedCodecs,
    /// Packets go out for as long as this lives.
    _outlet: watch::Sender<Option<Outlet>>,
}

impl Side {
    async fn begin(clock: &MediaClock, peer: &AudioPeer, voice: &Sample) -> Result<Self, NoCall> {
        let setup = |e: String| NoCall::Setup(e);
        let codecs = peer.negotiated_codecs().await;
        let codec = codecs.sending().ok_or_else(|| setup("no codec was agreed on".into()))?;
        let voice = voice.source().map_err(|e| setup(e.to_string()))?;
        let parts = MediaParts::new(Box::new(voice), Box::new(Null));
        let (packets_tx, packets) = mpsc::unbounded_channel();
        let (session, handle) = MediaSession::new(parts, codec.kind, MediaConfig::default(), packets_tx)
            .map_err(|e| setup(e.to_string()))?;
        let (outlet, way) = watch::channel(Outlet::new(peer.rtp_writer(), &codecs));
        tokio::spawn(send_packets(packets, way));
        clock.attach(session);
        Ok(Self { handle, codecs, _outlet: outlet })
    }

    /// Plays what comes, for as long as it comes.
    async fn listen(&self, events: &mut Events) {
        while let Some(event) = events.recv().await {
            match event {
                PeerEvent::Rtp(packet) => self.handle.take(packet, &self.codecs),
                PeerEvent::RemoteReport(report) => self.handle.report(report),
                PeerEvent::State(PeerState::Failed | PeerState::Closed) => return,
                _ => {}
            }
        }
    }

    async fn end(self, peer: &AudioPeer) -> CallStats {
        let codec = self.codecs.sending().map(|codec| codec.kind);
        let way = peer.stats().await;
        CallStats { codec, peer: way, media: self.handle.stop().await.stats }
    }
}
