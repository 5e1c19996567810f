//! Text from outside, made fit for a terminal: a server must not move the cursor, change colours or forge lines.

/// Longest name shown; a longer one is cut.
const LONGEST_NAME: usize = 60;

/// Message text as it may be shown: line breaks are kept, every other control character (with it every escape sequence)
/// becomes a visible sign, and what reverses the direction of text is left out.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' => {
                rest.next_if_eq(&'\n');
                out.push('\n');
            }
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\t' => out.push(' '),
            // Unicode has a picture for each of them.
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            // Tag characters show nothing, and can hide text.
            '\u{e0000}'..='\u{e007f}' => {}
            _ => out.push(c),
        }
    }
    out
}

/// As [`plain`], on one line: for names, links and the like.
pub fn inline(text: &str) -> String {
    plain(text.trim()).replace('\n', " ")
}

/// A name: one line, not too long, never empty.
pub fn name(text: &str) -> String {
    let text = inline(text);
    match text.char_indices().nth(LONGEST_NAME) {
        _ if text.is_empty() => "somebody".into(),
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Whether nothing in it drives a terminal.
#[cfg(test)]
pub fn is_harmless(text: &str) -> bool {
    !text.chars().any(|c| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(plain("\u{1b}[2J\u{7}\u{9b}31mred\u{7f}"), "␛[2J␇\u{fffd}31mred␡");
    }

    #[test]
    fn line_breaks_of_all_kinds_are_one_kind() {
        assert_eq!(plain("a\r\nb\rc\nd\u{2028}e\n\n"), "a\nb\nc\nd\ne");
        assert_eq!(inline(" a\r\nb\tc "), "a b c");
    }

    #[test]
    fn direction_cannot_be_reversed_and_emoji_stay_whole() {
        assert_eq!(plain("a\u{202e}b\u{2066}c 👩\u{200d}💻"), "abc 👩\u{200d}💻");
    }

    #[test]
    fn a_name_is_short_and_never_empty() {
        assert_eq!(name("\n"), "somebody");
        assert_eq!(name("Anna\nLee"), "Anna Lee");
        assert!(name(&"é".repeat(500)).chars().count() <= LONGEST_NAME + 1);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_harmless(text in any::<String>()) {
            prop_assert!(is_harmless(&plain(&text)));
            prop_assert!(is_harmless(&inline(&text)) && !inline(&text).contains('\n'));
            prop_assert!(is_harmless(&name(&text)));
        }
    }
}
