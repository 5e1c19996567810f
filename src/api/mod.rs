//! The Mobile/Web Messaging API v1 as both ends of the wire see it.
//!
//! The wire types ([`event`], [`signaling`], [`types`]) follow one rule: *liberal in, strict out*. Numbers and booleans
//! are accepted as strings, names that servers spell two ways are accepted both ways, and what is unknown (an event,
//! a state, a field) is kept and written out again unchanged. Nothing a server sends can end a session by its form.
//!
//! [`Client`] speaks the twelve methods over HTTPS; what goes wrong is an [`ApiError`].

pub mod client;
mod code;
mod config;
mod connector;
pub mod error;
pub mod event;
mod faults;
pub mod filename;
mod ice;
pub mod lenient;
mod markup;
mod pool;
mod proxy;
pub mod signaling;
mod tagged;
mod transfer;
mod transport;
pub mod types;
mod widget;

pub use client::Client;
pub use config::{ClientConfig, Identity, is_loopback};
pub use error::{ApiError, ErrorBody, ErrorCode, Operation};
pub use event::{ClientEvent, ServerEvent};
pub use lenient::{Extra, Timestamp};
pub use proxy::ProxyUrl;
pub use signaling::Signal;
pub use transfer::MAX_UPLOAD_BYTES;

/// Path of the API below the base address of a contact center.
pub const API_PATH: &str = "/clientweb/api/v1";

/// The scheme of the `Authorization` header.
pub const AUTH_SCHEME: &str = "MOBILE-API-140-327-PLAIN";

/// The `clientId` that means: this client is known by its HTTP cookies.
pub const WEB_CHAT_CLIENT_ID: &str = "WebChat";
