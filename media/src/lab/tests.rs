#![allow(clippy::unwrap_used)]
use super::*;
use crate::samples;

fn rough(seed: u64) -> Call {
    let network = Network {
        seed,
        loss: Loss::Bursts { rate: 0.08, mean_length: 2.0 },
        delay: std::time::Duration::from_millis(40),
        jitter: std::time::Duration::from_millis(30),
        duplicates: 0.02,
        ..Network::default()
    };
    Call { network, ..Call::default() }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_one_others() {
    let run = |seed| rough(seed).run(Box::new(samples::AGENT.source().unwrap()), 8.0).unwrap();
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(first.sound, again.sound);
    assert_eq!(first.moments, again.moments);
    assert_ne!(first.sound, other.sound);
    assert!(first.receiver.packets_lost > 10 && first.receiver.duplicates > 2, "{:?}", first.receiver);
}

#[test]
fn bursts_have_the_rate_and_the_length_asked_for() {
    let network = Network { loss: Loss::Bursts { rate: 0.1, mean_length: 4.0 }, ..Network::default() };
    let mut path = Path::new(network);
    let lost: Vec<bool> = (0..100_000).map(|n| path.carry(crate::TICK * 2 * n).is_empty()).collect();
    let count = lost.iter().filter(|&&lost| lost).count() as f64;
    let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
    assert!((0.09..0.11).contains(&(count / 100_000.0)), "{count}");
    assert!((3.7..4.3).contains(&(count / runs)), "{}", count / runs);
}
