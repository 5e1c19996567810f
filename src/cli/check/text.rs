//! The check for people: a line a step, and the end.

use crate::check::{Report, Step, StepName, Verdict};
use std::fmt::Write;

/// As wide as the longest title.
const TITLE: usize = 17;
/// As wide as the longest verdict.
const VERDICT: usize = 7;

/// Writes steps and reports.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    colour: bool,
}

impl Text {
    /// With colours, or without.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// The line of a step; what was left out since something else failed is summed up at the end.
    pub fn step(self, step: &Step) -> Option<String> {
        if step.verdict == Verdict::Skipped && is_summed_up(step) {
            return None;
        }
        let verdict = self.paint(step.verdict, &format!("{:VERDICT$}", step.verdict));
        let subject = match (step.name, step.subject()) {
            (StepName::IceServer, Some(url)) => format!("{url} "),
            _ => String::new(),
        };
        let mut line = format!("{verdict}  {:TITLE$}  {subject}{}", step.name.title(), step.message);
        // What says its time itself, or takes none, needs none.
        if step.time_ms >= 1.0 && !matches!(step.name, StepName::Latency | StepName::LoopbackCall) {
            let _ = write!(line, " ({:.0} ms)", step.time_ms);
        }
        Some(line)
    }

    /// The conclusion, and whom to tell what.
    pub fn end(self, report: &Report) -> String {
        let mut text = String::new();
        let left: Vec<&str> = report
            .steps
            .iter()
            .filter(|step| step.verdict == Verdict::Skipped && is_summed_up(step))
            .map(|step| step.name.title())
            .collect();
        if !left.is_empty() {
            let verdict = self.paint(Verdict::Skipped, &format!("{:VERDICT$}", Verdict::Skipped));
            let _ = writeln!(text, "{verdict}  {}", left.join(", "));
        }
        let _ = write!(text, "\n{}", self.paint(report.conclusion.verdict, &report.conclusion.summary));
        for advice in &report.conclusion.advice {
            let _ = write!(text, "\n{advice}");
        }
        text
    }

    fn paint(self, verdict: Verdict, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match verdict {
            Verdict::Ok => "32",
            Verdict::Warning => "33",
            Verdict::Failed => "31",
            Verdict::Skipped => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Left out for a step before it.
fn is_summed_up(step: &Step) -> bool {
    step.message.starts_with("not tried: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::conclude;

    fn step(name: StepName, verdict: Verdict, message: &str) -> Step {
        let (advice, details) = (Vec::new(), serde_json::Map::new());
        Step { name, verdict, message: message.into(), time_ms: 12.4, advice, details }
    }

    #[test]
    fn steps_stand_in_columns() {
        let text = Text::new(false);
        let line = text.step(&step(StepName::Dns, Verdict::Ok, "192.0.2.1"));
        assert_eq!(line.as_deref(), Some("ok       name (DNS)         192.0.2.1 (12 ms)"));
        let longest = StepName::Http.title();
        assert_eq!(longest.len(), TITLE);
    }

    #[test]
    fn colours_are_for_terminals() {
        let line = Text::new(true).step(&step(StepName::Dns, Verdict::Failed, "no")).unwrap_or_default();
        assert!(line.starts_with("\u{1b}[31mfailed \u{1b}[0m"), "{line:?}");
    }

    #[test]
    fn what_was_left_out_is_summed_up() {
        let text = Text::new(false);
        let steps = vec![
            step(StepName::Dns, Verdict::Failed, "the name a.example is not known here"),
            step(StepName::Tcp, Verdict::Skipped, "not tried: name (DNS) failed"),
            step(StepName::Tls, Verdict::Skipped, "not tried: name (DNS) failed"),
        ];
        assert_eq!(text.step(&steps[1]), None);
        let conclusion = conclude(&steps, false);
        let report = Report { conclusion, stopped: false, duration_ms: 1.0, host: "a.example".into(), steps };
        assert_eq!(
            text.end(&report),
            "skipped  connection (TCP), encryption (TLS)\n\n\
             Calls cannot be made. The reason is name (DNS): the name a.example is not known here."
        );
    }
}
