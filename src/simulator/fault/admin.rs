//! Ordering faults and choosing quirks while the center runs: JSON below `/admin/faults` and `/admin/quirks`.

use super::spec::Order;
use super::{Fault, Ordered};
use crate::simulator::quirks::{Quirk, Quirks};
use crate::simulator::shared::Shared;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type Simulator = State<Arc<Shared>>;

/// The routes below `/admin/faults`.
pub(in crate::simulator) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/", get(list).post(order).delete(clear)).route("/{id}", axum::routing::delete(take_back))
}

/// The routes below `/admin/quirks`.
pub(in crate::simulator) fn quirks_router() -> Router<Arc<Shared>> {
    Router::new().route("/", get(quirks).post(choose).delete(no_quirks))
}

#[derive(Serialize)]
struct Faults {
    seed: u64,
    faults: Vec<Ordered>,
}

async fn list(State(shared): Simulator) -> Json<Faults> {
    Json(shared.with(|center, _| {
        let faults = center.faults();
        Faults { seed: faults.seed(), faults: faults.list() }
    }))
}

/// One order or several, each as a line or as an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Orders {
    Many(Vec<Order>),
    One(Order),
}

async fn order(State(shared): Simulator, body: Result<Json<Orders>, JsonRejection>) -> Response {
    let orders = match body {
        Ok(Json(Orders::Many(orders))) => orders,
        Ok(Json(Orders::One(order))) => vec![order],
        Err(error) => return refuse(error.body_text()),
    };
    // All or none.
    let faults: Result<Vec<Fault>, String> = orders.into_iter().map(Fault::try_from).collect();
    match faults {
        Err(error) => refuse(error),
        Ok(faults) => {
            let ordered: Vec<Ordered> = shared.with(|center, _| {
                let ids: Vec<u64> = faults.into_iter().map(|fault| center.faults().add(fault)).collect();
                center.faults().list().into_iter().filter(|o| ids.contains(&o.id)).collect()
            });
            (StatusCode::CREATED, Json(ordered)).into_response()
        }
    }
}

async fn clear(State(shared): Simulator) -> StatusCode {
    shared.with(|center, _| center.faults().clear());
    StatusCode::NO_CONTENT
}

async fn take_back(State(shared): Simulator, Path(id): Path<u64>) -> Response {
    if shared.with(|center, _| center.faults().remove(id)) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let error = serde_json::json!({ "error": format!("no fault {id} is ordered") });
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}

#[derive(Serialize)]
struct QuirkList {
    quirks: Quirks,
    available: Vec<Available>,
}

#[derive(Serialize)]
struct Available {
    name: &'static str,
    does: &'static str,
}

async fn quirks(State(shared): Simulator) -> Json<QuirkList> {
    let quirks = shared.with(|center, _| center.quirks().chosen().clone());
    let available = Quirk::ALL.iter().map(|q| Available { name: q.name(), does: q.does() }).collect();
    Json(QuirkList { quirks, available })
}

async fn choose(state: Simulator, body: Result<Json<Quirks>, JsonRejection>) -> Response {
    match body {
        Err(error) => refuse(error.body_text()),
        Ok(Json(chosen)) => {
            state.0.with(|center, _| center.choose_quirks(chosen));
            quirks(state).await.into_response()
        }
    }
}

async fn no_quirks(State(shared): Simulator) -> StatusCode {
    shared.with(|center, _| center.choose_quirks(Quirks::default()));
    StatusCode::NO_CONTENT
}

fn refuse(error: String) -> Response {
    (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": error }))).into_response()
}
