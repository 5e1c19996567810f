//! Where the sound of a call comes from.

use super::{
    device::{self, Microphone},
    file::{self, WavSource},
    slip::Slip,
    tone::Tone,
};
use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

/// What a [`Source`] had to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// The whole buffer holds sound of the source.
    Playing,
    /// The source had too little this time (a device that lags, an empty pipe); the rest of the buffer is silence.
    Starved,
    /// The source is at its end; what is past it, and everything from now on, is silence.
    Ended,
}

/// Anything that gives sound: `f32` mono at [`crate::SAMPLE_RATE`], in -1.0..=1.0.
pub trait Source: Send {
    /// Fills all of `out`, with silence where there is no sound. Never blocks.
    fn read(&mut self, out: &mut [f32]) -> SourceState;

    /// A short text for a person: the device's name, the file's path, `tone 440 Hz`.
    fn describe(&self) -> String;

    /// How what was read since the last call of this lies on the source's own time line. Only devices slip.
    fn take_slip(&mut self) -> Slip {
        Slip::default()
    }
}

/// Endless silence: a call that only listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl Source for Silence {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        out.fill(0.0);
        SourceState::Playing
    }

    fn describe(&self) -> String {
        "silence".into()
    }
}

/// Which source a person asked for: `mic`, `mic:NAME`, `silence`, `tone:HZ`, or the path of a WAV file.
///
/// A file that is really called `mic` is reached as `./mic`.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceSpec {
    /// A microphone: the default one, or the one named (see [`device::list`]).
    Microphone(Option<String>),
    /// Nothing to hear.
    Silence,
    /// A sine of so many Hz, at [`Tone::DEFAULT_LEVEL`].
    Tone(f32),
    /// A WAV file, played once.
    File(PathBuf),
}

/// Why a text is not a [`SourceSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Nothing was given.
    #[error("no source given; use mic, mic:NAME, silence, tone:HZ or the path of a WAV file")]
    Empty,
    /// What follows `tone:` is no frequency a call can carry.
    #[error("'{0}' is not a tone; use a frequency between 20 and 20000 Hz, as in tone:440")]
    Tone(String),
}

impl FromStr for SourceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        if text.is_empty() {
            return Err(SpecError::Empty);
        }
        if let Some(hz) = text.strip_prefix("tone:") {
            return match hz.trim().parse::<f32>() {
                Ok(hz) if (20.0..=20_000.0).contains(&hz) => Ok(Self::Tone(hz)),
                _ => Err(SpecError::Tone(text.into())),
            };
        }
        Ok(match text {
            "mic" => Self::Microphone(None),
            "silence" => Self::Silence,
            _ => match text.strip_prefix("mic:") {
                Some("") => Self::Microphone(None),
                Some(name) => Self::Microphone(Some(name.into())),
                None => Self::File(PathBuf::from_str(text).unwrap_or_else(|never: Infallible| match never {})),
            },
        })
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Microphone(None) => f.write_str("mic"),
            Self::Microphone(Some(name)) => write!(f, "mic:{name}"),
            Self::Silence => f.write_str("silence"),
            Self::Tone(hz) => write!(f, "tone:{hz}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why a source cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text names no source.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The file cannot be played.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The microphone cannot be used.
    #[error(transparent)]
    Device(#[from] device::Error),
}

/// Opens what `spec` names. A microphone takes up to a few seconds: call this off the audio loop.
pub fn open_source(spec: &SourceSpec) -> Result<Box<dyn Source>, Error> {
    Ok(match spec {
        SourceSpec::Microphone(name) => Box::new(Microphone::open(name.as_deref())?),
        SourceSpec::Silence => Box::new(Silence),
        SourceSpec::Tone(hz) => Box::new(Tone::new(*hz)),
        SourceSpec::File(path) => Box::new(WavSource::open(path)?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_form_of_a_spec_survives_display_and_parse() {
        for text in ["mic", "mic:USB Headset", "silence", "tone:440", "tone:1000.5", "hello.wav", "./mic", "/a b/c.wav"]
        {
            let spec: SourceSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            assert_eq!(spec.to_string().parse::<SourceSpec>().unwrap(), spec);
        }
    }

    #[test]
    fn a_tone_without_a_usable_frequency_is_refused() {
        for text in ["tone:", "tone:x", "tone:0", "tone:-5", "tone:NaN", "tone:inf", "tone:30000"] {
            assert_eq!(text.parse::<SourceSpec>(), Err(SpecError::Tone(text.into())));
        }
        assert_eq!("".parse::<SourceSpec>(), Err(SpecError::Empty));
    }

    #[test]
    fn silence_overwrites_what_was_there() {
        let mut out = [0.7; 480];
        assert_eq!(Silence.read(&mut out), SourceState::Playing);
        assert_eq!(out, [0.0; 480]);
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let spec: SourceSpec = "/nowhere/hello.wav".parse().unwrap();
        let error = open_source(&spec).map(|source| source.describe()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/hello.wav"), "{error}");
    }
}
