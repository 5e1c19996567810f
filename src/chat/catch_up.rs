//! What an answer would have said that never arrived.
//!
//! The server hands each event out once. When a poll's answer, or that of a send, is lost on the way, its events are in
//! the history alone, which is therefore read once more, beside the next poll. Signaling is not kept there: a call notices
//! by its own time limits.

use super::identity::{self, Identity};
use super::inbox::REMEMBERED;
use super::parties::Parties;
use super::request::Request;
use crate::api::ServerEvent;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Whether the history is to be read again.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// An answer was lost.
    pub wanted: bool,
    /// The server still holds an older poll: its answer is lost too, when it comes.
    pub after_poll: bool,
    pub request: Request,
}

impl CatchUp {
    /// An answer may have been lost.
    pub fn want(&mut self) {
        if !self.wanted {
            self.wanted = true;
            self.request.begin_anew();
        }
    }

    /// It is not read before this is over.
    pub fn wait(&mut self, now: Instant, delay: Duration) {
        if !self.request.is_in_flight() {
            self.request.wait(now, delay);
        }
    }

    /// A poll worked.
    pub fn polled(&mut self) {
        if std::mem::take(&mut self.after_poll) {
            self.want();
        }
    }
}

/// The events of a history that may be news, in its order. Signs of life and states are past; of a party only what is
/// true now counts, and only if it is not known.
pub(super) fn possible_news(history: Vec<ServerEvent>, parties: &Parties) -> Vec<ServerEvent> {
    use ServerEvent as E;
    // What is further back is not remembered any more, and would look new.
    let skipped = history.len().saturating_sub(REMEMBERED / 2);
    let last_word: HashMap<String, usize> = history
        .iter()
        .enumerate()
        .filter_map(|(at, event)| match event {
            E::PartyJoined(e) => Some((e.party_id.clone(), at)),
            E::PartyLeft(e) => Some((e.party_id.clone(), at)),
            _ => None,
        })
        .collect();
    let present = |id: &str| parties.get(id).is_some_and(|p| p.present);
    let may_be_news = |at: usize, event: &ServerEvent| match event {
        E::PartyJoined(e) => last_word.get(&e.party_id) == Some(&at) && !present(&e.party_id),
        E::PartyLeft(e) => last_word.get(&e.party_id) == Some(&at) && present(&e.party_id),
        E::Message(_)
        | E::File(_)
        | E::Location(_)
        | E::FormShow(_)
        | E::SecureFormShow(_)
        | E::CobrowsingRequested(_)
        | E::TimeoutWarning(_) => {
            // An event that nothing tells from another like it may have been shown long ago.
            at >= skipped && matches!(identity::of(event), Identity::Stamped(_))
        }
        _ => false,
    };
    history.into_iter().enumerate().filter(|(at, event)| may_be_news(*at, event)).map(|(_, event)| event).collect()
}
