//! Desks: who signs in and out, what each is told, and the signaling between a desk and a client.

use super::super::session::{Agent, SCENARIO_PARTY, Session, Who};
use super::{Action, Center, Side, Timer};
use crate::api::ServerEvent;
use crate::api::signaling::Signal;
use crate::simulator::desk::line::{CallState, DeskLine, DeskLineOutput};
use crate::simulator::desk::wire::{CallView, DeskEvent, DeskId, GoneReason, SignIn};
use serde_json::{Value, json};
use std::time::Duration;

impl Center {
    /// An agent comes to a desk.
    ///
    /// # Errors
    /// When the name or the capacity is of no use, there are too many desks, or the center is closing.
    pub fn sign_in(&mut self, who: SignIn, now: Duration) -> Result<DeskId, String> {
        if self.closed {
            return Err("the center is closing".into());
        }
        if let Some(id) = self.desks.come_back(&who) {
            self.welcome_back(id, now);
            return Ok(id);
        }
        let id = self.desks.sign_in(who, now)?;
        let Some(desk) = self.desks.view(id) else { return Err("the desk is gone".into()) };
        self.note(None, json!({"event": "desk_signed_in", "desk": id, "name": desk.name}), now);
        self.tell(id, DeskEvent::Welcome { desk, ice_servers: self.config.ice_servers.clone() });
        let chats = self.waiting();
        self.tell(id, DeskEvent::Waiting { chats });
        self.tell_desks();
        self.serve_queue(now);
        Ok(id)
    }

    /// The page of a desk comes back, with the chats that it had.
    fn welcome_back(&mut self, id: DeskId, now: Duration) {
        let Some(desk) = self.desks.view(id) else { return };
        self.note(None, json!({"event": "desk_came_back", "desk": id, "name": desk.name}), now);
        let chats = desk.chats.clone();
        self.tell(id, DeskEvent::Welcome { desk, ice_servers: self.config.ice_servers.clone() });
        let waiting = self.waiting();
        self.tell(id, DeskEvent::Waiting { chats: waiting });
        for chat_id in chats {
            self.publish_to(&chat_id, None, now);
            let Some(session) = self.sessions.get(&chat_id) else { continue };
            let chat = Box::new(self.chat_view(session));
            let events = session.history().iter().map(to_json).collect();
            self.tell(id, DeskEvent::Chat { chat, events });
        }
        self.tell_desks();
        self.serve_queue(now);
    }

    /// The page of a desk is gone without a word: its chats and calls wait for it to come back.
    pub fn step_away(&mut self, id: DeskId, now: Duration) {
        let until = now + self.config.desk_grace;
        if self.closed || until == now || !self.desks.step_away(id, until) {
            return self.sign_out(id, now);
        }
        self.note(None, json!({"event": "desk_away", "desk": id}), now);
        self.timers.set(until, Timer::Away(id));
    }

    /// A page that did not come back is signed out.
    pub(super) fn give_up_desk(&mut self, id: DeskId, now: Duration) {
        if self.desks.is_gone(id, now) {
            self.sign_out(id, now);
        }
    }

    /// The desk is gone, on purpose or not: its calls end at once, its chats go to others or back to the queue.
    pub fn sign_out(&mut self, id: DeskId, now: Duration) {
        let Some(desk) = self.desks.sign_out(id) else { return };
        self.note(None, json!({"event": "desk_signed_out", "desk": id, "name": desk.name}), now);
        for chat_id in desk.chats() {
            let at = self.at(now);
            if let Some(session) = self.sessions.get_mut(chat_id) {
                session.say(SCENARIO_PARTY, format!("{} has left.", desk.name), None, at);
            }
            self.transfer(chat_id, None, now);
        }
        self.tell_desks();
    }

    /// Whether a desk is given chats.
    ///
    /// # Errors
    /// When there is no such desk.
    pub fn set_ready(&mut self, id: DeskId, on: bool, now: Duration) -> Result<(), String> {
        self.desks.get_mut(id).ok_or_else(|| format!("there is no desk {id}"))?.ready = on;
        self.tell_desks();
        self.serve_queue(now);
        Ok(())
    }

    /// A chat becomes a desk's.
    pub(super) fn give_to_desk(&mut self, id: DeskId, chat_id: &str, now: Duration) {
        // What happened before is in the history that the desk is given with the chat.
        self.publish_to(chat_id, None, now);
        self.desks.give(id, chat_id, now);
        self.note(Some(chat_id), json!({"event": "chat_given", "desk": id}), now);
        let Some(session) = self.sessions.get(chat_id) else { return };
        let chat = Box::new(self.chat_view(session));
        let events = session.history().iter().map(to_json).collect();
        self.tell(id, DeskEvent::Chat { chat, events });
        self.tell_desks();
    }

    pub(super) fn take_from_desk(&mut self, id: DeskId, chat_id: &str, reason: GoneReason, now: Duration) {
        self.publish_to(chat_id, Some(id), now);
        self.desks.take_back(id, chat_id, now);
        self.note(Some(chat_id), json!({"event": "chat_taken_back", "desk": id}), now);
        self.tell(id, DeskEvent::Gone { chat_id: chat_id.to_owned(), reason });
        self.tell_desks();
    }

    /// A signaling message of the client, to the desk that has its chat.
    pub(super) fn client_signal_to_desk(&mut self, chat_id: &str, signal: Signal, now: Duration) {
        let wants_call = matches!(signal, Signal::RequestCall(_) | Signal::OfferCall(_));
        let elsewhere = self.is_in_another_call(chat_id);
        let Some(line) = self.desk_line(chat_id) else { return };
        line.client(signal, now);
        if wants_call && elsewhere && line.reject("486", "The agent is in another call") {
            self.note(Some(chat_id), json!({"event": "call_refused_busy"}), now);
        }
        self.carry_out_desk(chat_id, now);
    }

    /// A signaling message of the desk's page.
    pub(super) fn desk_signal(
        &mut self,
        chat_id: &str,
        signal: Signal,
        call: Option<u64>,
        now: Duration,
    ) -> Result<(), String> {
        let takes_call = matches!(signal, Signal::OfferCall(_) | Signal::AnswerCall(_));
        if takes_call && self.is_in_another_call(chat_id) {
            return Err("this desk is in another call".into());
        }
        let line = self.desk_line(chat_id).ok_or("this chat is not at a desk")?;
        line.agent(signal, call, now)?;
        self.carry_out_desk(chat_id, now);
        Ok(())
    }

    /// Whether the desk of this chat is in a call in another chat.
    fn is_in_another_call(&self, chat_id: &str) -> bool {
        let desk = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref()).and_then(Agent::desk);
        let Some(desk) = desk.and_then(|id| self.desks.get(id)) else { return false };
        let in_call = |chat: &String| {
            let agent = self.sessions.get(chat).and_then(|s| s.agent.as_ref());
            agent.is_some_and(|a| matches!(&a.who, Who::Desk { line, .. } if line.is_taken()))
        };
        desk.chats().iter().filter(|chat| *chat != chat_id).any(in_call)
    }

    /// Ends a call at a desk that nobody answered in time.
    pub(super) fn desk_call_unanswered(&mut self, chat_id: &str, party_id: &str, now: Duration) {
        let agent = self.sessions.get_mut(chat_id).and_then(|s| s.agent.as_mut());
        if let Some(agent) = agent.filter(|a| a.party_id == party_id)
            && let Who::Desk { line, .. } = &mut agent.who
        {
            line.handle_timeout(now);
            self.carry_out_desk(chat_id, now);
        }
    }

    pub(super) fn desk_line(&mut self, chat_id: &str) -> Option<&mut DeskLine> {
        match &mut self.sessions.get_mut(chat_id)?.agent.as_mut()?.who {
            Who::Desk { line, .. } => Some(line),
            Who::Bot(_) => None,
        }
    }

    /// Hands on what comes out of a desk's line, and tells the desk how the call stands.
    pub(super) fn carry_out_desk(&mut self, chat_id: &str, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(agent) = session.agent.as_mut() else { return };
        let Who::Desk { id, line, report } = &mut agent.who else { return };
        let outputs = line.take_outputs();
        if outputs.is_empty() {
            return;
        }
        if line.state() == CallState::Idle {
            *report = None;
        }
        let (id, party_id) = (*id, agent.party_id.clone());
        if let Some(due) = line.take_new_timeout() {
            let (chat_id, party_id) = (chat_id.to_owned(), party_id.clone());
            self.timers.set(due, Timer::Unanswered { chat_id, party_id });
        }
        for output in outputs {
            match output {
                DeskLineOutput::ToClient(signal) => session.signal(Some(party_id.clone()), signal, at),
                DeskLineOutput::ToDesk(data) => {
                    let event = DeskEvent::Signal { chat_id: chat_id.to_owned(), data };
                    self.actions.push(Action::Desk(id, event));
                }
            }
        }
        let call = Self::call_view(session);
        self.tell(id, DeskEvent::Call { chat_id: chat_id.to_owned(), call });
        self.wake(chat_id);
    }

    /// Gives what happened in a session to its desk and to the log.
    pub(super) fn publish(&mut self, chat_id: &str, now: Duration) {
        let desk = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref()).and_then(Agent::desk);
        self.publish_to(chat_id, desk, now);
    }

    fn publish_to(&mut self, chat_id: &str, desk: Option<DeskId>, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        for fresh in session.take_fresh() {
            let event = to_json(&fresh.event);
            if let Some(desk) = desk
                && !matches!(fresh.event, ServerEvent::Signaling(_))
            {
                let event = DeskEvent::Event { chat_id: chat_id.to_owned(), event: event.clone() };
                self.actions.push(Action::Desk(desk, event));
            }
            self.log.add(at.0, Some(chat_id), fresh.from, event);
        }
    }

    /// Writes something of the center's own into the log.
    pub(super) fn note(&mut self, chat_id: Option<&str>, event: Value, now: Duration) {
        let at = self.at(now);
        self.log.add(at.0, chat_id, Side::Center, event);
    }

    pub(super) fn tell(&mut self, id: DeskId, event: DeskEvent) {
        self.actions.push(Action::Desk(id, event));
    }

    fn tell_all(&mut self, event: &DeskEvent) {
        let all = self.desks.ids().map(|id| Action::Desk(id, event.clone()));
        self.actions.extend(all);
    }

    fn tell_desks(&mut self) {
        let desks = self.desks.views();
        self.tell_all(&DeskEvent::Desks { desks });
    }

    /// Tells all desks which chats wait, when that has changed.
    pub(super) fn tell_queue(&mut self) {
        if std::mem::take(&mut self.queue_changed) && self.desks.ids().next().is_some() {
            let chats = self.waiting();
            self.tell_all(&DeskEvent::Waiting { chats });
        }
    }

    /// The call of a chat, as desks and the admin API see it.
    pub(super) fn call_view(session: &Session) -> CallView {
        match session.agent.as_ref().map(|agent| &agent.who) {
            None => CallView::default(),
            Some(Who::Bot(line)) => CallView { state: line.call_state(), ..Default::default() },
            Some(Who::Desk { line, report, .. }) => {
                let (state, number, video) = (line.state(), line.number(), line.video());
                CallView { state, number, video, again: line.is_again(), report: report.clone() }
            }
        }
    }
}

pub(super) fn to_json(event: &ServerEvent) -> Value {
    serde_json::to_value(event).unwrap_or_default()
}
