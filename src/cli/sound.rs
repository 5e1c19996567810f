//! Flags for the sound of a call and the network it goes over.

use crate::call::{ProcessSpec, SoundSpec, SpeakerSpec};
use crate::config::ChosenDevices;
use crate::peer::media::{MediaConfig, SoundControls};
use crate::peer::{LocalNetwork, PortRange};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::source::SourceSpec;
use chatphone_media::pipeline::JitterBuffer;
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Flags for the sound of a call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sound")]
pub struct SoundArgs {
    /// What the agent hears: `mic`, `mic:DEVICE`, `silence`, `tone:HZ`, or a WAV file (played once, then silence)
    #[arg(long, value_name = "FILE|tone:HZ|silence|mic", default_value = "mic")]
    play: SourceSpec,

    /// The microphone, by name or id, as `chatphone devices` lists them: short for `--play mic:DEVICE`
    #[arg(long, value_name = "DEVICE", conflicts_with = "play")]
    mic: Option<String>,

    /// Where the agent is heard: a device by name or id, `default`, or `none`. Without this flag the default device when
    /// the microphone is used, and none when a file, a tone or silence is played
    #[arg(long, value_name = "DEVICE|none")]
    speaker: Option<String>,

    /// Use the devices named with --mic and --speaker in later calls too (see `chatphone devices`)
    #[arg(long)]
    remember: bool,

    /// Record what the agent says, as a mono WAV file; a later call of the same chat gets a number (heard-2.wav)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Record both sides, as a stereo WAV file: left is sent, right is received; numbered as with --record
    #[arg(long, value_name = "FILE")]
    record_both: Option<PathBuf>,

    /// Codecs to take, best first, separated by commas
    #[arg(long, value_name = "CODEC,…", value_delimiter = ',')]
    codec: Vec<CodecKind>,

    /// Opus bit rate, in kbit/s (6 to 128); a lossy way adds 20 for what mends it, a full one takes away
    #[arg(long, value_name = "KBIT/S", value_parser = clap::value_parser!(u32).range(6..=128))]
    bitrate: Option<u32>,

    /// Opus complexity: processor time against quality (0 to 10)
    #[arg(long, value_name = "0-10", value_parser = clap::value_parser!(u8).range(0..=10))]
    complexity: Option<u8>,

    /// Send no packets in silence (Opus DTX)
    #[arg(long)]
    dtx: bool,

    /// Do not take the speaker's echo out of the microphone's sound
    #[arg(long)]
    no_aec: bool,

    /// Do not take noise out of the microphone's sound
    #[arg(long)]
    no_ns: bool,

    /// Do not bring the microphone's sound to one loudness
    #[arg(long)]
    no_agc: bool,

    /// Raise (or, below 0, lower) what is sent, in dB
    #[arg(long, value_name = "DB", default_value = "0", allow_negative_numbers = true, value_parser = decibels)]
    mic_gain: f32,

    /// Raise (or, below 0, lower) what is played, in dB
    #[arg(long, value_name = "DB", default_value = "0", allow_negative_numbers = true, value_parser = decibels)]
    speaker_gain: f32,

    /// Play no ringing and call-progress tones
    #[arg(long)]
    no_tones: bool,

    /// How long received sound waits for packets that come late: as long as the network asks for, or a fixed time
    #[arg(long, value_name = "adaptive|TIME", default_value = "adaptive", value_parser = jitter_buffer)]
    jitter_buffer: JitterBuffer,
}

impl SoundArgs {
    /// What the flags ask for; what they leave open is as it was chosen before (see [`ChosenDevices`]).
    pub fn spec(&self) -> SoundSpec {
        let mut chosen = ChosenDevices::load();
        if self.remember {
            self.remember(&mut chosen);
        }
        self.spec_with(chosen)
    }

    fn remember(&self, chosen: &mut ChosenDevices) {
        if let Some(name) = &self.mic {
            chosen.microphone = Some(name.clone());
        }
        match self.speaker.as_deref() {
            Some("default") => chosen.speaker = None,
            Some("none") | None => {}
            Some(name) => chosen.speaker = Some(name.to_owned()),
        }
        if let Err(error) = chosen.save() {
            tracing::warn!("the devices cannot be remembered: {error}");
        }
    }

    fn spec_with(&self, chosen: ChosenDevices) -> SoundSpec {
        let mut source = match &self.mic {
            Some(name) => SourceSpec::Microphone(Some(name.clone())),
            None => self.play.clone(),
        };
        let mut speaker = match self.speaker.as_deref() {
            Some("none") => SpeakerSpec::None,
            Some("default") => SpeakerSpec::Default,
            Some(name) => SpeakerSpec::Named(name.to_owned()),
            None if matches!(source, SourceSpec::Microphone(_)) => SpeakerSpec::Default,
            None => SpeakerSpec::None,
        };
        let microphone_or_default = source == SourceSpec::Microphone(None) && chosen.microphone.is_some();
        if microphone_or_default {
            source = SourceSpec::Microphone(chosen.microphone);
        }
        let mut speaker_or_default = false;
        if let (None, SpeakerSpec::Default, Some(name)) = (&self.speaker, &speaker, chosen.speaker) {
            (speaker, speaker_or_default) = (SpeakerSpec::Named(name), true);
        }
        let defaults = SoundSpec::default();
        let mut media = MediaConfig::default();
        let opus = &mut media.sender.encoder.opus;
        if let Some(kbits) = self.bitrate {
            opus.bitrate = kbits * 1000;
        }
        if let Some(complexity) = self.complexity {
            opus.complexity = complexity;
        }
        opus.dtx = self.dtx;
        media.receiver.jitter_buffer = self.jitter_buffer;
        SoundSpec {
            source,
            speaker,
            record: self.record.clone(),
            record_both: self.record_both.clone(),
            codecs: if self.codec.is_empty() { defaults.codecs } else { self.codec.clone() },
            media,
            process: ProcessSpec { echo: !self.no_aec, noise: !self.no_ns, gain: !self.no_agc },
            microphone_or_default,
            speaker_or_default,
            controls: SoundControls {
                microphone_gain_db: self.mic_gain,
                speaker_gain_db: self.speaker_gain,
                ..SoundControls::default()
            },
            tones: !self.no_tones,
        }
    }
}

fn decibels(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(db) if (-60.0..=40.0).contains(&db) => Ok(db),
        _ => Err("use a number of dB from -60 to 40".into()),
    }
}

fn jitter_buffer(text: &str) -> Result<JitterBuffer, String> {
    if text.eq_ignore_ascii_case("adaptive") {
        return Ok(JitterBuffer::default());
    }
    let delay = humantime::parse_duration(text).map_err(|e| format!("{e}; use adaptive or a time, as in 60ms"))?;
    if delay > Duration::from_secs(1) { Err("the most is 1s".into()) } else { Ok(JitterBuffer::Fixed(delay)) }
}

/// Which candidates media may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IcePolicy {
    /// Any way that works.
    All,
    /// Over a TURN server alone.
    Relay,
}

/// Flags for the network of a call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// The one local address that media may use
    #[arg(long, value_name = "IP")]
    media_address: Option<IpAddr>,

    /// The UDP ports that media may use, as in 40000-40100
    #[arg(long, value_name = "FROM-TO", value_parser = port_range)]
    media_ports: Option<PortRange>,

    /// Which ICE candidates to use
    #[arg(long, value_name = "all|relay", default_value = "all")]
    ice: IcePolicy,
}

impl NetworkArgs {
    /// The local addresses for media towards the contact center at `url`.
    pub fn network(&self, url: &url::Url) -> LocalNetwork {
        let network = match self.media_address {
            Some(address) => LocalNetwork::only(address),
            None => LocalNetwork::towards(literal_address(url)),
        };
        network.with_ports(self.media_ports.clone())
    }

    /// Whether to use relayed candidates alone.
    pub fn relay_only(&self) -> bool {
        self.ice == IcePolicy::Relay
    }
}

/// The address that a URL names without a look-up.
fn literal_address(url: &url::Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(ip) => Some(ip.into()),
        url::Host::Ipv6(ip) => Some(ip.into()),
        url::Host::Domain(name) => name.eq_ignore_ascii_case("localhost").then_some([127, 0, 0, 1].into()),
    }
}

fn port_range(text: &str) -> Result<PortRange, String> {
    let (from, to) = text.split_once('-').ok_or("use FROM-TO, as in 40000-40100")?;
    let port = |text: &str| text.trim().parse::<u16>().map_err(|_| format!("'{text}' is not a port"));
    let (from, to) = (port(from)?, port(to)?);
    if from == 0 || from > to {
        return Err("the first port must be at least 1 and not above the last".into());
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        sound: SoundArgs,
    }

    fn spec(flags: &[&str]) -> SoundSpec {
        let chosen = ChosenDevices { microphone: Some("headset mic".into()), speaker: Some("headset".into()) };
        Flags::try_parse_from([&["chatphone"], flags].concat()).unwrap().sound.spec_with(chosen)
    }

    #[test]
    fn chosen_devices_are_used_unless_flags_name_others() {
        let usual = spec(&[]);
        assert_eq!(usual.source, SourceSpec::Microphone(Some("headset mic".into())));
        assert_eq!(usual.speaker, SpeakerSpec::Named("headset".into()));
        assert!(usual.microphone_or_default && usual.speaker_or_default);
        let named = spec(&["--mic", "webcam", "--speaker", "default"]);
        assert_eq!(named.source, SourceSpec::Microphone(Some("webcam".into())));
        assert_eq!(named.speaker, SpeakerSpec::Default);
        assert!(!named.microphone_or_default && !named.speaker_or_default);
        let file = spec(&["--play", "hello.wav"]);
        assert_eq!((file.source, file.speaker), (SourceSpec::File("hello.wav".into()), SpeakerSpec::None));
    }

    #[test]
    fn codecs_are_taken_in_the_order_named() {
        assert_eq!(spec(&["--codec", "pcma,opus"]).codecs, [CodecKind::Pcma, CodecKind::Opus]);
        assert_eq!(spec(&["--codec", "g722", "--codec", "PCMU"]).codecs, [CodecKind::G722, CodecKind::Pcmu]);
        assert_eq!(spec(&[]).codecs, CodecKind::ALL);
        assert!(Flags::try_parse_from(["chatphone", "--codec", "mp3"]).is_err());
    }

    #[test]
    fn processing_and_levels_are_set_by_flags() {
        let plain = spec(&[]);
        assert_eq!(plain.process, ProcessSpec::default());
        let flags = ["--no-aec", "--no-ns", "--no-agc", "--mic-gain", "-6", "--speaker-gain", "3.5", "--no-tones"];
        let set = spec(&flags);
        assert_eq!(set.process, ProcessSpec { echo: false, noise: false, gain: false });
        assert_eq!((set.controls.microphone_gain_db, set.controls.speaker_gain_db), (-6.0, 3.5));
        assert!(!set.tones && plain.tones);
        assert!(Flags::try_parse_from(["chatphone", "--mic-gain", "100"]).is_err());
    }
}
