//! The way to the contact center, step by step, and what it answers.

use super::Runner;
use crate::check::center;
use crate::check::connect::{self, Stream};
use crate::check::finding::{Endpoint, Finding, Protocol, Why};
use crate::check::http;
use crate::check::step::StepName;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// The whole latency step.
const LATENCY_WITHIN: Duration = Duration::from_secs(15);

impl Runner {
    /// From the name to the API.
    pub(super) async fn center(&self) -> Result<(), StepName> {
        use StepName::*;
        let reached = match self.reach().await {
            Ok(()) => self.api().await,
            Err((failed, left)) => {
                self.skip(left, Why::After(failed));
                Err(failed)
            }
        };
        reached.inspect_err(|failed| {
            let left: &[StepName] = if *failed == Api { &[Hours, Latency, Chat] } else { &[Api, Hours, Latency, Chat] };
            self.skip(left, Why::After(*failed));
        })
    }

    /// From the name to an answer of the web server. On failure: which step, and which are left out for it.
    async fn reach(&self) -> Result<(), (StepName, &'static [StepName])> {
        use StepName::*;
        let url = &self.config.url;
        let plain = url.scheme() == "http";
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let protocol = if plain { Protocol::Tcp } else { Protocol::Tls };
        let center = Endpoint { host, port: url.port_or_known_default().unwrap_or(443), protocol };
        let is_loopback = crate::api::is_loopback(url);
        let proxy = connect::proxy_of(url, self.config.client.proxy.as_ref());
        let proxy_at = proxy.as_ref().and_then(connect::proxy_endpoint);
        let finding =
            Finding::Configuration { center: center.clone(), proxy: proxy_at.clone(), plain: plain && !is_loopback };
        self.note(Configuration, Instant::now(), finding);

        let first = proxy_at.clone().unwrap_or_else(|| Endpoint { protocol: Protocol::Tcp, ..center.clone() });
        let begun = Instant::now();
        let found = connect::resolve(&first.host, first.port).await;
        let resolved = found.as_ref().map(|list| list.iter().map(|a| a.ip()).collect()).map_err(Clone::clone);
        self.note(Dns, begun, Finding::Dns { host: first.host.clone(), found: resolved });
        let addresses = found.map_err(|_| (Dns, &[Tcp, Tls, Clock, Http] as &[StepName]))?;

        let begun = Instant::now();
        let connected = connect::connect(&addresses).await;
        let found = connected.stream.as_ref().map(|(_, address)| *address).map_err(Clone::clone);
        let finding = Finding::Tcp { with: first, proxy: proxy_at.is_some(), found, broken_v6: connected.broken_v6 };
        self.note(Tcp, begun, finding);
        let (stream, _) = connected.stream.map_err(|_| (Tcp, &[Tls, Clock, Http] as &[StepName]))?;

        // Without what says who asks: what answers need not be the contact center.
        let mut question = url.clone();
        if let Ok(mut path) = question.path_segments_mut() {
            path.push("availability");
        }
        question
            .query_pairs_mut()
            .append_pair("tenantUrl", self.config.client.tenant.as_deref().unwrap_or(&center.host));
        let (stream, trusted): (Box<dyn Stream>, bool) = if plain {
            self.skip(&[Tls], Why::PlainHttp);
            (Box::new(stream), true)
        } else {
            let begun = Instant::now();
            let ca_file = self.config.client.ca_file.as_deref();
            let encrypted = async {
                let stream: Box<dyn Stream> = match &proxy {
                    Some(proxy) => Box::new(connect::tunnel(stream, proxy, &center, ca_file).await?),
                    None => Box::new(stream),
                };
                connect::encrypt(stream, &center.host, ca_file, &[b"http/1.1"]).await
            };
            let encrypted = encrypted.await;
            let (found, certificate) = match &encrypted {
                Ok(encrypted) => (
                    encrypted.seen.distrust.clone().map_or(Ok(encrypted.version.clone()), Err),
                    encrypted.seen.certificate.clone(),
                ),
                Err(error) => (Err(error.clone()), None),
            };
            let trusted = found.is_ok();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            self.note(Tls, begun, Finding::Tls { with: center.clone(), found, certificate, now });
            let encrypted = encrypted.map_err(|_| (Tls, &[Clock, Http] as &[StepName]))?;
            (Box::new(encrypted.stream), trusted)
        };
        let begun = Instant::now();
        let answered = http::ask(stream, &question, proxy.as_ref().filter(|_| plain)).await;
        self.note(Clock, begun, Finding::Clock(answered.ahead_s));
        if !trusted {
            return Err((Tls, &[Http]));
        }
        let failed = answered.answer.is_err();
        self.note(Http, begun, Finding::Http { host: center.host, found: answered.answer });
        if failed { Err((Http, &[])) } else { Ok(()) }
    }

    async fn api(&self) -> Result<(), StepName> {
        let begun = Instant::now();
        let availability = match center::availability(&self.client).await {
            Ok(availability) => availability,
            Err(error) => {
                self.note(StepName::Api, begun, Finding::Api(Err(error)));
                return Err(StepName::Api);
            }
        };
        self.note(StepName::Api, begun, Finding::Api(Ok(())));
        let hours = Finding::Hours {
            open: availability.is_open(),
            word: crate::api::types::one_line(&availability.chat),
            wait_s: availability.ewt_s(),
        };
        self.note(StepName::Hours, Instant::now(), hours);
        let begun = Instant::now();
        let finding = match timeout(LATENCY_WITHIN, center::latency(&self.client)).await {
            Ok(Ok(times)) => Finding::Latency(times),
            Ok(Err(error)) => Finding::Api(Err(error)),
            Err(_) => Finding::GivenUp(LATENCY_WITHIN),
        };
        self.note(StepName::Latency, begun, finding);
        self.chat().await;
        Ok(())
    }
}
