//! Which faults strike: the orders, what they have struck already, and the dice. No I/O.

use super::call::{CallPlan, MediaPlan};
use super::kind::{CallFault, FaultKind, HttpFault, MediaFault};
use super::method::ApiMethod;
use super::{Fault, When};
use crate::api::ErrorCode;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// Orders kept, also those that are used up; the oldest of these go first.
const MAX_ORDERS: usize = 1000;
/// Chats whose events are kept for a later answer.
const MAX_CARRIED: usize = 1000;
/// What a server under strain answers.
const STORM: [u16; 4] = [500, 502, 503, 504];

/// Whom an occasion concerns.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::simulator) struct Concerns<'a> {
    pub client: Option<&'a str>,
    pub chat: Option<&'a str>,
    pub agent: Option<&'a str>,
}

/// An order and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ordered {
    /// To take it back.
    pub id: u64,
    /// It as a line.
    pub spec: String,
    /// How often it has struck.
    pub struck: u64,
    /// It as an object.
    pub fault: Fault,
}

/// What is answered instead of the truth; the request is not carried out.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) enum Instead {
    Code(ErrorCode),
    Status(u16),
    Html,
    Truncated,
    Empty,
    Redirect,
    Hang,
    Reset,
}

/// What happens to the true answer.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) enum Change {
    Drip(Duration),
    Cut,
    ContentType(String),
    Duplicate,
    Repeat,
    Reorder,
    Postpone,
    Lose,
}

impl Change {
    fn is_of_events(&self) -> bool {
        matches!(self, Self::Duplicate | Self::Repeat | Self::Reorder | Self::Postpone | Self::Lose)
    }
}

/// What happens to a request and its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::simulator) struct Strike {
    pub delay: Duration,
    pub instead: Option<Instead>,
    pub changes: Vec<Change>,
}

#[derive(Debug)]
struct Order {
    id: u64,
    fault: Fault,
    /// Occasions so far.
    seen: u64,
    struck: u64,
    storm_until: Option<Duration>,
    /// Its own, so that an order does not change what another one draws.
    rng: StdRng,
}

impl Order {
    fn is_open(&self) -> bool {
        self.fault.when.count.is_none_or(|count| self.struck < u64::from(count))
    }

    /// Whether it is meant for these.
    fn is_for(&self, who: Concerns<'_>) -> bool {
        let When { client, chat, agent, .. } = &self.fault.when;
        let fits = |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        fits(client, who.client) && fits(chat, who.chat) && fits(agent, who.agent)
    }

    /// Whether it strikes on this occasion, which it counts.
    fn strikes(&mut self, who: Concerns<'_>) -> bool {
        let When { rate, after, every, .. } = &self.fault.when;
        if !self.is_open() || !self.is_for(who) {
            return false;
        }
        self.seen += 1;
        let Some(past) = self.seen.checked_sub(u64::from(*after)).filter(|past| *past > 0) else { return false };
        if past % u64::from(*every) != 0 || self.rng.random::<f64>() >= *rate {
            return false;
        }
        self.struck += 1;
        true
    }
}

/// The orders, and what is kept of earlier answers.
#[derive(Debug)]
pub(in crate::simulator) struct Faults {
    seed: u64,
    orders: Vec<Order>,
    count: u64,
    /// Events for the next answer, by chat.
    carried: HashMap<String, Vec<Value>>,
    rng: StdRng,
}

impl Faults {
    pub fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let mut all =
            Self { seed, orders: Vec::new(), count: 0, carried: HashMap::new(), rng: StdRng::seed_from_u64(seed) };
        for fault in faults {
            all.add(fault);
        }
        all
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Orders a fault; gives its id.
    pub fn add(&mut self, fault: Fault) -> u64 {
        if self.orders.len() >= MAX_ORDERS {
            let used_up = self.orders.iter().position(|o| !o.is_open()).unwrap_or(0);
            self.orders.remove(used_up);
        }
        self.count += 1;
        let seed = self.seed.wrapping_add(self.count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let rng = StdRng::seed_from_u64(seed);
        self.orders.push(Order { id: self.count, fault, seen: 0, struck: 0, storm_until: None, rng });
        self.count
    }

    /// Takes an order back; false: there is none of this id.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.orders.len();
        self.orders.retain(|o| o.id != id);
        self.orders.len() < before
    }

    /// Takes all orders back.
    pub fn clear(&mut self) {
        self.orders.clear();
        self.carried.clear();
    }

    pub fn list(&self) -> Vec<Ordered> {
        let ordered =
            |o: &Order| Ordered { id: o.id, spec: o.fault.to_string(), struck: o.struck, fault: o.fault.clone() };
        self.orders.iter().map(ordered).collect()
    }

    /// What happens to a request. Orders are asked in turn up to the first that answers instead.
    pub fn request(&mut self, method: ApiMethod, who: Concerns<'_>, now: Duration) -> Strike {
        let mut strike = Strike::default();
        for order in &mut self.orders {
            let FaultKind::Http(on, fault) = &order.fault.kind else { continue };
            if on.is_some_and(|m| m != method) {
                continue;
            }
            let fault = fault.clone();
            // A storm that rages needs no further strike.
            let rages = order.is_for(who) && order.storm_until.is_some_and(|until| now < until);
            if !rages && !order.strikes(who) {
                continue;
            }
            strike.instead = match fault {
                HttpFault::Code(code) => Some(Instead::Code(code)),
                HttpFault::Status(status) => Some(Instead::Status(status)),
                HttpFault::Storm(length) => {
                    order.storm_until = order.storm_until.filter(|until| now < *until).or(Some(now + length));
                    Some(Instead::Status(STORM.choose(&mut order.rng).copied().unwrap_or(503)))
                }
                HttpFault::Html => Some(Instead::Html),
                HttpFault::Truncated => Some(Instead::Truncated),
                HttpFault::Empty => Some(Instead::Empty),
                HttpFault::Redirect => Some(Instead::Redirect),
                HttpFault::Hang => Some(Instead::Hang),
                HttpFault::Reset => Some(Instead::Reset),
                HttpFault::Delay(span) => {
                    strike.delay += span.min + (span.max - span.min).mul_f64(order.rng.random());
                    None
                }
                HttpFault::Drip(time) => strike.change(Change::Drip(time)),
                HttpFault::Cut => strike.change(Change::Cut),
                HttpFault::ContentType(ty) => strike.change(Change::ContentType(ty)),
                HttpFault::Duplicate => strike.change(Change::Duplicate),
                HttpFault::Repeat => strike.change(Change::Repeat),
                HttpFault::Reorder => strike.change(Change::Reorder),
                HttpFault::Postpone => strike.change(Change::Postpone),
                HttpFault::Lose => strike.change(Change::Lose),
            };
            if strike.instead.is_some() {
                break;
            }
        }
        strike
    }

    /// Whether the events of this chat's answer are to be given to [`Self::change_events`].
    pub fn touches_events(&self, chat: &str, changes: &[Change]) -> bool {
        changes.iter().any(Change::is_of_events) || self.carried.contains_key(chat)
    }

    /// Changes the events of an answer, and adds what was kept for it.
    pub fn change_events(&mut self, chat: &str, changes: &[Change], events: &mut Vec<Value>) {
        let kept = self.carried.remove(chat).unwrap_or_default();
        let mut keep = Vec::new();
        for change in changes {
            match change {
                Change::Duplicate => *events = events.drain(..).flat_map(|e| [e.clone(), e]).collect(),
                Change::Repeat => keep.extend(events.iter().cloned()),
                Change::Reorder => events.shuffle(&mut self.rng),
                Change::Postpone => keep.append(events),
                Change::Lose => events.clear(),
                _ => {}
            }
        }
        events.extend(kept);
        if keep.is_empty() {
            return;
        }
        // A chat that is over fetches nothing any more.
        if self.carried.len() >= MAX_CARRIED
            && let Some(other) = self.carried.keys().next().cloned()
        {
            self.carried.remove(&other);
        }
        self.carried.insert(chat.to_owned(), keep);
    }

    /// Whether an agent that joins is to call at once.
    pub fn calls_early(&mut self, who: Concerns<'_>) -> bool {
        let early = |kind: &FaultKind| *kind == FaultKind::Call(CallFault::EarlyOffer);
        self.orders.iter_mut().filter(|o| early(&o.fault.kind)).any(|o| o.strikes(who))
    }

    /// What happens to a call that is being offered.
    pub fn call(&mut self, who: Concerns<'_>) -> (CallPlan, MediaPlan) {
        let (mut call, mut media) = (CallPlan::default(), MediaPlan::default());
        for order in &mut self.orders {
            match order.fault.kind {
                FaultKind::Call(CallFault::EarlyOffer) | FaultKind::Http(..) => {}
                FaultKind::Call(fault) => {
                    if order.strikes(who) {
                        call.add(fault);
                        if let CallFault::PeerDies(after) = fault {
                            media.dies = Some(after);
                        }
                    }
                }
                FaultKind::Media(fault) => {
                    if order.strikes(who) {
                        match fault {
                            MediaFault::BadFingerprint => call.bad_fingerprint = true,
                            MediaFault::NoIce => call.no_ice = true,
                            MediaFault::Blackout(span) => media.blackout = Some(span),
                            MediaFault::Rtp(way, fault) => media.add(way, fault, order.rng.random()),
                        }
                    }
                }
            }
        }
        (call, media)
    }
}

impl Strike {
    fn change(&mut self, change: Change) -> Option<Instead> {
        self.changes.push(change);
        None
    }
}
