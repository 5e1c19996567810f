//! Faults on order: what a healthy server, agent or network never does can be asked for, so that a client's handling can
//! be tried.
//!
//! A [`Fault`] says what goes wrong ([`FaultKind`]) and when ([`When`]). It is written `ON:KIND[=ARG][:WHEN]…`, as in
//! `poll:5000:3`, `send-events:delay=200ms-2s:20%` or `media:loss=5%x3`, or as a JSON object of the same parts.
//! `plan` decides which faults strike, from a seed and without I/O; `answer` and `connection` carry them out on HTTP,
//! `call` on signaling, `link` on the agents' RTP. `admin` orders them while the center runs.

mod admin;
mod answer;
mod call;
mod connection;
mod kind;
mod link;
mod method;
mod names;
mod plan;
mod spec;

use super::quirks::Quirks;

pub use kind::{
    CallFault, FAULT_KINDS, FaultKind, HttpFault, KindInfo, MediaFault, RtpFault, Span, Way, parse_loss, parse_time,
};
pub use method::ApiMethod;
pub use plan::Ordered;

pub(super) use admin::{quirks_router, router};
pub(super) use answer::disturb;
pub(super) use call::{CallTrouble, Disturbed, MediaPlan, OnWay};
pub(super) use connection::{Listener, Plug};
pub(super) use link::impair;
pub(super) use plan::{Concerns, Faults};

/// One order of a fault.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "spec::Order", into = "spec::Fields")]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// When, and for whom.
    pub when: When,
}

/// Everything that goes wrong, as a JSON file says it: `{"seed": 7, "faults": ["poll:5000:3"], "quirks": ["all"]}`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultPlan {
    /// Decides what is left to chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The orders, each as a line or as an object.
    pub faults: Vec<Fault>,
    /// The ways of real servers to take on.
    pub quirks: Quirks,
}

/// When a fault strikes. An occasion is a request to the method, a call that is offered, or a call's sound.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// How often in all; `None`: without end.
    pub count: Option<u32>,
    /// Share of the occasions, 0..=1.
    pub rate: f64,
    /// Occasions that are let pass at first.
    pub after: u32,
    /// Of the occasions after those, only each of this number; from 1.
    pub every: u32,
    /// Only for the client of this `clientId`.
    pub client: Option<String>,
    /// Only in this chat.
    pub chat: Option<String>,
    /// Only with the agent of this first name.
    pub agent: Option<String>,
}

impl Default for When {
    /// Each time, for everybody.
    fn default() -> Self {
        Self { count: None, rate: 1.0, after: 0, every: 1, client: None, chat: None, agent: None }
    }
}

#[cfg(test)]
mod tests;
