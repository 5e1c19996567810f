//! How a call ended, in the words a report uses.

use super::TimeLimit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call was connected, and then ended on purpose: by the user, the agent (END_CALL or leaving the chat), or
    /// because the chat itself ended.
    Completed,
    /// Somebody said no: the agent refused our request (or ended it without an offer), or the user declined an incoming
    /// call (or hung up before accepting it).
    Rejected,
    /// Nobody said anything in time: no offer came for our request, no answer for our offer, or an incoming call was
    /// not accepted before the limit or before the agent gave up.
    NoAnswer,
    /// It was tried and did not work: an offer that cannot be applied, no connection or no media in time, a broken
    /// peer or sound device, also after it was connected; or the agent stopped while it was being connected.
    Failed,
    /// There was nobody to call: the agent left or the chat ended before an offer came.
    Unavailable,
    /// The user hung up before the call was connected; not an incoming call that was never accepted.
    Cancelled,
    /// The call ran, its sound stopped, and it could not be brought back.
    Lost,
}

impl Outcome {
    /// The name in reports: `completed`, `rejected`, `no_answer`, `failed`, `unavailable`, `cancelled` or `lost`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::NoAnswer => "no_answer",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who or what ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The user of this phone.
    Local,
    /// The agent, or the server for the agent.
    Remote,
    /// The chat, which ended with the call in it.
    Chat,
    /// A time limit.
    TimeLimit(TimeLimit),
    /// Something broke on this side: the peer, a session description, a sound device.
    Fault,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEnd {
    /// What came of it.
    pub outcome: Outcome,
    /// One sentence for a person, without a full stop. May quote the agent's side (at most 200 characters of it,
    /// without control characters).
    pub reason: String,
    /// The `reason_code` of CALL_REJECTED, as the server wrote it (at most 200 characters).
    pub code: Option<String>,
    /// Who ended it.
    pub ended_by: EndedBy,
}
