//! What happened in the center, for who drives it: the newest entries, numbered.

use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;

/// Entries kept; the oldest go first.
const MAX_ENTRIES: usize = 5_000;

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
#[derive(Debug, Default)]
pub(in crate::simulator) struct EventLog {
    entries: VecDeque<Entry>,
    count: u64,
}

impl EventLog {
    pub fn add(&mut self, at_ms: i64, chat_id: Option<&str>, from: From, event: Value) {
        self.count += 1;
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { seq: self.count, at_ms, chat_id: chat_id.map(str::to_owned), from, event });
    }

    /// The number of the newest entry, 0 before the first.
    pub fn newest(&self) -> u64 {
        self.count
    }

    /// The entries after a number, at most `limit` of them, of one chat or of all.
    pub fn after(&self, seq: u64, chat_id: Option<&str>, limit: usize) -> Vec<Entry> {
        let skip = self.entries.partition_point(|entry| entry.seq <= seq);
        let of_chat = |entry: &&Entry| chat_id.is_none() || entry.chat_id.as_deref() == chat_id;
        self.entries.range(skip..).filter(of_chat).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seqs(entries: Vec<Entry>) -> Vec<u64> {
        entries.iter().map(|e| e.seq).collect()
    }

    #[test]
    fn entries_are_found_by_number_and_chat() {
        let mut log = EventLog::default();
        for chat in ["a", "b", "a"] {
            log.add(0, Some(chat), From::Client, Value::Null);
        }
        assert_eq!(seqs(log.after(0, None, 10)), [1, 2, 3]);
        assert_eq!(seqs(log.after(1, Some("a"), 10)), [3]);
        assert_eq!(seqs(log.after(0, None, 2)), [1, 2]);
        assert!(log.after(u64::MAX, None, 10).is_empty());
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let mut log = EventLog::default();
        for _ in 0..MAX_ENTRIES + 5 {
            log.add(0, None, From::Center, Value::Null);
        }
        assert_eq!(log.after(0, None, 1)[0].seq, 6);
        assert_eq!((log.after(0, None, usize::MAX).len(), log.newest()), (MAX_ENTRIES, MAX_ENTRIES as u64 + 5));
    }
}
