use super::session::MediaSession;
use chatphone_media::TICK;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// When the thread was away for longer than this (a suspended machine), the ticks in between are dropped: playing them
/// all at once would only fill every buffer on the way.
const GIVE_UP: Duration = Duration::from_millis(500);

/// The 10 ms clock of every call in a process. The thread sleeps while there are no sessions and ends with the last
/// handle to it.
#[derive(Debug, Clone)]
pub struct MediaClock {
    sessions: Sender<MediaSession>,
}

impl MediaClock {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system allows no further thread.
    pub fn start() -> std::io::Result<Self> {
        let (sessions, incoming) = channel();
        thread::Builder::new().name("media-clock".into()).spawn(move || run(&incoming))?;
        Ok(Self { sessions })
    }

    /// Ticks a session from now on, until it is stopped.
    pub fn attach(&self, session: MediaSession) {
        // The thread only ends once every sender is gone, and this is one.
        if self.sessions.send(session).is_err() {
            tracing::error!("the media clock is gone: the call has no sound");
        }
    }
}

fn run(incoming: &Receiver<MediaSession>) {
    let mut sessions: Vec<MediaSession> = Vec::new();
    let mut next = Instant::now();
    loop {
        if sessions.is_empty() {
            let Ok(mut first) = incoming.recv() else { return };
            first.begin();
            sessions.push(first);
            next = Instant::now();
        }
        while let Ok(mut session) = incoming.try_recv() {
            session.begin();
            sessions.push(session);
        }
        let now = Instant::now();
        if now < next {
            thread::sleep(next - now);
        } else if now - next > GIVE_UP {
            tracing::warn!(late_ms = (now - next).as_millis(), "the media clock was stopped");
            next = now;
        }
        let now = Instant::now();
        sessions.retain_mut(|session| session.tick(now));
        next += TICK;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::session::{MediaParts, MediaSession};
    use super::*;
    use chatphone_media::audio::codec::CodecKind;
    use chatphone_media::audio::sink::Null;
    use chatphone_media::audio::tone::Tone;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn a_session_is_ticked_until_it_is_stopped() {
        let clock = MediaClock::start().unwrap();
        let parts = MediaParts::new(Box::new(Tone::new(440.0)), Box::new(Null));
        let (packets_tx, mut packets) = unbounded_channel();
        let (session, handle) = MediaSession::new(parts, CodecKind::Opus, Default::default(), packets_tx).unwrap();
        clock.attach(session);
        let first = packets.recv().await.unwrap();
        let second = packets.recv().await.unwrap();
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(960));
        let report = handle.stop().await;
        assert!(report.stats.sender.packets_sent >= 2);
        while packets.recv().await.is_some() {}
    }
}
