//! From a name to an encrypted connection, step by step.

use super::finding::{Endpoint, NoConnection, NoTrust};
use super::trust::{self, Seen};
use crate::api::{ProxyUrl, is_loopback};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

/// For each of DNS, TCP and TLS.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// Anything that bytes go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The proxy for an address, as the HTTP client of the API finds it.
pub(super) fn proxy_of(url: &Url, configured: Option<&ProxyUrl>) -> Option<Intercept> {
    let matcher = match configured {
        Some(proxy) => {
            let variable = |name| std::env::var(name).ok();
            let none = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
            Matcher::builder().all(proxy.as_str()).no(none).build()
        }
        // A proxy's loopback is another machine's.
        None if is_loopback(url) => return None,
        None => Matcher::from_system(),
    };
    matcher.intercept(&url.as_str().parse().ok()?)
}

/// The addresses of a name.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, NoConnection> {
    // Written out, it needs no look-up: also without any network.
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = match timeout(LIMIT, lookup_host((host, port))).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(NoConnection::NoName(error.to_string())),
        Err(_) => return Err(NoConnection::NoName(format!("no answer within {} s", LIMIT.as_secs()))),
    };
    let mut addresses: Vec<_> = found.collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(NoConnection::NoName("it has no address".into()));
    }
    Ok(addresses)
}

/// What a connection came to.
pub(super) struct Connected {
    pub stream: Result<(TcpStream, SocketAddr), NoConnection>,
    /// IPv6 was there and did not work, while IPv4 did.
    pub broken_v6: bool,
}

/// Tries the first address of each family, both at once.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Connected {
    let of = |v6: bool| {
        let address = addresses.iter().find(|a| a.is_ipv6() == v6).copied();
        async move {
            let address = address?;
            let tried = match timeout(LIMIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => Ok((stream, address)),
                Ok(Err(error)) => Err(why(&error)),
                Err(_) => Err(NoConnection::TimedOut),
            };
            Some(tried)
        }
    };
    let (v4, v6) = (of(false), of(true));
    let mut v6 = std::pin::pin!(v6);
    // IPv4 first; IPv6 then has a little time left to show that it works.
    let (v4, v6) = tokio::select! {
        v4 = v4 => (v4, timeout(Duration::from_secs(1), v6).await.unwrap_or(Some(Err(NoConnection::TimedOut)))),
        v6 = &mut v6, if addresses.iter().all(SocketAddr::is_ipv6) => (None, v6),
    };
    let broken_v6 = matches!(v4, Some(Ok(_))) && matches!(v6, Some(Err(_)));
    let stream = match (v4, v6) {
        (Some(Ok(stream)), _) | (_, Some(Ok(stream))) => Ok(stream),
        (Some(Err(error)), _) | (None, Some(Err(error))) => Err(error),
        (None, None) => Err(NoConnection::NoRoute),
    };
    Connected { stream, broken_v6 }
}

/// What an error of the system means.
pub(super) fn why(error: &io::Error) -> NoConnection {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NoConnection::Refused,
        io::ErrorKind::TimedOut => NoConnection::TimedOut,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable => {
            NoConnection::NoRoute
        }
        _ => NoConnection::Other(error.to_string()),
    }
}

/// Asks a proxy for a way to `to` (RFC 9110, 9.3.6).
///
/// # Errors
/// [`NoTrust::Proxy`] with its status, or that it broke off.
pub(super) async fn tunnel(
    stream: TcpStream,
    proxy: &Intercept,
    to: &Endpoint,
    ca_file: Option<&Path>,
) -> Result<impl Stream + use<>, NoTrust> {
    let stream = to_proxy(stream, proxy, ca_file).await?;
    let broken = |e: hyper::Error| NoTrust::Other(format!("the proxy broke off: {e}"));
    let asked = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection.with_upgrades());
        let authority = to.to_string();
        let mut request = hyper::Request::connect(&authority).header(hyper::header::HOST, &authority);
        if let Some(password) = proxy.basic_auth() {
            request = request.header(hyper::header::PROXY_AUTHORIZATION, password);
        }
        let request =
            request.body(http_body_util::Empty::<bytes::Bytes>::new()).map_err(|e| NoTrust::Other(e.to_string()))?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        if !answer.status().is_success() {
            return Err(NoTrust::Proxy(answer.status().as_u16()));
        }
        hyper::upgrade::on(answer).await.map(TokioIo::new).map_err(broken)
    };
    timeout(LIMIT, asked).await.unwrap_or(Err(NoTrust::TimedOut))
}

/// Speaks TLS to a proxy that wants it.
async fn to_proxy(stream: TcpStream, proxy: &Intercept, ca_file: Option<&Path>) -> Result<Box<dyn Stream>, NoTrust> {
    if proxy.uri().scheme_str() != Some("https") {
        return Ok(Box::new(stream));
    }
    let host = proxy.uri().host().unwrap_or_default();
    let encrypted = encrypt(Box::new(stream), host, ca_file, &[b"http/1.1"]).await?;
    match encrypted.seen.distrust {
        Some(reason) => {
            Err(NoTrust::Other(format!("the proxy {host} is not to be trusted: {}", super::words::no_trust(&reason))))
        }
        None => Ok(Box::new(encrypted.stream)),
    }
}

/// A TLS connection, trusted or not, and what is known of who answers.
pub(super) struct Encrypted {
    pub stream: tokio_rustls::client::TlsStream<Box<dyn Stream>>,
    pub seen: Seen,
    /// `TLS 1.3`.
    pub version: String,
}

/// Makes a TLS connection and looks at who answers. It is made also with one that is not to be trusted, so that its clock
/// can be asked: nothing secret may be sent over it.
pub(super) async fn encrypt(
    stream: Box<dyn Stream>,
    host: &str,
    ca_file: Option<&Path>,
    alpn: &[&[u8]],
) -> Result<Encrypted, NoTrust> {
    let (config, seen) = trust::recording(ca_file, alpn).map_err(NoTrust::Other)?;
    let name = host.trim_matches(['[', ']']).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|e| NoTrust::Other(e.to_string()))?;
    let made = tokio_rustls::TlsConnector::from(config).connect(name, stream);
    let stream = match timeout(LIMIT, made).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(trust::why(&error)),
        Err(_) => return Err(NoTrust::TimedOut),
    };
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".into(),
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".into(),
        other => format!("{other:?}"),
    };
    let seen = seen.take();
    Ok(Encrypted { stream, seen, version })
}
