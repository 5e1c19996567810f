//! In plain words, why a call sounded bad: what the figures say, and nothing else.
//!
//! The limits are those that recommendations draw: loss and its effect after G.113, delay after G.114 (150 ms is noticed,
//! 400 ms is too much), the rating after G.109 (below 80 some people are dissatisfied).

use serde::Deserialize;
use serde_json::Value;

/// Shares of packets, in percent, from which on they are named.
const LOSS: f64 = 1.0;
/// Jitter that a buffer of usual size cannot hide, in ms.
const JITTER_MS: f64 = 30.0;
/// One way, mouth to ear, in ms.
const DELAY_MS: f64 = 150.0;
/// Losses hang together when their gaps are so much longer than those of losses at random.
const BURSTS: f64 = 1.5;
/// Made-up sound that is heard, in percent of what was played.
const CONCEALED: f64 = 1.0;
/// A machine without processor time to spare, in percent of all cores.
const BUSY: f64 = 90.0;
/// Processor time that the host took away, in percent.
const STEAL: f64 = 10.0;
/// How often sound may be missing at a device before it is named.
const DEVICE: u64 = 3;

/// The figures of a call: those of its report that tell of faults. What is missing tells of none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// From connected to the end.
    pub duration_s: f64,
    /// What was sent.
    pub sent: Sent,
    /// What was received.
    pub received: Received,
    /// How the far end received.
    pub remote: Option<Remote>,
    /// The estimate of quality.
    pub quality: Option<Quality>,
    /// Round-trip time.
    pub rtt_ms: Option<f64>,
    /// Times without sound.
    pub interruptions: Interruptions,
    /// The microphone.
    pub microphone: Option<Device>,
    /// The speaker.
    pub speaker: Option<Device>,
    /// The load of this machine: the worst second.
    pub machine: Option<Machine>,
}

/// Of `sent`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Sent {
    pub packets: u64,
}

/// Of `received`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Received {
    pub packets: u64,
    pub lost: i64,
    pub discarded: u64,
    pub jitter_ms: f64,
    pub concealed_ms: f64,
    pub jitter_buffer_ms: Option<f64>,
    pub total_samples_received: u64,
    pub concealed_samples: u64,
    pub silent_concealed_samples: u64,
    pub fec_packets_received: u64,
}

/// Of `remote`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Remote {
    pub lost: i64,
    pub jitter_ms: f64,
}

/// Of `quality`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Quality {
    pub mos: f64,
    pub rating: f64,
    pub burst_ratio: f64,
    pub one_way_delay_ms: f64,
}

/// Of `interruptions`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Interruptions {
    pub count: u64,
    pub gap_ms: f64,
}

/// Of `microphone` and `speaker`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Device {
    pub underruns: u64,
    pub overruns: u64,
    pub device_xruns: u64,
    pub losses: u64,
}

/// Of `machine`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Machine {
    pub process_cpu_percent: f64,
    pub machine_cpu_percent: f64,
    pub steal_percent: f64,
}

impl Figures {
    /// The figures in a report or in a second's statistics; what is not there, or is something else, tells of no fault.
    pub fn of(report: &Value) -> Self {
        serde_json::from_value(report.clone()).unwrap_or_default()
    }

    /// The machine's load of a second, if it is worse than what was there.
    pub fn worst_load(&mut self, load: &Value) {
        let Ok(load) = serde_json::from_value::<Machine>(load.clone()) else { return };
        let worst = self.machine.get_or_insert_default();
        worst.process_cpu_percent = worst.process_cpu_percent.max(load.process_cpu_percent);
        worst.machine_cpu_percent = worst.machine_cpu_percent.max(load.machine_cpu_percent);
        worst.steal_percent = worst.steal_percent.max(load.steal_percent);
    }
}

/// Why it sounded bad, in one sentence; `None` when the figures show nothing wrong.
pub fn why(figures: &Figures) -> Option<String> {
    let received = &figures.received;
    let sent = figures.sent.packets > 0;
    if sent && received.packets == 0 && figures.duration_s >= 1.0 {
        return Some(
            "Nothing was heard: not one packet came from the agent's side, although packets were sent.".into(),
        );
    }
    let busy = busy(figures);
    let mut causes: Vec<String> = [cut_off(figures), lost(figures), uneven(figures), delayed(figures), device(figures)]
        .into_iter()
        .flatten()
        .collect();
    // A busy machine is named as the cause where there is an effect of a kind it has.
    let by_machine = uneven(figures).is_some() || device(figures).is_some() || received.discarded > 0;
    if let Some(busy) = busy.filter(|_| by_machine) {
        causes.push(busy);
    }
    let heard = (!causes.is_empty()).then(|| format!("What was heard suffered: {}", causes.join("; ")));
    let said = far_end(figures).map(|what| format!("what was said may have suffered at the agent's side: {what}"));
    let sentence = match (heard, said) {
        (Some(heard), Some(said)) => format!("{heard}; {said}."),
        (Some(one), None) | (None, Some(one)) => format!("{one}."),
        (None, None) => return unexplained(figures),
    };
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn cut_off(figures: &Figures) -> Option<String> {
    let Interruptions { count, gap_ms } = figures.interruptions;
    (count > 0).then(|| format!("it was cut off {}, for {:.1} s in all", times(count), gap_ms / 1000.0))
}

fn lost(figures: &Figures) -> Option<String> {
    let received = &figures.received;
    let lost = u64::try_from(received.lost).unwrap_or_default();
    let share = percent(lost, received.packets + lost);
    if share < LOSS {
        return None;
    }
    let bursts = figures.quality.as_ref().is_some_and(|q| q.burst_ratio >= BURSTS);
    let how = if bursts { " in bursts" } else { "" };
    let mended = match received.fec_packets_received {
        0 => String::new(),
        n => format!(" ({n} of them restored)"),
    };
    Some(format!("{share:.1} % of the packets were lost on the way here{how}{mended}{}", made_up(received)))
}

fn uneven(figures: &Figures) -> Option<String> {
    let received = &figures.received;
    let late = percent(received.discarded, received.packets);
    (received.jitter_ms >= JITTER_MS || late >= LOSS).then(|| {
        let late = if late >= LOSS { format!(", {late:.1} % of them too late to be played") } else { String::new() };
        let words = if lost(figures).is_none() { made_up(received) } else { String::new() };
        format!("packets came unevenly (jitter {:.0} ms{late}){words}", received.jitter_ms)
    })
}

fn delayed(figures: &Figures) -> Option<String> {
    let delay = figures.quality.as_ref()?.one_way_delay_ms;
    if delay < DELAY_MS {
        return None;
    }
    let way = figures.rtt_ms.map(|rtt| format!("{:.0} ms of it on the way", rtt / 2.0));
    let buffer = figures.received.jitter_buffer_ms.map(|ms| format!("{ms:.0} ms in the jitter buffer"));
    let parts: Vec<_> = way.into_iter().chain(buffer).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    Some(format!("it took {delay:.0} ms from mouth to ear{parts}"))
}

fn device(figures: &Figures) -> Option<String> {
    let named = [("the microphone", &figures.microphone), ("the speaker", &figures.speaker)];
    let told = named.into_iter().filter_map(|(name, device)| {
        let device = device.as_ref()?;
        if device.losses > 0 {
            return Some(format!("{name} went away {}", times(device.losses)));
        }
        let missed = device.underruns + device.overruns + device.device_xruns;
        (missed >= DEVICE).then(|| format!("{name} missed sound {}", times(missed)))
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| told.join(" and "))
}

fn busy(figures: &Figures) -> Option<String> {
    let machine = figures.machine.as_ref()?;
    if machine.steal_percent >= STEAL {
        return Some(format!("this machine's host took {:.0} % of its processors away", machine.steal_percent));
    }
    let busy = machine.machine_cpu_percent >= BUSY;
    busy.then(|| format!("this machine was busy ({:.0} % of its processors)", machine.machine_cpu_percent))
}

fn far_end(figures: &Figures) -> Option<String> {
    let remote = figures.remote.as_ref()?;
    let lost = u64::try_from(remote.lost).unwrap_or_default();
    let share = percent(lost, figures.sent.packets);
    if share >= LOSS {
        return Some(format!("{share:.1} % of what was sent did not arrive"));
    }
    (remote.jitter_ms >= JITTER_MS).then(|| format!("packets came there unevenly (jitter {:.0} ms)", remote.jitter_ms))
}

/// The estimate is bad and no figure says why.
fn unexplained(figures: &Figures) -> Option<String> {
    let received = &figures.received;
    let heard = received.concealed_samples.saturating_sub(received.silent_concealed_samples);
    let share = percent(heard, received.total_samples_received);
    (share >= CONCEALED).then(|| {
        format!("{share:.1} % of what was heard was made up for sound that was not there in time; no figure says why.")
    })
}

fn made_up(received: &Received) -> String {
    match received.concealed_ms {
        ms if ms >= 1.0 => format!(", and {ms:.0} ms of sound were made up in their place"),
        _ => String::new(),
    }
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

fn percent(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 * 100.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// A call without a fault, with some figures of its own.
    fn figures(change: Value) -> Figures {
        let mut report = json!({
            "duration_s": 20.0,
            "sent": {"packets": 1000},
            "received": {"packets": 1000, "lost": 0, "jitter_ms": 2.0, "concealed_ms": 20.0, "jitter_buffer_ms": 40.0,
                         "total_samples_received": 960_000, "concealed_samples": 960},
            "remote": {"lost": 0, "jitter_ms": 1.0},
            "quality": {"mos": 4.4, "rating": 93.0, "burst_ratio": 1.0, "one_way_delay_ms": 70.0},
            "rtt_ms": 10.0,
        });
        merge(&mut report, change);
        Figures::of(&report)
    }

    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
            }
            (into, from) => *into = from,
        }
    }

    fn of(change: Value) -> String {
        why(&figures(change)).unwrap_or_default()
    }

    #[test]
    fn a_good_call_has_nothing_to_explain() {
        assert_eq!(why(&figures(json!({}))), None);
        assert_eq!(why(&Figures::default()), None, "a call that never was");
    }

    #[test]
    fn losses_at_random_and_in_bursts_are_told_apart() {
        let lost = json!({"received": {"packets": 950, "lost": 50, "concealed_ms": 300.0, "fec_packets_received": 30}});
        let random = of(lost.clone());
        assert_eq!(
            random,
            "What was heard suffered: 5.0 % of the packets were lost on the way here (30 of them restored), and 300 ms of \
             sound were made up in their place."
        );
        let mut bursts = lost;
        merge(&mut bursts, json!({"quality": {"burst_ratio": 3.0}}));
        assert!(of(bursts).contains("lost on the way here in bursts"));
    }

    #[test]
    fn a_call_that_was_cut_off_says_for_how_long() {
        let text = of(json!({"interruptions": {"count": 2, "gap_ms": 4300.0}}));
        assert_eq!(text, "What was heard suffered: it was cut off 2 times, for 4.3 s in all.");
    }

    #[test]
    fn jitter_is_named_with_what_came_too_late() {
        let text = of(json!({"received": {"jitter_ms": 45.0, "discarded": 40}}));
        assert!(text.contains("unevenly (jitter 45 ms, 4.0 % of them too late"), "{text}");
        assert!(!text.contains("lost"), "{text}");
    }

    #[test]
    fn delay_is_told_with_where_it_comes_from() {
        let text = of(json!({"rtt_ms": 400.0, "quality": {"one_way_delay_ms": 266.0}}));
        assert!(
            text.contains("266 ms from mouth to ear (200 ms of it on the way, 40 ms in the jitter buffer)"),
            "{text}"
        );
    }

    #[test]
    fn a_device_that_misses_sound_or_goes_away_is_named() {
        let text = of(json!({"speaker": {"underruns": 12}, "microphone": {"losses": 1}}));
        assert!(text.contains("the microphone went away once and the speaker missed sound 12 times"), "{text}");
        assert_eq!(of(json!({"speaker": {"underruns": 2}})), "", "as at the beginning of any call");
    }

    #[test]
    fn a_busy_machine_is_named_only_where_it_had_an_effect() {
        let busy = json!({"machine": {"machine_cpu_percent": 99.0}});
        assert_eq!(of(busy.clone()), "");
        let mut with_effect = busy;
        merge(&mut with_effect, json!({"speaker": {"underruns": 30}}));
        let text = of(with_effect);
        assert!(text.contains("this machine was busy (99 % of its processors)"), "{text}");
        let stolen = of(json!({"received": {"jitter_ms": 50.0}, "machine": {"steal_percent": 30.0}}));
        assert!(stolen.contains("host took 30 % of its processors away"), "{stolen}");
    }

    #[test]
    fn loss_on_the_way_there_is_what_the_agent_heard() {
        let text = of(json!({"remote": {"lost": 30}}));
        assert_eq!(text, "What was said may have suffered at the agent's side: 3.0 % of what was sent did not arrive.");
    }

    #[test]
    fn a_call_without_a_packet_from_the_agent_says_so() {
        let text = of(json!({"received": {"packets": 0}}));
        assert!(text.starts_with("Nothing was heard"), "{text}");
    }

    #[test]
    fn concealment_without_a_cause_is_not_given_one() {
        let text = of(json!({"received": {"concealed_samples": 48_000}}));
        assert!(text.ends_with("no figure says why."), "{text}");
    }

    #[test]
    fn the_worst_second_is_the_load() {
        let mut figures = Figures::default();
        figures.worst_load(&json!({"machine_cpu_percent": 95.0, "steal_percent": 1.0}));
        figures.worst_load(&json!({"machine_cpu_percent": 5.0, "steal_percent": 3.0}));
        let worst = figures.machine.unwrap();
        assert_eq!((worst.machine_cpu_percent, worst.steal_percent), (95.0, 3.0));
    }
}
