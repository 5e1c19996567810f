//! The error codes of the API.

use super::lenient;
use serde::{Deserialize, Serialize};

/// Defines the published codes once: value, HTTP status the simulator answers with, meaning.
macro_rules! codes {
    ($($variant:ident = $code:literal, $status:literal, $text:literal;)+) => {
        /// An `error_code` of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $text] $variant,)+
            /// A code that is not published, 0 when the server gave none.
            Unknown(u32),
        }

        impl ErrorCode {
            /// All published codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number on the wire.
            pub fn code(self) -> u32 {
                match self { $(Self::$variant => $code,)+ Self::Unknown(code) => code }
            }

            /// The meaning, in words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ Self::Unknown(_) => "unknown error" }
            }

            /// The HTTP status that goes with it. The API publishes none per code; these are the RFC 9110 meanings,
            /// within the statuses the methods list.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ Self::Unknown(_) => 500 }
            }
        }

        impl From<u32> for ErrorCode {
            fn from(code: u32) -> Self {
                match code { $($code => Self::$variant,)+ other => Self::Unknown(other) }
            }
        }
    };
}

codes! {
    InvalidTenantUrl = 1000, 400, "missing or invalid tenantUrl";
    AuthorizationMissing = 2000, 403, "Authorization header missing";
    AuthorizationFormat = 2001, 403, "Authorization parameter format incorrect";
    AuthorizationScheme = 2002, 403, "Authorization scheme incorrect";
    AppIdMissing = 2003, 403, "Authorization parameter missing: appId";
    ClientIdMissing = 2004, 403, "Authorization parameter missing: clientId";
    InvalidApplication = 3000, 403, "missing or invalid application unique id";
    ServerTimeout = 5000, 504, "timeout: chat server too slow";
    NoServer = 5001, 503, "no server available for the chat connection";
    InvalidJson = 5003, 400, "error decoding the JSON body";
    ServerDisconnected = 5004, 503, "chat server disconnected";
    SessionNotFound = 5005, 404, "chat session not found";
    ApplicationNotFound = 5006, 404, "mobile launch point (application) not found";
    Internal = 5500, 500, "internal server error";
    UploadTooLarge = 5501, 413, "upload size limit exceeded";
    FileNotFound = 5502, 404, "file not found";
    TooManyPolls = 5509, 400, "too many concurrent poll requests for one session";
    NoEvents = 5511, 400, "no events";
    FileOperation = 5558, 500, "file operation error";
    Unspecified = 5955, 500, "unspecified server error";
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.meaning(), self.code())
    }
}

/// The body of an error answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code, which comes as a string or a number.
    #[serde(default, deserialize_with = "lenient::string")]
    pub error_code: String,
    /// The server's text.
    #[serde(default, deserialize_with = "lenient::string")]
    pub error_message: String,
}

impl ErrorBody {
    /// The body for a code with a text of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { error_code: code.code().to_string(), error_message: message.into() }
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::from(self.error_code.trim().parse().unwrap_or(0))
    }
}
