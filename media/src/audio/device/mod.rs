//! Microphones and speakers, by cpal.
//!
//! A device runs on its own clock, a call on the system's. Between them lies a ring of the device's raw bytes: the
//! device's real-time callback only copies bytes and counts, and everything else (sample format, channels, rate, and
//! the drift between the two clocks) happens on the call's side, in `bridge`.
//!
//! A stream lives on a thread of its own (`stream`): a sound system that hangs, when a stream is opened or dropped,
//! hangs that thread alone. Another thread follows what becomes of the device (`follow`): when it goes away, the default
//! one takes its place, and it comes in again when it is back; meanwhile there is silence.

mod bridge;
mod follow;
mod list;
mod microphone;
pub mod pair;
mod pcm;
mod speaker;
mod stream;

pub use follow::{DeviceChange, DeviceEvent, Listener, Wanted};
pub use list::{DeviceInfo, Devices, Direction, Format, HostInfo, find_name, list};
pub use microphone::Microphone;
pub use speaker::Speaker;
pub use stream::{DeviceStats, Monitor};

/// What is wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none at all.
    #[error("there is no {direction} on this machine")]
    NoDevice {
        /// What was looked for.
        direction: Direction,
    },
    /// No device has that name.
    #[error("no {direction} is called '{name}'; there is: {}", one_of(available))]
    Unknown {
        /// What was looked for.
        direction: Direction,
        /// What was asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// Several devices match.
    #[error("'{name}' could be any of: {}", one_of(matches))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The names it fits.
        matches: Vec<String>,
    },
    /// It has no format that is understood here.
    #[error("{name} has no format that can be used")]
    Unsupported {
        /// Which one.
        name: String,
    },
    /// It cannot be opened.
    #[error("cannot open {name}: {reason}")]
    Open {
        /// Which one.
        name: String,
        /// What the sound system says.
        reason: String,
    },
    /// The sound system does not answer.
    #[error("{name} did not answer within {} s", stream::OPEN_TIMEOUT.as_secs())]
    Timeout {
        /// Which one.
        name: String,
    },
    /// It went away while it was used.
    #[error("{name} went away")]
    Lost {
        /// Which one.
        name: String,
    },
}

fn one_of(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
