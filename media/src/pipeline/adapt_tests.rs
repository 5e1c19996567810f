#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    audio::codec::EncoderConfig,
    lab::{Call, Heard, Loss, Network},
    pipeline::{Sender, SenderConfig},
    samples,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

const MS: fn(u64) -> Duration = Duration::from_millis;
const BASE: u32 = 32_000;

/// The sound of these tests, whatever the usual bit rate is.
fn opus() -> OpusConfig {
    OpusConfig { bitrate: BASE, ..OpusConfig::default() }
}

/// A far end that reports every second.
struct Far {
    adaptation: Adaptation,
    now: Instant,
}

impl Far {
    fn new() -> Self {
        Self { adaptation: Adaptation::new(&opus()), now: Instant::now() }
    }

    fn report_after(&mut self, after: Duration, report: NetworkReport) -> EncoderSettings {
        self.now += after;
        self.adaptation.report(&report, self.now);
        self.adaptation.settings()
    }

    /// Says the same for so many seconds; the settings after each.
    fn says(&mut self, loss: f64, round_trip: u64, seconds: usize) -> Vec<EncoderSettings> {
        let round_trip_time = (round_trip > 0).then_some(MS(round_trip));
        let report = NetworkReport { fraction_lost: loss, round_trip_time, ..NetworkReport::default() };
        (0..seconds).map(|_| self.report_after(MS(1000), report)).collect()
    }
}

fn last(settings: &[EncoderSettings]) -> EncoderSettings {
    *settings.last().unwrap()
}

#[test]
fn loss_is_prepared_for_at_once_and_forgotten_slowly() {
    let mut far = Far::new();
    assert_eq!(last(&far.says(0.0, 40, 1)).expected_loss, 10);
    assert_eq!(last(&far.says(0.2, 40, 1)).expected_loss, 20);
    let after: Vec<_> = far.says(0.0, 40, 10).iter().map(|s| s.expected_loss).collect();
    assert!(after[0] > 10 && after.is_sorted_by(|a, b| a >= b) && after[9] == 10, "{after:?}");
}

#[test]
fn lasting_loss_adds_deep_redundancy_and_the_bits_for_it() {
    for loss in [0.05, 0.1, 0.2] {
        let mut far = Far::new();
        far.says(0.0, 40, 10);
        let begun = far.says(loss, 40, 12).iter().position(|s| s.dred_frames > 0).unwrap();
        assert!((1..10).contains(&begun), "{loss}: {begun}");
        let settings = last(&far.says(loss, 40, 30));
        assert_eq!((settings.dred_frames, settings.bitrate), (12, BASE + 20_000));
        assert!(f64::from(settings.expected_loss) >= 300.0 * loss - 1.0, "{settings:?}");
    }
}

#[test]
fn one_bad_report_and_a_little_loss_add_none() {
    let mut far = Far::new();
    far.says(0.0, 40, 5);
    far.says(0.996, 40, 1);
    assert!(far.says(0.0, 40, 20).iter().all(|s| s.dred_frames == 0 && s.bitrate == BASE));
    assert!(far.says(0.02, 40, 120).iter().all(|s| s.dred_frames == 0));
}

#[test]
fn deep_redundancy_ends_when_the_way_has_long_been_clean() {
    let mut far = Far::new();
    far.says(0.1, 40, 20);
    let clean = far.says(0.0, 40, 60);
    let ended = clean.iter().position(|s| s.dred_frames == 0).unwrap();
    assert!((30..50).contains(&ended), "{ended}");
    assert!(clean[ended..].iter().all(|s| s.dred_frames == 0 && s.bitrate == BASE));
    // A gust in between begins the wait anew.
    far.says(0.1, 40, 20);
    far.says(0.0, 40, 25);
    far.says(0.1, 40, 3);
    assert!(far.says(0.0, 40, 25).iter().all(|s| s.dred_frames > 0));
}

#[test]
fn loss_with_a_growing_delay_lowers_the_bit_rate_and_it_comes_back_slowly() {
    let mut far = Far::new();
    far.says(0.0, 40, 10);
    let down = far.says(0.15, 400, 6);
    assert_eq!(last(&down), EncoderSettings { bitrate: 16_000, expected_loss: 15, dred_frames: 0 });
    let up: Vec<_> = far.says(0.0, 45, 80).iter().map(|s| s.bitrate).collect();
    assert!(up.is_sorted(), "{up:?}");
    assert!(up[3] == 16_000 && up[12] < 28_000 && up[20] > 26_000 && up[79] == BASE, "{up:?}");
}

#[test]
fn a_way_that_deep_redundancy_fills_is_spared_it_for_a_while() {
    let mut far = Far::new();
    far.says(0.08, 40, 20);
    assert_eq!(last(&far.says(0.08, 40, 1)).bitrate, BASE + 20_000);
    assert_eq!(last(&far.says(0.2, 300, 3)).dred_frames, 0);
    assert!(far.says(0.08, 40, 58).iter().all(|s| s.dred_frames == 0));
    assert!(far.says(0.08, 40, 10).iter().any(|s| s.dred_frames > 0));
}

#[test]
fn loss_alone_or_a_longer_way_alone_is_not_a_full_one() {
    let mut far = Far::new();
    assert!(far.says(0.3, 40, 60).iter().all(|s| s.bitrate >= BASE));
    let mut far = Far::new();
    far.says(0.0, 40, 10);
    assert!(far.says(0.01, 600, 60).iter().all(|s| s.bitrate == BASE));
}

#[test]
fn jitter_tells_of_a_full_way_where_the_far_end_answers_no_report_of_ours() {
    let mut far = Far::new();
    let report = |jitter: u64| NetworkReport { fraction_lost: 0.2, round_trip_time: None, jitter: MS(jitter) };
    for _ in 0..5 {
        far.report_after(MS(1000), report(3));
    }
    let before = far.adaptation.settings().bitrate;
    let full: Vec<_> = (0..4).map(|_| far.report_after(MS(1000), report(150)).bitrate).collect();
    assert!(before >= BASE && full[3] < before, "{full:?}");
}

#[test]
fn a_round_trip_of_no_time_or_of_hours_is_no_base_to_grow_from() {
    let mut far = Far::new();
    let report = |time| NetworkReport { fraction_lost: 0.15, round_trip_time: Some(time), jitter: Duration::ZERO };
    for _ in 0..5 {
        far.report_after(MS(1000), report(Duration::ZERO));
        far.report_after(MS(1000), report(Duration::from_secs(36_000)));
    }
    assert!(far.report_after(MS(1000), report(MS(120))).bitrate >= BASE);
}

#[test]
fn a_flood_of_reports_hastens_nothing() {
    let mut far = Far::new();
    let lossy = NetworkReport { fraction_lost: 1.0, ..NetworkReport::default() };
    let settings: Vec<_> = (0..100).map(|_| far.report_after(MS(1), lossy)).collect();
    assert!(settings.iter().all(|s| s.dred_frames == 0), "{settings:?}");
}

#[test]
fn a_rate_below_the_usual_is_kept_to() {
    let mut adaptation = Adaptation::new(&OpusConfig { bitrate: 8_000, ..OpusConfig::default() });
    let mut now = Instant::now();
    for (loss, round_trip) in [(0.0, 40), (0.0, 40), (0.5, 900), (0.5, 900), (0.5, 900), (0.0, 40)] {
        now += MS(1000);
        let round_trip_time = Some(MS(round_trip));
        adaptation.report(&NetworkReport { fraction_lost: loss, round_trip_time, jitter: MS(1) }, now);
        assert_eq!(adaptation.settings().bitrate, 8_000);
    }
}

/// A way that carries so many bit/s, with a queue before it that holds half a second of them.
struct Narrow {
    capacity: f64,
    held: f64,
}

impl Narrow {
    /// A second of sound, with 40 bytes of headers around each of its 50 packets.
    fn carry(&mut self, bitrate: u32) -> NetworkReport {
        let sent = f64::from(bitrate) + 16_000.0;
        self.held = (self.held + sent - self.capacity).max(0.0);
        let lost = (self.held - self.capacity / 2.0).max(0.0);
        self.held -= lost;
        let round_trip_time = Some(Duration::from_secs_f64(0.040 + self.held / self.capacity));
        NetworkReport { fraction_lost: lost / sent, round_trip_time, jitter: Duration::ZERO }
    }
}

#[test]
fn on_a_way_too_narrow_what_is_sent_comes_to_fit() {
    for (capacity, sound) in [(44_000.0, 28_000.0), (40_000.0, 24_000.0), (60_000.0, 32_000.0)] {
        let mut far = Far::new();
        let mut way = Narrow { capacity, held: 0.0 };
        let (mut report, mut lost, mut rate) = (NetworkReport::default(), 0.0, 0.0);
        let (mut switched, mut before) = (0, 0);
        for second in 0..300 {
            let settings = far.report_after(MS(1000), report);
            report = way.carry(settings.bitrate);
            if second >= 60 {
                lost += report.fraction_lost / 240.0;
                rate += f64::from(settings.bitrate) / 240.0;
                switched += u32::from(settings.dred_frames != before);
            }
            before = settings.dred_frames;
        }
        assert!(lost < 0.03 && switched == 0, "{capacity}: {lost} lost, switched {switched} times");
        assert!((0.75 * sound..=1.05 * sound).contains(&rate), "{capacity}: {rate}");
    }
}

/// What a far end counts of 50 packets a second, each lost with this probability.
fn scattered(loss: f64, seed: u64, seconds: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..seconds).map(|_| (0..50).filter(|_| rng.random_bool(loss)).count() as f64 / 50.0).collect()
}

#[test]
fn scattered_counts_of_a_constant_loss_switch_deep_redundancy_once_at_most() {
    for (loss, seed) in (0..20u64).flat_map(|seed| [0.005, 0.03, 0.05, 0.08, 0.2].map(|loss| (loss, seed))) {
        let mut far = Far::new();
        let mut switched = 0;
        let mut before = 0;
        for fraction in scattered(loss, seed, 300) {
            let dred = last(&far.says(fraction, 40, 1)).dred_frames;
            switched += u32::from(dred != before);
            before = dred;
        }
        assert!(switched <= 1, "{loss} {seed}: {switched}");
        assert!(loss < 0.05 || before > 0, "{loss} {seed}");
        assert!(loss > 0.01 || before == 0, "{loss} {seed}");
    }
}

/// What is on, of ten minutes of loss and of round trips of 40 ms and twice a jitter of up to `jitter` ms; and the least
/// bit rate once it first was.
fn lossy_and_jittery(loss: f64, jitter: u64, seed: u64, every: Duration) -> (f64, u32) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut far = Far::new();
    let (mut with, mut least, reports) = (0, u32::MAX, 600_000 / every.as_millis() as usize);
    for fraction_lost in scattered(loss, seed, reports) {
        let round_trip_time = Some(MS(40 + 2 * rng.random_range(0..=jitter)));
        let report = NetworkReport { fraction_lost, round_trip_time, jitter: MS(jitter / 3) };
        let settings = far.report_after(every, report);
        with += usize::from(settings.dred_frames > 0);
        least = least.min(settings.bitrate);
    }
    (with as f64 / reports as f64, least)
}

#[test]
fn jitter_on_a_lossy_way_is_no_congestion() {
    for (loss, jitter, every) in [0.05, 0.1, 0.2]
        .into_iter()
        .flat_map(|loss| [40, 80].map(|jitter| (loss, jitter)))
        .flat_map(|(loss, jitter)| [1_000, 5_000].map(|every| (loss, jitter, MS(every))))
    {
        for seed in 0..10 {
            let (with, least) = lossy_and_jittery(loss, jitter, seed, every);
            let what = format!("loss {loss}, jitter {jitter} ms, a report every {every:?}, seed {seed}");
            assert!(with > 0.9, "{what}: deep redundancy is on for {with} of the time");
            assert!(least >= BASE, "{what}: {least} bit/s");
        }
    }
}

#[test]
fn a_queue_is_seen_through_jitter() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut far = Far::new();
    let mut rate = |queue: u64, seconds: usize| {
        let report = |jitter: u64| NetworkReport {
            fraction_lost: 0.15,
            round_trip_time: Some(MS(40 + queue + 2 * jitter)),
            ..NetworkReport::default()
        };
        (0..seconds).map(|_| far.report_after(MS(1000), report(rng.random_range(0..=40))).bitrate).min().unwrap()
    };
    assert!(rate(0, 60) >= BASE);
    assert!(rate(400, 15) < BASE);
}

#[test]
fn deep_redundancy_that_has_long_filled_nothing_is_trusted_again() {
    // How long it is left out after it filled the way.
    fn spared(far: &mut Far) -> usize {
        far.says(0.3, 400, 4);
        far.says(0.0, 40, 20);
        let settings = far.says(0.08, 40, 1_200);
        24 + settings.iter().position(|s| s.dred_frames > 0).unwrap()
    }
    let mut far = Far::new();
    far.says(0.08, 40, 20);
    let first = spared(&mut far);
    // It ran for most of twenty minutes.
    let second = spared(&mut far);
    assert!((60..75).contains(&first) && (60..75).contains(&second), "{first} s, {second} s");
    // A few seconds are not enough.
    far.says(0.3, 400, 4);
    let mut after = Vec::new();
    for _ in 0..3 {
        far.says(0.0, 40, 20);
        let mut waited = 24;
        while last(&far.says(0.08, 40, 1)).dred_frames == 0 {
            waited += 1;
        }
        after.push(waited);
        far.says(0.3, 400, 4);
    }
    assert!(after[1] > 100 && after[2] > 200, "{after:?}");
}

#[test]
fn what_filled_one_way_is_not_held_against_the_next() {
    let mut far = Far::new();
    far.says(0.08, 40, 20);
    assert!(last(&far.says(0.3, 400, 6)).bitrate < BASE);
    let settings = far.adaptation.new_way().unwrap();
    assert_eq!((settings, settings.bitrate), (far.adaptation.settings(), BASE));
    // A longer way is nothing but that, and deep redundancy is not spared it.
    let settings = far.says(0.1, 300, 20);
    assert!(settings.iter().all(|s| s.bitrate >= BASE) && last(&settings).dred_frames > 0, "{settings:?}");
    // A way that was good has nothing to change.
    assert_eq!(Far::new().adaptation.new_way(), None);
}

proptest! {
    #[test]
    fn whatever_is_reported_the_settings_stay_within_bounds(
        reports in prop::collection::vec(
            (prop_oneof![-1.0..2.0f64, Just(f64::NAN), Just(f64::INFINITY), Just(255.0 / 256.0)],
             prop::option::of(0..20_000u64), 0..20_000u64, 0..70_000u64),
            0..200,
        ),
        bitrate in 6_000..=510_000u32,
    ) {
        let mut adaptation = Adaptation::new(&OpusConfig { bitrate, ..OpusConfig::default() });
        let mut encoder = crate::audio::codec::CodecKind::Opus.encoder(&EncoderConfig::default()).unwrap();
        let mut now = Instant::now();
        for (fraction_lost, round_trip, jitter, after) in reports {
            now += MS(after);
            let report =
                NetworkReport { fraction_lost, round_trip_time: round_trip.map(MS), jitter: MS(jitter) };
            if let Some(settings) = adaptation.report(&report, now) {
                prop_assert_eq!(settings, adaptation.settings());
                prop_assert!((bitrate.min(16_000)..=510_000.min(bitrate + 20_000)).contains(&settings.bitrate), "{:?}", settings);
                prop_assert!((10..=60).contains(&settings.expected_loss), "{:?}", settings);
                prop_assert!(settings.dred_frames == 0 || settings.dred_frames == 12);
                // The encoder takes all of them.
                encoder.adapt(&settings).unwrap();
            }
        }
    }

    #[test]
    fn what_is_constant_is_answered_with_something_constant(
        loss in 0.0..1.0f64, round_trip in 1..2_000u64, every in 300..6_000u64,
    ) {
        let mut far = Far::new();
        let report = NetworkReport { fraction_lost: loss, round_trip_time: Some(MS(round_trip)), jitter: MS(5) };
        let settings: Vec<_> = (0..200).map(|_| far.report_after(MS(every), report)).collect();
        let changes = settings.windows(2).filter(|pair| pair[0].dred_frames != pair[1].dred_frames).count();
        prop_assert!(changes <= 1, "{:?}", settings);
        prop_assert_eq!(settings[150], settings[199]);
        prop_assert!(settings.iter().all(|s| s.bitrate >= BASE));
    }
}

#[test]
fn a_call_over_a_bad_way_conceals_less_once_it_is_reported() {
    let network = Network { loss: Loss::Bursts { rate: 0.10, mean_length: 2.5 }, ..Network::default() };
    let heard = |reports_every| {
        let sender = SenderConfig { encoder: EncoderConfig { opus: opus() }, ..SenderConfig::default() };
        let call = Call { sender, network: network.clone(), reports_every, ..Call::default() };
        call.run(Box::new(samples::CUSTOMER.source().unwrap().looped()), 45.0).unwrap()
    };
    let (with, without) = (heard(Some(MS(1000))), heard(None));
    assert_eq!((with.sender.target_bitrate, with.sender.dred_ms), (BASE + 20_000, 120), "{:?}", with.sender);
    assert!(with.receiver.dred_packets_received > 30, "{:?}", with.receiver);
    assert_eq!(without.receiver.dred_packets_received, 0);
    let concealed = |heard: &Heard| heard.receiver.concealed_samples - heard.receiver.silent_concealed_samples;
    assert!(concealed(&with) < concealed(&without) * 4 / 5, "{} {}", concealed(&with), concealed(&without));
}

#[test]
fn a_codec_of_one_rate_has_nothing_to_adapt() {
    let config = SenderConfig { codec: crate::audio::codec::CodecKind::Pcmu, ..SenderConfig::default() };
    let mut sender = Sender::new(Box::new(crate::audio::source::Silence), config).unwrap();
    let before = sender.stats();
    sender.report(&NetworkReport { fraction_lost: 0.5, ..NetworkReport::default() }, Instant::now());
    assert_eq!((sender.stats(), before.target_bitrate), (before, 64_000));
}

#[test]
fn a_way_that_drops_what_is_beyond_its_rate_is_not_filled_with_deep_redundancy() {
    // 36 kbit/s of sound get through, one packet in twenty of those is lost, and nothing is delayed.
    let mut far = Far::new();
    let (mut loss, mut with) = (0.05, 0);
    for _ in 0..600 {
        let settings = last(&far.says(loss, 40, 1));
        let sent = f64::from(settings.bitrate) + 16_000.0;
        loss = 1.0 - 0.95 * (52_000.0 / sent).min(1.0);
        with += u32::from(settings.dred_frames > 0);
    }
    assert!((1..40).contains(&with), "{with} s of ten minutes");
}

#[test]
fn loss_that_comes_with_deep_redundancy_and_not_by_it_ends_nothing() {
    let mut far = Far::new();
    far.says(0.0, 40, 10);
    far.says(0.5, 40, 2);
    assert!(far.says(0.5, 40, 60).iter().all(|s| s.dred_frames > 0));
}
