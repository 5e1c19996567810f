//! The record of a call: flags, and telling it of what the phone tells.

use super::progress;
use super::summary::figures;
use crate::api::{ClientConfig, Identity};
use crate::call::CallStats;
use crate::chat::ChatEvent;
use crate::evidence::ladder::Flow;
use crate::evidence::record::{Body, Candidate, CandidatePair, Event, Note, Record, Signaling};
use crate::evidence::{Recorder, RecorderConfig};
use crate::evidence::{machine::Machine, why};
use crate::phone::{Phone, PhoneEvent, PhoneState};
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// There are new figures every second, and the record has them soon after. Without one, only the machine is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const UNRECORDED: Duration = Duration::from_secs(1);

/// Flags for evidence.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Evidence")]
pub struct EvidenceArgs {
    /// Write a record of what happens: exchanges with the API, events, signaling, figures each second, the outcome. One JSON
    /// object a line, without secrets, form data and the text of messages; `chatphone ladder FILE` shows it
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,

    /// Keep the text of messages in the record
    #[arg(long, requires = "evidence")]
    evidence_text: bool,

    /// Write a capture file for Wireshark: the exchanges with the API, and RTP and RTCP decrypted. WHAT WAS SPOKEN IS IN IT
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

impl EvidenceArgs {
    /// Starts to record, and has the client looked at.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn start(&self, command: &str, client: &mut ClientConfig) -> anyhow::Result<Recorder> {
        let mut secrets = match &client.identity {
            Identity::ClientId(id) => vec![id.clone()],
            Identity::WebChat => Vec::new(),
        };
        // No error shows the proxy's password; should one do so, the record does not.
        let proxy = client.proxy.as_ref().and_then(|proxy| url::Url::parse(proxy.as_str()).ok());
        secrets.extend(proxy.and_then(|proxy| proxy.password().map(str::to_owned)));
        // An address that is refused may hold a password.
        let center = client.url().ok().map(|url| url.origin().ascii_serialization());
        let run = json!({ "command": command, "contact_center": center, "app_id": client.app_id });
        let config = RecorderConfig {
            evidence: self.evidence.clone(),
            pcap: self.pcap.clone(),
            text: self.evidence_text,
            secrets,
            run: object(run),
        };
        let recorder = Recorder::start(config).context("no evidence can be kept")?;
        client.observer = recorder.observer();
        Ok(recorder)
    }
}

/// Closes a record, and says on stderr what is wrong with it.
pub async fn finish(recorder: Recorder) {
    // It waits for the disk.
    let finished = tokio::task::spawn_blocking(move || recorder.finish()).await;
    let Ok(Some(finished)) = finished else { return };
    for problem in &finished.problems {
        eprintln!("chatphone: {problem}");
    }
    if finished.dropped > 0 {
        eprintln!("chatphone: the evidence is not whole: {} lines and packets were dropped", finished.dropped);
    }
}

/// Tells the record of an event.
pub fn see(recorder: &Recorder, event: &PhoneEvent, state: &PhoneState) {
    if recorder.is_on()
        && let Some(body) = body_of(event, state)
    {
        recorder.record(body);
    }
}

/// Tells the record of the report of a call.
pub fn outcome(recorder: &Recorder, report: &impl Serialize) {
    if recorder.is_on() {
        recorder.record(Body::Outcome(object(value(report))));
    }
}

/// What a record has of an event: of the wire as it is there, of everything else as `--json` has it.
pub fn body_of(event: &PhoneEvent, state: &PhoneState) -> Option<Body> {
    let name = |id: Option<&str>| id.filter(|id| !id.is_empty()).map(|id| state.party_name(id));
    Some(match event {
        PhoneEvent::Signaling { sent, party_id, signal } => Body::Signaling(Signaling {
            sent: *sent,
            party_id: party_id.clone(),
            name: name(party_id.as_deref()),
            signal: signal.name().to_owned(),
            data: value(signal),
        }),
        PhoneEvent::Chat(ChatEvent::Server { event, own }) => {
            let event = value(event);
            let name = name(event.get("party_id").and_then(Value::as_str));
            Body::Event(Event { sent: false, own: *own, name, event })
        }
        // Signaling was told of when it was given to the chat.
        PhoneEvent::Chat(ChatEvent::Sent { event }) if event.name() == "chat_session_signaling" => return None,
        PhoneEvent::Chat(ChatEvent::Sent { event }) => {
            Body::Event(Event { sent: true, own: false, name: None, event: value(event) })
        }
        PhoneEvent::Chat(ChatEvent::Restored { events, complete, .. }) => {
            let fields = object(json!({ "events": events.len(), "complete": complete }));
            Body::Chat(Note { event: "history".into(), fields })
        }
        other => {
            let mut fields = object(progress::as_json(other, state)?);
            let event = fields.shift_remove("event")?.as_str()?.to_owned();
            let note = Note { event, fields };
            match note.event.as_str() {
                "sound" => Body::Sound(note),
                "dtmf_received" => Body::Call(note),
                name if name.starts_with("call_") => Body::Call(note),
                _ => Body::Chat(note),
            }
        }
    })
}

/// The call flow of a call that runs.
pub struct LiveFlow {
    begun: Instant,
    flow: Flow,
}

impl Default for LiveFlow {
    fn default() -> Self {
        Self { begun: Instant::now(), flow: Flow::default() }
    }
}

impl LiveFlow {
    /// Adds an event, if it is a message or a step of the call.
    pub fn add(&mut self, event: &PhoneEvent, state: &PhoneState) {
        if let Some(body) = body_of(event, state) {
            let t_ms = self.begun.elapsed().as_secs_f64() * 1000.0;
            self.flow.add(&Record { t_ms, body });
        }
    }

    /// The flow so far.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }
}

/// Follows a phone: figures and candidate pair for the record, and how busy the machine was. Ends when it is dropped.
pub struct Following {
    task: JoinHandle<()>,
    worst: Arc<Mutex<why::Figures>>,
}

impl Following {
    /// Starts to follow.
    pub fn start(phone: Phone, recorder: Recorder) -> Self {
        let worst = Arc::new(Mutex::new(why::Figures::default()));
        let task = tokio::spawn(follow(phone, recorder, Arc::clone(&worst)));
        Self { task, worst }
    }

    /// The load of the machine in the worst second of a call.
    pub fn worst_load(&self) -> Option<why::Machine> {
        self.worst.lock().unwrap_or_else(PoisonError::into_inner).machine.clone()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(phone: Phone, recorder: Recorder, worst: Arc<Mutex<why::Figures>>) {
    let (mut machine, mut pair, mut last) = (Machine::new(), None, CallStats::default());
    let mut ticks = tokio::time::interval(if recorder.is_on() { LOOK_EVERY } else { UNRECORDED });
    loop {
        ticks.tick().await;
        let Some(stats) = phone.call_stats().await.filter(|stats| *stats != last) else { continue };
        last = stats.clone();
        let load = machine.load().map(|load| value(&load)).filter(|_| stats.codec.is_some());
        if let Some(load) = &load {
            worst.lock().unwrap_or_else(PoisonError::into_inner).worst_load(load);
        }
        if !recorder.is_on() {
            continue;
        }
        let ends = [&stats.peer.local_candidate, &stats.peer.remote_candidate].map(|end| end.as_ref().map(value));
        if let [Some(local), Some(remote)] = ends.map(|end| serde_json::from_value::<Candidate>(end?).ok()) {
            let now = CandidatePair { local, remote };
            if pair.as_ref() != Some(&now) {
                recorder.record(Body::CandidatePair(now.clone()));
                pair = Some(now);
            }
        }
        if stats.codec.is_none() {
            continue;
        }
        let mut fields = figures(&stats);
        if let Some(load) = load {
            fields.insert("machine".into(), load);
        }
        recorder.record(Body::Stats(fields));
    }
}

/// JSON of one of our own types.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
