//! WAV files: played as a source, written as a recording.

mod reader;
mod writer;

pub use reader::{WavSource, read_wav, read_wav_stereo};
pub use writer::{WavRecorder, WavSink};

use std::{io, path::PathBuf};

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else, or damaged.
    #[error("{} is not a WAV file: {reason}", path.display())]
    NotWav {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A WAV file of a kind that is not known here.
    #[error("{} is a WAV file with {what}; use 8, 16, 24 or 32 bit PCM or 32 bit float", path.display())]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// What is unusual about it.
        what: String,
    },
    /// A WAV file without sound.
    #[error("{} holds no sound", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be created.
    #[error("cannot record to {}: {source}", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Writing failed (the disk is full, it went away); what was written before is kept.
    #[error("the recording {} ends early: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A WAV file cannot hold more than 4 GiB; what was written before is kept.
    #[error("the recording {} ends early: a WAV file cannot hold more", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The disk was too slow; silence stands in the places of what is missing.
    #[error("the recording {} lacks {missing_s:.1} s: the disk was too slow", path.display())]
    Incomplete {
        /// Which file.
        path: PathBuf,
        /// How much, in seconds.
        missing_s: f64,
    },
}

#[cfg(test)]
mod tests;
