//! Times on the command line.

use std::time::Duration;

/// Reads a time: `10s`, `200ms`, `2m`, or a bare number of seconds.
///
/// # Errors
/// What is wrong with it, in words.
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?,
        Err(_) => humantime::parse_duration(text).map_err(|e| e.to_string())?,
    };
    // A year is for ever, and keeps the sums of times far from their limits.
    if time.as_secs() <= 31_536_000 { Ok(time) } else { Err("longer than a year".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "s", "-1s", "-1", "NaN", "inf", "1e99", "2y", "500000000000y"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
