//! Devices.

use super::{
    sink::{self, Sink},
    source::{Source, SourceState},
};
use serde::Serialize;

/// What is wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It went away.
    #[error("{name} went away")]
    Lost {
        /// Which one.
        name: String,
    },
}

/// Every host and its devices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Devices {
    /// In the order in which they are tried.
    pub hosts: Vec<Host>,
}

/// A sound system: ALSA, PulseAudio, CoreAudio, WASAPI.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: String,
}

/// Lists what there is.
pub fn list() -> Devices {
    todo!()
}

/// A microphone.
pub struct Microphone {}

impl Microphone {
    /// Opens the default one, or the one named.
    pub fn open(_name: Option<&str>) -> Result<Self, Error> {
        todo!()
    }
}

impl Source for Microphone {
    fn read(&mut self, _out: &mut [f32]) -> SourceState {
        todo!()
    }
    fn describe(&self) -> String {
        todo!()
    }
}

/// A speaker.
pub struct Speaker {}

impl Speaker {
    /// Opens the default one, or the one named.
    pub fn open(_name: Option<&str>) -> Result<Self, Error> {
        todo!()
    }
}

impl Sink for Speaker {
    fn write(&mut self, _samples: &[f32]) {
        todo!()
    }
    fn finish(&mut self) -> Result<(), sink::Error> {
        todo!()
    }
}
