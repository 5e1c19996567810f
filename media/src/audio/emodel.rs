//! An estimate of speech quality from what the network did: the E-model (ITU-T G.107).
//!
//! It does not listen. It knows the share of sound that was concealed, how much of it came in runs, and, if told, the
//! delay from mouth to ear. Everything else is at the defaults of G.107 table 2 (R₀ − Is = 93.2), with the equipment
//! factors of G.711 with packet loss concealment from G.113 appendix I (Ie = 0, Bpl = 25.1) for every codec: neither
//! recommendation has figures for Opus, and the scale is that of a narrowband telephone, which tops out at 4.4.

use serde::Serialize;
use std::time::Duration;

/// What the estimate is made from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Inputs {
    /// Share of the sound that was lost for the listener, 0..=1 (Ppl / 100).
    pub loss: f64,
    /// Mean length of a run of losses over that of losses at random, 1 or more (BurstR).
    pub burst_ratio: f64,
    /// Mouth to ear, one way (Ta); none estimates listening alone.
    pub delay: Option<Duration>,
}

/// How good a call is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// The transmission rating R: 0..=93.2, more is better; below 60 is not recommended (G.109).
    pub rating: f64,
    /// The mean opinion score a listener would give, 1..=4.4 (G.107 annex B).
    pub mos: f64,
}

/// R₀ − Is at the defaults.
const BEST: f64 = 93.2;
/// Ie and Bpl of G.711 with concealment.
const EQUIPMENT: f64 = 0.0;
const ROBUSTNESS: f64 = 25.1;

/// Estimates the quality.
pub fn estimate(inputs: &Inputs) -> Quality {
    let loss = inputs.loss.clamp(0.0, 1.0) * 100.0;
    let burst_ratio = inputs.burst_ratio.max(1.0);
    let effective = EQUIPMENT + (95.0 - EQUIPMENT) * loss / (loss / burst_ratio + ROBUSTNESS);
    let delay = inputs.delay.map_or(0.0, |delay| delay_impairment(delay.as_secs_f64() * 1000.0));
    let rating = (BEST - effective - delay).clamp(0.0, 100.0);
    let mos = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    Quality { rating, mos: mos.clamp(1.0, 4.5) }
}

/// Idd (G.107 section 7.4), for a delay in milliseconds.
fn delay_impairment(delay: f64) -> f64 {
    if delay <= 100.0 {
        return 0.0;
    }
    let x = (delay / 100.0).log2();
    let sixth = |x: f64| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_faults_has_the_default_rating() {
        let best = estimate(&Inputs::default());
        // G.107 annex B: R = 93.2 is a MOS of 4.41.
        assert!((best.rating - 93.2).abs() < 1e-9 && (best.mos - 4.41).abs() < 0.01, "{best:?}");
        let near = estimate(&Inputs { delay: Some(Duration::from_millis(100)), ..Inputs::default() });
        assert_eq!(near, best);
    }

    #[test]
    fn delay_costs_what_g107_says() {
        // Idd rises slowly to about 150 ms and fast from there (G.107 figure; 400 ms costs about 24).
        let at = |ms| 93.2 - estimate(&Inputs { delay: Some(Duration::from_millis(ms)), ..Inputs::default() }).rating;
        assert!(at(150) < 1.0 && (at(400) - 24.0).abs() < 1.0, "{} {}", at(150), at(400));
    }

    #[test]
    fn loss_costs_and_loss_in_runs_costs_more() {
        let of = |loss, burst_ratio| estimate(&Inputs { loss, burst_ratio, delay: None }).rating;
        // Ie,eff = 95 * 5 / (5 + 25.1).
        assert!((of(0.05, 1.0) - (93.2 - 15.78)).abs() < 0.01, "{}", of(0.05, 1.0));
        assert!(of(0.05, 3.0) < of(0.05, 1.0) && of(0.2, 1.0) < of(0.05, 1.0));
        assert!(
            (0.0..=93.2).contains(&of(1.0, 1.0))
                && estimate(&Inputs { loss: 1.0, burst_ratio: 99.0, delay: None }).mos >= 1.0
        );
    }
}
