//! A call in virtual time: a source, the sender, a seeded network, the receiver, and what was played.
//!
//! Nothing here waits and nothing is left to chance: the same seed gives the same bits, faster than real time. It is
//! how the receiver is measured (`make bench-sound`) and tested.
//!
//! ```
//! use chatphone_media::{audio::tone::Tone, lab::{Call, Loss, Network}};
//!
//! let network = Network { loss: Loss::Random(0.05), seed: 7, ..Network::default() };
//! let heard = Call { network, ..Call::default() }.run(Box::new(Tone::new(440.0)), 2.0)?;
//! assert_eq!(heard.sound.len(), 96_000);
//! # Ok::<(), chatphone_media::audio::codec::Error>(())
//! ```

mod call;
mod network;

pub use call::{Call, Heard, Moment};
pub use network::{Loss, Network, Path, Stall};

#[cfg(test)]
mod tests;
