//! The object that `call --json` prints last: every name, type and null that scripts rely on.

use serde_json::Value;

#[derive(Clone, Copy)]
enum Kind {
    Text,
    TextOrNull,
    Count,
    Number,
    NumberOrNull,
    List,
}

const NAMES: &[(&str, Kind)] = &[
    ("/outcome", Kind::Text),
    ("/reason", Kind::Text),
    ("/chat_id", Kind::TextOrNull),
    ("/timing_ms/request_to_offer", Kind::NumberOrNull),
    ("/timing_ms/offer_to_answer", Kind::NumberOrNull),
    ("/timing_ms/request_to_connected", Kind::NumberOrNull),
    ("/timing_ms/request_to_first_audio", Kind::NumberOrNull),
    ("/duration_s", Kind::Number),
    ("/codec", Kind::TextOrNull),
    ("/sent/packets", Kind::Count),
    ("/sent/bytes", Kind::Count),
    ("/sent/target_bitrate_bps", Kind::Count),
    ("/sent/expected_loss_percent", Kind::Count),
    ("/sent/dred_ms", Kind::Count),
    ("/sent/total_audio_energy", Kind::Number),
    ("/received/packets", Kind::Count),
    ("/received/discarded", Kind::Count),
    ("/received/jitter_buffer_delay_s", Kind::Number),
    ("/received/jitter_buffer_target_delay_s", Kind::Number),
    ("/received/jitter_buffer_minimum_delay_s", Kind::Number),
    ("/received/jitter_buffer_emitted_count", Kind::Count),
    ("/received/total_samples_received", Kind::Count),
    ("/received/concealed_samples", Kind::Count),
    ("/received/silent_concealed_samples", Kind::Count),
    ("/received/concealment_events", Kind::Count),
    ("/received/comfort_noise_samples", Kind::Count),
    ("/received/inserted_samples_for_deceleration", Kind::Count),
    ("/received/removed_samples_for_acceleration", Kind::Count),
    ("/received/fec_packets_received", Kind::Count),
    ("/received/dred_packets_received", Kind::Count),
    ("/received/total_audio_energy", Kind::Number),
    ("/received/lost", Kind::Number),
    ("/received/jitter_ms", Kind::Number),
    ("/received/concealed_ms", Kind::Number),
    ("/received/jitter_buffer_ms", Kind::NumberOrNull),
    ("/rtt_ms", Kind::NumberOrNull),
    ("/ice/local", Kind::TextOrNull),
    ("/ice/remote", Kind::TextOrNull),
    ("/recording", Kind::TextOrNull),
    ("/problems", Kind::List),
];

const OUTCOMES: [&str; 7] = ["completed", "rejected", "no_answer", "failed", "unavailable", "cancelled", "lost"];

/// Checks names and types, and what must be there or null together.
pub fn check(report: &Value) {
    for (name, kind) in NAMES {
        let value = report.pointer(name).unwrap_or_else(|| panic!("{name} is missing in {report}"));
        let fits = match kind {
            Kind::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Kind::TextOrNull => value.is_null() || value.as_str().is_some_and(|text| !text.is_empty()),
            Kind::Count => value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::NumberOrNull => value.is_null() || value.as_f64().is_some_and(|n| n >= 0.0),
            Kind::List => value.is_array(),
        };
        assert!(fits, "{name} is {value} in {report}");
    }
    for (group, names) in [
        ("remote", &["lost", "fraction_lost_percent", "jitter_ms"][..]),
        ("quality", &["mos", "rating", "loss_percent", "burst_ratio", "one_way_delay_ms"]),
    ] {
        let group = report.get(group).unwrap_or_else(|| panic!("{group} is missing in {report}"));
        assert!(group.is_null() || names.iter().all(|name| group[*name].is_number()), "{report}");
    }
    let party = report.get("party").expect("party");
    assert!(party.is_null() || (party["id"].is_string() && party["name"].is_string()), "{report}");
    assert!(OUTCOMES.contains(&report["outcome"].as_str().unwrap()), "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(!reason.chars().any(char::is_control) && reason.len() < 500, "{reason}");
    // What only a connected call has.
    let connected = !report["codec"].is_null();
    assert!(connected || report["sent"]["packets"] == 0, "{report}");
    assert!(connected || report["recording"].is_null(), "{report}");
    assert!(report["outcome"] != "completed" || connected, "{report}");
}
