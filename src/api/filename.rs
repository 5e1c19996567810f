//! Names for files that a server sends: what it calls them may not leave the folder, hide, or overwrite anything.

use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Room for ` (999).part` below the 255 bytes that most file systems allow.
const MAX_BYTES: usize = 200;

/// Names taken before giving up.
const MAX_SAME: u32 = 10_000;

/// A file name made from any text: the last part of a path, without leading dots, control characters, direction marks
/// and what Windows reserves, at most 200 bytes long. `fallback` when nothing is left.
pub fn safe(name: &str, fallback: &str) -> String {
    let last = name.split(['/', '\\']).rev().find(|part| !clean(part).is_empty()).unwrap_or_default();
    let mut cleaned = clean(last);
    if cleaned.is_empty() {
        return fallback.to_owned();
    }
    if is_reserved(&cleaned) {
        cleaned.insert(0, '_');
    }
    shortened(&cleaned)
}

/// `name (n).ext` for the nth file of a name.
pub fn numbered(name: &str, n: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({n}).{extension}"),
        _ => format!("{name} ({n})"),
    }
}

/// Gives a finished temporary file in `dir` its name, or the first free one after it.
pub(super) fn keep(mut file: NamedTempFile, dir: &Path, name: &str) -> io::Result<PathBuf> {
    for n in 0..MAX_SAME {
        let path = dir.join(if n == 0 { name.to_owned() } else { numbered(name, n) });
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => file = e.file,
            Err(e) => return Err(e.error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there are {MAX_SAME} files named {name}")))
}

fn clean(part: &str) -> String {
    let kept: String = part
        .chars()
        .filter(|c| !c.is_control())
        .filter(
            |c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'),
        )
        .map(|c| if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c })
        .collect();
    let is_edge = |c: char| c == '.' || c.is_whitespace();
    kept.trim_start_matches(is_edge).trim_end_matches(is_edge).to_owned()
}

/// Device names, which Windows opens whatever the folder and the extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let Some(port) = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")) else { return false };
    let mut digits = port.chars();
    matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// Cuts the stem and keeps a short extension.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut end = (MAX_BYTES - extension.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", stem[..end].trim_end_matches(|c: char| c == '.' || c.is_whitespace()))
}
