use super::codecs::{NegotiatedCodecs, all_codecs, codec_parameters};
use super::connection::Connection;
use super::early::{Gate, HoldingRuntime};
use super::error::PeerError;
use super::event::PeerEvent;
use super::handler::{Handler, RemoteOffer, lock};
use super::network::LocalNetwork;
use super::relay::{RelaySettings, Relays, names_a_relay};
use super::rtcp::{RemoteReport, RtcpTap};
use super::sdp::{self, DtlsRole, Sections};
use super::stats::PeerStats;
use super::tap::{PacketTap, ShowPackets};
use crate::api::signaling::IceCandidate;
use crate::api::types::IceServer;
use bytes::Bytes;
use chatphone_media::audio::codec::CodecKind;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::Slot;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    MediaEngine, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceCandidateInit, RTCIceTransportPolicy,
    RTCSessionDescription, Registry, SettingEngineBuilder, StatsSelector, register_default_interceptors,
};
use webrtc::rtp_transceiver::RtpSender;

/// ICE checks this often: the crate's 200 ms would be most of the setup time on a short way.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// How often one pair is tried. With the interval above a pair gets 7 s, for far ends that are slow to set our answer.
const ICE_CHECKS: u16 = 350;

/// How long the controlling side waits for a better pair before it takes one of this kind. A peer-reflexive one is most
/// often a host candidate whose signaling is slower than its first check. The crate's defaults of 0.5 to 2 s would be
/// added to the setup time of every call that has no better way.
const PRFLX_ACCEPTED_AFTER: Duration = Duration::ZERO;
const SRFLX_ACCEPTED_AFTER: Duration = Duration::from_millis(50);
const RELAY_ACCEPTED_AFTER: Duration = Duration::from_millis(200);

/// What a peer is made of.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// STUN and TURN servers.
    pub ice_servers: Vec<IceServer>,
    /// How those are reached.
    pub relays: RelaySettings,
    /// The local addresses for media.
    pub network: LocalNetwork,
    /// Use relayed candidates alone (`iceTransportPolicy: relay`).
    pub relay_only: bool,
    /// The codecs to offer and to accept, in order of preference.
    pub codecs: Vec<CodecKind>,
}

/// One audio peer. Dropping it without [`AudioPeer::close`] closes it too, in a task.
pub struct AudioPeer {
    connection: Connection,
    relays: Arc<Relays>,
    sender: Arc<dyn RtpSender>,
    track: Arc<TrackLocalStaticRTP>,
    /// The name of the stream that the track is of.
    stream: String,
    ssrc: u32,
    codecs: Vec<CodecKind>,
    reports: watch::Receiver<Option<RemoteReport>>,
    offer: RemoteOffer,
    dtls_role: Mutex<Option<DtlsRole>>,
    /// The codec that the crate knows our stream by.
    stream_codec: Mutex<CodecKind>,
    /// The far end takes what we send: it does not while it holds the call.
    takes_media: AtomicBool,
    /// The far end sends, by its description.
    sends_media: AtomicBool,
    /// When RTCP last came.
    rtcp_heard: watch::Receiver<Option<Instant>>,
    gate: Gate,
}

/// The role that the crate's answer says it takes.
fn written(answer: &str) -> DtlsRole {
    if answer.contains("a=setup:passive") { DtlsRole::Passive } else { DtlsRole::Active }
}

impl AudioPeer {
    /// Makes the peer and opens its sockets. Candidates are gathered once a local description is set.
    ///
    /// # Errors
    /// [`PeerError::Socket`] when no port is free, [`PeerError::Setup`] for anything else.
    pub async fn new(config: PeerConfig) -> Result<(Self, mpsc::UnboundedReceiver<PeerEvent>), PeerError> {
        Self::tapped(config, None).await
    }

    /// As [`AudioPeer::new`], with somebody who looks at the packets as they pass.
    ///
    /// # Errors
    /// The same.
    pub async fn tapped(
        config: PeerConfig,
        tap: Option<PacketTap>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<PeerEvent>), PeerError> {
        // In a task of its own, which is not given up half way with the caller: what is made by then would be left open.
        let made = tokio::spawn(Self::make(config, tap)).await;
        made.map_err(|e| PeerError::Setup(e.to_string()))?
    }

    async fn make(
        config: PeerConfig,
        shown: Option<PacketTap>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<PeerEvent>), PeerError> {
        if config.relay_only && !names_a_relay(&config.ice_servers) {
            return Err(PeerError::NoRelay);
        }
        let (events_tx, events) = mpsc::unbounded_channel();
        let (reports_tx, reports) = watch::channel(None);
        let ssrc = rand::random::<u32>().max(1);
        let mut last = String::new();
        for attempt in 0..config.network.attempts() {
            let Some(addresses) = config.network.socket_addresses(attempt) else { break };
            // Without a route for multicast the mDNS socket cannot be made, and with it the peer.
            for mdns in [MulticastDnsMode::QueryOnly, MulticastDnsMode::Disabled] {
                let offer = RemoteOffer::default();
                let gate = Gate::default();
                let handler = Handler { events: events_tx.clone(), ice_up: gate.clone(), offer: Arc::clone(&offer) };
                let (heard_tx, rtcp_heard) = watch::channel(None);
                let tap = RtcpTap::new(ssrc, events_tx.clone(), reports_tx.clone(), heard_tx);
                match build(&config, addresses.clone(), mdns, handler, tap, shown.clone()).await {
                    Ok((connection, relays)) => {
                        let peer = Self::with_track(connection, relays, ssrc, config.codecs, reports, offer).await?;
                        return Ok((Self { rtcp_heard, gate, ..peer }, events));
                    }
                    Err(e) => last = e.to_string(),
                }
            }
        }
        if last.is_empty() {
            last = "every port of the range is taken".into();
        }
        Err(PeerError::Socket { addresses: config.network.to_string(), reason: last })
    }

    async fn with_track(
        connection: Connection,
        relays: Arc<Relays>,
        ssrc: u32,
        codecs: Vec<CodecKind>,
        reports: watch::Receiver<Option<RemoteReport>>,
        offer: RemoteOffer,
    ) -> Result<Self, PeerError> {
        let Some(first) = codecs.first() else {
            return Err(PeerError::Setup("no audio codec is enabled".into()));
        };
        let stream = uuid::Uuid::new_v4().to_string();
        let track = Arc::new(audio_track(&stream, ssrc, *first));
        let sender = connection
            .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
            .await
            .map_err(|e| PeerError::Setup(e.to_string()))?;
        for transceiver in connection.get_transceivers().await {
            if let Err(error) = transceiver.set_codec_preferences(all_codecs(&codecs)).await {
                tracing::debug!(%error, "codec preferences were not taken");
            }
        }
        let stream_codec = Mutex::new(*first);
        let (dtls_role, takes_media) = (Mutex::default(), AtomicBool::new(true));
        Ok(Self {
            connection,
            relays,
            sender,
            track,
            stream,
            ssrc,
            codecs,
            reports,
            offer,
            dtls_role,
            stream_codec,
            takes_media,
            sends_media: AtomicBool::new(true),
            rtcp_heard: watch::channel(None).1,
            gate: Gate::default(),
        })
    }

    /// Makes an offer and starts gathering.
    ///
    /// # Errors
    /// [`PeerError::LocalDescription`].
    pub async fn create_offer(&self) -> Result<String, PeerError> {
        let local = |e: webrtc::error::Error| PeerError::LocalDescription(e.to_string());
        let offer = self.connection.create_offer(None).await.map_err(local)?;
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await.map_err(local)?;
        Ok(sdp)
    }

    /// Takes the far end's offer, gives the answer and starts gathering. Again in a running call: a renegotiation.
    ///
    /// # Errors
    /// [`PeerError::RemoteDescription`], [`PeerError::NoCommonCodec`] or [`PeerError::LocalDescription`].
    pub async fn accept_offer(&self, offer: &str) -> Result<String, PeerError> {
        let codec = sdp::best_common(offer, &self.codecs)?;
        let before = self.send_with(codec).await?;
        let answered = self.answer_to(offer).await;
        if answered.is_err() {
            self.send_with(before).await?;
        }
        answered
    }

    async fn answer_to(&self, offer: &str) -> Result<String, PeerError> {
        let remote = |e: webrtc::error::Error| PeerError::RemoteDescription(e.to_string());
        let local = |e: webrtc::error::Error| PeerError::LocalDescription(e.to_string());
        let sections = Sections::of(offer).ok_or_else(sdp::no_audio)?;
        let offer = sdp::with_one_format_each(&sections.reduced(), &self.codecs);
        let description = RTCSessionDescription::offer(offer).map_err(remote)?;
        self.connection.set_remote_description(description).await.map_err(remote)?;
        let answer = self.connection.create_answer(None).await.map_err(local)?;
        // A role that was decided stays for as long as the connection (RFC 8842, 5.5).
        let role =
            *lock(&self.dtls_role).get_or_insert_with(|| sections.our_role().unwrap_or_else(|| written(&answer.sdp)));
        let sdp = sections.answer(&answer.sdp, Some(role));
        self.takes_media.store(sections.takes_media(), Ordering::Release);
        self.sends_media.store(sections.sends_media(), Ordering::Release);
        // Known before the first candidate is gathered.
        *lock(&self.offer) = Some(sections);
        self.connection.set_local_description(answer).await.map_err(local)?;
        Ok(sdp)
    }

    /// Takes the far end's answer to our offer.
    ///
    /// # Errors
    /// [`PeerError::RemoteDescription`] or [`PeerError::NoCommonCodec`].
    pub async fn accept_answer(&self, answer: &str) -> Result<(), PeerError> {
        let codec = sdp::best_common(answer, &self.codecs)?;
        let sections = Sections::of(answer).ok_or_else(sdp::no_audio)?;
        let before = self.send_with(codec).await?;
        let remote = |e: webrtc::error::Error| PeerError::RemoteDescription(e.to_string());
        let set = async {
            let description = RTCSessionDescription::answer(sections.reduced()).map_err(remote)?;
            self.connection.set_remote_description(description).await.map_err(remote)
        };
        if let Err(error) = set.await {
            self.send_with(before).await?;
            return Err(error);
        }
        self.takes_media.store(sections.takes_media(), Ordering::Release);
        self.sends_media.store(sections.sends_media(), Ordering::Release);
        lock(&self.dtls_role).get_or_insert(sections.our_role().unwrap_or(DtlsRole::Passive));
        Ok(())
    }

    /// Tells the crate the codec of our stream before it is negotiated: with one that is not negotiated, no sender reports
    /// leave, and so there is no round-trip time. Gives the one it knew.
    async fn send_with(&self, codec: CodecKind) -> Result<CodecKind, PeerError> {
        let before = std::mem::replace(&mut *lock(&self.stream_codec), codec);
        if before != codec {
            let track = Arc::new(audio_track(&self.stream, self.ssrc, codec));
            self.sender.replace_track(track).await.map_err(|e| PeerError::Setup(e.to_string()))?;
        }
        Ok(before)
    }

    /// Takes a candidate of the far end. To be called after its description was set. An empty one ends the list.
    ///
    /// # Errors
    /// [`PeerError::Candidate`]; the call can go on with the other candidates.
    pub async fn add_candidate(&self, candidate: &IceCandidate) -> Result<(), PeerError> {
        if candidate.candidate.trim().is_empty() {
            return Ok(());
        }
        // The crate has TCP candidates of its own only with a port that listens, which no firewall lets in and a phone has
        // no business to open; without one it would connect to this for nothing, under a relay-only policy too.
        if candidate.candidate.split_ascii_whitespace().nth(2).is_some_and(|p| p.eq_ignore_ascii_case("tcp")) {
            tracing::debug!("a TCP candidate (RFC 6544) is passed over");
            return Ok(());
        }
        if self.relays.is_taken(&candidate.candidate) {
            tracing::debug!("a candidate with an address that nobody has is passed over");
            return Ok(());
        }
        let known = match &*lock(&self.offer) {
            Some(offer) => offer.inward(candidate),
            None => Some(candidate.clone()),
        };
        let Some(candidate) = known else {
            tracing::debug!("a candidate for another section is passed over");
            return Ok(());
        };
        let init = RTCIceCandidateInit {
            candidate: candidate.candidate,
            sdp_mid: candidate.sdp_mid.clone(),
            // A candidate that names no section belongs to the first, which BUNDLE uses for all (RFC 8843).
            sdp_mline_index: candidate.sdp_mline_index.or(candidate.sdp_mid.is_none().then_some(0)),
            ..Default::default()
        };
        self.connection.add_ice_candidate(init).await.map_err(|e| PeerError::Candidate(e.to_string()))
    }

    /// What both sides have, in our order of preference. Empty before a negotiation ended.
    pub async fn negotiated_codecs(&self) -> NegotiatedCodecs {
        let Ok(parameters) = self.sender.get_parameters().await else { return NegotiatedCodecs::default() };
        NegotiatedCodecs::of(&parameters.rtp_parameters.codecs, &self.codecs, self.takes_media.load(Ordering::Acquire))
    }

    /// A handle that sends RTP on this peer's stream.
    pub fn rtp_writer(&self) -> RtpWriter {
        RtpWriter { track: Arc::clone(&self.track), ssrc: self.ssrc }
    }

    /// What is known about the way of the packets.
    pub async fn stats(&self) -> PeerStats {
        let report = self.connection.get_stats(Instant::now(), StatsSelector::None).await;
        let selected = match self.sender.transport().await {
            Ok(Some(dtls)) => dtls.ice_transport().get_selected_candidate_pair().await.ok().flatten(),
            _ => None,
        };
        PeerStats::read(&report, selected.as_ref(), *self.reports.borrow(), &self.relays)
    }

    /// When RTCP of the far end last came.
    pub fn rtcp_heard(&self) -> Option<Instant> {
        *self.rtcp_heard.borrow()
    }

    /// Whether the far end sends, by its description: it does not while it holds the call (RFC 3264, 8.4).
    pub fn sends_media(&self) -> bool {
        self.sends_media.load(Ordering::Acquire)
    }

    /// Cuts every UDP way of this peer, in both directions, or mends them: a line on order, for tests.
    pub fn set_dark(&self, dark: bool) {
        self.gate.set_dark(dark);
    }

    /// Closes the connection and its sockets.
    pub async fn close(&self) {
        self.connection.close().await;
    }
}

/// The description of a track of ours. Two of the same stream are the same to the far end.
fn audio_track(stream: &str, ssrc: u32, kind: CodecKind) -> TrackLocalStaticRTP {
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec: codec_parameters(kind).rtp_codec,
        ..Default::default()
    };
    TrackLocalStaticRTP::new(MediaStreamTrack::new(
        stream.into(),
        format!("{stream}-audio"),
        "audio".into(),
        RtpCodecKind::Audio,
        vec![coding],
    ))
}

/// Sends RTP on one stream.
#[derive(Clone)]
pub struct RtpWriter {
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
}

impl RtpWriter {
    /// Sends one packet. A packet that cannot go out is lost, as on the wire.
    pub async fn write(&self, payload_type: u8, sequence_number: u16, timestamp: u32, marker: bool, payload: Bytes) {
        let header = rtc::rtp::header::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        if let Err(error) = self.track.write_rtp(rtc::rtp::Packet { header, payload }).await {
            tracing::trace!(%error, "an RTP packet was not sent");
        }
    }
}

async fn build(
    config: &PeerConfig,
    addresses: Vec<std::net::SocketAddr>,
    mdns: MulticastDnsMode,
    handler: Handler,
    tap: RtcpTap,
    shown: Option<PacketTap>,
) -> Result<(Connection, Arc<Relays>), webrtc::error::Error> {
    let mut media = MediaEngine::default();
    for codec in all_codecs(&config.codecs) {
        media.register_codec(codec, RtpCodecKind::Audio)?;
    }
    let mut registry = register_default_interceptors(Registry::new(), &mut media)?.with(Slot::from(RtcpTap::SLOT), tap);
    if let Some(shown) = shown {
        registry = registry.with(Slot::from(ShowPackets::SLOT), ShowPackets::new(shown));
    }
    let settings = SettingEngineBuilder::new()
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_CHECKS))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(PRFLX_ACCEPTED_AFTER))
        .with_srflx_acceptance_min_wait(Some(SRFLX_ACCEPTED_AFTER))
        .with_relay_acceptance_min_wait(Some(if config.relay_only { Duration::ZERO } else { RELAY_ACCEPTED_AFTER }))
        .with_include_loopback_candidate(true)
        .with_multicast_dns_mode(mdns)
        .build();
    let policy = if config.relay_only { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
    // One that cannot be used would be the end of the peer, and so of a call that the others suffice for: it is left out.
    let (relays, ice_servers) =
        Relays::new(&config.ice_servers, config.relays.clone(), config.relay_only, handler.events.clone())
            .map_err(webrtc::error::Error::Other)?;
    let connection = PeerConnectionBuilder::new()
        .with_configuration(
            RTCConfigurationBuilder::new().with_ice_servers(ice_servers).with_ice_transport_policy(policy).build(),
        )
        .with_media_engine(media)
        .with_setting_engine(settings)
        .with_interceptor_registry(registry)
        .with_runtime(Arc::new(HoldingRuntime::new(handler.ice_up.clone(), Arc::clone(&relays))))
        .with_handler(Arc::new(handler))
        .with_udp_addrs(addresses)
        .build()
        .await?;
    Ok((Connection::new(connection), relays))
}
