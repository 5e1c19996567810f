//! What happens, as lines for people. No I/O and no clock.

use super::forms::{FormRequest, is_answer};
use super::text;
use crate::api::lenient::Timestamp;
use crate::api::types::SessionState;
use crate::api::{ClientEvent, ServerEvent};
use crate::call::CallEvent;
use crate::chat::{ChatEvent, EndReason};
use crate::phone::PhoneState;
use chrono::NaiveDateTime;
use std::collections::HashSet;

/// How many own message ids are remembered, to know the server's copies.
const OWN_REMEMBERED: usize = 1024;
/// How many parties may be typing.
const TYPING_REMEMBERED: usize = 128;

/// Whose line it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Somebody on the other side, by name.
    Party(String),
    /// The user.
    You,
    /// The program, or the contact center: something happened.
    Notice,
    /// Something did not work.
    Problem,
}

/// One line of the conversation; its text is harmless, and may hold line breaks where it is a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it happened, if that is not now.
    pub at: Option<Timestamp>,
    /// Whose it is.
    pub who: Who,
    /// What to show.
    pub text: String,
}

impl Line {
    /// Something happened.
    pub fn notice(text: impl Into<String>) -> Self {
        Self { at: None, who: Who::Notice, text: text::plain(&text.into()) }
    }

    /// Something did not work.
    pub fn problem(text: impl Into<String>) -> Self {
        Self { at: None, who: Who::Problem, text: text::plain(&text.into()) }
    }
}

/// How lines are set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// With colours.
    pub color: bool,
    /// Line breaks in a message stay, indented; otherwise a message is one line, with `↵` for a break.
    pub breaks: bool,
}

impl Layout {
    /// Sets a line. `local` turns a time of the server into local time.
    pub fn set(&self, line: &Line, now: NaiveDateTime, local: impl Fn(Timestamp) -> Option<NaiveDateTime>) -> String {
        let at = line.at.and_then(local).unwrap_or(now);
        let pattern = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        let (time, indent) = (at.format(pattern), if self.breaks { "\n          " } else { " ↵ " });
        let text = line.text.replace('\n', indent);
        let (paint, lead) = match &line.who {
            Who::Party(name) => ("1;36", format!("{name}:")),
            Who::You => ("1;32", "you:".to_owned()),
            Who::Notice => ("33", "*".to_owned()),
            Who::Problem => ("1;31", "!".to_owned()),
        };
        if self.color {
            format!("\u{1b}[2m{time}\u{1b}[0m  \u{1b}[{paint}m{lead}\u{1b}[0m {text}")
        } else {
            format!("{time}  {lead} {text}")
        }
    }
}

/// Turns events into lines; remembers only what it takes to show nothing twice.
#[derive(Debug, Default)]
pub struct Renderer {
    typing: HashSet<String>,
    /// Ids of own messages that were shown, oldest forgotten all at once.
    own: HashSet<String>,
    echoed: bool,
    interactive: bool,
}

impl Renderer {
    /// `echoed`: own messages are on the screen already, where they were typed. `interactive`: somebody can be asked for
    /// an answer to a call.
    pub fn new(echoed: bool, interactive: bool) -> Self {
        Self { echoed, interactive, ..Self::default() }
    }

    /// The lines for an event of the chat; `state` is the one that goes with it.
    pub fn chat(&mut self, event: &ChatEvent, state: &PhoneState) -> Vec<Line> {
        match event {
            ChatEvent::Opened { chat, resumed } => {
                let how = if *resumed { "the chat is taken up again" } else { "the chat is open" };
                vec![Line::notice(format!("{how}, {}", status(&chat.state, chat.ewt.as_deref())))]
            }
            ChatEvent::Restored { parties, events, complete } => {
                let mut lines = vec![Line::notice(if *complete {
                    "this was said before:"
                } else {
                    "the history could not be read; the chat goes on without it"
                })];
                for past in events {
                    lines.extend(self.server(&past.event, past.own, true, state));
                }
                self.typing.clear();
                let names: Vec<_> = parties.iter().map(|p| text::name(&p.name())).collect();
                let who = if names.is_empty() { "nobody else".to_owned() } else { names.join(", ") };
                lines.push(Line::notice(format!("that was the history; here now: {who}")));
                lines
            }
            ChatEvent::Server { event, own } => self.server(event, *own, false, state).into_iter().collect(),
            ChatEvent::Signal { .. } => Vec::new(),
            ChatEvent::Sent { event } => self.sent(event).into_iter().collect(),
            ChatEvent::SendFailed { event, error } => match event {
                ClientEvent::Signaling(_) => Vec::new(),
                _ => vec![Line::problem(format!("not sent ({}): {error}", kind(event)))],
            },
            // Each try has an event, which programs are told; people want to know that it goes on.
            ChatEvent::Reconnecting { attempt, .. } if !attempt.is_power_of_two() => Vec::new(),
            ChatEvent::Reconnecting { operation, attempt, delay, message } => {
                let delay = delay.as_secs_f64();
                vec![Line::problem(format!("{operation} failed ({message}); try {} in {delay:.1} s", attempt + 1))]
            }
            ChatEvent::Reconnected => vec![Line::notice("the connection is back")],
            ChatEvent::Ended { reason } => {
                vec![if is_fine(reason) { Line::notice(reason.to_string()) } else { Line::problem(reason.to_string()) }]
            }
        }
    }

    fn server(&mut self, event: &ServerEvent, own: bool, past: bool, state: &PhoneState) -> Option<Line> {
        let name = |id: &Option<String>| match id {
            Some(id) if own || state.chat_id.as_ref() == Some(id) => "you".to_owned(),
            Some(id) => text::name(&state.party_name(id)),
            None => state.agent.as_ref().map_or_else(|| "the contact center".into(), |a| text::name(&a.name())),
        };
        let line = |at, text: String| Some(Line { at: if past { at } else { None }, ..Line::notice(text) });
        match event {
            ServerEvent::Message(message) => {
                self.typing.remove(message.party_id.as_deref().unwrap_or_default());
                let at = if past { message.timestamp } else { None };
                let text = text::plain(&message.plain_text());
                if own {
                    // The server's copy of what is on the screen already; shown if another run of this client wrote it.
                    let shown = message.msg_id.as_ref().is_none_or(|id| self.own.contains(id));
                    return (past || !shown).then_some(Line { at, who: Who::You, text });
                }
                Some(Line { at, who: Who::Party(name(&message.party_id)), text })
            }
            ServerEvent::Typing(typing) => {
                if self.typing.len() >= TYPING_REMEMBERED {
                    self.typing.clear();
                }
                let new = self.typing.insert(typing.party_id.clone().unwrap_or_default());
                if new && !own && !past { line(None, format!("{} is typing", name(&typing.party_id))) } else { None }
            }
            // Most often a message follows, which says it.
            ServerEvent::NotTyping(typing) => {
                self.typing.remove(typing.party_id.as_deref().unwrap_or_default());
                None
            }
            ServerEvent::Status(s) => line(None, status(&s.state, s.ewt.as_deref())),
            ServerEvent::Ended(_) => line(None, "the contact center ends the chat".into()),
            ServerEvent::PartyJoined(p) => {
                let kind = match p.party_type.as_str() {
                    "scenario" => " (automatic)",
                    "external" => " (customer)",
                    _ => "",
                };
                line(p.timestamp, format!("{}{kind} joined", name(&Some(p.party_id.clone()))))
            }
            ServerEvent::PartyLeft(p) => {
                self.typing.remove(&p.party_id);
                line(p.timestamp, format!("{} left", name(&Some(p.party_id.clone()))))
            }
            ServerEvent::FormShow(form) => line(form.timestamp, form_line(&form.into())),
            ServerEvent::SecureFormShow(form) => line(form.timestamp, form_line(&form.into())),
            ServerEvent::TimeoutWarning(w) => line(w.timestamp, or(&w.msg, "the chat ends soon if you say nothing")),
            ServerEvent::InactivityTimeout(w) => {
                line(w.timestamp, or(&w.msg, "the chat ended: nothing was said for too long"))
            }
            ServerEvent::File(file) => {
                let kind = text::inline(file.file_type.as_deref().unwrap_or("file"));
                let called = file.file_name.as_deref().map(|n| format!(" \"{}\"", text::inline(n))).unwrap_or_default();
                let from = name(&file.party_id.clone().or_else(|| file.session_id.clone()));
                let id = text::inline(&file.file_id);
                let how = if own { String::new() } else { format!("; /save {id} keeps it") };
                line(file.timestamp, format!("{from} sent the {kind}{called} (id {id}){how}"))
            }
            ServerEvent::Location(place) => {
                let at = match (place.latitude, place.longitude) {
                    (Some(n), Some(e)) => format!("{n}, {e}"),
                    _ => "without coordinates".into(),
                };
                let link = match (&place.url, place.latitude, place.longitude) {
                    (Some(url), ..) => format!(" {}", text::inline(url)),
                    (None, Some(n), Some(e)) => format!(" geo:{n},{e}"),
                    _ => String::new(),
                };
                line(place.timestamp, format!("{} shared a place: {at}{link}", name(&place.party_id)))
            }
            ServerEvent::CobrowsingRequested(c) => line(
                c.timestamp,
                format!("{} asks to browse together: /cobrowse accept, or /cobrowse decline", name(&c.party_id)),
            ),
            ServerEvent::Info(i) => line(
                i.timestamp,
                format!("the service is {}", or(i.service_name.as_deref().unwrap_or_default(), "not named")),
            ),
            ServerEvent::CaseSet(c) => {
                line(c.timestamp, format!("the case is {}", or(c.case_id.as_deref().unwrap_or_default(), "not named")))
            }
            ServerEvent::MessageDelivered(d) => {
                line(d.timestamp, format!("your message reached {}", name(&d.party_id)))
            }
            ServerEvent::MessageRead(d) => line(d.timestamp, format!("{} read your message", name(&d.party_id))),
            ServerEvent::Signaling(_) => None,
            // The client's own events in the history, which the server has no counterpart for.
            ServerEvent::Unknown(_) if is_answer(event.name()) => {
                let kind = if event.name().contains("secure") { "secure form" } else { "form" };
                let verb = if event.name().ends_with("cancel") { "declined" } else { "answered" };
                line(None, format!("you {verb} a {kind}"))
            }
            ServerEvent::Unknown(_) if own && past => line(None, format!("you: {}", text::inline(event.name()))),
            ServerEvent::Unknown(_) => {
                line(None, format!("an unknown event came: {}", or(event.name(), "without a name")))
            }
        }
    }

    /// What the server took.
    fn sent(&mut self, event: &ClientEvent) -> Option<Line> {
        let notice = |text: String| Some(Line::notice(text));
        match event {
            ClientEvent::Message(message) => {
                if self.own.len() >= OWN_REMEMBERED {
                    self.own.clear();
                }
                self.own.insert(message.msg_id.clone());
                (!self.echoed).then(|| Line { at: None, who: Who::You, text: text::plain(&message.msg) })
            }
            ClientEvent::FormData(form) => {
                let fields: Vec<_> = form.data.keys().map(|k| text::inline(k)).collect();
                notice(format!(
                    "you answered the form {}: {}",
                    quoted(&form.form_name),
                    or(&fields.join(", "), "empty")
                ))
            }
            ClientEvent::SecureFormData(form) => {
                notice(format!("you answered the secure form {}", quoted(&form.form_name)))
            }
            ClientEvent::SecureFormCancel(_) => notice("you declined the secure form".into()),
            ClientEvent::File(file) => {
                let name = file.file_name.as_deref().unwrap_or(&file.file_id);
                notice(format!(
                    "you sent the {} \"{}\" (id {})",
                    file.file_type,
                    text::inline(name),
                    text::inline(&file.file_id)
                ))
            }
            ClientEvent::Location(place) => {
                let (n, e) = (place.latitude.unwrap_or_default(), place.longitude.unwrap_or_default());
                notice(format!("you shared a place: {n}, {e}"))
            }
            ClientEvent::Navigation(page) => notice(format!("you told your page: {}", text::inline(&page.page))),
            ClientEvent::CobrowsingStarted(_) => notice("you browse together".into()),
            ClientEvent::CobrowsingRejected(_) => notice("you declined to browse together".into()),
            ClientEvent::CobrowsingEnded(_) => notice("you no longer browse together".into()),
            ClientEvent::Disconnect(_) => notice("you ended the conversation".into()),
            ClientEvent::Typing(_)
            | ClientEvent::NotTyping(_)
            | ClientEvent::End(_)
            | ClientEvent::Signaling(_)
            | ClientEvent::Unknown(_) => None,
        }
    }

    /// The line for an event of the call.
    pub fn call(&self, event: &CallEvent, state: &PhoneState) -> Line {
        let name = |id: &Option<String>| match id {
            Some(id) => text::name(&state.party_name(id)),
            None => state.agent.as_ref().map_or_else(|| "the agent".into(), |a| text::name(&a.name())),
        };
        let with = |video: &bool| if *video { " with video" } else { "" };
        Line::notice(match event {
            CallEvent::Requesting { party_id, video } => {
                format!("calling {}{} …", name(&Some(party_id.clone())), with(video))
            }
            CallEvent::Ringing { party_id, video } => {
                let how = if self.interactive { "accept? [y/n]" } else { "/accept or /decline" };
                format!("{} calls{}: {how}", name(party_id), with(video))
            }
            CallEvent::Offered { party_id, .. } => format!("{} takes the call, connecting …", name(party_id)),
            CallEvent::Answered => "the call is answered, connecting …".into(),
            CallEvent::Connected => "the call is connected".into(),
            CallEvent::Disconnected => return Line::problem("the call's connection is lost for the moment"),
            CallEvent::Reconnected => "the call's connection is back".into(),
            CallEvent::MediaFlowing => "sound arrives".into(),
            CallEvent::Interrupted { reason } => return Line::problem(format!("the call is interrupted: {reason}")),
            CallEvent::Resumed { gap } => format!("the call goes on: sound is back after {:.1} s", gap.as_secs_f64()),
            CallEvent::Restoring { attempt, attempts } => {
                format!("asking for the call again, attempt {attempt} of {attempts} …")
            }
            CallEvent::Restored { gap, .. } => {
                format!("the call is restored: sound is back after {:.1} s", gap.as_secs_f64())
            }
            CallEvent::Renegotiating => "the call is being changed".into(),
            CallEvent::RenegotiationFailed { error } => {
                return Line::problem(format!("the call could not be changed and goes on as it was: {error}"));
            }
            CallEvent::DeclinedBusy { party_id } => {
                format!("{} called during this call and was told that you are busy", name(&Some(party_id.clone())))
            }
            CallEvent::Ended(end) => format!("the call is over: {} ({})", end.outcome, end.reason),
        })
    }
}

/// Whether a chat that ended like this went well.
pub fn is_fine(reason: &EndReason) -> bool {
    match reason {
        EndReason::ByServer | EndReason::Inactivity { .. } => true,
        EndReason::ByClient { confirmed } => *confirmed,
        EndReason::Shutdown { flushed } => *flushed,
        EndReason::ServerFailed
        | EndReason::Gone
        | EndReason::InUse
        | EndReason::NotOpened { .. }
        | EndReason::Refused { .. } => false,
    }
}

/// What an event of the client is, in a word or two.
pub fn kind(event: &ClientEvent) -> &'static str {
    match event {
        ClientEvent::Message(_) => "message",
        ClientEvent::Typing(_) | ClientEvent::NotTyping(_) => "typing",
        ClientEvent::FormData(_) => "form",
        ClientEvent::SecureFormData(_) | ClientEvent::SecureFormCancel(_) => "secure form",
        ClientEvent::End(_) => "end of the chat",
        ClientEvent::Disconnect(_) => "end of the conversation",
        ClientEvent::Signaling(_) => "signaling",
        ClientEvent::File(_) => "file",
        ClientEvent::Location(_) => "place",
        ClientEvent::Navigation(_) => "page",
        ClientEvent::CobrowsingRejected(_) | ClientEvent::CobrowsingStarted(_) | ClientEvent::CobrowsingEnded(_) => {
            "co-browsing"
        }
        ClientEvent::Unknown(_) => "event",
    }
}

fn status(state: &SessionState, ewt: Option<&str>) -> String {
    let words = match state {
        SessionState::Queued => "waiting for an agent".into(),
        SessionState::Connecting | SessionState::Establishing => "connecting".into(),
        SessionState::Connected => "connected".into(),
        SessionState::Ivr => "with the automatic service".into(),
        SessionState::Failed => "the session failed".into(),
        SessionState::Completed => "the session is over".into(),
        SessionState::Unknown(name) => format!("in the state {}", or(name, "(none given)")),
    };
    let seconds = ewt.and_then(|e| e.trim().parse::<f64>().ok()).filter(|s| s.is_finite() && *s > 0.0);
    match (seconds, ewt) {
        (Some(s), _) => format!("{words}, expected wait {}", length(s)),
        (None, Some(other)) if !matches!(other.trim(), "" | "0") => {
            format!("{words}, expected wait {}", text::inline(other))
        }
        _ => words,
    }
}

fn form_line(form: &FormRequest) -> String {
    let mut out = format!("a {}form is asked for: {}", if form.secure { "secure " } else { "" }, quoted(&form.name));
    if !form.fields.is_empty() {
        let fields: Vec<_> = form.fields.iter().map(field).collect();
        out += &format!(" with {}", fields.join(", "));
    }
    if let Some(timeout) = form.timeout_s.filter(|t| *t > 0.0) {
        out += &format!(", within {}", length(timeout));
    }
    out + if form.secure { "; /secure answers it, /secure-cancel declines it" } else { "; /form answers it" }
}

fn field(field: &super::forms::Field) -> String {
    let mut notes: Vec<String> = field.label.iter().chain(&field.kind).map(|t| text::inline(t)).collect();
    if !field.options.is_empty() {
        notes.push(field.options.iter().map(|o| text::inline(o)).collect::<Vec<_>>().join(" | "));
    }
    if field.required {
        notes.push("required".into());
    }
    let name = text::inline(&field.name);
    if notes.is_empty() { name } else { format!("{name} ({})", notes.join(", ")) }
}

fn quoted(name: &Option<String>) -> String {
    name.as_deref().map_or_else(|| "without a name".into(), |n| format!("\"{}\"", text::inline(n)))
}

fn length(seconds: f64) -> String {
    if seconds >= 120.0 { format!("{:.0} min", seconds / 60.0) } else { format!("{seconds:.0} s") }
}

fn or(text: &str, otherwise: &str) -> String {
    let text = text::plain(text);
    if text.trim().is_empty() { otherwise.to_owned() } else { text }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
