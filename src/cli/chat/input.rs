//! Where lines are read: a thread that reads one when asked to, so that a secret can be asked for between two of them.
//!
//! A terminal stays in its ordinary mode: its own line editing is plain, but a line on its way survives whatever is
//! printed meanwhile, Ctrl-C is a signal at any moment, and no way to end the program leaves a terminal unusable. Only a
//! secret is read without echo; [`Terminal`] puts the terminal back if the program ends meanwhile.

use std::io::BufRead;
use std::sync::mpsc::{Sender, channel};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zeroize::Zeroizing;

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A line of standard input.
    Line,
    /// A line typed on the terminal, not shown.
    Secret,
}

/// What was read.
#[derive(Debug)]
pub enum Read {
    /// A line, without its end.
    Line(Zeroizing<String>),
    /// The secret asked for; an error in words if none can be read.
    Secret(Result<Zeroizing<String>, String>),
    /// Nothing will follow.
    End,
}

/// Standard input.
pub struct Input {
    asks: Sender<Ask>,
    reads: UnboundedReceiver<Read>,
    asked: bool,
    over: bool,
}

impl Input {
    /// Begins; nothing is read yet.
    pub fn start() -> Self {
        let (asks, asks_rx) = channel();
        let (reads_tx, reads) = unbounded_channel();
        std::thread::spawn(move || {
            for ask in asks_rx {
                let read = match ask {
                    Ask::Line => read_line(&mut std::io::stdin().lock()),
                    Ask::Secret => {
                        Read::Secret(rpassword::read_password().map(Zeroizing::new).map_err(|e| e.to_string()))
                    }
                };
                if reads_tx.send(read).is_err() {
                    return;
                }
            }
        });
        Self { asks, reads, asked: false, over: false }
    }

    /// Reads what is asked for. Cancel safe: a read that was begun goes on, and is given next time.
    pub async fn next(&mut self, ask: Ask) -> Read {
        if self.over {
            return Read::End;
        }
        if !self.asked {
            self.asked = self.asks.send(ask).is_ok();
        }
        let read = self.reads.recv().await.unwrap_or(Read::End);
        self.asked = false;
        self.over = matches!(read, Read::End);
        read
    }
}

/// Reads one line. What is no UTF-8 is replaced.
fn read_line(from: &mut impl BufRead) -> Read {
    let mut bytes = Zeroizing::new(Vec::new());
    match from.read_until(b'\n', &mut bytes) {
        Ok(0) | Err(_) => Read::End,
        Ok(_) => {
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            Read::Line(Zeroizing::new(String::from_utf8_lossy(line).into_owned()))
        }
    }
}

/// Puts the terminal back as it was.
pub struct Terminal {
    #[cfg(unix)]
    was: Option<rustix::termios::Termios>,
}

impl Terminal {
    /// Notes how the terminal is now.
    pub fn now() -> Self {
        Self {
            #[cfg(unix)]
            was: rustix::termios::tcgetattr(rustix::stdio::stdin()).ok(),
        }
    }

    /// Puts it back, e.g. when a secret was still being read.
    pub fn put_back(&self) {
        #[cfg(unix)]
        if let Some(was) = &self.was {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), rustix::termios::OptionalActions::Now, was);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_end_in_any_way_and_need_not_be_utf8() {
        let mut from = &b"a\r\n\nb\xff\nlast"[..];
        for expected in ["a", "", "b\u{fffd}", "last"] {
            let Read::Line(line) = read_line(&mut from) else { panic!("no line for {expected}") };
            assert_eq!(*line, expected);
        }
        assert!(matches!(read_line(&mut from), Read::End));
    }
}
