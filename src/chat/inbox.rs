//! Merging what the poll and Send Events' answers bring: in order, each event handed on once.
//!
//! # Which events are the same
//!
//! The API numbers no events, and copies do arrive: the poll and the answer to Send Events may both carry an event, a proxy
//! may answer a poll from its cache, history repeats what a poll brings after it. On the other hand some events rightly
//! happen again in the same words. Swallowing a real event can break a call; showing one twice is a blemish. So where it
//! is unclear, the event is handed on.
//!
//! - **With a `msg_id`** the key is the event's name, its party, the id, and *what the event says* (the text, the signaling
//!   message, the file, the place). Party, because ids in the wild are plain counters that each party has for itself. What
//!   it says, because such a counter starts over when an agent's browser is reloaded: an OFFER_CALL numbered 1 must not
//!   be taken for the END_CALL numbered 1 before. Time and other fields are left out: copies differ in them.
//! - **With a timestamp** (parties joining and leaving, typing, forms) the key is the whole event. A copy is swallowed
//!   however late it comes. Typing is stamped in whole seconds by some servers: typing, not typing, typing within one
//!   second reads as the first two, which the next typing event sets right.
//! - **With neither** the key is the whole event again, but a copy is swallowed only within [`REPEAT_WITHIN`] of the last
//!   one: an agent who types again, a session queued a second time, an END_CALL of the next call are news. Within that
//!   time a later event about the same thing makes it news as well: connected, queued, connected are three events, and so
//!   are typing, not typing, typing of one party. (A copy of all three is then handed on too; it ends in the same state.)
//!   After [`REPEAT_AT_MOST`] of copies without a pause one is handed on anyway, so that nothing is swallowed for ever.
//!
//! The last [`REMEMBERED`] keys of the first two kinds are remembered.
//!
//! # Which order they have
//!
//! Events are handed on in the order of their arrival. Only what arrived together, before the session was asked for its
//! next action, is put in order of time: the poll's answer and a send's answer that raced it. An event without a time
//! stays behind the one before it in its answer, and a time in whole seconds orders by the second only. Signaling
//! keeps the order it arrived in, whatever its times say (they may be another machine's), and waits for nothing.

use super::identity::{self, Identity};
use crate::api::ServerEvent;
use crate::api::lenient::Timestamp;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How many stamped events are remembered: many minutes of the liveliest call.
pub const REMEMBERED: usize = 4096;

/// An event without id and time is a copy when the last one came less than this ago.
pub const REPEAT_WITHIN: Duration = Duration::from_secs(2);

/// An event without id and time is handed on when copies of it have come for this long.
pub const REPEAT_AT_MOST: Duration = Duration::from_secs(10);

/// How many unstamped events are remembered.
const REMEMBERED_UNSTAMPED: usize = 512;

/// The merging of the two sources of events.
#[derive(Debug, Default)]
pub struct Inbox {
    seen: HashSet<u64>,
    seen_in_order: VecDeque<u64>,
    recent: HashMap<u64, Recent>,
    pending: Vec<(i64, ServerEvent)>,
}

/// The last unstamped event of a slot.
#[derive(Debug, Clone, Copy)]
struct Recent {
    key: u64,
    handed_on: Instant,
    last: Instant,
}

impl Inbox {
    /// Takes the events of one answer; gives how many of them are new. They wait for [`take`](Self::take).
    pub fn accept(&mut self, events: Vec<ServerEvent>, now: Instant) -> usize {
        let fresh: Vec<_> = events.into_iter().filter(|e| self.is_new(e, now)).collect();
        let count = fresh.len();
        let last_signaling = self.pending.iter().rev().find(|(_, e)| is_signaling(e)).map(|(at, _)| *at);
        let latest = self.pending.iter().map(|(at, _)| *at).max();
        self.pending.extend(with_order(fresh, last_signaling, latest));
        count
    }

    /// The events accepted since, in order.
    pub fn take(&mut self) -> Vec<ServerEvent> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|(at, _)| *at); // stable: the order of arrival within one time
        pending.into_iter().map(|(_, e)| e).collect()
    }

    /// Puts a history in order, each event once, and remembers it, so that the poll does not bring it again.
    pub fn restore(&mut self, events: Vec<ServerEvent>, now: Instant) -> Vec<ServerEvent> {
        self.accept(events, now);
        self.take()
    }

    fn is_new(&mut self, event: &ServerEvent, now: Instant) -> bool {
        match identity::of(event) {
            Identity::Stamped(key) => {
                let new = self.seen.insert(key);
                if new {
                    self.seen_in_order.push_back(key);
                    if self.seen_in_order.len() > REMEMBERED
                        && let Some(oldest) = self.seen_in_order.pop_front()
                    {
                        self.seen.remove(&oldest);
                    }
                }
                new
            }
            Identity::Unstamped { key, slot } => {
                if let Some(recent) = self.recent.get_mut(&slot)
                    && recent.key == key
                    && now.duration_since(recent.last) < REPEAT_WITHIN
                    && now.duration_since(recent.handed_on) < REPEAT_AT_MOST
                {
                    recent.last = now;
                    return false;
                }
                if self.recent.len() >= REMEMBERED_UNSTAMPED {
                    self.forget_unstamped(now);
                }
                self.recent.insert(slot, Recent { key, handed_on: now, last: now });
                true
            }
        }
    }

    fn forget_unstamped(&mut self, now: Instant) {
        self.recent.retain(|_, r| now.duration_since(r.last) < REPEAT_WITHIN);
        if self.recent.len() >= REMEMBERED_UNSTAMPED {
            // So many within two seconds: the clock of a flood is not worth keeping.
            self.recent.clear();
        }
    }
}

fn is_signaling(event: &ServerEvent) -> bool {
    matches!(event, ServerEvent::Signaling(_))
}

/// Gives every event of one answer the time, in ms, that it is ordered by.
fn with_order(events: Vec<ServerEvent>, last_signaling: Option<i64>, latest: Option<i64>) -> Vec<(i64, ServerEvent)> {
    const SECOND: i64 = 1000;
    let first = events.iter().filter(|e| !is_signaling(e)).find_map(timestamp_of);
    // What comes before the first known time goes with it; without any the answer goes behind all that came earlier.
    let mut previous = first.map(Timestamp::as_millis).or(latest).unwrap_or(i64::MIN);
    let mut signaling = last_signaling.unwrap_or(i64::MIN);
    let mut ordered = Vec::with_capacity(events.len());
    for event in events {
        let at = if is_signaling(&event) {
            signaling = signaling.max(previous);
            signaling
        } else {
            match timestamp_of(&event).map(Timestamp::as_millis) {
                None => previous,
                // A time in whole seconds says no more than the second.
                Some(ms) if ms % SECOND == 0 && (ms..ms.saturating_add(SECOND)).contains(&previous) => previous,
                Some(ms) => ms,
            }
        };
        previous = at;
        ordered.push((at, event));
    }
    ordered
}

/// When an event happened, by the server.
fn timestamp_of(event: &ServerEvent) -> Option<Timestamp> {
    use ServerEvent as E;
    match event {
        E::PartyJoined(e) => e.timestamp,
        E::PartyLeft(e) => e.timestamp,
        E::Message(e) => e.timestamp,
        E::Typing(e) => e.timestamp,
        E::NotTyping(e) => e.timestamp,
        E::FormShow(e) => e.timestamp,
        E::SecureFormShow(e) => e.timestamp,
        E::TimeoutWarning(e) => e.timestamp,
        E::InactivityTimeout(e) => e.timestamp,
        E::Signaling(e) => e.timestamp,
        E::File(e) => e.timestamp,
        E::Location(e) => e.timestamp,
        E::CobrowsingRequested(e) => e.timestamp,
        E::Info(e) => e.timestamp,
        E::CaseSet(e) => e.timestamp,
        E::MessageDelivered(e) => e.timestamp,
        E::MessageRead(e) => e.timestamp,
        E::Unknown(raw) => crate::api::lenient::opt_timestamp(raw.get("timestamp")?.clone()).ok().flatten(),
        E::Status(_) | E::Ended(_) => None,
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
