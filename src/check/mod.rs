//! The test before a call: what a person at a kiosk, or a network department, wants to know.
//!
//! Probes look at one thing each ([`Finding`]: data), and run beside each other where they do not need one another. What
//! a finding means, and whom to tell what, is made of it without any I/O ([`judge`], [`conclude`]). A front end shows
//! [`Step`]s as they come, and the [`Report`].
//!
//! The way to the contact center is walked as its client walks it (proxy, trusted certificates). ICE servers are tested by
//! the peers that calls are made of, each server by itself; asking it directly as well tells why it gives nothing.

mod ask;
mod center;
mod connect;
mod devices;
mod finding;
mod gather;
mod http;
mod local;
mod loopback;
mod nat;
mod path;
mod quality;
mod report;
mod runner;
mod step;
mod trust;
mod url;
mod words;

pub use ask::{Granted, NotGranted};
pub use finding::{
    CallFound, Certificate, ChatFound, DeviceFound, Endpoint, Finding, LocalFound, Nat, NatFound, NoAnswer, NoCall,
    NoConnection, NoTrust, Probed, Protocol, ServerFound, Why,
};
pub use gather::{Found, Gathered};
pub use nat::classify;
pub use path::{MediaPath, Udp, media_path};
pub use quality::{Figures, Grade};
pub use report::{Conclusion, Report, Step, conclude};
pub use runner::{CheckConfig, Devices, check};
pub use step::{StepName, Verdict};
pub use url::ServerUrl;
pub use words::{Advice, Allow, Audience, Judgement, judge};
