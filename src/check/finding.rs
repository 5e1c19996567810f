//! What the probes found, as data. Words and advice are made of it elsewhere.

use super::ask::{Granted, NotGranted};
use super::gather::Gathered;
use super::step::StepName;
use super::url::ServerUrl;
use crate::api::ApiError;
use crate::call::CallStats;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Host and port, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What a firewall has to let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// Who a server says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Common name, else the whole subject.
    pub subject: String,
    /// Common name of the issuer, else its organization.
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoConnection {
    /// The name is not known, or DNS did not answer.
    NoName(String),
    /// The other side says that nobody listens.
    Refused,
    /// No answer.
    TimedOut,
    /// There is no way there.
    NoRoute,
    /// Something else, in the system's words.
    Other(String),
}

/// Why there is no trusted TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTrust {
    /// Nobody known vouches for the certificate.
    UnknownIssuer,
    /// It is over.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It is for another name.
    WrongName,
    /// What answers speaks something else.
    NoTls,
    /// No answer.
    TimedOut,
    /// The proxy does not let us through: HTTP status.
    Proxy(u16),
    /// Something else.
    Other(String),
}

/// Why no answer of the contact center's web server came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// A web page: a sign-in portal, or a proxy's page. `None` as title where it has none.
    Page {
        /// HTTP status.
        status: u16,
        /// Its title.
        title: Option<String>,
    },
    /// Sent elsewhere.
    Redirect(String),
    /// The proxy wants a password.
    ProxyPassword,
    /// The connection broke, or what came is no HTTP.
    Broken(String),
    /// No answer.
    TimedOut,
}

/// Why a step was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A step before it failed.
    After(StepName),
    /// A flag says so.
    Flag(&'static str),
    /// It has to be asked for, with this flag.
    NotAsked(&'static str),
    /// Plain HTTP has none.
    PlainHttp,
    /// There is no server to test it with.
    NoServer,
}

/// What `--chat` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFound {
    /// A session of this client was there before, and was left alone.
    pub was_open: bool,
    /// How long the server held a poll without news; `None` when there was none without.
    pub held: Option<Duration>,
}

/// What there is of the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFound {
    /// Addresses that media would use.
    pub addresses: Vec<IpAddr>,
    /// Whether `.local` names can be asked for.
    pub mdns: bool,
    /// With a range of ports: how many of how many are free.
    pub ports: Option<(usize, usize)>,
}

/// One server, tested.
#[derive(Debug, Clone)]
pub struct ServerFound {
    /// Which.
    pub url: ServerUrl,
    /// What a peer got of it: what a call would get.
    pub gathered: Gathered,
    /// What it says when it is asked directly: the reason, where a peer got nothing.
    pub asked: Result<Granted, NotGranted>,
}

impl ServerFound {
    /// A call would have a relayed address of it.
    pub fn relays(&self) -> bool {
        self.url.is_turn() && self.gathered.relay.is_some()
    }

    /// A call would learn its outer address of it; that of a machine without NAT is the inner one.
    pub fn reflects(&self) -> bool {
        let same = |mapped: SocketAddr| self.gathered.hosts.contains(&mapped.ip());
        self.gathered.srflx.is_some()
            || self.asked.as_ref().is_ok_and(|granted| !self.url.is_turn() && granted.mapped.is_some_and(same))
    }

    /// It does what it is for.
    pub fn works(&self) -> bool {
        if self.url.is_turn() { self.relays() } else { self.reflects() }
    }
}

/// How addresses are translated on the way (RFC 4787, 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// The outer address is that of this machine.
    None,
    /// One outer address and port for all destinations.
    EndpointIndependent,
    /// Another one for each destination ("symmetric").
    AddressDependent,
    /// There is one; one server is not enough to say of which kind.
    Present,
}

/// What the network's servers say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatFound {
    /// Which kind; `None`: nobody answered.
    pub nat: Option<Nat>,
    /// Addresses as others see them.
    pub mapped: Vec<SocketAddr>,
}

/// A sound device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceFound {
    /// Sound flows.
    Works {
        /// Its name.
        name: String,
        /// It gives digital silence: switched off, or muted.
        silent: bool,
    },
    /// It was opened, and no sound flows.
    Dead(String),
    /// None can be used: why.
    Missing(String),
}

/// How the sound of the test call went.
#[derive(Debug, Clone)]
pub struct CallFound {
    /// The relay; `None`: without one.
    pub through: Option<ServerUrl>,
    /// From the first description to connected.
    pub setup: Duration,
    /// Each side's figures.
    pub sides: [CallStats; 2],
}

/// Why there was no test call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCall {
    /// It did not connect in time.
    NotConnected {
        /// The relay.
        through: Option<ServerUrl>,
    },
    /// It connected and no sound came.
    NoSound {
        /// The relay.
        through: Option<ServerUrl>,
    },
    /// It could not be begun.
    Setup(String),
}

/// What a step found.
#[derive(Debug)]
pub enum Finding {
    /// It was not tried.
    Skipped(Why),
    /// It was given up after its time limit.
    GivenUp(Duration),
    /// The contact center.
    Configuration {
        /// Who is to be connected to.
        center: Endpoint,
        /// The proxy in between.
        proxy: Option<Endpoint>,
        /// Nothing is encrypted.
        plain: bool,
    },
    /// Addresses of a name.
    Dns {
        /// The name.
        host: String,
        /// Its addresses, or why there are none.
        found: Result<Vec<IpAddr>, NoConnection>,
    },
    /// A connection.
    Tcp {
        /// With whom.
        with: Endpoint,
        /// It is a proxy.
        proxy: bool,
        /// The address that took it.
        found: Result<SocketAddr, NoConnection>,
        /// There are IPv6 addresses, none of which works, while IPv4 does.
        broken_v6: bool,
    },
    /// Encryption.
    Tls {
        /// With whom.
        with: Endpoint,
        /// The protocol's version.
        found: Result<String, NoTrust>,
        /// What the server showed.
        certificate: Option<Certificate>,
        /// Now, by this machine's clock, in seconds since 1970.
        now: i64,
    },
    /// The clock: how far this one is ahead of the server's, in seconds; `None`: the server gave no time.
    Clock(Option<i64>),
    /// An answer, with its status.
    Http {
        /// Of whom.
        host: String,
        /// The status.
        found: Result<u16, NoAnswer>,
    },
    /// The API took or refused us.
    Api(Result<(), ApiError>),
    /// Open or closed, in the server's word, with the expected wait in seconds.
    Hours {
        /// It is open.
        open: bool,
        /// The server's word.
        word: String,
        /// Expected wait, in seconds.
        wait_s: Option<f64>,
    },
    /// Answer times of the requests.
    Latency(Vec<Duration>),
    /// A chat was tried.
    Chat(Result<ChatFound, ApiError>),
    /// The local network, or why a peer cannot have sockets.
    LocalNetwork(Result<LocalFound, String>),
    /// How many servers there are, and which cannot be used.
    IceServers(Result<(usize, Vec<String>), ApiError>),
    /// One server.
    IceServer(Box<ServerFound>),
    /// NAT.
    Nat(NatFound),
    /// The ways that all the servers together give.
    MediaPath(super::path::MediaPath),
    /// The microphone.
    Microphone(DeviceFound),
    /// The speaker.
    Speaker(DeviceFound),
    /// The test call.
    LoopbackCall(Result<Box<CallFound>, NoCall>),
}

/// A step that was made.
#[derive(Debug)]
pub struct Probed {
    /// Which.
    pub name: StepName,
    /// How long it took.
    pub took: Duration,
    /// What it found.
    pub finding: Finding,
}
