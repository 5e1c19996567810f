//! A file of lines that stays whole: what cannot be written is taken back to the end of the last whole line.

use serde::Serialize;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Lines on their way to the disk.
pub(super) struct Lines {
    file: File,
    /// Whole lines that are not written yet, and how many.
    waiting: Vec<u8>,
    waiting_lines: u64,
    /// Bytes of whole lines on the disk.
    good: u64,
    /// Lines on the disk.
    pub(super) written: u64,
}

impl Lines {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = crate::evidence::create_private(path)?;
        Ok(Self { file, waiting: Vec::new(), waiting_lines: 0, good: 0, written: 0 })
    }

    pub(super) fn push(&mut self, line: &impl Serialize) {
        let before = self.waiting.len();
        match serde_json::to_writer(&mut self.waiting, line) {
            Ok(()) => {
                self.waiting.push(b'\n');
                self.waiting_lines += 1;
            }
            // No type of a record has anything that JSON has not; a line less is better than no record.
            Err(error) => {
                tracing::warn!(%error, "a line of the record cannot be written");
                self.waiting.truncate(before);
            }
        }
    }

    /// Writes what waits; on a failure it is given up, and the number of its lines comes with the reason.
    pub(super) fn flush(&mut self) -> Result<(), (u64, io::Error)> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (lines, waiting) = (std::mem::take(&mut self.waiting_lines), std::mem::take(&mut self.waiting));
        match self.file.write_all(&waiting) {
            Ok(()) => {
                self.good += waiting.len() as u64;
                self.written += lines;
                self.waiting = waiting;
                self.waiting.clear();
                Ok(())
            }
            Err(error) => {
                // Not every file can be cut (a pipe): then its reader finds half a line.
                let _ = self.file.set_len(self.good).and_then(|()| self.file.seek(SeekFrom::Start(self.good)));
                Err((lines, error))
            }
        }
    }
}
