//! Reading WAV files.

use super::Error;
use crate::{
    SAMPLE_RATE,
    audio::{
        resample::{RATES, Resampler},
        source::{Source, SourceState},
    },
};
use bytes::Bytes;
use hound::{SampleFormat, WavReader, WavSpec};
use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
};

/// Files up to this size are read whole when opened, so that no disk is in the way of a call.
const IN_MEMORY: u64 = 4 << 20;

/// Frames read at a time.
const CHUNK: usize = 480;

trait Input: Read + Seek + Send {}
impl<T: Read + Seek + Send> Input for T {}

/// Plays a WAV file of any usual rate and format; several channels are mixed to one.
pub struct WavSource {
    frames: Frames,
    resampler: Resampler,
    looped: bool,
    /// Mono, at the file's rate.
    raw: Vec<f32>,
    /// Mono, at 48 kHz, from `played` on not yet read.
    ready: Vec<f32>,
    played: usize,
    /// Nothing more will come into `ready`.
    exhausted: bool,
}

impl WavSource {
    /// Opens the file at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = |source| Error::Read { path: path.into(), source };
        let file = File::open(path).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        let input: Box<dyn Input> = if size <= IN_MEMORY {
            Box::new(Cursor::new(std::fs::read(path).map_err(read)?))
        } else {
            Box::new(BufReader::with_capacity(64 << 10, file))
        };
        Self::new(Frames::new(path.into(), input)?)
    }

    /// Plays a WAV file that is in memory; `name` is for people.
    pub fn from_bytes(name: &str, wav: impl Into<Bytes>) -> Result<Self, Error> {
        Self::new(Frames::new(name.into(), Box::new(Cursor::new(wav.into())))?)
    }

    fn new(frames: Frames) -> Result<Self, Error> {
        let rate = frames.spec().sample_rate;
        let resampler = Resampler::new(rate, SAMPLE_RATE)
            .map_err(|_| Error::Unsupported { path: frames.path.clone(), what: format!("a rate of {rate} Hz") })?;
        Ok(Self { frames, resampler, looped: false, raw: Vec::new(), ready: Vec::new(), played: 0, exhausted: false })
    }

    /// Begins again at the end, forever.
    pub fn looped(mut self) -> Self {
        self.looped = true;
        self
    }

    /// How long the file is, in seconds.
    pub fn duration_s(&self) -> f64 {
        f64::from(self.frames.reader.duration()) / f64::from(self.frames.spec().sample_rate)
    }

    fn refill(&mut self) {
        self.ready.drain(..self.played);
        self.played = 0;
        self.raw.clear();
        self.frames.read(CHUNK, |channels| self.raw.push(mix(channels)));
        // Truncated to nothing: looping would spin.
        if self.raw.is_empty() && self.looped && self.frames.rewind() {
            self.frames.read(CHUNK, |channels| self.raw.push(mix(channels)));
        }
        if self.raw.is_empty() {
            self.resampler.finish(&mut self.ready);
            self.exhausted = true;
        } else {
            self.resampler.process(&self.raw, &mut self.ready);
        }
    }
}

impl Source for WavSource {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        while self.ready.len() - self.played < out.len() && !self.exhausted {
            self.refill();
        }
        let available = &self.ready[self.played..];
        let taken = available.len().min(out.len());
        out[..taken].copy_from_slice(&available[..taken]);
        out[taken..].fill(0.0);
        self.played += taken;
        if taken < out.len() { SourceState::Ended } else { SourceState::Playing }
    }

    fn describe(&self) -> String {
        self.frames.path.display().to_string()
    }
}

/// All of a WAV file, mixed to mono, at [`SAMPLE_RATE`].
pub fn read_wav(path: impl AsRef<Path>) -> Result<Vec<f32>, Error> {
    let mut source = WavSource::open(path)?;
    while !source.exhausted {
        // Nothing is played, so all of it gathers.
        source.refill();
    }
    Ok(source.ready)
}

/// Both channels of a stereo WAV file (such as a [`super::WavRecorder`]'s: near, far), at [`SAMPLE_RATE`].
pub fn read_wav_stereo(path: impl AsRef<Path>) -> Result<[Vec<f32>; 2], Error> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let mut frames = Frames::new(path.into(), Box::new(BufReader::new(file)))?;
    let unsupported = |what: String| Error::Unsupported { path: path.into(), what };
    let (channels, rate) = (frames.spec().channels, frames.spec().sample_rate);
    if channels != 2 {
        return Err(unsupported(format!("{channels} channels where 2 were expected")));
    }
    let mut sides = [Vec::new(), Vec::new()];
    while frames.read(CHUNK, |frame| sides.iter_mut().zip(frame).for_each(|(side, &sample)| side.push(sample))) > 0 {}
    let convert = |side: Vec<f32>| {
        super::super::resample::resample(&side, rate, SAMPLE_RATE)
            .map_err(|_| unsupported(format!("a rate of {rate} Hz")))
    };
    let [near, far] = sides;
    Ok([convert(near)?, convert(far)?])
}

fn mix(channels: &[f32]) -> f32 {
    channels.iter().sum::<f32>() / channels.len() as f32
}

/// The frames of a WAV file, as floats.
struct Frames {
    path: PathBuf,
    reader: WavReader<Box<dyn Input>>,
    frame: Vec<f32>,
}

impl Frames {
    fn new(path: PathBuf, input: Box<dyn Input>) -> Result<Self, Error> {
        let reader = match WavReader::new(input) {
            Ok(reader) => reader,
            Err(error) => return Err(explain(path, error)),
        };
        let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
        let known = match sample_format {
            SampleFormat::Int => [8, 16, 24, 32].contains(&bits_per_sample),
            SampleFormat::Float => bits_per_sample == 32,
        };
        let what = match () {
            () if !known => format!("{bits_per_sample} bit samples"),
            () if channels == 0 => "no channels".into(),
            () if !RATES.contains(&sample_rate) => format!("a rate of {sample_rate} Hz"),
            () if reader.duration() == 0 => return Err(Error::Empty { path }),
            () => return Ok(Self { path, reader, frame: Vec::with_capacity(channels.into()) }),
        };
        Err(Error::Unsupported { path, what })
    }

    fn spec(&self) -> WavSpec {
        self.reader.spec()
    }

    /// Hands up to `most` frames to `each`; returns how many. A file that is shorter than its header says just ends.
    fn read(&mut self, most: usize, each: impl FnMut(&[f32])) -> usize {
        let WavSpec { channels, bits_per_sample, sample_format, .. } = self.spec();
        let samples = most * usize::from(channels);
        match sample_format {
            SampleFormat::Float => {
                let all = self.reader.samples::<f32>().take(samples);
                // A float file may hold anything.
                let all = all.map_while(Result::ok).map(|sample| if sample.is_finite() { sample } else { 0.0 });
                in_frames(all, &mut self.frame, channels.into(), each)
            }
            SampleFormat::Int => {
                let scale = 1.0 / (1u64 << (bits_per_sample - 1)) as f32;
                let all = self.reader.samples::<i32>().take(samples);
                let all = all.map_while(Result::ok).map(|sample| sample as f32 * scale);
                in_frames(all, &mut self.frame, channels.into(), each)
            }
        }
    }

    fn rewind(&mut self) -> bool {
        self.reader.seek(0).is_ok()
    }
}

fn in_frames(
    samples: impl Iterator<Item = f32>,
    frame: &mut Vec<f32>,
    channels: usize,
    mut each: impl FnMut(&[f32]),
) -> usize {
    let mut frames = 0;
    frame.clear();
    for sample in samples {
        frame.push(sample);
        if frame.len() == channels {
            each(frame);
            frame.clear();
            frames += 1;
        }
    }
    frames
}

fn explain(path: PathBuf, error: hound::Error) -> Error {
    match error {
        hound::Error::IoError(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Error::NotWav { path, reason: "it ends before its header does".into() }
        }
        // hound reports its own end of file so.
        hound::Error::IoError(source) if source.kind() == io::ErrorKind::Other => {
            Error::NotWav { path, reason: source.to_string() }
        }
        hound::Error::IoError(source) => Error::Read { path, source },
        hound::Error::Unsupported => Error::Unsupported { path, what: "an unusual encoding".into() },
        other => Error::NotWav { path, reason: other.to_string() },
    }
}
