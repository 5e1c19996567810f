//! Reads a record back.

use super::record::{Body, Header, Record, VERSION};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A record that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Its first line.
    pub header: Header,
    /// Everything else, in the order of time.
    pub records: Vec<Record>,
    /// The last line was cut off: the process that wrote it was killed.
    pub cut_off: bool,
}

/// Why a file is no record.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line of it is damaged.
    #[error("{path}:{line}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found, and what was expected.
        what: String,
    },
}

impl Evidence {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ReadError`]. A last line that was cut off is no error, nor is a kind or a field that is not known.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let bytes = fs::read(path).map_err(|source| ReadError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&bytes).map_err(|(line, what)| ReadError::Damaged { path: path.to_owned(), line, what })
    }

    /// Whether there was a call in it, or one was asked for.
    pub fn has_calls(&self) -> bool {
        self.records.iter().any(|record| matches!(record.body, Body::Call(_)))
    }

    /// Reads what a file holds; the error is the line, from 1, and what is wrong with it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let whole = bytes.is_empty() || bytes.ends_with(b"\n");
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        let last = lines.len();
        let mut lines = lines.into_iter().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        let Some((at, first)) = lines.next() else {
            return Err((1, "the file is empty; the first line of a record is {\"evidence\": 1, …}".into()));
        };
        let header = header(first).map_err(|what| (at + 1, what))?;
        let (mut records, mut cut_off) = (Vec::new(), false);
        for (at, line) in lines {
            match serde_json::from_slice::<Record>(line) {
                Ok(record) => records.push(record),
                Err(_) if at + 1 == last && !whole => cut_off = true,
                Err(error) => return Err((at + 1, describe(line, &error))),
            }
        }
        // Exchanges are written when they end and bear the time they began at.
        records.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
        Ok(Self { header, records, cut_off })
    }
}

fn header(line: &[u8]) -> Result<Header, String> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|e| format!("no record of a call: the first line is not JSON ({})", without_place(&e)))?;
    let Some(version) = value.get("evidence") else {
        return Err("no record of a call: the first line has no \"evidence\"".into());
    };
    match version.as_u64() {
        Some(v) if v == u64::from(VERSION) => {}
        Some(v) if v > u64::from(VERSION) => {
            return Err(format!("a record of version {v}; this chatphone reads version {VERSION}: use a newer one"));
        }
        _ => return Err(format!("\"evidence\" is {version}; {VERSION} was expected")),
    }
    serde_json::from_value(value).map_err(|e| format!("the first line is damaged: {e}"))
}

fn describe(line: &[u8], error: &serde_json::Error) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return format!("not JSON: {} at column {}", without_place(error), error.column());
    };
    match value.get("kind").map(Value::as_str) {
        None => "no \"kind\"; every line but the first has one".into(),
        Some(None) => "\"kind\" is no text".into(),
        Some(Some(kind)) => format!("a damaged {kind:?}: {}", without_place(error)),
    }
}

/// The message without the line, which is one of this one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str =
        r#"{"evidence":1,"product":"chatphone","version":"0.1.0","started":"2026-01-02T03:04:05.678Z","new":[1]}"#;

    fn parse(rest: &str) -> Result<Evidence, (usize, String)> {
        Evidence::parse(format!("{HEADER}\n{rest}").as_bytes())
    }

    #[test]
    fn lines_come_in_the_order_of_time() {
        let read =
            parse("{\"t_ms\":9.5,\"kind\":\"call\",\"event\":\"b\"}\n{\"t_ms\":1,\"kind\":\"call\",\"event\":\"a\"}\n");
        let names: Vec<_> = read
            .unwrap()
            .records
            .into_iter()
            .map(|r| match r.body {
                Body::Call(note) => note.event,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn kinds_and_fields_of_newer_versions_are_passed_over() {
        let read = parse("{\"t_ms\":1,\"kind\":\"hologram\",\"x\":{}}\n{\"t_ms\":2,\"kind\":\"media\",\"sent\":true,\"what\":\"first_packet\",\"ssrc\":7,\"payload_type\":111,\"colour\":3}\n").unwrap();
        assert_eq!(read.records[0].body, Body::Unknown);
        assert!(matches!(&read.records[1].body, Body::Media(media) if media.ssrc == 7));
    }

    #[test]
    fn a_last_line_that_was_cut_off_is_no_error() {
        let read = parse("{\"t_ms\":1,\"kind\":\"call\",\"event\":\"a\"}\n{\"t_ms\":2,\"kind\":\"ca").unwrap();
        assert_eq!((read.records.len(), read.cut_off), (1, true));
    }

    #[test]
    fn a_damaged_line_is_named_by_its_number() {
        let line = |rest: &str| parse(rest).unwrap_err();
        assert_eq!(line("{\"t_ms\":1,\"kind\":\"ca\n{}\n").0, 2);
        assert_eq!(line("\n\n{\"t_ms\":1}\n"), (4, "no \"kind\"; every line but the first has one".into()));
        let (at, what) = line("{\"t_ms\":1,\"kind\":\"media\",\"sent\":\"maybe\"}\n");
        assert!(at == 2 && what.starts_with("a damaged \"media\""), "{what}");
    }

    #[test]
    fn what_is_no_record_is_told_as_such() {
        let what = |text: &str| Evidence::parse(text.as_bytes()).unwrap_err().1;
        assert!(what("").contains("empty"));
        assert!(what("hello\n").contains("not JSON"));
        assert!(what("{}\n").contains("no \"evidence\""));
        assert!(what(&HEADER.replace(":1,", ":2,")).contains("use a newer one"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Evidence::parse(&bytes);
        }

        #[test]
        fn a_record_cut_anywhere_after_its_first_line_can_be_read(cut in 0_usize..90) {
            let rest = "{\"t_ms\":1,\"kind\":\"call\",\"event\":\"a\"}\n{\"t_ms\":2,\"kind\":\"call\",\"event\":\"b\"}\n";
            let text = format!("{HEADER}\n{}", &rest[..cut.min(rest.len())]);
            prop_assert!(Evidence::parse(text.as_bytes()).is_ok());
        }
    }
}
