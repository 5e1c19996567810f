//! chatphone.

pub mod api;
pub mod call;
pub mod peer;
