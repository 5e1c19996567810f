//! The center as desks and the admin API see it.

use super::super::session::{Agent, Session};
use super::Center;
use super::desks::to_json;
use crate::simulator::desk::wire::{AgentView, ChatView, DeskView};
use serde_json::Value;

impl Center {
    pub(super) fn chat_view(&self, session: &Session) -> ChatView {
        let agent = |agent: &Agent| AgentView {
            party_id: agent.party_id.clone(),
            name: agent.display_name(),
            desk: agent.desk(),
        };
        ChatView {
            chat_id: session.id.clone(),
            number: session.number,
            state: session.state.to_string(),
            since_ms: session.since.0,
            customer: session.customer_name.clone(),
            phone_number: session.phone_number.clone(),
            parameters: session.parameters.clone(),
            agent: session.agent.as_ref().map(agent),
            call: Self::call_view(session),
        }
    }

    /// The chats that wait for an agent, the first one first.
    pub fn waiting(&self) -> Vec<ChatView> {
        self.queue.values().filter_map(|id| self.sessions.get(id)).map(|s| self.chat_view(s)).collect()
    }

    /// All chats that are not over, the first one first.
    pub fn chats(&self) -> Vec<ChatView> {
        let mut open: Vec<_> = self.sessions.values().filter(|s| !s.ended).collect();
        open.sort_by_key(|s| s.number);
        open.into_iter().map(|s| self.chat_view(s)).collect()
    }

    /// One chat with its history.
    pub fn chat(&self, chat_id: &str) -> Option<(ChatView, Vec<Value>)> {
        let session = self.sessions.get(chat_id).filter(|s| !s.ended)?;
        Some((self.chat_view(session), session.history().iter().map(to_json).collect()))
    }

    pub fn desks(&self) -> Vec<DeskView> {
        self.desks.views()
    }

    /// The file, whoever shared it.
    pub fn any_file(&self, file_id: &str) -> Option<super::StoredFile> {
        self.files.find(file_id).cloned()
    }
}
