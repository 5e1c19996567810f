//! What happened in the center, for who drives it: the newest entries, numbered.

use crate::simulator::bounded::{Bounded, json_bytes};
use serde::Serialize;
use serde_json::Value;

/// Entries kept; the oldest go first.
const MAX_ENTRIES: usize = 5_000;
/// What they may hold as JSON, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// One happening.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::simulator) struct Entry {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
    pub from: From,
    /// An event of the API, or one of the center's own; the field `event` names it.
    pub event: Value,
}

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::simulator) enum From {
    /// The client sent it.
    Client,
    /// It goes to the client.
    Server,
    /// The center's own, of which the client knows nothing.
    Center,
}

/// The log.
#[derive(Debug)]
pub(in crate::simulator) struct EventLog {
    entries: Bounded<Entry>,
    count: u64,
}

/// How much of the log one answer may have.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct Limits {
    pub entries: usize,
    /// Of JSON. One entry is given however large it is.
    pub bytes: usize,
}

/// A part of the log.
#[derive(Debug)]
pub(in crate::simulator) struct Part {
    pub entries: Vec<Entry>,
    /// The number to ask for the next part with.
    pub next: u64,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { entries: Bounded::new(MAX_ENTRIES, MAX_BYTES), count: 0 }
    }
}

impl EventLog {
    pub fn add(&mut self, at_ms: i64, chat_id: Option<&str>, from: From, event: Value) {
        self.count += 1;
        let entry = Entry { seq: self.count, at_ms, chat_id: chat_id.map(str::to_owned), from, event };
        let bytes = json_bytes(&entry);
        self.entries.push(entry, bytes);
    }

    /// The number of the newest entry, 0 before the first.
    pub fn newest(&self) -> u64 {
        self.count
    }

    /// The entries after a number, within limits, of one chat or of all.
    pub fn after(&self, seq: u64, chat_id: Option<&str>, limits: Limits) -> Part {
        let (mut entries, mut total) = (Vec::new(), 0);
        for (entry, bytes) in self.entries.from(|entry| entry.seq <= seq) {
            if chat_id.is_some() && entry.chat_id.as_deref() != chat_id {
                continue;
            }
            total += bytes;
            if entries.len() >= limits.entries || (total > limits.bytes && !entries.is_empty()) {
                let next = entries.last().map_or(seq, |last: &Entry| last.seq);
                return Part { entries, next };
            }
            entries.push(entry.clone());
        }
        Part { entries, next: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Limits = Limits { entries: usize::MAX, bytes: usize::MAX };

    fn seqs(part: Part) -> Vec<u64> {
        part.entries.iter().map(|e| e.seq).collect()
    }

    #[test]
    fn entries_are_found_by_number_and_chat() {
        let mut log = EventLog::default();
        for chat in ["a", "b", "a"] {
            log.add(0, Some(chat), From::Client, Value::Null);
        }
        assert_eq!(seqs(log.after(0, None, ALL)), [1, 2, 3]);
        assert_eq!(seqs(log.after(1, Some("a"), ALL)), [3]);
        let two = log.after(0, None, Limits { entries: 2, ..ALL });
        assert_eq!((two.next, seqs(two)), (2, vec![1, 2]));
        let rest = log.after(2, Some("b"), ALL);
        assert_eq!((rest.next, rest.entries.len()), (3, 0), "what was passed over is not looked at again");
        assert!(log.after(u64::MAX, None, ALL).entries.is_empty());
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let mut log = EventLog::default();
        for _ in 0..MAX_ENTRIES + 5 {
            log.add(0, None, From::Center, Value::Null);
        }
        assert_eq!(log.after(0, None, ALL).entries[0].seq, 6);
        assert_eq!((log.after(0, None, ALL).entries.len(), log.newest()), (MAX_ENTRIES, MAX_ENTRIES as u64 + 5));
    }

    #[test]
    fn large_entries_are_limited_in_bytes() {
        let mut log = EventLog::default();
        let large = Value::from("x".repeat(1024 * 1024));
        for _ in 0..40 {
            log.add(0, None, From::Client, large.clone());
        }
        let part = log.after(0, None, Limits { bytes: 4 * 1024 * 1024, ..ALL });
        assert_eq!((part.entries.len(), part.next), (3, part.entries[2].seq));
        assert_eq!(log.after(0, None, Limits { bytes: 1, ..ALL }).entries.len(), 1, "one is always given");
        let kept = log.after(0, None, ALL).entries;
        assert_eq!((kept.len(), kept[30].seq), (31, 40));
    }
}
