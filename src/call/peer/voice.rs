//! The sound of a call: opened beside the peer's making, begun when the peer is connected, and kept when another peer
//! follows in the same call.

use super::Setup;
use crate::peer::media::{
    MediaHandle, MediaParts, MediaSession, MediaStats, Outlet, SoundControls, SoundNotice, send_packets,
};
use crate::peer::{NegotiatedCodecs, ReceivedRtp, RemoteReport, RtpWriter};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::dtmf::{Dial, Digit, DtmfReceiver};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// Where the sound of a call stands.
pub(super) enum Stage {
    Opening,
    Ready(MediaParts),
    Running(MediaHandle, NegotiatedCodecs),
    Over,
}

/// The sound of one call.
pub(super) struct Voice {
    stage: Stage,
    /// Why there is none.
    failed: Option<String>,
    /// Where encoded packets go: the peer of the moment.
    outlet: watch::Sender<Option<Outlet>>,
    /// Keys the far end presses.
    keys: DtmfReceiver,
    /// Dialled before the sound ran.
    to_dial: Vec<Dial>,
    controls: SoundControls,
}

impl Voice {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Opening,
            failed: None,
            outlet: watch::Sender::new(None),
            keys: DtmfReceiver::default(),
            to_dial: Vec::new(),
            controls: SoundControls::default(),
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening)
    }

    /// Why there is no sound, if so.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// There is no sound, and why. Gives the reason back, to be reported.
    pub(super) fn fail(&mut self, error: String) -> String {
        self.stage = Stage::Over;
        self.failed = Some(error.clone());
        error
    }

    /// Devices and files are open; what there is to tell of them goes to `notices`.
    pub(super) fn opened(&mut self, mut parts: MediaParts, notices: UnboundedSender<SoundNotice>) {
        if let Some(own) = parts.notices.listen() {
            tokio::spawn(forward(own, notices));
        }
        self.stage = Stage::Ready(parts);
    }

    /// Begins to send and to play once the devices are open; goes on with the sound there is when the peer is not the
    /// call's first, or has agreed on something else.
    ///
    /// # Errors
    /// In words; then there is no sound.
    pub(super) fn start(&mut self, writer: RtpWriter, codecs: NegotiatedCodecs, setup: &Setup) -> Result<(), String> {
        let Some(codec) = codecs.sending() else {
            return Err(self.fail("the two sides agreed on no audio codec".into()));
        };
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready(parts) => {
                let (packets_tx, packets) = unbounded_channel();
                let mut config = setup.sound.media();
                config.sender.telephone_events = codecs.sending_events().map(|(_, clock_rate)| clock_rate);
                let (session, handle) = match MediaSession::new(parts, codec.kind, config, packets_tx) {
                    Ok(made) => made,
                    Err(error) => return Err(self.fail(error.to_string())),
                };
                handle.set_controls(self.controls);
                for dial in self.to_dial.drain(..) {
                    handle.dial(dial);
                }
                self.outlet.send_replace(Outlet::new(writer, &codecs));
                setup.clock.attach(session);
                self.stage = Stage::Running(handle, codecs);
                tokio::spawn(send_packets(packets, self.outlet.subscribe()));
            }
            Stage::Running(handle, before) => {
                if before != codecs {
                    handle.set_codec(codec.kind, codecs.sending_events().map(|(_, clock_rate)| clock_rate));
                }
                // Unplugged before: it is another peer, not the same one with something else agreed on.
                if self.outlet.send_replace(Outlet::new(writer, &codecs)).is_none() {
                    handle.new_way();
                }
                self.stage = Stage::Running(handle, codecs);
            }
            other => self.stage = other,
        }
        Ok(())
    }

    /// The peer is gone: what is sent is lost until there is another.
    pub(super) fn unplug(&self) {
        self.outlet.send_replace(None);
    }

    pub(super) fn control(&mut self, controls: SoundControls) {
        self.controls = controls;
        if let Stage::Running(media, _) = &self.stage {
            media.set_controls(controls);
        }
    }

    pub(super) fn dial(&mut self, dial: Dial) {
        match &self.stage {
            Stage::Running(media, _) => media.dial(dial),
            _ => self.to_dial.push(dial),
        }
    }

    /// The far end told how it receives us.
    pub(super) fn report(&self, report: RemoteReport) {
        if let Stage::Running(media, _) = &self.stage {
            media.report(report);
        }
    }

    /// Takes a packet of the far end, from a peer that agreed on `codecs`; a key that it completes is given back.
    pub(super) fn take(&mut self, packet: ReceivedRtp, codecs: &NegotiatedCodecs) -> Option<Digit> {
        let Stage::Running(media, _) = &self.stage else { return None };
        let is_key = codecs.is_event(packet.payload_type);
        let digit = is_key.then(|| self.keys.push(packet.ssrc, &packet.payload, packet.timestamp)).flatten();
        media.take(packet, codecs);
        digit
    }

    /// The codec that is sent, and the figures so far.
    pub(super) fn stats(&self) -> (Option<CodecKind>, MediaStats) {
        match &self.stage {
            Stage::Running(handle, codecs) => (codecs.sending().map(|c| c.kind), *handle.stats().borrow()),
            _ => (None, MediaStats::default()),
        }
    }

    /// Stops it; the last figures, and what went wrong with a recording. `None`: it never ran.
    pub(super) async fn close(&mut self) -> Option<(Option<CodecKind>, MediaStats, Vec<String>)> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Running(media, codecs) => {
                let report = media.stop().await;
                Some((codecs.sending().map(|c| c.kind), report.stats, report.problems))
            }
            _ => None,
        }
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

#[cfg(test)]
#[path = "voice_tests.rs"]
mod tests;
