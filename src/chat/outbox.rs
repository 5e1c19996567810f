//! What waits to be sent.
//!
//! # Two lanes
//!
//! Signaling has a lane of its own beside the rest of the conversation, and each lane has at most one Send Events in
//! flight. With one lane and signaling first, an OFFER's answer would still wait for a message batch that is already on its
//! way, or for its back-off; with more than one request in flight in a lane, two connections could swap candidates and
//! the END_CALL behind them. What is queued while a send is in flight goes out together in the next one, so a burst of
//! candidates costs one round trip, not one each. Between the lanes no order is kept, save that `chat_session_end` and
//! `chat_session_disconnect` wait for the signaling queued before them: an END_CALL must not find the session gone.
//!
//! # Never lost, never knowingly twice
//!
//! An event stays in its lane until the server took it. After a passing fault the same events are sent again with the
//! same `msg_id`s. When the fault leaves open whether the server took them (a time-out after sending, a broken
//! connection) that is a second delivery, which a server tells by the `msg_id`; the few events that have none (typing,
//! forms, end) mean the same when they come twice.
//!
//! When the server refuses a batch for good, its events are sent one by one, so that only the one at fault is lost, and
//! its sender is told.
//!
//! # Message ids
//!
//! `chatId:n`, given when an event first goes out, so that n rises on the wire. In a session taken up again n goes on
//! from the highest in the history, after a gap: signaling is numbered too, but not kept in the history, and a server that
//! tells second deliveries by the id would drop a new REQUEST_CALL that has the id of an old one. The gap is in part
//! drawn at random, for the client that is restarted twice.

use super::io::{Cause, SendError};
use super::request::Request;
use crate::api::ServerEvent;
use crate::api::event::ClientEvent;
use crate::api::signaling::Signal;
use rand::{RngExt, rngs::StdRng};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A queue with one send in flight at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Signaling messages of calls.
    Signaling,
    /// Everything else.
    Conversation,
}

impl Lane {
    /// Both, the urgent one first.
    pub const ALL: [Self; 2] = [Self::Signaling, Self::Conversation];
}

/// Ids that a server wrote above this are not counted on from: far above any conversation, far below overflow.
const HIGHEST_ORDINAL: u64 = 1 << 40;

/// The unit of the gap after a session was taken up again: more signaling than a run leaves out of the history.
const RESUME_GAP: u64 = 1000;

/// The two lanes.
#[derive(Debug)]
pub(super) struct Outbox {
    lanes: [Queue; 2],
    limit: usize,
    batch: usize,
    last_ordinal: u64,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<ClientEvent>,
    /// How many at the front are in flight.
    in_flight: usize,
    /// How many at the front have a message id.
    numbered: usize,
    /// How many at the front are sent one by one.
    one_by_one: usize,
    request: Request,
}

impl Outbox {
    pub fn new(limit: usize, batch: usize) -> Self {
        Self { lanes: Default::default(), limit, batch: batch.max(1), last_ordinal: 0 }
    }

    /// Queues an event; gives it back, and why, when there is no room. The end of a conversation always finds room.
    pub fn push(&mut self, mut event: ClientEvent) -> Option<(ClientEvent, SendError)> {
        let lane = if matches!(event, ClientEvent::Signaling(_)) { Lane::Signaling } else { Lane::Conversation };
        let waiting = self.lane(lane).events.len();
        set_msg_id(&mut event, String::new());
        if waiting >= self.limit && !is_last_word(&event) {
            return Some((event, SendError::QueueFull { waiting }));
        }
        self.lane(lane).events.push_back(event);
        None
    }

    /// The next events of a lane to send, if it may send now and has any.
    pub fn start(&mut self, lane: Lane, chat_id: &str, now: Instant) -> Option<Vec<ClientEvent>> {
        let signaling_waits = !self.lane(Lane::Signaling).events.is_empty();
        let batch = self.batch;
        let Queue { events, in_flight, numbered, one_by_one, request } = &mut self.lanes[lane as usize];
        let most = if *one_by_one > 0 { 1 } else { batch };
        let mut count = 0;
        for event in events.iter().take(most) {
            let last = is_last_word(event);
            if last && signaling_waits {
                break;
            }
            count += 1;
            if last {
                break;
            }
        }
        if count == 0 || !request.start(now) {
            return None;
        }
        for event in events.iter_mut().take(count).skip(*numbered) {
            if set_msg_id(event, format!("{chat_id}:{}", self.last_ordinal + 1)) {
                self.last_ordinal += 1;
            }
        }
        *numbered = (*numbered).max(count);
        *in_flight = count;
        Some(events.iter().take(count).cloned().collect())
    }

    /// The send of a lane came back; the events stay queued. False when none was in flight.
    pub fn answered(&mut self, lane: Lane, now: Instant) -> bool {
        self.lane(lane).request.answered(now).is_some()
    }

    /// The server took what was in flight: gives those events, and whether the lane had failed before.
    pub fn succeed(&mut self, lane: Lane) -> (Vec<ClientEvent>, bool) {
        let queue = self.lane(lane);
        let count = std::mem::take(&mut queue.in_flight);
        queue.numbered = queue.numbered.saturating_sub(count);
        queue.one_by_one = queue.one_by_one.saturating_sub(count);
        (queue.events.drain(..count).collect(), queue.request.succeed())
    }

    /// The send failed for a passing fault: it is made again. How often in a row, and the wait before.
    pub fn fail(&mut self, lane: Lane, cause: Cause, now: Instant, rng: &mut StdRng) -> (u32, Duration) {
        let queue = self.lane(lane);
        queue.in_flight = 0;
        queue.request.fail(cause, now, rng)
    }

    /// The server refused what was in flight: gives the event to drop if that was a single one, and whether the lane had
    /// failed before. More than one are sent again one by one.
    pub fn refuse(&mut self, lane: Lane) -> (Option<ClientEvent>, bool) {
        if self.lane(lane).in_flight == 1 {
            let (dropped, recovered) = self.succeed(lane);
            return (dropped.into_iter().next(), recovered);
        }
        let queue = self.lane(lane);
        queue.one_by_one = std::mem::take(&mut queue.in_flight);
        (None, queue.request.succeed())
    }

    /// Sends that wait for a fault to pass need not wait any longer.
    pub fn hurry(&mut self) {
        self.lanes.iter_mut().for_each(|q| q.request.hurry());
    }

    /// Sends in flight were dropped: what they held is sent again. Whether there were any.
    pub fn give_up(&mut self) -> bool {
        let given_up = |queue: &mut Queue| {
            queue.in_flight = 0;
            queue.request.give_up()
        };
        self.lanes.iter_mut().map(given_up).fold(false, |any, one| any | one)
    }

    /// Whether a lane failed last time.
    pub fn is_failing(&self) -> bool {
        self.lanes.iter().any(|q| q.request.is_failing())
    }

    /// Whether everything was sent and taken.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|q| q.events.is_empty())
    }

    /// When each lane that waits may send again.
    pub fn waits_until(&self) -> impl Iterator<Item = Instant> {
        self.lanes.iter().filter_map(|q| q.request.waits_until())
    }

    /// Goes on from the message ids of a history.
    pub fn resume(&mut self, chat_id: &str, history: &[ServerEvent], rng: &mut StdRng) {
        let highest = history.iter().filter_map(|e| ordinal(e, chat_id)).max().unwrap_or(0).max(self.last_ordinal);
        self.last_ordinal = highest.next_multiple_of(RESUME_GAP) + RESUME_GAP * rng.random_range(1..=RESUME_GAP);
    }

    /// Empties both lanes; gives what was not taken by the server, the ends of the session left out.
    pub fn drain(&mut self) -> Vec<ClientEvent> {
        let left = self.lanes.iter_mut().flat_map(|q| std::mem::take(q).events);
        left.filter(|e| !is_last_word(e)).collect()
    }

    fn lane(&mut self, lane: Lane) -> &mut Queue {
        &mut self.lanes[lane as usize]
    }
}

/// Whether nothing of a call makes sense after it.
fn is_last_word(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::End(_) | ClientEvent::Disconnect(_))
}

/// Writes the message id into events that have one; whether this has.
fn set_msg_id(event: &mut ClientEvent, id: String) -> bool {
    let field = match event {
        ClientEvent::Message(e) => &mut e.msg_id,
        ClientEvent::Signaling(e) => &mut e.msg_id,
        ClientEvent::File(e) => &mut e.msg_id,
        ClientEvent::Location(e) => &mut e.msg_id,
        ClientEvent::Navigation(e) => &mut e.msg_id,
        _ => return false,
    };
    *field = id;
    true
}

/// The n of an event's `chatId:n`.
fn ordinal(event: &ServerEvent, chat_id: &str) -> Option<u64> {
    let msg_id = match event {
        ServerEvent::Message(e) => e.msg_id.as_deref()?,
        ServerEvent::File(e) => e.msg_id.as_deref()?,
        ServerEvent::Location(e) => e.msg_id.as_deref()?,
        ServerEvent::Signaling(e) => e.msg_id.as_deref()?,
        ServerEvent::Unknown(raw) => raw.get("msg_id")?.as_str()?,
        _ => return None,
    };
    msg_id.strip_prefix(chat_id)?.strip_prefix(':')?.parse().ok().filter(|n| *n < HIGHEST_ORDINAL)
}

/// A signaling message as an event.
pub(super) fn signaling(destination_party_id: String, data: Signal) -> ClientEvent {
    crate::api::event::ClientSignaling { msg_id: String::new(), destination_party_id, data, extra: Default::default() }
        .into()
}
