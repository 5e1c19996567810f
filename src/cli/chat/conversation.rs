//! One run of `chatphone chat`: lines in, events out, and when to leave.

use super::command::{self, Command};
use super::forms::{self, Dialog, FormRequest, Forms, Step};
use super::input::{Ask, Input, Read, Terminal};
use super::render::{Layout, Line, Renderer, is_fine};
use super::screen::Screen;
use super::{act, json, text};
use crate::api::{ClientEvent, ServerEvent};
use crate::call::{CallEvent, CallReport, Phase};
use crate::chat::{ChatEvent, EndReason, SendError};
use crate::cli::evidence;
use crate::cli::interrupt::Interrupts;
use crate::cli::summary::{CallSummary, PartySummary};
use crate::evidence::Recorder;
use crate::phone::{Phone, PhoneEvent, PhoneEvents};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

/// How many files of the chat are remembered for `/save`.
const FILES_REMEMBERED: usize = 1000;

/// How to behave.
pub struct Manners {
    /// Somebody sees questions and types answers.
    pub interactive: bool,
    /// Lines come from a terminal: they are taken at any time, and its end means to leave at once.
    pub typed: bool,
    /// How long the first line waits for an agent; zero: not at all.
    pub wait_agent: Duration,
    /// How long to stay after the last line of a pipe.
    pub linger: Duration,
    /// How long a silence may be.
    pub idle_exit: Option<Duration>,
    /// Take incoming calls.
    pub auto_answer: bool,
    /// Ask again for the call that an earlier run was killed in.
    pub call_again: bool,
    /// Show JSON.
    pub json: bool,
    /// How lines look.
    pub layout: Layout,
}

/// A file that was shared in the chat.
pub(super) struct KnownFile {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// Whether this side shared it.
    own: bool,
}

pub(super) struct Conversation {
    pub(super) phone: Phone,
    recorder: Recorder,
    events: PhoneEvents,
    pub(super) manners: Manners,
    screen: Screen,
    input: Input,
    renderer: Renderer,
    pub(super) forms: Forms,
    pub(super) dialog: Option<Dialog>,
    pub(super) files: Vec<KnownFile>,
    pub(super) jobs: JoinSet<act::Done>,
    pub(super) progress: UnboundedSender<act::Progress>,
    progress_rx: UnboundedReceiver<act::Progress>,
    /// Events given to the phone whose fate is not known yet. Below zero for a moment when an upload's event is sent
    /// before the upload's end was noticed.
    pub(super) outstanding: i64,
    pub(super) open: bool,
    agent_seen: bool,
    /// No more lines are taken.
    pub(super) closing: bool,
    leaving: bool,
    /// Something that was asked for did not work.
    failed: bool,
    end: Option<EndReason>,
    agent_until: Option<Instant>,
    linger_until: Option<Instant>,
    quiet_since: Instant,
}

impl Conversation {
    pub(super) fn start(phone: Phone, events: PhoneEvents, manners: Manners, recorder: Recorder) -> Self {
        let (progress, progress_rx) = unbounded_channel();
        let now = Instant::now();
        Self {
            phone,
            recorder,
            events,
            screen: Screen::start(manners.layout, manners.json),
            input: Input::start(),
            renderer: Renderer::new(manners.typed && manners.layout.breaks, manners.interactive),
            forms: Forms::default(),
            dialog: None,
            files: Vec::new(),
            jobs: JoinSet::new(),
            progress,
            progress_rx,
            outstanding: 0,
            open: false,
            agent_seen: false,
            closing: false,
            leaving: false,
            failed: false,
            end: None,
            agent_until: (!manners.wait_agent.is_zero()).then(|| now + manners.wait_agent),
            linger_until: None,
            quiet_since: now,
            manners,
        }
    }

    /// Runs until the chat is left or over.
    pub(super) async fn run(mut self, mut stop: Interrupts) -> anyhow::Result<ExitCode> {
        let terminal = Terminal::now();
        loop {
            let (ask, reads, timer) = (self.ask(), self.may_read(), self.next_timer());
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.phone_event(event),
                    None => break,
                },
                read = self.input.next(ask), if reads => self.read(read),
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => self.job_done(done),
                Some(progress) = self.progress_rx.recv() => self.show_progress(&progress),
                () = stop.next() => {
                    if self.leaving {
                        terminal.put_back();
                        std::process::exit(130);
                    }
                    self.notice("leaving; once more to leave at once");
                    self.leave();
                }
                // Nobody reads any more: there is nobody to talk for.
                () = self.screen.closed() => self.leave(),
                () = sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() => self.timers(),
            }
        }
        // A secret may still be asked for.
        terminal.put_back();
        self.screen.finish().await;
        match self.end {
            Some(reason @ EndReason::NotOpened { .. }) => Err(reason.into()),
            // What went wrong on a terminal was seen, and put right or not; a script is told.
            Some(reason) if is_fine(&reason) && (self.manners.typed || !self.failed) => Ok(ExitCode::SUCCESS),
            _ => Ok(ExitCode::FAILURE),
        }
    }

    /// Leaves: ends the call, sends what is queued, ends the chat if this run began it.
    pub(super) fn leave(&mut self) {
        if !self.leaving {
            (self.leaving, self.closing, self.dialog) = (true, true, None);
            self.phone.shut_down();
        }
    }

    /// Sends an event.
    pub(super) fn send(&mut self, event: impl Into<ClientEvent>) {
        self.outstanding += 1;
        self.phone.send(event);
    }

    pub(super) fn notice(&self, text: impl Into<String>) {
        let text = text.into();
        self.show(vec![Line::notice(text.clone())], json!({ "event": "notice", "message": text }));
    }

    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.failed = true;
        let text = text.into();
        self.show(vec![Line::problem(text.clone())], json!({ "event": "error", "message": text }));
    }

    pub(super) fn show(&self, lines: Vec<Line>, object: Value) {
        self.screen.show(|| lines, || vec![object]);
    }

    fn ask(&self) -> Ask {
        match &self.dialog {
            Some(dialog) if dialog.question().secret => Ask::Secret,
            _ => Ask::Line,
        }
    }

    /// Whether the next line may be taken. In a pipe each waits until the one before is done, so that a script does the
    /// same thing on every machine, and nothing is lost between a message and an `/end`.
    fn may_read(&self) -> bool {
        let in_turn = self.open && self.outstanding <= 0 && self.jobs.is_empty();
        !self.closing && self.linger_until.is_none() && self.agent_until.is_none() && (self.manners.typed || in_turn)
    }

    fn next_timer(&self) -> Option<Instant> {
        if self.leaving {
            return None;
        }
        let idle = self.manners.idle_exit.filter(|_| self.phone.state().call == Phase::Idle);
        [self.agent_until, self.linger_until, idle.map(|i| self.quiet_since + i)].into_iter().flatten().min()
    }

    fn timers(&mut self) {
        let now = Instant::now();
        if self.agent_until.take_if(|at| *at <= now).is_some() {
            self.problem(format!("no agent joined the chat within {} s", self.manners.wait_agent.as_secs_f64()));
            self.leave();
        } else if self.linger_until.take_if(|at| *at <= now).is_some() {
            self.leave();
        } else if self.manners.idle_exit.is_some_and(|idle| self.quiet_since + idle <= now) {
            self.notice("leaving, since nothing happened for a while");
            self.leave();
        }
    }

    fn phone_event(&mut self, event: PhoneEvent) {
        self.quiet_since = Instant::now();
        evidence::see(&self.recorder, &event, &self.phone.state());
        match event {
            PhoneEvent::Chat(event) => self.chat_event(event),
            PhoneEvent::Signaling { sent, signal, .. } => {
                self.screen
                    .show(Vec::new, || vec![json!({ "event": "signaling", "sent": sent, "type": signal.name() })]);
            }
            PhoneEvent::Call(event) => {
                let state = self.phone.state().clone();
                self.screen.show(|| vec![self.renderer.call(&event, &state)], || vec![json::call(&event, &state)]);
                if self.manners.auto_answer && matches!(event, CallEvent::Ringing { .. }) {
                    self.phone.accept();
                }
            }
            PhoneEvent::Digit(digit) => self.screen.show(
                || vec![Line::notice(format!("the agent pressed {digit}"))],
                || vec![json!({ "event": "dtmf_received", "digit": digit.to_string() })],
            ),
            PhoneEvent::Sound(notice) => self.screen.show(
                || vec![Line::notice(notice.to_string())],
                || vec![json!({ "event": "sound", "notice": notice, "message": notice.to_string() })],
            ),
            PhoneEvent::Network(event) => self.screen.show(
                || vec![Line::notice(format!("{event}; connecting anew"))],
                || vec![json!({ "event": "network_changed", "what": event.name() })],
            ),
            PhoneEvent::CallWasCut { party_id, name } => {
                let again = self.manners.call_again;
                let what = if again { "asking for it again" } else { "type /call to call again" };
                self.show(
                    vec![Line::notice(format!(
                        "you were in a call with {} when chatphone stopped: {what}",
                        text::name(&name)
                    ))],
                    json!({ "event": "call_was_cut", "party_id": party_id, "name": name }),
                );
                if again {
                    self.phone.request_call(Some(party_id), false);
                }
            }
            PhoneEvent::CallReport(report) => self.call_report(&report),
        }
        if !self.agent_seen && self.phone.state().agent.is_some() {
            (self.agent_seen, self.agent_until) = (true, None);
        }
    }

    fn chat_event(&mut self, mut event: ChatEvent) {
        match &event {
            ChatEvent::Opened { .. } => self.open = true,
            ChatEvent::Restored { events, .. } => {
                for past in events {
                    self.remember(&past.event, past.own);
                }
            }
            ChatEvent::Server { event, own } => self.remember(event, *own),
            ChatEvent::Sent { event } if !matches!(event, ClientEvent::Signaling(_)) => {
                self.outstanding -= 1;
                if let ClientEvent::File(file) = event {
                    self.remember_file(&file.file_id, &file.file_name, true);
                }
            }
            ChatEvent::SendFailed { event, error } if !matches!(event, ClientEvent::Signaling(_)) => {
                self.outstanding -= 1;
                // What was on its way when the chat ended is judged by how it ended: whether it arrived, only the order
                // of two answers tells.
                self.failed |= *error != SendError::Closed;
                self.forms.not_sent(event);
            }
            ChatEvent::Ended { reason } => {
                (self.end, self.closing, self.dialog) = (Some(reason.clone()), true, None);
            }
            _ => {}
        }
        let state = self.phone.state().clone();
        let failed_to_open = matches!(event, ChatEvent::Ended { reason: EndReason::NotOpened { .. } });
        self.screen.show(
            // That one is the error of the command, for standard error.
            || if failed_to_open { Vec::new() } else { self.renderer.chat(&event, &state) },
            || json::chat(&event, &state),
        );
        if let ChatEvent::Sent { event } | ChatEvent::SendFailed { event, .. } = &mut event {
            forms::wipe(event);
        }
    }

    fn remember(&mut self, event: &ServerEvent, own: bool) {
        self.forms.watch(event);
        if let ServerEvent::File(file) = event {
            self.remember_file(&file.file_id, &file.file_name, own);
        }
    }

    fn remember_file(&mut self, id: &str, name: &Option<String>, own: bool) {
        self.files.retain(|known| known.id != id);
        self.files.push(KnownFile { id: id.to_owned(), name: name.clone(), own });
        if self.files.len() > FILES_REMEMBERED {
            self.files.remove(0);
        }
    }

    /// The last file that the other side shared.
    pub(super) fn last_file(&self) -> Option<&KnownFile> {
        self.files.iter().rev().find(|file| !file.own)
    }

    fn call_report(&self, report: &CallReport) {
        let state = self.phone.state().clone();
        let mut summary = CallSummary::of(report);
        summary.party = report.party_id.clone().map(|id| PartySummary { name: state.party_name(&id), id });
        summary.chat_id = state.chat_id;
        summary.explain(report, None);
        evidence::outcome(&self.recorder, &summary);
        let mut object = json!({ "event": "call_report" });
        if let (Ok(Value::Object(fields)), Some(object)) = (serde_json::to_value(&summary), object.as_object_mut()) {
            object.extend(fields);
        }
        self.show(summary.to_string().lines().map(Line::notice).collect(), object);
    }

    fn read(&mut self, read: Read) {
        self.quiet_since = Instant::now();
        match read {
            Read::End if self.manners.typed => self.leave(),
            Read::End => self.linger_until = Some(Instant::now() + self.manners.linger),
            Read::Secret(Ok(text)) => self.answer(text),
            Read::Secret(Err(error)) => {
                self.dialog = None;
                self.problem(format!("no secret could be read ({error}); use /secure @FILE"));
            }
            Read::Line(line) if self.dialog.is_some() => self.answer(line),
            Read::Line(line) => self.line(&line),
        }
    }

    fn line(&mut self, line: &str) {
        match command::parse(line) {
            Ok(None) => {}
            Ok(Some(Command::Message(text))) if self.manners.interactive && self.is_ringing() => {
                match text.trim().to_ascii_lowercase().as_str() {
                    "y" | "yes" => self.phone.accept(),
                    "n" | "no" => self.phone.decline(act::DECLINED),
                    _ => self.act(Command::Message(text)),
                }
            }
            Ok(Some(command)) => self.act(command),
            Err(error) => self.problem(error.to_string()),
        }
    }

    pub(super) fn is_ringing(&self) -> bool {
        self.phone.state().call == Phase::Ringing
    }

    /// Begins to ask for the values of a form.
    pub(super) fn ask_for(&mut self, form: FormRequest) {
        self.dialog = Some(Dialog::new(form));
        self.show_question();
    }

    fn answer(&mut self, text: Zeroizing<String>) {
        let Some(dialog) = &mut self.dialog else { return };
        match dialog.answer(text) {
            Step::More => self.show_question(),
            Step::Done(event) => {
                let form = dialog.form().clone();
                self.dialog = None;
                self.forms.done(&form);
                self.send(*event);
            }
            Step::Cancelled => {
                self.dialog = None;
                self.notice("the form was not sent");
            }
        }
    }

    fn show_question(&self) {
        if let Some(question) = self.dialog.as_ref().map(Dialog::question) {
            let secret = if question.secret { " (is not shown)" } else { "" };
            self.show(
                vec![Line::notice(format!("{}{secret}:", question.text))],
                json!({ "event": "question", "text": question.text, "secret": question.secret }),
            );
        }
    }
}
