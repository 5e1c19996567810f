//! What the agents do: join, write, telephone, hand over, leave.

use super::super::fault::{CallState, Who};
use super::super::files::StoredFile;
use super::super::line::{Line, LineConfig, LineOutput};
use super::super::script::{self, Deed};
use super::super::session::{Agent, SCENARIO_PARTY, Session};
use super::{Action, CallSpec, Center, FORM_TIMEOUT_S, Timer};
use crate::api::ClientEvent;
use crate::api::event::SessionEnded;
use crate::api::signaling::Signal;
use crate::api::types::SessionState;
use chatphone_media::audio::dtmf::Digit;
use std::time::Duration;

/// Names and photos of the agents, taken in turn.
const ROSTER: &[(&str, &str, &[u8])] = &[
    ("Ada", "Miller", include_bytes!("../photos/agent1.png")),
    ("Ben", "Okafor", include_bytes!("../photos/agent2.png")),
    ("Chiara", "Rossi", include_bytes!("../photos/agent3.png")),
    ("Deniz", "Kaya", include_bytes!("../photos/agent4.png")),
];

/// Peers that one line may number before it would meet the next line's numbers.
const CALLS_A_LINE: u64 = 1_000_000_000;

/// From the agent's joining to the call that it makes of its own accord.
const INCOMING_AFTER: Duration = Duration::from_millis(300);

impl Center {
    /// An agent takes the chat, or it waits for one; outside the hours the scenario says so and ends it.
    pub(super) fn admit(&mut self, chat_id: &str, now: Duration) {
        let at = self.at(now);
        let open = self.config.hours.is_open(at.0);
        let Some(session) = self.sessions.get_mut(chat_id).filter(|s| !s.ended && s.agent.is_none()) else { return };
        if !open {
            session.scenario_joined(at);
            session.say(SCENARIO_PARTY, "We are closed. Please come back in our hours of operation.", None, at);
            return self.end(chat_id, SessionEnded::default(), now);
        }
        if self.config.agents.is_some_and(|agents| self.busy_agents >= agents) {
            self.queue.insert(session.number, chat_id.to_owned());
            return;
        }
        self.join(chat_id, now);
    }

    /// Lets the chat that has waited longest try again, now that an agent may be free.
    pub(super) fn serve_queue(&mut self, now: Duration) {
        if !self.closed
            && self.config.agents.is_some_and(|agents| self.busy_agents < agents)
            && let Some((_, chat_id)) = self.queue.pop_first()
        {
            self.timers.set(now, Timer::Join(chat_id));
        }
    }

    fn join(&mut self, chat_id: &str, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let turn = self.agents_joined as usize % ROSTER.len();
        let (first_name, last_name, photo) = ROSTER[turn];
        self.agents_joined += 1;
        self.busy_agents += 1;
        let wishes = &self.config.agent;
        let config = LineConfig {
            answer_after: wishes.answer_after,
            reject: wishes.reject.clone(),
            no_offer: wishes.no_offer,
            hang_up_after: wishes.hang_up_after,
        };
        let line = Line::new(config, self.agents_joined * CALLS_A_LINE);
        let party_id = uuid::Uuid::new_v4().to_string();
        session.agent =
            Some(Agent { party_id: party_id.clone(), first_name, last_name, photo, line, call: CallState::default() });
        if session.state != SessionState::Connected {
            session.enter(SessionState::Connected, None);
        }
        session.joined(at);
        let greeting = script::greeting(first_name, session.customer_name.as_deref());
        session.say(&party_id, greeting, None, at);
        let client = session.client.id().to_owned();
        let who = Who { client: Some(&client), chat: Some(chat_id), agent: Some(first_name) };
        let early = self.faults.calls_early(who);
        if wishes.incoming || early {
            let deed = Deed::Call;
            let after = if early { Duration::ZERO } else { INCOMING_AFTER };
            self.timers.set(now + after, Timer::Agent { chat_id: chat_id.to_owned(), party_id, deed });
        }
        self.carry_out(chat_id, now);
        self.wake(chat_id);
    }

    /// The agent leaves the chat, and is free for the next one. False when there was none.
    pub(super) fn release_agent(&mut self, chat_id: &str, now: Duration) -> bool {
        let at = self.at(now);
        self.with_line(chat_id, None, now, |line, _| line.close());
        let Some(session) = self.sessions.get_mut(chat_id) else { return false };
        let Some(agent) = session.agent.take() else { return false };
        session.left(&agent.party_id, at);
        self.calls.retain(|_, chat| chat != chat_id);
        self.busy_agents = self.busy_agents.saturating_sub(1);
        self.wake(chat_id);
        true
    }

    /// The agent's reaction to an event of the conversation.
    pub(super) fn react(&mut self, chat_id: &str, event: &ClientEvent, now: Duration) {
        let Some(agent) = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref()) else { return };
        for (delay, deed) in script::react(event, self.config.agent.reply_after) {
            let (chat_id, party_id) = (chat_id.to_owned(), agent.party_id.clone());
            self.timers.set(now + delay, Timer::Agent { chat_id, party_id, deed });
        }
    }

    pub(super) fn do_deed(&mut self, chat_id: &str, party_id: &str, deed: Deed, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(agent) = session.agent.as_mut().filter(|agent| agent.party_id == party_id) else { return };
        match deed {
            Deed::Typing => session.typing(party_id, true, at),
            Deed::NotTyping => session.typing(party_id, false, at),
            Deed::Say(text) => session.say(party_id, text, None, at),
            Deed::SayMarkup => {
                let plain = "A message with bold text\nand a second line.";
                session.say(party_id, "A message with <b>bold</b> text<br>and a second line.", Some(plain.into()), at);
            }
            Deed::ShowForm => {
                session.show_form("contact", FORM_TIMEOUT_S, at);
            }
            Deed::ShowSecureForm => session.show_secure_form("payment", at),
            Deed::SendFile => {
                let text = "A file from your agent.\n";
                self.share(chat_id, party_id, "note.txt", "text/plain; charset=utf-8", text.as_bytes(), now);
            }
            Deed::SendPhoto => {
                let photo = agent.photo;
                self.share(chat_id, party_id, "photo.png", "image/png", photo, now);
            }
            Deed::SendLocation => session.share_location(party_id, 52.5163, 13.3777, at),
            Deed::AskCobrowsing => session.ask_cobrowsing(party_id, at),
            Deed::Warn => session.warn(at),
            Deed::RejectNextCall => {
                agent.line.reject_next();
                session.say(party_id, "I shall decline your next call.", None, at);
            }
            Deed::Dial(dial) => {
                if agent.line.dial(dial) {
                    self.carry_out(chat_id, now);
                } else {
                    session.say(party_id, "There is no call to press keys in.", None, at);
                }
            }
            Deed::Call => self.with_line(chat_id, Some(party_id), now, |line, now| line.call(now)),
            Deed::HangUp => self.with_line(chat_id, Some(party_id), now, |line, _| line.hang_up()),
            Deed::Transfer => {
                session.say(party_id, "I hand you over to a colleague.", None, at);
                // The colleague takes this chat before one that waits can have an agent.
                self.release_agent(chat_id, now);
                self.join(chat_id, now);
            }
            Deed::Leave => self.end(chat_id, SessionEnded::default(), now),
            Deed::TimeOut => self.time_out(chat_id, now),
        }
        self.wake(chat_id);
    }

    /// The customer pressed a key: the agent says which.
    pub(super) fn heard_digit(&mut self, chat_id: &str, digit: Digit, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(party_id) = session.agent.as_ref().map(|agent| agent.party_id.clone()) else { return };
        session.say(&party_id, format!("You pressed {digit}."), None, at);
        self.wake(chat_id);
    }

    fn share(&mut self, chat_id: &str, party_id: &str, name: &str, ty: &str, bytes: &'static [u8], now: Duration) {
        let at = self.at(now);
        let Some(client) = self.sessions.get(chat_id).map(|s| s.client.clone()) else { return };
        let (name_owned, content_type) = (name.to_owned(), ty.to_owned());
        let id = self.add_file(StoredFile { client, name: name_owned, content_type, bytes: bytes.into() });
        if let Some(session) = self.sessions.get_mut(chat_id) {
            session.share_file(party_id, id, name, ty.starts_with("image/"), at);
        }
    }

    /// A signaling message of the client, to a party.
    pub(super) fn client_signal(&mut self, chat_id: &str, destination: &str, signal: Signal, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        tracing::debug!(chat_id, signal = signal.name(), "from the client");
        let refusal = match &session.agent {
            None => Some(("480", "No agent is in this chat")),
            Some(agent) if agent.party_id != destination => Some(("404", "No such party is in this chat")),
            Some(_) => None,
        };
        match refusal {
            None => self.line_signal(chat_id, signal, now),
            // The other messages belong to a call that there cannot be; to refuse them would refuse the next one.
            Some((code, reason))
                if matches!(signal, Signal::RequestCall(_) | Signal::OfferCall(_) | Signal::AnswerCall(_)) =>
            {
                let from = session.agent.as_ref().map(|agent| agent.party_id.clone());
                session.signal(from, Signal::call_rejected(code, reason), at);
                self.wake(chat_id);
            }
            Some(_) => {}
        }
    }

    /// Gives an input to the agent's line (if it is still that agent's) and carries out what comes out.
    pub(super) fn with_line(
        &mut self,
        chat_id: &str,
        party_id: Option<&str>,
        now: Duration,
        input: impl FnOnce(&mut Line, Duration),
    ) {
        let Some(agent) = self.sessions.get_mut(chat_id).and_then(|s: &mut Session| s.agent.as_mut()) else { return };
        if party_id.is_none_or(|id| id == agent.party_id) {
            input(&mut agent.line, now);
            self.carry_out(chat_id, now);
        }
    }

    fn carry_out(&mut self, chat_id: &str, now: Duration) {
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(agent) = session.agent.as_mut() else { return };
        let outputs = agent.line.take_outputs();
        let (party_id, name) = (agent.party_id.clone(), agent.first_name);
        for output in outputs {
            match output {
                LineOutput::Send(signal) => self.post_signal(chat_id, signal, now),
                LineOutput::StartPeer(id, role) => {
                    self.calls.insert(id, chat_id.to_owned());
                    self.actions.push(Action::StartCall(CallSpec {
                        id,
                        chat_id: chat_id.to_owned(),
                        party_id: party_id.clone(),
                        agent: name.to_owned(),
                        role,
                    }));
                }
                LineOutput::Command(id, command) => {
                    if command == super::CallCommand::Close {
                        self.calls.remove(&id);
                    }
                    self.actions.push(Action::Call(id, command));
                }
                LineOutput::Timer(at, timer) => {
                    let (chat_id, party_id) = (chat_id.to_owned(), party_id.clone());
                    self.timers.set(at, Timer::Line { chat_id, party_id, timer });
                }
            }
        }
    }
}
