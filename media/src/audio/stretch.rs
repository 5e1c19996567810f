//! Making speech shorter or longer without changing its pitch: pitch-synchronous overlap-add.
//!
//! One period of a voice is left out or said twice, faded where the two ends meet. Where a sound repeats itself well,
//! that is not heard.

/// The shortest period looked for, in samples: 400 Hz.
pub const MIN_PERIOD: usize = 120;

/// The longest one: 66 Hz.
pub const MAX_PERIOD: usize = 720;

/// Samples compared with each other: 7.5 ms.
const WINDOW: usize = 360;

/// The coarse search looks at every sixth sample.
const COARSE: usize = 6;

/// How a sound repeats itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// After how many samples.
    pub samples: usize,
    /// How alike: the normalised correlation, -1..=1.
    pub likeness: f32,
}

/// Normalised correlation of two stretches of sound of the same length; 0 when one is silent.
pub fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
    for (&a, &b) in a.iter().zip(b) {
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    let norm = (aa * bb).sqrt();
    if norm > 1e-9 { ab / norm } else { 0.0 }
}

/// Where in `sound` its beginning comes again. `None` when it is shorter than [`MIN_PERIOD`] and the window compared.
pub fn find_period(sound: &[f32]) -> Option<Period> {
    let longest = MAX_PERIOD.min(sound.len().checked_sub(WINDOW)?);
    if longest < MIN_PERIOD {
        return None;
    }
    best_lag(&sound[..WINDOW], sound, MIN_PERIOD, longest)
}

/// Where in `sound`, between `from` and `to`, it is most like `pattern`.
pub fn best_lag(pattern: &[f32], sound: &[f32], from: usize, to: usize) -> Option<Period> {
    let to = to.min(sound.len().checked_sub(pattern.len())?);
    if from > to {
        return None;
    }
    let thin = |sound: &[f32]| -> Vec<f32> {
        sound.chunks(COARSE).map(|chunk| chunk.iter().sum::<f32>() / chunk.len() as f32).collect()
    };
    let (thin_pattern, thin_sound) = (thin(pattern), thin(&sound[..to + pattern.len()]));
    let best = |lags: &mut dyn Iterator<Item = usize>, pattern: &[f32], sound: &[f32]| {
        lags.filter(|&lag| lag + pattern.len() <= sound.len())
            .map(|lag| Period { samples: lag, likeness: likeness(pattern, &sound[lag..lag + pattern.len()]) })
            .max_by(|a, b| a.likeness.total_cmp(&b.likeness))
    };
    let coarse = best(&mut (from / COARSE..=to / COARSE), &thin_pattern, &thin_sound)?.samples * COARSE;
    let (low, high) = (coarse.saturating_sub(COARSE).clamp(from, to), (coarse + COARSE).clamp(from, to));
    best(&mut (low..=high), pattern, sound)
}

/// Leaves `period` samples out of `sound`, from its sample `at` on. Returns how many: none if it is too short.
pub fn shorten(sound: &mut Vec<f32>, at: usize, period: usize) -> usize {
    let left = sound.len().saturating_sub(at);
    if period == 0 || left < period + MIN_FADE {
        return 0;
    }
    let fade = period.min(left - period);
    for n in 0..fade {
        let into = weight(n, fade);
        sound[at + n] = sound[at + n] * (1.0 - into) + sound[at + period + n] * into;
    }
    sound.drain(at + fade..at + fade + period);
    period
}

/// Plays `period` samples of `sound`, from its sample `at` on, twice. Returns how many were put in.
pub fn lengthen(sound: &mut Vec<f32>, at: usize, period: usize) -> usize {
    let left = sound.len().saturating_sub(at);
    if period == 0 || left < period + MIN_FADE {
        return 0;
    }
    let fade = period.min(left - period);
    let again: Vec<f32> = sound[at..at + period].to_vec();
    let mut joint = Vec::with_capacity(period);
    for n in 0..period {
        // From what follows the period to its beginning, and on to its end.
        let into = if n < fade { weight(n, fade) } else { 1.0 };
        let follows = if n < fade { sound[at + period + n] } else { 0.0 };
        joint.push(follows * (1.0 - into) + again[n] * into);
    }
    let end = at + period;
    sound.splice(end..end, joint);
    period
}

/// Shortest fade that is not heard as a click: 2.5 ms.
const MIN_FADE: usize = 120;

fn weight(n: usize, length: usize) -> f32 {
    (n as f32 + 0.5) / length as f32
}

/// Goes on with `past` for `length` samples, by its last period again and again.
pub fn continue_sound(past: &[f32], length: usize) -> Vec<f32> {
    let window = WINDOW.min(past.len() / 2);
    let pattern = &past[past.len() - window..];
    let mut period = past.len().max(1);
    let mut best = f32::MIN;
    // Backwards from the end: coarse steps, then around the best.
    let longest = MAX_PERIOD.min(past.len() - window);
    let try_lag = |lag: usize, best: &mut f32, period: &mut usize| {
        let start = past.len() - window - lag;
        let like = likeness(pattern, &past[start..start + window]);
        if like > *best {
            (*best, *period) = (like, lag);
        }
    };
    for lag in (MIN_PERIOD..=longest).step_by(4) {
        try_lag(lag, &mut best, &mut period);
    }
    let around = period;
    for lag in around.saturating_sub(3).max(MIN_PERIOD)..=(around + 3).min(longest) {
        try_lag(lag, &mut best, &mut period);
    }
    if past.is_empty() {
        return vec![0.0; length];
    }
    (0..length).map(|n| past[past.len() - period + n % period]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::f32::consts::TAU;

    fn tone(period: f32, length: usize) -> Vec<f32> {
        (0..length).map(|n| (n as f32 / period * TAU).sin() + 0.4 * (n as f32 / period * 2.0 * TAU).cos()).collect()
    }

    /// The greatest difference to the sound as it would have been.
    fn off(sound: &[f32], wanted: &[f32]) -> f32 {
        sound.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn the_period_of_a_voiced_sound_is_found() {
        for period in [130, 240, 433, 590] {
            let found = find_period(&tone(period as f32, 1440)).unwrap();
            assert!(found.samples.is_multiple_of(period), "{period}: {found:?}");
            assert!(found.likeness > 0.99, "{period}: {found:?}");
        }
        assert_eq!(find_period(&[0.0; 300]), None);
        assert_eq!(find_period(&[0.0; 960]).unwrap().likeness, 0.0);
    }

    #[test]
    fn a_period_left_out_or_played_twice_leaves_a_steady_tone_as_it_was() {
        let whole = tone(240.0, 2000);
        let mut sound = whole[..960].to_vec();
        assert_eq!(shorten(&mut sound, 0, 240), 240);
        assert_eq!(sound.len(), 720);
        assert!(off(&sound, &whole) < 1e-3);
        let mut sound = whole[..960].to_vec();
        assert_eq!(lengthen(&mut sound, 0, 240), 240);
        assert_eq!(sound.len(), 1200);
        assert!(off(&sound, &whole) < 1e-3);
    }

    #[test]
    fn what_is_too_short_is_left_alone() {
        for length in [0, 100, 350] {
            let mut sound = tone(240.0, length);
            assert_eq!((shorten(&mut sound, 0, 240), lengthen(&mut sound, 0, 240)), (0, 0));
            assert_eq!(sound.len(), length);
        }
    }

    #[test]
    fn a_voice_goes_on_by_its_last_period() {
        let whole = tone(240.0, 3000);
        let more = continue_sound(&whole[..1800], 480);
        assert!(off(&more, &whole[1800..]) < 0.05);
        assert_eq!(continue_sound(&[], 3), [0.0; 3]);
        assert_eq!(continue_sound(&[0.5; 40], 50).len(), 50);
    }
}
