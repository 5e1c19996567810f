//! Message text from servers may hold HTML: people get to see plain text, and no markup is ever run.

/// Plain text from a message that may hold HTML: line breaks kept, tags and comments dropped, the XML entities, `&nbsp;`
/// and numeric references decoded. Text such as `1 < 2` stays as it is.
pub fn strip_markup(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    // Past the last `>` no tag can end: looking for it again at each `<` would take quadratic time.
    let mut tags_end = html.rfind('>').map_or(0, |at| at + 1);
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        tags_end = tags_end.saturating_sub(at);
        let taken = if rest.starts_with('<') { tag(&rest[..tags_end], &mut out) } else { entity(rest, &mut out) };
        let taken = if taken == 0 {
            out.push_str(&rest[..1]);
            1
        } else {
            taken
        };
        rest = &rest[taken..];
        tags_end = tags_end.saturating_sub(taken);
    }
    out.push_str(rest);
    out
}

/// Takes one tag from the front; gives its length, 0 when it is none.
fn tag(text: &str, out: &mut String) -> usize {
    let Some(after) = text.get(1..) else { return 0 };
    if after.starts_with("!--") {
        // One that never ends hides the rest, as in a browser. `<!-->` is whole (HTML, 13.2.5.43).
        return text["<!".len()..].find("-->").map_or(text.len(), |end| "<!".len() + end + "-->".len());
    }
    let (closes, named) = match after.strip_prefix('/') {
        Some(named) => (true, named),
        None => (false, after),
    };
    if !named.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return 0;
    }
    let Some(end) = tag_end(text) else { return 0 };
    let name: String = named.chars().take_while(char::is_ascii_alphanumeric).take(8).collect();
    let name = name.to_ascii_lowercase();
    if name == "br" || (closes && matches!(name.as_str(), "p" | "div" | "li" | "tr")) {
        out.push('\n');
    }
    end + 1
}

/// The `>` that ends a tag; one inside a quoted attribute does not, unless the quote never closes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Some(at),
            _ => (),
        }
    }
    text.find('>')
}

/// Takes one character reference from the front; gives its length, 0 when it is none.
fn entity(text: &str, out: &mut String) -> usize {
    const NAMED: [(&str, char); 6] =
        [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];
    const LONGEST: usize = "&#1114111;".len();
    let Some(end) = text.bytes().take(LONGEST).position(|b| b == b';') else { return 0 };
    let name = &text[1..end];
    let decoded = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            };
            // A reference must not smuggle in what a terminal would obey.
            code.and_then(char::from_u32).filter(|c| !c.is_control() || *c == '\n' || *c == '\t')
        }
        None => NAMED.iter().find(|(n, _)| *n == name).map(|(_, c)| *c),
    };
    match decoded {
        Some('\u{a0}') => out.push(' '),
        Some(c) => out.push(c),
        None => return 0,
    }
    end + 1
}

/// A text from outside made fit for one line on a terminal: white space in one piece, no control characters and no
/// marks that turn the direction of text, at most 300 characters.
pub fn one_line(text: &str) -> String {
    const LIMIT: usize = 300;
    let is_mark = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| !c.is_control() && !is_mark(*c)));
        if let Some((at, _)) = out.char_indices().nth(LIMIT) {
            out.truncate(at);
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_becomes_plain_text() {
        assert_eq!(strip_markup("123<br>456"), "123\n456");
        assert_eq!(strip_markup("<p>a &amp; b</p>"), "a & b\n");
        assert_eq!(strip_markup("<script>x</script>é<"), "xé<");
        assert_eq!(strip_markup(r#"<a href="x>y" title='>'>link</a>"#), "link");
        assert_eq!(strip_markup("a<!-- b > c -->d<!-->e<!-- f>"), "ade");
    }

    #[test]
    fn text_that_looks_like_markup_stays() {
        for text in ["1 < 2 & 3", "a <b", "AT&T; R&D", "<3", "x &unknown; y", "&", "<", "&#0;", "&#x1b;", "</>"] {
            assert_eq!(strip_markup(text), text);
        }
    }

    #[test]
    fn character_references_are_decoded() {
        assert_eq!(strip_markup("&#39;&#x20AC;&quot;&lt;b&gt;&nbsp;&#160;."), "'€\"<b>  .");
    }

    #[test]
    fn a_tag_whose_quote_never_closes_ends_at_its_bracket() {
        assert_eq!(strip_markup("<a href=\"x>rest"), "rest");
    }

    #[test]
    fn a_megabyte_of_open_tags_takes_no_time() {
        let begun = std::time::Instant::now();
        for hostile in ["<a".repeat(500_000), "<a'".repeat(300_000), "<!-- >".repeat(200_000), "&".repeat(1_000_000)] {
            strip_markup(&hostile);
        }
        assert!(begun.elapsed().as_secs() < 5, "took {:?}", begun.elapsed());
    }

    #[test]
    fn one_line_holds_nothing_a_terminal_would_obey() {
        assert_eq!(one_line(" a\r\n b\u{1b}[2J\u{202e}c\t"), "a b[2Jc");
        assert_eq!(one_line(&"é".repeat(400)), "é".repeat(300) + "…");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            strip_markup(&text);
        }

        #[test]
        fn no_markup_panics(text in "[<>/&;#!a-z\"' é\n-]{0,60}") {
            strip_markup(&text);
        }

        #[test]
        fn text_without_markup_is_unchanged(text in "[^<&]*") {
            prop_assert_eq!(strip_markup(&text), text);
        }
    }
}
