//! chatphone.

pub mod api;
