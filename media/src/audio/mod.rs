//! Sound: where it comes from, where it goes, and what happens to it on the way.
//!
//! - [`source`] and [`sink`] are the two ends; [`device`], [`mod@file`], [`tone`] and [`pipe`] are what can stand there.
//! - [`codec`] turns frames into packets and back; [`jitter`] puts packets back in order and in time.
//! - [`comfort_noise`] fills the silence of a far end that says what its room sounds like.
//! - [`process`] takes echo and noise out of a microphone's sound; [`watch`] notices what is wrong with it.
//! - [`call_tone`] has the tones of a telephone; [`chirp`] measures the way from a speaker to a microphone.
//! - [`stretch`] makes speech shorter or longer; [`emodel`] estimates the quality of a call from its figures.
//! - [`slip`] tells of the gaps of devices. [`resample`] changes rates; [`level`] measures loudness; [`compare`] proves that a recording holds what was said.

pub mod call_tone;
pub mod chirp;
pub mod codec;
pub mod comfort_noise;
pub mod compare;
pub mod device;
pub mod dtmf;
pub mod emodel;
pub mod file;
pub mod jitter;
pub mod level;
pub mod pipe;
pub mod process;
pub mod resample;
pub mod sink;
pub mod slip;
pub mod source;
pub mod stretch;
pub mod tone;
pub mod watch;
