//! The HTTP proxy that a person names.

use std::fmt;
use std::str::FromStr;
use url::Url;

/// The address of an HTTP proxy, `http://[user:password@]host:port` (or `https://`, for TLS to the proxy itself).
///
/// What shows it shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// The address with its credentials, for whoever connects.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        // The text may hold a password, so no error shows it.
        let url =
            Url::parse(&full).map_err(|e| format!("that is no address of a proxy ({e}); use http://host:port"))?;
        match url.scheme() {
            "http" | "https" if url.host().is_some() => Ok(Self(url)),
            "http" | "https" => Err("the address of the proxy has no host; use http://host:port".into()),
            other => Err(format!("a proxy of the kind {other}:// cannot be used; use an HTTP proxy, http://host:port")),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let proxy: ProxyUrl = "http://user:hush@p.example:3128".parse().unwrap();
        assert_eq!(format!("{proxy:?}"), "http://p.example:3128");
        assert!(!"socks5://user:hush@p.example".parse::<ProxyUrl>().unwrap_err().contains("hush"));
        assert!(!"http://user:hush@p.example:99999".parse::<ProxyUrl>().unwrap_err().contains("hush"));
    }

    #[test]
    fn a_host_and_port_are_enough() {
        assert_eq!(format!("{:?}", "p.example:3128".parse::<ProxyUrl>().unwrap()), "http://p.example:3128");
    }
}
