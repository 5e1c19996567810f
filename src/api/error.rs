//! What can go wrong between this client and the server.

pub use super::code::{ErrorBody, ErrorCode};
use std::path::PathBuf;
use std::time::Duration;

/// The methods of the API, named as they are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Check Availability.
    CheckAvailability,
    /// Expected Parameters.
    ExpectedParameters,
    /// Request Chat.
    RequestChat,
    /// Get Active Chat.
    GetActiveChat,
    /// Send Events.
    SendEvents,
    /// Get Chat History.
    GetHistory,
    /// Get New Chat Events: the long poll.
    PollEvents,
    /// Upload File.
    UploadFile,
    /// Get File.
    GetFile,
    /// Get Agent Profile Photo.
    GetProfilePhoto,
    /// Get ICE servers.
    GetIceServers,
    /// Get Chat Widget Configuration.
    GetWidgetConfiguration,
}

impl Operation {
    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckAvailability => "Check Availability",
            Self::ExpectedParameters => "Expected Parameters",
            Self::RequestChat => "Request Chat",
            Self::GetActiveChat => "Get Active Chat",
            Self::SendEvents => "Send Events",
            Self::GetHistory => "Get Chat History",
            Self::PollEvents => "Get New Chat Events",
            Self::UploadFile => "Upload File",
            Self::GetFile => "Get File",
            Self::GetProfilePhoto => "Get Agent Profile Photo",
            Self::GetIceServers => "Get ICE servers",
            Self::GetWidgetConfiguration => "Get Chat Widget Configuration",
        }
    }

    /// Whether "not found" can only mean the session: file and photo are looked up inside one.
    fn is_about_the_session(self) -> bool {
        matches!(self, Self::GetActiveChat | Self::SendEvents | Self::GetHistory | Self::PollEvents)
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What an answer was instead of the JSON it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJson {
    /// A web page: a sign-in portal, a proxy's error page, or the wrong address.
    Html,
    /// JSON that stops in the middle.
    Truncated,
    /// Something else.
    Other,
    /// Nothing at all.
    Empty,
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Html => {
                "with a web page instead of JSON; check the address, and for a proxy or a sign-in page between"
            }
            Self::Truncated => "with JSON that stops in the middle; try again",
            Self::Other => "with something that is no JSON; check the address",
            Self::Empty => "with nothing at all; check the address",
        })
    }
}

/// A method of the API that did not work out. No variant holds a client id, form data or a message's text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The configuration cannot be used; nothing was sent.
    #[error("{0}")]
    BadConfig(String),
    /// An argument cannot be used; nothing was sent.
    #[error("{operation}: {what}")]
    BadArgument {
        /// The method.
        operation: Operation,
        /// What is wrong with which argument.
        what: String,
    },
    /// No connection: the name is unknown, or nobody listens there.
    #[error("{operation}: cannot reach {host}: {reason}; check the address and the network")]
    Unreachable {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// Why, in words.
        reason: String,
    },
    /// A connection, but no trusted one.
    #[error("{operation}: no trusted TLS connection to {host}: {reason}")]
    Tls {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// Why, and what to do.
        reason: String,
    },
    /// No answer in time.
    #[error("{operation}: {host} did not answer within {after:?}; try again, or check the network")]
    Timeout {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// How long the client waited.
        after: Duration,
        /// No connection was made: nothing was sent.
        connecting: bool,
    },
    /// The connection broke in the middle of a request or of its answer.
    #[error("{operation}: the connection to {host} broke: {reason}; try again")]
    Interrupted {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// Why, in words.
        reason: String,
    },
    /// The server says no.
    #[error("{operation}: {host} answered HTTP {status}{}{}", in_words(*code, message), hint(*status, *code))]
    Status {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The API's own code, when the answer held one.
        code: Option<ErrorCode>,
        /// The server's text, shortened and without control characters; may be empty.
        message: String,
        /// How long the server wants not to be asked, when it said so.
        retry_after: Option<Duration>,
    },
    /// The answer is no JSON.
    #[error("{operation}: {host} answered {what}")]
    NotJson {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// What it was instead.
        what: NotJson,
    },
    /// The answer is JSON, but not what the method answers.
    #[error("{operation}: {host} gave an answer that cannot be used: {what}")]
    Unexpected {
        /// The method.
        operation: Operation,
        /// Host and port.
        host: String,
        /// What is missing or wrong.
        what: String,
    },
    /// More bytes than are allowed.
    #[error("{operation}: {what} is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The method.
        operation: Operation,
        /// What is too large.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A file on this machine.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write` or `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ApiError {
    /// The session no longer exists: error 5005, or HTTP 404 from a method that works on a session.
    pub fn is_session_gone(&self) -> bool {
        match self {
            Self::Status { code: Some(ErrorCode::SessionNotFound), .. } => true,
            Self::Status { operation, status: 404, code, .. } => {
                operation.is_about_the_session() && !matches!(code, Some(c) if !matches!(c, ErrorCode::Unknown(_)))
            }
            _ => false,
        }
    }

    /// The server still holds an older poll: error 5509, or HTTP 400 without a telling code from the poll. Poll again
    /// after a short pause; it is no failure.
    pub fn is_busy_poll(&self) -> bool {
        match self {
            Self::Status { code: Some(ErrorCode::TooManyPolls), .. } => true,
            Self::Status { operation: Operation::PollEvents, status: 400, code, .. } => {
                matches!(code, None | Some(ErrorCode::Unknown(_)))
            }
            _ => false,
        }
    }

    /// The same request may work in a moment: HTTP 5xx, 408 and 429, the codes 5000, 5001, 5004, 5500 and 5955,
    /// time-outs, broken connections, truncated answers, and a server that cannot be reached (see
    /// [`is_unreachable`](Self::is_unreachable): before the first answer that is more likely a wrong address).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { code: Some(code), .. } if !matches!(code, ErrorCode::Unknown(_)) => {
                use ErrorCode::*;
                matches!(code, ServerTimeout | NoServer | ServerDisconnected | Internal | Unspecified)
            }
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Self::Timeout { .. } | Self::Interrupted { .. } | Self::Unreachable { .. } => true,
            Self::NotJson { what, .. } => *what == NotJson::Truncated,
            _ => false,
        }
    }

    /// Somebody else answered in the server's place: a sign-in page (as a web page, a redirect, or HTTP 511, RFC 6585), a
    /// proxy, a certificate that is not trusted. Before the first answer of a server the address may be wrong; after it
    /// that is more likely a network which wants a person to sign in, and passes.
    pub fn is_from_elsewhere(&self) -> bool {
        match self {
            Self::NotJson { what, .. } => *what == NotJson::Html,
            Self::Status { status, code: None, .. } => matches!(status, 300..=399 | 511),
            Self::Tls { .. } => true,
            _ => false,
        }
    }

    /// No connection was made: the name is unknown, the network is down, or nobody listens.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// The server does not accept who asks: HTTP 401 or 403, or the codes 2000 to 2004 and 3000.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Status { code: Some(code), .. } if !matches!(code, ErrorCode::Unknown(_)) => {
                matches!(code.code(), 2000..=2004 | 3000)
            }
            Self::Status { status, .. } => matches!(status, 401 | 403),
            _ => false,
        }
    }

    /// The API's own code, when the answer held one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Status { code, .. } => *code,
            _ => None,
        }
    }
}

fn in_words(code: Option<ErrorCode>, message: &str) -> String {
    let mut text = String::new();
    if let Some(code) = code {
        text.push_str(&format!(", {code}"));
    }
    if !message.is_empty() {
        text.push_str(&format!(": \"{message}\""));
    }
    text
}

/// What a person can do about a status or code; empty when nothing but the server's text helps.
fn hint(status: u16, code: Option<ErrorCode>) -> &'static str {
    use ErrorCode::*;
    match code {
        Some(InvalidTenantUrl) => "; check the tenant",
        Some(AppIdMissing | InvalidApplication | ApplicationNotFound) => "; check the app id",
        Some(ClientIdMissing | AuthorizationFormat) => "; check the app id and the client id",
        Some(ServerTimeout | NoServer | ServerDisconnected | Internal | Unspecified) => "; try again later",
        Some(code) if !matches!(code, Unknown(_)) => "",
        _ => match status {
            401 | 403 => "; check the app id and the tenant",
            404 => "; check the address",
            300..=399 => "; a sign-in page or a proxy may stand between: open the address in a browser",
            511 => "; sign in to this network with a browser",
            408 | 429 | 500..=599 => "; try again later",
            _ => "",
        },
    }
}
