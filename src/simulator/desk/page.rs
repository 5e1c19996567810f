//! The page: its files, inside the program, and the headers that keep it to itself.

use super::super::shared::Shared;
use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

/// What the page may do: load its own files and talk to this server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; \
                      connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JS: &str = "text/javascript; charset=utf-8";

/// Files of the page: name, type, contents.
const FILES: &[(&str, &str, &str)] = &[
    ("", HTML, include_str!("page/index.html")),
    ("desk.css", CSS, include_str!("page/desk.css")),
    ("icon.svg", SVG, include_str!("page/icon.svg")),
    ("desk.js", JS, include_str!("page/desk.js")),
    ("call.js", JS, include_str!("page/call.js")),
    ("callpanel.js", JS, include_str!("page/callpanel.js")),
    ("conversation.js", JS, include_str!("page/conversation.js")),
    ("customer.js", JS, include_str!("page/customer.js")),
    ("dom.js", JS, include_str!("page/dom.js")),
    ("meter-worklet.js", JS, include_str!("page/meter-worklet.js")),
    ("socket.js", JS, include_str!("page/socket.js")),
    ("sound.js", JS, include_str!("page/sound.js")),
    ("stats.js", JS, include_str!("page/stats.js")),
];

pub(super) fn router() -> Router<Arc<Shared>> {
    let mut router = Router::new();
    for &(name, content_type, contents) in FILES {
        let headers: [(HeaderName, &str); 5] = [
            (header::CONTENT_TYPE, content_type),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            // Another version of the program may answer here tomorrow.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        let path = if name.is_empty() { "/desk".to_owned() } else { format!("/desk/{name}") };
        router = router.route(&path, get(move || async move { (headers, contents).into_response() }));
    }
    router
}
