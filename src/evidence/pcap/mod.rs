//! A capture file (pcapng) of a call: the exchanges with the API, and the media as it is inside SRTP.
//!
//! The media was never on the wire like this, and the exchanges were in TLS: packets are made up around what was said, so
//! that a program that reads captures shows it. RTP and RTCP have the addresses of the candidate pair; each exchange is a
//! TCP connection of its own to port 80, whatever the port was, since that is where HTTP is looked for. The link type is
//! raw IP: there was no Ethernet to speak of.

mod frames;

use super::create_private;
use super::record::{Body, Http};
use super::recorder::Packet;
use frames::{AFTER_HANDSHAKE, Tcp, udp};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{Endianness, PcapError};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Times are in nanoseconds: 10^-9 s.
const NANOSECONDS: u8 = 9;

/// The addresses of a new connection are known within a second or so; who waits longer than this goes without.
const WAY_WITHIN: Duration = Duration::from_secs(4);

/// So many frames wait for the addresses at the most.
const WAITING: usize = 4000;

/// Stand-ins for addresses that are not known (RFC 5737).
const SOMEWHERE: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [192, 0, 2, 2]);
const SOME_PORT: u16 = 5004;

const ABOUT: &str = "Made by chatphone. RTP and RTCP are decrypted and have the addresses of the candidate pair; each HTTP \
exchange is shown as a TCP connection of its own to port 80, without its headers and secrets. To see RTP: \
Analyze > Enabled Protocols > rtp_udp, or tshark -o rtp.heuristic_rtp:TRUE";

/// A capture file that is being written. What goes wrong is kept for the end; a call is not bothered.
pub(super) struct Capture {
    out: PcapNgWriter<BufWriter<File>>,
    begun: Instant,
    system: SystemTime,
    /// The addresses of the pair in use: this side's, the far side's. `None`: they may be others by now.
    way: Option<Way>,
    /// The addresses before.
    last_way: Way,
    /// Inbound streams that were seen: a new one may be of a new connection.
    streams: HashSet<u32>,
    /// What waits until the addresses of the media are known, in order.
    waiting: VecDeque<(Instant, Item)>,
    connections: HashMap<u64, Tcp>,
    /// The contact center's address, by the last answer.
    server: Option<String>,
    /// What happened without a packet: told of at the next one.
    comments: Vec<String>,
    failed: Option<io::Error>,
}

enum Item {
    Packet(Packet),
    /// Frames, which of them carries the message, and words for it.
    Frames(Vec<Vec<u8>>, usize, String),
    Comment(String),
}

impl Capture {
    pub(super) fn create(path: &Path, begun: Instant, system: SystemTime) -> io::Result<Self> {
        let section = SectionHeaderBlock {
            endianness: Endianness::native(),
            options: vec![
                SectionHeaderOption::Comment(Cow::Borrowed(ABOUT)),
                SectionHeaderOption::UserApplication(Cow::Borrowed(concat!("chatphone ", env!("CARGO_PKG_VERSION")))),
            ],
            ..Default::default()
        };
        let mut out =
            PcapNgWriter::with_section_header(BufWriter::new(create_private(path)?), section).map_err(io_error)?;
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::RAW,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed("call")),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        out.write_pcapng_block(interface).map_err(io_error)?;
        out.get_mut().flush()?;
        Ok(Self {
            out,
            begun,
            system,
            way: None,
            last_way: nowhere(),
            streams: HashSet::new(),
            waiting: VecDeque::new(),
            connections: HashMap::new(),
            server: None,
            comments: Vec::new(),
            failed: None,
        })
    }

    /// A packet of the media.
    pub(super) fn packet(&mut self, packet: Packet) {
        if let (false, Some(ssrc)) = (packet.sent, packet.ssrc)
            && self.streams.len() < WAITING
            && self.streams.insert(ssrc)
            && self.streams.len() > 1
        {
            self.way = None;
        }
        self.item(packet.at, Item::Packet(packet));
    }

    /// A request leaves.
    pub(super) fn request(&mut self, id: u64, at: Instant, http: &Http) {
        let mut tcp = Tcp::new(id, self.server.as_deref());
        let frames = tcp.request(http);
        self.connections.insert(id, tcp);
        self.item(at, Item::Frames(frames, AFTER_HANDSHAKE, what(http, http.request.as_ref(), "to")));
    }

    /// An answer came, or will not come.
    pub(super) fn response(&mut self, id: u64, at: Instant, http: &Http) {
        let Some(mut tcp) = self.connections.remove(&id) else { return };
        // Known with the first answer only.
        self.server = http.remote.clone().or(self.server.take());
        let frames = tcp.response(http);
        self.item(at, Item::Frames(frames, 0, what(http, http.response.as_ref(), "from")));
    }

    /// A record that is no packet: what it says is a comment at the next one. The candidate pair is what packets wait for.
    pub(super) fn record(&mut self, at: Instant, body: &Body) {
        match body {
            Body::CandidatePair(pair) => {
                if let (Some(local), Some(remote)) = (pair.local.socket(), pair.remote.socket()) {
                    self.last_way = (local, remote);
                    self.settle();
                }
            }
            Body::Call(note) => {
                let more = note.text("reason").or_else(|| note.text("message"));
                self.item(
                    at,
                    Item::Comment(more.map_or_else(|| note.event.clone(), |m| format!("{}: {m}", note.event))),
                );
            }
            Body::Media(media) if media.what == "resumed" => {
                let gap = media.gap_ms.unwrap_or_default();
                let way = if media.sent { "sent" } else { "received" };
                self.item(at, Item::Comment(format!("nothing was {way} for {gap:.0} ms before this")));
            }
            _ => {}
        }
    }

    fn item(&mut self, at: Instant, item: Item) {
        let waits = self.way.is_none() && (matches!(item, Item::Packet(_)) || !self.waiting.is_empty());
        if !waits {
            return self.write(at, item);
        }
        self.waiting.push_back((at, item));
        let first = self.waiting.front().map_or(at, |(at, _)| *at);
        if at.saturating_duration_since(first) > WAY_WITHIN || self.waiting.len() > WAITING {
            // A new stream over the old way.
            self.settle();
        }
    }

    /// Writes what waited for the addresses.
    fn settle(&mut self) {
        self.way = Some(self.last_way);
        while let Some((at, item)) = self.waiting.pop_front() {
            self.write(at, item);
        }
    }

    fn write(&mut self, at: Instant, item: Item) {
        match item {
            Item::Comment(comment) => self.comments.push(comment),
            Item::Frames(frames, message, words) => {
                for (n, frame) in frames.iter().enumerate() {
                    self.frame(at, frame, (n == message).then(|| words.clone()));
                }
            }
            Item::Packet(packet) => {
                let (local, remote) = self.way.unwrap_or(self.last_way);
                let (from, to) = if packet.sent { (local, remote) } else { (remote, local) };
                match udp(from, to, &packet.bytes) {
                    Some(frame) => self.frame(packet.at, &frame, None),
                    None => tracing::debug!("a packet is too large for a capture file"),
                }
            }
        }
    }

    fn frame(&mut self, at: Instant, frame: &[u8], comment: Option<String>) {
        if self.failed.is_some() {
            return;
        }
        let since = at.saturating_duration_since(self.begun);
        let timestamp = self.system.duration_since(UNIX_EPOCH).unwrap_or_default() + since;
        let comments = self.comments.drain(..).chain(comment);
        let options = comments.map(|words| EnhancedPacketOption::Comment(Cow::Owned(words))).collect();
        let original_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let block =
            EnhancedPacketBlock { interface_id: 0, timestamp, original_len, data: Cow::Borrowed(frame), options };
        if let Err(error) = self.out.write_pcapng_block(block) {
            self.failed = Some(io_error(error));
        }
    }

    pub(super) fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.out.get_mut().flush().err();
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// What went wrong first, at any time.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.settle();
        self.flush();
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// This side's address, and the far side's.
type Way = (SocketAddr, SocketAddr);

fn nowhere() -> Way {
    ((SOMEWHERE.0, SOME_PORT).into(), (SOMEWHERE.1, SOME_PORT).into())
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// What a message is about, in a few words: the method, and the events in it.
fn what(http: &Http, body: Option<&serde_json::Value>, way: &str) -> String {
    let list = body.and_then(|body| body.get("events")).and_then(serde_json::Value::as_array);
    let names = list.into_iter().flatten().filter_map(|event| {
        let signal = event.get("data").and_then(|data| data.get("type")).and_then(serde_json::Value::as_str);
        signal.or_else(|| event.get("event").and_then(serde_json::Value::as_str))
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let error = http.error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default();
    let colon = if names.is_empty() { "" } else { ": " };
    format!("{} {way} the contact center{colon}{names}{error}", http.operation)
}

#[cfg(test)]
mod tests;
