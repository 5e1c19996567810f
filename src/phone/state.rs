use crate::api::types::SessionState;
use crate::call::Phase;
use crate::chat::Party;

/// What is the case in a phone: for prompts, titles and checks. Events say what changes.
#[derive(Debug, Clone, PartialEq)]
pub struct PhoneState {
    /// The chat session, once it is open.
    pub chat_id: Option<String>,
    /// Whether the session was there before.
    pub resumed: bool,
    /// The session's state as the server last said.
    pub session: SessionState,
    /// Everybody known, also those who left.
    pub parties: Vec<Party>,
    /// The agent a call would be addressed to.
    pub agent: Option<Party>,
    /// Where the call stands.
    pub call: Phase,
    /// Whether what is sent is silenced.
    pub muted: bool,
    /// Whether the call is held on this side.
    pub held: bool,
}

impl Default for PhoneState {
    fn default() -> Self {
        Self {
            chat_id: None,
            resumed: false,
            session: SessionState::default(),
            parties: Vec::new(),
            agent: None,
            call: Phase::Idle,
            muted: false,
            held: false,
        }
    }
}

impl PhoneState {
    /// The name to show for a party: the id when it is not known.
    pub fn party_name(&self, id: &str) -> String {
        self.parties.iter().find(|p| p.id == id).map_or_else(|| id.to_owned(), Party::name)
    }
}
