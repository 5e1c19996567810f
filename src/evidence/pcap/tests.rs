#![allow(clippy::unwrap_used)]

use super::super::record::{Candidate, CandidatePair, Note};
use super::*;
use bytes::Bytes;
use etherparse::{SlicedPacket, TransportSlice};
use pcap_file::pcapng::{Block, PcapNgReader};
use serde_json::json;

fn pair(local: u16, remote: u16) -> Body {
    let end = |port| Candidate {
        candidate_type: "host".into(),
        protocol: "udp".into(),
        address: Some("10.0.0.1".into()),
        port,
        more: Default::default(),
    };
    Body::CandidatePair(CandidatePair { local: end(local), remote: end(remote) })
}

struct Capturing {
    capture: Capture,
    begun: Instant,
    file: tempfile::NamedTempFile,
}

impl Capturing {
    fn new() -> Self {
        let (file, begun) = (tempfile::NamedTempFile::new().unwrap(), Instant::now());
        let capture = Capture::create(file.path(), begun, SystemTime::now()).unwrap();
        Self { capture, begun, file }
    }

    fn at(&self, ms: u64) -> Instant {
        self.begun + Duration::from_millis(ms)
    }

    fn packet(&mut self, ms: u64, sent: bool, ssrc: u32) {
        let bytes = Bytes::from_static(&[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3]);
        self.capture.packet(Packet { at: self.at(ms), sent, ssrc: Some(ssrc), bytes });
    }

    fn record(&mut self, ms: u64, body: &Body) {
        self.capture.record(self.at(ms), body);
    }

    /// Of each frame: the ports, and the words.
    fn frames(mut self) -> Vec<((u16, u16), String)> {
        self.capture.finish().unwrap();
        let mut reader = PcapNgReader::new(File::open(self.file.path()).unwrap()).unwrap();
        let mut frames = Vec::new();
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
            let sliced = SlicedPacket::from_ip(&packet.data).unwrap();
            let ports = match sliced.transport {
                Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
                Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
                other => panic!("{other:?}"),
            };
            let words = packet.options.iter().filter_map(|option| match option {
                EnhancedPacketOption::Comment(words) => Some(words.to_string()),
                _ => None,
            });
            frames.push((ports, words.collect::<Vec<_>>().join("; ")));
        }
        frames
    }
}

fn ports(frames: &[((u16, u16), String)]) -> Vec<(u16, u16)> {
    frames.iter().map(|(ports, _)| *ports).collect()
}

#[test]
fn packets_that_came_before_the_addresses_were_known_have_them_too() {
    let mut capturing = Capturing::new();
    capturing.packet(0, true, 1);
    capturing.packet(5, false, 2);
    capturing.record(900, &pair(4000, 5000));
    capturing.packet(1000, true, 1);
    assert_eq!(ports(&capturing.frames()), [(4000, 5000), (5000, 4000), (4000, 5000)]);
}

#[test]
fn a_call_that_comes_back_over_another_connection_has_its_addresses() {
    let mut capturing = Capturing::new();
    capturing.packet(0, false, 2);
    capturing.record(500, &pair(4000, 5000));
    capturing.packet(3000, false, 3);
    capturing.record(3800, &pair(4001, 5001));
    assert_eq!(ports(&capturing.frames()), [(5000, 4000), (5001, 4001)]);
}

#[test]
fn a_new_stream_over_the_old_connection_keeps_its_addresses() {
    let mut capturing = Capturing::new();
    capturing.packet(0, false, 2);
    capturing.record(500, &pair(4000, 5000));
    capturing.packet(1000, false, 3);
    capturing.packet(6000, false, 3);
    assert_eq!(ports(&capturing.frames()), [(5000, 4000), (5000, 4000), (5000, 4000)]);
}

#[test]
fn media_whose_addresses_never_come_has_those_of_nobody() {
    let mut capturing = Capturing::new();
    capturing.packet(0, false, 2);
    assert_eq!(ports(&capturing.frames()), [(SOME_PORT, SOME_PORT)]);
}

#[test]
fn words_stand_at_the_packets_they_belong_to() {
    let mut capturing = Capturing::new();
    let http = Http {
        operation: "Send Events".into(),
        method: "POST".into(),
        path: "/events".into(),
        status: Some(200),
        request: Some(json!({"events": [{"event": "chat_session_signaling", "data": {"type": "REQUEST_CALL"}}]})),
        request_bytes: 80,
        ..Http::default()
    };
    let (at, id) = (capturing.at(0), 7);
    capturing.capture.request(id, at, &http);
    capturing.record(1, &Body::Call(Note { event: "call_connected".into(), fields: Default::default() }));
    capturing.capture.response(id, capturing.at(2), &http);
    let words: Vec<_> = capturing.frames().into_iter().map(|(_, words)| words).collect();
    assert_eq!(words[AFTER_HANDSHAKE], "Send Events to the contact center: REQUEST_CALL");
    assert_eq!(words[AFTER_HANDSHAKE + 2], "call_connected; Send Events from the contact center");
    assert!(words[..AFTER_HANDSHAKE].iter().all(String::is_empty), "{words:?}");
}
