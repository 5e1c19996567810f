//! The bridges, a room between the two devices, and the echo canceller behind them, in virtual time.
#![allow(clippy::unwrap_used)]
use crate::{
    audio::{
        device::pair::{Gap, Heard, Pair},
        process::{NoiseSuppressor, ProcessConfig, Processor},
        source::Source,
    },
    samples::AGENT,
};

fn voice(seconds: usize) -> Vec<f32> {
    let mut all = vec![0.0; 16 * 48_000];
    AGENT.source().unwrap().read(&mut all);
    let at = |seconds: f64| (seconds * 48_000.0) as usize;
    let said = AGENT.utterances.iter().flat_map(|said| all[at(said.start_s - 0.1)..at(said.end_s + 0.1)].to_vec());
    said.collect::<Vec<_>>().into_iter().cycle().take(seconds * 48_000).collect()
}

/// A voice is played for so many seconds, and its echo heard.
fn call(ppm: (f64, f64), seconds: usize, gaps: &[Gap]) -> Heard {
    let config = ProcessConfig { echo: true, noise: NoiseSuppressor::Off, gain: false };
    Pair::new(ppm).unwrap().call(&mut Processor::new(&config), &voice(seconds), gaps)
}

fn show(name: &str, heard: &Heard) {
    let seconds = heard.out.len() / 48_000;
    let each: Vec<_> = (0..seconds).map(|n| format!("{:.0}", heard.removed(n, n + 1))).collect();
    println!("{name}: {:.1} dB, {} gaps: {}", heard.removed(2, seconds), heard.gaps, each.join(" "));
}

#[test]
fn devices_of_one_clock_leave_no_echo_whatever_the_call_s_clock_is() {
    for ppm in [0.0, 200.0, -200.0] {
        let heard = call((ppm, ppm), 12, &[]);
        show(&format!("both {ppm} ppm"), &heard);
        assert_eq!(heard.gaps, 0);
        assert!(heard.removed(2, 12) >= 35.0);
    }
}

#[test]
fn devices_whose_clocks_differ_leave_no_echo_once_that_is_learnt() {
    for ppm in [(200.0, -200.0), (-200.0, 200.0)] {
        let heard = call(ppm, 20, &[]);
        show(&format!("{ppm:?} ppm"), &heard);
        assert_eq!(heard.gaps, 0);
        assert!(heard.removed(3, 20) >= 35.0);
    }
}

#[test]
fn a_gap_that_is_counted_changes_nothing_for_the_canceller() {
    let gaps = [Gap::Call(6_000, 150), Gap::Call(6_000, 450), Gap::Call(6_000, 900)];
    for gap in gaps.into_iter().chain([60, 250, 900].map(|length| Gap::Server(6_000, length))) {
        let heard = call((50.0, 50.0), 12, &[gap]);
        show(&format!("{gap:?}"), &heard);
        assert!(heard.gaps > 0, "{gap:?} is no gap");
        // From the gap on, the second in which it is included.
        assert!(heard.removed(6, 12) >= 30.0, "{gap:?}");
        assert!(heard.removed(7, 12) >= 35.0, "{gap:?}");
    }
}

#[test]
fn many_gaps_are_got_over_one_by_one() {
    let gaps: Vec<_> = (0..8)
        .map(|n| match n % 2 {
            0 => Gap::Server(4_000 + n * 1_700, 40 + 30 * n),
            _ => Gap::Call(4_000 + n * 1_700, 60 + 40 * n),
        })
        .collect();
    let heard = call((20.0, 20.0), 22, &gaps);
    show("eight gaps in twelve seconds", &heard);
    assert!(heard.gaps >= 8);
    // A second without a gap is one without an echo.
    let good = (4..22).filter(|&n| heard.removed(n, n + 1) >= 35.0).count();
    assert!(good >= 12, "{good} of 18 seconds");
    assert!(heard.removed(18, 22) >= 35.0);
}

#[test]
fn a_gap_that_nobody_tells_of_is_found_out() {
    for gap in [Gap::Speaker(6_000, 400), Gap::Untold(6_000, 50)] {
        let heard = call((50.0, 50.0), 14, &[gap]);
        show(&format!("{gap:?}"), &heard);
        assert!(heard.removed(10, 14) >= 35.0, "{gap:?}");
    }
}
