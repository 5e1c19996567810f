//! Where the contact center is and who asks.

use super::error::ApiError;
use super::proxy::ProxyUrl;
use super::{API_PATH, WEB_CHAT_CLIENT_ID};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Url};

/// How the server tells this client from others.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// By an id of this installation's own making, unique per client and device. Whoever knows it can read the session.
    ClientId(String),
    /// By HTTP cookies, as the web chat does; they live as long as the [`Client`](super::Client).
    WebChat,
}

impl Identity {
    /// The value of the authorization's `clientId`.
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::ClientId(id) => id,
            Self::WebChat => WEB_CHAT_CLIENT_ID,
        }
    }

    /// Whether cookies are to be kept. An id spelled `WebChat` means the same to the server.
    pub(super) fn uses_cookies(&self) -> bool {
        self.client_id() == WEB_CHAT_CLIENT_ID
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.uses_cookies() { "WebChat" } else { "ClientId(…)" })
    }
}

/// How to reach a contact center.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `https://host[:port]`; without a scheme `https` is meant. The API's path is added when it is not there.
    pub base_url: String,
    /// The contact center's domain; `None`: the host of `base_url`.
    pub tenant: Option<String>,
    /// The messaging scenario entry that the client belongs to.
    pub app_id: String,
    /// Who asks.
    pub identity: Identity,
    /// Certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The proxy for everything, this machine's addresses too, but not for the hosts in `NO_PROXY`. `None`: what the
    /// environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) and the system say.
    pub proxy: Option<ProxyUrl>,
    /// Allows plain `http` to hosts other than this one. Everything can then be read and changed on the way.
    pub insecure_http: bool,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For an answer to be complete; in transfers of files, for the next bytes to move.
    pub read_timeout: Duration,
    /// For the answer to a long poll; longer than the server holds it (5 to 15 s).
    pub poll_timeout: Duration,
}

impl ClientConfig {
    /// A configuration with the defaults: 10 s to connect, 30 s for an answer, 45 s for a poll.
    pub fn new(base_url: impl Into<String>, app_id: impl Into<String>, identity: Identity) -> Self {
        Self {
            base_url: base_url.into(),
            tenant: None,
            app_id: app_id.into(),
            identity,
            ca_file: None,
            proxy: None,
            insecure_http: false,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            poll_timeout: Duration::from_secs(45),
        }
    }

    /// The address that method paths are added to, checked.
    ///
    /// # Errors
    /// [`ApiError::BadConfig`], as [`Client::new`](super::Client::new) gives it.
    pub fn url(&self) -> Result<Url, ApiError> {
        let bad = |what: String| ApiError::BadConfig(what);
        let text = self.base_url.trim();
        if text.is_empty() {
            return Err(bad("no address of a contact center was given".into()));
        }
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut url =
            Url::parse(&full).map_err(|e| bad(format!("\"{text}\" is no address of a contact center: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("the address must begin with https://, not {}://", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("the address must not hold a user name or password".into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("the address must not hold a query (?…) or a fragment (#…)".into()));
        }
        if url.scheme() == "http" && !is_loopback(&url) && !self.insecure_http {
            return Err(bad(format!(
                "{} would be spoken to without encryption; use https://, or allow it with insecure_http (--insecure-http)",
                url.host_str().unwrap_or_default()
            )));
        }
        let present: Vec<String> =
            url.path_segments().into_iter().flatten().filter(|s| !s.is_empty()).map(str::to_owned).collect();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            let api: Vec<&str> = API_PATH.split('/').skip(1).collect();
            if !present.ends_with(&api.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()) {
                segments.extend(api);
            }
        }
        Ok(url)
    }
}

/// Whether an address stays on this machine: 127.0.0.0/8, ::1, `localhost` and names under it (RFC 6761, 6.3).
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}
