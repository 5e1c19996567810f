//! One address of a STUN or TURN server (RFC 7064, RFC 7065).

use crate::api::types::{IceServer, one_line};
use rtc::ice::url::{ProtoType, SchemeType};
use std::fmt;
use std::net::IpAddr;
use webrtc::peer_connection::RTCIceServer;

/// What carries STUN and TURN to a server (W3C `relayProtocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayProtocol {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream with TLS.
    Tls,
}

impl fmt::Display for RelayProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// A server that can be used.
#[derive(Clone)]
pub(super) struct Server {
    /// As it was given; holds no credentials.
    pub url: String,
    /// A name or an address without brackets.
    pub host: String,
    pub port: u16,
    pub protocol: RelayProtocol,
    /// STUN alone.
    pub is_stun: bool,
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Server {
    /// Reads one address. `Err` says why a peer leaves it out.
    fn parse(text: &str, username: &str, password: &str) -> Result<Self, String> {
        let (scheme, query) =
            (text.split(':').next().unwrap_or_default(), text.split_once('?').map(|(_, query)| query));
        let udp = |query: &str| query.eq_ignore_ascii_case("transport=udp");
        let address = match (scheme.to_ascii_lowercase().as_str(), query) {
            ("stuns", _) => return Err(NO_STUN_STREAM.into()),
            // RFC 7064 has no such part; it is in use nevertheless.
            ("stun", Some(query)) if udp(query) => text.split('?').next().unwrap_or_default(),
            ("stun", Some(query)) if query.eq_ignore_ascii_case("transport=tcp") => return Err(NO_STUN_STREAM.into()),
            ("turns", Some(query)) if udp(query) => {
                return Err("TURN over DTLS is not spoken here; ask for turns: with transport=tcp".into());
            }
            _ => text,
        };
        let server =
            RTCIceServer { urls: vec![address.to_owned()], username: username.into(), credential: password.into() };
        let urls = server.urls().map_err(|e| e.to_string())?;
        let url = urls.into_iter().next().ok_or("no address")?;
        if url.host.is_empty() || url.port == 0 {
            return Err("no host or no port".into());
        }
        let protocol = match (url.scheme, url.proto) {
            (SchemeType::Turns, _) => RelayProtocol::Tls,
            (SchemeType::Turn, ProtoType::Tcp) => RelayProtocol::Tcp,
            _ => RelayProtocol::Udp,
        };
        Ok(Self {
            url: shown(text),
            host: url.host,
            port: url.port,
            protocol,
            is_stun: url.scheme == SchemeType::Stun,
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

const NO_STUN_STREAM: &str =
    "STUN over TCP or TLS tells an address that media cannot use; a turn: or turns: server helps where UDP is blocked";

pub(super) fn authority(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// An address as it is shown: without what some put before an `@`, which these addresses do not have (RFC 7065, 3.1).
pub(crate) fn shown(url: &str) -> String {
    let url = one_line(url);
    match (url.split_once(':'), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}:…@{host}"),
        _ => url,
    }
}

/// Every address of the servers: what can be used, and of the others why not.
pub(super) fn sort_out(servers: &[IceServer]) -> (Vec<Server>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for server in servers {
        let (username, password) = (server.username.as_deref(), server.credential.as_deref());
        for url in &server.urls {
            match Server::parse(url.trim(), username.unwrap_or_default(), password.unwrap_or_default()) {
                Ok(server) => good.push(server),
                Err(why) => bad.push(format!("{}: {why}", shown(url))),
            }
        }
    }
    (good, bad)
}

/// Which of the servers a peer leaves out, and why: no `stun:` or `turn:` address (RFC 7064, RFC 7065), a TURN server
/// without user name or password, or a transport that is of no use.
pub fn unusable_ice_servers(servers: &[IceServer]) -> Vec<String> {
    sort_out(servers).1
}

/// Whether a call that uses relays alone has a server to ask.
pub(in super::super) fn names_a_relay(servers: &[IceServer]) -> bool {
    sort_out(servers).0.iter().any(|server| !server.is_stun)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(url: &str) -> Result<Server, String> {
        Server::parse(url, "u", "p")
    }

    #[test]
    fn a_stun_server_is_no_relay() {
        let server = |url: &str| IceServer {
            urls: vec![url.to_owned()],
            username: Some("u".into()),
            credential: Some("p".into()),
            ..Default::default()
        };
        assert!(!names_a_relay(&[]) && !names_a_relay(&[server("stun:s.example"), server("turn:")]));
        assert!(names_a_relay(&[server("stun:s.example"), server("turns:t.example")]));
    }

    #[test]
    fn each_address_has_its_port_and_protocol() {
        for (url, authority, protocol) in [
            ("turn:t.example", "t.example:3478", RelayProtocol::Udp),
            ("turn:t.example?transport=udp", "t.example:3478", RelayProtocol::Udp),
            ("turn:t.example:80?transport=tcp", "t.example:80", RelayProtocol::Tcp),
            ("turns:t.example", "t.example:5349", RelayProtocol::Tls),
            ("turns:[2001:db8::7]:443?transport=tcp", "[2001:db8::7]:443", RelayProtocol::Tls),
            ("stun:s.example?transport=udp", "s.example:3478", RelayProtocol::Udp),
        ] {
            let server = read(url).unwrap();
            assert_eq!((server.authority().as_str(), server.protocol), (authority, protocol), "{url}");
        }
    }

    #[test]
    fn what_is_of_no_use_is_left_out_with_a_reason() {
        for (url, why) in [
            ("stuns:s.example", "turns:"),
            ("stun:s.example?transport=tcp", "turns:"),
            ("turns:t.example?transport=udp", "DTLS"),
        ] {
            assert!(read(url).unwrap_err().contains(why), "{url}");
        }
        for url in ["http://x", "turn:", "turn:x?transport=sctp", ""] {
            assert!(read(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        let urls = vec!["turn:user:hush@t.example:3478".into(), "http://user:hush@t.example".into()];
        let (good, bad) = sort_out(&[IceServer { urls, ..IceServer::default() }]);
        assert!(!format!("{good:?}{bad:?}").contains("hush"), "{good:?} {bad:?}");
    }

    #[test]
    fn a_password_is_not_in_the_debug_text() {
        assert!(!format!("{:?}", Server::parse("turn:t.example", "user", "hush").unwrap()).contains("hush"));
    }
}
