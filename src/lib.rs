//! chatphone.

pub mod api;
pub mod call;
pub mod chat;
pub mod peer;
pub mod phone;
pub mod simulator;
