//! Eyes on the API client and on the packets of a peer.

use super::record::{Body, Http, Media};
use super::recorder::{Packet, Recorder};
use crate::api::observe::{Exchange, Observe, ObservedRequest, Observer};
use crate::peer::{PacketTap, PassingPacket};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A stream that is silent for so long was interrupted.
const GAP: Duration = Duration::from_secs(1);

/// More streams than these are not told apart: SSRCs are the far end's.
const STREAMS: usize = 64;

impl Recorder {
    /// Eyes on the API client; none where nothing is recorded.
    pub fn observer(&self) -> Observer {
        Observer(self.is_on().then(|| Arc::new(Exchanges(self.clone())) as Arc<dyn Observe>))
    }

    /// Eyes on the packets; none where nothing is recorded.
    pub fn tap(&self) -> Option<PacketTap> {
        if !self.is_on() {
            return None;
        }
        let recorder = self.clone();
        // Peers of one phone may overlap for a moment; each has a driver of its own.
        let streams = Mutex::new(HashMap::new());
        Some(Arc::new(move |packet: &PassingPacket<'_>| {
            let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(media) = first_or_late(&mut streams, packet) {
                recorder.record_at(packet.at, Body::Media(media));
            }
            drop(streams);
            if recorder.wants_packets()
                && let Some(bytes) = packet.bytes()
            {
                let ssrc = packet.rtp().map(|rtp| rtp.ssrc);
                recorder.packet(Packet { at: packet.at, sent: packet.sent, ssrc, bytes });
            }
        }))
    }
}

/// What a packet tells of its stream: that there is one, or that it is back.
fn first_or_late(streams: &mut HashMap<(bool, u32), Instant>, packet: &PassingPacket<'_>) -> Option<Media> {
    let rtp = packet.rtp()?;
    let key = (packet.sent, rtp.ssrc);
    let media = |what: &str, gap: Option<Duration>| Media {
        sent: packet.sent,
        what: what.to_owned(),
        ssrc: rtp.ssrc,
        payload_type: rtp.payload_type,
        gap_ms: gap.map(|gap| (gap.as_secs_f64() * 10_000.0).round() / 10.0),
    };
    let room = streams.len() < STREAMS;
    match streams.get_mut(&key) {
        Some(last) => {
            let gap = packet.at.saturating_duration_since(*last);
            *last = packet.at;
            (gap >= GAP).then(|| media("resumed", Some(gap)))
        }
        None if room => {
            streams.insert(key, packet.at);
            Some(media("first_packet", None))
        }
        None => None,
    }
}

struct Exchanges(Recorder);

impl Observe for Exchanges {
    fn began(&self, request: &ObservedRequest) {
        self.0.began(request);
    }

    fn ended(&self, exchange: Exchange) {
        self.0.ended(exchange);
    }
}

/// An exchange as a record has it, secrets and all: for the redactor.
pub(super) fn http_of(request: &ObservedRequest, exchange: Option<&Exchange>) -> Http {
    let host = request.url.host_str().unwrap_or_default();
    Http {
        operation: request.operation.name().to_owned(),
        method: request.method.to_string(),
        path: request.url.path().to_owned(),
        query: request.url.query().unwrap_or_default().to_owned(),
        host: request.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        remote: exchange.and_then(|e| e.remote).map(|remote| remote.to_string()),
        status: exchange.and_then(|e| e.status),
        request_bytes: request.bytes,
        response_bytes: exchange.map_or(0, |e| e.bytes),
        duration_ms: exchange.map_or(0.0, |e| (e.duration.as_secs_f64() * 10_000.0).round() / 10.0),
        error: exchange.and_then(|e| e.error.clone()),
        request: request.body.as_ref().and_then(json_of),
        response: exchange.and_then(|e| e.body.as_ref()).and_then(json_of),
    }
}

/// A body, where it is JSON; else what there was.
fn json_of(body: &Bytes) -> Option<Value> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if text.is_empty() {
        return None;
    }
    Some(serde_json::from_slice(text).unwrap_or_else(|_| json!({ "redacted": "no JSON", "bytes": body.len() })))
}
