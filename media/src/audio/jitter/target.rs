//! How long packets should wait: learned from how they come.

use super::histogram::Histogram;
use std::time::Duration;

/// How the adaptive jitter buffer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveConfig {
    /// The delay aimed at is never less: 0..=`max_delay`.
    pub min_delay: Duration,
    /// Nor ever more, whatever the network does; what has piled up beyond it is played faster at once. 20 ms..=2 s.
    pub max_delay: Duration,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self { min_delay: Duration::ZERO, max_delay: Duration::from_millis(500) }
    }
}

/// What missing a packet costs, in milliseconds of delay: the delay aimed at is where one more millisecond no longer
/// saves as much.
const MISS_COST: f64 = 3000.0;

/// At this delay, in milliseconds, one more costs twice as much as the first.
const DEAR: f64 = 260.0;

/// Added to what is needed, in milliseconds: the clocks of the two sides drift, and timers are late.
const MARGIN: f64 = 3.0;

/// At most this share of packets may come too late, whatever it costs.
const MAX_LATE: f32 = 0.05;

/// Until the network is known: the delay aimed at, in milliseconds.
const START: f64 = 15.0;

/// So many packets, and it is known.
const KNOWN: f32 = 25.0;

/// What is counted loses half its weight in about 8 s.
const KEEP_PER_SECOND: f64 = 0.917;

/// The target falls no faster than this, in milliseconds a second, and not for less than that, in milliseconds: it
/// rises at once, and what it went up for may come again.
const FALL_PER_SECOND: f64 = 5.0;
const FALL_FROM: f64 = 6.0;

/// Losses are remembered for longer, by their half-life of about 30 s: going back and forth is heard more than waiting.
const KEEP_LOSSES_PER_SECOND: f64 = 0.977;

/// Packets later than the target by more than this are a stall's: an event of its own, not a spread.
const STALL: f64 = 80.0;

/// For so many milliseconds, and up to twice as long, packets are expected to restore what packets before them could.
const REACH_KEPT: f64 = 10_000.0;

/// Lost packets are told apart by how far the next one that came is behind: 1 to this many packets.
const DISTANCES: usize = 8;

/// Learns the delay that packets need, on the time line of transit times: arrival minus timestamp, in milliseconds,
/// with an offset nobody knows.
#[derive(Debug, Clone)]
pub struct DelayTarget {
    config: AdaptiveConfig,
    histogram: Histogram,
    /// Share of packets that were lost with the next one that came so many packets behind.
    lost: [f64; DISTANCES],
    /// How far back the packets of late can restore what was lost, in milliseconds: the most of them.
    reach: f64,
    /// The most since `reach_since`, which replaces `reach` when it is old.
    reach_next: f64,
    reach_since: f64,
    packet: f64,
    /// Packets so far.
    seen: f64,
    peaks: Peaks,
    last: Option<(f64, f64)>,
    in_stall: bool,
    falling: bool,
    since_choice: u32,
    chosen_at: f64,
    base: f64,
    target: f64,
    without_peaks: f64,
}

/// What a packet says about itself, for the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// When it came, in milliseconds since any moment.
    pub arrival: f64,
    /// Its timestamp, in milliseconds since any moment, without wraps.
    pub timestamp: f64,
    /// How long it lasts, in milliseconds.
    pub duration: f64,
    /// How far back it can restore what was lost, in milliseconds.
    pub reach: f64,
}

impl DelayTarget {
    /// One that knows nothing yet.
    pub fn new(config: AdaptiveConfig) -> Self {
        let max_delay = config.max_delay.clamp(Duration::from_millis(20), Duration::from_secs(2));
        Self {
            config: AdaptiveConfig { max_delay, min_delay: config.min_delay.min(max_delay) },
            histogram: Histogram::new(),
            lost: [0.0; DISTANCES],
            reach: 0.0,
            reach_next: 0.0,
            reach_since: 0.0,
            packet: 20.0,
            seen: 0.0,
            peaks: Peaks::default(),
            last: None,
            in_stall: false,
            falling: false,
            since_choice: 0,
            chosen_at: 0.0,
            base: 0.0,
            target: 0.0,
            without_peaks: 0.0,
        }
    }

    /// Takes note of a packet.
    pub fn observe(&mut self, packet: Observed) {
        let transit = packet.arrival - packet.timestamp;
        let keep = KEEP_PER_SECOND.powf(packet.duration.clamp(1.0, 120.0) / 1000.0);
        self.packet = packet.duration;
        self.observe_reach(packet.reach, packet.arrival);
        let late = if self.histogram.is_empty() { 0.0 } else { transit - self.base - self.target };
        // What a stall held back comes at once; only the first of it tells something: that there was a stall.
        let crowded = self.last.is_some_and(|(arrival, _)| packet.arrival - arrival < 5.0);
        let count = if late > STALL {
            let first = !(self.in_stall && crowded);
            if first {
                self.peaks.add(packet.arrival, transit - self.base);
            }
            self.in_stall = true;
            first
        } else {
            let rest = self.in_stall && crowded;
            self.in_stall = rest;
            !rest
        };
        self.last = Some((packet.arrival, transit));
        if count {
            // The first few weigh as much as each other, whatever the half-life says.
            self.histogram.add(transit, keep as f32);
        }
        self.seen += 1.0;
        let keep = self.keep_losses();
        self.lost.iter_mut().for_each(|rate| *rate *= keep);
        self.since_choice += 1;
        if self.since_choice >= 5 || self.histogram.weight() < KNOWN || late > 0.0 {
            self.choose(packet.arrival);
        }
    }

    /// In pauses of the speech packets carry no copies: that is no reason to do without them.
    fn observe_reach(&mut self, reach: f64, now: f64) {
        self.reach = self.reach.max(reach);
        self.reach_next = self.reach_next.max(reach);
        if now - self.reach_since > REACH_KEPT {
            (self.reach, self.reach_next, self.reach_since) = (self.reach_next, 0.0, now);
        }
    }

    /// Takes note of a packet that was lost for good; the next one that came was so many packets behind it.
    pub fn observe_loss(&mut self, distance: usize) {
        let share = 1.0 - self.keep_losses();
        if let Some(rate) = self.lost.get_mut(distance.saturating_sub(1)) {
            *rate += share;
        }
    }

    /// The plain mean until there are enough packets for the half-life.
    fn keep_losses(&self) -> f64 {
        KEEP_LOSSES_PER_SECOND.powf(self.packet.clamp(1.0, 120.0) / 1000.0).min(1.0 - 1.0 / (self.seen + 50.0))
    }

    /// The sender's timestamps jumped: transit times are now off by so many milliseconds.
    pub fn offset(&mut self, milliseconds: f64) {
        self.histogram.offset(milliseconds);
        self.base += milliseconds;
        self.last = None;
        self.in_stall = false;
    }

    /// Transit time of the fastest packets, in milliseconds.
    pub fn base(&self) -> f64 {
        self.base
    }

    /// How long the fastest packets should wait, in milliseconds.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// The same, without what losses, peaks and the configured minimum add (W3C `jitterBufferMinimumDelay`).
    pub fn minimum(&self) -> f64 {
        self.without_peaks
    }

    /// The most that anything waits, in milliseconds.
    pub fn max(&self) -> f64 {
        self.config.max_delay.as_secs_f64() * 1000.0
    }

    fn choose(&mut self, now: f64) {
        self.since_choice = 0;
        let Some(base) = self.histogram.earliest() else { return };
        let tail = self.histogram.tail();
        let lost: f64 = self.lost.iter().sum();
        let most = self.max();
        let (mut best, mut best_cost, mut needed) = (0.0, f64::INFINITY, None);
        for bin in 0..tail.len() {
            let delay = tail.edge(bin) - base;
            if delay > most {
                break;
            }
            let late = tail.later(bin, 0.0);
            if late <= MAX_LATE && needed.is_none() {
                needed = Some(delay);
            }
            let mut missed = (1.0 - lost).max(0.0) * f64::from(late);
            for (n, rate) in self.lost.iter().enumerate() {
                let distance = (n + 1) as f64 * self.packet;
                let out_of_reach = distance > self.reach + 1.0;
                missed += rate * if out_of_reach { 1.0 } else { f64::from(tail.later(bin, distance)) };
            }
            let cost = delay * (1.0 + delay / (2.0 * DEAR)) + MISS_COST * missed;
            if late <= MAX_LATE && cost < best_cost {
                (best, best_cost) = (delay, cost);
            }
        }
        let spread = needed.unwrap_or(most);
        if best_cost.is_infinite() {
            best = most;
        }
        if self.histogram.weight() < KNOWN {
            best = best.max(START);
        }
        let elapsed = (now - self.chosen_at).clamp(0.0, 1_000.0) / 1_000.0;
        self.chosen_at = now;
        self.base = base;
        self.without_peaks = spread.min(most);
        let floor = self.config.min_delay.as_secs_f64() * 1000.0;
        let wanted = (best + MARGIN).max(self.peaks.needed(now)).max(floor).min(most);
        if wanted >= self.target {
            self.target = wanted;
        } else if self.target - wanted > FALL_FROM || self.falling {
            self.target = wanted.max(self.target - FALL_PER_SECOND * elapsed);
        }
        self.falling = self.target > wanted && (self.falling || self.target - wanted > FALL_FROM);
    }
}

/// Stalls that come again: when they do, it is worth waiting for them.
#[derive(Debug, Clone, Default)]
struct Peaks {
    /// When, and how late, in milliseconds; the oldest first.
    seen: Vec<(f64, f64)>,
}

impl Peaks {
    const REMEMBERED: usize = 8;
    /// Further apart than this, in milliseconds, they have nothing to do with each other.
    const APART: f64 = 10_000.0;

    fn add(&mut self, now: f64, height: f64) {
        if self.seen.len() == Self::REMEMBERED {
            self.seen.remove(0);
        }
        self.seen.push((now, height));
    }

    /// The delay that the stalls ask for: nothing unless there were two within ten seconds, nor when the last of them
    /// is twice as long ago as they were apart.
    fn needed(&self, now: f64) -> f64 {
        let recent = || self.seen.windows(2).rev().take_while(|pair| pair[1].0 - pair[0].0 <= Self::APART);
        let apart = recent().map(|pair| pair[1].0 - pair[0].0).fold(0.0, f64::max);
        let Some(&(last, _)) = self.seen.last() else { return 0.0 };
        if apart <= 0.0 || now - last > 2.0 * apart {
            return 0.0;
        }
        recent().map(|pair| pair[0].1.max(pair[1].1)).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms, each late by what `late` says, lost where that is none. Says the target after each.
    fn target(count: u32, reach: f64, mut late: impl FnMut(u32) -> Option<f64>) -> DelayTarget {
        let mut target = DelayTarget::new(AdaptiveConfig::default());
        let mut lost = 0;
        for n in 0..count {
            let timestamp = f64::from(n) * 20.0;
            let Some(late) = late(n) else {
                lost += 1;
                continue;
            };
            (1..=std::mem::take(&mut lost)).for_each(|distance| target.observe_loss(distance));
            target.observe(Observed { arrival: timestamp + 1_000.0 + late, timestamp, duration: 20.0, reach });
        }
        target
    }

    #[test]
    fn a_steady_network_needs_next_to_nothing() {
        assert!(target(500, 0.0, |_| Some(0.0)).target() < 6.0);
    }

    #[test]
    fn nearly_all_of_the_jitter_is_waited_for() {
        let jitter = target(1_000, 0.0, |n| Some(f64::from(n * 37 % 60)));
        assert!((56.0..68.0).contains(&jitter.target()), "{}", jitter.target());
        assert!((54.0..62.0).contains(&jitter.minimum()), "{}", jitter.minimum());
    }

    #[test]
    fn jitter_that_is_over_is_forgotten() {
        let over = target(4_000, 0.0, |n| Some(if n < 1_000 { f64::from(n * 37 % 60) } else { 0.0 }));
        assert!(over.target() < 10.0, "{}", over.target());
    }

    #[test]
    fn losses_are_waited_for_only_when_the_next_packet_can_restore_them() {
        let loss = |n: u32| (n % 20 != 7).then_some(0.0);
        assert!((20.0..30.0).contains(&target(500, 20.0, loss).target()));
        assert!(target(500, 0.0, loss).target() < 6.0);
    }

    #[test]
    fn one_stall_is_not_waited_for_and_stalls_that_come_again_are() {
        // Held back from packet 400 on for 300 ms, and all delivered at once.
        let stall = |n: u32, from: u32| (from..from + 15).contains(&n).then(|| 300.0 - f64::from(n - from) * 20.0);
        let once = target(430, 0.0, |n| Some(stall(n, 400).unwrap_or(0.0)));
        assert!(once.target() < 30.0, "{}", once.target());
        let again = target(430, 0.0, |n| Some(stall(n, 200).or(stall(n, 400)).unwrap_or(0.0)));
        assert!((290.0..320.0).contains(&again.target()), "{}", again.target());
        let long_ago = target(1_700, 0.0, |n| Some(stall(n, 200).or(stall(n, 400)).unwrap_or(0.0)));
        assert!(long_ago.target() < 250.0, "{}", long_ago.target());
    }

    #[test]
    fn the_bounds_are_kept_whatever_comes() {
        let wild = target(1_000, 0.0, |n| Some(f64::from(n * 7_919 % 900)));
        assert!(wild.target() <= 500.0);
        let config = AdaptiveConfig { min_delay: Duration::from_millis(80), ..AdaptiveConfig::default() };
        let mut floor = DelayTarget::new(config);
        floor.observe(Observed { arrival: 5.0, timestamp: 0.0, duration: 20.0, reach: 0.0 });
        assert!((floor.target() - 80.0).abs() < 1e-9);
    }
}
