#![allow(clippy::unwrap_used)]
use super::*;
use crate::audio::jitter::Content;
use bytes::Bytes;
use proptest::prelude::*;

const FRAME: u32 = 960;
const MS: fn(u64) -> Duration = Duration::from_millis;

fn packet(sequence: u16, timestamp: u32) -> RtpPacket {
    let payload = Bytes::copy_from_slice(&sequence.to_be_bytes());
    RtpPacket { ssrc: 1, sequence_number: sequence, timestamp, marker: false, content: Content::Sound, payload }
}

/// The `n`th packet of a stream that wraps early.
fn nth(n: u32) -> RtpPacket {
    packet(65_530u16.wrapping_add(n as u16), (u32::MAX - 3 * FRAME).wrapping_add(n * FRAME))
}

struct Test {
    buffer: FixedJitterBuffer,
    start: Instant,
}

impl Test {
    fn new(delay_ms: u64) -> Self {
        let config = JitterConfig { clock_rate: 48_000, delay: MS(delay_ms) };
        Self { buffer: FixedJitterBuffer::new(&config), start: Instant::now() }
    }

    fn push(&mut self, packet: RtpPacket) -> Pushed {
        self.buffer.push(packet, FRAME, self.start)
    }

    fn push_at(&mut self, packet: RtpPacket, at: Duration) -> Pushed {
        self.buffer.push(packet, FRAME, self.start + at)
    }

    /// What the next pop is, in short: a sequence number, L(ost), F (lost, and the next is there), or E(mpty).
    fn pop(&mut self) -> String {
        match self.buffer.pop() {
            Pop::Packet { packet, .. } => packet.sequence_number.to_string(),
            Pop::Lost { next: None, .. } => "L".into(),
            Pop::Lost { next: Some(_), .. } => "F".into(),
            Pop::Empty { .. } => "E".into(),
        }
    }

    fn pops(&mut self, count: usize) -> String {
        (0..count).map(|_| self.pop()).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn packets_wait_for_the_delay_and_come_in_order_across_the_wraps() {
    let mut test = Test::new(60);
    for n in [1, 0, 3, 2] {
        assert_eq!(test.push(nth(n)), Pushed::Stored);
    }
    // Packet 1 came first: 60 ms before it, packet 0 is 20 ms earlier.
    assert_eq!(test.pops(6), "E E 65530 65531 65532 65533");
    for n in 4..8 {
        test.push(nth(n));
    }
    assert_eq!(test.pops(4), "65534 65535 0 1");
}

#[test]
fn nothing_pushed_is_nothing_to_play() {
    let mut test = Test::new(60);
    assert_eq!(test.pops(3), "E E E");
    assert_eq!(test.buffer.reception(), ReceptionStats::default());
}

#[test]
fn a_lost_packet_is_offered_the_next_one_for_its_copy() {
    let mut test = Test::new(0);
    for n in [0, 1, 3, 6] {
        test.push(nth(n));
    }
    assert_eq!(test.pops(7), "65530 65531 F 65533 L F 0");
    let stats = test.buffer.reception();
    assert_eq!((stats.packets_received, stats.packets_lost), (4, 3));
}

#[test]
fn a_late_packet_is_dropped_and_counted() {
    let mut test = Test::new(0);
    test.push(nth(0));
    test.push(nth(2));
    assert_eq!(test.pops(3), "65530 F 65532");
    assert_eq!(test.push(nth(1)), Pushed::Discarded);
    assert_eq!(test.buffer.discarded(), 1);
    // It came after all: not lost by RFC 3550's count.
    assert_eq!(test.buffer.reception().packets_lost, 0);
}

#[test]
fn a_duplicate_is_dropped_and_counted_waiting_or_played() {
    let mut test = Test::new(0);
    test.push(nth(0));
    assert_eq!(test.push(nth(0)), Pushed::Duplicate);
    assert_eq!(test.pops(1), "65530");
    assert_eq!(test.push(nth(0)), Pushed::Duplicate);
    let stats = test.buffer.reception();
    assert_eq!((stats.duplicates, stats.packets_received, stats.packets_lost), (2, 3, -2));
    assert_eq!(test.buffer.discarded(), 0);
}

#[test]
fn silence_that_was_not_sent_is_not_loss() {
    let mut test = Test::new(20);
    test.push(packet(1, 0));
    test.push(packet(2, 4 * FRAME));
    assert_eq!(test.pops(6), "E 1 E E E 2");
    assert_eq!(test.buffer.reception().packets_lost, 0);
}

#[test]
fn a_stream_that_stops_is_concealed_for_a_second_and_then_over() {
    let mut test = Test::new(0);
    test.push(nth(0));
    let pops = test.pops(61);
    assert_eq!(pops.matches('L').count(), 50);
    assert!(pops.ends_with("L E E E E E E E E E E"), "{pops}");
    // It goes on with its timestamps run on: as if nothing had been.
    test.push(nth(63));
    assert_eq!(test.pops(3), format!("E E {}", 65_530u16.wrapping_add(63)));
}

#[test]
fn a_new_ssrc_starts_over_with_the_delay() {
    let mut test = Test::new(40);
    for n in 0..4 {
        test.push(nth(n));
    }
    assert_eq!(test.pops(3), "E E 65530");
    test.push(RtpPacket { ssrc: 2, ..packet(500, 123) });
    assert_eq!(test.pops(3), "E E 500");
    let stats = test.buffer.reception();
    assert_eq!((stats.packets_received, stats.packets_lost), (5, 0));
    assert_eq!(test.buffer.discarded(), 3);
}

#[test]
fn a_timestamp_jump_moves_the_timeline() {
    for jump in [10_000_000u32, 0u32.wrapping_sub(10_000_000)] {
        let mut test = Test::new(40);
        test.push(packet(1, 50_000));
        assert_eq!(test.pops(3), "E E 1");
        test.push(packet(2, 50_000u32.wrapping_add(jump)));
        test.push(packet(3, 50_000u32.wrapping_add(jump).wrapping_add(FRAME)));
        assert_eq!(test.pops(4), "E E 2 3", "{jump}");
    }
}

#[test]
fn one_packet_from_nowhere_is_ignored_and_two_restart_the_stream() {
    let mut test = Test::new(0);
    test.push(packet(1, 0));
    assert_eq!(test.push(packet(30_000, FRAME)), Pushed::Discarded);
    test.push(packet(2, FRAME));
    assert_eq!(test.pops(2), "1 2");
    assert_eq!(test.push(packet(30_000, 5)), Pushed::Discarded);
    assert_eq!(test.push(packet(30_001, 965)), Pushed::Stored);
    assert_eq!(test.pops(1), "30001");
}

#[test]
fn a_path_that_becomes_slower_costs_a_few_packets_and_then_plays_on() {
    let mut test = Test::new(40);
    let mut played = String::new();
    for n in 0..100u32 {
        // From packet 20 on everything comes 200 ms later.
        let due = if n < 20 { Some(n) } else { n.checked_sub(10).filter(|&late| late >= 20) };
        if let Some(due) = due {
            test.push(packet(due as u16, due * FRAME));
        }
        played = played + &test.pop() + " ";
    }
    assert!(test.buffer.discarded() < 6, "{}: {played}", test.buffer.discarded());
    assert!(played.contains("17 18 19") && played.contains("84 85 86"), "{played}");
}

#[test]
fn the_clocks_of_the_two_sides_may_differ() {
    for ppm in [5_000i64, -5_000] {
        let mut test = Test::new(60);
        let (mut sent, mut lost, mut played) = (0u32, 0, 0);
        let mut depth = 0;
        for tick in 0..10_000i64 {
            while i64::from(sent) * 1_000_000 <= tick * (1_000_000 + ppm) {
                test.push(packet(sent as u16, sent * FRAME));
                sent += 1;
            }
            depth = depth.max(test.buffer.len());
            match test.buffer.pop() {
                Pop::Packet { .. } => played += 1,
                Pop::Lost { .. } => lost += 1,
                Pop::Empty { .. } => {}
            }
        }
        // 50 frames too many or too few in 200 s: each is left out or put in, none more.
        assert!((9_900..=10_000).contains(&played), "{ppm}: {played}");
        assert!(test.buffer.discarded() + lost < 60, "{ppm}: {} {lost}", test.buffer.discarded());
        assert!(depth < 9, "{ppm}: {depth}");
    }
}

#[test]
fn jitter_is_computed_as_rfc_3550_says() {
    let mut test = Test::new(60);
    // Every second packet comes 10 ms late: |D| is 10 ms each time, and J tends to it.
    for n in 0..400u32 {
        test.push_at(packet(n as u16, n * FRAME), MS(u64::from(n) * 20 + u64::from(n % 2) * 10));
        test.pop();
    }
    let jitter = test.buffer.reception().jitter.as_secs_f64();
    assert!((jitter - 0.010).abs() < 1e-4, "{jitter}");

    let mut test = Test::new(60);
    test.push_at(packet(0, 0), MS(0));
    test.push_at(packet(1, FRAME), MS(36));
    // J = 0 + (16 ms - 0) / 16.
    let jitter = test.buffer.reception().jitter.as_secs_f64();
    assert!((jitter - 0.001).abs() < 1e-6, "{jitter}");
}

#[test]
fn packets_of_other_durations_fit() {
    let mut test = Test::new(0);
    for (sequence, timestamp, duration) in [(1, 0, 480), (2, 480, 480), (3, 960, 2880), (5, 3840 + 480, 960)] {
        test.buffer.push(packet(sequence, timestamp), duration, test.start);
    }
    assert_eq!(test.pops(3), "1 2 3");
    assert_eq!(test.buffer.pop(), Pop::Lost { duration: 480, next: Some(&packet(5, 4320)) });
    assert_eq!(test.pops(1), "5");
}

#[derive(Debug, Clone)]
enum Step {
    Push { sequence: u16, timestamp: u32, ssrc: u32, duration: u32 },
    Pop,
}

fn any_step() -> impl Strategy<Value = Step> {
    let near = (0u32..400, -50i32..50).prop_map(|(n, off)| Step::Push {
        sequence: n as u16,
        timestamp: (n * FRAME).wrapping_add_signed(off),
        ssrc: 1,
        duration: FRAME,
    });
    let any = (any::<u16>(), any::<u32>(), 0u32..3, any::<u32>())
        .prop_map(|(sequence, timestamp, ssrc, duration)| Step::Push { sequence, timestamp, ssrc, duration });
    prop_oneof![5 => near, 1 => any, 5 => Just(Step::Pop)]
}

proptest! {
    #[test]
    fn nothing_a_network_does_stops_the_output_or_fills_the_memory(steps in prop::collection::vec(any_step(), 0..600)) {
        let mut test = Test::new(60);
        for step in steps {
            match step {
                Step::Push { sequence, timestamp, ssrc, duration } => {
                    let packet = RtpPacket { ssrc, ..packet(sequence, timestamp) };
                    test.buffer.push(packet, duration, test.start);
                }
                Step::Pop => match test.buffer.pop() {
                    Pop::Packet { .. } => {}
                    Pop::Lost { duration, .. } | Pop::Empty { duration } => {
                        prop_assert!((1..=FRAME).contains(&duration));
                    }
                },
            }
            prop_assert!(test.buffer.len() <= FixedJitterBuffer::MAX_PACKETS);
        }
    }

    /// Packets of one stream, delayed, lost and repeated at random: what comes out is in order, each at most once,
    /// and everything that came in time is there.
    #[test]
    fn one_stream_comes_out_in_order_and_whole(
        fates in prop::collection::vec((0u64..90, 0u8..20), 50..300),
        base in any::<u16>(),
        clock in any::<u32>(),
    ) {
        let mut test = Test::new(100);
        let mut arrivals = Vec::new();
        for (n, &(delay, fate)) in fates.iter().enumerate() {
            let n = n as u64;
            // The first sets the timeline: it comes at once, and comes.
            let delay = if n == 0 { 0 } else { delay };
            match fate {
                0 if n > 0 => {}
                1 => arrivals.extend([(n * 20 + delay, n), (n * 20 + delay + 7, n)]),
                _ => arrivals.push((n * 20 + delay, n)),
            }
        }
        arrivals.sort();
        let sent: std::collections::BTreeSet<u64> = arrivals.iter().map(|&(_, n)| n).collect();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut played = Vec::new();
        for tick in 0..fates.len() as u64 + 20 {
            while let Some((at, n)) = arrivals.next_if(|&(at, _)| at <= tick * 20) {
                let packet = packet(base.wrapping_add(n as u16), clock.wrapping_add(n as u32 * FRAME));
                test.push_at(packet, MS(at));
            }
            if let Pop::Packet { packet, .. } = test.buffer.pop() {
                played.push(u64::from(packet.sequence_number.wrapping_sub(base)));
            }
        }
        prop_assert!(played.is_sorted_by(|a, b| a < b), "{played:?}");
        let played: std::collections::BTreeSet<u64> = played.into_iter().collect();
        prop_assert_eq!(&played, &sent);
        let stats = test.buffer.reception();
        prop_assert_eq!(test.buffer.discarded(), 0);
        let span = *sent.last().unwrap() as i64 + 1;
        prop_assert_eq!(stats.packets_lost, span - stats.packets_received as i64);
    }
}
