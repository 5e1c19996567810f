//! The flow for a terminal.

use super::{Flow, Kind, Rung, clean_lines};
use std::fmt::Write;

/// Columns are this wide at least; a narrower terminal wraps.
const NARROW: usize = 16;
/// And no wider: arrows over half a screen are hard to follow.
const WIDE: usize = 44;
/// Left of the first column, beside the times.
const MARGIN: usize = 6;

/// How a flow is laid out.
#[derive(Debug, Clone, Copy)]
pub struct TextLayout {
    /// Characters in a line.
    pub width: usize,
    /// Colours, by escape sequences.
    pub color: bool,
    /// Session descriptions (and bodies of exchanges) below their rungs.
    pub sdp: bool,
}

impl Default for TextLayout {
    fn default() -> Self {
        Self { width: 110, color: false, sdp: false }
    }
}

impl TextLayout {
    /// The flow, line by line.
    pub fn show(&self, flow: &Flow) -> String {
        let heads = flow.heads();
        // Time of day and time since the line before.
        let times = if flow.started.is_some() { 24 } else { 11 };
        let room = self.width.saturating_sub(times + MARGIN + 10);
        let gap = (room / (heads.len() - 1).max(1)).clamp(NARROW, WIDE);
        let column = |lane: usize| MARGIN + lane * gap;
        let width = column(heads.len() - 1) + 1;
        let mut out = String::new();

        let mut line = vec![' '; width + 12];
        for (lane, head) in heads.iter().enumerate() {
            let short: Vec<char> = head.chars().take(gap - 2).collect();
            put(&mut line, column(lane).saturating_sub(short.len() / 2), &short);
        }
        out += &" ".repeat(times);
        out += line.iter().collect::<String>().trim_end();
        out.push('\n');

        let mut before = 0.0;
        for rung in &flow.rungs {
            let mut line = vec![' '; width];
            (0..heads.len()).for_each(|lane| line[column(lane)] = '|');
            draw(&mut line, rung, &column, self.width.saturating_sub(times).max(width));
            let drawn: String = line.iter().collect();
            let since = format!("+{:.3}", (rung.t_ms - before) / 1000.0);
            match flow.started {
                Some(started) => {
                    let at = started + chrono::Duration::microseconds((rung.t_ms * 1000.0) as i64);
                    let _ = write!(out, "{}{since:>11} ", at.format("%H:%M:%S%.3f"));
                }
                None => {
                    let _ = write!(out, "{:>8.3} s ", rung.t_ms / 1000.0);
                }
            }
            before = rung.t_ms;
            match color(rung.kind).filter(|_| self.color) {
                Some(color) => {
                    let _ = writeln!(out, "\x1b[{color}m{}\x1b[0m", drawn.trim_end());
                }
                None => {
                    let _ = writeln!(out, "{}", drawn.trim_end());
                }
            }
            if let Some(detail) = rung.detail.as_deref().filter(|_| self.sdp) {
                for detail in clean_lines(detail) {
                    let _ = writeln!(out, "{}{detail}", " ".repeat(times + MARGIN + 4));
                }
            }
        }
        for line in &flow.foot {
            let _ = writeln!(out, "\n{line}");
        }
        out
    }
}

/// Draws a rung into its line, which ends at `limit`.
fn draw(line: &mut Vec<char>, rung: &Rung, column: &impl Fn(usize) -> usize, limit: usize) {
    let words = rung.words();
    let (from, to) = (column(rung.from.column()), column(rung.to.column()));
    if rung.from == rung.to {
        let mark = if rung.kind == Kind::Trouble { '!' } else { '*' };
        let space = limit.saturating_sub(from + 3).max(8);
        let text: Vec<char> = format!("{mark} {}", shortened(&words, space)).chars().collect();
        put(line, from, &text);
        return;
    }
    let (left, right) = (from.min(to), from.max(to));
    let fill = if rung.kind == Kind::Media { '=' } else { '-' };
    (left + 1..right).for_each(|at| line[at] = fill);
    let both = rung.kind == Kind::Media && rung.label.starts_with("ICE");
    if to > from || both {
        line[right - 1] = '>';
    }
    if to < from || both {
        line[left + 1] = '<';
    }
    let space = right - left - 6;
    let text: Vec<char> = format!(" {} ", shortened(&words, space)).chars().collect();
    put(line, left + 1 + (right - left - 1).saturating_sub(text.len()) / 2, &text);
}

fn shortened(text: &str, space: usize) -> String {
    if text.chars().count() <= space {
        return text.to_owned();
    }
    text.chars().take(space.saturating_sub(1)).chain(['…']).collect()
}

fn put(line: &mut Vec<char>, at: usize, text: &[char]) {
    if line.len() < at + text.len() {
        line.resize(at + text.len(), ' ');
    }
    line[at..at + text.len()].copy_from_slice(text);
}

/// SGR parameters (ECMA-48, 8.3.117).
fn color(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Signaling => Some("36"),
        Kind::Media => Some("32"),
        Kind::Http => Some("2"),
        Kind::Trouble => Some("31"),
        Kind::Chat | Kind::Note => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::record::{Body, Media, Note, Record, Signaling};
    use serde_json::json;

    fn signal(t_ms: f64, sent: bool, signal: &str, data: serde_json::Value) -> Record {
        let (party_id, name) = (Some("p1".into()), Some("Ann\u{1b}[2J".into()));
        Record { t_ms, body: Body::Signaling(Signaling { sent, party_id, name, signal: signal.into(), data }) }
    }

    fn flow(records: &[Record]) -> Flow {
        let mut flow = Flow::default();
        records.iter().for_each(|record| flow.add(record));
        flow
    }

    #[test]
    fn candidates_in_a_row_share_a_rung() {
        let candidate = || signal(2.0, false, "ICE_CANDIDATE", json!({}));
        let flow = flow(&[
            signal(1.0, true, "REQUEST_CALL", json!({})),
            candidate(),
            candidate(),
            candidate(),
            signal(9.0, true, "END_CALL", json!({})),
        ]);
        let text = TextLayout::default().show(&flow);
        assert!(text.contains(" REQUEST_CALL -") && text.contains(" ICE_CANDIDATE x3 "), "{text}");
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn arrows_point_the_way_and_cross_the_center() {
        let flow = flow(&[signal(0.0, true, "REQUEST_CALL", json!({})), signal(5.0, false, "OFFER_CALL", json!({}))]);
        let text = TextLayout::default().show(&flow);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("customer") && lines[0].contains("contact center") && lines[0].contains("Ann"));
        assert!(lines[1].ends_with(">|") && lines[1].contains("|-"), "{text}");
        assert!(lines[2].ends_with("-|") && lines[2].contains("|<-"), "{text}");
    }

    #[test]
    fn nothing_of_the_far_end_is_obeyed_by_a_terminal() {
        let hostile = json!({"sdp": "v=0\r\na=\u{1b}]0;x\u{7}\u{202e}\r\n", "reason": "\u{1b}[31mred"});
        let flow = flow(&[signal(0.0, false, "CALL_REJECTED\u{9b}1m", hostile)]);
        let text = TextLayout { sdp: true, ..TextLayout::default() }.show(&flow);
        assert!(text.contains("a=]0;x"), "{text}");
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
    }

    #[test]
    fn colour_is_for_terminals_alone() {
        let flow = flow(&[signal(0.0, true, "REQUEST_CALL", json!({}))]);
        assert!(!TextLayout::default().show(&flow).contains('\u{1b}'));
        assert!(TextLayout { color: true, ..TextLayout::default() }.show(&flow).contains("\u{1b}[36m"));
    }

    #[test]
    fn every_width_can_be_drawn() {
        let flow = flow(&[
            signal(0.0, true, "REQUEST_CALL_WITH_A_LONG_NAME_THAT_FITS_NOWHERE", json!({})),
            Record {
                t_ms: 1.0,
                body: Body::Media(Media {
                    sent: true,
                    what: "first_packet".into(),
                    ssrc: 1,
                    payload_type: 111,
                    gap_ms: None,
                }),
            },
            Record { t_ms: 2.0, body: Body::Call(Note { event: "call_dances".into(), fields: Default::default() }) },
        ]);
        for width in 0..200 {
            let text = TextLayout { width, ..TextLayout::default() }.show(&flow);
            assert!(text.contains("* dances"), "{text}");
            assert!(width < 80 || text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
        }
    }

    #[test]
    fn the_foot_says_why_it_sounded_bad() {
        let report = json!({"outcome": "completed", "reason": "hung up",
            "received": {"packets": 90, "lost": 10}, "sent": {"packets": 100}, "duration_s": 2.0});
        let serde_json::Value::Object(report) = report else { unreachable!() };
        let flow = flow(&[Record { t_ms: 1.0, body: Body::Outcome(report) }]);
        let text = TextLayout::default().show(&flow);
        assert!(text.contains("Outcome: completed: hung up") && text.contains("10.0 % of the packets"), "{text}");
    }
}
