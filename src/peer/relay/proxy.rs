//! The way out through an HTTP proxy (CONNECT, RFC 9110, 9.3.6).

use super::dial::DialError;
use super::server::authority;
use crate::api::ProxyUrl;
use axum::http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use std::fmt;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The header of an answer is not longer.
const MAX_HEADER: usize = 16 * 1024;

/// The proxy on the way to a server.
pub(super) struct Proxy {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    authorization: Option<Vec<u8>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

impl Proxy {
    /// The proxy for `host`: the one that was configured, else what environment and system say, as the HTTP client does.
    pub fn towards(host: &str, port: u16, configured: Option<&ProxyUrl>) -> Result<Option<Self>, DialError> {
        let matcher = match configured {
            Some(url) => {
                let variable = |name| std::env::var(name).ok();
                let none = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
                Matcher::builder().all(url.as_str()).no(none).build()
            }
            // A proxy's loopback is another machine's.
            None if is_loopback(host) => return Ok(None),
            None => Matcher::from_system(),
        };
        let Ok(target) = format!("https://{}", authority(host, port)).parse::<Uri>() else { return Ok(None) };
        matcher.intercept(&target).map(|found| Self::from_intercept(&found)).transpose()
    }

    fn from_intercept(found: &Intercept) -> Result<Self, DialError> {
        let uri = found.uri();
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            other => return Err(DialError::ProxyKind(other.unwrap_or("?").to_owned())),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authorization = found.basic_auth().map(|value| value.as_bytes().to_vec());
        Ok(Self { host, port, tls, authorization })
    }

    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Has the proxy connect `stream` to `target` (`host:port`).
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        target: &str,
    ) -> Result<(), DialError> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let broken = |e: std::io::Error| DialError::Proxy { proxy: self.authority(), what: e.to_string() };
        stream.write_all(&request).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut header = Vec::new();
        // Byte by byte, since what follows the header is not the proxy's any more. It is once for a connection.
        while !header.ends_with(b"\r\n\r\n") && !header.ends_with(b"\n\n") {
            if header.len() == MAX_HEADER {
                return Err(DialError::Proxy { proxy: self.authority(), what: "its answer has no end".into() });
            }
            header.push(stream.read_u8().await.map_err(broken)?);
        }
        self.judge(&header, target)
    }

    fn judge(&self, header: &[u8], target: &str) -> Result<(), DialError> {
        let proxy = self.authority();
        match status(header) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(DialError::ProxyAuth { proxy, given: self.authorization.is_some() }),
            Some(403) => Err(DialError::ProxyForbids { proxy, target: target.to_owned() }),
            Some(code) => Err(DialError::Proxy { proxy, what: format!("it answered {code}") }),
            None => Err(DialError::Proxy { proxy, what: "what answers there is no HTTP proxy".into() }),
        }
    }
}

/// The status of an answer (RFC 9112, 4).
fn status(header: &[u8]) -> Option<u16> {
    let line = header.split(|b| *b == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next()?.starts_with("HTTP/1.").then_some(())?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use tokio::io::duplex;

    fn proxy(url: &str) -> Proxy {
        Proxy::towards("turn.example", 443, Some(&url.parse().unwrap())).unwrap().unwrap()
    }

    /// What the proxy was sent, and what came of it.
    async fn connected(proxy: Proxy, answer: &str) -> (String, Result<(), DialError>, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(4096);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        let result = proxy.connect(&mut ours, "turn.example:443").await;
        let mut sent = vec![0; 4096];
        let n = theirs.read(&mut sent).await.unwrap();
        drop(theirs);
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        (String::from_utf8(sent[..n].to_vec()).unwrap(), result, rest)
    }

    #[tokio::test]
    async fn the_proxy_is_told_the_target_and_the_credentials() {
        let (sent, result, rest) =
            connected(proxy("http://Aladdin:opensesame@p.example:8080"), "HTTP/1.1 200 OK\r\nVia: x\r\n\r\nmore").await;
        result.unwrap();
        assert!(sent.starts_with("CONNECT turn.example:443 HTTP/1.1\r\nHost: turn.example:443\r\n"), "{sent}");
        assert!(sent.contains("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuc2VzYW1l\r\n"), "{sent}");
        assert_eq!(rest, b"more");
    }

    #[tokio::test]
    async fn a_refusal_says_what_to_do_and_no_password() {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        let without = connected(proxy("http://p.example:8080"), answer).await.1.unwrap_err().to_string();
        assert!(without.contains("user name and password") && without.contains("p.example:8080"), "{without}");
        let wrong = connected(proxy("http://u:hush@p.example:8080"), answer).await.1.unwrap_err().to_string();
        assert!(wrong.contains("refused") && !wrong.contains("hush"), "{wrong}");
        let forbidden = connected(proxy("http://p.example:8080"), "HTTP/1.0 403 No\r\n\r\n").await.1.unwrap_err();
        assert!(forbidden.to_string().contains("turn.example:443"), "{forbidden}");
    }

    #[tokio::test]
    async fn what_is_no_proxy_is_named_so() {
        let error = connected(proxy("http://p.example:8080"), "SSH-2.0-x\r\n\r\n").await.1.unwrap_err().to_string();
        assert!(error.contains("no HTTP proxy"), "{error}");
    }

    #[test]
    fn this_machine_is_reached_without_the_systems_proxy() {
        assert!(Proxy::towards("127.0.0.1", 443, None).unwrap().is_none());
        assert!(Proxy::towards("localhost", 443, None).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_answer_panics(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = status(&header);
        }
    }
}
