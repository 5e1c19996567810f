//! A device's stream and the thread that owns it.

use super::{Direction, Error, list, pcm::Layout};
use cpal::{
    BufferSize, Data, ErrorKind, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange,
    traits::{DeviceTrait, StreamTrait},
};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// A sound system that takes longer than this to open a device is taken for dead.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(8);

/// So many errors with no sound in between mean that the device is gone, whatever they say.
const HOPELESS: u64 = 20;

/// What is counted of a microphone or speaker, whichever devices it has used one after the other.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub overruns: AtomicU64,
    pub underruns: AtomicU64,
    /// Overruns in the callback: nobody read for [`super::bridge::RING`].
    pub device_overruns: AtomicU64,
    /// Reported by the sound system.
    pub xruns: AtomicU64,
    pub errors: AtomicU64,
    /// Devices that went away.
    pub losses: AtomicU64,
    /// Times that another device came in.
    pub changes: AtomicU64,
    /// Times a device called back.
    pub calls: AtomicU64,
    /// Mean delay in the ring, in microseconds.
    pub fill_us: AtomicU32,
    /// There is no device: silence stands in its place.
    pub missing: AtomicBool,
}

/// What a stream's callbacks and the call share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub totals: Arc<Totals>,
    pub lost: AtomicBool,
    /// Frames of the last callback.
    pub burst: AtomicU64,
    pub callbacks: AtomicU64,
    /// When it called back last, in microseconds since `began`.
    pub called_us: AtomicU64,
    /// The time where there is no clock.
    pub virtual_us: AtomicU64,
    /// When the stream was made; none in virtual time.
    pub began: Option<Instant>,
    /// Frames of a microphone that found no room in the ring.
    pub dropped: AtomicU64,
    /// Frames of silence that a speaker played for want of sound.
    pub silence: AtomicU64,
    /// The last callback of a speaker had all it wanted.
    pub sounding: AtomicBool,
    errors_in_a_row: AtomicU64,
    closing: AtomicBool,
}

impl Deref for Shared {
    type Target = Totals;

    fn deref(&self) -> &Totals {
        &self.totals
    }
}

impl Shared {
    /// For a further stream of the same microphone or speaker.
    pub fn counting_in(totals: Arc<Totals>) -> Arc<Self> {
        Arc::new(Self { totals, began: Some(Instant::now()), ..Self::default() })
    }

    /// The time, in microseconds; a virtual one goes with what was noted last.
    pub fn now_us(&self) -> u64 {
        self.began.map_or_else(|| self.virtual_us.load(Relaxed), |began| began.elapsed().as_micros() as u64)
    }

    pub fn note_callback(&self, frames: usize) {
        self.called_us.store(self.now_us(), Relaxed);
        self.burst.store(frames as u64, Relaxed);
        self.callbacks.fetch_add(1, Relaxed);
        self.totals.calls.fetch_add(1, Relaxed);
        self.errors_in_a_row.store(0, Relaxed);
    }

    pub fn running(&self) -> bool {
        self.callbacks.load(Relaxed) > 0 && !self.lost.load(Relaxed)
    }

    /// Not a real-time callback, yet one that may be called 100,000 times a second by a device that is gone.
    fn note_error(&self, error: &cpal::Error, keeper: &thread::Thread) {
        match error.kind() {
            ErrorKind::Xrun => {
                self.xruns.fetch_add(1, Relaxed);
                return;
            }
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => return,
            _ => {}
        }
        self.errors.fetch_add(1, Relaxed);
        let fatal = matches!(
            error.kind(),
            ErrorKind::DeviceNotAvailable
                | ErrorKind::HostUnavailable
                | ErrorKind::StreamInvalidated
                | ErrorKind::PermissionDenied
        );
        if fatal || self.errors_in_a_row.fetch_add(1, Relaxed) >= HOPELESS {
            if !self.lost.swap(true, SeqCst) {
                tracing::warn!(%error, "an audio device went away");
                keeper.unpark();
            }
            // Whoever calls in a loop is slowed down until the stream is gone.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Counters of a microphone or speaker in use, over all devices it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct DeviceStats {
    /// Times that sound was missing: from the microphone, or for the speaker.
    pub underruns: u64,
    /// Times that sound was dropped, because one side stood still.
    pub overruns: u64,
    /// Times that the sound system itself reported one or the other.
    pub device_xruns: u64,
    /// Other errors the sound system reported.
    pub errors: u64,
    /// Times that a device went away.
    pub losses: u64,
    /// Times that another device was taken in its place, or the wanted one again.
    pub changes: u64,
    /// Times that the device gave or took sound.
    pub callbacks: u64,
    /// There is no device now; silence stands in its place.
    pub lost: bool,
    /// Mean delay between the device and the call, in microseconds, without the device's own buffers.
    pub delay_us: u32,
}

/// Looks at a microphone or speaker that is in use, from any thread.
#[derive(Debug, Clone)]
pub struct Monitor(pub(super) Arc<Totals>);

impl Monitor {
    /// The counters as they are now.
    pub fn stats(&self) -> DeviceStats {
        let totals = &self.0;
        DeviceStats {
            underruns: totals.underruns.load(Relaxed),
            overruns: totals.overruns.load(Relaxed) + totals.device_overruns.load(Relaxed),
            device_xruns: totals.xruns.load(Relaxed),
            errors: totals.errors.load(Relaxed),
            losses: totals.losses.load(Relaxed),
            changes: totals.changes.load(Relaxed),
            callbacks: totals.calls.load(Relaxed),
            lost: self.lost(),
            delay_us: totals.fill_us.load(Relaxed),
        }
    }

    /// Whether there is no device now.
    pub fn lost(&self) -> bool {
        self.0.missing.load(SeqCst)
    }
}

/// How a stream was opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub name: String,
    /// With the sound system before it, as in `pulseaudio:spk`.
    pub id: String,
    pub layout: Layout,
    pub rate: u32,
}

/// What runs in the device's callback, given the layout and the rate.
pub(super) type Callback = Box<dyn FnMut(&mut Bytes<'_>) + Send>;

/// A device's buffer.
pub(super) enum Bytes<'a> {
    /// What a microphone heard.
    Heard(&'a [u8]),
    /// What a speaker is to play.
    ToPlay(&'a mut [u8]),
}

/// Keeps a stream alive; dropping it lets the stream go, on the stream's own thread.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: thread::Thread,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// Opens the device called `name`, or the default one. `prepare` is given the layout and rate, and returns the
/// callback and what the caller wants back.
pub(super) fn open<T: Send + 'static>(
    direction: Direction,
    name: Option<&str>,
    shared: Arc<Shared>,
    prepare: impl FnOnce(&Opened) -> Option<(Callback, T)> + Send + 'static,
) -> Result<(Keeper, Opened, T), Error> {
    let (tell, told) = mpsc::channel();
    let label = name.unwrap_or("the sound system").to_owned();
    let (wanted, kept) = (name.map(str::to_owned), shared.clone());
    // All of it happens on a thread of its own: asking for a device, opening and dropping it may each hang.
    let keeper = thread::Builder::new()
        .name("audio-device".into())
        .spawn(move || {
            list::hush();
            let built = build(direction, wanted.as_deref(), &kept, prepare);
            let (stream, answer) = match built {
                Ok((stream, opened, extra)) => (Some(stream), Ok((opened, extra))),
                Err(error) => (None, Err(error)),
            };
            // A caller that gave up has no use for the stream.
            if tell.send(answer).is_err() {
                return;
            }
            while stream.is_some() && !kept.closing.load(SeqCst) && !kept.lost.load(SeqCst) {
                thread::park();
            }
            drop(stream);
        })
        .map_err(|error| Error::Open { name: label.clone(), reason: error.to_string() })?;
    let keeper = Keeper { shared, thread: keeper.thread().clone() };
    match told.recv_timeout(OPEN_TIMEOUT) {
        Ok(answer) => answer.map(|(opened, extra)| (keeper, opened, extra)),
        Err(_) => Err(Error::Timeout { name: label }),
    }
}

fn build<T>(
    direction: Direction,
    name: Option<&str>,
    shared: &Arc<Shared>,
    prepare: impl FnOnce(&Opened) -> Option<(Callback, T)>,
) -> Result<(cpal::Stream, Opened, T), Error> {
    let found = list::find(direction, name)?;
    let device = &found.device;
    let open = |error: cpal::Error| match error.kind() {
        // The sound system names a default device although there is none.
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable if name.is_none() => Error::NoDevice { direction },
        _ => Error::Open { name: found.name.clone(), reason: error.to_string() },
    };
    let ranges = found.ranges(direction);
    if ranges.is_empty() {
        // Ask in the way that gives a reason.
        let asked = match direction {
            Direction::Input => device.default_input_config(),
            Direction::Output => device.default_output_config(),
        };
        asked.map_err(open)?;
    }
    let chosen = choose_format(&ranges, direction).ok_or_else(|| Error::Unsupported { name: found.name.clone() })?;
    let opened = Opened { name: found.name.clone(), id: found.id.clone(), layout: chosen.layout, rate: chosen.rate };
    let (mut callback, extra) = prepare(&opened).ok_or_else(|| Error::Unsupported { name: found.name.clone() })?;
    let config = StreamConfig {
        channels: chosen.layout.channels,
        sample_rate: chosen.rate,
        buffer_size: BufferSize::Fixed(chosen.buffer),
    };
    let (errors, keeper) = (shared.clone(), thread::current());
    let on_error = move |error: cpal::Error| errors.note_error(&error, &keeper);
    let (format, timeout) = (chosen.layout.format, Some(OPEN_TIMEOUT));
    let stream = match direction {
        Direction::Input => device.build_input_stream_raw(
            config,
            format,
            move |data: &Data, _: &cpal::InputCallbackInfo| callback(&mut Bytes::Heard(data.bytes())),
            on_error,
            timeout,
        ),
        Direction::Output => device.build_output_stream_raw(
            config,
            format,
            move |data: &mut Data, _: &cpal::OutputCallbackInfo| callback(&mut Bytes::ToPlay(data.bytes_mut())),
            on_error,
            timeout,
        ),
    }
    .map_err(open)?;
    stream.play().map_err(open)?;
    tracing::debug!(device = %opened.name, rate = opened.rate, layout = ?opened.layout, "opened an audio device");
    Ok((stream, opened, extra))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub layout: Layout,
    pub rate: u32,
    /// Frames of one burst.
    pub buffer: u32,
}

/// The format nearest to what is used inside: 48 kHz if there is, few channels, good samples.
pub(super) fn choose_format(ranges: &[SupportedStreamConfigRange], direction: Direction) -> Option<Chosen> {
    let wanted_channels = match direction {
        Direction::Input => 1,
        // Many a device plays a single channel on the left alone.
        Direction::Output => 2,
    };
    let rate_of = |range: &SupportedStreamConfigRange| {
        let (least, most) = (range.min_sample_rate(), range.max_sample_rate());
        crate::SAMPLE_RATE.clamp(least, most.max(least))
    };
    let rank = |range: &&SupportedStreamConfigRange| {
        let quality = Layout::FORMATS.iter().position(|&format| format == range.sample_format());
        let rate = rate_of(range);
        // A lower rate than ours loses sound; a higher one only costs.
        let rate_off = (rate != crate::SAMPLE_RATE, rate < crate::SAMPLE_RATE, rate.abs_diff(crate::SAMPLE_RATE));
        (rate_off, range.channels().abs_diff(wanted_channels), quality)
    };
    let usable = |range: &&SupportedStreamConfigRange| {
        Layout::FORMATS.contains(&range.sample_format()) && range.channels() > 0 && rate_of(range) >= 4_000
    };
    let best = ranges.iter().filter(usable).min_by_key(rank)?;
    let rate = rate_of(best);
    let wanted = rate / 100;
    let buffer = match best.buffer_size() {
        SupportedBufferSize::Range { min, max } => wanted.clamp(*min, (*max).max(*min)),
        SupportedBufferSize::Unknown => wanted,
    };
    Some(Chosen { layout: Layout { format: best.sample_format(), channels: best.channels() }, rate, buffer })
}
