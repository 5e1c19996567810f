//! chatphone.

pub mod api;
pub mod peer;
