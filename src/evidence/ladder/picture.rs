//! The flow as SVG: nothing outside of it is needed, light and dark, its text can be selected and read aloud.

use super::{Flow, Kind, Rung};
use std::fmt::{self, Write};

const LEFT: usize = 190;
const GAP: usize = 300;
const TOP: usize = 60;
const STEP: usize = 30;

/// Colours of both themes; the page shares them.
pub(super) const STYLE: &str = "\
.flow{--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--signaling:#0550ae;--media:#116329;--trouble:#a40e26;--http:#57606a;--chat:#1b1f24;--note:#57606a;background:var(--bg);color:var(--fg)}
@media (prefers-color-scheme:dark){.flow{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#3d444d;--signaling:#79c0ff;--media:#7ee787;--trouble:#ff7b72;--http:#9198a1;--chat:#e6edf3;--note:#9198a1}}
.flow text{fill:var(--fg);font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.flow .head{font-weight:600;text-anchor:middle}.flow .time{fill:var(--dim)}.flow .life{stroke:var(--line)}
.flow .label{text-anchor:middle;paint-order:stroke;stroke:var(--bg);stroke-width:5px}.flow .here{text-anchor:start}
.flow .arrow{stroke-width:1.5;fill:none}.flow .wide{stroke-width:3}
.signaling{--c:var(--signaling)}.media{--c:var(--media)}.trouble{--c:var(--trouble)}.http{--c:var(--http)}.chat{--c:var(--chat)}.note{--c:var(--note)}
.flow g .arrow{stroke:var(--c)}.flow g .tip{fill:var(--c)}.flow g .label{fill:var(--c)}
";

/// The flow as a picture.
pub fn picture(flow: &Flow) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    draw(&mut out, flow);
    out
}

/// The `svg` element alone.
pub(super) fn draw(out: &mut String, flow: &Flow) {
    let heads = flow.heads();
    let right = LEFT + (heads.len() - 1) * GAP;
    let (width, height) = (right + 260, TOP + flow.rungs.len() * STEP + 30 + flow.foot.len() * STEP);
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flow\" role=\"img\" aria-labelledby=\"flow-title flow-desc\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title id=\"flow-title\">Call flow</title>\n<desc id=\"flow-desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--bg)\"/>",
        Escaped(&description(flow))
    );
    for (n, head) in heads.iter().enumerate() {
        let x = LEFT + n * GAP;
        let _ = writeln!(
            out,
            "<line class=\"life\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"/><text class=\"head\" x=\"{x}\" y=\"30\">{}</text>",
            TOP - 18,
            TOP + flow.rungs.len() * STEP,
            Escaped(head)
        );
    }
    for (n, rung) in flow.rungs.iter().enumerate() {
        self::rung(out, flow, rung, TOP + n * STEP + STEP / 2);
    }
    for (n, line) in flow.foot.iter().enumerate() {
        let y = TOP + (flow.rungs.len() + n) * STEP + 34;
        let _ = writeln!(out, "<text x=\"16\" y=\"{y}\">{}</text>", Escaped(line));
    }
    out.push_str("</svg>\n");
}

fn rung(out: &mut String, flow: &Flow, rung: &Rung, y: usize) {
    let x = |lane: super::Lane| LEFT + lane.column() * GAP;
    let (from, to) = (x(rung.from), x(rung.to));
    let words = rung.words();
    let _ = write!(
        out,
        "<g class=\"{}\"><title>{}</title><text class=\"time\" x=\"16\" y=\"{}\">{}</text>",
        rung.kind.name(),
        Escaped(&format!("{:.3} s: {words}", rung.t_ms / 1000.0)),
        y + 4,
        time(flow, rung.t_ms)
    );
    if from == to {
        let _ = write!(
            out,
            "<circle class=\"tip\" cx=\"{from}\" cy=\"{y}\" r=\"4\"/><text class=\"label here\" x=\"{}\" y=\"{}\">{}</text>",
            from + 10,
            y + 4,
            Escaped(&words)
        );
    } else {
        let wide = if rung.kind == Kind::Media { " wide" } else { "" };
        let tip = |at: usize, towards_right: bool| {
            let back = if towards_right { at - 9 } else { at + 9 };
            format!("<path class=\"tip\" d=\"M{at} {y}L{back} {}L{back} {}z\"/>", y - 5, y + 5)
        };
        let _ = write!(out, "<path class=\"arrow{wide}\" d=\"M{from} {y}H{to}\"/>{}", tip(to, to > from));
        if !wide.is_empty() && rung.label.starts_with("ICE") {
            out.push_str(&tip(from, from > to));
        }
        let _ =
            write!(out, "<text class=\"label\" x=\"{}\" y=\"{}\">{}</text>", (from + to) / 2, y - 6, Escaped(&words));
    }
    out.push_str("</g>\n");
}

/// The time of day, and that since the beginning.
pub(super) fn time(flow: &Flow, t_ms: f64) -> String {
    match flow.started {
        Some(started) => {
            let at = started + chrono::Duration::microseconds((t_ms * 1000.0) as i64);
            format!("{} {:>7.3}", at.format("%H:%M:%S%.3f"), t_ms / 1000.0)
        }
        None => format!("{:>7.3} s", t_ms / 1000.0),
    }
}

fn description(flow: &Flow) -> String {
    let mut text = format!("{} steps between {}.", flow.rungs.len(), flow.heads().join(", "));
    for line in &flow.foot {
        let _ = write!(text, " {line}");
    }
    text
}

/// Text inside of XML or HTML, in an element or in an attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML has no place for these (XML 1.0, 2.2).
                c if c.is_control() && !matches!(c, '\n' | '\t') => f.write_char('\u{fffd}')?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
