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

/// When a call is hung up, a packet that was made may not leave any more, and one that still comes is not played: the report
/// tells of what was made and played, the capture of what passed.
const AT_THE_END: u64 = 2;

/// What `tshark` says of a capture, with RTP looked for by itself.
fn tshark(file: &Path, flags: &[&str]) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-o", "rtp.heuristic_rtp:TRUE", "-r"])
        .arg(file)
        .args(flags)
        .output()
        .unwrap();
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

async fn captured(
    change: impl FnOnce(&mut SimulatorConfig),
) -> (chatphone::cli::summary::CallSummary, evidence_support::Files) {
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
    let found = streams(&files.pcap);
    assert!(found.len() == 2 && found.iter().all(|(_, lost)| *lost == 0), "{found:?}");
    for told in [summary.sent.packets, summary.received.packets] {
        assert!(found.iter().all(|(packets, _)| packets.abs_diff(told) <= AT_THE_END), "{found:?} {summary}");
    }
    let ports = |text: &Option<String>| text.as_ref().unwrap().rsplit(':').next().unwrap().to_owned();
    let (local, remote) = (ports(&summary.ice.local), ports(&summary.ice.remote));
    let other = format!("rtp && !(udp.port == {local} && udp.port == {remote})");
    assert_eq!(tshark(&files.pcap, &["-Y", &other]), "", "every packet has the addresses of the candidate pair");
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
    let (summary, files) = captured(|c| c.faults = vec!["media:loss=10%".parse().unwrap()]).await;
    let found = streams(&files.pcap);
    let (packets, lost) = *found.iter().max_by_key(|(_, lost)| *lost).unwrap();
    assert!(summary.received.lost > 0, "{summary}");
    assert!(lost.abs_diff(summary.received.lost) <= AT_THE_END, "{found:?} {summary}");
    assert!(packets.abs_diff(summary.received.packets) <= AT_THE_END, "{found:?} {summary}");
}
