//! What all steps together say.

use super::finding::Probed;
use super::step::{StepName, Verdict};
use super::words::{Advice, judge, ms};
use serde::Serialize;
use serde_json::{Map, Value};

/// A step, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How it came out.
    pub verdict: Verdict,
    /// In plain words.
    pub message: String,
    /// How long it took.
    pub time_ms: f64,
    /// What to do.
    pub advice: Vec<Advice>,
    /// Its figures; which there are depends on the step.
    pub details: Map<String, Value>,
}

impl Step {
    /// What a probe found, in words.
    pub fn of(probed: &Probed) -> Self {
        let judged = judge(probed);
        Self {
            name: probed.name,
            verdict: judged.verdict,
            message: judged.message,
            time_ms: ms(probed.took),
            advice: judged.advice,
            details: judged.details,
        }
    }

    /// The server that it is about, where there are several steps of the name.
    pub fn subject(&self) -> Option<&str> {
        self.details.get("url").and_then(Value::as_str)
    }
}

/// The end of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conclusion {
    /// Calls can be made.
    pub ok: bool,
    /// The worst that bears on it.
    pub verdict: Verdict,
    /// One or two sentences.
    pub summary: String,
    /// What to do, each once; first what the network department can do.
    pub advice: Vec<Advice>,
}

/// The whole check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What it comes to.
    #[serde(flatten)]
    pub conclusion: Conclusion,
    /// It was stopped before its end.
    pub stopped: bool,
    /// All of it.
    pub duration_ms: f64,
    /// The contact center's host.
    pub host: String,
    /// The steps, in the order of [`StepName`].
    pub steps: Vec<Step>,
}

/// Whether no call can be made when this step fails. One server of several may be of no use, and what only makes calls
/// worse is no failure.
fn is_needed(name: StepName) -> bool {
    !matches!(name, StepName::IceServer | StepName::Nat)
}

/// What the steps come to.
pub fn conclude(steps: &[Step], stopped: bool) -> Conclusion {
    let failed = steps.iter().find(|s| s.verdict == Verdict::Failed && is_needed(s.name));
    let worse: Vec<&Step> = steps.iter().filter(|s| matches!(s.verdict, Verdict::Warning | Verdict::Failed)).collect();
    let in_words = |step: &Step| match step.subject() {
        Some(subject) => format!("{subject}: {}", step.message),
        None => format!("{}: {}", step.name.title(), step.message),
    };
    let (verdict, summary) = if let Some(step) = failed {
        (Verdict::Failed, format!("Calls cannot be made. The reason is {}.", in_words(step)))
    } else if stopped {
        (Verdict::Failed, "The check was stopped before its end.".to_owned())
    } else {
        match worse.as_slice() {
            [] => (Verdict::Ok, "Calls can be made.".to_owned()),
            [one] => (Verdict::Warning, format!("Calls can be made, with one reservation: {}.", in_words(one))),
            [first, rest @ ..] => {
                let more = rest.len();
                (
                    Verdict::Warning,
                    format!("Calls can be made, with reservations: {}; and {more} more.", in_words(first)),
                )
            }
        }
    };
    let mut advice: Vec<Advice> = Vec::new();
    for next in steps.iter().flat_map(|step| &step.advice) {
        if !advice.contains(next) {
            advice.push(next.clone());
        }
    }
    advice.sort_by_key(|advice| advice.to);
    Conclusion { ok: failed.is_none() && !stopped, verdict, summary, advice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Finding;
    use std::time::Duration;

    fn step(name: StepName, verdict: Verdict, advice: &[Advice]) -> Step {
        let message = "so it is".into();
        Step { name, verdict, message, time_ms: 0.0, advice: advice.to_vec(), details: Map::new() }
    }

    #[test]
    fn a_step_that_is_needed_and_failed_means_no_calls() {
        for (name, ok) in [
            (StepName::Dns, false),
            (StepName::Api, false),
            (StepName::MediaPath, false),
            (StepName::Microphone, false),
            (StepName::LoopbackCall, false),
            (StepName::IceServer, true),
            (StepName::Nat, true),
        ] {
            let conclusion = conclude(&[step(name, Verdict::Failed, &[])], false);
            assert_eq!(conclusion.ok, ok, "{name:?}");
            assert_eq!(conclusion.verdict, if ok { Verdict::Warning } else { Verdict::Failed });
        }
        let all_well = conclude(&[step(StepName::Dns, Verdict::Ok, &[])], false);
        assert_eq!((all_well.ok, all_well.summary.as_str()), (true, "Calls can be made."));
    }

    #[test]
    fn a_warning_does_not_stop_calls() {
        let steps = [step(StepName::Hours, Verdict::Warning, &[]), step(StepName::Nat, Verdict::Warning, &[])];
        let conclusion = conclude(&steps, false);
        assert!(conclusion.ok);
        assert_eq!(conclusion.summary, "Calls can be made, with reservations: opening hours: so it is; and 1 more.");
    }

    #[test]
    fn a_check_that_was_stopped_proves_nothing() {
        let conclusion = conclude(&[step(StepName::Dns, Verdict::Ok, &[])], true);
        assert!(!conclusion.ok && conclusion.summary.contains("stopped"));
    }

    #[test]
    fn advice_is_given_once_and_the_network_departments_first() {
        let clock =
            Step::of(&Probed { name: StepName::Clock, took: Duration::ZERO, finding: Finding::Clock(Some(9999)) });
        let portal = Step::of(&Probed {
            name: StepName::Http,
            took: Duration::ZERO,
            finding: Finding::Http { host: "a".into(), found: Err(crate::check::NoAnswer::ProxyPassword) },
        });
        let advice = conclude(&[clock.clone(), portal, clock], false).advice;
        assert_eq!(advice.len(), 2);
        assert_eq!(advice[0].to, crate::check::Audience::NetworkDepartment);
    }
}
