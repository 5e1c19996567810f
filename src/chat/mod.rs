//! The chat session: from Request Chat to the end, over a server that is polled.
//!
//! [`Session`] is a state machine without I/O: commands, the outcome of requests and the time go in, requests to make and
//! events to show come out. [`ChatDriver`] owns one and carries its requests out with [`crate::api::Client`].
//!
//! | part | what it knows |
//! |---|---|
//! | [`session`] | the life of a session; every input and output, and the rules |
//! | [`inbox`] | merging what the poll and Send Events' answers bring: order, each event once |
//! | [`outbox`] | what waits to be sent: two lanes, batches, retries, message ids |
//! | [`parties`] | who takes part; the agent a call can be addressed to |
//! | [`backoff`] | how long to wait after a fault |
//! | `catch_up` | reading in the history what a lost answer would have said |
//! | [`driver`] | requests, tasks and timers |

pub mod backoff;
mod catch_up;
pub mod driver;
mod identity;
pub mod inbox;
pub mod io;
pub mod outbox;
pub mod parties;
mod poll;
mod request;
pub mod session;

pub use driver::ChatDriver;
pub use io::{Action, Cause, ChatEvent, Command, EndReason, Failure, HistoryEvent, Operation, SendError};
pub use outbox::Lane;
pub use parties::{Parties, Party};
pub use session::{Session, SessionConfig};
