//! What loss the sender should prepare for, by what the far end reports.

/// Less is never prepared for: loss comes in a moment, a report only every few seconds. At less than 10 % libopus leaves
/// the copies out at low complexity.
const LEAST: f64 = 10.0;
/// More is never prepared for: the copies would take the bits of the sound itself.
const MOST: f64 = 30.0;
/// Share of the old value in the new one when loss goes down. Up it goes at once.
const MEMORY: f64 = 0.8;

/// Follows the loss in receiver reports (RFC 3550, 6.4.1).
#[derive(Debug, Default)]
pub(super) struct ExpectedLoss {
    percent: f64,
    told: Option<u8>,
}

impl ExpectedLoss {
    /// Takes the `fraction_lost` of a report, 0 to 1; gives a new percentage when it changed.
    pub(super) fn report(&mut self, fraction_lost: f64) -> Option<u8> {
        let reported = 100.0 * fraction_lost.clamp(0.0, 1.0);
        self.percent = reported.max(MEMORY * self.percent + (1.0 - MEMORY) * reported);
        let percent = self.percent.clamp(LEAST, MOST).round() as u8;
        (self.told.replace(percent) != Some(percent)).then_some(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_prepared_for_at_once_and_forgotten_slowly() {
        let mut loss = ExpectedLoss::default();
        assert_eq!(loss.report(0.0), Some(10));
        assert_eq!(loss.report(0.0), None);
        assert_eq!(loss.report(0.2), Some(20));
        assert_eq!(loss.report(0.0), Some(16));
        let after: Vec<_> = (0..20).filter_map(|_| loss.report(0.0)).collect();
        assert_eq!(after.last(), Some(&10));
    }

    #[test]
    fn whatever_is_reported_stays_within_bounds() {
        for reported in [-1.0, 0.99, 7.0, f64::INFINITY] {
            let percent = ExpectedLoss::default().report(reported);
            assert!(percent.is_some_and(|p| (10..=30).contains(&p)), "{reported} gave {percent:?}");
        }
    }
}
