//! Which agent has a chat, a bot or a desk: joining, leaving, and the queue of the chats that none is free for.

use super::super::fault::{CallTrouble, Concerns};
use super::super::line::{Line, LineConfig, LineOutput};
use super::super::script::{self, Deed};
use super::super::session::{Agent, SCENARIO_PARTY, Session, Who};
use super::{Action, CallSpec, Center, Timer};
use crate::api::event::SessionEnded;
use crate::api::signaling::Signal;
use crate::api::types::SessionState;
use crate::simulator::desk::line::DeskLine;
use crate::simulator::desk::wire::{DeskId, GoneReason};
use std::time::Duration;

/// Names and photos of the bots, taken in turn; desks have names of their own.
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

/// Who takes a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    Bot,
    Desk(DeskId),
}

impl Center {
    /// An agent takes the chat, or it waits for one; outside the hours the scenario says so and ends it.
    pub(super) fn admit(&mut self, chat_id: &str, now: Duration) {
        let at = self.at(now);
        let open = self.hours.is_open(at.0);
        let Some(session) = self.sessions.get_mut(chat_id).filter(|s| !s.ended && s.agent.is_none()) else { return };
        if !open {
            session.scenario_joined(at);
            session.say(SCENARIO_PARTY, "We are closed. Please come back in our hours of operation.", None, at);
            return self.end(chat_id, SessionEnded::default(), now);
        }
        match self.free_agent(None) {
            Some(taker) => self.join(chat_id, taker, now),
            None => self.enqueue(chat_id),
        }
    }

    /// Who takes the next chat: a desk before a bot. `but`: not this desk.
    pub(super) fn free_agent(&self, but: Option<DeskId>) -> Option<Taker> {
        let bot = || self.bots.is_none_or(|bots| self.busy_bots < bots).then_some(Taker::Bot);
        self.desks.next(but).map(Taker::Desk).or_else(bot)
    }

    pub(super) fn enqueue(&mut self, chat_id: &str) {
        let Some(session) = self.sessions.get(chat_id) else { return };
        self.queue.insert(session.number, chat_id.to_owned());
        self.queue_changed = true;
    }

    /// Lets the chat that has waited longest try again, now that an agent may be free. It calls the next one.
    pub(super) fn serve_queue(&mut self, now: Duration) {
        if !self.closed
            && self.free_agent(None).is_some()
            && let Some((_, chat_id)) = self.queue.first_key_value()
        {
            self.timers.set(now, Timer::Join(chat_id.clone()));
        }
    }

    pub(super) fn join(&mut self, chat_id: &str, taker: Taker, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let (first_name, last_name, photo) = ROSTER[self.agents_joined as usize % ROSTER.len()];
        self.agents_joined += 1;
        let party_id = uuid::Uuid::new_v4().to_string();
        let agent = |first: &str, last: &str, who| Agent {
            party_id: party_id.clone(),
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            photo,
            who,
            trouble: CallTrouble::default(),
        };
        session.agent = Some(match taker {
            Taker::Bot => {
                self.busy_bots += 1;
                let line = Line::new(LineConfig::from(&self.bot), self.agents_joined * CALLS_A_LINE);
                agent(first_name, last_name, Who::Bot(line))
            }
            Taker::Desk(id) => {
                let Some(desk) = self.desks.get(id) else { return };
                let (first, last) = desk.names();
                agent(
                    first,
                    last,
                    Who::Desk { id, line: DeskLine::after(self.agents_joined * CALLS_A_LINE), report: None },
                )
            }
        });
        self.queue_changed |= self.queue.remove(&session.number).is_some();
        if session.state != SessionState::Connected {
            session.enter(SessionState::Connected, None);
        }
        session.joined(at);
        match taker {
            Taker::Bot => {
                let greeting = script::greeting(first_name, session.customer_name.as_deref());
                session.say(&party_id, greeting, None, at);
                let client = Some(session.client.id());
                let early = self.faults.calls_early(Concerns { client, chat: Some(chat_id), agent: Some(first_name) });
                if self.bot.incoming || early {
                    let deed = Deed::Call;
                    let chat_id = chat_id.to_owned();
                    let after = if early { Duration::ZERO } else { INCOMING_AFTER };
                    self.timers.set(now + after, Timer::Agent { chat_id, party_id: party_id.clone(), deed });
                }
                self.carry_out(chat_id, now);
            }
            Taker::Desk(id) => self.give_to_desk(id, chat_id, now),
        }
        self.wake(chat_id);
        self.serve_queue(now);
    }

    /// The agent leaves the chat, and is free for the next one. False when there was none.
    pub(super) fn release_agent(&mut self, chat_id: &str, reason: GoneReason, now: Duration) -> bool {
        let at = self.at(now);
        self.end_call(chat_id, now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return false };
        let Some(agent) = session.agent.take() else { return false };
        session.left(&agent.party_id, at);
        self.calls.retain(|_, chat| chat != chat_id);
        match agent.who {
            Who::Bot(_) => self.busy_bots = self.busy_bots.saturating_sub(1),
            Who::Desk { id, .. } => self.take_from_desk(id, chat_id, reason, now),
        }
        self.wake(chat_id);
        true
    }

    /// Ends the call of a chat whose agent goes.
    fn end_call(&mut self, chat_id: &str, now: Duration) {
        let Some(agent) = self.sessions.get_mut(chat_id).and_then(|s| s.agent.as_mut()) else { return };
        match &mut agent.who {
            Who::Bot(line) => {
                line.close();
                self.carry_out(chat_id, now);
            }
            Who::Desk { line, .. } => {
                line.hang_up(None);
                self.carry_out_desk(chat_id, now);
            }
        }
    }

    /// The agent hands the chat over: to a desk, else to whoever is free, else to the queue.
    pub(super) fn transfer(&mut self, chat_id: &str, to: Option<DeskId>, now: Duration) {
        let Some(session) = self.sessions.get(chat_id) else { return };
        let from = session.agent.as_ref().and_then(Agent::desk);
        self.release_agent(chat_id, GoneReason::Transferred, now);
        // The colleague takes this chat before one that waits can have an agent.
        match to.map(Taker::Desk).or_else(|| self.free_agent(from)) {
            Some(taker) => self.join(chat_id, taker, now),
            None => self.wait_again(chat_id, now),
        }
        self.serve_queue(now);
    }

    /// The chat has lost its agent and waits for another one.
    pub(super) fn wait_again(&mut self, chat_id: &str, now: Duration) {
        let (at, ewt_s) = (self.at(now), self.config.ewt_s);
        let Some(session) = self.sessions.get_mut(chat_id).filter(|s| !s.ended) else { return };
        session.enter(SessionState::Queued, ewt_s);
        session.say(SCENARIO_PARTY, "Please wait: another agent will be with you soon.", None, at);
        self.enqueue(chat_id);
        self.wake(chat_id);
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
            None if session.agent.as_ref().is_some_and(|agent| agent.desk().is_some()) => {
                self.client_signal_to_desk(chat_id, signal, now);
            }
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

    /// Gives an input to the bot's line (if it is still that agent's) and carries out what comes out.
    pub(super) fn with_line(
        &mut self,
        chat_id: &str,
        party_id: Option<&str>,
        now: Duration,
        input: impl FnOnce(&mut Line, Duration),
    ) {
        let Some(agent) = self.sessions.get_mut(chat_id).and_then(|s: &mut Session| s.agent.as_mut()) else { return };
        if party_id.is_none_or(|id| id == agent.party_id)
            && let Who::Bot(line) = &mut agent.who
        {
            input(line, now);
            self.carry_out(chat_id, now);
        }
    }

    fn carry_out(&mut self, chat_id: &str, now: Duration) {
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(agent) = session.agent.as_mut() else { return };
        let Who::Bot(line) = &mut agent.who else { return };
        let outputs = line.take_outputs();
        let (party_id, name) = (agent.party_id.clone(), agent.first_name.clone());
        for output in outputs {
            match output {
                LineOutput::Send(signal) => self.post_signal(chat_id, signal, now),
                LineOutput::StartPeer(id, role) => {
                    self.calls.insert(id, chat_id.to_owned());
                    self.actions.push(Action::StartCall(CallSpec {
                        id,
                        chat_id: chat_id.to_owned(),
                        party_id: party_id.clone(),
                        agent: name.clone(),
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
