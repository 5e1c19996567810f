//! Bad input, through the program itself: each ends in the right exit code and one clear sentence, and what was
//! recorded is kept.
#![allow(clippy::unwrap_used)]

#[path = "../api_support/mod.rs"]
mod api_support;
#[path = "../bad_input_support/mod.rs"]
mod bad_input_support;

mod connection;
mod descriptions;
mod ends;
mod files;
mod signaling;
