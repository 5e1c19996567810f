//! chatphone.
