//! Eyes on the API client and on the packets of a peer.

use super::record::{Body, Http, Media};
use super::recorder::{Packet, Recorder};
use crate::api::observe::{Exchange, Observe, ObservedRequest, Observer};
use crate::peer::{PacketTap, PassingPacket, RtpInfo};
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
        let streams = Mutex::new(Streams::default());
        Some(Arc::new(move |packet: &PassingPacket<'_>| {
            let rtp = packet.rtp();
            let told = rtp.and_then(|rtp| {
                let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
                streams.passed(packet.sent, rtp, packet.at)
            });
            if let Some(media) = told {
                recorder.record_at(packet.at, Body::Media(media));
            }
            if recorder.wants_packets()
                && let Some(bytes) = packet.bytes()
            {
                let ssrc = rtp.map(|rtp| rtp.ssrc);
                recorder.packet(Packet { at: packet.at, sent: packet.sent, ssrc, bytes });
            }
        }))
    }
}

/// When packets of each stream last passed.
#[derive(Default)]
struct Streams(HashMap<(bool, u32), Instant>);

impl Streams {
    /// What a packet tells of its stream: that there is one, or that it is back.
    fn passed(&mut self, sent: bool, rtp: RtpInfo, at: Instant) -> Option<Media> {
        let RtpInfo { ssrc, payload_type } = rtp;
        let media = |what: &str, gap_ms| Media { sent, what: what.to_owned(), ssrc, payload_type, gap_ms };
        let room = self.0.len() < STREAMS;
        match self.0.get_mut(&(sent, ssrc)) {
            Some(last) => {
                let gap = at.saturating_duration_since(std::mem::replace(last, at));
                (gap >= GAP).then(|| media("resumed", Some((gap.as_secs_f64() * 10_000.0).round() / 10.0)))
            }
            None if room => {
                self.0.insert((sent, ssrc), at);
                Some(media("first_packet", None))
            }
            None => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_told_of_when_it_begins_and_when_it_is_back_after_a_second() {
        let (mut streams, begun) = (Streams::default(), Instant::now());
        let rtp = RtpInfo { ssrc: 7, payload_type: 111 };
        let mut at = |sent, ms| {
            let told = streams.passed(sent, rtp, begun + Duration::from_millis(ms));
            told.map(|media| (media.what, media.gap_ms))
        };
        assert_eq!(at(false, 0), Some(("first_packet".into(), None)));
        assert_eq!(at(true, 0), Some(("first_packet".into(), None)), "the other way");
        assert_eq!(at(false, 999), None);
        assert_eq!(at(false, 2499), Some(("resumed".into(), Some(1500.0))));
        assert_eq!(at(false, 2519), None);
    }

    #[test]
    fn a_far_end_with_a_new_stream_in_each_packet_fills_no_memory() {
        let mut streams = Streams::default();
        for ssrc in 0..10_000 {
            streams.passed(false, RtpInfo { ssrc, payload_type: 0 }, Instant::now());
        }
        assert_eq!(streams.0.len(), STREAMS);
    }
}
