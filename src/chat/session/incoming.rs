//! What the server's answers mean for a session.

use super::{Phase, Session};
use crate::api::ServerEvent;
use crate::api::types::{Chat, SessionState};
use crate::chat::identity;
use crate::chat::io::{ChatEvent, EndReason, HistoryEvent};
use crate::chat::request::Request;

impl Session {
    pub(super) fn opened(&mut self, chat: Chat) {
        let not_opened = if chat.chat_id.is_empty() {
            Some("the contact center gave no chat id".to_owned())
        } else if matches!(chat.state, SessionState::Failed | SessionState::Completed) {
            Some(format!("the contact center answered with a session that is {}", chat.state))
        } else {
            None
        };
        if let Some(message) = not_opened {
            return self.finish(EndReason::NotOpened { message });
        }
        let recovered = matches!(&self.phase, Phase::Opening { request, .. } if request.is_failing());
        let resumed = chat.is_new_chat == Some(false);
        self.chat_id = chat.chat_id.clone();
        self.state = chat.state.clone();
        self.ewt = chat.ewt.clone();
        self.phase = if resumed { Phase::Restoring { request: Request::default() } } else { Phase::Live };
        self.works(recovered);
        self.out.push_back(ChatEvent::Opened { chat, resumed });
    }

    pub(super) fn restored(&mut self, events: Vec<ServerEvent>, complete: bool) {
        let events = self.inbox.restore(events, self.now);
        self.outbox.resume(&self.chat_id, &events, &mut self.rng);
        for event in &events {
            // Only who takes part is taken from the past. The state is newer in Request Chat's answer, and an end in
            // the history of a session that lives is not its end.
            match event {
                ServerEvent::PartyJoined(e) => self.parties.joined(e),
                ServerEvent::PartyLeft(e) => self.parties.left(e),
                _ => {}
            }
        }
        let events = events.into_iter().map(|event| HistoryEvent { own: self.is_own(&event), event }).collect();
        let parties = self.parties.present().cloned().collect();
        self.out.push_back(ChatEvent::Restored { parties, events, complete });
        self.phase = Phase::Live;
    }

    /// Hands on what has arrived, in order.
    pub(super) fn hand_on(&mut self) {
        let mut over: Option<EndReason> = None;
        for event in self.inbox.take() {
            let ends = self.apply(&event);
            // "Ended" alone says less than what came before or with it.
            if ends.is_some() && matches!(over, None | Some(EndReason::ByServer)) {
                over = ends;
            }
            let own = self.is_own(&event);
            self.out.push_back(match event {
                ServerEvent::Signaling(e) if !own => ChatEvent::Signal {
                    party_id: e
                        .party_id
                        .filter(|id| !id.is_empty())
                        .or_else(|| self.parties.agent().map(|p| p.id.clone())),
                    signal: e.data,
                },
                event => ChatEvent::Server { event, own },
            });
        }
        if let Some(reason) = over {
            self.finish(reason);
        }
    }

    /// Notes what an event says about the session; gives the reason if it ends it.
    fn apply(&mut self, event: &ServerEvent) -> Option<EndReason> {
        match event {
            ServerEvent::PartyJoined(e) => self.parties.joined(e),
            ServerEvent::PartyLeft(e) => self.parties.left(e),
            ServerEvent::Status(e) => {
                self.state = e.state.clone();
                self.ewt = e.ewt.clone();
                match e.state {
                    SessionState::Failed => return Some(EndReason::ServerFailed),
                    SessionState::Completed => return Some(EndReason::ByServer),
                    _ => {}
                }
            }
            ServerEvent::Ended(_) => return Some(EndReason::ByServer),
            ServerEvent::InactivityTimeout(e) => return Some(EndReason::Inactivity { message: e.msg.clone() }),
            _ => {}
        }
        None
    }

    fn is_own(&self, event: &ServerEvent) -> bool {
        identity::party_of(event).is_some_and(|id| id == self.chat_id)
    }
}
