//! What the codecs cost and how well they do: encodes and decodes the recorded customer, and prints for each setting
//! the bit rate, the time for each 20 ms frame, the share of a core, and the correlation of each utterance.
//!
//! `cargo run --release -p chatphone-media --example codec_cost`

use chatphone_media::audio::{
    codec::{CodecKind, Decoder, Encoded, EncoderConfig, FRAME_SAMPLES, MAX_PACKET_SAMPLES, OpusConfig},
    compare::best_match,
    source::{Source, SourceState},
};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut source = chatphone_media::samples::CUSTOMER.source()?;
    let mut frames = Vec::new();
    loop {
        let mut frame = vec![0.0; FRAME_SAMPLES];
        if source.read(&mut frame) == SourceState::Ended {
            break;
        }
        frames.push(frame);
    }
    println!("{:<42} {:>7} {:>10} {:>10} {:>7}  correlation", "codec", "kbit/s", "encode", "decode", "core");
    for complexity in [0, 5, 8, 9, 10] {
        let opus = OpusConfig { complexity, ..Default::default() };
        measure(CodecKind::Opus, &format!("complexity {complexity}"), opus, &frames)?;
    }
    for bitrate in [16_000, 24_000, 48_000, 64_000] {
        measure(CodecKind::Opus, &format!("{bitrate} bit/s"), OpusConfig { bitrate, ..Default::default() }, &frames)?;
    }
    for expected_loss in [0, 5, 20] {
        let opus = OpusConfig { expected_loss, ..Default::default() };
        measure(CodecKind::Opus, &format!("expected loss {expected_loss} %"), opus, &frames)?;
    }
    for (dred_frames, expected_loss) in [(0, 30), (12, 30), (100, 30)] {
        let opus = OpusConfig { bitrate: 52_000, dred_frames, expected_loss, ..Default::default() };
        measure(CodecKind::Opus, &format!("52000 bit/s, DRED {} ms", u32::from(dred_frames) * 10), opus, &frames)?;
    }
    for kind in [CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma] {
        measure(kind, "", OpusConfig::default(), &frames)?;
    }
    Ok(())
}

fn measure(
    kind: CodecKind,
    setting: &str,
    opus: OpusConfig,
    frames: &[Vec<f32>],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut encoder = match kind.encoder(&EncoderConfig { opus }) {
        Ok(encoder) => encoder,
        Err(error) => {
            println!("{error}");
            return Ok(());
        }
    };
    let mut decoder: Box<dyn Decoder> = kind.decoder()?;
    let (mut encoding, mut decoding, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let (mut played, mut out) = (Vec::new(), vec![0.0; MAX_PACKET_SAMPLES]);
    for frame in frames {
        let start = Instant::now();
        let encoded = encoder.encode(frame)?;
        encoding += start.elapsed();
        let Encoded::Packet(packet) = encoded else { continue };
        bytes += packet.len();
        let start = Instant::now();
        let samples = decoder.decode(&packet, &mut out)?;
        decoding += start.elapsed();
        played.extend_from_slice(&out[..samples]);
    }
    let original = frames.concat();
    let at = |seconds: f64| (seconds * 48_000.0) as usize;
    let correlations: Vec<String> = chatphone_media::samples::CUSTOMER
        .utterances
        .iter()
        .map(|said| best_match(&original[at(said.start_s)..at(said.end_s)], &played))
        .map(|found| found.map_or("-".into(), |found| format!("{:.3}", found.correlation)))
        .collect();
    let count = frames.len() as f64;
    println!(
        "{:<42} {:>7.1} {:>7.0} us {:>7.0} us {:>5.2} %  {}",
        format!("{kind} {setting}"),
        bytes as f64 * 8.0 / count / 20.0,
        encoding.as_secs_f64() * 1e6 / count,
        decoding.as_secs_f64() * 1e6 / count,
        (encoding + decoding).as_secs_f64() / count / 0.020 * 100.0,
        correlations.join(" "),
    );
    Ok(())
}
