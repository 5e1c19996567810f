//! The task: one loop over orders, the peer's events and the opening of the sound.

use super::making::{Events, Made, make_peer};
use super::voice::Voice;
use super::{Closed, Order, Reports, Said, Setup};
use crate::call::machine::Input;
use crate::call::stats::CallStats;
use crate::peer::media::MediaParts;
use crate::peer::{AudioPeer, PeerEvent, PeerState, ReceivedRtp};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// How often the figures of the way are read.
const STATS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Task {
    setup: Setup,
    reports: Reports,
    stats: watch::Sender<CallStats>,
    peer: Option<AudioPeer>,
    /// Orders for a peer that is still being made.
    early: Vec<Order>,
    connected: bool,
    /// The first connection of the call has been there.
    was_connected: bool,
    media_seen: bool,
    voice: Voice,
    problems: Vec<String>,
    /// What a relay refused, or why it cannot be used.
    relay_trouble: Option<String>,
}

impl Task {
    pub(super) fn new(setup: Setup, reports: Reports, stats: watch::Sender<CallStats>) -> Self {
        Self {
            setup,
            reports,
            stats,
            peer: None,
            early: Vec::new(),
            connected: false,
            was_connected: false,
            media_seen: false,
            voice: Voice::new(),
            problems: Vec::new(),
            relay_trouble: None,
        }
    }

    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
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
                        if let Some(error) = self.voice.failed().map(str::to_owned) {
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
                opened = &mut opening, if self.voice.is_opening() => self.sound_opened(opened).await,
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
            Order::Controls(controls) => return self.voice.control(controls),
            Order::Dial(dial) => return self.voice.dial(dial),
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
        let renegotiated = self.connected && matches!(input, Input::LocalAnswer { .. } | Input::AnswerApplied);
        self.reports.say(input);
        if renegotiated {
            self.start_sound().await;
        }
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
                    false => self.no_way(),
                },
            }),
            PeerEvent::Rtp(packet) => self.take_packet(packet),
            PeerEvent::RemoteReport(report) => self.voice.report(report),
            PeerEvent::Relay(event) => {
                let what = event.to_string();
                self.problems.push(what.clone());
                self.relay_trouble.get_or_insert(what);
            }
            PeerEvent::GatheringComplete | PeerEvent::State(PeerState::Closed) => {}
        }
    }

    fn no_way(&self) -> String {
        let what = "no way for the media was found between this side and the agent's (ICE or DTLS failed)";
        self.relay_trouble.as_ref().map_or_else(|| what.into(), |why| format!("{what}; {why}"))
    }

    async fn sound_opened(&mut self, opened: Result<Result<MediaParts, String>, JoinError>) {
        match opened.map_err(|e| e.to_string()).flatten() {
            Ok(parts) => {
                self.voice.opened(parts, self.setup.notices.clone());
                if self.connected {
                    self.start_sound().await;
                }
            }
            Err(error) => self.reports.say(Input::MediaFailed { error: self.voice.fail(error) }),
        }
    }

    async fn start_sound(&mut self) {
        let Some(peer) = &self.peer else { return };
        let codecs = peer.negotiated_codecs().await;
        if let Err(error) = self.voice.start(peer.rtp_writer(), codecs, &self.setup) {
            self.reports.say(Input::MediaFailed { error });
        }
    }

    fn take_packet(&mut self, packet: ReceivedRtp) {
        if !self.media_seen {
            self.media_seen = true;
            self.reports.say(Input::MediaFlowing);
        }
        if let Some(digit) = self.voice.take(packet) {
            self.reports.send(Said::Digit(digit));
        }
    }

    async fn publish_stats(&mut self) {
        let (codec, media) = self.voice.stats();
        let before = self.stats.borrow().peer.clone();
        let peer = match &mut self.peer {
            // A connection that is lost has no pair any more: the one it had is what a report is to show.
            Some(peer) => peer.stats().await.or_way_of(before),
            None => before,
        };
        self.stats.send_replace(CallStats { codec, peer, media });
    }

    async fn close_peer(&mut self) {
        self.publish_stats().await;
        self.connected = false;
        self.early.clear();
        self.voice.unplug();
        if let Some(peer) = self.peer.take() {
            peer.close().await;
        }
    }

    async fn close(&mut self) -> Closed {
        self.close_peer().await;
        let mut stats = self.stats.borrow().clone();
        if let Some((codec, media, problems)) = self.voice.close().await {
            (stats.codec, stats.media) = (codec, media);
            self.problems.extend(problems);
        }
        Closed { stats, problems: std::mem::take(&mut self.problems) }
    }
}

/// The next event of the peer; pending without one.
async fn next_event(events: &mut Option<Events>) -> Option<PeerEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
