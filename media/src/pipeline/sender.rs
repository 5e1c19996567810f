//! From a source to packets.

use super::{Adaptation, Loudness, NetworkReport, RtpPacket};
use crate::{
    TICK_SAMPLES,
    audio::{
        codec::{CodecKind, Encoded, Encoder, EncoderConfig, EncoderSettings, Error, FRAME_SAMPLES},
        dtmf::{Dial, DialFrame, Dialler},
        jitter::Content,
        level::{Level, Meter},
        process::{Block, ProcessConfig, ProcessStats, Processor},
        slip::Slip,
        source::{Source, SourceState},
        watch::{MicrophoneNotice, MicrophoneWatch, gain_factor},
    },
};
use bytes::Bytes;
use serde::Serialize;
use std::time::Instant;

/// How a [`Sender`] works.
#[derive(Debug, Clone, Default)]
pub struct SenderConfig {
    /// What to encode with.
    pub codec: CodecKind,
    /// How to encode.
    pub encoder: EncoderConfig,
    /// The first packet's sequence number; random if none (RFC 3550 section 5.1).
    pub initial_sequence_number: Option<u16>,
    /// The first packet's timestamp; random if none.
    pub initial_timestamp: Option<u32>,
    /// What is done to the source's sound before it is encoded.
    pub process: ProcessConfig,
    /// The source is a microphone: watch it for silence and clipping.
    pub watch: bool,
    /// Clock rate in Hz of the telephone events (RFC 4733) that the far end takes; `None`: keys are dialled as tones in
    /// the sound. Where it is not the codec's, durations are of this clock and timestamps of the codec's.
    pub telephone_events: Option<u32>,
}

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPacket {
    /// What the codec made.
    pub payload: Bytes,
    /// One more than the packet's before; wraps.
    pub sequence_number: u16,
    /// Of the first sample, in units of the codec's clock rate; wraps.
    pub timestamp: u32,
    /// How long it lasts, in the same units.
    pub duration: u32,
    /// First packet after silence that was not sent (RFC 3551 section 4.1), or of a telephone event.
    pub marker: bool,
    /// A telephone event: it goes out under the payload type of those.
    pub event: bool,
    /// What it was made with, or interrupts: its payload type is that one's, also when the codec has changed since.
    pub codec: CodecKind,
}

impl EncodedPacket {
    /// The packet as its receiver sees it.
    pub fn into_rtp(self, ssrc: u32) -> RtpPacket {
        let Self { payload, sequence_number, timestamp, marker, .. } = self;
        RtpPacket { ssrc, sequence_number, timestamp, marker, content: Content::Sound, payload }
    }
}

/// What a [`Sender`] did. Names as in W3C webrtc-stats, where they exist.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SenderStats {
    /// Packets made.
    pub packets_sent: u64,
    /// Payload bytes in them, without RTP and lower headers.
    pub bytes_sent: u64,
    /// Frames of silence that were not sent.
    pub frames_suppressed: u64,
    /// Frames the encoder refused; a bug if it is not 0.
    pub encode_errors: u64,
    /// Ticks in which the source had too little.
    pub source_starved: u64,
    /// Seconds of sound read from the source.
    pub total_samples_duration: f64,
    /// Energy of the sound sent: the sum of (RMS amplitude)² x seconds.
    pub total_audio_energy: f64,
    /// RMS amplitude of the last 100 ms sent, 0..=1.
    pub audio_level: f64,
    /// RMS amplitude of the last 100 ms of the source, 0..=1, with its gain and before any processing, muted or not.
    pub source_level: f64,
    /// Bit/s the encoder aims at (W3C `targetBitrate`), redundancy and all.
    pub target_bitrate: u32,
    /// Loss that the encoder prepares for, in percent; 0 for codecs without error correction.
    pub expected_loss: u8,
    /// Milliseconds of deep redundancy (DRED) in each packet.
    pub dred_ms: u16,
    /// Samples of the source at full scale, where it is watched.
    pub clipped_samples: u64,
    /// Echo, noise, gain.
    #[serde(flatten)]
    pub process: ProcessStats,
}

/// Reads a source, processes it, encodes it, numbers the packets.
pub struct Sender {
    source: Box<dyn Source>,
    source_state: SourceState,
    encoder: Box<dyn Encoder>,
    /// What another encoder is to be made with.
    encoder_config: EncoderConfig,
    /// None: a codec with nothing to adapt.
    adaptation: Option<Adaptation>,
    frame: [f32; FRAME_SAMPLES],
    filled: usize,
    sequence_number: u16,
    timestamp: u32,
    muted: bool,
    gain: f32,
    processor: Option<Processor>,
    watch: Option<MicrophoneWatch>,
    notice: Option<MicrophoneNotice>,
    source_loudness: Loudness,
    suppressing: bool,
    dialler: Dialler,
    telephone_events: Option<u32>,
    meter: Meter,
    loudness: Loudness,
    stats: SenderStats,
}

impl Sender {
    /// A sender of what `source` gives.
    pub fn new(source: Box<dyn Source>, config: SenderConfig) -> Result<Self, Error> {
        Ok(Self {
            source,
            source_state: SourceState::Playing,
            encoder: config.codec.encoder(&config.encoder)?,
            adaptation: adaptation(config.codec, &config.encoder),
            encoder_config: config.encoder,
            frame: [0.0; FRAME_SAMPLES],
            filled: 0,
            sequence_number: config.initial_sequence_number.unwrap_or_else(rand::random),
            timestamp: config.initial_timestamp.unwrap_or_else(rand::random),
            muted: false,
            gain: 1.0,
            processor: (!config.process.is_off()).then(|| Processor::new(&config.process)),
            watch: config.watch.then(MicrophoneWatch::default),
            notice: None,
            source_loudness: Loudness::default(),
            suppressing: false,
            dialler: Dialler::default(),
            telephone_events: config.telephone_events,
            meter: Meter::default(),
            loudness: Loudness::default(),
            stats: SenderStats::default(),
        })
    }

    /// Reads 10 ms of the source; every second time a packet comes of it. To be called every [`crate::TICK`].
    pub fn tick(&mut self) -> Option<EncodedPacket> {
        let mut block: Block = [0.0; TICK_SAMPLES];
        self.source_state = self.source.read(&mut block);
        let mut slip = self.source.take_slip();
        // A device that is gone is told of as such, and not as one that is silent.
        match &mut self.watch {
            _ if self.source_state == SourceState::Starved => self.stats.source_starved += 1,
            Some(watch) => self.notice = watch.add(&block).or(self.notice),
            None => {}
        }
        for sample in block.iter_mut().chain(&mut slip.passed_over) {
            // A float file may hold anything; an encoder must not see it.
            *sample = if sample.is_finite() { (*sample * self.gain).clamp(-1.0, 1.0) } else { 0.0 };
        }
        self.source_loudness.add(&block);
        // Muted or not, so that the canceller knows the room when the voice is wanted again.
        if let Some(processor) = &mut self.processor {
            processor.microphone_slipped(&slip);
            processor.capture(&mut block);
        }
        if self.muted {
            block.fill(0.0);
        }
        let part = &mut self.frame[self.filled..self.filled + TICK_SAMPLES];
        part.copy_from_slice(&block);
        self.meter.add(part);
        self.loudness.add(part);
        self.stats.total_samples_duration += crate::TICK.as_secs_f64();
        self.filled += TICK_SAMPLES;
        if self.filled < FRAME_SAMPLES {
            return None;
        }
        self.filled = 0;
        let duration = self.encoder.kind().frame_timestamps();
        let event_duration = self.telephone_events.map_or(duration, |rate| rate / 50);
        match self.dialler.frame(self.timestamp, event_duration) {
            DialFrame::Sound => {}
            // Instead of the sound: the far end plays the tone itself.
            DialFrame::Key(_, event) if self.telephone_events.is_some() => {
                self.timestamp = self.timestamp.wrapping_add(duration);
                let payload = Bytes::copy_from_slice(&event.payload);
                return Some(self.packet(payload, event.timestamp, duration, event.marker, true));
            }
            DialFrame::Key(digit, _) => self.dialler.tone(digit, &mut self.frame),
        }
        self.encode()
    }

    /// Dials keys, after those that are being dialled. Mute does not hold them back.
    pub fn dial(&mut self, dial: Dial) {
        self.dialler.dial(dial);
    }

    /// Whether keys are being dialled.
    pub fn is_dialling(&self) -> bool {
        self.dialler.is_busy()
    }

    /// The 10 ms that the last tick read, as the far end hears them but for the codec: what a recorder keeps.
    pub fn last_tick(&self) -> &[f32] {
        let start = if self.filled == 0 { FRAME_SAMPLES - TICK_SAMPLES } else { self.filled - TICK_SAMPLES };
        &self.frame[start..start + TICK_SAMPLES]
    }

    /// Shows how what is rendered next lies on the speaker's time line ([`Sink::take_slip`](crate::audio::sink::Sink::take_slip)).
    pub fn speaker_slipped(&mut self, slip: &Slip) {
        if let Some(processor) = &mut self.processor {
            processor.speaker_slipped(slip);
        }
    }

    /// Shows what goes to the speaker, so that its echo can be taken out of what is read next. To be called every
    /// [`crate::TICK`], with silence when nothing is played; without processing it does nothing.
    pub fn render(&mut self, far: &Block) {
        if let Some(processor) = &mut self.processor {
            processor.render(far);
        }
    }

    /// Raises or lowers the source before anything is done to it, in dB (at most 40).
    pub fn set_gain(&mut self, db: f32) {
        self.gain = gain_factor(db);
    }

    /// What was noticed of the microphone since the last call of this, if anything.
    pub fn take_notice(&mut self) -> Option<MicrophoneNotice> {
        self.notice.take()
    }

    /// Silences what is sent; the source goes on.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Whether what is sent is silenced.
    pub fn muted(&self) -> bool {
        self.muted
    }

    /// Takes sound from `source` from now on; returns the one before.
    pub fn replace_source(&mut self, source: Box<dyn Source>) -> Box<dyn Source> {
        self.source_state = SourceState::Playing;
        std::mem::replace(&mut self.source, source)
    }

    /// What the source said last: [`SourceState::Ended`] when a file is through.
    pub fn source_state(&self) -> SourceState {
        self.source_state
    }

    /// The source's description.
    pub fn describe_source(&self) -> String {
        self.source.describe()
    }

    /// Goes over to another codec, and to the clock rate of telephone events that goes with it (see
    /// [`SenderConfig::telephone_events`]). Sequence numbers run on, and timestamps from where they are, at the new codec's
    /// rate (RFC 7160, 4.1, would have a new SSRC; receivers resynchronise at the change of the payload type).
    ///
    /// # Errors
    /// When the codec cannot be had; then everything stays as it is.
    pub fn set_codec(&mut self, codec: CodecKind, telephone_events: Option<u32>) -> Result<(), Error> {
        if codec != self.codec() {
            self.encoder = codec.encoder(&self.encoder_config)?;
            self.adaptation = adaptation(codec, &self.encoder_config);
            // The first packet of something new, as after silence.
            self.suppressing = true;
        }
        self.telephone_events = telephone_events;
        Ok(())
    }

    /// The codec.
    pub fn codec(&self) -> CodecKind {
        self.encoder.kind()
    }

    /// Follows what the far end reports of the network (see [`Adaptation`]); `now` is when the report came.
    pub fn report(&mut self, report: &NetworkReport, now: Instant) {
        if let Some(settings) = self.adaptation.as_mut().and_then(|adaptation| adaptation.report(report, now)) {
            self.adapt(settings);
        }
    }

    /// What is sent goes another way from now on (see [`Adaptation::new_way`]).
    pub fn new_way(&mut self) {
        if let Some(settings) = self.adaptation.as_mut().and_then(Adaptation::new_way) {
            self.adapt(settings);
        }
    }

    fn adapt(&mut self, settings: EncoderSettings) {
        tracing::debug!(?settings, "the encoder follows the network");
        if let Err(error) = self.encoder.adapt(&settings) {
            tracing::warn!(%error, ?settings, "the encoder does not take the settings");
        }
    }

    /// The level of what was sent since the last call of this.
    pub fn take_level(&mut self) -> Level {
        self.meter.take()
    }

    /// What happened so far.
    pub fn stats(&self) -> SenderStats {
        let settings = self.adaptation.as_ref().map(Adaptation::settings);
        SenderStats {
            // All the others are of 64 kbit/s.
            target_bitrate: settings.map_or(64_000, |settings| settings.bitrate),
            expected_loss: settings.map_or(0, |settings| settings.expected_loss),
            dred_ms: settings.map_or(0, |settings| 10 * u16::from(settings.dred_frames)),
            total_audio_energy: self.loudness.total_energy,
            audio_level: self.loudness.level(),
            source_level: self.source_loudness.level(),
            clipped_samples: self.watch.as_ref().map_or(0, MicrophoneWatch::clipped_samples),
            process: self.processor.as_ref().map(Processor::stats).unwrap_or_default(),
            ..self.stats
        }
    }

    fn encode(&mut self) -> Option<EncodedPacket> {
        let duration = self.encoder.kind().frame_timestamps();
        let timestamp = self.timestamp;
        // The clock runs on through silence and failures.
        self.timestamp = self.timestamp.wrapping_add(duration);
        let payload = match self.encoder.encode(&self.frame) {
            Ok(Encoded::Packet(payload)) => payload,
            Ok(Encoded::Dtx) => {
                self.suppressing = true;
                self.stats.frames_suppressed += 1;
                return None;
            }
            Err(error) => {
                if self.stats.encode_errors == 0 {
                    tracing::error!(%error, "a frame could not be encoded");
                }
                self.stats.encode_errors += 1;
                return None;
            }
        };
        let marker = std::mem::take(&mut self.suppressing);
        Some(self.packet(payload, timestamp, duration, marker, false))
    }

    fn packet(&mut self, payload: Bytes, timestamp: u32, duration: u32, marker: bool, event: bool) -> EncodedPacket {
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += payload.len() as u64;
        EncodedPacket { payload, sequence_number, timestamp, duration, marker, event, codec: self.codec() }
    }
}

/// What lets a codec follow the network, where it can.
fn adaptation(codec: CodecKind, config: &EncoderConfig) -> Option<Adaptation> {
    (codec == CodecKind::Opus).then(|| Adaptation::new(&config.opus))
}
