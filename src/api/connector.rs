//! The HTTP client under a [`Client`](super::Client): whom it trusts, what it says of itself, where it follows.

use super::AUTH_SCHEME;
use super::config::{ClientConfig, is_loopback};
use super::error::ApiError;
use super::faults::innermost;
use reqwest::cookie::Jar;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue, PRAGMA};
use reqwest::redirect::{Attempt, Policy};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 5;

/// A connection that is silent for so long is asked whether it still is one, and again after each pause: a poll that is
/// held says nothing, and its connection may have died without a word. It counts as dead after about nine seconds.
const PROBE_AFTER: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_secs(2);
const PROBES: u32 = 2;

/// What was sent and is not acknowledged for so long will not be: the connection is dead. TCP alone would go on for a
/// quarter of an hour, at pauses that double.
const UNACKNOWLEDGED: Duration = Duration::from_secs(8);

/// The same for HTTP/2, whose pings reach the server itself where a proxy answers the probes of TCP.
const PING_AFTER: Duration = Duration::from_secs(8);
const PONG_WITHIN: Duration = Duration::from_secs(5);

/// An HTTP client without connections, which gives each so long to be made.
pub(super) fn build_http(
    config: &ClientConfig,
    base: &Url,
    connect_within: Duration,
    cookies: &Arc<Jar>,
) -> Result<reqwest::Client, ApiError> {
    // Fails only when the process has a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization(&config.app_id, config.identity.client_id())?);
    // A cached answer of a poll would be handed out again and again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));

    let mut builder = reqwest::Client::builder()
        .user_agent("MobileClient")
        .default_headers(headers)
        .connect_timeout(connect_within)
        .tcp_nodelay(true)
        .tcp_keepalive(PROBE_AFTER)
        .tcp_keepalive_interval(PROBE_PAUSE)
        .tcp_keepalive_retries(PROBES)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PONG_WITHIN)
        .redirect(Policy::custom(redirect));
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    {
        builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
    }
    if config.identity.uses_cookies() {
        builder = builder.cookie_provider(cookies.clone());
    }
    match &config.proxy {
        Some(proxy) => {
            let proxy = reqwest::Proxy::all(proxy.as_str())
                .map_err(|_| ApiError::BadConfig(format!("the proxy {proxy:?} cannot be used")))?;
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_env()));
        }
        // A proxy's loopback is another machine's.
        None if is_loopback(base) => builder = builder.no_proxy(),
        None => {}
    }
    let extra = match &config.ca_file {
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|e| ApiError::BadConfig(format!("cannot read the CA file {}: {e}", path.display())))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|list| !list.is_empty());
            certificates
                .ok_or_else(|| ApiError::BadConfig(format!("{} holds no certificate in PEM form", path.display())))?
        }
        None => Vec::new(),
    };
    // A contact center on this machine's plain HTTP must not need the system's certificates to be installed.
    let plain = base.scheme() == "http" && is_loopback(base);
    builder = if plain { builder.tls_certs_only(extra) } else { builder.tls_certs_merge(extra) };
    builder.build().map_err(|e| {
        ApiError::BadConfig(format!(
            "TLS cannot be set up: {}; install the system's CA certificates, or check the CA file",
            innermost(&e)
        ))
    })
}

fn authorization(app_id: &str, client_id: &str) -> Result<HeaderValue, ApiError> {
    for (name, id) in [("app id", app_id), ("client id", client_id)] {
        if id.is_empty() {
            return Err(ApiError::BadConfig(format!("no {name} was given")));
        }
        if id.chars().any(|c| !matches!(c, ' '..='~') || matches!(c, '"' | '\\')) {
            return Err(ApiError::BadConfig(format!(
                "the {name} must be plain ASCII without quotes, backslashes and control characters"
            )));
        }
    }
    let text = format!("{AUTH_SCHEME} appId=\"{app_id}\", clientId=\"{client_id}\"");
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| ApiError::BadConfig("the app id or client id does not fit into a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Redirects are for files, which may lie in a store elsewhere; the HTTP client leaves the authorization behind when
/// the host changes. A method of the API goes on only within its host and only where the request stays what it was:
/// other statuses would turn a POST into a GET, and the events in it would be lost without a word.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let Some(from) = attempt.previous().last() else { return attempt.stop() };
    let to = attempt.url();
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("redirected too often");
    }
    if from.scheme() == "https" && to.scheme() != "https" {
        return attempt.error("redirected from https to plain http");
    }
    let is_file = attempt.previous().first().is_some_and(|first| {
        let mut segments = first.path_segments().into_iter().flatten().rev().skip(1);
        matches!(segments.next(), Some("files" | "profilephotos"))
    });
    let same_place = from.host() == to.host() && from.port_or_known_default() == to.port_or_known_default();
    if is_file || (same_place && matches!(attempt.status().as_u16(), 307 | 308)) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
