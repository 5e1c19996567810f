//! Real recorded speech.

/// What a customer says, as a WAV file.
pub const CUSTOMER: &[u8] = &[];
/// What an agent says, as a WAV file.
pub const AGENT: &[u8] = &[];
