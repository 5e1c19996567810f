//! Takes what happens, and writes it in a thread of its own.
//!
//! Whoever tells of something never waits: what the thread cannot keep up with is counted, and the record says so.

mod file;
mod thread;

use super::record::{Body, Header};
use crate::api::observe::{Exchange, ObservedRequest};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much may wait to be written: lines and packets. At 100 packets/s this is the better part of two minutes.
const WAITING: usize = 10_000;

/// How much may wait in bytes, for bodies are of any size.
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// How long the end waits for the disk.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// What to record, and where.
#[derive(Debug, Clone, Default)]
pub struct RecorderConfig {
    /// The record.
    pub evidence: Option<PathBuf>,
    /// The capture file.
    pub pcap: Option<PathBuf>,
    /// Keep the text of messages.
    pub text: bool,
    /// What must come up nowhere.
    pub secrets: Vec<String>,
    /// What is run, for the first line.
    pub run: Map<String, Value>,
}

/// A handle to a record that is being written. Without one ([`Recorder::default`]) nothing is done and nothing is paid.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<Shared>>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recorder(on)" } else { "Recorder(off)" })
    }
}

struct Shared {
    messages: SyncSender<Message>,
    /// Packets are wanted too.
    packets: bool,
    counts: Arc<Counts>,
    done: Mutex<Option<Receiver<Finished>>>,
}

/// What both ends count.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    records_dropped: AtomicU64,
    packets_dropped: AtomicU64,
    finish: AtomicBool,
}

/// A packet of the media.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) at: Instant,
    pub(super) sent: bool,
    /// The stream; `None` for RTCP.
    pub(super) ssrc: Option<u32>,
    pub(super) bytes: Bytes,
}

enum Message {
    Record(Instant, Box<Body>),
    Began(Box<ObservedRequest>),
    Ended(Box<Exchange>),
    Packet(Packet),
    Finish,
}

impl Message {
    /// About how much of it waits.
    fn bytes(&self) -> usize {
        let length = |body: &Option<Bytes>| body.as_ref().map_or(0, Bytes::len);
        match self {
            Self::Record(..) | Self::Finish => 512,
            Self::Began(request) => 512 + length(&request.body),
            Self::Ended(exchange) => 512 + length(&exchange.request.body) + length(&exchange.body),
            Self::Packet(packet) => 64 + packet.bytes.len(),
        }
    }
}

/// What came of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Lines written.
    pub records: u64,
    /// Lines and packets that could not be kept.
    pub dropped: u64,
    /// What went wrong with a file.
    pub problems: Vec<String>,
}

impl Recorder {
    /// Opens the files and starts the thread. With no file to write, a recorder that does nothing.
    ///
    /// # Errors
    /// When a file cannot be made, with its name.
    pub fn start(config: RecorderConfig) -> Result<Self, RecorderError> {
        if config.evidence.is_none() && config.pcap.is_none() {
            return Ok(Self::default());
        }
        let (messages, received) = sync_channel(WAITING);
        let (done_tx, done) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let packets = config.pcap.is_some();
        thread::start(config, received, Arc::clone(&counts), done_tx)?;
        Ok(Self(Some(Arc::new(Shared { messages, packets, counts, done: Mutex::new(Some(done)) }))))
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether packets are recorded.
    pub fn wants_packets(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.packets)
    }

    /// Tells of something that happens now.
    pub fn record(&self, body: Body) {
        self.record_at(Instant::now(), body);
    }

    /// Tells of something that happened.
    pub fn record_at(&self, at: Instant, body: Body) {
        self.send(|| Message::Record(at, Box::new(body)));
    }

    pub(super) fn began(&self, request: &ObservedRequest) {
        if self.wants_packets() {
            self.send(|| Message::Began(Box::new(request.clone())));
        }
    }

    pub(super) fn ended(&self, exchange: Exchange) {
        self.send(|| Message::Ended(Box::new(exchange)));
    }

    pub(super) fn packet(&self, packet: Packet) {
        self.send(|| Message::Packet(packet));
    }

    fn send(&self, message: impl FnOnce() -> Message) {
        let Some(shared) = &self.0 else { return };
        let message = message();
        let size = message.bytes();
        let is_packet = matches!(message, Message::Packet(_));
        let waiting = shared.counts.bytes.fetch_add(size, Ordering::Relaxed);
        let sent = if waiting > WAITING_BYTES { Err(()) } else { shared.messages.try_send(message).map_err(drop) };
        if sent.is_err() {
            shared.counts.bytes.fetch_sub(size, Ordering::Relaxed);
            let dropped = if is_packet { &shared.counts.packets_dropped } else { &shared.counts.records_dropped };
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what is left, and closes the files. Waits a few seconds for the disk at the most; whoever tells of something
    /// after this is not heard. The first call alone gives an answer.
    pub fn finish(&self) -> Option<Finished> {
        let shared = self.0.as_ref()?;
        let done = shared.done.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        shared.counts.finish.store(true, Ordering::Release);
        // Wakes it; a full queue wakes it anyway.
        if let Err(TrySendError::Disconnected(_)) = shared.messages.try_send(Message::Finish) {
            return done.try_recv().ok();
        }
        let late = || Finished {
            problems: vec!["the disk was too slow for the end of the record".into()],
            ..Finished::default()
        };
        Some(done.recv_timeout(FINISH_WITHIN).unwrap_or_else(|_| late()))
    }
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// A file cannot be written.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("no thread for the record could be started: {0}")]
    Thread(io::Error),
}

impl RecorderError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

fn first_line(config: &RecorderConfig, started: chrono::DateTime<chrono::Utc>) -> Header {
    Header {
        evidence: super::record::VERSION,
        product: "chatphone".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        started: started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        text: config.text,
        run: config.run.clone(),
    }
}

#[cfg(test)]
mod tests;
