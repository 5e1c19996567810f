//! What happened in a call, for others to look at: one record, and views of it.
//!
//! | part | what it is |
//! |---|---|
//! | [`record`], [`reader`] | the record: JSON Lines with a version, and how to read them back (docs/evidence.md) |
//! | [`redact`] | what is taken out, in one place: nothing is written that did not go through it |
//! | [`recorder`] | the handle that takes what happens, and the thread that writes it |
//! | [`watch`] | eyes on the API client and on the packets |
//! | [`machine`] | how busy this machine is |
//! | [`ladder`] | the call flow: as text, as SVG, as a page |
//! | [`pcap`] | signaling and decrypted media as a capture file |
//! | [`why`] | in plain words, why a call sounded bad |
//!
//! It stands beside the command line, which tells it of events by name: a new event of the phone needs nothing here.

pub mod ladder;
pub mod machine;
pub mod pcap;
pub mod reader;
pub mod record;
pub mod recorder;
pub mod redact;
pub mod watch;
pub mod why;

pub use reader::{Evidence, ReadError};
pub use record::{Body, Header, Record, VERSION};
pub use recorder::{Finished, Recorder, RecorderConfig};

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a file, or one that is there empty. What is in it is nobody's business but its owner's.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
