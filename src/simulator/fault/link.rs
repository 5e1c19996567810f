//! A bad line: what becomes of the RTP packets of one way of a call. [`Link`] decides, without I/O; [`impair`] waits.

use super::kind::RtpFault;
use chatphone_media::lab::{Network, Path};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

/// How much later a packet comes that is overtaken: three packets of 20 ms.
const OVERTAKEN_BY: Duration = Duration::from_millis(60);

/// What is wrong with one way.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct Impairment {
    pub network: Network,
    /// Share of packets that are overtaken.
    pub reorder: f64,
    /// When the last packet passes, from the first on.
    pub stop: Option<Duration>,
}

impl Impairment {
    pub fn new(seed: u64) -> Self {
        let network = Network { seed, delay: Duration::ZERO, ..Network::default() };
        Self { network, reorder: 0.0, stop: None }
    }

    pub fn add(&mut self, fault: RtpFault) {
        let network = &mut self.network;
        match fault {
            RtpFault::Loss(loss) => network.loss = loss,
            RtpFault::Jitter(jitter) => {
                network.jitter = jitter;
                // Nothing comes before it was sent.
                network.delay = network.delay.max(jitter);
            }
            RtpFault::Delay(delay) => network.delay = delay.max(network.jitter),
            RtpFault::Duplicates(share) => network.duplicates = share,
            RtpFault::Reorder(share) => self.reorder = share,
            RtpFault::Stop(after) => self.stop = Some(after),
        }
    }
}

/// One way at work: packets in, packets out when they are due. Times count from the call's connection.
#[derive(Debug)]
pub(super) struct Link<T> {
    path: Path,
    reorder: f64,
    stop: Option<Duration>,
    rng: StdRng,
    under_way: BTreeMap<(Duration, u64), T>,
    count: u64,
}

impl<T: Clone> Link<T> {
    pub fn new(impairment: Impairment) -> Self {
        let Impairment { network, reorder, stop } = impairment;
        // Of its own, so that the lab's packets fare the same with and without it.
        let rng = StdRng::seed_from_u64(network.seed ^ 0x5EED);
        Self { path: Path::new(network), reorder, stop, rng, under_way: BTreeMap::new(), count: 0 }
    }

    /// A packet is sent.
    pub fn push(&mut self, now: Duration, packet: T) {
        let overtaken = self.rng.random::<f64>() < self.reorder;
        if self.stop.is_some_and(|stop| now >= stop) {
            return;
        }
        for arrival in self.path.carry(now) {
            self.count += 1;
            let arrival = if overtaken { arrival + OVERTAKEN_BY } else { arrival };
            self.under_way.insert((arrival, self.count), packet.clone());
        }
    }

    /// When the next packet arrives.
    pub fn next(&self) -> Option<Duration> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// The next packet that has arrived by now.
    pub fn arrived(&mut self, now: Duration) -> Option<T> {
        let entry = self.under_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// Hands packets on as the line lets them through, until the sender is gone.
pub(in crate::simulator) async fn impair<T: Clone>(
    impairment: Impairment,
    mut packets: UnboundedReceiver<T>,
    out: UnboundedSender<T>,
) {
    let (mut link, begun) = (Link::new(impairment), Instant::now());
    loop {
        let next = link.next();
        tokio::select! {
            packet = packets.recv() => match packet {
                Some(packet) => link.push(begun.elapsed(), packet),
                None => return,
            },
            () = tokio::time::sleep_until(begun + next.unwrap_or_default()), if next.is_some() => {}
        }
        while let Some(packet) = link.arrived(begun.elapsed()) {
            if out.send(packet).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chatphone_media::lab::Loss;

    const PACKET: Duration = Duration::from_millis(20);

    /// What arrives of `count` packets, with the time.
    fn carry(faults: &[RtpFault], count: u32) -> Vec<(Duration, u32)> {
        let mut impairment = Impairment::new(7);
        faults.iter().for_each(|fault| impairment.add(*fault));
        let mut link = Link::new(impairment);
        (0..count).for_each(|n| link.push(PACKET * n, n));
        let mut heard = Vec::new();
        while let Some(at) = link.next() {
            heard.push((at, link.arrived(at).unwrap()));
        }
        heard
    }

    #[test]
    fn a_good_line_changes_nothing() {
        assert!(carry(&[], 100).into_iter().eq((0..100).map(|n| (PACKET * n, n))));
    }

    #[test]
    fn the_share_asked_for_is_lost_and_the_same_packets_each_time() {
        let loss = [RtpFault::Loss(Loss::Random(0.1))];
        let heard = carry(&loss, 10_000);
        assert!((8_850..9_150).contains(&heard.len()), "{}", heard.len());
        assert_eq!(heard, carry(&loss, 10_000));
    }

    #[test]
    fn delay_and_jitter_stay_in_their_bounds() {
        let (delay, jitter) = (Duration::from_millis(100), Duration::from_millis(8));
        for (at, n) in carry(&[RtpFault::Delay(delay), RtpFault::Jitter(jitter)], 1000) {
            let took = at - PACKET * n;
            assert!(took >= delay - jitter && took <= delay + jitter, "{took:?}");
        }
        // Jitter alone needs a delay, for nothing comes before it was sent.
        assert!(carry(&[RtpFault::Jitter(jitter)], 1000).iter().all(|(at, n)| *at - PACKET * *n <= jitter * 2));
    }

    #[test]
    fn a_packet_that_is_overtaken_comes_later_and_none_is_lost() {
        let heard: Vec<u32> = carry(&[RtpFault::Reorder(0.2)], 1000).into_iter().map(|(_, n)| n).collect();
        assert!(heard.windows(2).any(|pair| pair[1] < pair[0]));
        let mut sorted = heard;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
    }

    #[test]
    fn packets_come_twice_or_stop() {
        let twice = carry(&[RtpFault::Duplicates(1.0)], 10);
        assert_eq!(twice.len(), 20);
        let stopped = carry(&[RtpFault::Stop(Duration::from_secs(1))], 100);
        assert_eq!(stopped.last().unwrap().1, 49);
    }

    #[tokio::test(start_paused = true)]
    async fn packets_are_handed_on_when_they_are_due() {
        let mut impairment = Impairment::new(1);
        impairment.add(RtpFault::Delay(Duration::from_millis(150)));
        let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
        let (out, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let line = tokio::spawn(impair(impairment, rx, out));
        let begun = Instant::now();
        tx.send(1).unwrap();
        assert_eq!(heard.recv().await, Some(1));
        assert!(begun.elapsed() >= Duration::from_millis(150));
        drop(tx);
        line.await.unwrap();
    }
}
