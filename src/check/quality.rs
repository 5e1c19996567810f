//! The figures of the test call, and how good that is.

use super::finding::CallFound;
use crate::call::CallStats;
use serde::Serialize;
use std::fmt;

/// How good it is to hear, by the E-model's rating R (ITU-T G.109).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// R of 80 and more: users are satisfied.
    Good,
    /// R of 60 and more: some are not.
    Usable,
    /// Less: not recommended.
    Poor,
}

impl Grade {
    /// The grade of a rating R.
    pub fn of(rating: f64) -> Self {
        match rating {
            r if r >= 80.0 => Self::Good,
            r if r >= 60.0 => Self::Usable,
            _ => Self::Poor,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Usable => "usable",
            Self::Poor => "poor",
        })
    }
}

/// Both directions in one: the worse of each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// In a word.
    #[serde(rename = "quality")]
    pub grade: Grade,
    /// The mean opinion score that is expected, 1 to 4.4.
    pub mos: Option<f64>,
    /// The rating R, 0 to 93.2.
    pub rating: Option<f64>,
    /// Packets lost, of those that were to come.
    pub loss_percent: f64,
    /// Interarrival jitter (RFC 3550, 6.4.1).
    pub jitter_ms: f64,
    /// From one side to the other and back.
    pub rtt_ms: Option<f64>,
    /// Sound made up for what did not come in time.
    pub concealed_ms: f64,
    /// RTP packets sent by both sides.
    pub packets_sent: u64,
    /// RTP packets received by both.
    pub packets_received: u64,
    /// The candidate pair: this end.
    pub local: Option<String>,
    /// The other end.
    pub remote: Option<String>,
}

impl Figures {
    /// What the two sides saw.
    pub fn of(found: &CallFound) -> Self {
        let sides = &found.sides;
        let worst = |figure: fn(&CallStats) -> f64| sides.iter().map(figure).fold(0.0, f64::max);
        let qualities = sides.iter().map(|side| side.quality().map(|(_, quality)| quality));
        // A side that heard nothing has no quality, and that is the worst.
        let quality = qualities
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().min_by(|a, b| a.rating.total_cmp(&b.rating)));
        let rtt = sides.iter().filter_map(|side| side.peer.round_trip_time()).max();
        let way = &sides[0].peer;
        Self {
            grade: quality.map_or(Grade::Poor, |q| Grade::of(q.rating)),
            mos: quality.map(|q| round(q.mos, 2)),
            rating: quality.map(|q| round(q.rating, 1)),
            loss_percent: round(worst(loss_percent), 2),
            jitter_ms: round(worst(|side| side.media.receiver.jitter * 1000.0), 2),
            rtt_ms: rtt.map(|rtt| round(rtt.as_secs_f64() * 1000.0, 2)),
            concealed_ms: round(worst(|side| side.concealed().as_secs_f64() * 1000.0), 1),
            packets_sent: sides.iter().map(|side| side.media.sender.packets_sent).sum(),
            packets_received: sides.iter().map(|side| side.media.receiver.packets_received).sum(),
            local: way.local_candidate.as_ref().map(ToString::to_string),
            remote: way.remote_candidate.as_ref().map(ToString::to_string),
        }
    }
}

fn loss_percent(side: &CallStats) -> f64 {
    let receiver = &side.media.receiver;
    let lost = receiver.packets_lost.max(0) as f64;
    let expected = receiver.packets_received as f64 + lost;
    if expected > 0.0 { lost / expected * 100.0 } else { 100.0 }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_those_of_g_109() {
        let of = [93.2, 80.0, 79.9, 60.0, 59.9, 0.0].map(Grade::of);
        assert_eq!(of, [Grade::Good, Grade::Good, Grade::Usable, Grade::Usable, Grade::Poor, Grade::Poor]);
    }

    #[test]
    fn the_worse_direction_counts() {
        let mut sides = [CallStats::default(), CallStats::default()];
        for (side, lost) in sides.iter_mut().zip([0, 25]) {
            side.media.receiver.packets_received = 100 - lost as u64;
            side.media.receiver.packets_lost = lost;
        }
        let figures = Figures::of(&CallFound { through: None, setup: Default::default(), sides });
        assert_eq!((figures.loss_percent, figures.packets_received), (25.0, 175));
        // Nothing was heard.
        assert_eq!((figures.grade, figures.mos), (Grade::Poor, None));
    }
}
