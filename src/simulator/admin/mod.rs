//! The admin API: JSON over HTTP, by which tests and engineers drive the center. Described in docs/simulator-admin.md.

pub(super) mod guard;
pub(super) mod log;

use super::center::{BotSettings, By};
use super::config::Hours;
use super::desk::wire::{ChatCommand, DeskCommand, DeskId};
use super::http::UPLOAD_WITHIN;
use super::shared::Shared;
use crate::api::MAX_UPLOAD_BYTES;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Simulator = State<Arc<Shared>>;

/// The most a JSON body may hold.
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// The longest that the log may be waited for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The most of the log in one answer.
const LIMITS: log::Limits = log::Limits { entries: 1000, bytes: 4 * 1024 * 1024 };

/// The routes below `/admin`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(state))
        .route("/chats", get(chats))
        .route("/chats/{chat_id}", get(chat).post(order))
        .route("/chats/{chat_id}/files", post(share_file).layer(DefaultBodyLimit::max(MAX_UPLOAD_BYTES as usize)))
        .route("/files/{file_id}", get(file))
        .route("/desks", get(desks))
        .route("/desks/{desk_id}", post(desk_order))
        .route("/bots", get(bots).patch(set_bots))
        .route("/hours", get(hours).put(set_hours))
        .route("/log", get(read_log))
        .nest("/faults", super::fault::router())
        .nest("/quirks", super::fault::quirks_router())
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
}

/// A request that cannot be done: its status, and why.
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn bad(reason: impl ToString) -> Refused {
    Refused(StatusCode::BAD_REQUEST, reason.to_string())
}

/// Right by its form, but not as things stand.
fn conflict(reason: String) -> Refused {
    Refused(StatusCode::CONFLICT, reason)
}

fn missing(what: String) -> Refused {
    Refused(StatusCode::NOT_FOUND, what)
}

fn done() -> Json<Value> {
    Json(json!({ "ok": true }))
}

/// Reads a JSON body, whatever content type it has: who could send another site's form here is refused before.
pub(super) async fn read_json(request: Request) -> Result<Value, Refused> {
    let body = Bytes::from_request(request, &()).await.map_err(|e| Refused(e.status(), e.body_text()))?;
    serde_json::from_slice(&body).map_err(bad)
}

async fn state(State(shared): Simulator) -> Response {
    shared
        .with(|center, now| {
            Json(json!({
                "open": center.is_open(now),
                "bots": center.bots(),
                "desks": center.desks(),
                "chats": center.chats(),
                "log": center.log().newest(),
            }))
        })
        .into_response()
}

async fn chats(State(shared): Simulator) -> Response {
    Json(json!({ "chats": shared.with(|center, _| center.chats()) })).into_response()
}

async fn chat(State(shared): Simulator, Path(chat_id): Path<String>) -> Result<Response, Refused> {
    let found = shared.with(|center, _| center.chat(&chat_id));
    let (chat, events) = found.ok_or_else(|| missing(format!("there is no chat {chat_id}")))?;
    Ok(Json(json!({ "chat": chat, "events": events })).into_response())
}

async fn order(State(shared): Simulator, Path(chat_id): Path<String>, request: Request) -> Result<Response, Refused> {
    let command = ChatCommand::read(read_json(request).await?).map_err(bad)?;
    if shared.with(|center, _| center.chat(&chat_id).is_none()) {
        return Err(missing(format!("there is no chat {chat_id}")));
    }
    shared.with(|center, now| center.order(&chat_id, command, By::Admin, now)).map_err(conflict)?;
    Ok(done().into_response())
}

#[derive(Deserialize)]
struct FileName {
    #[serde(default)]
    name: String,
}

async fn share_file(
    State(shared): Simulator,
    Path(chat_id): Path<String>,
    Query(FileName { name }): Query<FileName>,
    request: Request,
) -> Result<Response, Refused> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
    // Whoever has no use for the file is told before it is read.
    shared.with(|center, _| center.may_share(&chat_id)).map_err(conflict)?;
    let receive = async {
        let _turn = shared.uploads.acquire().await.map_err(|_| conflict("the simulator is closing".into()))?;
        Bytes::from_request(request, &()).await.map_err(|e| Refused(e.status(), e.body_text()))
    };
    let too_slow = |_| Refused(StatusCode::REQUEST_TIMEOUT, "the upload took too long".into());
    let bytes = tokio::time::timeout(UPLOAD_WITHIN, receive).await.map_err(too_slow)??;
    let name = if name.trim().is_empty() { "file" } else { name.trim() };
    let shared_it = shared.with(|center, now| center.share_file(&chat_id, name, &content_type, bytes, now));
    shared_it.map_err(conflict)?;
    Ok(done().into_response())
}

/// A file of any chat. What clients upload is shown by nobody's browser as a page of the simulator's own.
pub(super) async fn file(State(shared): Simulator, Path(file_id): Path<String>) -> Result<Response, Refused> {
    let file =
        shared.with(|center, _| center.any_file(&file_id)).ok_or_else(|| missing("there is no such file".into()))?;
    let content_type = HeaderValue::from_str(&file.content_type);
    let headers = [
        (header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"))),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, file.bytes).into_response())
}

async fn desks(State(shared): Simulator) -> Response {
    Json(json!({ "desks": shared.with(|center, _| center.desks()) })).into_response()
}

async fn desk_order(
    State(shared): Simulator,
    Path(desk_id): Path<DeskId>,
    request: Request,
) -> Result<Response, Refused> {
    let command: DeskCommand = serde_json::from_value(read_json(request).await?).map_err(bad)?;
    shared.with(|center, now| center.desk_order(desk_id, command, now)).map_err(conflict)?;
    Ok(done().into_response())
}

async fn bots(State(shared): Simulator) -> Response {
    Json(shared.with(|center, _| center.bots())).into_response()
}

async fn set_bots(State(shared): Simulator, request: Request) -> Result<Response, Refused> {
    let change: BotSettings = serde_json::from_value(read_json(request).await?).map_err(bad)?;
    let bots = shared.with(|center, now| center.set_bots(change, now).map(|()| center.bots())).map_err(bad)?;
    Ok(Json(bots).into_response())
}

/// The hours, as they are set: `true` (always), `false` (never), or such as `"08:00-18:00+02:00"`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursSetting {
    open: OpenSetting,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum OpenSetting {
    Always(bool),
    Daily(String),
}

async fn hours(State(shared): Simulator) -> Response {
    Json(json!({ "open": shared.with(|center, now| center.is_open(now)) })).into_response()
}

async fn set_hours(State(shared): Simulator, request: Request) -> Result<Response, Refused> {
    let setting: HoursSetting = serde_json::from_value(read_json(request).await?).map_err(bad)?;
    let hours = match setting.open {
        OpenSetting::Always(true) => Hours::AlwaysOpen,
        OpenSetting::Always(false) => Hours::Closed,
        OpenSetting::Daily(text) => text.parse().map_err(bad)?,
    };
    shared.with(|center, now| center.set_hours(hours, now));
    Ok(done().into_response())
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    after: u64,
    chat_id: Option<String>,
    /// How long to wait for a first entry, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

async fn read_log(State(shared): Simulator, Query(query): Query<LogQuery>) -> Response {
    let until = Instant::now() + Duration::from_millis(query.wait_ms).min(MAX_WAIT);
    let mut news = shared.watch_log();
    loop {
        news.borrow_and_update();
        let part = shared.with(|center, _| center.log().after(query.after, query.chat_id.as_deref(), LIMITS));
        let over = Instant::now() >= until || shared.closing.is_cancelled();
        if !part.entries.is_empty() || over {
            return Json(json!({ "entries": part.entries, "next": part.next })).into_response();
        }
        tokio::select! {
            _ = news.changed() => {}
            () = shared.closing.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}
