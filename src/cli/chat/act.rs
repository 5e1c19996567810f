//! Carrying out a command.

use super::command::{COMMANDS, Command};
use super::conversation::Conversation;
use super::forms::read_values;
use super::render::Line;
use super::text;
use crate::api::ApiError;
use crate::api::event::{
    ClientLocation, ClientMessage, ClientNotTyping, ClientTyping, CobrowsingEnded, CobrowsingRejected,
    CobrowsingStarted, Navigation,
};
use crate::api::lenient::Extra;
use crate::call::{CallStats, Phase};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use tokio::task::JoinError;
use zeroize::Zeroizing;

/// What the agent is told of a declined call without a reason.
pub(super) const DECLINED: &str = "the customer declined";
/// Files below this size are moved without progress.
const PROGRESS_FROM: u64 = 1024 * 1024;
/// Values of a form are no longer than this.
const LONGEST_VALUES: u64 = 1024 * 1024;

/// What a task has done.
pub(super) enum Done {
    Uploaded(String, Result<(), ApiError>),
    Saved(&'static str, Result<PathBuf, ApiError>),
    Values { form_request_id: Option<String>, path: PathBuf, values: Result<Extra, String> },
    Stats(Option<Box<CallStats>>),
}

/// How far a file is.
pub(super) struct Progress {
    what: String,
    bytes: u64,
    total: u64,
}

impl Conversation {
    pub(super) fn act(&mut self, command: Command) {
        match command {
            Command::Message(msg) => self.send(ClientMessage { msg, ..Default::default() }),
            Command::Typing(true) => self.send(ClientTyping::default()),
            Command::Typing(false) => self.send(ClientNotTyping::default()),
            Command::File(path) => self.upload(path),
            Command::Form { name, values } => self.form(name, values),
            Command::Secure(file) => self.secure(file),
            Command::SecureCancel => match self.forms.find(true, None).cloned() {
                Some(form) => {
                    self.forms.done(&form);
                    self.send(form.cancel());
                }
                None => self.problem("no secure form is asked for"),
            },
            Command::Location { latitude, longitude, url } => self.send(ClientLocation {
                latitude: Some(latitude),
                longitude: Some(longitude),
                url,
                ..Default::default()
            }),
            Command::Page { url, title } => self.send(Navigation { page: url, title, ..Default::default() }),
            Command::CobrowseAccept(how) => {
                let (provider_type, cobrowsing_url) = how.unzip();
                self.send(CobrowsingStarted { provider_type, cobrowsing_url, ..Default::default() });
            }
            Command::CobrowseDecline => self.send(CobrowsingRejected::default()),
            Command::CobrowseEnd => self.send(CobrowsingEnded::default()),
            Command::Call { video } => self.call(video),
            Command::Accept if self.is_ringing() => self.phone.accept(),
            Command::Decline(reason) if self.is_ringing() => {
                self.phone.decline(if reason.is_empty() { DECLINED.to_owned() } else { reason });
            }
            Command::Accept | Command::Decline(_) => self.problem("nobody calls"),
            Command::HangUp => match self.phase() {
                Phase::Idle => self.problem("there is no call"),
                _ => self.phone.hang_up(),
            },
            Command::Mute(muted) => {
                self.phone.set_muted(muted);
                self.notice(if muted { "you are muted" } else { "you can be heard" });
            }
            Command::Hold(held) => {
                self.phone.set_held(held);
                self.notice(if held { "the call is on hold: nothing is sent or played" } else { "the call goes on" });
            }
            Command::Dial(_) if self.phase() == Phase::Idle => self.problem("there is no call"),
            Command::Dial(keys) => self.phone.dial(keys),
            Command::Disconnect => {
                self.outstanding += 1;
                self.phone.disconnect();
            }
            Command::End => {
                self.closing = true;
                self.phone.end();
            }
            Command::Quit => self.leave(),
            Command::Save(words) => self.save(words),
            Command::Photo(dir) => self.photo(dir.unwrap_or_else(|| ".".into())),
            Command::Who => self.who(),
            Command::Stats => {
                let phone = self.phone.clone();
                self.jobs.spawn(async move { Done::Stats(phone.call_stats().await.map(Box::new)) });
            }
            Command::Help => {
                let line =
                    |(name, arguments, does): &(_, _, _)| format!("{name} {arguments}: {does}").replace(" :", ":");
                let lines: Vec<_> = COMMANDS.iter().map(line).collect();
                self.show(
                    lines.iter().map(Line::notice).collect(),
                    json!({ "event": "notice", "message": lines.join("\n") }),
                );
            }
        }
    }

    fn phase(&self) -> Phase {
        self.phone.state().call
    }

    fn call(&mut self, video: bool) {
        let no_agent = self.phone.state().agent.is_none();
        match self.phase() {
            Phase::Ringing => self.phone.accept(),
            Phase::Idle if no_agent => self.problem("there is no agent to call yet"),
            Phase::Idle => self.phone.request_call(None, video),
            _ => self.problem("there is a call already; /hangup ends it"),
        }
    }

    fn form(&mut self, name: Option<String>, values: Vec<(String, String)>) {
        let Some(form) = self.forms.find(false, name.as_deref()).cloned() else {
            return self.problem(match name {
                Some(name) => format!("no form \"{name}\" is asked for"),
                None => "no form is asked for".into(),
            });
        };
        if !values.is_empty() {
            self.forms.done(&form);
            let data = values.into_iter().map(|(field, value)| (field, value.into())).collect();
            return self.send(form.answer(data));
        }
        if self.manners.typed {
            self.ask_for(form);
        } else {
            self.problem("give the values: /form FIELD=VALUE …");
        }
    }

    fn secure(&mut self, file: Option<PathBuf>) {
        let Some(form) = self.forms.find(true, None).cloned() else {
            return self.problem("no secure form is asked for");
        };
        match file {
            Some(path) => {
                // May be a pipe of another program, which takes its time.
                self.jobs.spawn(async move {
                    let from = path.clone();
                    let read = tokio::task::spawn_blocking(move || values_of(&from)).await;
                    let values = read.unwrap_or_else(|error| Err(error.to_string()));
                    Done::Values { form_request_id: form.id, path, values }
                });
            }
            None if self.manners.typed => self.ask_for(form),
            None => self.problem(
                "the values of a secure form are not read from a pipe; use /secure @FILE with lines FIELD=VALUE",
            ),
        }
    }

    fn upload(&mut self, path: PathBuf) {
        let what = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (phone, report) = (self.phone.clone(), self.reporter(format!("sending {what}")));
        self.jobs.spawn(async move {
            let sent = phone.send_file(&path, report).await;
            Done::Uploaded(what, sent)
        });
    }

    /// The words are a file's id, a folder, or both; a single one is an id if such a file is known, and a folder if one
    /// is there.
    fn save(&mut self, words: Vec<String>) {
        let known = |id: &str| self.files.iter().find(|file| file.id == id);
        let (id, dir) = match &words[..] {
            [] => (None, None),
            [one] if known(one).is_none() && (one.contains(['/', '\\']) || Path::new(one).is_dir()) => {
                (None, Some(one))
            }
            [id] => (Some(id.clone()), None),
            [id, dir, ..] => (Some(id.clone()), Some(dir)),
        };
        let Some(id) = id.or_else(|| Some(self.last_file()?.id.clone())) else {
            return self.problem("no file came yet");
        };
        if !self.open {
            return self.problem("the chat is not open yet");
        }
        let name = known(&id).and_then(|file| file.name.clone());
        let dir = dir.map_or_else(|| ".".into(), |dir| super::command::path(dir));
        let (phone, mut report) =
            (self.phone.clone(), self.reporter(format!("saving {}", name.as_ref().unwrap_or(&id))));
        self.jobs.spawn(async move {
            let progress = move |bytes, total: Option<u64>| report(bytes, total.unwrap_or(0));
            Done::Saved("file", phone.save_file(&id, name.as_deref(), &dir, progress).await)
        });
    }

    fn photo(&mut self, dir: PathBuf) {
        let Some(party_id) = self.phone.state().agent.as_ref().map(|agent| agent.id.clone()) else {
            return self.problem("there is no agent yet");
        };
        let phone = self.phone.clone();
        self.jobs.spawn(async move { Done::Saved("photo", phone.save_photo(&party_id, &dir).await) });
    }

    fn who(&mut self) {
        let state = self.phone.state().clone();
        let present: Vec<_> = state.parties.iter().filter(|p| p.present).collect();
        let names: Vec<_> = present.iter().map(|p| text::name(&p.name())).collect();
        let line =
            if names.is_empty() { "nobody else is here".into() } else { format!("here now: {}", names.join(", ")) };
        let parties: Vec<_> = present
            .iter()
            .map(|p| json!({ "party_id": p.id, "name": p.name(), "type": p.party_type, "agent": p.is_agent() }))
            .collect();
        self.show(vec![Line::notice(line)], json!({ "event": "who", "parties": parties }));
    }

    /// Tells each quarter of a file that takes its time.
    fn reporter(&self, what: String) -> impl FnMut(u64, u64) + Send + 'static {
        let progress = self.progress.clone();
        let mut told = 0;
        move |bytes, total| {
            let quarter = (bytes * 4).checked_div(total).unwrap_or(0);
            if total >= PROGRESS_FROM && quarter > told && quarter < 4 {
                told = quarter;
                // The conversation may be over.
                let _ = progress.send(Progress { what: what.clone(), bytes, total });
            }
        }
    }

    pub(super) fn show_progress(&self, Progress { what, bytes, total }: &Progress) {
        self.show(
            vec![Line::notice(format!("{what}: {} % of {} kB", bytes * 100 / total.max(&1), total / 1000))],
            json!({ "event": "progress", "what": what, "bytes": bytes, "total": total }),
        );
    }

    pub(super) fn job_done(&mut self, done: Result<Done, JoinError>) {
        match done {
            // Its event is on its way, and is told when it arrived.
            Ok(Done::Uploaded(_, Ok(()))) => self.outstanding += 1,
            Ok(Done::Uploaded(what, Err(error))) => self.problem(format!("{what} was not sent: {error}")),
            Ok(Done::Saved(what, Ok(path))) => self.show(
                vec![Line::notice(format!("the {what} is saved as {}", path.display()))],
                json!({ "event": "saved", "what": what, "path": path }),
            ),
            Ok(Done::Saved(what, Err(error))) => self.problem(format!("the {what} was not saved: {error}")),
            Ok(Done::Values { form_request_id, path, values }) => match values {
                Ok(data) => self.send_values(form_request_id, data),
                Err(error) => self.problem(format!("{} cannot be used: {error}", path.display())),
            },
            Ok(Done::Stats(Some(stats))) => self.show(vec![Line::notice(figures(&stats))], figures_object(&stats)),
            Ok(Done::Stats(None)) => self.problem("there is no call"),
            Err(error) => self.problem(format!("internal error: {error}")),
        }
    }

    fn send_values(&mut self, form_request_id: Option<String>, data: Extra) {
        match self.forms.find(true, None).filter(|form| form.id == form_request_id).cloned() {
            Some(form) => {
                self.forms.done(&form);
                self.send(form.answer(data));
            }
            None => self.problem("the secure form is not asked for any more"),
        }
    }
}

fn values_of(path: &Path) -> Result<Extra, String> {
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    file.take(LONGEST_VALUES).read_to_string(&mut text).map_err(|e| e.to_string())?;
    read_values(&text)
}

fn figures(stats: &CallStats) -> String {
    let (sender, receiver) = (&stats.media.sender, &stats.media.receiver);
    let mut out = format!(
        "{}: sent {} packets, received {}, lost {}, jitter {:.1} ms, concealed {} ms",
        stats.codec.map_or("not connected", |c| c.name()),
        sender.packets_sent,
        receiver.packets_received,
        receiver.packets_lost,
        receiver.jitter * 1000.0,
        stats.concealed().as_millis(),
    );
    if let Some(delay) = stats.mean_jitter_buffer_delay() {
        out += &format!(", jitter buffer {} ms", delay.as_millis());
    }
    if let Some(rtt) = stats.peer.round_trip_time() {
        out += &format!(", round trip {:.1} ms", rtt.as_secs_f64() * 1000.0);
    }
    out
}

fn figures_object(stats: &CallStats) -> serde_json::Value {
    let (sender, receiver) = (&stats.media.sender, &stats.media.receiver);
    json!({
        "event": "call_stats",
        "codec": stats.codec.map(|c| c.name()),
        "packets_sent": sender.packets_sent,
        "bytes_sent": sender.bytes_sent,
        "packets_received": receiver.packets_received,
        "packets_lost": receiver.packets_lost,
        "jitter_ms": receiver.jitter * 1000.0,
        "concealed_ms": stats.concealed().as_millis() as u64,
        "jitter_buffer_ms": stats.mean_jitter_buffer_delay().map(|d| d.as_millis() as u64),
        "rtt_ms": stats.peer.round_trip_time().map(|d| d.as_secs_f64() * 1000.0),
    })
}
