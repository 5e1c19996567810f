//! The thread: takes secrets out, writes lines and packets, flushes every second.

use super::file::Lines;
use super::{Counts, Finished, Message, RecorderConfig, RecorderError, first_line};
use crate::evidence::pcap::Capture;
use crate::evidence::record::{Body, Dropped, Http, Record};
use crate::evidence::redact::Redactor;
use crate::evidence::watch::http_of;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};

/// How much a killed process loses.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

pub(super) fn start(
    config: RecorderConfig,
    messages: Receiver<Message>,
    counts: Arc<Counts>,
    done: SyncSender<Finished>,
) -> Result<(), RecorderError> {
    let (begun, system) = (Instant::now(), SystemTime::now());
    let mut redactor = Redactor::new(config.text, config.secrets.iter().cloned());
    let mut header = first_line(&config, system.into());
    redactor.header(&mut header);
    let mut lines = match &config.evidence {
        Some(path) => Some(Lines::create(path).map_err(RecorderError::file(path))?),
        None => None,
    };
    let capture = match &config.pcap {
        Some(path) => Some(Capture::create(path, begun, system).map_err(RecorderError::file(path))?),
        None => None,
    };
    if let Some(lines) = &mut lines {
        lines.push(&header);
    }
    let mut writer =
        Writer { begun, redactor, lines, capture, counts, missing: (0, 0), dropped: 0, problems: Vec::new() };
    // A file that takes not even its first line is to be known before the call.
    writer.flush();
    let thread = std::thread::Builder::new().name("evidence".into());
    let spawned = thread.spawn(move || {
        writer.run(&messages);
        let _ = done.send(writer.finished());
    });
    spawned.map(drop).map_err(RecorderError::Thread)
}

struct Writer {
    begun: Instant,
    redactor: Redactor,
    lines: Option<Lines>,
    capture: Option<Capture>,
    counts: Arc<Counts>,
    /// Lines and packets that are missing, and that the record does not tell of yet.
    missing: (u64, u64),
    /// Everything that was dropped.
    dropped: u64,
    problems: Vec<String>,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        let mut flush_at = Instant::now() + FLUSH_EVERY;
        loop {
            let received = messages.recv_timeout(flush_at.saturating_duration_since(Instant::now()));
            match received {
                Ok(message) => {
                    self.counts.bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
                    self.take(message);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.counts.finish.load(Ordering::Acquire) {
                while let Ok(message) = messages.try_recv() {
                    self.take(message);
                }
                break;
            }
            if Instant::now() >= flush_at {
                self.flush();
                flush_at = Instant::now() + FLUSH_EVERY;
            }
        }
        self.flush();
        if let Some(Err(error)) = self.capture.as_mut().map(Capture::finish) {
            self.problems.push(format!("the capture file is not whole: {error}"));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(at, body) => self.record(at, *body),
            Message::Began(request) => {
                let (id, at) = (request.id, request.at);
                let http = self.clean(http_of(&request, None));
                self.capture(|capture| capture.request(id, at, &http));
            }
            Message::Ended(exchange) => {
                let (id, at) = (exchange.request.id, exchange.request.at);
                let http = self.clean(http_of(&exchange.request, Some(&exchange)));
                self.capture(|capture| capture.response(id, at + exchange.duration, &http));
                self.push(at, Body::Http(Box::new(http)));
            }
            Message::Packet(packet) => self.capture(|capture| capture.packet(packet)),
            Message::Finish => {}
        }
    }

    fn clean(&mut self, http: Http) -> Http {
        let mut body = Body::Http(Box::new(http));
        self.redactor.body(&mut body);
        match body {
            Body::Http(http) => *http,
            // It was one.
            _ => Http::default(),
        }
    }

    fn record(&mut self, at: Instant, mut body: Body) {
        self.redactor.body(&mut body);
        self.capture(|capture| capture.record(at, &body));
        self.push(at, body);
    }

    /// Writes a line that went through the redactor.
    fn push(&mut self, at: Instant, body: Body) {
        if let Some(lines) = &mut self.lines {
            let ms = at.saturating_duration_since(self.begun).as_secs_f64() * 1000.0;
            lines.push(&Record { t_ms: (ms * 1000.0).round() / 1000.0, body });
        }
    }

    fn capture(&mut self, write: impl FnOnce(&mut Capture)) {
        if let Some(capture) = &mut self.capture {
            write(capture);
        }
    }

    fn flush(&mut self) {
        let records = self.counts.records_dropped.swap(0, Ordering::Relaxed);
        let packets = self.counts.packets_dropped.swap(0, Ordering::Relaxed);
        self.dropped += records + packets;
        self.missing.0 += records;
        self.missing.1 += packets;
        let notice = u64::from(self.missing != (0, 0));
        if notice > 0 {
            let (records, packets) = self.missing;
            let faster = || "they came faster than the disk takes them".to_owned();
            let reason = self.problems.first().cloned().unwrap_or_else(faster);
            self.push(Instant::now(), Body::Dropped(Dropped { records, packets, reason }));
        }
        match self.lines.as_mut().map_or(Ok(()), Lines::flush) {
            Ok(()) => self.missing = (0, 0),
            Err((lines, error)) => {
                self.missing.0 += lines - notice;
                self.dropped += lines - notice;
                let what = format!("the record cannot be written: {error}");
                if !self.problems.contains(&what) {
                    tracing::warn!("{what}");
                    self.problems.push(what);
                }
            }
        }
        self.capture(Capture::flush);
    }

    fn finished(&mut self) -> Finished {
        Finished {
            records: self.lines.as_ref().map_or(0, |lines| lines.written),
            dropped: self.dropped,
            problems: std::mem::take(&mut self.problems),
        }
    }
}
