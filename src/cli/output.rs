//! What goes to standard output, and whether it still goes anywhere.

use std::io::{self, Write};

/// Prints a text and a line break. A reader that has gone, as `head` does, is no failure: what the command came to is
/// told by its exit code all the same.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Whether an error only says that the reader of standard output has gone, as `head` does.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
