//! What is left of calls in the process: tasks, files and sockets, threads, panics.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What is there at a moment. Files and threads are known on Linux alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    tasks: usize,
    files: Vec<String>,
    media_clocks: usize,
}

impl Left {
    fn now() -> Self {
        let tasks = Handle::current().metrics().num_alive_tasks();
        Self { tasks, files: open_files(), media_clocks: media_clocks() }
    }

    /// Waits until nothing changes for a second.
    pub async fn settled(within: Duration) -> Self {
        let (begun, mut last, mut since) = (Instant::now(), Self::now(), Instant::now());
        while since.elapsed() < Duration::from_secs(1) && begun.elapsed() < within {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = Self::now();
            if now.counts() != last.counts() {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    /// Waits until no more is there than before.
    pub async fn back_to(base: &Self, within: Duration) -> Self {
        let begun = Instant::now();
        loop {
            let now = Self::now();
            if now.beyond(base).is_none() || begun.elapsed() >= within {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn counts(&self) -> [usize; 3] {
        [self.tasks, self.files.len(), self.media_clocks]
    }

    /// What is there that was not before.
    pub fn beyond(&self, base: &Self) -> Option<String> {
        let more = self.counts().iter().zip(base.counts()).any(|(now, before)| *now > before);
        more.then(|| format!("something is left over: {self}\n    before it was {base}\n    files: {:?}", self.files))
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tasks, files, clocks] = self.counts();
        write!(f, "{tasks} tasks, {files} files and sockets, {clocks} media threads")
    }
}

fn open_files() -> Vec<String> {
    let Ok(folder) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let target = |entry: std::io::Result<std::fs::DirEntry>| {
        let link = std::fs::read_link(entry.ok()?.path()).ok()?;
        // The folder that is being read is open itself.
        Some(link.display().to_string()).filter(|name| !name.ends_with("/fd"))
    };
    folder.filter_map(target).collect()
}

fn media_clocks() -> usize {
    let Ok(folder) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    folder.filter_map(name).filter(|name| name.trim() == "media-clock").count()
}

/// Memory in use, where the system tells.
pub fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The panics of all tasks and threads.
pub struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    pub fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (notes, usual) = (seen.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            if let Ok(mut notes) = notes.lock() {
                notes.push(format!("a panic: {info}"));
            }
            usual(info);
        }));
        Self(seen)
    }

    pub fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
