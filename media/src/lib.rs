//! The sound of chatphone.
