//! The agents' telephones: a WebRTC peer, and sound, for each call.

use super::center::CallSpec;
use super::config::{AgentIce, AgentSound, SimulatorConfig};
use super::error::SimulatorError;
use super::fault::{MediaPlan, impair};
use super::line::{CallCommand, CallEvent, Role};
use crate::api::signaling::IceCandidate;
use crate::peer::media::{MediaClock, MediaConfig, MediaHandle, MediaParts, MediaSession, Outlet, send_packets};
use crate::peer::{AudioPeer, LocalNetwork, NegotiatedCodecs, PeerConfig, PeerEvent, PeerState, ReceivedRtp};
use bytes::Bytes;
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::dtmf::DtmfReceiver;
use chatphone_media::audio::file::{WavSink, WavSource};
use chatphone_media::audio::pipe::pipe;
use chatphone_media::audio::sink::{Null, Sink, Tee};
use chatphone_media::audio::source::{Silence, Source};
use chatphone_media::audio::tone::Tone;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{mpsc, watch};

/// What an echoing agent holds at most: more than a tick, so that nothing is lost when the clock was late.
const ECHO_SAMPLES: usize = chatphone_media::SAMPLE_RATE as usize / 2;
/// A file that the agents play is kept in memory, once for all of them.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Candidates of the client kept until its description comes.
const MAX_EARLY_CANDIDATES: usize = 200;

/// Makes the agents' WebRTC peers.
#[derive(Clone)]
pub(super) struct Telephony(Arc<Inner>);

struct Inner {
    clock: MediaClock,
    peer: PeerConfig,
    sound: Sound,
    record_dir: Option<PathBuf>,
    recordings: Mutex<Vec<PathBuf>>,
    /// Chats whose agent's network is dead, and until when.
    dark: Mutex<HashMap<String, Instant>>,
}

/// [`AgentSound`], with the file read.
enum Sound {
    Echo,
    Tone(f32),
    Play(String, Bytes),
    Silence,
}

impl Telephony {
    /// Reads the file that the agents play, makes the folder for recordings, and starts the clock of the calls.
    pub async fn new(config: &SimulatorConfig) -> Result<Self, SimulatorError> {
        let sound = match &config.agent.sound {
            AgentSound::Echo => Sound::Echo,
            AgentSound::Tone(hz) => Sound::Tone(*hz as f32),
            AgentSound::Silence => Sound::Silence,
            AgentSound::Play(path) => read_sound(path).await?,
        };
        if let Some(dir) = &config.agent.record_dir {
            let made = tokio::fs::create_dir_all(dir).await;
            made.map_err(|source| SimulatorError::RecordDir { path: dir.clone(), source })?;
        }
        let ip = config.listen.ip();
        // Clients of a center on all addresses may well be on this machine.
        let network = if ip.is_loopback() || ip.is_unspecified() {
            LocalNetwork::towards(Some(std::net::Ipv4Addr::LOCALHOST.into()))
        } else {
            LocalNetwork::towards(None)
        };
        let has = |kind: &CodecKind| kind.decoder().is_ok() && kind.encoder(&Default::default()).is_ok();
        let agent_ice = config.agent.ice;
        let peer = PeerConfig {
            ice_servers: if agent_ice == AgentIce::Host { Vec::new() } else { config.ice_servers.clone() },
            relays: Default::default(),
            network,
            relay_only: agent_ice == AgentIce::Relay,
            codecs: config.agent.codecs.iter().copied().filter(has).collect(),
        };
        let clock = MediaClock::start().map_err(SimulatorError::Thread)?;
        let recordings = Mutex::new(Vec::new());
        let record_dir = config.agent.record_dir.clone();
        Ok(Self(Arc::new(Inner { clock, peer, sound, record_dir, recordings, dark: Mutex::default() })))
    }

    /// The recordings begun so far.
    pub fn recordings(&self) -> Vec<PathBuf> {
        self.0.recordings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs one call until it is told to close. `Err` says why the call cannot be made or was lost.
    pub async fn call(
        self,
        spec: CallSpec,
        mut commands: mpsc::UnboundedReceiver<CallCommand>,
        report: impl Fn(CallEvent),
    ) -> Result<(), String> {
        let (peer, mut events) = AudioPeer::new(self.0.peer.clone()).await.map_err(|e| e.to_string())?;
        let mut call = Call {
            telephony: self,
            peer,
            early: Some(Vec::new()),
            media: None,
            keys: DtmfReceiver::default(),
            line: MediaPlan::default(),
            bad_line: None,
            troubles: Vec::new(),
            spec,
        };
        call.share_blackout();
        let result = call.run(&mut commands, &mut events, &report).await;
        call.close().await;
        result
    }
}

/// The next packet that the line lets through; never, where the line is good.
async fn from_line(line: &mut Option<(UnboundedSender<ReceivedRtp>, UnboundedReceiver<ReceivedRtp>)>) -> ReceivedRtp {
    let packet = match line {
        Some((_, through)) => through.recv().await,
        None => None,
    };
    match packet {
        Some(packet) => packet,
        None => std::future::pending().await,
    }
}

async fn read_sound(path: &std::path::Path) -> Result<Sound, SimulatorError> {
    let fail = |reason: String| SimulatorError::Sound { path: path.to_owned(), reason };
    let size = tokio::fs::metadata(path).await.map_err(|e| fail(e.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(fail(format!("it is larger than {} MB", MAX_FILE_BYTES >> 20)));
    }
    let bytes = Bytes::from(tokio::fs::read(path).await.map_err(|e| fail(e.to_string()))?);
    let name = path.display().to_string();
    WavSource::from_bytes(&name, bytes.clone()).map_err(|e| fail(e.to_string()))?;
    Ok(Sound::Play(name, bytes))
}

/// What an agent says, and the sink that feeds it where it is what the agent hears.
type Voice = (Box<dyn Source>, Option<Box<dyn Sink>>);

/// One call of one agent.
struct Call {
    telephony: Telephony,
    spec: CallSpec,
    peer: AudioPeer,
    /// Candidates that came before the client's description; `None` once that is set.
    early: Option<Vec<IceCandidate>>,
    media: Option<(MediaHandle, NegotiatedCodecs)>,
    /// Keys the customer presses.
    keys: DtmfReceiver,
    /// What is wrong with the line.
    line: MediaPlan,
    /// Where packets come through that the line lets through, and where they go in.
    bad_line: Option<(UnboundedSender<ReceivedRtp>, UnboundedReceiver<ReceivedRtp>)>,
    /// What is to happen to the peer, and when; the next one last.
    troubles: Vec<(Instant, Trouble)>,
}

/// What happens to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing passes any more, until then.
    Dark(Instant),
    /// Everything passes again.
    Light,
    /// It is gone.
    Dies,
}

/// Waits for the next trouble.
async fn trouble(next: Option<Instant>) {
    match next {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Call {
    async fn run(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<CallCommand>,
        events: &mut mpsc::UnboundedReceiver<PeerEvent>,
        report: &impl Fn(CallEvent),
    ) -> Result<(), String> {
        match std::mem::replace(&mut self.spec.role, Role::Offer) {
            Role::Offer => report(CallEvent::Offer(self.peer.create_offer().await.map_err(|e| e.to_string())?)),
            Role::Answer(sdp) => report(CallEvent::Answer(self.accept_offer(&sdp).await?)),
        }
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None | Some(CallCommand::Close) => return Ok(()),
                    Some(CallCommand::AcceptAnswer(sdp)) => {
                        self.peer.accept_answer(&sdp).await.map_err(|e| e.to_string())?;
                        self.described().await;
                    }
                    Some(CallCommand::AcceptOffer(sdp)) => report(CallEvent::Answer(self.accept_offer(&sdp).await?)),
                    Some(CallCommand::AddCandidate(candidate)) => self.add_candidate(candidate).await,
                    Some(CallCommand::Impair(line)) => self.line = line,
                    Some(CallCommand::Dial(dial)) => {
                        if let Some((media, _)) = &self.media {
                            media.dial(dial);
                        }
                    }
                },
                event = events.recv() => match event {
                    None => return Err("the agent's peer is gone".into()),
                    Some(PeerEvent::LocalCandidate(candidate)) => report(CallEvent::Candidate(candidate)),
                    Some(PeerEvent::State(PeerState::Connected)) => {
                        tracing::info!(chat_id = self.spec.chat_id, agent = self.spec.agent, "the call is connected");
                        report(CallEvent::Connected);
                        self.expect_trouble(Instant::now());
                        self.start_sound().await?;
                    }
                    Some(PeerEvent::State(PeerState::Failed)) => {
                        return Err("no way for the media was found (ICE or DTLS failed)".into());
                    }
                    Some(PeerEvent::State(state)) => {
                        tracing::info!(chat_id = self.spec.chat_id, ?state, "the agent's peer");
                    }
                    Some(PeerEvent::Rtp(packet)) => match &self.bad_line {
                        // It ends with the call.
                        Some((line, _)) => drop(line.send(packet)),
                        None => self.hear(packet, report),
                    },
                    Some(PeerEvent::RemoteReport(report)) => {
                        if let Some((media, _)) = &self.media {
                            media.report(report);
                        }
                    }
                    Some(PeerEvent::Relay(event)) => tracing::warn!(chat_id = self.spec.chat_id, "{event}"),
                    Some(PeerEvent::GatheringComplete) => {}
                },
                () = trouble(self.troubles.last().map(|(at, _)| *at)) => match self.troubles.pop() {
                    Some((_, Trouble::Dies)) => {
                        tracing::info!(chat_id = self.spec.chat_id, "the agent's peer is gone, as ordered");
                        self.peer.set_dark(true);
                        return Ok(());
                    }
                    Some((_, Trouble::Dark(until))) => {
                        self.peer.set_dark(true);
                        let mut dark = self.dark();
                        dark.retain(|_, until| *until > Instant::now());
                        dark.insert(self.spec.chat_id.clone(), until);
                    }
                    Some((_, Trouble::Light)) => {
                        self.peer.set_dark(false);
                        self.dark().remove(&self.spec.chat_id);
                    }
                    None => {}
                },
                packet = from_line(&mut self.bad_line) => {
                    self.hear(ReceivedRtp { arrival: Instant::now(), ..packet }, report);
                }
            }
        }
    }

    fn dark(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.telephony.0.dark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network of the agent may be dead already, from the peer before.
    fn share_blackout(&mut self) {
        let until = self.dark().get(&self.spec.chat_id).copied();
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            self.peer.set_dark(true);
            self.troubles.push((until, Trouble::Light));
        }
    }

    /// The call is connected: what is to happen to it is counted from now.
    fn expect_trouble(&mut self, now: Instant) {
        if let Some(span) = self.line.blackout.take() {
            let end = now + span.max;
            self.troubles.extend([(now + span.min, Trouble::Dark(end)), (end, Trouble::Light)]);
        }
        if let Some(after) = self.line.dies.take() {
            self.troubles.push((now + after, Trouble::Dies));
        }
        self.troubles.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    /// A packet from the client.
    fn hear(&mut self, packet: ReceivedRtp, report: &impl Fn(CallEvent)) {
        let Some((media, codecs)) = &self.media else { return };
        if codecs.is_event(packet.payload_type)
            && let Some(digit) = self.keys.push(packet.ssrc, &packet.payload, packet.timestamp)
        {
            report(CallEvent::Digit(digit));
        }
        media.take(packet, codecs);
    }

    async fn accept_offer(&mut self, sdp: &str) -> Result<String, String> {
        let answer = self.peer.accept_offer(sdp).await.map_err(|e| e.to_string())?;
        self.described().await;
        if let Some((_, codecs)) = &mut self.media {
            // A renegotiation may number them anew.
            *codecs = self.peer.negotiated_codecs().await;
        }
        Ok(answer)
    }

    /// The client's description is set: its candidates can be used.
    async fn described(&mut self) {
        for candidate in self.early.take().unwrap_or_default() {
            self.add_candidate(candidate).await;
        }
    }

    async fn add_candidate(&mut self, candidate: IceCandidate) {
        match &mut self.early {
            Some(early) if early.len() < MAX_EARLY_CANDIDATES => early.push(candidate),
            Some(_) => {}
            None => {
                if let Err(error) = self.peer.add_candidate(&candidate).await {
                    tracing::warn!(chat_id = self.spec.chat_id, %error, "a candidate of the client");
                }
            }
        }
    }

    /// Lets the agent speak and hear, the first time that the peer is connected.
    async fn start_sound(&mut self) -> Result<(), String> {
        if self.media.is_some() {
            return Ok(());
        }
        let codecs = self.peer.negotiated_codecs().await;
        let codec = codecs.sending().ok_or("the two sides agreed on no audio codec")?;
        let (source, echo) = self.open_source()?;
        let recording = self.open_recording().await;
        let mut sinks: Vec<Box<dyn Sink>> = echo.into_iter().chain(recording).collect();
        let sink = match sinks.len() {
            0 => Box::new(Null),
            1 => sinks.remove(0),
            _ => Box::new(Tee::new(sinks)),
        };
        let parts = MediaParts::new(source, sink);
        let (packets_tx, mut packets) = mpsc::unbounded_channel();
        let mut config = MediaConfig::default();
        config.sender.telephone_events = codecs.sending_events().map(|(_, clock_rate)| clock_rate);
        let session = MediaSession::new(parts, codec.kind, config, packets_tx);
        let (session, handle) = session.map_err(|e| e.to_string())?;
        self.telephony.0.clock.attach(session);
        let outlet = watch::Sender::new(Outlet::new(self.peer.rtp_writer(), &codecs));
        self.media = Some((handle, codecs));
        if let Some(impairment) = self.line.outgoing.take() {
            let (out, through) = mpsc::unbounded_channel();
            tokio::spawn(impair(impairment, std::mem::replace(&mut packets, through), out));
        }
        if let Some(impairment) = self.line.incoming.take() {
            let (line, packets) = mpsc::unbounded_channel();
            let (out, through) = mpsc::unbounded_channel();
            self.bad_line = Some((line, through));
            tokio::spawn(impair(impairment, packets, out));
        }
        // Ends with the session, which holds the other end.
        tokio::spawn(send_packets(packets, outlet.subscribe()));
        Ok(())
    }

    fn open_source(&self) -> Result<Voice, String> {
        Ok(match &self.telephony.0.sound {
            Sound::Echo => {
                let (sink, source) = pipe(ECHO_SAMPLES);
                (Box::new(source), Some(Box::new(sink)))
            }
            Sound::Tone(hz) => (Box::new(Tone::new(*hz)), None),
            Sound::Play(name, bytes) => {
                let source = WavSource::from_bytes(name, bytes.clone()).map_err(|e| e.to_string())?;
                (Box::new(source.looped()), None)
            }
            Sound::Silence => (Box::new(Silence), None),
        })
    }

    /// A WAV of what the agent hears. A call goes on without it where it cannot be made.
    async fn open_recording(&self) -> Option<Box<dyn Sink>> {
        let dir = self.telephony.0.record_dir.as_ref()?;
        let CallSpec { chat_id, party_id, .. } = &self.spec;
        let path = {
            let mut recordings = self.telephony.0.recordings.lock().unwrap_or_else(PoisonError::into_inner);
            let path = dir.join(format!("chat-{chat_id}-party-{party_id}-{}.wav", recordings.len() + 1));
            recordings.push(path.clone());
            path
        };
        match tokio::task::spawn_blocking(move || WavSink::create(path)).await {
            Ok(Ok(sink)) => Some(Box::new(sink)),
            Ok(Err(error)) => {
                tracing::error!(%error, "the call is not recorded");
                None
            }
            Err(error) => {
                tracing::error!(%error, "the call is not recorded");
                None
            }
        }
    }

    async fn close(&mut self) {
        if let Some((media, _)) = self.media.take() {
            let report = media.stop().await;
            let heard = report.stats.receiver;
            tracing::info!(
                chat_id = self.spec.chat_id,
                agent = self.spec.agent,
                packets = heard.packets_received,
                lost = heard.packets_lost,
                "the call is over"
            );
            for problem in report.problems {
                tracing::error!(chat_id = self.spec.chat_id, problem, "the recording");
            }
        }
        self.peer.close().await;
    }
}
