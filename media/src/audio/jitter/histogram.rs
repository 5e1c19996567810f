//! A forgetting histogram of how long packets were under way.

/// Counts transit times in bins of 2 ms over about a second; what lies back counts less and less.
///
/// Transit times have an unknown offset (the two clocks share no origin), so the bins slide along with what comes:
/// also with a clock that drifts for hours.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    bins: Vec<f32>,
    /// Lower edge of the first bin, in milliseconds.
    origin: f64,
    weight: f32,
}

impl Histogram {
    pub const BIN: f64 = 2.0;
    const BINS: usize = 640;
    /// Where new transit times are put when the bins have to move: far enough up that faster packets fit below.
    const HOME: usize = 160;

    pub fn new() -> Self {
        Self { bins: vec![0.0; Self::BINS], origin: 0.0, weight: 0.0 }
    }

    pub fn is_empty(&self) -> bool {
        self.weight <= 0.0
    }

    /// Adds a transit time, in milliseconds; everything before it counts `keep` times as much as until now.
    pub fn add(&mut self, transit: f64, keep: f32) {
        if self.is_empty() {
            self.origin = transit - Self::HOME as f64 * Self::BIN;
        }
        if transit < self.origin + Self::BIN {
            self.slide(-(((self.origin - transit) / Self::BIN).ceil().min(1e9) as i64 + Self::HOME as i64));
        } else if self.earliest_bin().is_some_and(|first| first > 2 * Self::HOME) {
            self.slide(Self::HOME as i64);
        }
        self.bins.iter_mut().for_each(|bin| *bin *= keep);
        let bin = (((transit - self.origin) / Self::BIN) as usize).min(Self::BINS - 1);
        self.bins[bin] += 1.0;
        self.weight = self.weight * keep + 1.0;
    }

    /// Moves everything by so many milliseconds: the sender's timestamps jumped.
    pub fn offset(&mut self, milliseconds: f64) {
        self.origin += milliseconds;
    }

    /// How many transit times it holds, old ones counting less.
    pub fn weight(&self) -> f32 {
        self.weight
    }

    /// The transit time of the fastest packets, in milliseconds: upper edge of its bin.
    pub fn earliest(&self) -> Option<f64> {
        self.earliest_bin().map(|bin| self.edge(bin + 1))
    }

    /// For each bin from the earliest on: its upper edge, and the share of packets that took longer.
    pub fn tail(&self) -> Tail {
        let first = self.earliest_bin().unwrap_or(0);
        let mut later = vec![0.0; Self::BINS - first];
        let mut sum = 0.0;
        for bin in (first..Self::BINS).rev() {
            later[bin - first] = sum / self.weight.max(f32::MIN_POSITIVE);
            sum += self.bins[bin];
        }
        Tail { later, start: self.edge(first + 1) }
    }

    fn edge(&self, bin: usize) -> f64 {
        self.origin + bin as f64 * Self::BIN
    }

    /// Bins that together hold less than a thousandth are packets long forgotten.
    fn earliest_bin(&self) -> Option<usize> {
        let mut sum = 0.0;
        self.bins.iter().position(|&bin| {
            sum += bin;
            sum > 0.001 * self.weight && sum > 0.0
        })
    }

    fn slide(&mut self, by: i64) {
        let mut moved = vec![0.0; Self::BINS];
        for (bin, &count) in self.bins.iter().enumerate() {
            let to = (bin as i64 - by).clamp(0, Self::BINS as i64 - 1);
            moved[to as usize] += count;
        }
        self.bins = moved;
        self.origin += by as f64 * Self::BIN;
    }
}

/// The share of packets that took longer than a time.
pub(super) struct Tail {
    later: Vec<f32>,
    start: f64,
}

impl Tail {
    /// Bins from the earliest packet on.
    pub fn len(&self) -> usize {
        self.later.len()
    }

    /// Upper edge of bin `n`, in milliseconds.
    pub fn edge(&self, n: usize) -> f64 {
        self.start + n as f64 * Histogram::BIN
    }

    /// The share of packets that took longer than bin `n`, or than the bin so many milliseconds before it.
    pub fn later(&self, n: usize, before: f64) -> f32 {
        match n.checked_sub((before / Histogram::BIN).ceil() as usize) {
            Some(bin) => self.later.get(bin).copied().unwrap_or(0.0),
            None => 1.0,
        }
    }
}
