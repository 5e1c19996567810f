//! A peer of a call, and when it was last heard.

use super::making::Events;
use crate::call::machine::MediaSigns;
use crate::peer::{AudioPeer, NegotiatedCodecs, PeerEvent, PeerStats, ReceivedRtp};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Silent for no longer than this, a far end is one that is heard: Opus sends a packet every 400 ms in silence that it
/// does not send (RFC 7587, 3.1.3).
const HEARD: Duration = Duration::from_millis(500);

pub(super) struct Line {
    pub(super) peer: AudioPeer,
    events: Events,
    pub(super) connected: bool,
    /// Why it gave up.
    pub(super) failed: Option<String>,
    /// What it agreed on, once it was connected.
    pub(super) codecs: NegotiatedCodecs,
    sound: Option<Instant>,
    /// The last packet announced silence.
    announced: bool,
    /// The last answer to an ICE check, as far as it was looked for.
    answered: Option<Instant>,
    /// How many answers there were at the last look, in this silence.
    answers: Option<u64>,
    local: Option<IpAddr>,
}

impl Line {
    pub(super) fn new(peer: AudioPeer, events: Events) -> Self {
        Self {
            peer,
            events,
            connected: false,
            failed: None,
            codecs: NegotiatedCodecs::default(),
            sound: None,
            announced: false,
            answered: None,
            answers: None,
            local: None,
        }
    }

    /// A packet came.
    pub(super) fn heard(&mut self, packet: &ReceivedRtp) {
        self.sound = self.sound.max(Some(packet.arrival));
        self.announced = self.codecs.is_noise(packet.payload_type);
    }

    /// Whether the far end is heard, as it should be.
    pub(super) fn is_heard(&self, now: Instant) -> bool {
        self.sound.is_some_and(|sound| now.saturating_duration_since(sound) < HEARD)
    }

    pub(super) fn is_silent_peer(&self) -> bool {
        self.sound.is_none()
    }

    /// Whether the sound goes over this address of a relay.
    pub(super) async fn goes_over(&self, relayed: SocketAddr) -> bool {
        let local = self.peer.stats().await.local_candidate.filter(|c| c.url.is_some());
        self.connected && local.is_some_and(|c| c.port == relayed.port() && c.address == Some(relayed.ip().to_string()))
    }

    /// Takes what the statistics say.
    pub(super) fn look_at(&mut self, stats: &PeerStats) {
        self.local = stats.local_address.or(self.local);
    }

    /// Looks for answers to ICE checks, which is of no interest as long as there is sound.
    async fn look_for_answers(&mut self, now: Instant) {
        if self.is_heard(now) {
            self.answers = None;
            return;
        }
        let answers = self.peer.stats().await.responses_received;
        // The first look only tells what came before.
        if self.answers.replace(answers).is_some_and(|before| answers > before) {
            self.answered = Some(now);
        }
    }

    fn sign(&self) -> Option<Instant> {
        self.sound.max(self.peer.rtcp_heard()).max(self.answered)
    }
}

/// What is heard over the line of a call, and over the one that is kept.
pub(super) async fn signs(line: Option<&mut Line>, kept: Option<&mut Line>, now: Instant) -> MediaSigns {
    let mut signs = MediaSigns { sends: true, ..MediaSigns::default() };
    if let Some(kept) = kept {
        kept.look_for_answers(now).await;
        (signs.kept_sound, signs.kept_sign) = (kept.sound, kept.sign());
        (signs.sends, signs.announced) = (kept.peer.sends_media(), kept.announced);
    }
    if let Some(line) = line.filter(|line| line.connected || !line.is_silent_peer()) {
        line.look_for_answers(now).await;
        (signs.sound, signs.sign) = (line.sound, line.sign());
        (signs.sends, signs.announced) = (line.peer.sends_media(), line.announced);
        signs.local = line.local;
    }
    signs
}

/// The next event of a line; pending without one, or when there will be none.
pub(super) async fn next_event(line: &mut Option<Line>) -> PeerEvent {
    let event = match line {
        Some(line) => line.events.recv().await,
        None => None,
    };
    match event {
        Some(event) => event,
        None => std::future::pending().await,
    }
}
