#![allow(clippy::unwrap_used)]

use super::*;
use crate::evidence::record::Note;
use crate::evidence::{Evidence, Recorder};
use std::fs;

fn note(n: usize) -> Body {
    Body::Call(Note { event: format!("step_{n}"), fields: Map::new() })
}

fn to(path: &Path) -> RecorderConfig {
    RecorderConfig { evidence: Some(path.to_owned()), ..RecorderConfig::default() }
}

#[test]
fn everything_told_before_the_end_is_on_the_disk_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let recorder = Recorder::start(to(&path)).unwrap();
    (0..500).for_each(|n| recorder.record(note(n)));
    let finished = recorder.finish().unwrap();
    assert_eq!(finished, Finished { records: 501, dropped: 0, problems: Vec::new() });
    let read = Evidence::read(&path).unwrap();
    assert_eq!(read.records.len(), 500);
    assert_eq!(read.records[499].body, note(499));
    assert!(recorder.finish().is_none(), "there is one end");
}

#[test]
fn a_killed_process_loses_no_more_than_the_last_second() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let recorder = Recorder::start(to(&path)).unwrap();
    recorder.record(note(1));
    let begun = Instant::now();
    while fs::read_to_string(&path).unwrap().lines().count() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing was flushed");
        std::thread::yield_now();
    }
    drop(recorder);
}

#[test]
fn without_files_nothing_is_done() {
    let recorder = Recorder::start(RecorderConfig::default()).unwrap();
    recorder.record(note(1));
    assert!(!recorder.is_on() && recorder.tap().is_none() && recorder.observer().0.is_none());
    assert!(recorder.finish().is_none());
}

#[cfg(unix)]
#[test]
fn a_record_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    Recorder::start(to(&path)).unwrap().finish().unwrap();
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Linux has a disk that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_what_it_did_not_take_is_counted() {
    let recorder = Recorder::start(to(Path::new("/dev/full"))).unwrap();
    (0..10).for_each(|n| recorder.record(note(n)));
    let finished = recorder.finish().unwrap();
    assert_eq!((finished.records, finished.dropped), (0, 11), "the first line and ten others");
    assert!(finished.problems[0].contains("No space left"), "{finished:?}");
}

/// A pipe that nobody reads for a while is a slow disk.
#[cfg(unix)]
#[test]
fn a_slow_disk_holds_nobody_up_and_the_record_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let reading = {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut pipe = fs::File::open(path).unwrap();
            wait.recv().unwrap();
            let mut all = Vec::new();
            io::Read::read_to_end(&mut pipe, &mut all).unwrap();
            all
        })
    };
    let recorder = Recorder::start(to(&path)).unwrap();
    let told = 4 * WAITING;
    let begun = Instant::now();
    (0..told).for_each(|n| recorder.record(note(n)));
    // Twice what may wait, so that the pipe is full whenever the thread gets to write.
    let mut more = 0;
    while recorder.0.as_ref().unwrap().counts.records_dropped.load(Ordering::Relaxed) == 0 && more < 1_000_000 {
        recorder.record(note(more));
        more += 1;
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "it was held up");
    go.send(()).unwrap();
    recorder.finish().unwrap();
    drop(recorder);
    let all = reading.join().unwrap();
    let read = Evidence::parse(&all).unwrap();
    let missing: u64 = read
        .records
        .iter()
        .map(|record| if let Body::Dropped(dropped) = &record.body { dropped.records } else { 0 })
        .sum();
    let kept = read.records.iter().filter(|record| matches!(record.body, Body::Call(_))).count() as u64;
    assert!(missing > 0, "nothing was dropped");
    assert_eq!(kept + missing, (told + more) as u64);
}
