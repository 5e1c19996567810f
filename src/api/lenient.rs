//! Serde helpers for what servers really send: numbers and booleans as strings, ids as numbers, times in two units.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Fields this version does not know: kept, handed on, and written out again.
pub type Extra = Map<String, Value>;

/// Reads a string that may come as a number or a boolean. `null` reads as the empty string.
pub fn string<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(opt_string(d)?.unwrap_or_default())
}

/// Reads an optional string that may come as a number, a boolean or `null`.
pub fn opt_string<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(d)? {
        Value::Null => Ok(None),
        Value::String(s) => Ok(Some(s)),
        Value::Number(n) => Ok(Some(n.to_string())),
        Value::Bool(b) => Ok(Some(b.to_string())),
        other => Err(serde::de::Error::custom(format!("expected a string, found {}", kind(&other)))),
    }
}

/// Reads what [`opt_string`] reads; anything else is `None`, where the message matters more than this text in it.
pub fn opt_words<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(opt_string(Value::deserialize(d)?).unwrap_or_default())
}

/// Reads what [`boolean`] reads; anything else is false, where the message matters more than this flag in it.
pub fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(boolean(Value::deserialize(d)?).unwrap_or_default())
}

/// Reads a boolean that may come as `"true"`, `"false"`, `0`, `1` or `null` (false).
pub fn boolean<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(opt_boolean(d)?.unwrap_or_default())
}

/// Reads an optional boolean in any of the forms that [`boolean`] takes.
pub fn opt_boolean<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    let value = Value::deserialize(d)?;
    match &value {
        Value::Null => Ok(None),
        Value::Bool(b) => Ok(Some(*b)),
        Value::Number(n) => Ok(Some(n.as_f64() != Some(0.0))),
        Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(Some(true)),
            "false" | "0" | "no" | "" => Ok(Some(false)),
            _ => Err(serde::de::Error::custom("expected a boolean, found text")),
        },
        other => Err(serde::de::Error::custom(format!("expected a boolean, found {}", kind(other)))),
    }
}

/// Reads an optional number that may come as a string. Text that is no number reads as `None`.
pub fn opt_f64<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    Ok(number(&Value::deserialize(d)?))
}

/// Reads an optional `sdpMLineIndex`-like small number that may come as a string; out of range reads as `None`.
pub fn opt_u16<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u16>, D::Error> {
    Ok(number(&Value::deserialize(d)?).filter(|n| n.fract() == 0.0 && (0.0..=65_535.0).contains(n)).map(|n| n as u16))
}

/// Reads a list of texts: entries that are none are passed over, one text stands for a list of one.
pub fn strings<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(one) => vec![one],
        Value::Array(many) => many
            .into_iter()
            .filter_map(|v| match v {
                Value::String(s) => Some(s),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    })
}

/// Reads `null` as the default.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// Writes a whole number without a fraction: `60`, not `60.0`, which some readers of whole numbers refuse.
pub fn write_number<S: Serializer>(value: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
    /// Up to here every whole number has a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        None => s.serialize_none(),
        Some(n) if n.fract() == 0.0 && n.abs() <= EXACT => s.serialize_i64(*n as i64),
        Some(n) => s.serialize_f64(*n),
    }
}

/// Writes a string as a JSON number where it is exactly one, as servers do with codes and ids.
pub fn write_scalar<S: Serializer>(value: &Option<String>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        None => s.serialize_none(),
        Some(text) => match text.parse::<i64>() {
            Ok(n) if n.to_string() == *text => s.serialize_i64(n),
            _ => s.serialize_str(text),
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
    .filter(|n: &f64| n.is_finite())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A moment as the server wrote it: seconds or milliseconds since 1970, told apart by magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Below this a number counts seconds: as milliseconds it would lie before March 1973.
    const SECONDS_BELOW: i64 = 100_000_000_000;

    /// A timestamp of `ms` milliseconds since 1970.
    pub fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// A timestamp of whole seconds since 1970.
    pub fn from_secs(s: i64) -> Self {
        Self(s)
    }

    /// Milliseconds since 1970, whichever unit the server wrote.
    pub fn as_millis(self) -> i64 {
        if self.0.abs() < Self::SECONDS_BELOW { self.0.saturating_mul(1000) } else { self.0 }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(self.0)
    }
}

/// Reads an optional timestamp: a number or a string; anything else is `None`, since no event is worth losing for it.
pub fn opt_timestamp<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(d)?;
    let whole = match &value {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    Ok(whole.map(Timestamp).or_else(|| {
        number(&value).map(|n| {
            // Seconds with a fraction: kept to the millisecond.
            let seconds = n.fract() != 0.0 && n.abs() < Timestamp::SECONDS_BELOW as f64;
            Timestamp(if seconds { (n * 1000.0).round() } else { n } as i64)
        })
    }))
}

/// Reads an SDP, which may be wrapped as a browser's `RTCSessionDescription` (`{"type": …, "sdp": …}`).
pub fn sdp<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    match Value::deserialize(d)? {
        Value::String(s) => Ok(s),
        Value::Object(mut o) => match o.remove("sdp") {
            Some(Value::String(s)) => Ok(s),
            _ => Ok(String::new()),
        },
        _ => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[derive(Deserialize)]
    struct Probe {
        #[serde(default, deserialize_with = "boolean")]
        flag: bool,
        #[serde(default, deserialize_with = "opt_timestamp")]
        at: Option<Timestamp>,
        #[serde(default, deserialize_with = "opt_u16")]
        index: Option<u16>,
        #[serde(default, deserialize_with = "string")]
        id: String,
    }

    fn probe(v: Value) -> Probe {
        serde_json::from_value(v).unwrap()
    }

    #[test]
    fn booleans_come_as_strings_and_numbers() {
        for v in [json!(true), json!("true"), json!("TRUE"), json!(1), json!("1")] {
            assert!(probe(json!({ "flag": v })).flag);
        }
        for v in [json!(false), json!("false"), json!(0), json!(""), json!(null)] {
            assert!(!probe(json!({ "flag": v })).flag);
        }
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        for v in [json!(1_700_000_000), json!("1700000000"), json!(1_700_000_000_000_i64), json!("1700000000000")] {
            assert_eq!(probe(json!({ "at": v })).at.unwrap().as_millis(), 1_700_000_000_000);
        }
        assert_eq!(probe(json!({ "at": 1_700_000_000.25 })).at.unwrap().as_millis(), 1_700_000_000_250);
        assert!(probe(json!({ "at": "yesterday" })).at.is_none());
        assert!(probe(json!({})).at.is_none());
    }

    #[test]
    fn an_index_comes_as_string_number_or_not_at_all() {
        assert_eq!(probe(json!({ "index": "0" })).index, Some(0));
        assert_eq!(probe(json!({ "index": 2 })).index, Some(2));
        for v in [json!(null), json!(""), json!(-1), json!(1.5), json!(70_000)] {
            assert_eq!(probe(json!({ "index": v })).index, None);
        }
    }

    #[test]
    fn an_id_may_be_a_number() {
        assert_eq!(probe(json!({ "id": 12 })).id, "12");
    }
}
