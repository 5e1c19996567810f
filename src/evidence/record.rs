//! The lines of a record. docs/evidence.md says what each field means, with units.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the form. It changes when a reader of the one before would read something wrong; new kinds and new
/// fields change nothing.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub evidence: u32,
    /// `chatphone`.
    pub product: String,
    /// The version of the product.
    pub version: String,
    /// When the record began (RFC 3339, UTC, milliseconds): the zero of every `t_ms`.
    pub started: String,
    /// Whether the text of messages is in it.
    #[serde(default)]
    pub text: bool,
    /// What was run.
    #[serde(default)]
    pub run: Map<String, Value>,
}

/// Every other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Milliseconds since the record began.
    pub t_ms: f64,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// An exchange with the API. `t_ms` is when the request left; the line stands where the answer was complete.
    Http(Box<Http>),
    /// An event of the chat, as on the wire.
    Event(Event),
    /// A signaling message.
    Signaling(Signaling),
    /// A step of the call, by the name it has in `chatphone call --json`.
    Call(Note),
    /// A step of the chat or of the network, likewise.
    Chat(Note),
    /// A notice of the sound, likewise.
    Sound(Note),
    /// Media on the wire.
    Media(Media),
    /// The pair of candidates in use.
    CandidatePair(CandidatePair),
    /// The figures of a running call.
    Stats(Map<String, Value>),
    /// The report of the call.
    Outcome(Map<String, Value>),
    /// Something is missing here.
    Dropped(Dropped),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// One exchange with the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// The API's name of the method.
    pub operation: String,
    /// `GET` or `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// `host` or `host:port` that was asked.
    #[serde(default)]
    pub host: String,
    /// The server's address, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The status; `null` when no answer came.
    pub status: Option<u16>,
    /// Length of the request's body.
    pub request_bytes: u64,
    /// Length of the answer's body.
    pub response_bytes: u64,
    /// From the request to the end of the answer.
    pub duration_ms: f64,
    /// What went wrong on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// The answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
}

/// An event of the chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// This side sent it.
    pub sent: bool,
    /// It is the server's copy of what this side did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// The name of the party it is of, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The event.
    pub event: Value,
}

/// A signaling message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signaling {
    /// This side sent it.
    pub sent: bool,
    /// The other side.
    #[serde(default)]
    pub party_id: Option<String>,
    /// The other side's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `REQUEST_CALL`, `OFFER_CALL`, …
    #[serde(rename = "type")]
    pub signal: String,
    /// The message, session description and all.
    pub data: Value,
}

/// A step, named as in `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Its name.
    pub event: String,
    /// What else it says.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Note {
    /// A field that is text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }
}

/// Media on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// This side sent it.
    pub sent: bool,
    /// `first_packet` of a stream; `resumed`: the first after a gap of a second or more.
    pub what: String,
    /// The stream (RFC 3550).
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// How long nothing came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<f64>,
}

/// The two ends of the way of the media.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidatePair {
    /// This side.
    pub local: Candidate,
    /// The far side.
    pub remote: Candidate,
}

/// One end of the way (W3C `RTCIceCandidateStats`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// `host`, `srflx`, `prflx` or `relay`.
    pub candidate_type: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Its address, where it is known.
    #[serde(default)]
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Candidate {
    /// Its address and port, where it has both.
    pub fn socket(&self) -> Option<std::net::SocketAddr> {
        Some((self.address.as_deref()?.parse::<std::net::IpAddr>().ok()?, self.port).into())
    }
}

/// What could not be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many lines.
    pub records: u64,
    /// How many packets of the capture file.
    #[serde(default)]
    pub packets: u64,
    /// Why.
    pub reason: String,
}
