//! A capture file is opened with the tools that everybody has.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod common;
mod evidence_support;

use chatphone::simulator::SimulatorConfig;
use common::{call, center};
use evidence_support::{Kept, kept};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What `tshark` says of a capture, with RTP looked for by itself.
fn tshark(file: &Path, flags: &[&str]) -> String {
    let output =
        Command::new("tshark").args(["-n", "-o", "rtp.heuristic_rtp:TRUE", "-r"]).arg(file).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Of each RTP stream: packets, lost.
fn streams(file: &Path) -> Vec<(u64, i64)> {
    let table = tshark(file, &["-q", "-z", "rtp,streams"]);
    let rows = table.lines().filter(|line| line.contains(" 0x"));
    let row = |line: &str| {
        let after = line.split_once(" 0x").unwrap().1;
        let lost_at = after.find('(').unwrap();
        let words: Vec<&str> = after[..lost_at].split_whitespace().collect();
        let [.., packets, lost] = words[..] else { panic!("{line}") };
        (packets.parse().unwrap(), lost.parse().unwrap())
    };
    rows.map(row).collect()
}

async fn captured(change: impl FnOnce(&mut SimulatorConfig)) -> (chatphone::cli::summary::CallSummary, evidence_support::Files) {
    let center = center(change).await;
    let Kept { mut plan, recorder, files } = kept(&center.base_url(), true);
    plan.duration = Some(Duration::from_secs(5));
    let summary = call(plan).await;
    let finished = recorder.finish().unwrap();
    center.shutdown().await;
    assert!(finished.problems.is_empty() && finished.dropped == 0, "{finished:?}");
    (summary, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_holds_both_streams_whole_and_nothing_malformed() {
    let (summary, files) = captured(|_| {}).await;
    let mut found = streams(&files.pcap);
    found.sort_unstable();
    let mut told = vec![(summary.sent.packets, 0), (summary.received.packets, summary.received.lost)];
    told.sort_unstable();
    assert_eq!(found, told, "{summary}");
    assert_eq!(tshark(&files.pcap, &["-Y", "_ws.malformed || _ws.expert.severity == error"]), "");
    let bad = "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0";
    let check = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"];
    assert_eq!(tshark(&files.pcap, &[&check[..], &["-Y", bad]].concat()), "");
    assert_eq!(tshark(&files.pcap, &["-Y", "tcp.analysis.flags"]), "", "a connection that does not fit together");
    assert!(!tshark(&files.pcap, &["-Y", "rtcp.pt == 200"]).is_empty(), "sender reports");
    let asked = tshark(&files.pcap, &["-Y", "http.request", "-T", "fields", "-e", "http.request.uri"]);
    assert!(asked.contains("/chats?") && asked.contains("/events?"), "{asked}");
    let answers = tshark(&files.pcap, &["-Y", "http.response.code == 200 && json"]);
    assert!(answers.lines().count() >= 4, "{answers}");
    let words = tshark(&files.pcap, &["-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"]);
    assert!(words.contains("OFFER_CALL") && words.contains("call_connected"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_were_lost_are_missing_in_the_capture() {
    let (summary, files) = captured(|c| c.faults.rtp_loss_for_test()).await;
    let found = streams(&files.pcap);
    let inbound = found.iter().find(|(packets, _)| *packets == summary.received.packets);
    let (_, lost) = inbound.unwrap_or_else(|| panic!("{found:?} {summary}"));
    assert!(summary.received.lost > 0, "{summary}");
    assert_eq!(*lost, summary.received.lost, "{found:?} {summary}");
}
