//! The sound lab: real speech through the sender, a bad network and the receiver, in virtual time.
//!
//! `sound_lab PLAYLIST OUT [PART-OF-A-NAME]`: each line of PLAYLIST is `NAME FILE START SECONDS`, FILE being a WAV, `.g722`
//! or 16 kHz 16 bit `.raw` file; the first is not scored, so that every receiver has settled. OUT gets `reference.wav`, one WAV for each condition and
//! receiver, and `runs.json`. `make bench-sound` scores them.

use chatphone_media::{
    SAMPLE_RATE,
    audio::{
        codec::{CodecKind, EncoderConfig, MAX_PACKET_SAMPLES, OpusConfig},
        file::WavSource,
        source::{Source, SourceState},
    },
    lab::{Call, Heard, Loss, Network, Stall},
    pipeline::{JitterBuffer, ReceiverConfig, SenderConfig},
};
use serde_json::{Value, json};
use std::{error::Error, path::Path, time::Duration};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Silence between two clips, in samples.
const PAUSE: usize = 24_000;

/// What a sender with deep redundancy sends, in bit/s, and how far back it goes, in frames of 10 ms.
const DRED_BITRATE: u32 = 60_000;
const DRED_FRAMES: u8 = 12;

struct Clip {
    name: String,
    start: usize,
    samples: usize,
    scored: bool,
}

struct Speech(std::sync::Arc<Vec<f32>>, usize);

impl Source for Speech {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        out.fill(0.0);
        let rest = &self.0[self.1.min(self.0.len())..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.1 += out.len();
        if rest.is_empty() { SourceState::Ended } else { SourceState::Playing }
    }

    fn describe(&self) -> String {
        "speech".into()
    }
}

struct Condition {
    name: &'static str,
    /// What the sender knows of the loss, in percent.
    loss: u8,
    network: Network,
    with_dred: bool,
    /// Plays the speech so many times: for what takes long.
    repeat: usize,
}

fn conditions() -> Vec<Condition> {
    let network =
        |loss, delay, jitter| Network { seed: 11, loss, delay: MS(delay), jitter: MS(jitter), ..Network::default() };
    let condition = |name, loss, network| Condition { name, loss, network, with_dred: loss > 0, repeat: 1 };
    let stall = Stall { at: MS(20_000), length: MS(800) };
    let drift = |name, ppm| {
        let network = Network { drift_ppm: ppm, ..network(Loss::None, 40, 0) };
        Condition { repeat: 12, ..condition(name, 0, network) }
    };
    vec![
        condition("clean", 0, network(Loss::None, 20, 0)),
        condition("loss-2", 2, network(Loss::Random(0.02), 20, 0)),
        condition("loss-5", 5, network(Loss::Random(0.05), 20, 0)),
        condition("loss-10", 10, network(Loss::Random(0.10), 20, 0)),
        condition("loss-20", 20, network(Loss::Random(0.20), 20, 0)),
        condition("bursts-5", 5, network(Loss::Bursts { rate: 0.05, mean_length: 3.0 }, 20, 0)),
        condition("jitter-20", 0, network(Loss::None, 40, 20)),
        condition("jitter-60", 0, network(Loss::None, 80, 60)),
        condition("loss-5-jitter-40", 5, network(Loss::Random(0.05), 40, 40)),
        condition("stall", 0, Network { stalls: vec![stall], ..network(Loss::None, 40, 5) }),
        drift("drift-plus", 200.0),
        drift("drift-minus", -200.0),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(playlist), Some(out)) = (args.first(), args.get(1)) else {
        return Err("usage: sound_lab PLAYLIST OUT [PART-OF-A-NAME]".into());
    };
    let only = args.get(2).map_or("", String::as_str);
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    let (speech, clips) = load(playlist)?;
    write(&out.join("reference.wav"), &speech)?;
    let speech = std::sync::Arc::new(speech);
    let mut runs = Vec::new();
    for condition in conditions() {
        let receivers = [
            ("classic", JitterBuffer::Fixed(MS(60)), false),
            ("fixed", JitterBuffer::Fixed(MS(60)), false),
            ("adaptive", JitterBuffer::default(), false),
            ("dred", JitterBuffer::default(), true),
        ];
        for (receiver, jitter_buffer, dred) in receivers {
            let id = format!("{}-{receiver}", condition.name);
            let drift = condition.network.drift_ppm != 0.0;
            if (dred && !condition.with_dred) || (receiver == "classic" && drift) || !id.contains(only) {
                continue;
            }
            let call = Call {
                sender: sender(condition.loss, dred),
                classic_concealment: receiver == "classic",
                receiver: ReceiverConfig { jitter_buffer, ..ReceiverConfig::default() },
                network: condition.network.clone(),
                reports_every: None,
            };
            let repeated = std::sync::Arc::new(speech.repeat(condition.repeat));
            let seconds = repeated.len() as f64 / f64::from(SAMPLE_RATE) + 1.0;
            let heard = call.run(Box::new(Speech(repeated, 0)), seconds)?;
            write(&out.join(format!("{id}.wav")), &heard.sound)?;
            runs.push(describe(&id, &condition, receiver, &heard));
        }
    }
    if "codec".contains(only) || "clean".contains(only) {
        write(&out.join("codec.wav"), &codec_alone(&speech)?)?;
    }
    let clips: Vec<Value> = clips
        .iter()
        .map(|clip| json!({"name": clip.name, "start": clip.start, "samples": clip.samples, "scored": clip.scored}))
        .collect();
    let report = json!({"sample_rate": SAMPLE_RATE, "clips": clips, "runs": runs});
    std::fs::write(out.join("runs.json"), serde_json::to_vec(&report)?)?;
    Ok(())
}

/// The sender as the far end's reports would have set it: it knows the loss. With deep redundancy, it takes the bits for
/// it on top, and asks for three times the protection: libopus gives such redundancy no bits at low loss.
fn sender(loss: u8, dred: bool) -> SenderConfig {
    let opus = match dred {
        // Never less than a phone prepares for.
        false => OpusConfig { expected_loss: loss.max(10), ..OpusConfig::default() },
        true => OpusConfig {
            expected_loss: loss.saturating_mul(3).min(100),
            bitrate: DRED_BITRATE,
            dred_frames: DRED_FRAMES,
            ..OpusConfig::default()
        },
    };
    SenderConfig { encoder: EncoderConfig { opus }, ..SenderConfig::default() }
}

fn describe(id: &str, condition: &Condition, receiver: &str, heard: &Heard) -> Value {
    let ms = |seconds: f64| (seconds * 10_000.0).round() / 10.0;
    let moments: Vec<Value> = match condition.name {
        "stall" => heard
            .moments
            .iter()
            .map(|moment| {
                json!([moment.at, moment.delay.map(ms), moment.target.map(ms), moment.concealed, moment.removed])
            })
            .collect(),
        _ => Vec::new(),
    };
    let count = heard.receiver.jitter_buffer_emitted_count.max(1) as f64;
    json!({
        "id": id,
        "condition": condition.name,
        "receiver": receiver,
        "network_delay": condition.network.delay.as_secs_f64(),
        "delay_ms": ms(heard.mean_delay()),
        "target_ms": ms(heard.receiver.jitter_buffer_target_delay / count),
        "kbits": heard.sender.bytes_sent as f64 * 8.0 / heard.seconds() / 1000.0,
        "receiver_us_per_frame": heard.receiver_time.as_secs_f64() * 1e6 / heard.seconds() / 50.0,
        "mos_lqe": heard.receiver.quality(None).mos,
        "stats": heard.receiver,
        "moments": moments,
    })
}

/// What the codec alone makes of the speech.
fn codec_alone(speech: &[f32]) -> Result<Vec<f32>, Box<dyn Error>> {
    let config = sender(0, false);
    let (mut encoder, mut decoder) = (config.codec.encoder(&config.encoder)?, config.codec.decoder()?);
    let (mut sound, mut out) = (Vec::new(), vec![0.0; MAX_PACKET_SAMPLES]);
    for frame in speech.chunks_exact(960) {
        if let chatphone_media::audio::codec::Encoded::Packet(packet) = encoder.encode(frame)? {
            let samples = decoder.decode(&packet, &mut out)?;
            sound.extend_from_slice(&out[..samples]);
        }
    }
    Ok(sound)
}

fn load(playlist: &str) -> Result<(Vec<f32>, Vec<Clip>), Box<dyn Error>> {
    let (mut speech, mut clips) = (vec![0.0; PAUSE], Vec::new());
    for line in std::fs::read_to_string(playlist)?.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, file, start, seconds] = fields[..] else { return Err(format!("not a clip: {line}").into()) };
        let (start, seconds): (f64, f64) = (start.parse()?, seconds.parse()?);
        let whole = read(Path::new(file), start + seconds)?;
        let at = |seconds: f64| ((seconds * f64::from(SAMPLE_RATE)) as usize).min(whole.len());
        let mut clip = whole[at(start)..at(start + seconds)].to_vec();
        level(&mut clip);
        clips.push(Clip { name: name.into(), start: speech.len(), samples: clip.len(), scored: !clips.is_empty() });
        speech.extend(clip);
        speech.extend(vec![0.0; PAUSE]);
    }
    Ok((speech, clips))
}

/// Sets the level to -24 dBFS, and fades in and out over 10 ms.
fn level(clip: &mut [f32]) {
    let rms = (clip.iter().map(|sample| f64::from(sample * sample)).sum::<f64>() / clip.len().max(1) as f64).sqrt();
    let gain = (0.063 / rms.max(1e-6)) as f32;
    let count = clip.len();
    for (n, sample) in clip.iter_mut().enumerate() {
        let edge = n.min(count - 1 - n) as f32 / 480.0;
        *sample = (*sample * gain * edge.min(1.0)).clamp(-0.99, 0.99);
    }
}

fn read(file: &Path, seconds: f64) -> Result<Vec<f32>, Box<dyn Error>> {
    if file.extension().is_some_and(|extension| extension == "g722") {
        let mut decoder = CodecKind::G722.decoder()?;
        let (mut sound, mut out) = (Vec::new(), vec![0.0; MAX_PACKET_SAMPLES]);
        for packet in std::fs::read(file)?.chunks(160) {
            let samples = decoder.decode(packet, &mut out)?;
            sound.extend_from_slice(&out[..samples]);
        }
        return Ok(sound);
    }
    let mut sound = vec![0.0; (seconds * f64::from(SAMPLE_RATE)) as usize];
    if file.extension().is_some_and(|extension| extension == "raw") {
        let data = std::fs::read(file)?;
        let samples: Vec<f32> =
            data.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect();
        let mut resampler = chatphone_media::audio::resample::Resampler::new(16_000, SAMPLE_RATE)?;
        sound.clear();
        resampler.process(&samples, &mut sound);
        return Ok(sound);
    }
    WavSource::open(file)?.read(&mut sound);
    Ok(sound)
}

fn write(path: &Path, sound: &[f32]) -> Result<(), Box<dyn Error>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for &sample in sound {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)?;
    }
    Ok(writer.finalize()?)
}
