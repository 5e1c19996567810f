//! Quirks of any object: fields more and less, scalars in other types.

use super::{Dice, Quirk};
use serde_json::{Map, Value, json};

/// Fields whose strings come as numbers from some servers.
const NUMBERS: &[&str] = &[
    "ewt",
    "error_code",
    "form_request_id",
    "form_timeout",
    "reason_code",
    "latitude",
    "longitude",
    "sdpMLineIndex",
    "msg_id",
    "timestamp",
];

/// Adds fields and takes some away; `optional` are those that may be absent.
pub(super) fn fields(dice: Dice<'_>, object: &mut Map<String, Value>, optional: &[&str]) {
    if dice.has(Quirk::MissingFields) {
        for name in optional {
            object.shift_remove(*name);
        }
    }
    if dice.has(Quirk::Nulls) {
        for name in optional {
            object.entry(*name).or_insert(Value::Null);
        }
    }
    if dice.has(Quirk::ExtraFields) {
        object.insert("x_trace".into(), json!({"node": "a1", "hops": [1, 2], "final": true}));
        object.insert("x_none".into(), Value::Null);
    }
}

/// Writes numbers, booleans and numbers in strings in other types, in all depths.
pub(super) fn scalars(dice: Dice<'_>, value: &mut Value) {
    match dice.one_of(&[Quirk::StringScalars, Quirk::NumberStrings]) {
        Some(Quirk::StringScalars) => to_strings(value),
        Some(_) => to_numbers(value),
        None => {}
    }
    if dice.has(Quirk::OddCase) {
        odd_case(value);
    }
}

fn each(value: &mut Value, change: &dyn Fn(&mut Value)) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|v| each(v, change)),
        Value::Object(object) => object.iter_mut().for_each(|(_, v)| each(v, change)),
        scalar => change(scalar),
    }
}

fn to_strings(value: &mut Value) {
    each(value, &|scalar| {
        if scalar.is_number() || scalar.is_boolean() {
            *scalar = Value::String(scalar.to_string());
        }
    });
}

fn odd_case(value: &mut Value) {
    each(value, &|scalar| match scalar.as_bool().or_else(|| scalar.as_str().and_then(|s| s.parse().ok())) {
        Some(true) => *scalar = "True".into(),
        Some(false) => *scalar = "FALSE".into(),
        None => {}
    });
}

fn to_numbers(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(to_numbers),
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                match value {
                    Value::String(text) if NUMBERS.contains(&name.as_str()) => {
                        if let Ok(number) = text.parse::<i64>() {
                            *value = number.into();
                        }
                    }
                    other => to_numbers(other),
                }
            }
        }
        _ => {}
    }
}
