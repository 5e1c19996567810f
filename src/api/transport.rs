//! One request and its answer: address, headers, time limits, and what each failure is called.

use super::code::{ErrorBody, ErrorCode};
use super::config::{ClientConfig, is_loopback};
use super::connector::build_http;
use super::error::{ApiError, NotJson, Operation};
use super::faults::{as_tls, chain, innermost, tls_reason};
use super::markup::one_line;
use super::observe::Watched;
use super::types::ServerEvents;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// An answer in JSON is at most this long. A long history has some hundred kilobytes.
const MAX_JSON_BYTES: u64 = 8 * 1024 * 1024;

/// More of an error's body is not read.
const MAX_ERROR_BYTES: u64 = 64 * 1024;

/// The connections to one contact center and what every request carries.
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    host: String,
    tenant: String,
    pub(super) config: ClientConfig,
    /// Makes the address of every poll another one, for caches on the way.
    polls: AtomicU64,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(config: ClientConfig) -> Result<Self, ApiError> {
        let base = config.url()?;
        if base.scheme() == "http" && !is_loopback(&base) {
            tracing::warn!(
                host = base.host_str(),
                "PLAIN HTTP: anybody on the way can read and change what is said here"
            );
        }
        let host_name = base.host_str().unwrap_or_default();
        let host = match base.port() {
            Some(port) => format!("{host_name}:{port}"),
            None => host_name.to_owned(),
        };
        let tenant = config.tenant.clone().filter(|t| !t.trim().is_empty()).unwrap_or_else(|| host_name.to_owned());
        let http = build_http(&config, &base)?;
        Ok(Self { http, host, tenant, config, polls: AtomicU64::new(0), base })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, operation: Operation, path: &[&str]) -> Result<T, ApiError> {
        let timeout = self.config.read_timeout;
        let request = self.request(operation, Method::GET, path, None)?;
        self.json(operation, self.send(operation, request.timeout(timeout), timeout).await?, timeout).await
    }

    pub(super) async fn poll(&self, path: &[&str]) -> Result<ServerEvents, ApiError> {
        let operation = Operation::PollEvents;
        let timeout = self.config.poll_timeout;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let nonce = format!("{now}{:03}", self.polls.fetch_add(1, Ordering::Relaxed) % 1000);
        let request = self.request(operation, Method::GET, path, Some(&nonce))?.timeout(timeout);
        self.json(operation, self.send(operation, request, timeout).await?, timeout).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body)
            .map_err(|e| ApiError::BadArgument { operation, what: format!("cannot be written as JSON: {e}") })?;
        let timeout = self.config.read_timeout;
        let request = self
            .request(operation, Method::POST, path, None)?
            .header(CONTENT_TYPE, "application/json; charset=UTF-8")
            .timeout(timeout)
            .body(body);
        self.json(operation, self.send(operation, request, timeout).await?, timeout).await
    }

    /// A request with its address; the headers of all requests are the client's defaults.
    pub(super) fn request(
        &self,
        operation: Operation,
        method: Method,
        path: &[&str],
        nonce: Option<&str>,
    ) -> Result<RequestBuilder, ApiError> {
        // Dot segments would be resolved away, and the request would go to another method.
        if path.iter().any(|s| matches!(*s, "" | "." | "..")) {
            return Err(ApiError::BadArgument { operation, what: "an id is empty or not an id".into() });
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let mut query = url.query_pairs_mut();
        query.append_pair("tenantUrl", &self.tenant);
        if let Some(nonce) = nonce {
            query.append_pair("nonce", nonce);
        }
        drop(query);
        Ok(self.http.request(method, url))
    }

    /// Sends a request and gives its answer when it is a success. `after` is the time limit to name in the error.
    pub(super) async fn send(
        &self,
        operation: Operation,
        request: RequestBuilder,
        after: Duration,
    ) -> Result<Response, ApiError> {
        let watched = Watched::begin(&self.config.observer, operation, &request, &self.base);
        let answer = request.send().await.map_err(|e| self.failed(operation, e, after));
        let mut response = answer.inspect_err(|e| watched.failed(e))?;
        watched.answered(&mut response);
        tracing::debug!(%operation, status = response.status().as_u16(), "answered");
        if response.status().is_success() { Ok(response) } else { Err(self.refused(operation, response, after).await) }
    }

    /// Reads a JSON answer to its end.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        operation: Operation,
        response: Response,
        after: Duration,
    ) -> Result<T, ApiError> {
        let status = response.status().as_u16();
        let too_large = || ApiError::TooLarge { operation, what: "the answer".into(), limit: MAX_JSON_BYTES };
        let (body, whole) = self.read(operation, response, MAX_JSON_BYTES, after).await?;
        if !whole {
            return Err(too_large());
        }
        let host = || self.host.clone();
        let text = String::from_utf8_lossy(&body);
        let text = text.trim_start_matches('\u{feff}').trim();
        let value = if text.is_empty() && operation.may_answer_nothing() {
            Value::Object(Default::default())
        } else {
            serde_json::from_str(text).map_err(|e| {
                tracing::trace!(%operation, "no JSON: {}", one_line(&text.chars().take(80).collect::<String>()));
                ApiError::NotJson { operation, host: host(), what: not_json(text, &e) }
            })?
        };
        // Some gateways put the API's error under a 200.
        if let Some(error) = error_body(&value).filter(|e| e.code() != ErrorCode::Unknown(0)) {
            return Err(self.status_error(operation, status, error));
        }
        if !value.is_object() {
            return Err(ApiError::Unexpected { operation, host: host(), what: "it is no JSON object".into() });
        }
        serde_json::from_value(value).map_err(|e| ApiError::Unexpected {
            operation,
            host: host(),
            what: one_line(&e.to_string()),
        })
    }

    /// Reads at most `limit` bytes; the flag says whether that was all.
    async fn read(
        &self,
        operation: Operation,
        mut response: Response,
        limit: u64,
        after: Duration,
    ) -> Result<(Vec<u8>, bool), ApiError> {
        let (mut body, watched) = (Vec::new(), Watched::of(&mut response));
        let failed = |e| self.failed(operation, e, after);
        while let Some(chunk) = response.chunk().await.map_err(failed).inspect_err(|e| watched.failed(e))? {
            let room = usize::try_from(limit).unwrap_or(usize::MAX) - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok((body, false));
            }
        }
        watched.read(&body);
        Ok((body, true))
    }

    /// The error for an answer that is no success.
    async fn refused(&self, operation: Operation, response: Response, after: Duration) -> ApiError {
        let status = response.status();
        if status.is_redirection() {
            let place = response.headers().get(LOCATION).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
            let message = match place {
                // Without the query: it may hold what a sign-in page was given.
                Some(place) => format!("moved to {}", place.split(['?', '#']).next().unwrap_or_default()),
                None => "moved".into(),
            };
            let error = ErrorBody { error_code: String::new(), error_message: message };
            return self.status_error(operation, status.as_u16(), error);
        }
        // A body that cannot be read takes nothing from what the status says.
        let (body, _) = self.read(operation, response, MAX_ERROR_BYTES, after).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let text = text.trim_start_matches('\u{feff}').trim();
        let error = serde_json::from_str(text).ok().as_ref().and_then(error_body).unwrap_or_else(|| {
            let is_text = !text.is_empty() && !text.starts_with(['<', '{', '[']);
            ErrorBody {
                error_code: String::new(),
                error_message: if is_text { text.to_owned() } else { String::new() },
            }
        });
        self.status_error(operation, status.as_u16(), error)
    }

    fn status_error(&self, operation: Operation, status: u16, error: ErrorBody) -> ApiError {
        let code = Some(error.code()).filter(|c| *c != ErrorCode::Unknown(0));
        let message = one_line(&error.error_message);
        ApiError::Status { operation, host: self.host.clone(), status, code, message }
    }

    /// What a failure of the HTTP client is called here.
    pub(super) fn failed(&self, operation: Operation, error: reqwest::Error, after: Duration) -> ApiError {
        let host = self.host.clone();
        // Addresses in errors may hold ids.
        let error = error.without_url();
        if let Some(tls) = chain(&error).find_map(as_tls) {
            return ApiError::Tls { operation, host, reason: tls_reason(tls) };
        }
        if error.is_timeout() {
            let after = if error.is_connect() { self.config.connect_timeout } else { after };
            return ApiError::Timeout { operation, host, after };
        }
        if error.is_dns() {
            return ApiError::Unreachable { operation, host, reason: "its name is not known".into() };
        }
        let io_kind = chain(&error).filter_map(|e| e.downcast_ref::<io::Error>()).map(io::Error::kind).last();
        if error.is_connect() {
            let reason = match io_kind {
                Some(io::ErrorKind::ConnectionRefused) => "nobody listens there (connection refused)".into(),
                _ => innermost(&error),
            };
            return ApiError::Unreachable { operation, host, reason };
        }
        if error.is_builder() {
            return ApiError::BadArgument { operation, what: innermost(&error) };
        }
        if error.is_redirect() {
            return ApiError::Unexpected { operation, host, what: innermost(&error) };
        }
        let reason = match io_kind {
            Some(io::ErrorKind::ConnectionReset) => "reset by the other side".into(),
            Some(io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => "closed by the other side".into(),
            _ => innermost(&error),
        };
        ApiError::Interrupted { operation, host, reason }
    }
}

impl Operation {
    /// Whether an empty body means an empty list.
    fn may_answer_nothing(self) -> bool {
        use Operation::*;
        matches!(
            self,
            PollEvents | SendEvents | GetHistory | GetIceServers | ExpectedParameters | GetWidgetConfiguration
        )
    }
}

fn error_body(value: &Value) -> Option<ErrorBody> {
    let object = value.as_object()?;
    if !object.contains_key("error_code") && !object.contains_key("error_message") {
        return None;
    }
    serde_json::from_value(value.clone()).ok()
}

fn not_json(text: &str, error: &serde_json::Error) -> NotJson {
    match text.chars().next() {
        None => NotJson::Empty,
        Some('<') => NotJson::Html,
        Some(_) if error.is_eof() => NotJson::Truncated,
        Some(_) => NotJson::Other,
    }
}
