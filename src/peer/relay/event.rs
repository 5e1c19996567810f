use std::fmt;
use std::net::SocketAddr;

/// What a TURN server did. `server` is its address as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayEvent {
    /// It does not relay, or no longer: it answered Allocate or Refresh with an error (RFC 8656, 19). Told once for a
    /// server and code.
    Refused {
        /// The server.
        server: String,
        /// The code: 401 wrong credentials, 403 forbidden, 486 quota reached, 508 no capacity.
        code: u16,
        /// What the server says.
        reason: String,
    },
    /// It cannot be reached, the TLS connection to it cannot be trusted, or it ends before anything is relayed.
    Unreachable {
        /// The server.
        server: String,
        /// Why, and what to do.
        why: String,
    },
    /// The connection to it broke, and with it what it relayed (an allocation lives as long as its connection).
    Lost {
        /// The server.
        server: String,
        /// The address that it relayed for.
        relayed: SocketAddr,
        /// Why.
        why: String,
    },
}

impl fmt::Display for RelayEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { server, code: 401 | 441, .. } => {
                write!(
                    f,
                    "the relay {server} refused the user name or password; the contact center's administrator sets them"
                )
            }
            Self::Refused { server, code: 486, .. } => {
                write!(f, "the relay {server} has reached the number of calls it allows this user (486)")
            }
            Self::Refused { server, code, reason } => write!(f, "the relay {server} refused: {code} {reason}"),
            Self::Unreachable { server, why } => write!(f, "the relay {server} cannot be used: {why}"),
            Self::Lost { server, why, .. } => write!(f, "the connection to the relay {server} broke: {why}"),
        }
    }
}
