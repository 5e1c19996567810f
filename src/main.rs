//! chatphone.
fn main() {}
