//! The steps of a check, and how one comes out.

use serde::Serialize;
use std::fmt;

/// How a step came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not as it should be; calls can be made all the same.
    Warning,
    /// Does not work.
    Failed,
    /// Was not tried.
    Skipped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// The steps, in the order in which they are reported. The names are relied on by scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Where the contact center is, and through which proxy.
    Configuration,
    /// The name's addresses.
    Dns,
    /// A connection to one of them.
    Tcp,
    /// TLS on it.
    Tls,
    /// This machine's clock against the server's.
    Clock,
    /// An answer of an HTTP server.
    Http,
    /// The API takes us.
    Api,
    /// The contact center is open.
    Hours,
    /// How fast the API answers.
    Latency,
    /// A chat, and a long poll.
    Chat,
    /// This machine's addresses.
    LocalNetwork,
    /// The list of STUN and TURN servers.
    IceServers,
    /// One of them; there are as many of these steps as servers.
    IceServer,
    /// How this network translates addresses.
    Nat,
    /// Which ways there are for sound.
    MediaPath,
    /// The microphone.
    Microphone,
    /// The speaker.
    Speaker,
    /// A call of this machine with itself, through a relay where there is one.
    LoopbackCall,
}

impl StepName {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Dns => "name (DNS)",
            Self::Tcp => "connection (TCP)",
            Self::Tls => "encryption (TLS)",
            Self::Clock => "clock",
            Self::Http => "web server (HTTP)",
            Self::Api => "contact center",
            Self::Hours => "opening hours",
            Self::Latency => "answer time",
            Self::Chat => "chat",
            Self::LocalNetwork => "local network",
            Self::IceServers => "ICE servers",
            Self::IceServer => "ICE server",
            Self::Nat => "NAT",
            Self::MediaPath => "way for sound",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::LoopbackCall => "test call",
        }
    }
}
