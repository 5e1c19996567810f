//! The agent's desk: a page in a browser, behind which a person (or a test) is the agent.
//!
//! `wire` is what page and simulator say to each other, over `socket`. `roster` (which desk is given a chat) and `line`
//! (the call of a chat at a desk) are state machines; the center owns them. `page` serves the page itself, whose
//! WebRTC peer is the browser's: the simulator only hands its signaling on.

pub(super) mod line;
mod page;
pub(super) mod roster;
mod socket;
pub(super) mod wire;

use super::shared::Shared;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// The routes below `/desk`.
pub(super) fn router() -> Router<Arc<Shared>> {
    page::router().route("/desk/socket", get(socket::open))
}
