//! The sound of chatphone: devices, files, codecs, the jitter buffer and the two halves of a call's media path.
//!
//! This crate knows no HTTP, no signaling and no WebRTC types. Packets go in and out as plain structs, and time goes
//! in as a parameter: neither [`pipeline::Sender`] nor [`pipeline::Receiver`] has a clock or a thread of its own.
//! Whoever owns a call ticks them every [`TICK`].
//!
//! Everything inside is `f32` mono at [`SAMPLE_RATE`], full scale being -1.0..=1.0.
//!
//! ```
//! use chatphone_media::{TICK, TICK_SAMPLES, audio::tone::Tone, pipeline::{Receiver, ReceiverConfig, Sender, SenderConfig}};
//! use std::time::Instant;
//!
//! let mut sender = Sender::new(Box::new(Tone::new(440.0)), SenderConfig::default())?;
//! let mut receiver = Receiver::new(ReceiverConfig::default())?;
//! let (mut now, mut out) = (Instant::now(), [0.0; TICK_SAMPLES]);
//! for _ in 0..50 {
//!     if let Some(packet) = sender.tick() {
//!         receiver.push(packet.into_rtp(0x1234), now);
//!     }
//!     receiver.pull(&mut out, now);
//!     now += TICK;
//! }
//! assert!(receiver.stats().audio_level > 0.05);
//! # Ok::<(), chatphone_media::audio::codec::Error>(())
//! ```

use std::time::Duration;

pub mod audio;
pub mod lab;
pub mod pipeline;
pub mod samples;

/// Sample rate of everything between a source and an encoder, and between a decoder and a sink, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;

/// How often a call's owner ticks [`pipeline::Sender`] and pulls [`pipeline::Receiver`].
pub const TICK: Duration = Duration::from_millis(10);

/// Samples in one [`TICK`] at [`SAMPLE_RATE`].
pub const TICK_SAMPLES: usize = 480;
