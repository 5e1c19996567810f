//! The task: one loop over orders, the events of the peers and the opening of the sound.

use super::line::{Line, next_event, signs};
use super::making::{Made, make_peer};
use super::voice::Voice;
use super::{Closed, Order, Reports, Said, Setup};
use crate::call::machine::{Input, MediaSigns};
use crate::call::stats::CallStats;
use crate::peer::media::MediaParts;
use crate::peer::{PeerEvent, PeerState, ReceivedRtp, RelayEvent};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

/// How often it is looked at what is heard of the far end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look that comes this much later than the one before says nothing: what was received meanwhile is not taken yet.
const STALLED: Duration = Duration::from_millis(300);
/// How often the figures of the way are read, and told what is heard while all is well.
const STATS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Task {
    setup: Setup,
    reports: Reports,
    stats: watch::Sender<CallStats>,
    /// The newest peer, which orders are for.
    line: Option<Line>,
    /// The peer before it, which carries sound until the newest does.
    kept: Option<Line>,
    /// What is sent goes over the one that is kept.
    over_kept: bool,
    /// Orders for a peer that is still being made.
    early: Vec<Order>,
    /// The first connection of the call has been there.
    was_connected: bool,
    media_seen: bool,
    voice: Voice,
    problems: Vec<String>,
    /// What a relay refused, or why it cannot be used.
    relay_trouble: Option<String>,
    /// What relays of peers that are closed dropped: the figure is the call's.
    dropped: u64,
    looked: Instant,
    told: Instant,
    stats_read: Instant,
    /// They are to be read at the next look.
    read_soon: bool,
    /// Something was amiss at the last look.
    was_amiss: bool,
}

impl Task {
    pub(super) fn new(setup: Setup, reports: Reports, stats: watch::Sender<CallStats>) -> Self {
        let now = Instant::now();
        Self {
            setup,
            reports,
            stats,
            line: None,
            kept: None,
            over_kept: false,
            early: Vec::new(),
            was_connected: false,
            media_seen: false,
            voice: Voice::new(),
            problems: Vec::new(),
            relay_trouble: None,
            dropped: 0,
            looked: now,
            told: now,
            stats_read: now,
            read_soon: false,
            was_amiss: false,
        }
    }

    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let mut opening = {
            let setup = self.setup.clone();
            tokio::task::spawn_blocking(move || setup.open_sound())
        };
        // Aborted when it is replaced or dropped.
        let mut making: JoinSet<Made> = JoinSet::new();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                        making = JoinSet::new();
                        self.close_line().await;
                    }
                    Some(Order::KeepPeer) => {
                        self.close_kept().await;
                        (self.kept, self.over_kept) = (self.line.take(), true);
                    }
                    Some(Order::CloseKept) => self.close_kept().await,
                    Some(Order::ReturnPeer(generation)) => {
                        making = JoinSet::new();
                        self.return_to_kept(generation).await;
                    }
                    Some(Order::Close(done)) => {
                        drop(making);
                        let closed = self.close().await;
                        let _ = done.send(closed);
                        return;
                    }
                    Some(order) if self.line.is_none() && !making.is_empty() => self.early.push(order),
                    Some(order) => self.carry_out(order).await,
                    None => {
                        self.close().await;
                        return;
                    }
                },
                Some(made) = making.join_next() => self.peer_made(made).await,
                event = next_event(&mut self.line) => self.peer_event(event).await,
                event = next_event(&mut self.kept) => self.kept_event(event),
                opened = &mut opening, if self.voice.is_opening() => self.sound_opened(opened).await,
                _ = looks.tick() => self.look().await,
            }
        }
    }

    async fn peer_made(&mut self, made: Result<Made, JoinError>) {
        let made = made.map_err(|e| e.to_string()).and_then(|(made, problems)| {
            for problem in problems {
                // The same again, when another peer is made.
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
            }
            made.map_err(|e| e.to_string())
        });
        match made {
            Ok((peer, events)) => {
                self.line = Some(Line::new(peer, events));
                self.reports.say(Input::PeerReady);
                for order in std::mem::take(&mut self.early) {
                    self.carry_out(order).await;
                }
            }
            Err(reason) => self.reports.say(Input::PeerFailed { reason }),
        }
    }

    async fn carry_out(&mut self, order: Order) {
        let order = match order {
            Order::Controls(controls) => return self.voice.control(controls),
            Order::Dial(dial) => return self.voice.dial(dial),
            order => order,
        };
        // A peer that could not be made was reported as such.
        let Some(Line { peer, connected, .. }) = &mut self.line else { return };
        let connected = *connected;
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
            Order::Prepare(_) | Order::ClosePeer | Order::KeepPeer | Order::CloseKept | Order::ReturnPeer(_) => return,
            Order::Close(_) | Order::Controls(_) | Order::Dial(_) => return,
        };
        let renegotiated = connected && matches!(input, Input::LocalAnswer { .. } | Input::AnswerApplied);
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
                self.was_connected = true;
                if let Some(line) = &mut self.line {
                    line.connected = true;
                }
                self.start_sound().await;
            }
            PeerEvent::State(PeerState::Disconnected) => {
                if let Some(line) = &mut self.line {
                    line.connected = false;
                }
                self.reports.say(Input::PeerDisconnected);
            }
            PeerEvent::State(PeerState::Failed) => {
                let reason = self.why_failed();
                if let Some(line) = &mut self.line {
                    (line.connected, line.failed) = (false, Some(reason.clone()));
                }
                self.reports.say(Input::PeerFailed { reason });
            }
            PeerEvent::Rtp(packet) => self.take_packet(packet),
            PeerEvent::RemoteReport(report) => self.voice.report(report),
            PeerEvent::Relay(event) => self.relay_event(&event).await,
            PeerEvent::GatheringComplete | PeerEvent::State(PeerState::Closed) => {}
        }
    }

    async fn relay_event(&mut self, event: &RelayEvent) {
        let what = event.to_string();
        if !self.problems.contains(&what) {
            self.problems.push(what.clone());
        }
        // What is relayed by nobody any more does not come back.
        if let (RelayEvent::Lost { relayed, .. }, Some(line)) = (event, &mut self.line)
            && line.goes_over(*relayed).await
        {
            (line.connected, line.failed) = (false, Some(what.clone()));
            self.reports.say(Input::PeerFailed { reason: what.clone() });
        }
        self.relay_trouble.get_or_insert(what);
    }

    fn why_failed(&self) -> String {
        match self.was_connected {
            true => "the connection to the agent's side was lost and did not come back".into(),
            false => self.no_way(),
        }
    }

    fn no_way(&self) -> String {
        let what = "no way for the media was found between this side and the agent's (ICE or DTLS failed)";
        self.relay_trouble.as_ref().map_or_else(|| what.into(), |why| format!("{what}; {why}"))
    }

    /// The peer that is kept: nobody asks about it until it is the call's again.
    fn kept_event(&mut self, event: PeerEvent) {
        let failed = self.why_failed();
        let Some(kept) = &mut self.kept else { return };
        match event {
            PeerEvent::Rtp(packet) => {
                kept.heard(&packet);
                // Two streams at once would be taken for one that is torn.
                if self.line.as_ref().is_none_or(Line::is_silent_peer)
                    && let Some(digit) = self.voice.take(packet, &kept.codecs)
                {
                    self.reports.send(Said::Digit(digit));
                }
            }
            PeerEvent::State(PeerState::Connected) => (kept.connected, kept.failed) = (true, None),
            PeerEvent::State(PeerState::Failed) => (kept.connected, kept.failed) = (false, Some(failed)),
            PeerEvent::RemoteReport(report) if self.over_kept => self.voice.report(report),
            _ => {}
        }
    }

    async fn sound_opened(&mut self, opened: Result<Result<MediaParts, String>, JoinError>) {
        match opened.map_err(|e| e.to_string()).flatten() {
            Ok(parts) => {
                self.voice.opened(parts, self.setup.notices.clone());
                if self.line.as_ref().is_some_and(|line| line.connected) {
                    self.start_sound().await;
                }
            }
            Err(error) => self.reports.say(Input::MediaFailed { error: self.voice.fail(error) }),
        }
    }

    /// Lets the sound go over the newest peer.
    async fn start_sound(&mut self) {
        let Some(line) = &mut self.line else { return };
        line.codecs = line.peer.negotiated_codecs().await;
        if std::mem::take(&mut self.over_kept) {
            self.voice.unplug();
        }
        if let Err(error) = self.voice.start(line.peer.rtp_writer(), line.codecs.clone(), &self.setup) {
            self.reports.say(Input::MediaFailed { error });
        }
    }

    fn take_packet(&mut self, packet: ReceivedRtp) {
        if !self.media_seen {
            self.media_seen = true;
            self.reports.say(Input::MediaFlowing);
        }
        let Some(line) = &mut self.line else { return };
        let first = line.is_silent_peer();
        line.heard(&packet);
        if let Some(digit) = self.voice.take(packet, &line.codecs) {
            self.reports.send(Said::Digit(digit));
        }
        if first {
            // Others may be waiting for it, and want to know which way it came.
            (self.was_amiss, self.read_soon) = (true, true);
        }
    }

    /// Looks at what is heard. While all is well, that is told once in a while.
    async fn look(&mut self) {
        let now = Instant::now();
        let stalled = now.saturating_duration_since(std::mem::replace(&mut self.looked, now)) > STALLED;
        if now.saturating_duration_since(self.stats_read) >= STATS_EVERY || self.read_soon {
            (self.stats_read, self.read_soon) = (now, false);
            self.publish_stats().await;
        }
        if stalled || !self.media_seen {
            return;
        }
        let amiss = self.kept.is_some() || !self.line.as_ref().is_some_and(|line| line.is_heard(now));
        let due = now.saturating_duration_since(self.told) >= STATS_EVERY;
        if amiss || due || self.was_amiss {
            (self.was_amiss, self.told) = (amiss, now);
            let signs: MediaSigns = signs(self.line.as_mut(), self.kept.as_mut(), now).await;
            self.reports.say(Input::Media(signs));
        }
    }

    async fn publish_stats(&mut self) {
        let (codec, media) = self.voice.stats();
        let before = self.stats.borrow().peer.clone();
        let line = if self.over_kept { &mut self.kept } else { &mut self.line };
        let peer = match line {
            // A connection that is lost has no pair any more: the one it had is what a report is to show.
            Some(line) => {
                let mut stats = line.peer.stats().await;
                line.look_at(&stats);
                stats.relay_dropped += self.dropped;
                stats.or_way_of(before)
            }
            None => before,
        };
        self.stats.send_replace(CallStats { codec, peer, media });
    }

    async fn close_line(&mut self) {
        if !self.over_kept {
            self.publish_stats().await;
            self.voice.unplug();
        }
        self.early.clear();
        if let Some(line) = self.line.take() {
            self.close_peer(line).await;
        }
        self.send_over_kept();
    }

    /// What is sent goes over the peer that is kept, where it went over the newest.
    fn send_over_kept(&mut self) {
        let Some(kept) = self.kept.as_ref().filter(|_| !self.over_kept) else { return };
        self.over_kept = true;
        if let Err(error) = self.voice.start(kept.peer.rtp_writer(), kept.codecs.clone(), &self.setup) {
            self.reports.say(Input::MediaFailed { error });
        }
    }

    async fn close_kept(&mut self) {
        if std::mem::take(&mut self.over_kept) {
            self.publish_stats().await;
            self.voice.unplug();
        }
        if let Some(kept) = self.kept.take() {
            self.close_peer(kept).await;
        }
    }

    async fn close_peer(&mut self, line: Line) {
        self.dropped += line.peer.stats().await.relay_dropped;
        line.peer.close().await;
    }

    async fn return_to_kept(&mut self, generation: u64) {
        self.close_line().await;
        (self.line, self.over_kept) = (self.kept.take(), false);
        self.reports.generation = generation;
        let Some(line) = &self.line else { return };
        // It may have changed while nobody listened.
        match line.failed.clone() {
            Some(reason) => self.reports.say(Input::PeerFailed { reason }),
            None if line.connected => self.reports.say(Input::PeerConnected),
            None => self.reports.say(Input::PeerDisconnected),
        }
    }

    async fn close(&mut self) -> Closed {
        self.close_kept().await;
        self.close_line().await;
        let mut stats = self.stats.borrow().clone();
        if let Some((codec, media, problems)) = self.voice.close().await {
            (stats.codec, stats.media) = (codec, media);
            self.problems.extend(problems);
        }
        Closed { stats, problems: std::mem::take(&mut self.problems) }
    }
}
