//! The task that owns the WebRTC peer and the sound of one call.
//!
//! It carries out the machine's orders one after another and reports what happens. The machine never waits for it.

use super::machine::Input;
use super::sound::SoundSpec;
use super::stats::CallStats;
use crate::api::Client;
use crate::api::signaling::IceCandidate;
use crate::api::types::IceServer;
use crate::peer::media::{MediaClock, MediaHandle, MediaParts, MediaSession, MediaStats};
use crate::peer::{AudioPeer, LocalNetwork, NegotiatedCodec, PeerConfig, PeerError, PeerEvent, PeerState, ReceivedRtp};
use chatphone_media::pipeline::RtpPacket;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use tokio::time::timeout;

/// How long the ICE servers may take: without them a call still works in most networks, so it is not held up for long.
const ICE_SERVERS_WITHIN: Duration = Duration::from_secs(3);
/// How long closing may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How often the figures of the way are read.
const STATS_EVERY: Duration = Duration::from_secs(1);

/// What every call of a phone has in common.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) client: Client,
    pub(super) clock: MediaClock,
    pub(super) network: LocalNetwork,
    pub(super) relay_only: bool,
    pub(super) sound: SoundSpec,
    /// The sound of the first call, where it was opened ahead.
    pub(super) opened: Arc<Mutex<Option<MediaParts>>>,
}

impl Setup {
    fn open_sound(&self) -> Result<MediaParts, String> {
        let ahead = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        ahead.map_or_else(|| self.sound.open(), Ok)
    }
}

/// An order of the machine.
pub(super) enum Order {
    CreateOffer,
    ApplyOffer(String),
    ApplyAnswer(String),
    AddCandidate(IceCandidate),
    Mute(bool),
    Close(oneshot::Sender<Closed>),
}

/// What a closed peer leaves.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) stats: CallStats,
    pub(super) problems: Vec<String>,
}

/// The driver's end of the task. Dropping it ends the task.
pub(super) struct PeerTask {
    orders: UnboundedSender<Order>,
    stats: watch::Receiver<CallStats>,
}

impl PeerTask {
    /// Starts the task; what it reports goes to `inputs`, marked with `generation`.
    pub(super) fn start(setup: Setup, generation: u64, inputs: UnboundedSender<(u64, Input)>) -> Self {
        let (orders, orders_rx) = unbounded_channel();
        let (stats_tx, stats) = watch::channel(CallStats::default());
        tokio::spawn(async move {
            let report = Reports { generation, inputs };
            Task::run(setup, orders_rx, report, stats_tx).await;
        });
        Self { orders, stats }
    }

    pub(super) fn order(&self, order: Order) {
        // A task that is gone has reported why.
        let _ = self.orders.send(order);
    }

    pub(super) fn stats(&self) -> CallStats {
        self.stats.borrow().clone()
    }

    /// Closes peer and sound. Bounded in time.
    pub(super) async fn close(self) -> Closed {
        let (done, closed) = oneshot::channel();
        let last = self.stats();
        self.order(Order::Close(done));
        match timeout(CLOSE_WITHIN, closed).await {
            Ok(Ok(closed)) => closed,
            Ok(Err(_)) => Closed { stats: last, problems: Vec::new() },
            Err(_) => Closed { stats: last, problems: vec!["the call did not close in time".into()] },
        }
    }
}

struct Reports {
    generation: u64,
    inputs: UnboundedSender<(u64, Input)>,
}

impl Reports {
    fn say(&self, input: Input) {
        // The driver is gone: so is the call.
        let _ = self.inputs.send((self.generation, input));
    }
}

struct Task {
    peer: AudioPeer,
    setup: Setup,
    reports: Reports,
    stats: watch::Sender<CallStats>,
    sound: Sound,
    connected: bool,
    media_seen: bool,
    muted: bool,
    problems: Vec<String>,
}

/// The sound of the call.
enum Sound {
    Opening,
    Ready(MediaParts),
    Running(MediaHandle, NegotiatedCodec),
    Over,
}

impl Task {
    async fn run(
        setup: Setup,
        mut orders: UnboundedReceiver<Order>,
        reports: Reports,
        stats: watch::Sender<CallStats>,
    ) {
        let mut opening = {
            let setup = setup.clone();
            tokio::task::spawn_blocking(move || setup.open_sound())
        };
        let mut problems = Vec::new();
        let mut early = Vec::new();
        let made = {
            let mut making = pin!(make_peer(&setup, &mut problems));
            loop {
                tokio::select! {
                    made = &mut making => break made,
                    order = orders.recv() => match order {
                        Some(Order::Close(done)) => {
                            let _ = done.send(Closed::default());
                            return;
                        }
                        Some(order) => early.push(order),
                        None => return,
                    },
                }
            }
        };
        let (peer, mut events) = match made {
            Ok(made) => made,
            Err(error) => return reports.say(Input::PeerFailed { reason: error.to_string() }),
        };
        let mut task = Self {
            peer,
            setup,
            reports,
            stats,
            sound: Sound::Opening,
            connected: false,
            media_seen: false,
            muted: false,
            problems,
        };
        task.reports.say(Input::PeerReady);
        for order in early {
            task.carry_out(order).await;
        }
        let mut ticks = tokio::time::interval(STATS_EVERY);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Close(done)) => {
                        let closed = task.close().await;
                        let _ = done.send(closed);
                        return;
                    }
                    Some(order) => task.carry_out(order).await,
                    None => {
                        task.close().await;
                        return;
                    }
                },
                Some(event) = events.recv() => task.peer_event(event).await,
                opened = &mut opening, if matches!(task.sound, Sound::Opening) => task.sound_opened(opened).await,
                _ = ticks.tick() => task.publish_stats().await,
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::CreateOffer => match self.peer.create_offer().await {
                Ok(sdp) => self.reports.say(Input::LocalOffer { sdp }),
                Err(error) => self.reports.say(Input::PeerFailed { reason: error.to_string() }),
            },
            Order::ApplyOffer(sdp) => match self.peer.accept_offer(&sdp).await {
                Ok(sdp) => self.reports.say(Input::LocalAnswer { sdp }),
                Err(error) => self.reports.say(Input::RemoteDescriptionFailed { error: error.to_string() }),
            },
            Order::ApplyAnswer(sdp) => match self.peer.accept_answer(&sdp).await {
                Ok(()) => self.reports.say(Input::AnswerApplied),
                Err(error) => self.reports.say(Input::RemoteDescriptionFailed { error: error.to_string() }),
            },
            Order::AddCandidate(candidate) => {
                if let Err(error) = self.peer.add_candidate(&candidate).await {
                    self.reports.say(Input::CandidateFailed { error: error.to_string() });
                }
            }
            Order::Mute(muted) => {
                self.muted = muted;
                if let Sound::Running(media, _) = &self.sound {
                    media.set_muted(muted);
                }
            }
            // Taken by the loop.
            Order::Close(_) => {}
        }
    }

    async fn peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::LocalCandidate(candidate) => self.reports.say(Input::LocalCandidate(candidate)),
            PeerEvent::State(PeerState::Connected) => {
                self.reports.say(Input::PeerConnected);
                self.connected = true;
                self.start_sound().await;
            }
            PeerEvent::State(PeerState::Disconnected) => self.reports.say(Input::PeerDisconnected),
            PeerEvent::State(PeerState::Failed) => self.reports.say(Input::PeerFailed {
                reason: "no way for the media was found between this side and the agent's (ICE or DTLS failed)".into(),
            }),
            PeerEvent::Rtp(packet) => self.take_packet(packet),
            PeerEvent::GatheringComplete | PeerEvent::State(PeerState::Closed) | PeerEvent::RemoteReport(_) => {}
        }
    }

    async fn sound_opened(&mut self, opened: Result<Result<MediaParts, String>, JoinError>) {
        match opened {
            Ok(Ok(parts)) => {
                self.sound = Sound::Ready(parts);
                if self.connected {
                    self.start_sound().await;
                }
            }
            Ok(Err(error)) => self.no_sound(error),
            Err(error) => self.no_sound(error.to_string()),
        }
    }

    fn no_sound(&mut self, error: String) {
        self.sound = Sound::Over;
        self.reports.say(Input::MediaFailed { error });
    }

    /// Begins to send and to play, the first time that the peer is connected and the devices are open.
    async fn start_sound(&mut self) {
        let parts = match std::mem::replace(&mut self.sound, Sound::Over) {
            Sound::Ready(parts) => parts,
            other => {
                self.sound = other;
                return;
            }
        };
        let Some(codec) = self.peer.negotiated_codec().await else {
            return self.no_sound("the two sides agreed on no audio codec".into());
        };
        let (packets_tx, mut packets) = unbounded_channel();
        match MediaSession::new(parts, codec.kind, self.setup.sound.media.clone(), packets_tx) {
            Ok((session, handle)) => {
                handle.set_muted(self.muted);
                self.setup.clock.attach(session);
                self.sound = Sound::Running(handle, codec);
            }
            Err(error) => return self.no_sound(error.to_string()),
        }
        let writer = self.peer.rtp_writer();
        // Ends with the session, which owns the other end.
        tokio::spawn(async move {
            while let Some(p) = packets.recv().await {
                writer.write(codec.payload_type, p.sequence_number, p.timestamp, p.marker, p.payload).await;
            }
        });
    }

    fn take_packet(&mut self, packet: ReceivedRtp) {
        if !self.media_seen {
            self.media_seen = true;
            self.reports.say(Input::MediaFlowing);
        }
        let Sound::Running(media, codec) = &self.sound else { return };
        // Another payload type is another codec, or comfort noise: the decoder would make noise of it.
        if packet.payload_type != codec.payload_type {
            return;
        }
        let ReceivedRtp { ssrc, sequence_number, timestamp, marker, payload, arrival, .. } = packet;
        media.push(RtpPacket { ssrc, sequence_number, timestamp, marker, payload }, arrival);
    }

    async fn read_stats(&mut self) -> CallStats {
        let (codec, media) = match &self.sound {
            Sound::Running(handle, codec) => (Some(codec.kind), *handle.stats().borrow()),
            _ => (None, MediaStats::default()),
        };
        CallStats { codec, peer: self.peer.stats().await, media }
    }

    async fn publish_stats(&mut self) {
        let stats = self.read_stats().await;
        self.stats.send_replace(stats);
    }

    async fn close(&mut self) -> Closed {
        let mut stats = self.read_stats().await;
        if let Sound::Running(media, _) = std::mem::replace(&mut self.sound, Sound::Over) {
            let report = media.stop().await;
            stats.media = report.stats;
            self.problems.extend(report.problems);
        }
        self.peer.close().await;
        self.stats.send_replace(stats.clone());
        Closed { stats, problems: std::mem::take(&mut self.problems) }
    }
}

async fn make_peer(
    setup: &Setup,
    problems: &mut Vec<String>,
) -> Result<(AudioPeer, UnboundedReceiver<PeerEvent>), PeerError> {
    let ice_servers = match timeout(ICE_SERVERS_WITHIN, setup.client.ice_servers()).await {
        Ok(Ok(answer)) => answer.servers,
        Ok(Err(error)) => without_servers(problems, &error.to_string()),
        Err(_) => without_servers(problems, &format!("no answer within {} s", ICE_SERVERS_WITHIN.as_secs())),
    };
    AudioPeer::new(PeerConfig {
        ice_servers,
        network: setup.network.clone(),
        relay_only: setup.relay_only,
        codecs: setup.sound.codecs.clone(),
    })
    .await
}

fn without_servers(problems: &mut Vec<String>, why: &str) -> Vec<IceServer> {
    tracing::warn!("the ICE servers could not be fetched, trying without: {why}");
    problems.push(format!("the ICE servers could not be fetched: {why}"));
    Vec::new()
}
