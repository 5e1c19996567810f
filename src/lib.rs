//! chatphone.

pub mod api;
pub mod simulator;
