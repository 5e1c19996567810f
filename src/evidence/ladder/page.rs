//! The flow as a page that opens offline: the picture, and descriptions and bodies below it.

use super::Flow;
use super::picture::{Escaped, STYLE, draw, time};
use std::fmt::Write;

const PAGE_STYLE: &str = "\
:root{color-scheme:light dark}body{margin:0;font:15px/1.5 system-ui,sans-serif}main{padding:1rem}
.scroll{overflow-x:auto}details{margin:.3rem 0}summary{cursor:pointer;font-family:ui-monospace,monospace}
pre{overflow-x:auto;padding:.6rem;border:1px solid var(--line)}
";

/// The flow as a page.
pub fn page(flow: &Flow) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\"><title>Call flow</title>\n<style>{PAGE_STYLE}{STYLE}</style></head>\n\
         <body class=\"flow\"><main><h1>Call flow</h1>\n"
    );
    for line in &flow.foot {
        let _ = writeln!(out, "<p>{}</p>", Escaped(line));
    }
    out.push_str("<div class=\"scroll\" tabindex=\"0\" aria-label=\"Call flow\">\n");
    draw(&mut out, flow);
    out.push_str("</div>\n");
    let mut details = flow.rungs.iter().filter_map(|rung| Some((rung, rung.detail.as_ref()?))).peekable();
    if details.peek().is_some() {
        out.push_str("<h2>Session descriptions and bodies</h2>\n");
    }
    for (rung, detail) in details {
        let _ = writeln!(
            out,
            "<details><summary>{} {}</summary><pre>{}</pre></details>",
            time(flow, rung.t_ms),
            Escaped(&rung.words()),
            Escaped(detail)
        );
    }
    out.push_str("</main></body></html>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Flow, picture};
    use super::*;
    use crate::evidence::record::{Body, Record, Signaling};
    use serde_json::json;

    fn flow() -> Flow {
        let mut flow = Flow::default();
        let signaling = Signaling {
            sent: false,
            party_id: Some("p".into()),
            name: Some("<script>\"'&\u{1}".into()),
            signal: "OFFER_CALL".into(),
            data: json!({"sdp": "v=0\r\ns=</pre><script>\r\n"}),
        };
        flow.add(&Record { t_ms: 1.5, body: Body::Signaling(signaling) });
        flow
    }

    #[test]
    fn nothing_of_the_far_end_is_markup() {
        for text in [page(&flow()), picture(&flow())] {
            assert!(!text.contains("<script>"), "{text}");
            assert!(text.contains("&lt;script&gt;&quot;&#39;&amp;"), "{text}");
        }
        assert!(page(&flow()).contains("s=&lt;/pre&gt;"));
    }

    #[test]
    fn a_picture_has_a_title_a_description_and_needs_nothing_else() {
        let text = picture(&flow());
        assert!(text.contains("<title id=\"flow-title\">") && text.contains("<desc id=\"flow-desc\">1 steps"));
        assert!(!text.contains("href") && !text.contains("url("), "{text}");
        assert_eq!(text.matches("<g ").count(), text.matches("</g>").count());
    }
}
