//! Who may drive the center: programs of this machine's people, and pages that the simulator served itself.
//!
//! A page of another origin can send requests to a loopback address from within a person's browser. It gives itself away
//! by `Origin` and `Sec-Fetch-Site` (Fetch Metadata), which scripts cannot set. A name of the page's own that is made to
//! point here (DNS rebinding) passes that test and gives itself away by `Host`.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Refuses what another site's page sends.
pub(in crate::simulator) async fn same_site(request: Request, next: Next) -> Response {
    match refusal(request.headers()) {
        None => next.run(request).await,
        Some(reason) => {
            tracing::warn!(reason, path = request.uri().path(), "a request to the desk or the admin API is refused");
            (StatusCode::FORBIDDEN, axum::Json(serde_json::json!({ "error": reason }))).into_response()
        }
    }
}

/// Why a request is refused.
fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("?"));
    let Some(host) = text(header::HOST) else { return Some("the request has no Host") };
    if !is_own_name(host) {
        return Some("the Host is a name on the Internet: use the address, or `localhost`");
    }
    if let Some(origin) = text(header::ORIGIN) {
        let same = origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
        if !same {
            return Some("the request comes from a page of another origin");
        }
    }
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some("cross-site" | "same-site") => Some("the request comes from a page of another site"),
        _ => None,
    }
}

/// Whether nobody outside can have made this name point here: an address, or a name without a dot.
fn is_own_name(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) => (name, port),
            None => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    port_fits
        && (name.parse::<IpAddr>().is_ok()
            || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(headers: &[(&'static str, &str)]) -> bool {
        refusal(&headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()).is_some()
    }

    #[test]
    fn a_program_without_an_origin_may_pass() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "10.0.0.7", "simulator:8080"] {
            assert!(!refused(&[("host", host)]), "{host}");
        }
    }

    #[test]
    fn the_simulators_own_page_may_pass() {
        assert!(!refused(&[
            ("host", "127.0.0.1:1"),
            ("origin", "http://127.0.0.1:1"),
            ("sec-fetch-site", "same-origin")
        ]));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for origin in ["http://evil.example", "null", "http://127.0.0.1:2", "http://localhost:1", ""] {
            assert!(refused(&[("host", "127.0.0.1:1"), ("origin", origin)]), "{origin}");
        }
        assert!(refused(&[("host", "127.0.0.1:1"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_refused() {
        for host in ["evil.example:8080", "", ":80", "[::1", "a b", "localhost:x", "127.0.0.1.evil.example"] {
            assert!(refused(&[("host", host), ("origin", &format!("http://{host}"))]), "{host}");
        }
        assert!(refused(&[]));
    }

    proptest::proptest! {
        #[test]
        fn any_host_is_judged_without_a_panic(host in ".{0,40}") {
            let _ = is_own_name(&host);
        }
    }
}
