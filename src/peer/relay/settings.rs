use crate::api::ProxyUrl;
use crate::api::types::IceServer;
use futures::future::BoxFuture;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How the servers of a peer are reached over TCP and TLS.
#[derive(Debug, Clone, Default)]
pub struct RelaySettings {
    /// Certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy for every server (`http://[user:password@]host:port`); `None`: what the environment and the system
    /// say, which is not for addresses of this machine.
    pub proxy: Option<ProxyUrl>,
    /// Where fresh credentials come from when a server refuses those it was given.
    pub renew: Option<Renew>,
}

/// Fetches the list of servers again. It is called when a server refuses user name or password, which have a lifetime
/// in the common scheme (username `expiry:user`, draft-uberti-behave-turn-rest), at most once a minute for a peer.
#[derive(Clone)]
pub struct Renew(Arc<dyn Fn() -> BoxFuture<'static, Option<Vec<IceServer>>> + Send + Sync>);

impl Renew {
    /// `fetch` gives the servers, or `None` where they cannot be had.
    pub fn new<F, Fut>(fetch: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Vec<IceServer>>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(fetch())))
    }

    pub(super) fn fetch(&self) -> BoxFuture<'static, Option<Vec<IceServer>>> {
        (self.0)()
    }
}

impl fmt::Debug for Renew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renew(…)")
    }
}
