//! How a device's sound lies on the device's own time line: what an echo canceller must know of it.
//!
//! What is written to a speaker is heard after a delay, and what a microphone heard is read after one. An echo canceller
//! learns the two together and follows a slow change; a gap is a sudden one. Every gap on this side of the devices is
//! made by us and counted in samples, so that the canceller can be given both sounds as the devices had them: there the
//! delay stays what it was.

/// What happened on the way since it was asked last, in samples at [`crate::SAMPLE_RATE`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slip {
    /// How much faster than the device's clock, as far as that is known, sound was taken from or given to it, as a
    /// share: what a delay that is mended slowly changes by.
    pub hurry: f64,
    /// Silence put in. By a speaker: played before what was written last. By a microphone: in what was read last, in
    /// place of its sound.
    pub put_in: usize,
    /// Sound left out. By a speaker: the beginning of what was written last was not played. By a microphone: lost before
    /// what was read last, and known to nobody.
    pub left_out: usize,
    /// Sound of a microphone that was passed over before what was read last, because it was too old for a call.
    pub passed_over: Vec<f32>,
    /// Another device, or the same anew: nothing that was known of the delay holds.
    pub anew: bool,
}
