//! The connections to one contact center, which can be thrown away: after a change of network they may be dead without
//! telling.

use super::config::ClientConfig;
use super::connector::build_http;
use super::error::ApiError;
use reqwest::cookie::Jar;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use url::Url;

/// How long a connection may take to be made at first. A SYN that is lost is repeated after 1 s, 3 s and 7 s (RFC 6298):
/// beginning anew asks more often, so that a network that comes back is noticed sooner.
const IMPATIENT: Duration = Duration::from_millis(2500);

/// So many connections in a row that took too long are no loss, but a slow way: the next may take twice as long.
const SLOW_WAY: u32 = 3;

/// The HTTP client with its idle connections, and the cookies that outlive them.
pub(super) struct Pool {
    cookies: Arc<Jar>,
    current: RwLock<Current>,
}

struct Current {
    http: reqwest::Client,
    connect_within: Duration,
    /// Connections in a row that took longer than that.
    late: u32,
}

impl Pool {
    pub(super) fn new(config: &ClientConfig, base: &Url) -> Result<Self, ApiError> {
        let cookies = Arc::new(Jar::default());
        let connect_within = first_limit(config);
        let http = build_http(config, base, connect_within, &cookies)?;
        Ok(Self { cookies, current: RwLock::new(Current { http, connect_within, late: 0 }) })
    }

    /// The client to make the next request with.
    pub(super) fn http(&self) -> reqwest::Client {
        self.read(|current| current.http.clone())
    }

    /// How long a connection may take to be made now.
    pub(super) fn connect_within(&self) -> Duration {
        self.read(|current| current.connect_within)
    }

    /// The next request goes over a new connection; those in flight keep theirs until they are dropped.
    pub(super) fn renew(&self, config: &ClientConfig, base: &Url) {
        self.rebuild(config, base, first_limit(config));
    }

    /// A request got through.
    pub(super) fn connected(&self) {
        self.write(|current| current.late = 0);
    }

    /// A connection took too long to be made. When that goes on, the next ones are given more time.
    pub(super) fn late(&self, config: &ClientConfig, base: &Url) {
        let within = self.write(|current| {
            current.late += 1;
            let longer = (current.connect_within * 2).min(config.connect_timeout);
            (current.late >= SLOW_WAY && longer > current.connect_within).then_some(longer)
        });
        if let Some(within) = within {
            self.rebuild(config, base, within);
        }
    }

    fn rebuild(&self, config: &ClientConfig, base: &Url, connect_within: Duration) {
        match build_http(config, base, connect_within, &self.cookies) {
            Ok(http) => self.write(|current| *current = Current { http, connect_within, late: 0 }),
            // It was built once: a CA file is gone, perhaps. Old connections are better than none.
            Err(error) => tracing::warn!("the connections to the contact center cannot be made anew: {error}"),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Current) -> T) -> T {
        look(&self.current.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Current) -> T) -> T {
        change(&mut self.current.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

fn first_limit(config: &ClientConfig) -> Duration {
    IMPATIENT.min(config.connect_timeout)
}
