//! From a name to an encrypted connection, step by step.

use super::finding::{Endpoint, NoConnection, NoTrust, Protocol};
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

/// The proxy for a TURN server over TCP or TLS, as a peer finds it.
pub(super) fn proxy_of_server(server: &Endpoint, configured: Option<&ProxyUrl>) -> Option<Intercept> {
    proxy_of(&Url::parse(&format!("https://{server}")).ok()?, configured)
}

/// Where a proxy is.
pub(super) fn proxy_endpoint(proxy: &Intercept) -> Option<Endpoint> {
    let uri = proxy.uri();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    Some(Endpoint { host, port, protocol: Protocol::Tcp })
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

/// How long IPv6 has to show that it works, where IPv4 does.
const OTHER_FAMILY: Duration = Duration::from_secs(1);

/// Tries every address, all at once.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Connected {
    let of = |v6: bool| {
        let tries: Vec<_> = addresses.iter().filter(|a| a.is_ipv6() == v6).map(|a| Box::pin(connect_one(*a))).collect();
        async move {
            match tries.is_empty() {
                true => None,
                false => Some(futures::future::select_ok(tries).await.map(|(connected, _)| connected)),
            }
        }
    };
    let mut v6 = std::pin::pin!(of(true));
    // IPv6 is tried while IPv4 is; where that works, it has a little time left to show that it works too.
    let (v4, early) = tokio::join!(of(false), async { timeout(OTHER_FAMILY, &mut v6).await.ok() });
    let v6 = match (early, &v4) {
        (Some(v6), _) => v6,
        (None, Some(Ok(_))) => Some(Err(NoConnection::TimedOut)),
        (None, _) => v6.await,
    };
    let broken_v6 = matches!(v4, Some(Ok(_))) && matches!(v6, Some(Err(_)));
    let stream = match (v4, v6) {
        (Some(Ok(connected)), _) | (_, Some(Ok(connected))) => Ok(connected),
        (Some(Err(error)), _) | (None, Some(Err(error))) => Err(error),
        (None, None) => Err(NoConnection::NoRoute),
    };
    Connected { stream, broken_v6 }
}

async fn connect_one(address: SocketAddr) -> Result<(TcpStream, SocketAddr), NoConnection> {
    match timeout(LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok((stream, address)),
        Ok(Err(error)) => Err(why(&error)),
        Err(_) => Err(NoConnection::TimedOut),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_second_address_serves_where_the_first_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let dead = SocketAddr::from(([127, 0, 0, 2], good.port()));
        let connected = connect(&[dead, good]).await;
        assert_eq!(connected.stream.unwrap().1, good);
    }

    #[tokio::test]
    async fn where_nobody_listens_that_is_said() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(connect(&[free]).await.stream.unwrap_err(), NoConnection::Refused);
        assert_eq!(connect(&[]).await.stream.unwrap_err(), NoConnection::NoRoute);
    }

    #[test]
    fn a_server_has_the_proxy_that_a_peer_takes() {
        let server = |host: &str| Endpoint { host: host.into(), port: 5349, protocol: Protocol::Tls };
        let named = "http://u:hush@[2001:db8::1]:3128".parse().unwrap();
        for host in ["turn.example", "2001:db8::7"] {
            let proxy = proxy_of_server(&server(host), Some(&named)).unwrap();
            assert_eq!(proxy_endpoint(&proxy).unwrap().to_string(), "[2001:db8::1]:3128");
        }
        // The system's is not for this machine.
        assert!(proxy_of_server(&server("127.0.0.1"), None).is_none());
    }
}
