//! What a finding means, in plain words, and what is to be done about it. Nothing here does anything: data in, words out.

mod center;
mod media;
#[cfg(test)]
mod tests;

pub(super) use media::trust as no_trust;

use super::finding::{Endpoint, Finding, Probed, Protocol, Why};
use super::step::{StepName, Verdict};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// Who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Whoever runs the network that this machine is in.
    NetworkDepartment,
    /// Whoever runs the contact center.
    ContactCenter,
    /// Whoever sits here.
    Here,
}

impl Audience {
    /// How a line to it begins.
    pub fn opening(self) -> &'static str {
        match self {
            Self::NetworkDepartment => "Tell your network department",
            Self::ContactCenter => "Tell the contact center's administrator",
            Self::Here => "On this machine",
        }
    }
}

/// What a firewall is to let out, and the answers to it back in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// Always `outbound`: this machine begins, and the answers come back the same way.
    pub direction: &'static str,
    /// To where, and over what.
    #[serde(flatten)]
    pub to: Endpoint,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// By whom.
    pub to: Audience,
    /// What, as a sentence.
    pub text: String,
    /// What a firewall is to let through, where that is it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
}

impl Advice {
    fn new(to: Audience, text: impl Into<String>) -> Self {
        Self { to, text: text.into(), allow: None }
    }

    /// To the network department: let this through.
    fn allow(to: &Endpoint, what_for: &str) -> Self {
        let (host, port) = (&to.host, to.port);
        let how = match to.protocol {
            Protocol::Udp => format!("UDP to {host} port {port}, outbound, and the answers to it"),
            Protocol::Tcp => format!("TCP to {host} port {port}, outbound"),
            Protocol::Tls => format!("TLS (TCP) to {host} port {port}, outbound, without inspection"),
        };
        let allow = Some(Allow { direction: "outbound", to: to.clone() });
        Self { to: Audience::NetworkDepartment, text: format!("allow {how} ({what_for})."), allow }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.to.opening(), self.text)
    }
}

/// What a finding means.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// How the step came out.
    pub verdict: Verdict,
    /// In words, as a phrase without a full stop.
    pub message: String,
    /// What to do.
    pub advice: Vec<Advice>,
    /// The figures, for programs.
    pub details: Map<String, Value>,
}

impl Judgement {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), advice: Vec::new(), details: Map::new() }
    }

    fn ok(message: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, message)
    }

    fn warning(message: impl Into<String>) -> Self {
        Self::new(Verdict::Warning, message)
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, message)
    }

    fn tell(mut self, to: Audience, text: impl Into<String>) -> Self {
        self.advice.push(Advice::new(to, text));
        self
    }

    fn network(self, text: impl Into<String>) -> Self {
        self.tell(Audience::NetworkDepartment, text)
    }

    fn center(self, text: impl Into<String>) -> Self {
        self.tell(Audience::ContactCenter, text)
    }

    fn here(self, text: impl Into<String>) -> Self {
        self.tell(Audience::Here, text)
    }

    fn allow(mut self, to: &Endpoint, what_for: &str) -> Self {
        self.advice.push(Advice::allow(to, what_for));
        self
    }

    fn with(mut self, details: Value) -> Self {
        if let Value::Object(details) = details {
            self.details.extend(details);
        }
        self
    }
}

/// What one finding means.
pub fn judge(probed: &Probed) -> Judgement {
    use Finding::*;
    match &probed.finding {
        Skipped(why) => skipped(*why),
        GivenUp(limit) => given_up(probed.name, *limit),
        Configuration { center, proxy, plain } => center::configuration(center, proxy.as_ref(), *plain),
        Dns { host, found } => center::dns(host, found, probed.took),
        Tcp { with, proxy, found, broken_v6 } => center::tcp(with, *proxy, found, *broken_v6),
        Tls { with, found, certificate, now } => center::tls(with, found, certificate.as_ref(), *now),
        Clock(ahead) => center::clock(*ahead),
        Http { host, found } => center::http(host, found),
        Api(result) => center::api(result.as_ref().err()),
        Hours { open, word, wait_s } => center::hours(*open, word, *wait_s),
        Latency(times) => center::latency(times),
        Chat(found) => center::chat(found),
        LocalNetwork(found) => media::local(found),
        IceServers(found) => media::servers(found),
        IceServer(found) => media::server(found),
        Nat(found) => media::nat(found),
        MediaPath(path) => media::path(path),
        Microphone(found) => media::microphone(found),
        Speaker(found) => media::speaker(found),
        LoopbackCall(Ok(found)) => media::call(found),
        LoopbackCall(Err(reason)) => media::no_call(reason),
    }
}

fn skipped(why: Why) -> Judgement {
    let text = match why {
        Why::After(step) => format!("not tried: {} failed", step.title()),
        Why::Flag(flag) => format!("left out by {flag}"),
        Why::NotAsked(flag) => format!("not tried without {flag}"),
        Why::PlainHttp => "plain HTTP has none".into(),
        Why::NoServer => "there is no server to ask".into(),
    };
    Judgement::new(Verdict::Skipped, text)
}

fn given_up(step: StepName, limit: Duration) -> Judgement {
    let message = format!("gave no result within {} s", limit.as_secs());
    // What hangs is most often a driver of sound.
    match step {
        StepName::Microphone | StepName::Speaker => {
            Judgement::failed(message).here("the sound system hangs: restart it, or unplug and replug the device.")
        }
        _ => Judgement::failed(message),
    }
}

/// Milliseconds, to a tenth.
pub(super) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Milliseconds for people.
fn in_ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `three`, `3 of them`: a list for a sentence.
fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn certificate_details(certificate: &super::finding::Certificate) -> Value {
    json!({
        "certificate": {
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "not_before": day(certificate.not_before),
            "not_after": day(certificate.not_after),
        }
    })
}

/// `2026-11-22`.
fn day(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).map_or_else(|| "?".into(), |time| time.format("%Y-%m-%d").to_string())
}
