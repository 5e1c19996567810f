#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    SAMPLE_RATE, TICK, TICK_SAMPLES,
    audio::{
        codec::{CodecKind, EncoderConfig, OpusConfig},
        compare::{best_match, tone_level},
        level::Level,
        pipe::pipe,
        sink::Sink,
        source::{Silence, Source, SourceState},
        tone::Tone,
    },
    samples,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A call in virtual time: what the receiver plays, and its statistics. `network` may lose packets (give none) or
/// delay them.
fn call(
    source: Box<dyn Source>,
    config: SenderConfig,
    seconds: f64,
    network: impl FnMut(u32) -> Option<Duration>,
) -> (Vec<f32>, SenderStats, ReceiverStats) {
    call_with(JitterBuffer::Fixed(Duration::from_millis(60)), source, config, seconds, network)
}

fn call_with(
    jitter_buffer: JitterBuffer,
    source: Box<dyn Source>,
    config: SenderConfig,
    seconds: f64,
    mut network: impl FnMut(u32) -> Option<Duration>,
) -> (Vec<f32>, SenderStats, ReceiverStats) {
    let codec = config.codec;
    let mut sender = Sender::new(source, config).unwrap();
    let mut receiver = Receiver::new(ReceiverConfig { codec, jitter_buffer }).unwrap();
    let start = Instant::now();
    let mut flying: Vec<(Instant, RtpPacket)> = Vec::new();
    let (mut played, mut count) = (Vec::new(), 0);
    for tick in 0..(seconds * 100.0) as u32 {
        let now = start + TICK * tick;
        if let Some(packet) = sender.tick() {
            if let Some(delay) = network(count) {
                flying.push((now + delay, packet.into_rtp(7)));
            }
            count += 1;
        }
        flying.sort_by_key(|&(at, _)| at);
        while flying.first().is_some_and(|&(at, _)| at <= now) {
            let (at, packet) = flying.remove(0);
            receiver.push(packet, at);
        }
        let mut out = [9.0; TICK_SAMPLES];
        receiver.pull(&mut out, now);
        played.extend(out);
    }
    (played, sender.stats(), receiver.stats())
}

fn at_once(_: u32) -> Option<Duration> {
    Some(Duration::ZERO)
}

fn speech() -> Vec<f32> {
    let mut sound = vec![0.0; (15.6 * f64::from(SAMPLE_RATE)) as usize];
    samples::CUSTOMER.source().unwrap().read(&mut sound);
    sound
}

/// The correlation of each utterance with its best place in what was played.
fn utterances(played: &[f32]) -> Vec<f32> {
    let (original, at) = (speech(), |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize);
    let cut = samples::CUSTOMER.utterances.iter().map(|said| &original[at(said.start_s)..at(said.end_s)]);
    cut.map(|said| best_match(said, played).unwrap().correlation).collect()
}

#[test]
fn speech_comes_through_opus_recognisably_the_same() {
    let (played, sent, received) =
        call(Box::new(samples::CUSTOMER.source().unwrap()), SenderConfig::default(), 16.0, at_once);
    let correlations = utterances(&played);
    assert!(correlations.iter().all(|&correlation| correlation > 0.95), "{correlations:?}");
    assert_eq!((sent.packets_sent, sent.encode_errors, sent.source_starved), (800, 0, 0));
    let kbits = sent.bytes_sent as f64 * 8.0 / 16.0 / 1000.0;
    assert!((10.0..36.0).contains(&kbits), "{kbits} kbit/s");
    assert_eq!((received.packets_received, received.packets_lost, received.packets_discarded), (800, 0, 0));
    assert_eq!((received.concealed_samples, received.concealment_events, received.malformed), (0, 0, 0));
    let mean = received.jitter_buffer_delay / received.jitter_buffer_emitted_count as f64;
    assert!((0.055..=0.085).contains(&mean), "{mean} s in the jitter buffer");
    assert!(received.jitter < 1e-6);
    let (sent, received) = (sent.total_audio_energy, received.total_audio_energy);
    assert!((received / sent - 1.0).abs() < 0.1, "{sent} {received}");
}

#[test]
fn both_halves_can_move_to_another_thread() {
    fn movable<T: Send>() {}
    movable::<Sender>();
    movable::<Receiver>();
}

#[test]
fn first_packet_and_first_audio_are_a_delay_apart() {
    let (_, _, stats) = call(Box::new(Tone::new(440.0)), SenderConfig::default(), 1.0, at_once);
    let gap = stats.first_audio.unwrap() - stats.first_packet.unwrap();
    assert!((60..=70).contains(&gap.as_millis()), "{gap:?}");
}

#[test]
fn lost_packets_are_recovered_or_concealed_and_counted() {
    let source = Box::new(samples::CUSTOMER.source().unwrap());
    // Packet 0 sets off the stream; every tenth after it is lost.
    let (played, _, stats) =
        call(source, SenderConfig::default(), 16.0, |n| (n % 10 != 5).then_some(Duration::from_millis(5)));
    assert_eq!(stats.packets_lost, 80);
    assert!(stats.fec_packets_received > 20, "{stats:?}");
    // What was not recovered was concealed, and nothing else was.
    assert_eq!(stats.concealed_samples, (80 - stats.fec_packets_received) * 960, "{stats:?}");
    assert_eq!(stats.concealment_events, 80 - stats.fec_packets_received);
    let correlations = utterances(&played);
    assert!(correlations.iter().all(|&correlation| correlation > 0.9), "{correlations:?}");

    // Without the copies the same losses cost more.
    let encoder = EncoderConfig { opus: OpusConfig { fec: false, ..Default::default() } };
    let source = Box::new(samples::CUSTOMER.source().unwrap());
    let config = SenderConfig { encoder, ..Default::default() };
    let (_, _, stats) = call(source, config, 16.0, |n| (n % 10 != 5).then_some(Duration::from_millis(5)));
    assert_eq!((stats.fec_packets_received, stats.concealed_samples), (0, 80 * 960));
}

#[test]
fn packets_out_of_order_within_the_delay_cost_nothing() {
    let jittery = |n: u32| Some(Duration::from_millis(u64::from(n * 23 % 55)));
    let (played, _, stats) =
        call(Box::new(samples::CUSTOMER.source().unwrap()), SenderConfig::default(), 16.0, jittery);
    assert_eq!((stats.packets_lost, stats.packets_discarded, stats.concealed_samples), (0, 0, 0));
    assert!(stats.jitter > 0.005, "{}", stats.jitter);
    assert!(utterances(&played).iter().all(|&correlation| correlation > 0.95));
}

#[test]
fn a_stream_that_stops_fades_into_silence() {
    let (played, _, stats) =
        call(Box::new(Tone::new(440.0)), SenderConfig::default(), 4.0, |n| (n < 50).then_some(Duration::ZERO));
    let second = SAMPLE_RATE as usize;
    assert!(tone_level(&played[second / 2..second], 440.0) > -18.0);
    assert_eq!(Level::of(&played[3 * second..]), Level::SILENCE);
    assert_eq!(stats.concealed_samples, 48_000);
    assert!(stats.silent_concealed_samples >= 24_000 && stats.silent_concealed_samples < 48_000, "{stats:?}");
    assert_eq!(stats.concealment_events, 1);
    assert!(stats.audio_level < 1e-3);
}

#[test]
fn dtx_sends_little_in_silence_and_loses_nothing() {
    let encoder = EncoderConfig { opus: OpusConfig { dtx: true, ..Default::default() } };
    let config = SenderConfig { encoder, ..Default::default() };
    let mut sender = Sender::new(Box::new(samples::CUSTOMER.source().unwrap()), config.clone()).unwrap();
    let packets: Vec<_> = (0..1600).filter_map(|_| sender.tick()).collect();
    // The clock runs on through what is not sent, the numbers do not, and the first after it is marked.
    for pair in packets.windows(2) {
        let gap = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert_eq!(pair[1].sequence_number, pair[0].sequence_number.wrapping_add(1));
        assert_eq!(pair[1].marker, gap > 960);
    }
    let stats = sender.stats();
    assert!(stats.frames_suppressed > 100, "{stats:?}");
    assert_eq!(stats.frames_suppressed + stats.packets_sent, 800);

    let (played, _, stats) = call(Box::new(samples::CUSTOMER.source().unwrap()), config, 16.0, at_once);
    assert_eq!((stats.packets_lost, stats.concealed_samples), (0, 0), "{stats:?}");
    let correlations = utterances(&played);
    assert!(correlations.iter().all(|&correlation| correlation > 0.9), "{correlations:?}");
}

#[test]
fn numbers_start_where_told_wrap_and_are_random_otherwise() {
    let config = SenderConfig {
        initial_sequence_number: Some(65_535),
        initial_timestamp: Some(u32::MAX - 959),
        ..Default::default()
    };
    let mut sender = Sender::new(Box::new(Silence), config).unwrap();
    let packets: Vec<_> = (0..4).filter_map(|_| sender.tick()).collect();
    let numbers: Vec<_> = packets.iter().map(|packet| (packet.sequence_number, packet.timestamp)).collect();
    assert_eq!(numbers, [(65_535, u32::MAX - 959), (0, 0)]);
    assert!(packets.iter().all(|packet| !packet.marker && packet.duration == 960));

    let first = || {
        let mut sender = Sender::new(Box::new(Silence), SenderConfig::default()).unwrap();
        sender.tick();
        sender.tick().unwrap().timestamp
    };
    assert!(first() != first() || first() != first());
}

#[test]
fn mute_silences_and_the_source_goes_on() {
    let mut sender = Sender::new(Box::new(Tone::new(440.0)), SenderConfig::default()).unwrap();
    (0..10).for_each(|_| drop(sender.tick()));
    assert!(sender.take_level().rms > -17.0);
    sender.set_muted(true);
    assert!(sender.muted());
    (0..100).for_each(|_| drop(sender.tick()));
    assert_eq!(sender.take_level(), Level::SILENCE);
    assert!(sender.stats().audio_level < 1e-3);
    sender.set_muted(false);
    sender.tick();
    assert!(sender.take_level().rms > -17.0);
    assert!((sender.stats().total_samples_duration - 1.11).abs() < 1e-6);
}

#[test]
fn a_source_that_ends_or_starves_is_told() {
    let (mut feed, source) = pipe(4800);
    let mut sender = Sender::new(Box::new(source), SenderConfig::default()).unwrap();
    feed.write(&[0.1; 480]);
    sender.tick();
    assert_eq!((sender.source_state(), sender.stats().source_starved), (SourceState::Playing, 0));
    assert!(sender.tick().is_some());
    assert_eq!((sender.source_state(), sender.stats().source_starved), (SourceState::Starved, 1));
    feed.finish().unwrap();
    sender.tick();
    assert_eq!(sender.source_state(), SourceState::Ended);
    let old = sender.replace_source(Box::new(Tone::new(440.0)));
    assert_eq!((old.describe(), sender.describe_source()), ("pipe".into(), "tone 440 Hz".into()));
    assert!(sender.tick().is_some());
    assert_eq!(sender.source_state(), SourceState::Playing);
}

/// A source that is out of bounds.
struct Wild;

impl Source for Wild {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        out.fill(f32::NAN);
        out[0] = f32::INFINITY;
        out[1] = 1e30;
        SourceState::Playing
    }
    fn describe(&self) -> String {
        "wild".into()
    }
}

#[test]
fn what_is_no_sound_does_not_reach_the_encoder() {
    let (played, sent, _) = call(Box::new(Wild), SenderConfig::default(), 1.0, at_once);
    assert_eq!(sent.encode_errors, 0);
    assert!(sent.total_audio_energy.is_finite());
    assert!(played.iter().all(|sample| sample.abs() <= 1.5));
}

#[test]
fn packets_of_nonsense_are_counted_and_harmless() {
    let mut receiver = Receiver::new(ReceiverConfig::default()).unwrap();
    let mut sender = Sender::new(Box::new(Tone::new(440.0)), SenderConfig::default()).unwrap();
    let now = Instant::now();
    let mut out = [0.0; TICK_SAMPLES];
    let mut noise = 12_345u32;
    for n in 0..400u32 {
        if let Some(packet) = sender.tick() {
            let mut packet = packet.into_rtp(7);
            if n % 6 == 1 {
                let garbage = (0..n % 50).map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 24) as u8
                });
                packet.payload = garbage.collect::<Bytes>();
            }
            receiver.push(packet, now);
        }
        receiver.pull(&mut out, now);
        assert!(out.iter().all(|sample| sample.is_finite()));
    }
    assert!(receiver.stats().malformed > 0);
}

#[test]
fn keys_in_the_stream_are_neither_lost_packets_nor_concealed() {
    for jitter_buffer in [JitterBuffer::default(), JitterBuffer::Fixed(Duration::from_millis(60))] {
        let config = SenderConfig { telephone_events: Some(48_000), ..SenderConfig::default() };
        let mut sender = Sender::new(Box::new(Tone::new(440.0)), config).unwrap();
        let mut receiver = Receiver::new(ReceiverConfig { jitter_buffer, ..ReceiverConfig::default() }).unwrap();
        let (mut now, mut out, mut events) = (Instant::now(), [0.0; TICK_SAMPLES], 0);
        for tick in 0..300 {
            if tick == 100 {
                sender.dial("12#".parse().unwrap());
            }
            if let Some(packet) = sender.tick() {
                let event = packet.event;
                match packet.into_rtp(7) {
                    packet if event => {
                        receiver.push_event(&packet);
                        events += 1;
                    }
                    packet => receiver.push(packet, now),
                }
            }
            receiver.pull(&mut out, now);
            now += TICK;
        }
        let stats = receiver.stats();
        assert_eq!(events, 21);
        assert_eq!((stats.packets_lost, stats.packets_received), (0, 150), "{stats:?}");
        assert_eq!(stats.concealed_samples, 0, "{stats:?}");
        assert!(stats.audio_level > 0.05);
    }
}

#[test]
fn a_sender_that_changes_its_codec_numbers_its_packets_on() {
    let config = SenderConfig { initial_sequence_number: Some(65_535), ..SenderConfig::default() };
    let mut sender = Sender::new(Box::new(Tone::new(440.0)), config).unwrap();
    let mut packets = Vec::new();
    for n in 0..8 {
        if n == 4 {
            sender.set_codec(CodecKind::Pcmu, Some(8000)).unwrap();
        }
        packets.extend(sender.tick());
    }
    let made: Vec<(CodecKind, u16, bool)> = packets.iter().map(|p| (p.codec, p.sequence_number, p.marker)).collect();
    use CodecKind::{Opus, Pcmu};
    assert_eq!(made, [(Opus, 65_535, false), (Opus, 0, false), (Pcmu, 1, true), (Pcmu, 2, false)]);
    assert_eq!(packets[3].timestamp.wrapping_sub(packets[2].timestamp), 160, "at the clock rate of the new codec");
    assert_eq!(packets[3].payload.len(), 160);
}
