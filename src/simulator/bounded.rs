//! A queue that forgets its oldest entries, so that no client fills the memory: neither with many nor with large ones.

use serde::Serialize;
use std::collections::VecDeque;
use std::io;

/// The newest entries, limited in number and in bytes.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl<T> Bounded<T> {
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, max_entries, max_bytes }
    }

    /// Adds an entry of a size. The newest one is kept however large it is.
    pub fn push(&mut self, entry: T, bytes: usize) {
        self.bytes += bytes;
        self.entries.push_back((entry, bytes));
        while self.entries.len() > 1 && (self.entries.len() > self.max_entries || self.bytes > self.max_bytes) {
            if let Some((_, gone)) = self.entries.pop_front() {
                self.bytes -= gone;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(entry, _)| entry)
    }

    /// The entries from the first on that `before` does not hold for, with their sizes. They have to be in its order.
    pub fn from(&self, before: impl Fn(&T) -> bool) -> impl Iterator<Item = (&T, usize)> {
        let skip = self.entries.partition_point(|(entry, _)| before(entry));
        self.entries.range(skip..).map(|(entry, bytes)| (entry, *bytes))
    }

    /// Takes all.
    pub fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.entries).into_iter().map(|(entry, _)| entry).collect()
    }
}

/// What something takes as JSON, in bytes.
pub(super) fn json_bytes(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    // A value that cannot be written is not sent either.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Counts what is written to it.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_oldest_entries_make_room() {
        let mut queue = Bounded::new(3, 10);
        for (n, bytes) in [(1, 1), (2, 1), (3, 1), (4, 1)] {
            queue.push(n, bytes);
        }
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [2, 3, 4]);
        queue.push(5, 9);
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [4, 5]);
        queue.push(6, 50);
        assert_eq!(queue.take(), [6], "the newest is kept");
        queue.push(7, 10);
        assert_eq!(queue.take(), [7], "what was taken does not count");
    }

    #[test]
    fn a_size_is_that_of_the_json() {
        let value = serde_json::json!({"a": ["ü", 1.5, null]});
        assert_eq!(json_bytes(&value), value.to_string().len());
    }

    proptest! {
        #[test]
        fn no_limit_is_passed(sizes in prop::collection::vec(0_usize..20, 0..50)) {
            let mut queue = Bounded::new(8, 40);
            for size in sizes {
                queue.push(size, size);
                prop_assert!(queue.iter().count() <= 8 && queue.iter().sum::<usize>() <= 40);
                prop_assert_eq!(queue.bytes, queue.iter().sum::<usize>());
            }
        }
    }
}
