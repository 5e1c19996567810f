//! WAV files.

use super::{
    sink::{self, Sink},
    source::{Source, SourceState},
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Plays a WAV file.
pub struct WavSource {}

impl WavSource {
    /// Opens a file.
    pub fn open(_path: impl AsRef<Path>) -> Result<Self, Error> {
        todo!()
    }

    /// Plays what is in memory.
    pub fn from_bytes(_name: &str, _wav: impl Into<bytes::Bytes>) -> Result<Self, Error> {
        todo!()
    }

    /// Begins again at its end, forever.
    pub fn looped(self) -> Self {
        todo!()
    }

    /// Length in seconds
    pub fn duration_s(&self) -> f64 {
        todo!()
    }
}

impl Source for WavSource {
    fn read(&mut self, _out: &mut [f32]) -> SourceState {
        todo!()
    }
    fn describe(&self) -> String {
        todo!()
    }
}

/// Reads a whole WAV file as mono at 48 kHz.
pub fn read_wav(_path: impl AsRef<Path>) -> Result<Vec<f32>, Error> {
    todo!()
}

/// Records mono, 16 bit, 48 kHz.
pub struct WavSink {}

impl WavSink {
    /// Creates (or overwrites) the file.
    pub fn create(_path: impl AsRef<Path>) -> Result<Self, Error> {
        todo!()
    }
}

impl Sink for WavSink {
    fn write(&mut self, _samples: &[f32]) {
        todo!()
    }
    fn finish(&mut self) -> Result<(), sink::Error> {
        todo!()
    }
}

/// Records both directions: near (what is sent) left, far (what is heard) right. 16 bit, 48 kHz.
pub struct WavRecorder {}

impl WavRecorder {
    /// Creates (or overwrites) the file.
    pub fn create(_path: impl AsRef<Path>) -> Result<Self, Error> {
        todo!()
    }
    /// Writes the same stretch of time of both sides.
    pub fn write_both(&mut self, _near: &[f32], _far: &[f32]) {
        todo!()
    }
    /// As [`Sink::finish`].
    pub fn finish(&mut self) -> Result<(), sink::Error> {
        todo!()
    }
}
