//! Connects to a server over TCP or TLS: every address of its name, through a proxy where there is one.

use super::proxy::Proxy;
use super::server::{RelayProtocol, Server, authority};
use super::{settings::RelaySettings, tls};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// How long one address has before the next is tried beside it (RFC 8305, 8).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// From the look-up of the name to the end of the handshake.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// What the system holds of what goes out: more would be media that arrives too late.
const SEND_BUFFER: u32 = 64 * 1024;

/// A connection to a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum DialError {
    #[error("the name {host} was not found ({source}); check the name, or ask your network department about DNS")]
    Name { host: String, source: io::Error },
    #[error("no connection to {address}: {source}; ask your network department to let TCP to it pass")]
    Connect { address: String, source: io::Error },
    #[error("no answer within {} s; ask your network department to let TCP to it pass", CONNECTED_WITHIN.as_secs())]
    Silent,
    #[error("{0}")]
    Trust(String),
    #[error("TLS failed: {0}; is this the TLS port of a TURN server?")]
    Tls(String),
    #[error("a proxy of the kind {0} is configured; only http:// and https:// proxies can be used")]
    ProxyKind(String),
    #[error("the proxy {proxy} failed: {what}")]
    Proxy { proxy: String, what: String },
    #[error("{}", proxy_auth(proxy, *given))]
    ProxyAuth { proxy: String, given: bool },
    #[error("the proxy {proxy} does not allow connections to {target} (403); ask your network department to allow it")]
    ProxyForbids { proxy: String, target: String },
}

fn proxy_auth(proxy: &str, given: bool) -> String {
    match given {
        true => format!("the proxy {proxy} refused the user name or password that it was given (407)"),
        false => format!(
            "the proxy {proxy} wants a user name and password (407); put them into its address, as in \
             http://user:password@{proxy}"
        ),
    }
}

/// Connects, within ten seconds.
pub(super) async fn dial(server: &Server, settings: &RelaySettings) -> Result<Box<dyn Stream>, DialError> {
    timeout(CONNECTED_WITHIN, connect(server, settings)).await.unwrap_or(Err(DialError::Silent))
}

async fn connect(server: &Server, settings: &RelaySettings) -> Result<Box<dyn Stream>, DialError> {
    let stream: Box<dyn Stream> = match Proxy::towards(&server.host, server.port, settings.proxy.as_ref())? {
        Some(proxy) => {
            let tcp = connect_tcp(&proxy.host, proxy.port).await.map_err(|e| through(&proxy, e))?;
            let mut stream = match proxy.tls {
                true => secured(Box::new(tcp), &proxy.host, settings.ca_file.clone(), tls::HTTP)
                    .await
                    .map_err(|e| through(&proxy, e))?,
                false => Box::new(tcp),
            };
            proxy.connect(&mut stream, &server.authority()).await?;
            stream
        }
        None => Box::new(connect_tcp(&server.host, server.port).await?),
    };
    match server.protocol {
        RelayProtocol::Tls => secured(stream, &server.host, settings.ca_file.clone(), tls::TURN).await,
        RelayProtocol::Tcp | RelayProtocol::Udp => Ok(stream),
    }
}

fn through(proxy: &Proxy, error: DialError) -> DialError {
    DialError::Proxy { proxy: proxy.authority(), what: error.to_string() }
}

async fn secured(
    stream: Box<dyn Stream>,
    host: &str,
    ca_file: Option<PathBuf>,
    protocol: &'static [u8],
) -> Result<Box<dyn Stream>, DialError> {
    // Reads the system's certificates.
    let made = tokio::task::spawn_blocking(move || tls::connector(ca_file.as_deref(), protocol)).await;
    let connector = made.map_err(|e| DialError::Tls(e.to_string()))??;
    let connected = connector.connect(tls::server_name(host)?, stream).await;
    Ok(Box::new(connected.map_err(|e| tls::failure(host, e))?))
}

/// Connects to the first address that answers. The next is tried when one fails, or is slow (RFC 8305).
async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses = found.map_err(|source| DialError::Name { host: host.to_owned(), source })?;
    let mut left = interleaved(addresses.collect()).into_iter();
    let mut trying = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    let mut next = left.next();
    loop {
        if let Some(address) = next.take() {
            trying.push(async move { connect_one(address).await });
        }
        tokio::select! {
            done = trying.next(), if !trying.is_empty() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    failed = error;
                    next = left.next();
                }
                None => {}
            },
            () = sleep(NEXT_ADDRESS_AFTER), if left.len() > 0 => next = left.next(),
            else => return Err(DialError::Connect { address: authority(host, port), source: failed }),
        }
    }
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    // What the system makes of it is its own matter.
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.connect(address).await
}

/// The addresses in their order, IPv6 and IPv4 by turns.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv4() == first_is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut out = Vec::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => return out,
            (a, b) => out.extend(a.into_iter().chain(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_families_have_their_turn() {
        let addresses = ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1"].map(|a| a.parse().unwrap());
        let ports: Vec<String> = interleaved(addresses.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(ports, ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1"]);
    }

    #[tokio::test]
    async fn a_refused_connection_names_the_server() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect_tcp("127.0.0.1", free.port()).await.unwrap_err().to_string();
        assert!(error.contains(&free.to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_name_with_several_addresses_is_tried_with_each() {
        // `localhost` is ::1 and 127.0.0.1 in most places; only the second listens.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect_tcp("localhost", port).await.is_ok());
    }
}
