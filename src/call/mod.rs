//! One call inside a chat.
//!
//! [`machine`] decides: it knows the signaling messages, the time limits and what a call's end means, and does no I/O.
//! A driver around it owns the clock, the chat's send queue and the WebRTC peer.

mod driver;
pub mod machine;
mod peer;
mod ringer;
mod sound;
mod stats;

pub use driver::{CallDriver, CallNotice, CallSetup};
pub use sound::{ProcessSpec, SoundSpec, SpeakerSpec};
pub use stats::{CallReport, CallStats};

pub use machine::{
    CallConfig, CallEnd, CallEvent, CallMachine, CallTimes, Direction, EndedBy, Input, Interruption, MediaSigns,
    Offerer, Outcome, Output, Phase, Recovery, TimeLimit,
};
