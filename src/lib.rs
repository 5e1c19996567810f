//! chatphone.

pub mod api;
pub mod chat;
