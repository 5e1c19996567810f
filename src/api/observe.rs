//! Lets somebody look at the exchanges of a client: what was asked and what came back, as they pass.
//!
//! An observer sees bodies as they are, secrets and all. What it keeps of them is its own concern.

use super::error::{ApiError, Operation};
use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// More of a body is not shown.
const MAX_SHOWN: usize = 256 * 1024;

/// Who looks at exchanges. Called on the tasks that make them: it must not wait.
pub trait Observe: Send + Sync {
    /// A request is about to leave.
    fn began(&self, request: &ObservedRequest);
    /// The exchange is over, one way or the other. Comes once for each that began.
    fn ended(&self, exchange: Exchange);
}

/// An observer, or none.
#[derive(Clone, Default)]
pub struct Observer(pub Option<Arc<dyn Observe>>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer(…)" } else { "Observer(none)" })
    }
}

/// A request, without headers: they hold who asks.
#[derive(Debug, Clone)]
pub struct ObservedRequest {
    /// Tells this exchange from others of the process.
    pub id: u64,
    /// When it was made.
    pub at: Instant,
    /// Which of the API's methods.
    pub operation: Operation,
    /// GET or POST.
    pub method: Method,
    /// The whole address.
    pub url: Url,
    /// The body; `None` where there is none or it is a file on its way.
    pub body: Option<Bytes>,
    /// Length of the body in bytes, where it is known.
    pub bytes: u64,
}

/// A request and what came of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What was asked.
    pub request: ObservedRequest,
    /// The HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// The server's address, where it is known.
    pub remote: Option<SocketAddr>,
    /// The answer's body, as far as it was read and is no file.
    pub body: Option<Bytes>,
    /// Length of the answer's body in bytes, where it is known.
    pub bytes: u64,
    /// From the request to the end of the answer, or until it was given up.
    pub duration: Duration,
    /// What went wrong on the way.
    pub error: Option<String>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An exchange on its way. Told to the observer when the last of it is dropped, so also when its task is given up.
#[derive(Clone)]
pub(super) struct Watched(Option<Arc<Pending>>);

struct Pending {
    observer: Arc<dyn Observe>,
    exchange: Mutex<Exchange>,
}

impl Watched {
    /// Without an observer this does nothing, and so does all that follows.
    pub(super) fn begin(observer: &Observer, operation: Operation, request: &RequestBuilder, base: &Url) -> Self {
        let Some(observer) = observer.0.clone() else { return Self(None) };
        let built = request.try_clone().and_then(|request| request.build().ok());
        let (method, url, body) = match &built {
            Some(request) => {
                let body = request.body().and_then(|b| b.as_bytes()).map(Bytes::copy_from_slice);
                (request.method().clone(), request.url().clone(), body)
            }
            // A file on its way cannot be looked at twice; it is the only such request.
            None => (Method::POST, base.clone(), None),
        };
        let bytes = body.as_ref().map_or(0, |b| b.len() as u64);
        let request = ObservedRequest {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            at: Instant::now(),
            operation,
            method,
            url,
            body: body.filter(|b| b.len() <= MAX_SHOWN),
            bytes,
        };
        observer.began(&request);
        let error = Some("given up before the answer came".to_owned());
        let duration = Duration::ZERO;
        let exchange =
            Mutex::new(Exchange { request, status: None, remote: None, body: None, bytes: 0, duration, error });
        Self(Some(Arc::new(Pending { observer, exchange })))
    }

    fn change(&self, change: impl FnOnce(&mut Exchange)) {
        if let Some(pending) = &self.0 {
            change(&mut pending.exchange.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// No answer came, or only half of one.
    pub(super) fn failed(&self, error: &ApiError) {
        self.change(|exchange| exchange.error = Some(error.to_string()));
    }

    /// The head of the answer came; the rest goes with it.
    pub(super) fn answered(self, response: &mut Response) {
        self.change(|exchange| {
            exchange.error = None;
            exchange.status = Some(response.status().as_u16());
            exchange.remote = response.remote_addr();
            exchange.bytes = response.content_length().unwrap_or_default();
        });
        if self.0.is_some() {
            response.extensions_mut().insert(self);
        }
    }

    /// What is watched of this answer.
    pub(super) fn of(response: &mut Response) -> Self {
        response.extensions_mut().remove::<Self>().unwrap_or(Self(None))
    }

    /// The body was read.
    pub(super) fn read(&self, body: &[u8]) {
        self.change(|exchange| {
            exchange.bytes = body.len() as u64;
            exchange.body = (body.len() <= MAX_SHOWN).then(|| Bytes::copy_from_slice(body));
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut exchange = self.exchange.get_mut().unwrap_or_else(PoisonError::into_inner).clone();
        exchange.duration = exchange.request.at.elapsed();
        self.observer.ended(exchange);
    }
}
