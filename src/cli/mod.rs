//! cli
pub mod chat;
pub mod demo;
pub mod ladder;
pub mod place;
pub mod progress;
pub mod sound;
pub mod summary;
