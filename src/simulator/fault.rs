//! Errors on order: what a healthy server never answers can be asked for, so that a client's handling can be tried.

use crate::api::ErrorCode;
use std::str::FromStr;

/// Defines the methods of the API once: name on the command line, HTTP method, path below the API.
macro_rules! methods {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $verb:literal, $path:literal;)+) => {
        /// A method of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ApiMethod { $($(#[$meta])* $variant,)+ }

        impl ApiMethod {
            /// All methods.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The route below the API's path.
            pub(super) const fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)+ }
            }

            /// The method of a request, by its verb and route.
            pub(super) fn of(verb: &str, route: &str) -> Option<Self> {
                match (verb, route) { $(($verb, $path) => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

methods! {
    /// Check Availability.
    Availability = "availability", "GET", "/availability";
    /// Expected Parameters.
    Parameters = "parameters", "GET", "/parameters";
    /// Request Chat.
    RequestChat = "request-chat", "POST", "/chats";
    /// Get Active Chat.
    ActiveChat = "active-chat", "GET", "/chats/active";
    /// Send Events.
    SendEvents = "send-events", "POST", "/chats/{chat_id}/events";
    /// Get Chat History.
    History = "history", "GET", "/chats/{chat_id}/history";
    /// Get New Chat Events, the long poll.
    Poll = "poll", "GET", "/chats/{chat_id}/events";
    /// Upload File.
    Upload = "upload", "POST", "/files";
    /// Get File.
    File = "file", "GET", "/chats/{chat_id}/files/{file_id}";
    /// Get Agent Profile Photo.
    Photo = "photo", "GET", "/chats/{chat_id}/profilephotos/{party_id}";
    /// Get ICE servers.
    IceServers = "ice-servers", "GET", "/iceservers";
    /// Get Chat Widget Configuration.
    Configuration = "configuration", "GET", "/configuration";
}

/// What is answered instead of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An error of the API, with its usual HTTP status.
    Code(ErrorCode),
    /// A page for people, status 200, as a captive portal or a proxy gives.
    Html,
    /// JSON that stops in the middle.
    Truncated,
    /// No answer at all, as long as the client waits.
    Hang,
}

/// One order of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// For which method; `None`: every one.
    pub method: Option<ApiMethod>,
    /// What to answer.
    pub kind: FaultKind,
    /// How often; `None`: always.
    pub count: Option<u32>,
}

impl FromStr for Fault {
    type Err = String;

    /// `METHOD:CODE[:COUNT]`.
    fn from_str(s: &str) -> Result<Self, String> {
        let mut parts = s.split(':');
        let (method, code, count) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let code =
            code.filter(|_| parts.next().is_none()).ok_or("expected METHOD:CODE[:COUNT], such as poll:5000:3")?;
        let method = match method {
            "any" => None,
            name => Some(*ApiMethod::ALL.iter().find(|m| m.name() == name).ok_or_else(|| {
                let names: Vec<_> = ApiMethod::ALL.iter().map(|m| m.name()).collect();
                format!("`{name}` is none of any, {}", names.join(", "))
            })?),
        };
        let kind = match code {
            "html" => FaultKind::Html,
            "truncated" => FaultKind::Truncated,
            "hang" => FaultKind::Hang,
            number => match number.parse::<u32>().map(ErrorCode::from) {
                Ok(code) if ErrorCode::ALL.contains(&code) => FaultKind::Code(code),
                _ => return Err(format!("`{number}` is no published error code, html, truncated or hang")),
            },
        };
        let count = match count {
            None => Some(1),
            Some("*") => None,
            Some(n) => match n.parse() {
                Ok(n @ 1..) => Some(n),
                _ => return Err(format!("`{n}` is no number of times (1 or more, * for always)")),
            },
        };
        Ok(Self { method, kind, count })
    }
}

/// The routes below `/admin/faults`.
pub(super) fn router() -> axum::Router<std::sync::Arc<super::shared::Shared>> {
    axum::Router::new()
}

/// The orders that are still open.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub fn new(faults: Vec<Fault>) -> Self {
        Self(faults)
    }

    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Takes the first open order for a method.
    pub fn take(&mut self, method: ApiMethod) -> Option<FaultKind> {
        let at = self.0.iter().position(|f| f.method.is_none_or(|m| m == method))?;
        let fault = &mut self.0[at];
        let kind = fault.kind;
        if let Some(left) = &mut fault.count {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.0.remove(at);
            }
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fault_strikes_its_method_as_often_as_ordered() {
        let mut faults = Faults::new(vec!["poll:5000:2".parse().unwrap()]);
        assert_eq!(faults.take(ApiMethod::History), None);
        let expected = Some(FaultKind::Code(ErrorCode::ServerTimeout));
        assert_eq!(faults.take(ApiMethod::Poll), expected);
        assert_eq!(faults.take(ApiMethod::Poll), expected);
        assert_eq!(faults.take(ApiMethod::Poll), None);
    }

    #[test]
    fn a_fault_without_end_strikes_every_method() {
        let mut faults = Faults::new(vec!["any:html:*".parse().unwrap()]);
        for &method in ApiMethod::ALL {
            assert_eq!(faults.take(method), Some(FaultKind::Html));
        }
    }

    #[test]
    fn nonsense_orders_are_refused() {
        for s in ["", "poll", "poll:9", "poll:5000:0", "poll:5000:x", "poll:5000:1:1", "fax:5000"] {
            assert!(s.parse::<Fault>().is_err(), "{s}");
        }
    }
}
