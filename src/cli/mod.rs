//! cli
pub mod place;
pub mod summary;
