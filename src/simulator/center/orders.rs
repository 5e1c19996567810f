//! What a desk or the admin API asks for in a chat.

use super::super::config::{Hours, Rejection};
use super::super::session::Who;
use super::{Center, FORM_TIMEOUT_S};
use crate::api::ServerEvent;
use crate::api::event::SessionEnded;
use crate::simulator::desk::wire::{ChatCommand, DeskCommand, DeskEvent, DeskId};
use bytes::Bytes;
use chatphone_media::audio::dtmf::Dial;
use serde_json::json;
use std::time::Duration;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum By {
    /// The page of this desk: it acts in its own chats alone.
    Desk(DeskId),
    /// The admin API: it acts for whoever has the chat.
    Admin,
}

impl Center {
    /// Does something that is about no single chat.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn desk_order(&mut self, id: DeskId, command: DeskCommand, now: Duration) -> Result<(), String> {
        match command {
            DeskCommand::SignIn(_) => Err("this desk is signed in".into()),
            DeskCommand::Ready { on } => self.set_ready(id, on, now),
        }
    }

    /// Does something in a chat.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn order(&mut self, chat_id: &str, command: ChatCommand, by: By, now: Duration) -> Result<(), String> {
        let session = self.sessions.get(chat_id).filter(|s| !s.ended);
        let session = session.ok_or_else(|| format!("there is no chat {chat_id}"))?;
        if let ChatCommand::Take { desk } = command {
            return self.take(chat_id, desk, by, now);
        }
        let desk = session.agent.as_ref().and_then(|a| a.desk());
        if matches!(by, By::Desk(id) if desk != Some(id)) {
            return Err("this chat is not at this desk".into());
        }
        match command {
            // These need no agent.
            ChatCommand::End => self.end(chat_id, SessionEnded::default(), now),
            ChatCommand::TimeOut => self.time_out(chat_id, now),
            ChatCommand::Disconnect => self.disconnect(chat_id, now),
            ChatCommand::Warn | ChatCommand::Inject { .. } => self.event_without_agent(chat_id, command, now),
            _ if session.agent.is_none() => return Err("no agent is in this chat".into()),
            command => match desk {
                Some(id) => return self.at_desk(chat_id, id, command, by, now),
                None => return self.at_bot(chat_id, command, now),
            },
        }
        Ok(())
    }

    fn event_without_agent(&mut self, chat_id: &str, command: ChatCommand, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        match command {
            ChatCommand::Inject { event } => match serde_json::from_value::<ServerEvent>(event.into()) {
                Ok(event) => session.post(event),
                Err(error) => tracing::warn!(%error, "the event cannot be injected"),
            },
            _ => session.warn(at),
        }
        self.wake(chat_id);
    }

    fn take(&mut self, chat_id: &str, desk: Option<DeskId>, by: By, now: Duration) -> Result<(), String> {
        let id = match by {
            By::Desk(id) => id,
            By::Admin => desk.ok_or("which desk takes it? `desk` is missing")?,
        };
        self.desks.get(id).ok_or_else(|| format!("there is no desk {id}"))?;
        if !self.queue.values().any(|waiting| waiting == chat_id) {
            return Err("this chat does not wait for an agent".into());
        }
        self.join(chat_id, super::agents::Taker::Desk(id), now);
        Ok(())
    }

    /// What bots and desks do alike; gives back what they do not.
    fn converse(&mut self, chat_id: &str, command: ChatCommand, now: Duration) -> Result<Option<ChatCommand>, String> {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return Ok(None) };
        let Some(party_id) = session.agent.as_ref().map(|a| a.party_id.clone()) else { return Ok(None) };
        let party_id = party_id.as_str();
        match command {
            ChatCommand::Message { text } => session.say(party_id, text, None, at),
            ChatCommand::Typing { on } => session.typing(party_id, on, at),
            ChatCommand::Form { name } => {
                session.show_form(&name, FORM_TIMEOUT_S, at);
            }
            ChatCommand::SecureForm { form_id } => session.show_secure_form(&form_id, at),
            ChatCommand::Location { latitude, longitude } => session.share_location(party_id, latitude, longitude, at),
            ChatCommand::Cobrowsing => session.ask_cobrowsing(party_id, at),
            ChatCommand::Transfer { desk } => {
                if let Some(id) = desk {
                    self.desks.get(id).ok_or_else(|| format!("there is no desk {id}"))?;
                }
                self.transfer(chat_id, desk, now);
                return Ok(None);
            }
            other => return Ok(Some(other)),
        }
        self.wake(chat_id);
        Ok(None)
    }

    fn at_bot(&mut self, chat_id: &str, command: ChatCommand, now: Duration) -> Result<(), String> {
        let Some(command) = self.converse(chat_id, command, now)? else { return Ok(()) };
        let Some(agent) = self.sessions.get_mut(chat_id).and_then(|s| s.agent.as_mut()) else { return Ok(()) };
        let Who::Bot(line) = &mut agent.who else { return Ok(()) };
        match command {
            ChatCommand::Call { .. } if line.is_busy() => return Err("there is a call already".into()),
            ChatCommand::Call { .. } => line.call(now),
            ChatCommand::Answer { .. } if !line.answer(now) => return Err("no call rings".into()),
            ChatCommand::Answer { .. } => {}
            ChatCommand::Reject { code, reason } => line.refuse(Rejection { code, reason }),
            ChatCommand::HangUp { .. } if !line.is_busy() => return Err("there is no call".into()),
            ChatCommand::HangUp { .. } => line.hang_up(),
            ChatCommand::Dial { keys } => {
                let dial: Dial = keys.parse().map_err(|e| format!("{e}"))?;
                if !line.dial(dial) {
                    return Err("there is no call to press keys in".into());
                }
            }
            ChatCommand::Signal { data, .. } => line.inject(data),
            _ => return Err("a bot cannot do that".into()),
        }
        self.with_line(chat_id, None, now, |_, _| ());
        Ok(())
    }

    fn at_desk(
        &mut self,
        chat_id: &str,
        id: DeskId,
        command: ChatCommand,
        by: By,
        now: Duration,
    ) -> Result<(), String> {
        let Some(command) = self.converse(chat_id, command, now)? else { return Ok(()) };
        match command {
            ChatCommand::Signal { data, call } => self.desk_signal(chat_id, data, call, now),
            ChatCommand::HangUp { .. } | ChatCommand::Reject { .. } => {
                let line = self.desk_line(chat_id).ok_or("this chat is not at a desk")?;
                let done = match &command {
                    ChatCommand::Reject { code, reason } => line.reject(code, reason),
                    ChatCommand::HangUp { call } => line.hang_up(*call),
                    _ => false,
                };
                self.carry_out_desk(chat_id, now);
                if done { Ok(()) } else { Err("there is no such call".into()) }
            }
            ChatCommand::Report { stats } => {
                let agent = self.sessions.get_mut(chat_id).and_then(|s| s.agent.as_mut());
                if let Some(Who::Desk { line, report, .. }) = agent.map(|a| &mut a.who)
                    && line.is_busy()
                {
                    *report = Some(stats);
                }
                Ok(())
            }
            command => {
                if let ChatCommand::Dial { keys } = &command {
                    keys.parse::<Dial>().map_err(|e| format!("{e}"))?;
                }
                if by == By::Desk(id) {
                    return Err("this is for the page itself to do".into());
                }
                self.tell(id, DeskEvent::Perform { chat_id: chat_id.to_owned(), command });
                Ok(())
            }
        }
    }

    /// Whether the agent of a chat can share a file; gives the agent's party.
    ///
    /// # Errors
    /// When there is no such chat, or no agent in it.
    pub fn may_share(&self, chat_id: &str) -> Result<String, String> {
        let session = self.sessions.get(chat_id).filter(|s| !s.ended);
        let session = session.ok_or_else(|| format!("there is no chat {chat_id}"))?;
        Ok(session.agent.as_ref().map(|a| a.party_id.clone()).ok_or("no agent is in this chat")?)
    }

    /// The agent shares a file.
    ///
    /// # Errors
    /// As [`Center::may_share`].
    pub fn share_file(
        &mut self,
        chat_id: &str,
        name: &str,
        content_type: &str,
        bytes: Bytes,
        now: Duration,
    ) -> Result<(), String> {
        let party_id = self.may_share(chat_id)?;
        self.share(chat_id, &party_id, name, content_type, bytes, now);
        Ok(())
    }

    /// Opens or closes the center, from now on.
    pub fn set_hours(&mut self, hours: Hours, now: Duration) {
        self.hours = hours;
        let open = self.is_open(now);
        self.note(None, json!({"event": "hours_changed", "open": open}), now);
    }

    /// Whether the center is open now.
    pub fn is_open(&self, now: Duration) -> bool {
        self.hours.is_open(self.at(now).0)
    }
}
