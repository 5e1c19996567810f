//! Real recorded speech: the two sides of a short conversation, for demonstrations and tests.
//!
//! When one side speaks the other is silent, so both can be played at once. Sources, licences and attribution are in
//! `samples/README.md`: [`AGENT`] is CC-BY-SA-3.0, [`CUSTOMER`] is in the public domain.

use crate::audio::file::{Error, WavSource};

/// A recorded voice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// What to call it.
    pub name: &'static str,
    /// A WAV file, 16 kHz mono.
    pub wav: &'static [u8],
    /// What is said, and when.
    pub utterances: &'static [Utterance],
}

impl Sample {
    /// Plays it.
    pub fn source(&self) -> Result<WavSource, Error> {
        WavSource::from_bytes(self.name, self.wav)
    }
}

/// One thing said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Utterance {
    /// When it begins, in seconds from the beginning of the file.
    pub start_s: f64,
    /// When it ends.
    pub end_s: f64,
    /// The words.
    pub text: &'static str,
}

/// A customer (a man's voice), three utterances in 15.6 s.
pub const CUSTOMER: Sample = Sample {
    name: "customer.wav",
    wav: include_bytes!("../samples/customer.wav"),
    utterances: &[
        Utterance { start_s: 2.2, end_s: 4.8, text: "He was not an ill-disposed young man," },
        Utterance { start_s: 7.7, end_s: 10.52, text: "He might even have been made amiable himself;" },
        Utterance { start_s: 10.7, end_s: 14.44, text: "cold hearted and rather selfish is to be ill-disposed" },
    ],
};

/// An agent (a woman's voice), three utterances in 15.6 s.
pub const AGENT: Sample = Sample {
    name: "agent.wav",
    wav: include_bytes!("../samples/agent.wav"),
    utterances: &[
        Utterance { start_s: 0.4, end_s: 1.992, text: "Thank you for your patience." },
        Utterance { start_s: 5.1, end_s: 7.525, text: "Please hold while we try to connect you." },
        Utterance { start_s: 14.5, end_s: 15.365, text: "Goodbye." },
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::{level::Level, source::Source};

    #[test]
    fn the_voices_speak_where_they_are_said_to_and_only_there() {
        for sample in [CUSTOMER, AGENT] {
            let mut sound = vec![0.0; (15.6 * 48_000.0) as usize];
            sample.source().unwrap().read(&mut sound);
            let at = |seconds: f64| (seconds * 48_000.0) as usize;
            let mut silent_from = 0;
            for utterance in sample.utterances {
                let speech = Level::of(&sound[at(utterance.start_s)..at(utterance.end_s)]);
                assert!((-25.0..-8.0).contains(&speech.rms), "{utterance:?}: {speech:?}");
                let pause = Level::of(&sound[silent_from..at(utterance.start_s) - 240]);
                assert!(pause.peak < -70.0, "before {utterance:?}: {pause:?}");
                silent_from = at(utterance.end_s) + 240;
            }
        }
    }
}
