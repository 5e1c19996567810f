//! Faults and quirks of the answers, carried out on HTTP around the methods themselves.

use super::connection::Plug;
use super::method::ApiMethod;
use super::plan::{Change, Concerns, Instead, Strike};
use crate::simulator::auth::Credentials;
use crate::simulator::error::ApiError;
use crate::simulator::http::API_PATH;
use crate::simulator::shared::Shared;
use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Pieces in which an answer trickles.
const DRIPS: usize = 20;
/// Time for the first half of an answer to leave before the connection is reset.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// Lets a request be carried out, or not, and changes its answer, as is ordered.
pub(in crate::simulator) async fn disturb(
    State(shared): State<Arc<Shared>>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let route = route.as_str().strip_prefix(API_PATH).unwrap_or_default();
    let Some(method) = ApiMethod::of(request.method().as_str(), route) else { return next.run(request).await };
    let chat = chat_of(request.uri().path());
    let client = client_of(&request);
    let plug = request.extensions().get::<ConnectInfo<Plug>>().map(|info| info.0.clone());
    let who = Concerns { client: client.as_deref(), chat: chat.as_deref(), agent: None };
    let Strike { delay, instead, changes } = shared.with(|center, now| center.faults().request(method, who, now));
    if !delay.is_zero() || instead.is_some() || !changes.is_empty() {
        tracing::info!(method = method.name(), ?delay, ?instead, ?changes, "the faults that were ordered");
    }
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shared.closing.cancelled() => {}
        }
    }
    if let Some(instead) = instead {
        return answer_instead(instead, plug, &shared).await;
    }
    if method == ApiMethod::Poll
        && may_be_cached(&request)
        && let Some(answer) = chat.as_ref().and_then(|chat| shared.with(|center, _| center.quirks().cached(chat)))
    {
        return axum::Json(answer).into_response();
    }
    let response = next.run(request).await;
    let response = rewrite(response, method, chat.as_deref(), &changes, &shared).await;
    if changes.is_empty() { response } else { send_badly(response, changes, plug).await }
}

/// The chat in a path of the API.
fn chat_of(path: &str) -> Option<String> {
    // A nested route sees the rest of the path alone.
    let path = path.strip_prefix(API_PATH).unwrap_or(path);
    let mut parts = path.trim_start_matches('/').split('/');
    let chat = (parts.next()? == "chats").then(|| parts.next()).flatten()?;
    (chat != "active").then(|| percent_encoding::percent_decode_str(chat).decode_utf8_lossy().into_owned())
}

/// Whether a proxy may answer in the server's stead: the client does not forbid it, or asks as it did before.
fn may_be_cached(request: &Request) -> bool {
    let forbids = |value: &HeaderValue| value.to_str().is_ok_and(|v| v.contains("no-cache") || v.contains("no-store"));
    let query = request.uri().query().unwrap_or_default();
    let changes = url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name != "tenantUrl");
    !request.headers().get_all(header::CACHE_CONTROL).iter().any(forbids) || !changes
}

fn client_of(request: &Request) -> Option<String> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok();
    Credentials::parse(header).ok()?.client_id
}

async fn answer_instead(instead: Instead, plug: Option<Plug>, shared: &Shared) -> Response {
    match instead {
        Instead::Code(code) => ApiError::new(code).into_response(),
        Instead::Status(status) => {
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Instead::Html => Html("<!DOCTYPE html><title>Sign in</title><p>Sign in.").into_response(),
        Instead::Truncated => {
            ([(header::CONTENT_TYPE, "application/json")], "{\"events\": [{\"event\": \"chat_s").into_response()
        }
        Instead::Empty => StatusCode::OK.into_response(),
        // Nothing is there either; a client that follows must not take it for the API.
        Instead::Redirect => Redirect::to("/sign-in").into_response(),
        Instead::Hang => {
            shared.closing.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        Instead::Reset => {
            reset(plug).await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Resets the connection. Whoever waits for it is dropped with the connection; without one there is nothing to wait for.
async fn reset(plug: Option<Plug>) {
    if let Some(plug) = plug {
        plug.pull();
        std::future::pending::<()>().await;
    }
}

/// Changes what the answer says: events that come twice, late or never, and quirks.
async fn rewrite(
    response: Response,
    method: ApiMethod,
    chat: Option<&str>,
    changes: &[Change],
    shared: &Arc<Shared>,
) -> Response {
    let has_events = matches!(method, ApiMethod::Poll | ApiMethod::SendEvents) && response.status() == StatusCode::OK;
    let quirky = !shared.with(|center, _| center.quirks().is_empty());
    let touched = |chat| has_events && shared.with(|center, _| center.faults().touches_events(chat, changes));
    if !quirky && !chat.is_some_and(touched) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let is_json =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|ty| ty.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return Response::from_parts(parts, body);
    }
    // The center's own answers end.
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let Ok(mut answer) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let mut status = parts.status;
    shared.with(|center, _| {
        if let (true, Some(chat), Some(Value::Array(events))) = (has_events, chat, answer.get_mut("events")) {
            center.faults().change_events(chat, changes, events);
        }
        center.quirks().apply(method, chat, &mut status, &mut answer);
    });
    parts.status = status;
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = if answer.is_null() { Body::empty() } else { Body::from(answer.to_string()) };
    Response::from_parts(parts, body)
}

/// Sends the answer as no healthy server does.
async fn send_badly(response: Response, changes: Vec<Change>, plug: Option<Plug>) -> Response {
    let (mut parts, mut body) = response.into_parts();
    for change in changes {
        match change {
            Change::ContentType(ty) => {
                if let Ok(ty) = HeaderValue::from_str(&ty) {
                    parts.headers.insert(header::CONTENT_TYPE, ty);
                }
            }
            Change::Drip(time) => {
                let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
                parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
                body = drip(bytes, time);
            }
            Change::Cut => {
                let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
                parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
                body = cut(bytes, plug.clone());
            }
            _ => {}
        }
    }
    Response::from_parts(parts, body)
}

fn drip(bytes: Bytes, time: Duration) -> Body {
    let size = bytes.len().div_ceil(DRIPS).max(1);
    let pause = time / u32::try_from(bytes.len().div_ceil(size).max(1)).unwrap_or(1);
    Body::from_stream(futures::stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, std::convert::Infallible>(piece), rest))
    }))
}

fn cut(bytes: Bytes, plug: Option<Plug>) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    Body::from_stream(futures::stream::unfold(Some(half), move |half| {
        let plug = plug.clone();
        async move {
            if let Some(half) = half {
                return Some((Ok(half), None));
            }
            tokio::time::sleep(CUT_AFTER).await;
            reset(plug).await;
            Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), None))
        }
    }))
}
