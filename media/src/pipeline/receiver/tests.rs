#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    TICK,
    audio::{
        codec::{EncoderConfig, OpusConfig},
        level::Level,
        source::{Silence, Source},
        tone::Tone,
    },
    lab::{Call, Heard, Loss, Network, Stall},
    pipeline::{Sender, SenderConfig},
    samples,
};
use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn speech() -> Box<dyn Source> {
    Box::new(samples::CUSTOMER.source().unwrap())
}

fn heard(network: Network, opus: OpusConfig, seconds: f64) -> Heard {
    let sender = SenderConfig { encoder: EncoderConfig { opus }, ..SenderConfig::default() };
    Call { sender, network, ..Call::default() }.run(speech(), seconds).unwrap()
}

fn over(network: Network, seconds: f64) -> Heard {
    heard(network, OpusConfig::default(), seconds)
}

/// Packets of a voice, each 20 ms.
fn packets(source: Box<dyn Source>, codec: CodecKind, count: usize) -> Vec<RtpPacket> {
    let config = SenderConfig { codec, initial_sequence_number: Some(65_500), ..SenderConfig::default() };
    let mut sender = Sender::new(source, config).unwrap();
    std::iter::repeat_with(|| sender.tick()).flatten().take(count).map(|packet| packet.into_rtp(7)).collect()
}

fn receiver(codec: CodecKind) -> Receiver {
    Receiver::new(ReceiverConfig { codec, ..ReceiverConfig::default() }).unwrap()
}

/// Plays packets at their arrivals, in milliseconds.
fn play(receiver: &mut Receiver, mut arrivals: Vec<(u64, RtpPacket)>, ticks: u64) -> Vec<f32> {
    let start = Instant::now();
    arrivals.sort_by_key(|&(at, _)| at);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut played = Vec::new();
    for tick in 0..ticks {
        let now = tick * 10;
        while let Some((at, packet)) = arrivals.next_if(|&(at, _)| at <= now) {
            receiver.push(packet, start + MS(at));
        }
        let mut out = [9.0; TICK_SAMPLES];
        receiver.pull(&mut out, start + MS(now));
        played.extend(out);
    }
    played
}

fn spaced(packets: Vec<RtpPacket>) -> Vec<(u64, RtpPacket)> {
    packets.into_iter().enumerate().map(|(n, packet)| (n as u64 * 20, packet)).collect()
}

#[test]
fn a_clean_network_is_played_at_once_and_as_it_was() {
    for seed in 1..4 {
        let heard = over(Network { seed, ..Network::default() }, 12.0);
        let stats = heard.receiver;
        let first = heard.moments.iter().find(|moment| moment.concealed > 0);
        assert_eq!((stats.concealed_samples, stats.packets_discarded), (0, 0), "{seed}: {first:?}");
        assert!(heard.mean_delay() <= 0.025, "{}", heard.mean_delay());
        let changed = stats.inserted_samples_for_deceleration + stats.removed_samples_for_acceleration;
        assert!(changed < 2_400, "{stats:?}");
    }
}

#[test]
fn after_a_stall_the_delay_drains_and_no_word_is_dropped() {
    let stalls = vec![Stall { at: MS(3_000), length: MS(800) }];
    let heard = over(Network { stalls, ..Network::default() }, 12.0);
    let mean = |from: f64, to: f64| {
        let delays =
            heard.moments.iter().filter(|moment| (from..to).contains(&moment.at)).filter_map(|moment| moment.delay);
        let (sum, count) = delays.fold((0.0, 0), |(sum, count), delay| (sum + delay, count + 1));
        sum / f64::from(count)
    };
    assert!(mean(6.8, 8.0) < mean(1.5, 3.0) + 0.020, "{} {}", mean(1.5, 3.0), mean(6.8, 8.0));
    let most = heard.moments.iter().filter_map(|moment| moment.delay).fold(0.0, f64::max);
    assert!(most < 0.55, "{most}");
    assert_eq!((heard.receiver.packets_discarded, heard.receiver.packets_lost), (0, 0));
    let removed = heard.receiver.removed_samples_for_acceleration as f64 / 48_000.0;
    assert!((0.7..0.9).contains(&removed), "{removed}");
}

#[test]
fn clocks_that_differ_cost_nothing() {
    for drift_ppm in [1_000.0, -1_000.0] {
        let heard = over(Network { drift_ppm, ..Network::default() }, 40.0);
        assert_eq!((heard.receiver.concealed_samples, heard.receiver.packets_discarded), (0, 0), "{drift_ppm}");
        assert!(heard.mean_delay() < 0.060, "{drift_ppm}: {}", heard.mean_delay());
    }
}

#[test]
fn loss_is_restored_from_the_next_packet_once_it_is_waited_for() {
    let heard = over(Network { loss: Loss::Random(0.05), ..Network::default() }, 16.0);
    let stats = heard.receiver;
    assert!(stats.fec_packets_received > 8 && stats.packets_lost > 20, "{stats:?}");
    assert!((0.025..0.050).contains(&heard.mean_delay()), "{}", heard.mean_delay());
    let mos = stats.quality(None).mos;
    assert!((3.8..4.405).contains(&mos), "{mos} {stats:?}");
    assert!(stats.jitter_buffer_target_delay >= stats.jitter_buffer_minimum_delay);
}

#[test]
fn a_burst_is_restored_from_deep_redundancy() {
    let opus = OpusConfig { dred_frames: 20, expected_loss: 30, bitrate: 48_000, ..OpusConfig::default() };
    let network = Network { loss: Loss::Bursts { rate: 0.10, mean_length: 2.5 }, ..Network::default() };
    let with = heard(network.clone(), opus.clone(), 16.0);
    let without = heard(network, OpusConfig { dred_frames: 0, ..opus }, 16.0);
    assert!(with.receiver.dred_packets_received > 10, "{:?}", with.receiver);
    assert_eq!(without.receiver.dred_packets_received, 0);
    assert!(with.receiver.concealed_samples < without.receiver.concealed_samples * 4 / 5);
}

#[test]
fn jitter_is_waited_for_and_no_more_than_that() {
    let network = |jitter| Network { delay: MS(60), jitter: MS(jitter), ..Network::default() };
    let (small, large) = (over(network(10), 16.0), over(network(50), 16.0));
    assert!(small.mean_delay() < 0.045 && (0.050..0.090).contains(&large.mean_delay()));
    let late = |heard: &Heard| heard.receiver.concealed_samples as f64 / heard.receiver.total_samples_received as f64;
    assert!(late(&small) < 0.005 && late(&large) < 0.02, "{} {}", late(&small), late(&large));
}

#[test]
fn a_stream_that_stops_fades_and_one_that_comes_back_is_played() {
    let mut receiver = receiver(CodecKind::Opus);
    let packets = packets(Box::new(Tone::new(440.0)), CodecKind::Opus, 300);
    let kept = spaced(packets).into_iter().filter(|&(at, _)| !(1_000..4_000).contains(&at)).collect();
    let played = play(&mut receiver, kept, 600);
    let at = |seconds: f64| (seconds * 48_000.0) as usize;
    assert!(Level::of(&played[at(0.3)..at(0.9)]).rms > -25.0);
    assert_eq!(Level::of(&played[at(2.5)..at(3.9)]), Level::SILENCE);
    assert!(Level::of(&played[at(4.5)..at(5.5)]).rms > -25.0);
    assert_eq!(receiver.stats().concealment_events, 1);
}

#[test]
fn a_new_ssrc_and_a_timestamp_jump_play_on() {
    let mut receiver = receiver(CodecKind::Opus);
    let mut packets = packets(Box::new(Tone::new(440.0)), CodecKind::Opus, 300);
    for (n, packet) in packets.iter_mut().enumerate() {
        if n >= 100 {
            packet.ssrc = 99;
            packet.sequence_number = packet.sequence_number.wrapping_add(12_345);
        }
        if n >= 200 {
            packet.timestamp = packet.timestamp.wrapping_add(3_000_000_000);
        }
    }
    let played = play(&mut receiver, spaced(packets), 600);
    for second in 1..6 {
        assert!(Level::of(&played[second * 48_000 - 24_000..second * 48_000]).rms > -25.0, "{second}");
    }
    let stats = receiver.stats();
    assert_eq!((stats.packets_received, stats.packets_lost), (300, 0));
    assert!(stats.concealed_samples < 48 * 100, "{stats:?}");
}

#[test]
fn packets_of_ten_to_sixty_milliseconds_mix() {
    let mut receiver = receiver(CodecKind::Pcmu);
    let whole: Vec<u8> = packets(Box::new(Tone::new(440.0)), CodecKind::Pcmu, 200)
        .iter()
        .flat_map(|packet| packet.payload.to_vec())
        .collect();
    let (mut arrivals, mut at, mut sequence) = (Vec::new(), 0, 65_530u16);
    for length in [80, 160, 320, 480].into_iter().cycle() {
        let Some(payload) = whole.get(at..at + length) else { break };
        at += length;
        let payload = Bytes::copy_from_slice(payload);
        let packet = RtpPacket {
            ssrc: 1,
            sequence_number: sequence,
            timestamp: (at - length) as u32,
            marker: false,
            content: Content::Sound,
            payload,
        };
        // A packet leaves when its last sample has been spoken.
        arrivals.push((at as u64 / 8, packet));
        sequence = sequence.wrapping_add(1);
    }
    let played = play(&mut receiver, arrivals, 400);
    assert!(Level::of(&played[96_000..180_000]).rms > -25.0);
    let stats = receiver.stats();
    assert!(stats.concealed_samples < 48 * 120, "{stats:?}");
    assert_eq!(stats.packets_lost, 0);
}

#[test]
fn silence_stays_silence_over_a_bad_network() {
    let network = Network { loss: Loss::Random(0.2), delay: MS(50), jitter: MS(50), ..Network::default() };
    for dtx in [false, true] {
        let opus = OpusConfig { dtx, ..OpusConfig::default() };
        let sender = SenderConfig { encoder: EncoderConfig { opus }, ..SenderConfig::default() };
        let call = Call { sender, network: network.clone(), ..Call::default() };
        let heard = call.run(Box::new(Silence), 8.0).unwrap();
        assert!(Level::of(&heard.sound).peak < -60.0, "{:?}", Level::of(&heard.sound));
    }
}

#[test]
fn silence_that_is_not_sent_is_no_loss() {
    let heard = heard(Network::default(), OpusConfig { dtx: true, ..OpusConfig::default() }, 16.0);
    assert!(heard.sender.frames_suppressed > 100);
    assert_eq!((heard.receiver.concealed_samples, heard.receiver.packets_lost), (0, 0), "{:?}", heard.receiver);
}

const BUFFERS: [fn() -> JitterBuffer; 2] = [JitterBuffer::default, || JitterBuffer::Fixed(MS(60))];

/// A second of a tone, two of noise at -40 dBov which is described every so often, and the tone again.
fn talk_with_noise(codec: CodecKind, every_ms: u64) -> Vec<(u64, RtpPacket)> {
    let mut sequence = 65_500u16;
    let mut arrivals = Vec::new();
    for (at, mut packet) in spaced(packets(Box::new(Tone::new(440.0)), codec, 200)) {
        if (1_000..3_000).contains(&at) {
            if !(at - 1_000).is_multiple_of(every_ms) {
                continue;
            }
            packet.content = Content::ComfortNoise;
            packet.payload = Bytes::from_static(&[40, 100, 140]);
        }
        packet.sequence_number = sequence;
        sequence = sequence.wrapping_add(1);
        arrivals.push((at, packet));
    }
    arrivals
}

#[test]
fn noise_that_is_described_is_played_until_there_is_sound_and_is_no_loss() {
    let codecs = [CodecKind::Pcmu, CodecKind::G722];
    for (codec, every, buffer) in
        codecs.iter().flat_map(|c| [20, 200, 5_000].iter().flat_map(move |e| BUFFERS.map(|b| (*c, *e, b()))))
    {
        let mut receiver = Receiver::new(ReceiverConfig { codec, jitter_buffer: buffer }).unwrap();
        let played = play(&mut receiver, talk_with_noise(codec, every), 398);
        let rms = |from: f64, to: f64| Level::of(&played[(from * 48e3) as usize..(to * 48e3) as usize]).rms;
        // A full-scale sine is 0 dBFS and -3 dBov.
        let context = format!("{codec} {every} {buffer:?}");
        assert!((rms(1.3, 2.9) + 37.0).abs() < 2.0, "{context}: {}", rms(1.3, 2.9));
        assert!(rms(0.3, 0.9) > -25.0 && rms(3.3, 3.85) > -25.0, "{context}");
        let stats = receiver.stats();
        assert_eq!((stats.packets_lost, stats.malformed, stats.concealment_events), (0, 0, 0), "{context} {stats:?}");
        assert_eq!((stats.concealed_samples, stats.silent_concealed_samples), (0, 0), "{context}");
        assert!((90_000..102_000).contains(&stats.comfort_noise_samples), "{context} {stats:?}");
    }
}

#[test]
fn a_lost_description_of_noise_is_no_concealment() {
    for buffer in BUFFERS {
        let config = ReceiverConfig { codec: CodecKind::Pcma, jitter_buffer: buffer() };
        let mut receiver = Receiver::new(config).unwrap();
        let mut arrivals = talk_with_noise(CodecKind::Pcma, 200);
        arrivals.retain(|&(at, _)| at != 1_600);
        play(&mut receiver, arrivals, 398);
        let stats = receiver.stats();
        assert_eq!((stats.packets_lost, stats.concealed_samples), (1, 0), "{stats:?}");
    }
}

#[test]
fn comfort_noise_beside_a_codec_of_another_clock_is_counted_and_left() {
    let mut receiver = receiver(CodecKind::Opus);
    let played = play(&mut receiver, talk_with_noise(CodecKind::Opus, 200), 400);
    let stats = receiver.stats();
    assert_eq!((stats.packets_received, stats.packets_lost, stats.comfort_noise_samples), (110, 0, 0), "{stats:?}");
    assert!(Level::of(&played[170_000..190_000]).rms > -25.0);
}

#[test]
fn a_silence_that_opus_announces_may_last_as_long_as_it_likes() {
    for buffer in BUFFERS {
        let mut receiver =
            Receiver::new(ReceiverConfig { jitter_buffer: buffer(), ..ReceiverConfig::default() }).unwrap();
        let mut arrivals = spaced(packets(Box::new(Tone::new(440.0)), CodecKind::Opus, 200));
        arrivals.retain(|&(at, _)| !(1_020..3_000).contains(&at));
        for (n, (at, packet)) in arrivals.iter_mut().enumerate() {
            packet.sequence_number = n as u16;
            if *at == 1_000 {
                // A frame of nothing (RFC 6716 section 3.2.1).
                packet.payload = Bytes::copy_from_slice(&[packet.payload[0] & !3]);
            }
        }
        let played = play(&mut receiver, arrivals, 398);
        let stats = receiver.stats();
        assert_eq!((stats.packets_lost, stats.concealed_samples, stats.concealment_events), (0, 0, 0), "{stats:?}");
        assert!(stats.comfort_noise_samples > 90_000, "{stats:?}");
        assert!(Level::of(&played[160_000..185_000]).rms > -25.0);
    }
}

#[test]
fn silence_that_nobody_announced_ends_in_time_with_the_next_packet() {
    for (codec, buffer) in [CodecKind::Opus, CodecKind::Pcmu].into_iter().flat_map(|c| BUFFERS.map(|b| (c, b()))) {
        let mut receiver = Receiver::new(ReceiverConfig { codec, jitter_buffer: buffer }).unwrap();
        let mut arrivals = spaced(packets(Box::new(Tone::new(440.0)), codec, 200));
        arrivals.retain(|&(at, _)| !(1_000..1_500).contains(&at));
        for (n, (_, packet)) in arrivals.iter_mut().enumerate() {
            packet.sequence_number = n as u16;
        }
        let played = play(&mut receiver, arrivals, 398);
        // What is not there may be late: that it was never sent is known once the next packet has come, and not before.
        let stats = receiver.stats();
        assert_eq!((stats.packets_lost, stats.packets_discarded), (0, 0), "{codec} {buffer:?}");
        assert!(stats.concealed_samples <= 48 * 520, "{stats:?}");
        assert!(Level::of(&played[48 * 1_600..190_000]).rms > -25.0, "{codec} {buffer:?}");
        let delay = stats.mean_jitter_buffer_delay().unwrap();
        assert!(delay < MS(85), "{codec} {buffer:?}: {delay:?}");
    }
}

/// What a network might do to a second and a half of packets: anything.
fn torment(packets: &[RtpPacket], rng: &mut StdRng) -> Vec<(u64, RtpPacket)> {
    let (loss, jitter) = (rng.random::<f64>().powi(2), 400.0 * rng.random::<f64>().powi(2));
    let (stall_at, stall) = (rng.random_range(0..1_500), rng.random_range(0..1_500) * u64::from(rng.random::<bool>()));
    let (mut skew, mut ssrc) = (0u32, 7);
    let mut arrivals = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        match rng.random_range(0..300) {
            0 => skew = rng.random(),
            1 => ssrc = rng.random_range(0..3),
            2 => skew = skew.wrapping_add(rng.random_range(0..2_000)),
            _ => {}
        }
        if rng.random::<f64>() < loss {
            continue;
        }
        let mut packet = RtpPacket { ssrc, timestamp: packet.timestamp.wrapping_add(skew), ..packet.clone() };
        if rng.random_range(0..40) == 0 {
            packet.content = Content::ComfortNoise;
        }
        if rng.random_range(0..50) == 0 {
            let length = rng.random_range(0..packet.payload.len());
            packet.payload = packet.payload.iter().take(length).map(|byte| byte ^ rng.random::<u8>()).collect();
        }
        let mut at = n as u64 * 20 + (jitter * rng.random::<f64>()) as u64;
        if (stall_at..stall_at + stall).contains(&at) {
            at = stall_at + stall;
        }
        arrivals.push((at, packet.clone()));
        if rng.random_range(0..20) == 0 {
            arrivals.push((at + rng.random_range(0..200), packet));
        }
    }
    arrivals
}

#[test]
fn under_thousands_of_random_networks_the_output_never_stops_and_stays_in_bounds() {
    for (codec, traces) in [(CodecKind::Opus, 700), (CodecKind::Pcmu, 700), (CodecKind::G722, 700)] {
        let packets = packets(speech(), codec, 200).split_off(125);
        for seed in 0..traces {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut receiver = receiver(codec);
            let arrivals = torment(&packets, &mut rng);
            let start = Instant::now();
            let mut arrivals = {
                let mut sorted = arrivals;
                sorted.sort_by_key(|&(at, _)| at);
                sorted.into_iter().peekable()
            };
            let mut before = receiver.stats();
            for tick in 0..200u64 {
                while let Some((at, packet)) = arrivals.next_if(|&(at, _)| at <= tick * 10) {
                    receiver.push(packet, start + MS(at));
                }
                let mut out = [9.0; TICK_SAMPLES];
                receiver.pull(&mut out, start + TICK * tick as u32);
                assert!(out.iter().all(|sample| sample.abs() <= 1.5), "{codec} {seed}: not sound");
                let stats = receiver.stats();
                let emitted = stats.jitter_buffer_emitted_count - before.jitter_buffer_emitted_count;
                let waited = (stats.jitter_buffer_delay - before.jitter_buffer_delay) / emitted.max(1) as f64;
                // Twice the bound, and what is ahead in the output, is where the oldest is given up.
                assert!((0.0..1.2).contains(&waited), "{codec} {seed}: {waited}");
                before = stats;
            }
            assert!(before.concealed_samples <= before.total_samples_received + 48_000, "{codec} {seed}: {before:?}");
        }
    }
}
