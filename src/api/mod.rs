//! The Mobile/Web Messaging API v1 as both ends of the wire see it.
//!
//! The wire types ([`event`], [`signaling`], [`types`]) follow one rule: *liberal in, strict out*. Numbers and booleans
//! are accepted as strings, names that servers spell two ways are accepted both ways, and what is unknown (an event,
//! a state, a field) is kept and written out again unchanged. Nothing a server sends can end a session by its form.

pub mod error;
pub mod event;
pub mod lenient;
pub mod signaling;
mod tagged;
pub mod types;

pub use error::ErrorCode;
pub use event::{ClientEvent, ServerEvent};
pub use lenient::{Extra, Timestamp};
pub use signaling::Signal;

/// Path of the API below the base address of a contact center.
pub const API_PATH: &str = "/clientweb/api/v1";

/// The scheme of the `Authorization` header.
pub const AUTH_SCHEME: &str = "MOBILE-API-140-327-PLAIN";

/// The `clientId` that means: this client is known by its HTTP cookies.
pub const WEB_CHAT_CLIENT_ID: &str = "WebChat";

/// The most a file upload may hold, in bytes (25 MB).
pub const MAX_UPLOAD_BYTES: u64 = 25 * 1024 * 1024;
