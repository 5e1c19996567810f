//! How the sender follows the network: what the far end reports goes in, what the encoder is to do comes out.
//!
//! - **Loss** is prepared for at once and forgotten slowly.
//! - **Deep redundancy** is added when reports keep telling of loss and taken back when the way has long been clean.
//!   It is paid for with bits of its own, not with those of the sound: at one bit rate for both, speech gets worse.
//!   It travels in the padding of Opus packets (RFC 6716 section 3.2.5), which a decoder that does not know it skips, so
//!   nothing need be negotiated.
//! - **The bit rate** goes down when the way fills up, which is loss together with a delay that grows and stays so, and
//!   comes back slowly. Loss alone (a bad radio) is no reason to send less, nor is loss with jitter.
//!
//! Reports may be anything: a far end that makes them up gets an encoder within bounds and nothing else. Without reports
//! everything stays as it is.

use crate::audio::codec::{EncoderSettings, OpusConfig};
use std::time::{Duration, Instant};

/// What the far end tells of how it receives us: an RTCP report block (RFC 3550 section 6.4.1), in plain units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NetworkReport {
    /// Share of packets lost since the report before, 0..=1.
    pub fraction_lost: f64,
    /// Round-trip time, where the report answers one of ours.
    pub round_trip_time: Option<Duration>,
    /// Interarrival jitter.
    pub jitter: Duration,
}

/// Decides how to encode. No clock of its own: each report comes with its time.
#[derive(Debug, Clone)]
pub struct Adaptation {
    /// The bit rate of the sound alone, on a good way.
    base_rate: u32,
    settings: EncoderSettings,
    last: Option<Instant>,
    /// In percent: up at once, down slowly.
    peak_loss: f64,
    /// In percent, averaged.
    mean_loss: f64,
    /// Reports in a row that told of loss.
    lossy: u32,
    clean_since: Option<Instant>,
    /// What may be sent in all, in bit/s: less than is wanted after the way was full.
    limit: f64,
    /// When the way was last seen full, until the sound has its bits back.
    congested: Option<Instant>,
    /// What was sent when the way was first seen full, in bit/s.
    full_at: f64,
    /// When deep redundancy began, and the loss by then, in percent.
    dred_began: Option<(Instant, f64)>,
    /// The way was full with it: not again before this.
    no_dred_before: Option<Instant>,
    /// How long it is left out the next time.
    dred_again: Duration,
    /// Since when it is sent without filling the way, or was last trusted more for that.
    dred_fine_since: Option<Instant>,
    round_trip: Base,
    jitter: Base,
}

/// The least a delay has been, in milliseconds, with what it is now. The least creeps up, for a longer way is not a full
/// one.
#[derive(Debug, Clone, Copy, Default)]
struct Base {
    least: Option<f64>,
    /// The last ones, the newest first; so many are known.
    recent: [f64; Base::RECENT],
    known: usize,
    /// By how much one is less than the one before, on average: jitter goes both ways, a queue that fills only up.
    falls: f64,
    differences: u32,
}

impl Base {
    /// In seconds; slower while the way is known to be full, for what stands in its queue must not become the base.
    const CREEP: f64 = 60.0;
    const CREEP_CONGESTED: f64 = 900.0;
    /// Milliseconds beyond the base (and half of the base) that are no queue yet.
    const GROWN: f64 = 60.0;
    /// And so many times the falls: on a way with jitter, a delay far above the least is nothing new.
    const FALLS: f64 = 4.0;
    /// Reports that they are averaged over.
    const FALLS_MEMORY: u32 = 16;
    /// A queue that stands delays all of so many reports, jitter only some.
    const RECENT: usize = 3;

    /// Takes a delay that came so many seconds after the one before.
    fn add(&mut self, delay: Duration, since: f64, congested: bool) {
        let now = delay.as_secs_f64() * 1000.0;
        // A queue that drains is no jitter.
        if self.known > 0 && !congested {
            self.differences = (self.differences + 1).min(Self::FALLS_MEMORY);
            self.falls += ((self.recent[0] - now).max(0.0) - self.falls) / f64::from(self.differences);
        }
        let creep = 1.0 - (-since / if congested { Self::CREEP_CONGESTED } else { Self::CREEP }).exp();
        self.recent.rotate_right(1);
        self.recent[0] = now;
        self.known = (self.known + 1).min(Self::RECENT);
        self.least = Some(match self.least {
            Some(least) if now > least => least + (now - least) * creep,
            _ => now,
        });
    }

    fn is_beyond(&self, delay: f64) -> bool {
        self.least.is_some_and(|least| delay > 1.5 * least + Self::GROWN + Self::FALLS * self.falls)
    }

    /// The delay of the last report is more than usual, be it by chance.
    fn looks_grown(&self) -> bool {
        self.is_beyond(self.recent[0])
    }

    /// It has grown, and stays so.
    fn has_grown(&self) -> bool {
        self.known == Self::RECENT && self.is_beyond(self.recent.iter().copied().fold(f64::INFINITY, f64::min))
    }
}

impl Adaptation {
    /// Frames of deep redundancy in each packet, of 10 ms: what the sound lab found to be worth its wait.
    const DRED_FRAMES: u8 = 12;
    /// Bit/s that they take (at the loss they are for, libopus fills what it is given).
    const DRED_RATE: u32 = 20_000;
    /// libopus shares the bits out by the loss it is told, and gives deep redundancy too few of them otherwise.
    const DRED_FACTOR: f64 = 3.0;

    /// Less loss than this is never prepared for, in percent: loss comes in a moment, a report only every few seconds. At
    /// less than 10 % libopus leaves the copies out at low complexity.
    const LEAST_LOSS: f64 = 10.0;
    /// More is never prepared for: the copies would take the bits of the sound itself.
    const MOST_LOSS: f64 = 30.0;
    const MOST_LOSS_WITH_DRED: f64 = 60.0;

    /// Mean loss in percent at which deep redundancy begins (a lasting 5 % comes to that within ten seconds), and below
    /// which it may end.
    const DRED_ON: f64 = 4.0;
    const DRED_OFF: f64 = 2.0;
    /// A report with less loss than this does not count as lossy, in percent; and so many in a row must.
    const LOSSY: f64 = 3.0;
    const LOSSY_REPORTS: u32 = 2;
    /// So long must the loss have been low for deep redundancy to end.
    const CLEAN_FOR: Duration = Duration::from_secs(30);

    /// Seconds in which the mean forgets. Reports come every second to every five.
    const MEMORY: f64 = 5.0;
    /// Reports that come faster are one: a far end that floods us does not speed up anything.
    const BETWEEN: Duration = Duration::from_millis(200);

    /// Never less than this, in bit/s, unless less was asked for: below, in-band copies do not fit.
    const LEAST_RATE: u32 = 16_000;
    /// And never more: Opus ends here.
    const MOST_RATE: u32 = 510_000;
    /// Loss in a report, and in the mean, in percent, that means a full way when the delay has grown.
    const CONGESTED: f64 = 10.0;
    const CONGESTED_MEAN: f64 = 5.0;
    /// And in a report, once it is known to be.
    const STILL_CONGESTED: f64 = 2.0;
    const BACK_OFF: f64 = 0.75;
    /// From a full way to the first try of more, and how fast from there, in bit/s each second.
    const HOLD: Duration = Duration::from_secs(5);
    const RECOVERY: f64 = 1_000.0;
    const DRAIN: f64 = 500.0;
    /// Near what filled the way, more is tried slowly.
    const NEAR: f64 = 0.85;
    const RECOVERY_NEAR: f64 = 100.0;
    /// How long a way that was full with deep redundancy is spared it, at first and at most.
    const DRED_AGAIN: Duration = Duration::from_secs(60);
    const DRED_AGAIN_MOST: Duration = Duration::from_secs(960);
    /// Sent for so long on a way that is not full, it is left out for half as long the next time.
    const DRED_FINE: Duration = Duration::from_secs(60);
    /// Loss that becomes twice as much and this many percent more, so soon after deep redundancy began, is its doing: a
    /// way that lets through so many bits and no more has no delay that grows.
    const WORSE: f64 = 10.0;
    const WORSE_WITHIN: Duration = Duration::from_secs(15);

    /// Follows the network from `config` on.
    pub fn new(config: &OpusConfig) -> Self {
        let OpusConfig { bitrate, expected_loss, dred_frames, .. } = *config;
        Self {
            base_rate: bitrate,
            settings: EncoderSettings { bitrate, expected_loss, dred_frames },
            last: None,
            peak_loss: 0.0,
            mean_loss: 0.0,
            lossy: 0,
            clean_since: None,
            limit: f64::from(bitrate),
            congested: None,
            full_at: 0.0,
            dred_began: None,
            no_dred_before: None,
            dred_again: Self::DRED_AGAIN,
            dred_fine_since: None,
            round_trip: Base::default(),
            jitter: Base::default(),
        }
    }

    /// What the encoder is to do.
    pub fn settings(&self) -> EncoderSettings {
        self.settings
    }

    /// Takes a report that came at `now`; gives new settings when they changed.
    pub fn report(&mut self, report: &NetworkReport, now: Instant) -> Option<EncoderSettings> {
        if !report.fraction_lost.is_finite() {
            return None;
        }
        let since = self.last.map(|last| now.saturating_duration_since(last));
        if since.is_some_and(|since| since < Self::BETWEEN) {
            return None;
        }
        self.last = Some(now);
        // The first report stands for one interval of the fastest far ends.
        let since = since.unwrap_or(Duration::from_secs(1)).as_secs_f64();
        let share = |memory: f64| 1.0 - (-since / memory).exp();
        let loss = 100.0 * report.fraction_lost.clamp(0.0, 1.0);
        self.mean_loss += (loss - self.mean_loss) * share(Self::MEMORY);
        self.peak_loss = loss.max(self.peak_loss + (loss - self.peak_loss) * share(Self::MEMORY));
        self.lossy = if loss >= Self::LOSSY { self.lossy.saturating_add(1) } else { 0 };
        // Nothing takes no time at all: such a figure is made up.
        let known = report.round_trip_time.filter(|time| !time.is_zero() && *time < Duration::from_secs(10));
        let drains = self.congested.is_some();
        let base = match known {
            Some(time) => {
                self.round_trip.add(time, since, drains);
                &self.round_trip
            }
            None => {
                self.jitter.add(report.jitter.min(Duration::from_secs(10)), since, drains);
                &self.jitter
            }
        };
        let (full, maybe_full) = (base.has_grown(), base.looks_grown());
        let lost = match self.congested {
            Some(_) => loss >= Self::STILL_CONGESTED,
            None => loss >= Self::CONGESTED || self.mean_loss >= Self::CONGESTED_MEAN,
        };
        let congested = (full && lost) || self.dred_made_it_worse(now);
        self.follow_congestion(congested, full, since, now);
        let dred = self.congested.is_none() && self.wants_dred(maybe_full, now);
        let settings = self.decide(dred);
        self.dred_began = match self.dred_began {
            _ if !dred => None,
            None => Some((now, loss.max(self.mean_loss))),
            began => began,
        };
        self.trust_dred(dred, now);
        (std::mem::replace(&mut self.settings, settings) != settings).then_some(settings)
    }

    /// Packets go another way from now on: what filled the one before says nothing of it. Gives new settings when they
    /// changed.
    pub fn new_way(&mut self) -> Option<EncoderSettings> {
        (self.round_trip, self.jitter) = (Base::default(), Base::default());
        (self.congested, self.full_at) = (None, 0.0);
        self.limit = f64::from(self.base_rate);
        (self.dred_began, self.dred_fine_since) = (None, None);
        (self.no_dred_before, self.dred_again) = (None, Self::DRED_AGAIN);
        let settings = self.decide(self.settings.dred_frames > 0);
        (std::mem::replace(&mut self.settings, settings) != settings).then_some(settings)
    }

    fn dred_made_it_worse(&self, now: Instant) -> bool {
        self.dred_began.is_some_and(|(began, before)| {
            let soon = now.saturating_duration_since(began) <= Self::WORSE_WITHIN;
            soon && self.mean_loss > 2.0 * before + Self::WORSE
        })
    }

    /// Deep redundancy that has long filled nothing need not be left out for so long the next time.
    fn trust_dred(&mut self, dred: bool, now: Instant) {
        if !dred {
            self.dred_fine_since = None;
            return;
        }
        let since = *self.dred_fine_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= Self::DRED_FINE {
            self.dred_again = (self.dred_again / 2).max(Self::DRED_AGAIN);
            self.dred_fine_since = Some(now);
        }
    }

    fn follow_congestion(&mut self, congested: bool, full: bool, since: f64, now: Instant) {
        if congested {
            if self.congested.replace(now).is_none() {
                self.full_at = f64::from(self.settings.bitrate);
            }
            if self.settings.dred_frames > 0 {
                self.no_dred_before = Some(now + self.dred_again);
                self.dred_again = (2 * self.dred_again).min(Self::DRED_AGAIN_MOST);
            }
            self.limit = f64::from(self.settings.bitrate) * Self::BACK_OFF;
        } else if self.congested.is_some_and(|last| now.saturating_duration_since(last) < Self::HOLD) {
            // What stands in the queue drains.
        } else if full {
            // It does not drain, or fills again, not yet losing anything.
            self.limit -= Self::DRAIN * since.min(5.0);
        } else {
            let near = self.limit >= Self::NEAR * self.full_at;
            self.limit += if near { Self::RECOVERY_NEAR } else { Self::RECOVERY } * since.min(5.0);
        }
        // It is over when the sound has its bits back.
        if self.limit >= f64::from(self.base_rate) && !congested {
            self.congested = None;
        }
        self.limit = self.limit.clamp(f64::from(self.least_rate()), f64::from(self.rate_with_dred()));
    }

    /// Whether loss asks for deep redundancy. On a way that fills up, it does not begin.
    fn wants_dred(&mut self, full: bool, now: Instant) -> bool {
        if self.settings.dred_frames == 0 {
            let spared = self.no_dred_before.is_some_and(|before| now < before);
            return !full && !spared && self.lossy >= Self::LOSSY_REPORTS && self.mean_loss >= Self::DRED_ON;
        }
        if self.mean_loss >= Self::DRED_OFF {
            self.clean_since = None;
            return true;
        }
        let since = *self.clean_since.get_or_insert(now);
        now.saturating_duration_since(since) < Self::CLEAN_FOR
    }

    fn decide(&mut self, dred: bool) -> EncoderSettings {
        let wanted = if dred { self.rate_with_dred() } else { self.base_rate };
        if !dred {
            self.clean_since = None;
        }
        let most = if dred { Self::MOST_LOSS_WITH_DRED } else { Self::MOST_LOSS };
        let loss = if dred { self.peak_loss.max(self.mean_loss * Self::DRED_FACTOR) } else { self.peak_loss };
        // In steps of five: reports of one second have a handful of lost packets each, and scatter.
        let loss = (loss / 5.0).ceil() * 5.0;
        EncoderSettings {
            bitrate: if self.congested.is_some() { wanted.min(self.limit as u32) } else { wanted },
            expected_loss: loss.clamp(Self::LEAST_LOSS, most) as u8,
            dred_frames: if dred { Self::DRED_FRAMES } else { 0 },
        }
    }

    fn least_rate(&self) -> u32 {
        Self::LEAST_RATE.min(self.base_rate)
    }

    fn rate_with_dred(&self) -> u32 {
        self.base_rate.saturating_add(Self::DRED_RATE).min(Self::MOST_RATE).max(self.base_rate)
    }
}

#[cfg(test)]
#[path = "adapt_tests.rs"]
mod tests;
