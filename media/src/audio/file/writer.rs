//! Writing WAV files, from within the audio loop: a thread of its own does the writing, a bounded queue lies between.

use super::Error;
use crate::{
    SAMPLE_RATE,
    audio::sink::{self, Sink},
};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Frames handed to the writing thread at a time: 100 ms.
const BLOCK: usize = 4800;

/// Blocks that may wait for a slow disk: 10 s. What comes then is left out and counted.
const QUEUE: usize = 100;

/// The file is whole and its header right at least this often.
const FLUSH: Duration = Duration::from_secs(1);

/// A WAV file counts its bytes in 32 bits; some room is left for its header.
const MAX_BYTES: u64 = u32::MAX as u64 - (1 << 20);

pub(super) trait Output: Write + Seek + Send + 'static {}
impl<T: Write + Seek + Send + 'static> Output for T {}

/// Records to a WAV file: mono, 16 bit, 48 kHz. Valid at any moment, but for its last second when the process is
/// killed.
pub struct WavSink(Track);

impl WavSink {
    /// Creates the file at `path`, or overwrites it.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self(Track::create(path.as_ref(), 1)?))
    }

    /// Samples left out: the disk was too slow or failed.
    pub fn dropped(&self) -> u64 {
        self.0.dropped
    }

    #[cfg(test)]
    pub(super) fn to_output(output: impl Output) -> Result<Self, Error> {
        Ok(Self(Track::start("test.wav".into(), output, 1)?))
    }
}

impl Sink for WavSink {
    fn write(&mut self, samples: &[f32]) {
        samples.iter().for_each(|&sample| self.0.push(&[sample]));
    }

    fn finish(&mut self) -> Result<(), sink::Error> {
        Ok(self.0.finish()?)
    }
}

/// Records both directions of a call to one stereo WAV file, 16 bit, 48 kHz: near (what is sent) on the left, far
/// (what is heard) on the right. As safe as [`WavSink`].
pub struct WavRecorder(Track);

impl WavRecorder {
    /// Creates the file at `path`, or overwrites it.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self(Track::create(path.as_ref(), 2)?))
    }

    /// Takes the same stretch of time of both directions; the shorter one is filled up with silence. Never blocks.
    pub fn write_both(&mut self, near: &[f32], far: &[f32]) {
        for n in 0..near.len().max(far.len()) {
            let at = |side: &[f32]| side.get(n).copied().unwrap_or(0.0);
            self.0.push(&[at(near), at(far)]);
        }
    }

    /// Frames left out: the disk was too slow or failed.
    pub fn dropped(&self) -> u64 {
        self.0.dropped
    }

    /// Writes what is left, sets the header right, and says what went wrong on the way. May block; writing after it
    /// does nothing.
    pub fn finish(&mut self) -> Result<(), sink::Error> {
        Ok(self.0.finish()?)
    }
}

struct Block {
    /// Frames left out before this block: silence takes their place, so that what follows stays in its place.
    missing: u64,
    samples: Vec<i16>,
}

/// The thread behind the queue.
type Writer = JoinHandle<Result<(), Error>>;

/// The near end of the queue.
struct Track {
    path: PathBuf,
    channels: u16,
    block: Vec<i16>,
    missing: u64,
    dropped: u64,
    writer: Option<(SyncSender<Block>, Writer)>,
}

impl Track {
    fn create(path: &Path, channels: u16) -> Result<Self, Error> {
        let file = File::create(path).map_err(|source| Error::Create { path: path.into(), source })?;
        Self::start(path.into(), BufWriter::new(file), channels)
    }

    fn start(path: PathBuf, output: impl Output, channels: u16) -> Result<Self, Error> {
        let create = |error| Error::Create { path: path.clone(), source: into_io(error) };
        let spec =
            WavSpec { channels, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut wav = WavWriter::new(output, spec).map_err(create)?;
        // The header stands from the beginning, and a full disk shows now.
        wav.flush().map_err(create)?;
        let (queue, blocks) = sync_channel(QUEUE);
        let file = path.clone();
        let thread = thread::Builder::new()
            .name("wav-writer".into())
            .spawn(move || write_blocks(&file, wav, &blocks))
            .map_err(|source| Error::Create { path: path.clone(), source })?;
        let block = Vec::with_capacity(BLOCK * usize::from(channels));
        Ok(Self { path, channels, block, missing: 0, dropped: 0, writer: Some((queue, thread)) })
    }

    fn push(&mut self, frame: &[f32]) {
        if self.writer.is_none() {
            return;
        }
        // A cast of what is not a number gives 0.
        self.block.extend(frame.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16));
        if self.block.len() == BLOCK * usize::from(self.channels) {
            self.send();
        }
    }

    fn send(&mut self) {
        let Some((queue, _)) = &self.writer else { return };
        let capacity = self.block.capacity();
        let samples = std::mem::replace(&mut self.block, Vec::with_capacity(capacity));
        let frames = (samples.len() / usize::from(self.channels)) as u64;
        match queue.try_send(Block { missing: self.missing, samples }) {
            Ok(()) => self.missing = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.dropped == 0 {
                    tracing::warn!(path = %self.path.display(), "the recording cannot be written fast enough");
                }
                self.missing += frames;
                self.dropped += frames;
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some((queue, thread)) = self.writer.take() else { return Ok(()) };
        // Here there is time to wait for the disk.
        let samples = std::mem::take(&mut self.block);
        let frames = (samples.len() / usize::from(self.channels)) as u64;
        if queue.send(Block { missing: self.missing, samples }).is_err() {
            self.dropped += frames;
        }
        drop(queue);
        match thread.join() {
            Ok(result) => result?,
            Err(_) => {
                let source = io::Error::other("the writer stopped");
                return Err(Error::Write { path: self.path.clone(), source });
            }
        }
        match self.dropped {
            0 => Ok(()),
            dropped => {
                let missing_s = dropped as f64 / f64::from(SAMPLE_RATE);
                Err(Error::Incomplete { path: self.path.clone(), missing_s })
            }
        }
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!(%error, "recording");
        }
    }
}

/// The far end: ends with the queue or with the first failure.
fn write_blocks<W: Output>(path: &Path, mut wav: WavWriter<W>, blocks: &Receiver<Block>) -> Result<(), Error> {
    let failed = |error| Error::Write { path: path.into(), source: into_io(error) };
    let channels = u64::from(wav.spec().channels);
    // Since when something is not flushed.
    let mut dirty: Option<Instant> = None;
    loop {
        let block = match dirty {
            None => blocks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => blocks.recv_timeout(FLUSH.saturating_sub(since.elapsed())),
        };
        match block {
            Ok(Block { missing, samples }) => {
                let added = 2 * (missing * channels + samples.len() as u64);
                if u64::from(wav.len()) * 2 + added > MAX_BYTES {
                    wav.finalize().map_err(failed)?;
                    return Err(Error::TooLong { path: path.into() });
                }
                for _ in 0..missing * channels {
                    wav.write_sample(0i16).map_err(failed)?;
                }
                for sample in samples {
                    wav.write_sample(sample).map_err(failed)?;
                }
                dirty.get_or_insert_with(Instant::now);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return wav.finalize().map_err(failed),
        }
        if dirty.is_some_and(|since| since.elapsed() >= FLUSH) {
            wav.flush().map_err(failed)?;
            dirty = None;
        }
    }
}

fn into_io(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}
