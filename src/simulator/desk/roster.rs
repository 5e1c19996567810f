//! The desks that are signed in, and which of them is given the next chat. A state machine without I/O.

use super::wire::{DeskId, DeskView, MAX_NAME, SignIn};
use std::collections::BTreeMap;
use std::time::Duration;

/// Desks at one time: each is a person with a page.
const MAX_DESKS: usize = 100;
/// The most chats a desk may ask to be given.
const MAX_CAPACITY: usize = 100;

/// One desk.
#[derive(Debug)]
pub(in crate::simulator) struct Desk {
    pub name: String,
    pub ready: bool,
    capacity: usize,
    chats: Vec<String>,
    /// When it last was given a chat, or lost one, or signed in.
    since: Duration,
    /// Its page is gone, and this is when that is known not to come back.
    away_until: Option<Duration>,
}

impl Desk {
    /// The first word of the name, and the rest.
    pub fn names(&self) -> (&str, &str) {
        self.name.split_once(' ').unwrap_or((&self.name, ""))
    }

    pub fn chats(&self) -> &[String] {
        &self.chats
    }
}

/// All desks.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Desks {
    desks: BTreeMap<DeskId, Desk>,
    /// Desks that ever signed in.
    count: DeskId,
}

impl Desks {
    /// # Errors
    /// When the name is of no use, or there are too many desks.
    pub fn sign_in(&mut self, who: SignIn, now: Duration) -> Result<DeskId, String> {
        let name = who.name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(format!("a desk needs a name of 1 to {MAX_NAME} characters"));
        }
        if !(1..=MAX_CAPACITY).contains(&who.capacity) {
            return Err(format!("the capacity is 1 to {MAX_CAPACITY} chats"));
        }
        if self.desks.len() >= MAX_DESKS {
            return Err(format!("there are {MAX_DESKS} desks already"));
        }
        self.count += 1;
        let desk =
            Desk { name, ready: who.ready, capacity: who.capacity, chats: Vec::new(), since: now, away_until: None };
        self.desks.insert(self.count, desk);
        Ok(self.count)
    }

    /// The desk's page is gone; it may come back until then, and is given nothing meanwhile. False: it has nothing to
    /// come back to.
    pub fn step_away(&mut self, id: DeskId, until: Duration) -> bool {
        let desk = self.desks.get_mut(&id).filter(|desk| !desk.chats.is_empty());
        desk.map(|desk| desk.away_until = Some(until)).is_some()
    }

    /// Whether a desk's page should have come back by now.
    pub fn is_gone(&self, id: DeskId, now: Duration) -> bool {
        self.desks.get(&id).and_then(|desk| desk.away_until).is_some_and(|until| until <= now)
    }

    /// The page of a desk that is away comes back: by its name.
    pub fn come_back(&mut self, who: &SignIn) -> Option<DeskId> {
        let name = who.name.split_whitespace().collect::<Vec<_>>().join(" ");
        let (id, desk) = self.desks.iter_mut().find(|(_, d)| d.away_until.is_some() && d.name == name)?;
        desk.away_until = None;
        desk.ready = who.ready;
        if (1..=MAX_CAPACITY).contains(&who.capacity) {
            desk.capacity = who.capacity;
        }
        Some(*id)
    }

    /// Takes a desk away, with the chats that it had.
    pub fn sign_out(&mut self, id: DeskId) -> Option<Desk> {
        self.desks.remove(&id)
    }

    pub fn get(&self, id: DeskId) -> Option<&Desk> {
        self.desks.get(&id)
    }

    pub fn get_mut(&mut self, id: DeskId) -> Option<&mut Desk> {
        self.desks.get_mut(&id)
    }

    pub fn ids(&self) -> impl Iterator<Item = DeskId> + '_ {
        self.desks.keys().copied()
    }

    /// The desk that is given the next chat: of those that are ready and have room, the one with the fewest chats, and of
    /// these the one that has waited longest. `but`: not this one.
    pub fn next(&self, but: Option<DeskId>) -> Option<DeskId> {
        let free = self
            .desks
            .iter()
            .filter(|(id, d)| d.ready && d.away_until.is_none() && d.chats.len() < d.capacity && Some(**id) != but);
        free.min_by_key(|(_, desk)| (desk.chats.len(), desk.since)).map(|(id, _)| *id)
    }

    pub fn give(&mut self, id: DeskId, chat_id: &str, now: Duration) {
        if let Some(desk) = self.desks.get_mut(&id) {
            desk.chats.push(chat_id.to_owned());
            desk.since = now;
        }
    }

    pub fn take_back(&mut self, id: DeskId, chat_id: &str, now: Duration) {
        if let Some(desk) = self.desks.get_mut(&id) {
            desk.chats.retain(|chat| chat != chat_id);
            desk.since = now;
        }
    }

    pub fn view(&self, id: DeskId) -> Option<DeskView> {
        self.desks.get(&id).map(|desk| DeskView {
            id,
            name: desk.name.clone(),
            ready: desk.ready,
            capacity: desk.capacity,
            chats: desk.chats.clone(),
        })
    }

    pub fn views(&self) -> Vec<DeskView> {
        self.ids().filter_map(|id| self.view(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn sign_in(desks: &mut Desks, name: &str, capacity: usize, s: u64) -> DeskId {
        desks.sign_in(SignIn { name: name.into(), ready: true, capacity }, at(s)).unwrap()
    }

    #[test]
    fn the_desk_that_waits_longest_is_next() {
        let mut desks = Desks::default();
        let (ada, ben) = (sign_in(&mut desks, "Ada", 3, 1), sign_in(&mut desks, "Ben", 3, 2));
        assert_eq!(desks.next(None), Some(ada));
        desks.give(ada, "a", at(3));
        assert_eq!(desks.next(None), Some(ben), "fewer chats come first");
        desks.give(ben, "b", at(4));
        desks.take_back(ada, "a", at(5));
        desks.take_back(ben, "b", at(6));
        assert_eq!(desks.next(None), Some(ada));
    }

    #[test]
    fn a_desk_that_is_full_or_not_ready_gets_no_chat() {
        let mut desks = Desks::default();
        let ada = sign_in(&mut desks, "Ada", 1, 1);
        desks.give(ada, "a", at(2));
        assert_eq!(desks.next(None), None);
        desks.take_back(ada, "a", at(3));
        assert_eq!((desks.next(None), desks.next(Some(ada))), (Some(ada), None));
        desks.get_mut(ada).unwrap().ready = false;
        assert_eq!(desks.next(None), None);
    }

    #[test]
    fn a_name_is_cleaned_and_split() {
        let mut desks = Desks::default();
        let id = sign_in(&mut desks, "  Ada   de  Vries ", 1, 0);
        assert_eq!(desks.get(id).unwrap().names(), ("Ada", "de Vries"));
    }

    #[test]
    fn a_desk_without_a_name_or_room_is_refused() {
        let mut desks = Desks::default();
        for (name, capacity) in [("", 1), ("  ", 1), ("Ada", 0), ("Ada", 1000), ("A\u{7}", 1)] {
            assert!(desks.sign_in(SignIn { name: name.into(), ready: true, capacity }, at(0)).is_err(), "{name}");
        }
        let long = SignIn { name: "x".repeat(61), ready: true, capacity: 1 };
        assert!(desks.sign_in(long, at(0)).is_err());
    }
}
