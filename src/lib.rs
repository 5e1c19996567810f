//! chatphone.

pub mod api;
pub mod call;
