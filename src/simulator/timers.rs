//! What is to be done later, in order of time.

use std::collections::BTreeMap;
use std::time::Duration;

/// A queue of deeds by the time they are due; deeds due at one time keep the order they were set in.
#[derive(Debug)]
pub(super) struct Timers<T> {
    queue: BTreeMap<(Duration, u64), T>,
    count: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { queue: BTreeMap::new(), count: 0 }
    }
}

impl<T> Timers<T> {
    pub fn set(&mut self, at: Duration, deed: T) {
        self.count += 1;
        self.queue.insert((at, self.count), deed);
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// When the next deed is due.
    pub fn next(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// The next deed that is due by now.
    pub fn due(&mut self, now: Duration) -> Option<T> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}
