//! The task that owns the WebRTC peer and the sound of one call.
//!
//! It carries out the machine's orders one after another and reports what happens. The machine never waits for it.

use super::loss::ExpectedLoss;
use super::machine::Input;
use super::sound::SoundSpec;
use super::stats::CallStats;
use crate::api::Client;
use crate::api::signaling::IceCandidate;
use crate::api::types::IceServer;
use crate::peer::media::{
    MediaClock, MediaHandle, MediaParts, MediaSession, MediaStats, Outlet, SoundControls, SoundNotice, send_packets,
};
use crate::peer::{
    AudioPeer, LocalNetwork, NegotiatedCodecs, PeerConfig, PeerError, PeerEvent, PeerState, ReceivedRtp,
    unusable_ice_servers,
};
use chatphone_media::audio::dtmf::{Dial, Digit, DtmfReceiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
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
    /// What there is to tell of the sound.
    pub(super) notices: UnboundedSender<SoundNotice>,
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
    /// Make a peer; what it reports is marked with this generation.
    Prepare(u64),
    /// Close the peer and keep the sound: another peer may follow in the same call.
    ClosePeer,
    CreateOffer,
    ApplyOffer(String),
    ApplyAnswer(String),
    AddCandidate(IceCandidate),
    Controls(SoundControls),
    /// Dial keys, once the sound runs.
    Dial(Dial),
    /// The call is over: close everything.
    Close(oneshot::Sender<Closed>),
}

/// What a call leaves.
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
    /// Starts the task; what it reports goes to `said`.
    pub(super) fn start(setup: Setup, said: UnboundedSender<(u64, Said)>) -> Self {
        let (orders, orders_rx) = unbounded_channel();
        let (stats_tx, stats) = watch::channel(CallStats::default());
        tokio::spawn(Task::new(setup, Reports { generation: 0, said }, stats_tx).run(orders_rx));
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

/// What the task reports.
pub(super) enum Said {
    /// For the machine.
    Input(Input),
    /// The far end pressed a key.
    Digit(Digit),
}

struct Reports {
    generation: u64,
    said: UnboundedSender<(u64, Said)>,
}

impl Reports {
    fn say(&self, input: Input) {
        self.send(Said::Input(input));
    }

    fn send(&self, said: Said) {
        // The driver is gone: so is the call.
        let _ = self.said.send((self.generation, said));
    }
}

type Events = UnboundedReceiver<PeerEvent>;
/// A peer that was made, or why not, and what went wrong beside.
type Made = (Result<(AudioPeer, Events), PeerError>, Vec<String>);

struct Task {
    setup: Setup,
    reports: Reports,
    stats: watch::Sender<CallStats>,
    peer: Option<AudioPeer>,
    /// Orders for a peer that is still being made.
    early: Vec<Order>,
    connected: bool,
    /// The first connection of the call has been there.
    was_connected: bool,
    sound: Sound,
    /// Why there is none.
    no_sound: Option<String>,
    /// Where encoded packets go: the peer of the moment.
    outlet: watch::Sender<Option<Outlet>>,
    /// What the far end loses of what we send.
    loss: ExpectedLoss,
    /// Keys the far end presses.
    keys: DtmfReceiver,
    /// Dialled before the sound ran.
    to_dial: Vec<Dial>,
    media_seen: bool,
    controls: SoundControls,
    problems: Vec<String>,
}

/// The sound of the call.
enum Sound {
    Opening,
    Ready(MediaParts),
    Running(MediaHandle, NegotiatedCodecs),
    Over,
}

impl Task {
    fn new(setup: Setup, reports: Reports, stats: watch::Sender<CallStats>) -> Self {
        Self {
            setup,
            reports,
            stats,
            peer: None,
            early: Vec::new(),
            connected: false,
            was_connected: false,
            sound: Sound::Opening,
            no_sound: None,
            outlet: watch::Sender::new(None),
            loss: ExpectedLoss::default(),
            keys: DtmfReceiver::default(),
            to_dial: Vec::new(),
            media_seen: false,
            controls: SoundControls::default(),
            problems: Vec::new(),
        }
    }

    async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let mut opening = {
            let setup = self.setup.clone();
            tokio::task::spawn_blocking(move || setup.open_sound())
        };
        // Aborted when it is replaced or dropped.
        let mut making: JoinSet<Made> = JoinSet::new();
        let mut events: Option<Events> = None;
        let mut ticks = tokio::time::interval(STATS_EVERY);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Prepare(generation)) => {
                        self.reports.generation = generation;
                        // What was said before the driver knew this peer was not heard.
                        if let Some(error) = self.no_sound.clone() {
                            self.reports.say(Input::MediaFailed { error });
                        }
                        making = JoinSet::new();
                        making.spawn(make_peer(self.setup.clone()));
                    }
                    Some(Order::ClosePeer) => {
                        (making, events) = (JoinSet::new(), None);
                        self.close_peer().await;
                    }
                    Some(Order::Close(done)) => {
                        drop(making);
                        let closed = self.close().await;
                        let _ = done.send(closed);
                        return;
                    }
                    Some(order) if self.peer.is_none() && !making.is_empty() => self.early.push(order),
                    Some(order) => self.carry_out(order).await,
                    None => {
                        self.close().await;
                        return;
                    }
                },
                Some(made) = making.join_next() => events = self.peer_made(made).await,
                Some(event) = next_event(&mut events) => self.peer_event(event).await,
                opened = &mut opening, if matches!(self.sound, Sound::Opening) => self.sound_opened(opened).await,
                _ = ticks.tick() => self.publish_stats().await,
            }
        }
    }

    async fn peer_made(&mut self, made: Result<Made, JoinError>) -> Option<Events> {
        let made = made.map_err(|e| e.to_string()).and_then(|(made, problems)| {
            self.problems.extend(problems);
            made.map_err(|e| e.to_string())
        });
        match made {
            Ok((peer, events)) => {
                self.peer = Some(peer);
                self.reports.say(Input::PeerReady);
                for order in std::mem::take(&mut self.early) {
                    self.carry_out(order).await;
                }
                Some(events)
            }
            Err(reason) => {
                self.reports.say(Input::PeerFailed { reason });
                None
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        let order = match order {
            Order::Controls(controls) => {
                self.controls = controls;
                if let Sound::Running(media, _) = &self.sound {
                    media.set_controls(controls);
                }
                return;
            }
            Order::Dial(dial) => {
                match &self.sound {
                    Sound::Running(media, _) => media.dial(dial),
                    _ => self.to_dial.push(dial),
                }
                return;
            }
            order => order,
        };
        // A peer that could not be made was reported as such.
        let Some(peer) = &mut self.peer else { return };
        let input = match order {
            Order::CreateOffer => match peer.create_offer().await {
                Ok(sdp) => Input::LocalOffer { sdp },
                Err(error) => Input::PeerFailed { reason: error.to_string() },
            },
            Order::ApplyOffer(sdp) => match peer.accept_offer(&sdp).await {
                Ok(sdp) => Input::LocalAnswer { sdp },
                Err(error) => Input::RemoteDescriptionFailed { error: error.to_string() },
            },
            Order::ApplyAnswer(sdp) => match peer.accept_answer(&sdp).await {
                Ok(()) => Input::AnswerApplied,
                Err(error) => Input::RemoteDescriptionFailed { error: error.to_string() },
            },
            Order::AddCandidate(candidate) => match peer.add_candidate(&candidate).await {
                Ok(()) => return,
                Err(error) => Input::CandidateFailed { error: error.to_string() },
            },
            // Taken by the loop and above.
            Order::Prepare(_) | Order::ClosePeer | Order::Close(_) | Order::Controls(_) | Order::Dial(_) => return,
        };
        self.reports.say(input);
    }

    async fn peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::LocalCandidate(candidate) => self.reports.say(Input::LocalCandidate(candidate)),
            PeerEvent::State(PeerState::Connected) => {
                self.reports.say(Input::PeerConnected);
                (self.connected, self.was_connected) = (true, true);
                self.start_sound().await;
            }
            PeerEvent::State(PeerState::Disconnected) => self.reports.say(Input::PeerDisconnected),
            PeerEvent::State(PeerState::Failed) => self.reports.say(Input::PeerFailed {
                reason: match self.was_connected {
                    true => "the connection to the agent's side was lost and did not come back".into(),
                    false => {
                        "no way for the media was found between this side and the agent's (ICE or DTLS failed)".into()
                    }
                },
            }),
            PeerEvent::Rtp(packet) => self.take_packet(packet),
            PeerEvent::RemoteReport(report) => {
                if let (Some(percent), Sound::Running(media, _)) = (self.loss.report(report.fraction_lost), &self.sound)
                {
                    media.set_expected_loss(percent);
                }
            }
            PeerEvent::GatheringComplete | PeerEvent::State(PeerState::Closed) => {}
        }
    }

    async fn sound_opened(&mut self, opened: Result<Result<MediaParts, String>, JoinError>) {
        match opened {
            Ok(Ok(mut parts)) => {
                if let Some(notices) = parts.notices.listen() {
                    tokio::spawn(forward(notices, self.setup.notices.clone()));
                }
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
        self.no_sound = Some(error.clone());
        self.reports.say(Input::MediaFailed { error });
    }

    /// Begins to send and to play once the peer is connected and the devices are open; goes on with the sound there is
    /// when the peer is not the call's first.
    async fn start_sound(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        let codecs = peer.negotiated_codecs().await;
        let Some(codec) = codecs.sending() else {
            return self.no_sound("the two sides agreed on no audio codec".into());
        };
        match std::mem::replace(&mut self.sound, Sound::Over) {
            Sound::Ready(parts) => {
                let (packets_tx, packets) = unbounded_channel();
                let mut config = self.setup.sound.media();
                config.sender.telephone_events = codecs.sending_events().map(|(_, clock_rate)| clock_rate);
                match MediaSession::new(parts, codec.kind, config, packets_tx) {
                    Ok((session, handle)) => {
                        handle.set_controls(self.controls);
                        for dial in self.to_dial.drain(..) {
                            handle.dial(dial);
                        }
                        self.outlet.send_replace(Outlet::new(peer.rtp_writer(), &codecs));
                        self.setup.clock.attach(session);
                        self.sound = Sound::Running(handle, codecs);
                        tokio::spawn(send_packets(packets, self.outlet.subscribe()));
                    }
                    Err(error) => self.no_sound(error.to_string()),
                }
            }
            Sound::Running(_, before) if before.sending().is_some_and(|b| b.kind != codec.kind) => {
                self.no_sound(format!("the codec to send with changed to {} in the call", codec.kind));
            }
            Sound::Running(handle, _) => {
                self.outlet.send_replace(Outlet::new(peer.rtp_writer(), &codecs));
                self.sound = Sound::Running(handle, codecs);
            }
            other => self.sound = other,
        }
    }

    fn take_packet(&mut self, packet: ReceivedRtp) {
        if !self.media_seen {
            self.media_seen = true;
            self.reports.say(Input::MediaFlowing);
        }
        let Sound::Running(media, codecs) = &self.sound else { return };
        if codecs.is_event(packet.payload_type) {
            if let Some(digit) = self.keys.push(&packet.payload, packet.timestamp) {
                self.reports.send(Said::Digit(digit));
            }
            media.push_event(packet.into_packet());
            return;
        }
        // What is none of the audio codecs (comfort noise) would only be made noise of.
        if let Some(codec) = codecs.kind_of(packet.payload_type) {
            let arrival = packet.arrival;
            media.push(codec, packet.into_packet(), arrival);
        }
    }

    async fn read_stats(&mut self) -> CallStats {
        let (codec, media) = match &self.sound {
            Sound::Running(handle, codecs) => (codecs.sending().map(|c| c.kind), *handle.stats().borrow()),
            _ => (None, MediaStats::default()),
        };
        let before = self.stats.borrow().peer.clone();
        let peer = match &mut self.peer {
            // A connection that is lost has no pair any more: the one it had is what a report is to show.
            Some(peer) => peer.stats().await.or_way_of(before),
            None => before,
        };
        CallStats { codec, peer, media }
    }

    async fn publish_stats(&mut self) {
        let stats = self.read_stats().await;
        self.stats.send_replace(stats);
    }

    async fn close_peer(&mut self) {
        self.publish_stats().await;
        self.connected = false;
        self.early.clear();
        self.outlet.send_replace(None);
        if let Some(peer) = self.peer.take() {
            peer.close().await;
        }
    }

    async fn close(&mut self) -> Closed {
        self.close_peer().await;
        let mut stats = self.stats.borrow().clone();
        if let Sound::Running(media, codecs) = std::mem::replace(&mut self.sound, Sound::Over) {
            let report = media.stop().await;
            (stats.media, stats.codec) = (report.stats, codecs.sending().map(|c| c.kind));
            self.problems.extend(report.problems);
        }
        Closed { stats, problems: std::mem::take(&mut self.problems) }
    }
}

/// Passes notices on, for as long as the call's sound is open.
async fn forward(mut from: UnboundedReceiver<SoundNotice>, to: UnboundedSender<SoundNotice>) {
    while let Some(notice) = from.recv().await {
        if to.send(notice).is_err() {
            return;
        }
    }
}

/// The next event of the peer; pending without one.
async fn next_event(events: &mut Option<Events>) -> Option<PeerEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn make_peer(setup: Setup) -> Made {
    let mut problems = Vec::new();
    let ice_servers = match timeout(ICE_SERVERS_WITHIN, setup.client.ice_servers()).await {
        Ok(Ok(answer)) => answer.servers,
        Ok(Err(error)) => without_servers(&mut problems, &error.to_string()),
        Err(_) => without_servers(&mut problems, &format!("no answer within {} s", ICE_SERVERS_WITHIN.as_secs())),
    };
    for what in unusable_ice_servers(&ice_servers) {
        tracing::info!("an ICE server is left out: {what}");
        problems.push(format!("an ICE server is left out: {what}"));
    }
    let made = AudioPeer::new(PeerConfig {
        ice_servers,
        network: setup.network.clone(),
        relay_only: setup.relay_only,
        codecs: setup.sound.codecs.clone(),
    })
    .await;
    (made, problems)
}

fn without_servers(problems: &mut Vec<String>, why: &str) -> Vec<IceServer> {
    tracing::warn!("the ICE servers could not be fetched, trying without: {why}");
    problems.push(format!("the ICE servers could not be fetched: {why}"));
    Vec::new()
}
