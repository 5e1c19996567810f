//! The HTTP face of the center: routes, who may pass, bodies in and out.

use super::admin;
use super::auth::{self, COOKIE, ClientKey, Credentials};
use super::desk;
use super::error::ApiError;
use super::fault::{self, ApiMethod};
use super::files::StoredFile;
use super::shared::Shared;
use super::widget;
use crate::api::types::{ChatRequest, ExpectedParameters, IceServers, ServerEvents, UploadedFile};
use crate::api::{ClientEvent, ErrorCode, MAX_UPLOAD_BYTES};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Path of the API below the center's address.
pub(super) const API_PATH: &str = "/clientweb/api/v1";
/// The most a JSON body may hold: an SDP has some kilobytes, a message less.
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// The most of a too large upload that is read (and thrown away) so that the client gets to read the error.
const MAX_DRAINED_BYTES: usize = 4 * MAX_UPLOAD_BYTES as usize;
/// How long an upload may take: a client that stalls must not keep the others waiting for their turn.
pub(super) const UPLOAD_WITHIN: Duration = Duration::from_secs(300);
/// The most events in one request.
const MAX_EVENTS: usize = 1000;

type Simulator = State<Arc<Shared>>;
type Caller = Extension<ClientKey>;

/// Every method of the API, behind the checks that are the same for all.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    use ApiMethod as M;
    let api = Router::new()
        .route(M::Availability.path(), get(availability))
        .route(M::Parameters.path(), get(parameters))
        .route(M::RequestChat.path(), post(request_chat))
        .route(M::ActiveChat.path(), get(active_chat))
        .route(M::Poll.path(), get(poll).post(send_events))
        .route(M::History.path(), get(history))
        .route(M::Upload.path(), post(upload).layer(DefaultBodyLimit::max(MAX_DRAINED_BYTES)))
        .route(M::File.path(), get(file))
        .route(M::Photo.path(), get(photo))
        .route(M::IceServers.path(), get(ice_servers))
        .route(M::Configuration.path(), get(configuration))
        .route_layer(axum::middleware::from_fn_with_state(shared.clone(), check))
        .route_layer(axum::middleware::from_fn_with_state(shared.clone(), fault::disturb))
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES));
    let inside = Router::new()
        .nest("/admin", admin::router())
        .merge(desk::router())
        .layer(axum::middleware::from_fn(admin::guard::same_site));
    Router::new().nest(API_PATH, api).merge(inside).with_state(shared)
}

/// What every request is asked first: does it name the tenant, and who sends it?
async fn check(State(shared): Simulator, route: MatchedPath, mut request: Request, next: Next) -> Response {
    let route = route.as_str().strip_prefix(API_PATH).unwrap_or_default();
    let Some(method) = ApiMethod::of(request.method().as_str(), route) else { return next.run(request).await };
    let (client, new_cookie) = match identify(&shared, &request, method) {
        Ok(identity) => identity,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(client);
    let mut response = next.run(request).await;
    // Proxies and browsers may keep what is not marked, also a poll's answer.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    if let Some(cookie) = new_cookie
        .and_then(|id| HeaderValue::from_str(&format!("{COOKIE}={id}; Path={API_PATH}; HttpOnly; SameSite=Lax")).ok())
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Who sends the request, and the cookie it should be given.
fn identify(
    shared: &Arc<Shared>,
    request: &Request,
    method: ApiMethod,
) -> Result<(ClientKey, Option<String>), ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let tenant = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "tenantUrl");
    shared.with(|center, _| center.check_tenant(tenant.as_ref().map(|(_, value)| value.as_ref())))?;
    let headers = request.headers();
    let authorization = match headers.get(header::AUTHORIZATION).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return Err(ApiError::new(ErrorCode::AuthorizationFormat)),
    };
    let credentials = Credentials::parse(authorization)?;
    shared.with(|center, _| center.check_application(&credentials, method == ApiMethod::RequestChat))?;
    // The first character keeps cookies and chosen ids apart.
    match credentials.client_id {
        Some(id) => Ok((ClientKey(format!("i{id}")), None)),
        None => match known_cookie(headers) {
            Some(id) => Ok((ClientKey(format!("c{id}")), None)),
            None => {
                let id = uuid::Uuid::new_v4().to_string();
                Ok((ClientKey(format!("c{id}")), Some(id)))
            }
        },
    }
}

fn known_cookie(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::COOKIE).iter().filter_map(|h| h.to_str().ok()).find_map(|h| auth::cookie(h, COOKIE))
}

/// Reads a JSON body.
async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|e| ApiError::because(ErrorCode::InvalidJson, e.body_text()))?;
    serde_json::from_slice(&body).map_err(|e| ApiError::because(ErrorCode::InvalidJson, e.to_string()))
}

async fn availability(State(shared): Simulator) -> Response {
    Json(shared.with(|center, now| center.availability(now))).into_response()
}

async fn parameters(State(shared): Simulator) -> Response {
    let parameters = shared.config.parameters.clone();
    Json(ExpectedParameters { parameters, ..Default::default() }).into_response()
}

async fn request_chat(
    State(shared): Simulator,
    Extension(client): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let body: ChatRequest = read_json(request).await?;
    Ok(Json(shared.with(|center, now| center.request_chat(&client, body, now))?).into_response())
}

async fn active_chat(State(shared): Simulator, Extension(client): Caller) -> Result<Response, ApiError> {
    Ok(Json(shared.with(|center, _| center.active_chat(&client))?).into_response())
}

#[derive(Deserialize)]
struct SentEvents {
    events: Vec<ClientEvent>,
}

async fn send_events(
    State(shared): Simulator,
    Extension(client): Caller,
    Path(chat_id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let SentEvents { events } = read_json(request).await?;
    if events.len() > MAX_EVENTS {
        return Err(ApiError::because(ErrorCode::InvalidJson, format!("more than {MAX_EVENTS} events in one request")));
    }
    let events = shared.with(|center, now| center.send_events(&client, &chat_id, events, now))?;
    Ok(Json(ServerEvents { events }).into_response())
}

async fn poll(
    State(shared): Simulator,
    Extension(client): Caller,
    Path(chat_id): Path<String>,
) -> Result<Response, ApiError> {
    let events = shared.poll(&client, &chat_id).await?;
    Ok(Json(ServerEvents { events }).into_response())
}

async fn history(
    State(shared): Simulator,
    Extension(client): Caller,
    Path(chat_id): Path<String>,
) -> Result<Response, ApiError> {
    let events = shared.with(|center, _| center.history(&client, &chat_id))?;
    Ok(Json(ServerEvents { events }).into_response())
}

async fn upload(State(shared): Simulator, Extension(client): Caller, request: Request) -> Result<Response, ApiError> {
    let _turn = shared.uploads.acquire().await.map_err(|_| ApiError::new(ErrorCode::ServerDisconnected))?;
    let misuse = |message: String| ApiError { status: 400, ..ApiError::because(ErrorCode::FileOperation, message) };
    let receive = async {
        let mut form = Multipart::from_request(request, &()).await.map_err(|e| misuse(e.body_text()))?;
        while let Some(field) = form.next_field().await.map_err(upload_error)? {
            if field.name() != Some("file") {
                continue;
            }
            let name = field.file_name().filter(|name| !name.is_empty()).unwrap_or("file").to_owned();
            let content_type = field.content_type().unwrap_or("application/octet-stream").to_owned();
            let bytes = read_file(field).await?;
            return Ok(StoredFile { client, name, content_type, bytes });
        }
        Err(misuse("the form has no field `file`".into()))
    };
    let file = tokio::time::timeout(UPLOAD_WITHIN, receive).await;
    let file = file.map_err(|_| misuse("the upload took too long".into()))??;
    let file_name = Some(file.name.clone());
    let file_id = shared.with(|center, _| center.add_file(file));
    Ok(Json(UploadedFile { file_id, file_name, ..Default::default() }).into_response())
}

/// Reads a file up to the limit; of a larger one the rest is thrown away as it comes.
async fn read_file(mut field: Field<'_>) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    let mut too_large = false;
    while let Some(chunk) = field.chunk().await.map_err(upload_error)? {
        too_large = too_large || (bytes.len() + chunk.len()) as u64 > MAX_UPLOAD_BYTES;
        if too_large {
            bytes = BytesMut::new();
        } else {
            bytes.extend_from_slice(&chunk);
        }
    }
    if too_large { Err(ApiError::new(ErrorCode::UploadTooLarge)) } else { Ok(bytes.freeze()) }
}

fn upload_error(error: MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(ErrorCode::UploadTooLarge);
    }
    ApiError { status: 400, ..ApiError::because(ErrorCode::FileOperation, error.body_text()) }
}

async fn file(
    State(shared): Simulator,
    Extension(client): Caller,
    Path((chat_id, file_id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let file = shared.with(|center, _| center.file(&client, &chat_id, &file_id))?;
    let content_type =
        HeaderValue::from_str(&file.content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    // Only plain characters, so that the name can stand in a header.
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' };
    let name: String = file.name.chars().map(plain).collect();
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, file.bytes).into_response())
}

async fn photo(
    State(shared): Simulator,
    Extension(client): Caller,
    Path((chat_id, party_id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let png = shared.with(|center, _| center.photo(&client, &chat_id, &party_id))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

async fn ice_servers(State(shared): Simulator) -> Response {
    Json(IceServers { servers: shared.config.ice_servers.clone(), ..Default::default() }).into_response()
}

async fn configuration() -> Response {
    Json(widget::configuration()).into_response()
}
