//! The contact center: sessions, agents, files. A state machine without I/O.
//!
//! Inputs: the methods of the API ([`Center::request_chat`], [`Center::send_events`], [`Center::poll`] …), what the
//! agents' WebRTC peers report ([`Center::call_event`]), what desks and the admin API ask for ([`Center::sign_in`],
//! [`Center::order`] …), and time ([`Center::handle_timeout`], due at [`Center::next_timeout`]). Every input carries the
//! time since the center was opened.
//! Outputs: answers, and [`Action`]s to be fetched with [`Center::take_actions`] after each input.

mod agents;
mod bots;
mod desks;
mod faults;
mod files;
mod orders;
mod silence;
#[cfg(test)]
mod tests;
mod views;

pub(super) use bots::BotSettings;
pub(super) use orders::By;

use super::admin::log::{EventLog, From as Side};
use super::auth::{ClientKey, Credentials};
use super::config::{AgentConfig, Hours, SimulatorConfig};
use super::desk::roster::Desks;
use super::desk::wire::{DeskEvent, DeskId, GoneReason};
use super::error::ApiError;
use super::fault::{Faults, OnWay};
use super::files::Files;
use super::line::{CallCommand, CallEvent, CallId, LineTimer, Role};
use super::quirks::{QuirkState, Quirks};
use super::script::Deed;
use super::session::{At, SCENARIO_PARTY, Session};
use super::timers::Timers;
use crate::api::event::{FormData, SessionEnded};
use crate::api::types::{Availability, Chat, ChatRequest, SessionState};
use crate::api::{ClientEvent, ErrorCode, ServerEvent};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Something to be done outside.
#[derive(Debug)]
pub(super) enum Action {
    /// A held poll of this session should look again.
    Wake(String),
    /// Make a WebRTC peer.
    StartCall(CallSpec),
    /// Tell a peer.
    Call(CallId, CallCommand),
    /// Tell a desk.
    Desk(DeskId, DeskEvent),
}

/// A WebRTC peer to be made for an agent.
#[derive(Debug, Clone)]
pub(super) struct CallSpec {
    pub id: CallId,
    pub chat_id: String,
    pub party_id: String,
    /// The agent's first name.
    pub agent: String,
    pub role: Role,
}

/// What a poll finds.
#[derive(Debug, PartialEq)]
pub(super) enum Poll {
    Events(Vec<ServerEvent>),
    /// Nothing yet: ask again when woken.
    Held,
}

#[derive(Debug)]
enum Timer {
    /// An agent may take this chat now.
    Join(String),
    /// A deed of an agent, done only if it is still the agent of this chat.
    Agent {
        chat_id: String,
        party_id: String,
        deed: Deed,
    },
    Line {
        chat_id: String,
        party_id: String,
        timer: LineTimer,
    },
    /// A call at a desk may have waited too long to be answered.
    Unanswered {
        chat_id: String,
        party_id: String,
    },
    /// A desk whose page is gone may be given up.
    Away(DeskId),
    /// A signaling message that is late.
    Late {
        chat_id: String,
        party_id: String,
        message: OnWay,
    },
    /// Look whether the client has been silent for too long.
    Inactivity(String),
    /// The survey did not come back.
    Survey {
        chat_id: String,
        form: String,
    },
    /// Nobody fetched the last events of an ended session.
    Forget(String),
}

/// What a contact center holds at the moment: all of it goes when chats and calls do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Chat sessions, with those whose last events nobody fetched yet.
    pub sessions: usize,
    /// Chats that wait for an agent.
    pub waiting: usize,
    /// Polls that are held.
    pub polls: usize,
    /// Calls of bots.
    pub calls: usize,
    /// Desks that are signed in.
    pub desks: usize,
    /// Deeds that are to be done later.
    pub timers: usize,
}

/// How long the last events of an ended session wait for a client to fetch them.
const LINGER: Duration = Duration::from_secs(30);
/// How long a form may be filled in, in seconds.
const FORM_TIMEOUT_S: u32 = 120;

#[derive(Debug)]
pub(super) struct Center {
    config: Arc<SimulatorConfig>,
    /// Wall clock when the center was opened, in milliseconds since 1970.
    epoch_ms: i64,
    sessions: HashMap<String, Session>,
    /// The one session that each client has.
    active: HashMap<ClientKey, String>,
    /// Chats that no agent was free for, by their numbers: in order of coming.
    queue: BTreeMap<u64, String>,
    /// The queue is another than the desks know.
    queue_changed: bool,
    /// Sessions ever made.
    chats: u64,
    hours: Hours,
    /// What each bot does.
    bot: AgentConfig,
    /// Bots on duty; `None`: one for everybody.
    bots: Option<usize>,
    busy_bots: usize,
    desks: Desks,
    log: EventLog,
    /// Sessions in which something may have happened since the last [`Center::take_actions`].
    touched: Vec<String>,
    /// Agents that ever joined: chooses names, and numbers lines.
    agents_joined: u64,
    calls: HashMap<CallId, String>,
    files: Files,
    faults: Faults,
    quirks: QuirkState,
    timers: Timers<Timer>,
    actions: Vec<Action>,
    closed: bool,
}

impl Center {
    pub fn new(config: Arc<SimulatorConfig>, epoch_ms: i64) -> Self {
        Self {
            faults: Faults::new(config.faults.clone(), config.seed),
            quirks: QuirkState::new(config.quirks.clone()),
            hours: config.hours,
            bot: config.agent.clone(),
            bots: config.agents,
            config,
            epoch_ms,
            sessions: HashMap::new(),
            active: HashMap::new(),
            queue: BTreeMap::new(),
            queue_changed: false,
            chats: 0,
            busy_bots: 0,
            desks: Desks::default(),
            log: EventLog::default(),
            touched: Vec::new(),
            agents_joined: 0,
            calls: HashMap::new(),
            files: Files::new(Files::MAX_FILES, Files::MAX_BYTES),
            timers: Timers::default(),
            actions: Vec::new(),
            closed: false,
        }
    }

    /// Takes what is to be done outside after the inputs since the last time.
    pub fn take_actions(&mut self, now: Duration) -> Vec<Action> {
        for chat_id in std::mem::take(&mut self.touched) {
            self.publish(&chat_id, now);
            if self.sessions.get(&chat_id).is_some_and(|s| s.ended && !s.poll_held && !s.has_news()) {
                self.sessions.remove(&chat_id);
            }
        }
        self.tell_queue();
        std::mem::take(&mut self.actions)
    }

    /// What the center holds at the moment.
    pub fn load(&self) -> Load {
        Load {
            sessions: self.sessions.len().max(self.active.len()),
            waiting: self.queue.len(),
            calls: self.calls.len(),
            timers: self.timers.len(),
            ..Load::default()
        }
    }

    /// What happened, for who drives the center.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    pub fn quirks(&mut self) -> &mut QuirkState {
        &mut self.quirks
    }

    pub fn choose_quirks(&mut self, quirks: Quirks) {
        self.quirks = QuirkState::new(quirks);
    }

    fn at(&self, now: Duration) -> At {
        At(self.epoch_ms + i64::try_from(now.as_millis()).unwrap_or(i64::MAX / 2))
    }

    /// Whether the tenant is this center's. An empty one is no tenant.
    pub fn check_tenant(&self, tenant: Option<&str>) -> Result<(), ApiError> {
        let tenant = tenant.filter(|t| !t.is_empty()).ok_or(ApiError::new(ErrorCode::InvalidTenantUrl))?;
        match &self.config.tenant {
            Some(own) if !own.eq_ignore_ascii_case(tenant) => Err(ApiError::new(ErrorCode::InvalidTenantUrl)),
            _ => Ok(()),
        }
    }

    /// Whether the application exists. To Request Chat it is a launch point, which is another error.
    pub fn check_application(&self, credentials: &Credentials, launches: bool) -> Result<(), ApiError> {
        if self.config.app_ids.is_empty() || self.config.app_ids.contains(&credentials.app_id) {
            return Ok(());
        }
        Err(ApiError::new(if launches { ErrorCode::ApplicationNotFound } else { ErrorCode::InvalidApplication }))
    }

    pub fn availability(&self, now: Duration) -> Availability {
        let open = self.hours.is_open(self.at(now).0);
        Availability {
            chat: if open { "available" } else { "notAvailable" }.into(),
            ewt: self.config.ewt_s.filter(|_| open).map(|s| s.to_string()),
            ..Default::default()
        }
    }

    /// Request Chat: a new session, or the one that the client has.
    pub fn request_chat(&mut self, client: &ClientKey, request: ChatRequest, now: Duration) -> Result<Chat, ApiError> {
        let ewt_s = self.config.ewt_s;
        if let Some(session) = self.active.get(client).and_then(|id| self.sessions.get_mut(id)) {
            session.last_heard = now;
            return Ok(session.describe(ewt_s, Some(false)));
        }
        if self.closed || self.sessions.len() >= self.config.max_sessions {
            return Err(ApiError::new(ErrorCode::NoServer));
        }
        let id = uuid::Uuid::new_v4().to_string();
        self.chats += 1;
        let mut session = Session::new(id.clone(), self.chats, client.clone(), now, self.at(now));
        session.phone_number = request.phone_number;
        session.customer_name =
            request.parameters.get("first_name").and_then(|v| v.as_str()).map(str::to_owned).or(request.from);
        session.parameters = request.parameters;
        session.enter(SessionState::Queued, ewt_s);
        let chat = session.describe(ewt_s, Some(true));
        self.active.insert(client.clone(), id.clone());
        self.sessions.insert(id.clone(), session);
        self.touched.push(id.clone());
        self.timers.set(now + self.bot.join_after, Timer::Join(id.clone()));
        self.watch_silence(id, now);
        Ok(chat)
    }

    /// Get Active Chat.
    pub fn active_chat(&self, client: &ClientKey) -> Result<Chat, ApiError> {
        let session = self.active.get(client).and_then(|id| self.sessions.get(id));
        session.map(|s| s.describe(self.config.ewt_s, None)).ok_or(ApiError::new(ErrorCode::SessionNotFound))
    }

    /// Get Chat History.
    pub fn history(&mut self, client: &ClientKey, chat_id: &str) -> Result<Vec<ServerEvent>, ApiError> {
        Ok(self.session(client, chat_id)?.history())
    }

    /// The session, when it is this client's and not over.
    fn session(&mut self, client: &ClientKey, chat_id: &str) -> Result<&mut Session, ApiError> {
        self.sessions
            .get_mut(chat_id)
            .filter(|s| s.client == *client && !s.ended)
            .ok_or(ApiError::new(ErrorCode::SessionNotFound))
    }

    /// Get New Chat Events, to begin with. After [`Poll::Held`] the caller asks [`Center::poll_again`] when woken, and
    /// says [`Center::end_poll`] when the request is over in any way.
    pub fn poll(&mut self, client: &ClientKey, chat_id: &str) -> Result<Poll, ApiError> {
        let session = self.sessions.get_mut(chat_id).filter(|s| s.client == *client && (!s.ended || s.has_news()));
        let session = session.ok_or(ApiError::new(ErrorCode::SessionNotFound))?;
        if session.poll_held {
            return Err(ApiError::new(ErrorCode::TooManyPolls));
        }
        if session.has_news() {
            let news = session.take_news();
            self.touched.push(chat_id.to_owned());
            return Ok(Poll::Events(news));
        }
        session.poll_held = true;
        Ok(Poll::Held)
    }

    /// What a held poll finds now; an empty list when the session is over.
    pub fn poll_again(&mut self, chat_id: &str) -> Poll {
        match self.sessions.get_mut(chat_id) {
            Some(session) if session.has_news() => Poll::Events(session.take_news()),
            Some(session) if !session.ended => Poll::Held,
            _ => Poll::Events(Vec::new()),
        }
    }

    /// The held poll is over.
    pub fn end_poll(&mut self, chat_id: &str) {
        if let Some(session) = self.sessions.get_mut(chat_id) {
            session.poll_held = false;
        }
        self.touched.push(chat_id.to_owned());
    }

    /// Send Events. Gives what the client has to get.
    pub fn send_events(
        &mut self,
        client: &ClientKey,
        chat_id: &str,
        events: Vec<ClientEvent>,
        now: Duration,
    ) -> Result<Vec<ServerEvent>, ApiError> {
        let at = self.at(now);
        self.session(client, chat_id)?;
        self.touched.push(chat_id.to_owned());
        for event in events {
            // An event before this one may have ended the session.
            let Ok(session) = self.session(client, chat_id) else { break };
            session.last_heard = now;
            session.warned = false;
            if session.is_repeated(&event) {
                tracing::debug!(chat_id, event = event.name(), "the client sent an event again");
                continue;
            }
            session.keep(&event, at.0);
            tracing::debug!(chat_id, event = event.name(), "from the client");
            self.client_event(chat_id, event, now);
        }
        let news = self.sessions.get_mut(chat_id).map(Session::take_news).unwrap_or_default();
        Ok(news)
    }

    fn client_event(&mut self, chat_id: &str, event: ClientEvent, now: Duration) {
        match event {
            ClientEvent::End(_) => self.end(chat_id, SessionEnded::default(), now),
            ClientEvent::Disconnect(_) => self.disconnect(chat_id, now),
            ClientEvent::Signaling(signaling) => {
                self.client_signal(chat_id, &signaling.destination_party_id, signaling.data, now);
            }
            ClientEvent::FormData(form) if self.is_survey(chat_id, &form) => {
                let at = self.at(now);
                if let Some(session) = self.sessions.get_mut(chat_id) {
                    session.say(SCENARIO_PARTY, "Thank you for your answers. Goodbye!", None, at);
                }
                self.end(chat_id, SessionEnded::default(), now);
            }
            event => self.react(chat_id, &event, now),
        }
    }

    /// The client ends the conversation; the scenario asks how it was.
    fn disconnect(&mut self, chat_id: &str, now: Duration) {
        let at = self.at(now);
        if !self.release_agent(chat_id, GoneReason::Ended, now) {
            return self.end(chat_id, SessionEnded::default(), now);
        }
        self.serve_queue(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        session.state = SessionState::Ivr;
        session.scenario_joined(at);
        let form = session.show_form("survey", FORM_TIMEOUT_S, at);
        session.survey = Some(form.clone());
        let due = now + Duration::from_secs(FORM_TIMEOUT_S.into());
        self.timers.set(due, Timer::Survey { chat_id: chat_id.to_owned(), form });
    }

    fn is_survey(&self, chat_id: &str, form: &FormData) -> bool {
        self.sessions.get(chat_id).is_some_and(|s| s.survey.is_some() && s.survey == form.form_request_id)
    }

    /// Ends a session with a last event.
    fn end(&mut self, chat_id: &str, last: impl Into<ServerEvent>, now: Duration) {
        self.release_agent(chat_id, GoneReason::Ended, now);
        let Some(session) = self.sessions.get_mut(chat_id).filter(|s| !s.ended) else { return };
        session.ended = true;
        session.state = SessionState::Completed;
        session.post(last);
        if self.active.get(&session.client).is_some_and(|id| id == chat_id) {
            self.active.remove(&session.client);
        }
        self.queue_changed |= self.queue.remove(&session.number).is_some();
        self.timers.set(now + LINGER, Timer::Forget(chat_id.to_owned()));
        self.wake(chat_id);
        self.serve_queue(now);
    }

    fn wake(&mut self, chat_id: &str) {
        self.actions.push(Action::Wake(chat_id.to_owned()));
        self.touched.push(chat_id.to_owned());
    }

    /// When time should be given to [`Center::handle_timeout`] next.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Join(chat_id) => self.admit(&chat_id, now),
                Timer::Agent { chat_id, party_id, deed } => self.do_deed(&chat_id, &party_id, deed, now),
                Timer::Line { chat_id, party_id, timer } => {
                    self.with_line(&chat_id, Some(&party_id), now, |line, now| line.timer(timer, now));
                }
                Timer::Unanswered { chat_id, party_id } => self.desk_call_unanswered(&chat_id, &party_id, now),
                Timer::Away(desk) => self.give_up_desk(desk, now),
                Timer::Late { chat_id, party_id, message } => self.send_late(&chat_id, party_id, message, now),
                Timer::Inactivity(chat_id) => self.check_silence(chat_id, now),
                Timer::Survey { chat_id, form } => {
                    if self.sessions.get(&chat_id).is_some_and(|s| s.survey == Some(form)) {
                        self.end(&chat_id, SessionEnded::default(), now);
                    }
                }
                Timer::Forget(chat_id) => {
                    if let Some(session) = self.sessions.get_mut(&chat_id) {
                        session.take_news();
                    }
                    self.touched.push(chat_id);
                }
            }
        }
    }

    /// A report of an agent's WebRTC peer.
    pub fn call_event(&mut self, id: CallId, event: CallEvent, now: Duration) {
        if let Some(chat_id) = self.calls.get(&id).cloned() {
            if let CallEvent::Digit(digit) = event {
                self.heard_digit(&chat_id, digit, now);
            }
            self.call_reported(&chat_id, id, &event, now);
            self.with_line(&chat_id, None, now, |line, now| line.peer(id, event, now));
        }
    }

    /// Ends every session; no new one is made.
    pub fn close(&mut self, now: Duration) {
        self.closed = true;
        let open: Vec<_> = self.sessions.values().filter(|s| !s.ended).map(|s| s.id.clone()).collect();
        for chat_id in open {
            self.end(&chat_id, SessionEnded::default(), now);
        }
    }
}
