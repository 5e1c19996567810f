//! Where the sound of a call comes from and goes to, as a person asks for it.

use crate::peer::media::{DeviceMonitors, MediaConfig, MediaParts, NoticeChannel, SoundControls, SoundNotice};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::device::{Listener, Microphone, Speaker, Wanted};
use chatphone_media::audio::file::{WavRecorder, WavSink};
use chatphone_media::audio::process::{NoiseSuppressor, ProcessConfig};
use chatphone_media::audio::sink::{Null, Sink};
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

/// What is done to a microphone's sound before it is sent. Other sources are sent as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Take out the echo of the speaker, where there is one.
    pub echo: bool,
    /// Take out noise.
    pub noise: bool,
    /// Bring speech to one loudness.
    pub gain: bool,
}

impl Default for ProcessSpec {
    fn default() -> Self {
        Self { echo: true, noise: true, gain: true }
    }
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
    /// How to encode and to receive; see [`SoundSpec::media`] for what is added to it.
    pub media: MediaConfig,
    /// What is done to a microphone's sound.
    pub process: ProcessSpec,
    /// Begin with the default microphone when the named one is not there, and take the named one when it comes.
    pub microphone_or_default: bool,
    /// The same for the speaker.
    pub speaker_or_default: bool,
    /// Levels and the like, at the beginning.
    pub controls: SoundControls,
    /// Play ringing and call-progress tones on the speaker.
    pub tones: bool,
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
            process: ProcessSpec::default(),
            microphone_or_default: false,
            speaker_or_default: false,
            controls: SoundControls::default(),
            tones: true,
        }
    }
}

impl SpeakerSpec {
    /// The device that is wanted, if one is.
    pub fn wanted(&self, or_default: bool) -> Option<Wanted> {
        match self {
            Self::None => None,
            Self::Default => Some(Wanted::default()),
            Self::Named(name) => Some(Wanted { name: Some(name.clone()), or_default }),
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
        let notices = NoticeChannel::default();
        let listener = || -> Listener {
            let notices = notices.sender();
            Box::new(move |event| _ = notices.send(SoundNotice::Device(event)))
        };
        let mut devices = DeviceMonitors::default();
        let source = match &self.source {
            SourceSpec::Microphone(name) => {
                let wanted = Wanted { name: name.clone(), or_default: self.microphone_or_default };
                let microphone = Microphone::open_with(wanted, listener()).map_err(|e| e.to_string())?;
                devices.microphone = Some(microphone.monitor());
                Box::new(microphone)
            }
            other => open_source(other).map_err(|e| e.to_string())?,
        };
        let mut speaker: Option<Box<dyn Sink>> = None;
        if let Some(wanted) = self.speaker.wanted(self.speaker_or_default) {
            let device = Speaker::open_with(wanted, listener()).map_err(|e| e.to_string())?;
            devices.speaker = Some(device.monitor());
            speaker = Some(Box::new(device));
        }
        let sink: Box<dyn Sink> = match &self.record {
            None => Box::new(Null),
            Some(path) => Box::new(WavSink::create(path).map_err(|e| e.to_string())?),
        };
        let recorder = self.record_both.as_ref().map(WavRecorder::create).transpose().map_err(|e| e.to_string())?;
        Ok(MediaParts { source, sink, speaker, recorder, devices, notices })
    }

    /// How to encode and to receive, with what a microphone needs.
    pub fn media(&self) -> MediaConfig {
        let mut media = self.media.clone();
        if matches!(self.source, SourceSpec::Microphone(_)) {
            let ProcessSpec { echo, noise, gain } = self.process;
            media.sender.watch = true;
            media.sender.process = ProcessConfig {
                echo: echo && self.speaker != SpeakerSpec::None,
                noise: if noise { ProcessConfig::ALL.noise } else { NoiseSuppressor::Off },
                gain,
            };
        }
        media
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

    #[test]
    fn only_a_microphone_is_processed_and_echo_needs_a_speaker() {
        let spec = |source: SourceSpec, speaker| SoundSpec { source, speaker, ..SoundSpec::default() }.media().sender;
        let file = spec(SourceSpec::File("a.wav".into()), SpeakerSpec::Default);
        assert!(file.process.is_off() && !file.watch);
        assert!(spec(SourceSpec::Silence, SpeakerSpec::None).process.is_off());
        let both = spec(SourceSpec::Microphone(None), SpeakerSpec::Default);
        assert!(both.watch && both.process == ProcessConfig::ALL);
        let alone = spec(SourceSpec::Microphone(None), SpeakerSpec::None);
        assert_eq!(alone.process, ProcessConfig { echo: false, ..ProcessConfig::ALL });
    }

    #[test]
    fn each_part_of_the_processing_can_be_left_out() {
        let process = ProcessSpec { echo: false, noise: false, gain: false };
        let source = SourceSpec::Microphone(None);
        let spec = SoundSpec { source, speaker: SpeakerSpec::Default, process, ..SoundSpec::default() };
        assert!(spec.media().sender.process.is_off());
    }
}
