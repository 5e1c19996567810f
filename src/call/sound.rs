//! Where the sound of a call comes from and goes to, as a person asks for it.

use crate::peer::media::{MediaConfig, MediaParts};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::device::Speaker;
use chatphone_media::audio::file::{WavRecorder, WavSink};
use chatphone_media::audio::sink::{Null, Sink, Tee};
use chatphone_media::audio::source::{SourceSpec, open_source};
use std::path::PathBuf;

/// Where received sound is played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SpeakerSpec {
    /// Nowhere.
    #[default]
    None,
    /// On the system's default device.
    Default,
    /// On the device with this name or id.
    Named(String),
}

/// The sound of a call.
#[derive(Debug, Clone)]
pub struct SoundSpec {
    /// What the far end hears.
    pub source: SourceSpec,
    /// Where the far end is heard.
    pub speaker: SpeakerSpec,
    /// Keeps what the far end says, as mono WAV.
    pub record: Option<PathBuf>,
    /// Keeps both directions, as stereo WAV: left what was sent, right what was received.
    pub record_both: Option<PathBuf>,
    /// The codecs to take, in order of preference.
    pub codecs: Vec<CodecKind>,
    /// How to encode and to receive.
    pub media: MediaConfig,
}

impl Default for SoundSpec {
    fn default() -> Self {
        Self {
            source: SourceSpec::Silence,
            speaker: SpeakerSpec::None,
            record: None,
            record_both: None,
            codecs: CodecKind::ALL.to_vec(),
            media: MediaConfig::default(),
        }
    }
}

impl SoundSpec {
    /// The sound of the n-th call (from 1) of a chat: the recordings of a later one get a number, so that they do not take
    /// the place of the earlier ones (`heard.wav`, `heard-2.wav`).
    pub fn of_call(&self, n: u32) -> Self {
        let numbered = |path: &PathBuf| {
            if n < 2 {
                return path.clone();
            }
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(format!("-{n}"));
            if let Some(extension) = path.extension() {
                name.push(".");
                name.push(extension);
            }
            path.with_file_name(name)
        };
        Self {
            record: self.record.as_ref().map(numbered),
            record_both: self.record_both.as_ref().map(numbered),
            ..self.clone()
        }
    }

    /// Opens everything. Blocks, for a slow device up to seconds.
    ///
    /// # Errors
    /// In words: the file, device or folder, and what is wrong with it.
    pub fn open(&self) -> Result<MediaParts, String> {
        let source = open_source(&self.source).map_err(|e| e.to_string())?;
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        match &self.speaker {
            SpeakerSpec::None => {}
            SpeakerSpec::Default => sinks.push(Box::new(Speaker::open(None).map_err(|e| e.to_string())?)),
            SpeakerSpec::Named(name) => {
                sinks.push(Box::new(Speaker::open(Some(name)).map_err(|e| e.to_string())?));
            }
        }
        if let Some(path) = &self.record {
            sinks.push(Box::new(WavSink::create(path).map_err(|e| e.to_string())?));
        }
        let sink: Box<dyn Sink> = match sinks.pop() {
            None => Box::new(Null),
            Some(only) if sinks.is_empty() => only,
            Some(last) => {
                sinks.push(last);
                Box::new(Tee::new(sinks))
            }
        };
        let recorder = self.record_both.as_ref().map(WavRecorder::create).transpose().map_err(|e| e.to_string())?;
        Ok(MediaParts { source, sink, recorder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_call_is_recorded_beside_the_earlier_ones() {
        let spec = |name: &str| SoundSpec { record: Some(name.into()), ..SoundSpec::default() };
        let path = |name, n| spec(name).of_call(n).record.unwrap_or_default();
        assert_eq!(path("dir/heard.wav", 1), PathBuf::from("dir/heard.wav"));
        assert_eq!(path("dir/heard.wav", 2), PathBuf::from("dir/heard-2.wav"));
        assert_eq!(path("heard", 12), PathBuf::from("heard-12"));
    }
}
