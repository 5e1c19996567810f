//! Calls over networks that hurt, between machines of their own (network namespaces).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod network_support;

use network_support::{LossyLink, Routed, Running};
use std::time::{Duration, Instant};

#[test]
fn what_a_lossy_link_does_to_a_call_is_in_its_report() {
    let Some(link) = LossyLink::new("--loss 5 --delay 40 --jitter 10") else { return };
    let _center = Running::center(&link.center, LossyLink::CENTER, &["--agent", "tone:440"]);
    let flags = ["--play", "tone:1000", "--duration", "10s"];
    let report = Running::client(&link.client, "call", LossyLink::CENTER, &flags).last();
    assert_eq!(report["outcome"], "completed", "{report}");
    let received = &report["received"];
    // 500 packets at 5 %: within four standard deviations.
    let share = received["lost"].as_f64().unwrap() / received["packets"].as_f64().unwrap();
    assert!((0.01..0.1).contains(&share), "{report}");
    assert!((2.0..25.0).contains(&received["jitter_ms"].as_f64().unwrap()), "{report}");
    let rtt = report["rtt_ms"].as_f64().unwrap();
    assert!((60.0..160.0).contains(&rtt), "{report}");
}

/// A call that is up, in `chat --json`.
fn in_a_call(net: &Routed, flags: &[&str]) -> Running {
    let mut chat = Running::client(&net.client, "chat", Routed::CENTER, &[&["--play", "tone:1000"], flags].concat());
    chat.event(&["party_joined"]);
    chat.type_line("/call");
    chat.event(&["call_media_flowing"]);
    chat
}

/// Waits for the agent to write this; what else is written, such as a greeting, is passed over.
fn answer(chat: &Running, text: &str) {
    while chat.event(&["message"])["text"] != text {}
}

#[test]
fn after_a_total_loss_sound_and_chat_are_back() {
    let Some(net) = Routed::new() else { return };
    let _center = Running::center(&net.center, Routed::CENTER, &["--agent", "tone:440"]);
    let mut chat = in_a_call(&net, &[]);
    net.forward(false);
    chat.event(&["call_interrupted"]);
    net.forward(true);
    chat.event(&["call_resumed", "call_restored"]);
    chat.type_line("are you there?");
    answer(&chat, "You wrote: are you there?");
}

#[test]
fn a_call_outlives_a_change_of_address() {
    let Some(net) = Routed::new() else { return };
    let _center = Running::center(&net.center, Routed::CENTER, &["--agent", "tone:440"]);
    let mut chat = in_a_call(&net, &[]);
    net.readdress_client(3);
    chat.event(&["network_changed"]);
    let interrupted = chat.event(&["call_interrupted"]);
    assert_eq!(interrupted["reason"], "address_gone", "nobody waited for packets to stay away: {interrupted}");
    // Told with the first sound over the new way.
    let restored = chat.event(&["call_restored"]);
    assert_eq!(restored["attempt"], 1, "{restored}");
    chat.type_line("are you there?");
    answer(&chat, "You wrote: are you there?");
    chat.type_line("/hangup");
    let report = chat.event(&["call_report"]);
    assert_eq!(report["outcome"], "completed", "{report}");
    assert_eq!(report["interruptions"]["restorations"], 1, "{report}");
}

#[test]
fn a_call_outlives_a_while_without_any_address() {
    let Some(net) = Routed::new() else { return };
    let _center = Running::center(&net.center, Routed::CENTER, &["--agent", "tone:440"]);
    let mut chat = in_a_call(&net, &[]);
    net.client.ip("addr flush dev eth0 scope global");
    // The call is asked for, in vain.
    chat.event(&["call_restoring"]);
    chat.event(&["reconnecting"]);
    let back = Instant::now();
    net.readdress_client(4);
    assert_eq!(chat.event(&["call_restored"])["attempt"], 1);
    assert!(back.elapsed() < Duration::from_secs(8), "without an attempt that could not work: {:?}", back.elapsed());
    chat.type_line("are you there?");
    answer(&chat, "You wrote: are you there?");
}
