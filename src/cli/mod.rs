//! cli
pub mod place;
pub mod sound;
pub mod summary;
