//! The address of a STUN or TURN server.

use super::finding::{Endpoint, Protocol};
use crate::peer::shown_ice_url;
use rtc::ice::url::{ProtoType, SchemeType, Url};
use std::fmt;

/// A `stun:`, `stuns:`, `turn:` or `turns:` address (RFC 7064, RFC 7065), taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    text: String,
    turn: bool,
    endpoint: Endpoint,
}

impl ServerUrl {
    /// Reads one.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let url = Url::parse_url(text).map_err(|e| format!("{}: {e}", shown_ice_url(text)))?;
        let turn = matches!(url.scheme, SchemeType::Turn | SchemeType::Turns);
        let protocol = match (url.scheme, url.proto) {
            // TURN over DTLS is of RFC 7350, which nobody speaks; what is over TCP by the scheme stays so.
            (SchemeType::Turns | SchemeType::Stuns, _) => Protocol::Tls,
            (_, ProtoType::Tcp) => Protocol::Tcp,
            _ => Protocol::Udp,
        };
        let host = url.host.trim_matches(['[', ']']).to_owned();
        Ok(Self { text: shown_ice_url(text), turn, endpoint: Endpoint { host, port: url.port, protocol } })
    }

    /// It can relay.
    pub fn is_turn(&self) -> bool {
        self.turn
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.endpoint.protocol
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_transport_and_the_usual_port_are_known() {
        let of = |text: &str| {
            let url = ServerUrl::parse(text).unwrap();
            (url.is_turn(), url.protocol(), url.endpoint().port)
        };
        assert_eq!(of("stun:a.example"), (false, Protocol::Udp, 3478));
        assert_eq!(of("turn:a.example:5000"), (true, Protocol::Udp, 5000));
        assert_eq!(of("turn:a.example?transport=tcp"), (true, Protocol::Tcp, 3478));
        assert_eq!(of("turns:a.example"), (true, Protocol::Tls, 5349));
        assert_eq!(of("turns:a.example:443?transport=tcp"), (true, Protocol::Tls, 443));
        assert_eq!(ServerUrl::parse("turn:[::1]:3478").unwrap().endpoint().to_string(), "[::1]:3478");
    }

    #[test]
    fn an_address_of_something_else_is_refused() {
        for text in ["", "http://a.example", "turn:", "nonsense"] {
            assert!(ServerUrl::parse(text).is_err(), "{text}");
        }
    }
}
