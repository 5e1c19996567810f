//! What can go wrong: for who starts a simulator, and for who sends it a request.

use crate::api::ErrorCode;
use crate::api::error::ErrorBody;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be bound.
    #[error("cannot listen on {addr}: {}", bind_hint(.source))]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder for recordings cannot be made.
    #[error("cannot make the folder for recordings {}", .path.display())]
    RecordDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that the agents play cannot be used.
    #[error("the agents cannot play {}: {reason}", .path.display())]
    Sound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system allows no further thread.
    #[error("the agents' sound has no thread: {0}")]
    Thread(std::io::Error),
}

fn bind_hint(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program listens there already: stop it, or choose another port (port 0 takes any free one)".into()
        }
        std::io::ErrorKind::PermissionDenied => "not allowed: choose a port above 1023".into(),
        _ => source.to_string(),
    }
}

/// An error answer of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub code: ErrorCode,
    pub status: u16,
    pub message: String,
}

impl ApiError {
    /// An error with the status and the meaning that belong to its code.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, status: code.http_status(), message: code.meaning().to_owned() }
    }

    /// The same code with a message that says more.
    pub fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody::new(self.code, self.message))).into_response()
    }
}
