//! chatphone.

pub mod api;
pub mod call;
pub mod chat;
pub mod cli;
pub mod config;
pub mod peer;
pub mod phone;
pub mod simulator;
