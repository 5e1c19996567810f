//! The admin API: JSON over HTTP, by which tests and engineers drive the center. Described in docs/simulator-admin.md.

pub(super) mod guard;

use super::shared::Shared;
use axum::Router;
use std::sync::Arc;

/// The routes below `/admin`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().nest("/faults", super::fault::router()).nest("/quirks", super::fault::quirks_router())
}
