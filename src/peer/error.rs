use thiserror::Error;

/// Why a WebRTC peer could not do what was asked.
#[derive(Debug, Error)]
pub enum PeerError {
    /// No socket could be opened.
    #[error("no UDP socket for media on {addresses}: {reason}; check the address and port range that were configured")]
    Socket {
        /// What was to be bound.
        addresses: String,
        /// What the system said.
        reason: String,
    },
    /// Nothing but relays is allowed, and there is none.
    #[error(
        "only relays may be used, and the contact center names no TURN server that can be: allow every way (--ice all), or \
         see `chatphone ice-servers` and `chatphone check`"
    )]
    NoRelay,
    /// The peer connection could not be made.
    #[error("the WebRTC peer could not be set up: {0}")]
    Setup(String),
    /// The far end's session description is of no use.
    #[error("the session description from the far end cannot be used: {0}")]
    RemoteDescription(String),
    /// The far end offers no codec that this side has.
    #[error("no codec in common: the far end offers {offered}, this side has {ours}")]
    NoCommonCodec {
        /// The audio codecs in the far end's description.
        offered: String,
        /// The audio codecs of this side.
        ours: String,
    },
    /// A description of this side's own could not be made.
    #[error("no session description could be made: {0}")]
    LocalDescription(String),
    /// A candidate does not parse or fits no media section.
    #[error("an ICE candidate from the far end cannot be used: {0}")]
    Candidate(String),
}
