#![allow(clippy::unwrap_used)]
use super::*;
use crate::audio::{
    compare::{best_match, tone_level},
    level::Level,
    source::Source,
    tone::Tone,
};
use crate::samples::{AGENT, CUSTOMER, Sample};
use proptest::prelude::*;

fn speech(sample: Sample) -> Vec<f32> {
    let mut sound = vec![0.0; 780 * FRAME_SAMPLES];
    sample.source().unwrap().read(&mut sound);
    sound
}

fn utterance(sample: Sample, sound: &[f32], which: usize) -> &[f32] {
    let at = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
    let said = sample.utterances[which];
    &sound[at(said.start_s)..at(said.end_s)]
}

fn packets(kind: CodecKind, sound: &[f32]) -> Vec<Bytes> {
    let mut encoder = kind.encoder(&EncoderConfig::default()).unwrap();
    let encode = |frame| match encoder.encode(frame).unwrap() {
        Encoded::Packet(packet) => packet,
        Encoded::Dtx => panic!("nobody asked for DTX"),
    };
    sound.chunks_exact(FRAME_SAMPLES).map(encode).collect()
}

fn decode_all(kind: CodecKind, packets: &[Bytes]) -> Vec<f32> {
    let mut decoder = kind.decoder().unwrap();
    let (mut all, mut out) = (Vec::new(), [0.0; MAX_PACKET_SAMPLES]);
    for packet in packets {
        let samples = decoder.decode(packet, &mut out).unwrap();
        assert_eq!(samples, decoder.packet_samples(packet).unwrap());
        all.extend_from_slice(&out[..samples]);
    }
    all
}

#[test]
fn a_codec_is_found_by_its_name_in_any_case() {
    for kind in CodecKind::ALL {
        assert_eq!(kind.name().to_lowercase().parse::<CodecKind>().unwrap(), kind);
        assert_eq!(kind.name().to_uppercase().parse::<CodecKind>().unwrap(), kind);
    }
    assert!("telephone-event".parse::<CodecKind>().unwrap_err().to_string().contains("opus"));
}

#[test]
fn speech_survives_every_codec() {
    let original = speech(CUSTOMER);
    // The customer was recorded at 16 kHz; G.711 carries 4 kHz.
    for (kind, least) in
        [(CodecKind::Opus, 0.95), (CodecKind::G722, 0.98), (CodecKind::Pcmu, 0.93), (CodecKind::Pcma, 0.93)]
    {
        let played = decode_all(kind, &packets(kind, &original));
        assert_eq!(played.len(), original.len());
        for n in 0..3 {
            let said = utterance(CUSTOMER, &original, n);
            let found = best_match(said, &played).unwrap();
            assert!(found.correlation > least, "{kind} {n}: {found:?}");
            let delay = found.offset_s - CUSTOMER.utterances[n].start_s;
            assert!((0.0..0.012).contains(&delay), "{kind}: {delay} s late");
        }
    }
}

#[test]
fn a_tone_keeps_its_level_and_frequency() {
    let mut tone = vec![0.0; 50 * FRAME_SAMPLES];
    Tone::new(1000.0).read(&mut tone);
    for kind in CodecKind::ALL {
        let played = decode_all(kind, &packets(kind, &tone));
        let level = tone_level(&played[12_000..36_000], 1000.0);
        assert!((level - Tone::DEFAULT_LEVEL).abs() < 0.5, "{kind}: {level}");
    }
}

#[test]
fn the_waveform_codecs_send_160_bytes_a_frame() {
    for kind in [CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma] {
        assert!(packets(kind, &[0.1; 10 * FRAME_SAMPLES]).iter().all(|packet| packet.len() == 160), "{kind}");
        assert_eq!(kind.frame_timestamps(), 160);
    }
}

#[test]
fn g722_made_elsewhere_decodes_to_what_another_decoder_made_of_it() {
    // `agent.wav` was made with FFmpeg's decoder and is 2 dB quieter.
    let stream = include_bytes!("../../../samples/goodbye.g722");
    let packets: Vec<_> = stream.chunks(160).map(Bytes::copy_from_slice).collect();
    let played = decode_all(CodecKind::G722, &packets);
    let agent = speech(AGENT);
    let said = utterance(AGENT, &agent, 2);
    // The ends are faded there.
    let found = best_match(&said[960..said.len() - 960], &played).unwrap();
    assert!(found.correlation > 0.9995, "{found:?}");
    let louder = Level::of(&played).rms - Level::of(said).rms;
    assert!((louder - 2.0).abs() < 0.3, "{louder} dB");
}

#[test]
fn packets_that_are_none_are_refused() {
    for kind in CodecKind::ALL {
        let decoder = kind.decoder().unwrap();
        assert!(matches!(decoder.packet_samples(&[]), Err(Error::Malformed { .. })), "{kind}");
    }
    let decoder = CodecKind::Opus.decoder().unwrap();
    // 8 frames of 20 ms are longer than 120 ms; a code 3 packet without its count byte is cut off.
    assert!(decoder.packet_samples(&[0xFB, 8]).is_err());
    assert!(decoder.packet_samples(&[0xFB]).is_err());
    let decoder = CodecKind::Pcmu.decoder().unwrap();
    assert!(decoder.packet_samples(&[0xFF; 961]).is_err());
    assert_eq!(decoder.packet_samples(&[0xFF; 960]).unwrap(), MAX_PACKET_SAMPLES);
}

#[test]
fn settings_out_of_range_are_refused() {
    let settings = [
        OpusConfig { bitrate: 5_999, ..Default::default() },
        OpusConfig { bitrate: 510_001, ..Default::default() },
        OpusConfig { complexity: 11, ..Default::default() },
        OpusConfig { expected_loss: 101, ..Default::default() },
    ];
    for opus in settings {
        let error = CodecKind::Opus.encoder(&EncoderConfig { opus }).err().unwrap();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }
    let mut encoder = CodecKind::Opus.encoder(&EncoderConfig::default()).unwrap();
    assert!(matches!(encoder.encode(&[0.0; 480]), Err(Error::FrameSize(480))));
}

#[test]
fn a_short_hole_in_a_waveform_is_filled_and_a_long_one_fades() {
    for kind in [CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma] {
        let mut tone = vec![0.0; 20 * FRAME_SAMPLES];
        Tone::new(200.0).read(&mut tone);
        let packets = packets(kind, &tone);
        let mut decoder = kind.decoder().unwrap();
        let mut out = [0.0; FRAME_SAMPLES];
        // Nothing heard yet: nothing to repeat.
        decoder.conceal(&mut out).unwrap();
        assert_eq!(out, [0.0; FRAME_SAMPLES]);
        for packet in &packets[..10] {
            decoder.decode(packet, &mut out).unwrap();
        }
        let last = out[FRAME_SAMPLES - 1];
        assert!(!decoder.decode_fec(&packets[11], &mut out).unwrap());
        assert!((out[0] - last).abs() < 0.02, "{kind}: a step from {last} to {}", out[0]);
        let level = tone_level(&out, 200.0);
        assert!((-19.0..-15.0).contains(&level), "{kind}: {level}");
        for _ in 0..3 {
            decoder.conceal(&mut out).unwrap();
        }
        assert_eq!(out, [0.0; FRAME_SAMPLES], "{kind}");
        decoder.decode(&packets[15], &mut out).unwrap();
        assert!(out[0].abs() < 0.02 && tone_level(&out, 200.0) > -19.0);
    }
}

/// A decoder that has heard `kind`, for what comes next.
fn after_some_sound(kind: CodecKind) -> Box<dyn Decoder> {
    let mut decoder = kind.decoder().unwrap();
    let mut tone = [0.0; 3 * FRAME_SAMPLES];
    Tone::new(300.0).read(&mut tone);
    for packet in packets(kind, &tone) {
        decoder.decode(&packet, &mut [0.0; MAX_PACKET_SAMPLES]).unwrap();
    }
    decoder
}

proptest! {
    #[test]
    fn no_packet_makes_a_decoder_panic(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1400), 1..12),
        kind in prop::sample::select(CodecKind::ALL.to_vec()),
    ) {
        let mut decoder = after_some_sound(kind);
        let mut out = [0.0; MAX_PACKET_SAMPLES];
        for packet in packets {
            if let Ok(samples) = decoder.decode(&packet, &mut out) {
                prop_assert!(samples <= MAX_PACKET_SAMPLES);
                prop_assert!(out[..samples].iter().all(|sample| sample.is_finite()));
            }
            let _ = decoder.decode_fec(&packet, &mut out[..FRAME_SAMPLES]);
            decoder.conceal(&mut out[..FRAME_SAMPLES]).unwrap();
            prop_assert!(out[..FRAME_SAMPLES].iter().all(|sample| sample.is_finite()));
        }
    }

    #[test]
    fn packets_of_any_length_give_just_as_much_sound(lengths in prop::collection::vec(1usize..=960, 1..40)) {
        let mut decoder = CodecKind::Pcmu.decoder().unwrap();
        let mut out = [0.0; MAX_PACKET_SAMPLES];
        for length in lengths {
            prop_assert_eq!(decoder.decode(&vec![0xFF; length], &mut out).unwrap(), length * 6);
        }
    }
}
