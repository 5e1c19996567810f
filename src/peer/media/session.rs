use super::hearing::Hearing;
use super::notice::{NoticeChannel, SoundNotice};
use crate::peer::{NegotiatedCodecs, ReceivedRtp, RemoteReport};
use chatphone_media::TICK_SAMPLES;
use chatphone_media::audio::codec::{self, CodecKind};
use chatphone_media::audio::device::{DeviceStats, Monitor};
use chatphone_media::audio::dtmf::Dial;
use chatphone_media::audio::file::WavRecorder;
use chatphone_media::audio::sink::Sink;
use chatphone_media::audio::source::{Source, SourceState};
use chatphone_media::audio::watch::gain_factor;
use chatphone_media::pipeline::{
    EncodedPacket, ReceiverConfig, ReceiverStats, RtpPacket, Sender, SenderConfig, SenderStats,
};
use std::sync::mpsc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

/// Ticks between two reports of the statistics: 100 ms.
const STATS_TICKS: u32 = 10;

/// Where the sound of a call comes from and goes to.
pub struct MediaParts {
    /// What the far end hears.
    pub source: Box<dyn Source>,
    /// Where what the far end says goes: recordings, files.
    pub sink: Box<dyn Sink>,
    /// Where the far end is heard. Its level can be set, and it is silent while the call is held.
    pub speaker: Option<Box<dyn Sink>>,
    /// Keeps both directions.
    pub recorder: Option<WavRecorder>,
    /// The devices among these.
    pub devices: DeviceMonitors,
    /// Tells of devices that come and go, and of a microphone that is silent or overdriven.
    pub notices: NoticeChannel,
}

impl MediaParts {
    /// A source and a sink without a device, a recorder or anything to tell.
    pub fn new(source: Box<dyn Source>, sink: Box<dyn Sink>) -> Self {
        Self {
            source,
            sink,
            speaker: None,
            recorder: None,
            devices: DeviceMonitors::default(),
            notices: NoticeChannel::default(),
        }
    }
}

/// Looks at the devices of a call.
#[derive(Debug, Clone, Default)]
pub struct DeviceMonitors {
    /// The microphone, if it is one.
    pub microphone: Option<Monitor>,
    /// The speaker, if there is one.
    pub speaker: Option<Monitor>,
}

/// What a person can change about the sound of a call while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SoundControls {
    /// Silence is sent.
    pub muted: bool,
    /// Silence is sent and nothing is played.
    pub held: bool,
    /// Gain of the microphone (or whatever is the source), in dB.
    pub microphone_gain_db: f32,
    /// Gain of the speaker, in dB.
    pub speaker_gain_db: f32,
}

/// What a session counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MediaStats {
    /// Towards the far end.
    pub sender: SenderStats,
    /// From the far end.
    pub receiver: ReceiverStats,
    /// The microphone, if it is one.
    pub microphone: Option<DeviceStats>,
    /// The speaker, if there is one.
    pub speaker: Option<DeviceStats>,
    /// The source (a file) came to its end.
    pub source_ended: bool,
}

/// What is left of a session that was stopped.
#[derive(Debug, Clone, Default)]
pub struct MediaReport {
    /// The last figures.
    pub stats: MediaStats,
    /// What went wrong with a recording or a device, in words.
    pub problems: Vec<String>,
}

enum Command {
    Packet(CodecKind, RtpPacket, Instant),
    Noise(RtpPacket, Instant),
    Event(RtpPacket),
    Controls(SoundControls),
    Dial(Dial),
    Codec(CodecKind, Option<u32>),
    Report(RemoteReport, Instant),
    NewWay,
    Stop(oneshot::Sender<Stopped>),
}

/// The two halves of a call's sound, ticked by a [`super::MediaClock`].
pub struct MediaSession {
    sender: Sender,
    hearing: Hearing,
    parts: Option<Sinks>,
    devices: DeviceMonitors,
    notices: UnboundedSender<SoundNotice>,
    controls: SoundControls,
    commands: mpsc::Receiver<Command>,
    packets: UnboundedSender<EncodedPacket>,
    stats: watch::Sender<MediaStats>,
    ticks: u32,
}

struct Sinks {
    sink: Box<dyn Sink>,
    speaker: Option<Box<dyn Sink>>,
    recorder: Option<WavRecorder>,
}

impl Sinks {
    /// Waits for the last samples to reach the disk; what failed comes back in words.
    fn finish(mut self) -> Vec<String> {
        let sink = self.sink.finish().err().map(|e| e.to_string());
        let speaker = self.speaker.as_mut().and_then(|s| s.finish().err()).map(|e| e.to_string());
        let recorder = self.recorder.as_mut().and_then(|r| r.finish().err()).map(|e| e.to_string());
        sink.into_iter().chain(speaker).chain(recorder).collect()
    }
}

/// A stopped session's last figures and what is still to be finished, off the clock's thread: a slow disk must not
/// hold up the other calls.
struct Stopped {
    stats: MediaStats,
    parts: Option<Sinks>,
}

/// How a session works, beside its codec.
#[derive(Debug, Clone, Default)]
pub struct MediaConfig {
    /// How to encode; the codec in it is replaced by the negotiated one.
    pub sender: SenderConfig,
    /// How to receive; the codec in it is replaced by the negotiated one.
    pub receiver: ReceiverConfig,
}

impl MediaSession {
    /// A session that encodes and decodes with `codec` and hands its packets to `packets`.
    ///
    /// # Errors
    /// When the codec cannot be had.
    pub fn new(
        parts: MediaParts,
        codec: CodecKind,
        config: MediaConfig,
        packets: UnboundedSender<EncodedPacket>,
    ) -> Result<(Self, MediaHandle), codec::Error> {
        let sender = Sender::new(parts.source, SenderConfig { codec, ..config.sender })?;
        let hearing = Hearing::new(ReceiverConfig { codec, ..config.receiver })?;
        let (commands_tx, commands) = mpsc::channel();
        let (stats, stats_rx) = watch::channel(MediaStats::default());
        let session = Self {
            sender,
            hearing,
            parts: Some(Sinks { sink: parts.sink, speaker: parts.speaker, recorder: parts.recorder }),
            devices: parts.devices,
            notices: parts.notices.sender(),
            controls: SoundControls::default(),
            commands,
            packets,
            stats,
            ticks: 0,
        };
        Ok((session, MediaHandle { commands: commands_tx, stats: stats_rx }))
    }

    /// Called once when the clock takes the session: the first half of the first frame is read at once, so that the
    /// first packet leaves with the first tick instead of the second.
    pub(super) fn begin(&mut self) {
        self.send();
    }

    /// One step of 10 ms. False: the session is over.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Packet(codec, packet, arrival)) => self.hearing.push(codec, packet, arrival),
                Ok(Command::Noise(packet, arrival)) => self.hearing.push_noise(packet, arrival),
                Ok(Command::Event(packet)) => self.hearing.push_event(&packet),
                Ok(Command::Controls(controls)) => self.control(controls),
                Ok(Command::Dial(dial)) => self.sender.dial(dial),
                Ok(Command::Codec(codec, events)) => {
                    if let Err(error) = self.sender.set_codec(codec, events) {
                        tracing::warn!(%error, %codec, "the codec to send with cannot be changed");
                    }
                }
                Ok(Command::Report(report, arrival)) => {
                    self.sender.report(&report.network(self.sender.codec().clock_rate()), arrival);
                }
                Ok(Command::NewWay) => self.sender.new_way(),
                Ok(Command::Stop(done)) => {
                    let stats = self.read_stats();
                    self.stats.send_replace(stats);
                    // Nobody waits for it any more: then dropping it finishes the files.
                    let _ = done.send(Stopped { stats, parts: self.parts.take() });
                    return false;
                }
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => {
                    let parts = self.parts.take();
                    std::thread::spawn(move || drop(parts));
                    return false;
                }
            }
        }
        self.send();
        let mut far = [0.0; TICK_SAMPLES];
        self.hearing.pull(&mut far, now);
        if let Some(parts) = &mut self.parts {
            parts.sink.write(&far);
            if let Some(recorder) = &mut parts.recorder {
                recorder.write_both(self.sender.last_tick(), &far);
            }
            if let Some(speaker) = &mut parts.speaker {
                let gain = if self.controls.held { 0.0 } else { gain_factor(self.controls.speaker_gain_db) };
                far.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-1.0, 1.0));
                speaker.write(&far);
                self.sender.speaker_slipped(&speaker.take_slip());
                // The echo is that of what was played, gain and all.
                self.sender.render(&far);
            }
        }
        self.ticks = self.ticks.wrapping_add(1);
        let heard = self.stats.borrow().receiver.first_audio.is_none() && self.hearing.stats().first_audio.is_some();
        if heard || self.ticks.is_multiple_of(STATS_TICKS) {
            self.stats.send_replace(self.read_stats());
        }
        true
    }

    fn send(&mut self) {
        if let Some(packet) = self.sender.tick() {
            // The peer is gone: the session is about to be stopped.
            let _ = self.packets.send(packet);
        }
        if let Some(notice) = self.sender.take_notice() {
            // Nobody need listen.
            let _ = self.notices.send(SoundNotice::Microphone(notice));
        }
    }

    fn control(&mut self, controls: SoundControls) {
        self.controls = controls;
        self.sender.set_muted(controls.muted || controls.held);
        self.sender.set_gain(controls.microphone_gain_db);
    }

    fn read_stats(&self) -> MediaStats {
        MediaStats {
            sender: self.sender.stats(),
            receiver: self.hearing.stats(),
            microphone: self.devices.microphone.as_ref().map(Monitor::stats),
            speaker: self.devices.speaker.as_ref().map(Monitor::stats),
            source_ended: self.sender.source_state() == SourceState::Ended,
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

/// The owner's end of a running session. Dropping it stops the session.
pub struct MediaHandle {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<MediaStats>,
}

impl MediaHandle {
    /// Takes a packet from the network, whatever its payload type means in `codecs`. What is none of them is left: it
    /// would only be made noise of.
    pub fn take(&self, packet: ReceivedRtp, codecs: &NegotiatedCodecs) {
        let arrival = packet.arrival;
        if codecs.is_event(packet.payload_type) {
            self.push_event(packet.into_packet());
        } else if codecs.is_noise(packet.payload_type) {
            let _ = self.commands.send(Command::Noise(packet.into_noise(), arrival));
        } else if let Some(codec) = codecs.kind_of(packet.payload_type) {
            self.push(codec, packet.into_packet(), arrival);
        }
    }

    /// Takes a packet of sound from the network, and its codec.
    pub fn push(&self, codec: CodecKind, packet: RtpPacket, arrival: Instant) {
        // A session that is over needs no packets.
        let _ = self.commands.send(Command::Packet(codec, packet, arrival));
    }

    /// Takes a telephone event from the network, which is no sound and no loss.
    pub fn push_event(&self, packet: RtpPacket) {
        let _ = self.commands.send(Command::Event(packet));
    }

    /// Mutes, holds, sets levels.
    pub fn set_controls(&self, controls: SoundControls) {
        let _ = self.commands.send(Command::Controls(controls));
    }

    /// Dials keys: as telephone events where the session was made for them, else as tones.
    pub fn dial(&self, dial: Dial) {
        let _ = self.commands.send(Command::Dial(dial));
    }

    /// Sends with another codec, and with telephone events of this clock rate.
    pub fn set_codec(&self, codec: CodecKind, telephone_events: Option<u32>) {
        let _ = self.commands.send(Command::Codec(codec, telephone_events));
    }

    /// Lets what is sent follow the network, as the far end reports on it now.
    pub fn report(&self, report: RemoteReport) {
        let _ = self.commands.send(Command::Report(report, Instant::now()));
    }

    /// What is sent goes to another peer from now on: what was learned of the way to the last one is forgotten.
    pub fn new_way(&self) {
        let _ = self.commands.send(Command::NewWay);
    }

    /// The figures, as of at most 100 ms ago; changes wake the receiver.
    pub fn stats(&self) -> watch::Receiver<MediaStats> {
        self.stats.clone()
    }

    /// Stops the session, finishes its recordings, gives the last figures.
    pub async fn stop(self) -> MediaReport {
        let (done, report) = oneshot::channel();
        let last = *self.stats.borrow();
        if self.commands.send(Command::Stop(done)).is_err() {
            return MediaReport { stats: last, problems: Vec::new() };
        }
        let Ok(Stopped { stats, parts }) = report.await else {
            return MediaReport { stats: last, problems: Vec::new() };
        };
        let finish = tokio::task::spawn_blocking(move || parts.map(Sinks::finish).unwrap_or_default());
        let problems = finish.await.unwrap_or_else(|e| vec![format!("the recording could not be finished: {e}")]);
        MediaReport { stats, problems }
    }
}
