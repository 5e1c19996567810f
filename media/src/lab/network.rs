//! What a network does to packets, from a seed.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::time::Duration;

/// Which packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with this probability, 0..=1, whatever became of the others.
    Random(f64),
    /// In runs, as the Gilbert-Elliott model has it: everything is lost in its bad state, nothing in its good one.
    Bursts {
        /// Share of all packets, 0..1.
        rate: f64,
        /// Mean length of a run, in packets, at least 1.
        mean_length: f64,
    },
}

/// A time in which the network holds everything back, to deliver it at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When it begins, from the beginning of the call.
    pub at: Duration,
    /// How long it lasts.
    pub length: Duration,
}

/// A network, one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Same seed, same fate of each packet.
    pub seed: u64,
    /// What it loses.
    pub loss: Loss,
    /// The mean delay.
    pub delay: Duration,
    /// Each packet's delay is off by up to this, either way, uniformly: packets overtake each other when it is more
    /// than half the time between them. At most `delay`.
    pub jitter: Duration,
    /// Share of packets that come twice, 0..=1.
    pub duplicates: f64,
    /// Times without anything.
    pub stalls: Vec<Stall>,
    /// How much faster the sender's clock runs than the receiver's, in parts per million; may be negative.
    pub drift_ppm: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            seed: 1,
            loss: Loss::None,
            delay: Duration::from_millis(20),
            jitter: Duration::ZERO,
            duplicates: 0.0,
            stalls: Vec::new(),
            drift_ppm: 0.0,
        }
    }
}

/// A [`Network`] at work: tells the fate of one packet after another, without a clock of its own.
#[derive(Debug)]
pub struct Path {
    network: Network,
    rng: StdRng,
    bad: bool,
}

impl Path {
    /// A way through `network`, from its seed.
    pub fn new(network: Network) -> Self {
        Self { rng: StdRng::seed_from_u64(network.seed), network, bad: false }
    }

    /// When a packet sent at `sent` arrives: not at all, once, or twice.
    pub fn carry(&mut self, sent: Duration) -> Vec<Duration> {
        // The same draws for each packet, lost or not, so that a network with more loss is otherwise the same.
        let (lose, off, twice): (f64, f64, f64) = (self.rng.random(), self.rng.random(), self.rng.random());
        let lost = self.lost(lose);
        let jitter = self.network.jitter.min(self.network.delay);
        let delay = self.network.delay - jitter + jitter.mul_f64(2.0 * off);
        let mut arrival = sent + delay;
        for stall in &self.network.stalls {
            if arrival >= stall.at && arrival < stall.at + stall.length {
                arrival = stall.at + stall.length;
            }
        }
        match (lost, twice < self.network.duplicates) {
            (true, _) => Vec::new(),
            (false, false) => vec![arrival],
            (false, true) => vec![arrival, arrival + Duration::from_millis(3)],
        }
    }

    fn lost(&mut self, draw: f64) -> bool {
        match self.network.loss {
            Loss::None => false,
            Loss::Random(rate) => draw < rate,
            Loss::Bursts { rate, mean_length } => {
                let leave = 1.0 / mean_length.max(1.0);
                let enter = leave * rate / (1.0 - rate).max(1e-9);
                self.bad = if self.bad { draw >= leave } else { draw < enter };
                self.bad
            }
        }
    }
}
