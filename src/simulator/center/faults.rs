//! What goes wrong between an agent's line and the client.

use super::super::fault::{Concerns, Disturbed, OnWay};
use super::super::line::{CallCommand, CallEvent, CallId, Line, LineTimer};
use super::super::session::Session;
use super::{Action, Center, Timer};
use crate::api::signaling::Signal;
use std::time::Duration;

impl Center {
    /// Sends a message of the agent's line to the client, as the faults of its call have it.
    pub(super) fn post_signal(&mut self, chat_id: &str, signal: Signal, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Session { client, agent: Some(agent), .. } = session else { return };
        tracing::debug!(chat_id, signal = signal.name(), "to the client");
        let who = Concerns { client: Some(client.id()), chat: Some(chat_id), agent: Some(&agent.first_name) };
        let (party_id, peer) = (agent.party_id.clone(), agent.bot_line().and_then(Line::peer_id));
        let Disturbed { messages, media, end_after } = agent.trouble.outgoing(&mut self.faults, who, peer, signal, now);
        for message in messages {
            if message.after.is_zero() {
                session.signal(message.party.or(Some(party_id.clone())), message.signal, at);
            } else {
                let (chat_id, party_id) = (chat_id.to_owned(), party_id.clone());
                self.timers.set(now + message.after, Timer::Late { chat_id, party_id, message });
            }
        }
        if let Some(after) = end_after {
            self.hang_up_later(chat_id, party_id, peer, now + after);
        }
        if let (Some(plan), Some(id)) = (media, peer) {
            self.actions.push(Action::Call(id, CallCommand::Impair(plan)));
        }
        self.wake(chat_id);
    }

    /// A message that was held back goes.
    pub(super) fn send_late(&mut self, chat_id: &str, party_id: String, message: OnWay, now: Duration) {
        let at = self.at(now);
        if let Some(session) = self.sessions.get_mut(chat_id).filter(|s| !s.ended) {
            session.signal(message.party.or(Some(party_id)), message.signal, at);
            self.wake(chat_id);
        }
    }

    /// A message of the client arrives at the agent's line, or does not.
    pub(super) fn line_signal(&mut self, chat_id: &str, signal: Signal, now: Duration) {
        let answered = matches!(signal, Signal::AnswerCall(_));
        let agent = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref());
        let Some(signal) = agent.and_then(|agent| agent.trouble.incoming(signal)) else { return };
        self.with_line(chat_id, None, now, |line, now| line.signal(signal, now));
        let Some(agent) = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref()) else { return };
        if let Some(after) = agent.trouble.end_after_answer().filter(|_| answered) {
            let (party_id, peer) = (agent.party_id.clone(), agent.bot_line().and_then(Line::peer_id));
            self.hang_up_later(chat_id, party_id, peer, now + after);
        }
    }

    /// A peer reports; a call that has just connected may be one that is to end soon.
    pub(super) fn call_reported(&mut self, chat_id: &str, peer: CallId, event: &CallEvent, now: Duration) {
        let Some(agent) = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref()) else { return };
        if let (CallEvent::Connected, Some(after)) = (event, agent.trouble.end_after_connect()) {
            self.hang_up_later(chat_id, agent.party_id.clone(), Some(peer), now + after);
        }
    }

    /// The agent hangs up then, if it still has this call.
    fn hang_up_later(&mut self, chat_id: &str, party_id: String, peer: Option<CallId>, at: Duration) {
        if let Some(id) = peer {
            let (chat_id, timer) = (chat_id.to_owned(), LineTimer::HangUp(id));
            self.timers.set(at, Timer::Line { chat_id, party_id, timer });
        }
    }
}
