//! Who takes part in a session.

use crate::api::event::{PartyJoined, PartyLeft};
use crate::api::lenient::Timestamp;
use crate::api::types::PartyType;

/// How many parties are remembered; of those who left the first is forgotten first.
const REMEMBERED: usize = 128;

/// One party of a session: an agent, a scenario, another customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Party {
    /// Identifies the party within the session.
    pub id: String,
    /// What kind of party it is.
    pub party_type: PartyType,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// The name to show, as the server gave it.
    pub display_name: Option<String>,
    /// When it joined, by the server.
    pub joined: Option<Timestamp>,
    /// False: it left. It is kept so that what it wrote can still be shown under its name.
    pub present: bool,
}

impl Party {
    /// The name to show: the display name, else first and last name, else the id.
    pub fn name(&self) -> String {
        let given = |name: &Option<String>| name.as_deref().map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned);
        given(&self.display_name)
            .or_else(|| match (given(&self.first_name), given(&self.last_name)) {
                (Some(first), Some(last)) => Some(format!("{first} {last}")),
                (first, last) => first.or(last),
            })
            .unwrap_or_else(|| self.id.clone())
    }

    /// Whether a call can be addressed to it: an agent who is present. A party whose type the server left out counts as
    /// one, since the published text has agents in mind when it speaks of parties.
    pub fn is_agent(&self) -> bool {
        self.present && (self.party_type == PartyType::Internal || self.party_type.as_str().is_empty())
    }
}

/// The parties of a session, in the order they joined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parties(Vec<Party>);

impl Parties {
    /// The party with this id, present or not.
    pub fn get(&self, id: &str) -> Option<&Party> {
        self.0.iter().find(|p| p.id == id)
    }

    /// Everybody known, those who left among them.
    pub fn all(&self) -> impl Iterator<Item = &Party> {
        self.0.iter()
    }

    /// Everybody who is present, in the order they joined.
    pub fn present(&self) -> impl DoubleEndedIterator<Item = &Party> {
        self.0.iter().filter(|p| p.present)
    }

    /// The agent a call can be addressed to: the one who joined last, since after a transfer the earlier one is leaving.
    pub fn agent(&self) -> Option<&Party> {
        self.0.iter().rev().find(|p| p.is_agent())
    }

    /// Notes that a party joined, or joined again, or is named anew.
    pub(super) fn joined(&mut self, event: &PartyJoined) {
        if event.party_id.is_empty() {
            return; // nobody could be addressed by it
        }
        let was = self.0.iter().position(|p| p.id == event.party_id).map(|at| self.0.remove(at));
        let (first_name, last_name, display_name) =
            was.map_or((None, None, None), |p| (p.first_name, p.last_name, p.display_name));
        self.0.push(Party {
            id: event.party_id.clone(),
            party_type: event.party_type.clone(),
            first_name: event.first_name.clone().or(first_name),
            last_name: event.last_name.clone().or(last_name),
            display_name: event.display_name.clone().or(display_name),
            joined: event.timestamp,
            present: true,
        });
        if self.0.len() > REMEMBERED {
            let goes = self.0.iter().position(|p| !p.present).unwrap_or(0);
            self.0.remove(goes);
        }
    }

    /// Notes that a party left.
    pub(super) fn left(&mut self, event: &PartyLeft) {
        if let Some(party) = self.0.iter_mut().find(|p| p.id == event.party_id) {
            party.present = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(id: &str, party_type: PartyType) -> PartyJoined {
        PartyJoined { party_id: id.into(), party_type, ..Default::default() }
    }

    fn leave(id: &str) -> PartyLeft {
        PartyLeft { party_id: id.into(), ..Default::default() }
    }

    #[test]
    fn a_call_is_addressed_to_the_agent_who_joined_last() {
        let mut parties = Parties::default();
        parties.joined(&join("bot", PartyType::Scenario));
        assert_eq!(parties.agent(), None);
        parties.joined(&join("ann", PartyType::Internal));
        parties.joined(&join("bob", PartyType::Internal));
        parties.joined(&join("guest", PartyType::External));
        parties.joined(&join("odd", PartyType::Unknown("supervisor".into())));
        assert_eq!(parties.agent().map(|p| p.id.as_str()), Some("bob"));
        parties.left(&leave("bob"));
        assert_eq!(parties.agent().map(|p| p.id.as_str()), Some("ann"));
    }

    #[test]
    fn a_party_without_a_type_can_be_called() {
        let mut parties = Parties::default();
        parties.joined(&join("ann", PartyType::default()));
        assert!(parties.agent().is_some());
    }

    #[test]
    fn who_left_is_still_known_by_name() {
        let mut parties = Parties::default();
        let ann = PartyJoined { display_name: Some("Ann".into()), ..join("1", PartyType::Internal) };
        parties.joined(&ann);
        parties.left(&leave("1"));
        assert_eq!(parties.present().count(), 0);
        assert_eq!(parties.get("1").map(Party::name), Some("Ann".into()));
    }

    #[test]
    fn who_joins_again_is_one_party_and_keeps_the_name() {
        let mut parties = Parties::default();
        parties.joined(&PartyJoined { display_name: Some("Ann".into()), ..join("1", PartyType::Internal) });
        parties.left(&leave("1"));
        parties.joined(&join("1", PartyType::Internal));
        assert_eq!(parties.present().map(Party::name).collect::<Vec<_>>(), ["Ann"]);
    }

    #[test]
    fn a_name_falls_back_to_first_and_last_and_then_the_id() {
        let named = |first: Option<&str>, last: Option<&str>, display: Option<&str>| {
            let mut parties = Parties::default();
            parties.joined(&PartyJoined {
                first_name: first.map(Into::into),
                last_name: last.map(Into::into),
                display_name: display.map(Into::into),
                ..join("7", PartyType::Internal)
            });
            parties.get("7").map(Party::name)
        };
        assert_eq!(named(Some("A"), Some("B"), Some("C")).as_deref(), Some("C"));
        assert_eq!(named(Some("A"), Some("B"), Some(" ")).as_deref(), Some("A B"));
        assert_eq!(named(None, Some("B"), None).as_deref(), Some("B"));
        assert_eq!(named(None, None, None).as_deref(), Some("7"));
    }

    #[test]
    fn memory_is_bounded_and_those_present_are_kept() {
        let mut parties = Parties::default();
        parties.joined(&join("ann", PartyType::Internal));
        for n in 0..1000 {
            let id = n.to_string();
            parties.joined(&join(&id, PartyType::Scenario));
            parties.left(&leave(&id));
        }
        assert!(parties.0.len() <= REMEMBERED);
        assert!(parties.get("ann").is_some());
    }

    #[test]
    fn a_party_without_an_id_is_passed_over() {
        let mut parties = Parties::default();
        parties.joined(&join("", PartyType::Internal));
        assert_eq!(parties, Parties::default());
    }
}
