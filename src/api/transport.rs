//! One request and its answer: address, headers, time limits, and what each failure is called.

use super::code::{ErrorBody, ErrorCode};
use super::config::{ClientConfig, is_loopback};
use super::error::{ApiError, NotJson, Operation};
use super::faults::{as_tls, chain, innermost, tls_reason};
use super::markup::one_line;
use super::observe::Watched;
use super::pool::Pool;
use super::types::ServerEvents;
use reqwest::header::{AGE, CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use url::Url;

/// An answer in JSON is at most this long. A long history has some hundred kilobytes.
const MAX_JSON_BYTES: u64 = 8 * 1024 * 1024;

/// More of an error's body is not read.
const MAX_ERROR_BYTES: u64 = 64 * 1024;

/// The connections to one contact center and what every request carries.
pub(super) struct Transport {
    pool: Pool,
    base: Url,
    host: String,
    tenant: String,
    pub(super) config: ClientConfig,
    /// Makes the address of every poll another one, for caches on the way.
    polls: AtomicU64,
    /// Whether a cache on the way was told of.
    cache_told: AtomicBool,
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
        let pool = Pool::new(&config, &base)?;
        Ok(Self { pool, host, tenant, config, polls: AtomicU64::new(0), cache_told: AtomicBool::new(false), base })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The next requests go over new connections.
    pub(super) fn renew(&self) {
        self.pool.renew(&self.config, &self.base);
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
        let response = self.send(operation, request, timeout).await?;
        if answered_by_a_cache(response.headers()) && !self.cache_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a proxy on the way to {} answers from its memory although it is asked not to: news may come late",
                self.host
            );
        }
        self.json(operation, response, timeout).await
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
        Ok(self.pool.http().request(method, url))
    }

    /// Sends a request and gives its answer when it is a success. `after` is the time limit to name in the error.
    pub(super) async fn send(
        &self,
        operation: Operation,
        request: RequestBuilder,
        after: Duration,
    ) -> Result<Response, ApiError> {
        let watched = Watched::begin(&self.config.observer, operation, &request, &self.base);
        let answer = self.connect_and_send(operation, request, after).await;
        let mut response = answer.inspect_err(|e| watched.failed(e))?;
        watched.answered(&mut response);
        tracing::debug!(%operation, status = response.status().as_u16(), "answered");
        if response.status().is_success() { Ok(response) } else { Err(self.refused(operation, response, after).await) }
    }

    /// A request whose connection took too long to be made was not sent, and is begun anew until the time to connect is
    /// over. Those of a running session are not: who waits for them tells of the fault, and asks again.
    async fn connect_and_send(
        &self,
        operation: Operation,
        mut request: RequestBuilder,
        after: Duration,
    ) -> Result<Response, ApiError> {
        let begun = Instant::now();
        loop {
            let again = request.try_clone().filter(|_| !operation.is_asked_again());
            let error = match request.send().await {
                Ok(response) => {
                    self.pool.connected();
                    return Ok(response);
                }
                Err(error) => error,
            };
            let late = error.is_connect() && error.is_timeout();
            let error = self.failed(operation, error, after);
            if late {
                self.pool.late(&self.config, &self.base);
            }
            match again.map(RequestBuilder::build_split) {
                Some((_, Ok(same))) if late && begun.elapsed() < self.config.connect_timeout => {
                    request = RequestBuilder::from_parts(self.pool.http(), same);
                }
                _ => return Err(error),
            }
        }
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
            return Err(self.status_error(operation, status, None, error));
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
            return self.status_error(operation, status.as_u16(), None, error);
        }
        let retry_after = retry_after(response.headers());
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
        self.status_error(operation, status.as_u16(), retry_after, error)
    }

    fn status_error(
        &self,
        operation: Operation,
        status: u16,
        retry_after: Option<Duration>,
        error: ErrorBody,
    ) -> ApiError {
        let code = Some(error.code()).filter(|c| *c != ErrorCode::Unknown(0));
        let message = one_line(&error.error_message);
        ApiError::Status { operation, host: self.host.clone(), status, code, message, retry_after }
    }

    /// Why there is no connection; with a proxy on the way it may be the proxy that there is none to.
    fn by_way_of(&self, reason: &str) -> String {
        match &self.config.proxy {
            Some(proxy) => format!("{reason}, by way of the proxy {proxy:?}"),
            None => reason.to_owned(),
        }
    }

    /// What a failure of the HTTP client is called here.
    pub(super) fn failed(&self, operation: Operation, error: reqwest::Error, after: Duration) -> ApiError {
        let host = self.host.clone();
        // Addresses in errors may hold ids.
        let error = error.without_url();
        if let Some(tls) = chain(&error).find_map(as_tls) {
            return ApiError::Tls { operation, host, reason: tls_reason(tls) };
        }
        let io_kind = chain(&error).filter_map(|e| e.downcast_ref::<io::Error>()).map(io::Error::kind).last();
        if io_kind == Some(io::ErrorKind::TimedOut) && !error.is_connect() {
            // Told by TCP, long before the answer is due.
            return ApiError::Interrupted { operation, host, reason: "no sign of life from the other side".into() };
        }
        if error.is_timeout() {
            let connecting = error.is_connect();
            let after = if connecting { self.pool.connect_within() } else { after };
            return ApiError::Timeout { operation, host, after, connecting };
        }
        if error.is_dns() {
            return ApiError::Unreachable { operation, host, reason: self.by_way_of("its name is not known") };
        }
        if error.is_connect() {
            let reason = match io_kind {
                Some(io::ErrorKind::ConnectionRefused) => "nobody listens there (connection refused)".into(),
                _ => innermost(&error),
            };
            return ApiError::Unreachable { operation, host, reason: self.by_way_of(&reason) };
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
    /// Whether who makes it tells of a fault at once and asks again.
    fn is_asked_again(self) -> bool {
        matches!(self, Self::PollEvents | Self::SendEvents)
    }

    /// Whether an empty body means an empty list.
    fn may_answer_nothing(self) -> bool {
        use Operation::*;
        matches!(
            self,
            PollEvents | SendEvents | GetHistory | GetIceServers | ExpectedParameters | GetWidgetConfiguration
        )
    }
}

/// Whether the answer lay somewhere before (RFC 9111, 5.1).
fn answered_by_a_cache(headers: &HeaderMap) -> bool {
    headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).is_some_and(|age: u64| age > 0)
}

/// How long to wait before asking again (RFC 9110, 10.2.3). A date is set against that of the answer: this machine's clock
/// may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let wanted = text(RETRY_AFTER)?;
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| chrono::DateTime::parse_from_rfc2822(text).ok();
    (date(wanted)? - date(text(DATE)?)?).to_std().ok()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_beside_the_answers_own() {
        let wait = |list: &[_]| retry_after(&headers(list)).map(|d| d.as_secs());
        assert_eq!(wait(&[("retry-after", "7")]), Some(7));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT"), date]), Some(23));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), date]), None, "it is past");
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT")]), None, "from when?");
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[date]), None);
    }

    #[test]
    fn an_answer_with_an_age_comes_from_a_cache() {
        assert!(answered_by_a_cache(&headers(&[("age", "12")])));
        assert!(!answered_by_a_cache(&headers(&[("age", "0")])));
        assert!(!answered_by_a_cache(&headers(&[])));
    }
}
