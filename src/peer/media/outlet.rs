use crate::peer::{NegotiatedCodec, NegotiatedCodecs, RtpWriter};
use chatphone_media::pipeline::EncodedPacket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

/// Where a session's packets go: a peer's stream, and the payload types it was agreed on.
#[derive(Clone)]
pub struct Outlet {
    writer: RtpWriter,
    audio: NegotiatedCodec,
    /// `None`: the far end takes no telephone events.
    events: Option<u8>,
}

impl Outlet {
    /// The way through `writer`; `None` before codecs were negotiated, and while the far end takes nothing.
    pub fn new(writer: RtpWriter, codecs: &NegotiatedCodecs) -> Option<Self> {
        if !codecs.takes_media() {
            return None;
        }
        Some(Self {
            writer,
            audio: codecs.sending()?,
            events: codecs.sending_events().map(|(payload_type, _)| payload_type),
        })
    }
}

/// Sends what a session encodes through the outlet of the moment; without one it is lost, as on a broken line. Ends with
/// the session.
pub async fn send_packets(mut packets: UnboundedReceiver<EncodedPacket>, outlet: watch::Receiver<Option<Outlet>>) {
    while let Some(p) = packets.recv().await {
        let Some(Outlet { writer, audio, events }) = outlet.borrow().clone() else { continue };
        // Encoded before the codec changed: under the new one's number it would be noise.
        if p.codec != audio.kind {
            continue;
        }
        if let Some(payload_type) = if p.event { events } else { Some(audio.payload_type) } {
            writer.write(payload_type, p.sequence_number, p.timestamp, p.marker, p.payload).await;
        }
    }
}
