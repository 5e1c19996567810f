//! Runs the probes: what can run beside each other does, each has its limit, and what fails says what is left out.

use super::ask;
use super::center;
use super::connect::{self, Stream};
use super::devices;
use super::finding::{Endpoint, Finding, NatFound, Probed, Protocol, ServerFound, StepName, Why};
use super::gather::Peers;
use super::http;
use super::local;
use super::loopback;
use super::nat::classify;
use super::path::media_path;
use super::report::{Report, Step, conclude};
use super::url::ServerUrl;
use super::words::ms;
use crate::api::types::{ChatRequest, IceServer};
use crate::api::{ApiError, Client, ClientConfig, ClientEvent};
use crate::peer::{LocalNetwork, RelaySettings};
use chatphone_media::audio::device::Wanted;
use futures::future::join_all;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

/// The whole latency step.
const LATENCY_WITHIN: Duration = Duration::from_secs(15);
/// A sound device; some hang for good.
const DEVICE_WITHIN: Duration = Duration::from_secs(12);
/// How long a peer is waited for when the server said no to a question.
const AFTER_REFUSAL: Duration = Duration::from_millis(1500);
/// Servers tested at the same time.
const SERVERS_AT_ONCE: usize = 16;

/// Devices to look at.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// The microphone that calls would use.
    pub microphone: Wanted,
    /// The speaker.
    pub speaker: Wanted,
}

/// What to check, and how.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// The contact center, and who asks.
    pub client: ClientConfig,
    /// The address of the API.
    pub url: Url,
    /// How a chat is asked for, with `chat`.
    pub request: ChatRequest,
    /// The local addresses for media.
    pub network: LocalNetwork,
    /// Calls use relayed candidates alone.
    pub relay_only: bool,
    /// Sound devices; `None`: leave them out.
    pub devices: Option<Devices>,
    /// How long the test call lasts.
    pub call: Duration,
    /// Call through every relay, not the best alone.
    pub all_relays: bool,
    /// Ask for a chat: agents may see it.
    pub chat: bool,
}

/// Checks. Every step goes to `tell` when it is made; `stop` ends the check early. Takes at most about two minutes, most
/// often ten seconds.
///
/// # Errors
/// [`ApiError::BadConfig`] for a configuration that cannot be used.
pub async fn check(
    mut config: CheckConfig,
    stop: CancellationToken,
    tell: mpsc::UnboundedSender<Step>,
) -> Result<Report, ApiError> {
    // A person waits.
    config.client.connect_timeout = connect::LIMIT;
    config.client.read_timeout = Duration::from_secs(10);
    let client = Client::new(config.client.clone())?;
    let begun = Instant::now();
    let host = client.host().to_owned();
    let runner = Runner { config, client, steps: Mutex::default(), tell, open_chat: Mutex::default() };
    let stopped = tokio::select! {
        () = runner.run() => false,
        () = stop.cancelled() => true,
    };
    if stopped {
        runner.end_chat().await;
    }
    let mut steps = std::mem::take(&mut *lock(&runner.steps));
    steps.sort_by_key(|step| step.name);
    let conclusion = conclude(&steps, stopped);
    Ok(Report { conclusion, stopped, duration_ms: ms(begun.elapsed()), host, steps })
}

struct Runner {
    config: CheckConfig,
    client: Client,
    steps: Mutex<Vec<Step>>,
    tell: mpsc::UnboundedSender<Step>,
    /// A chat of this check, to be ended when it is stopped.
    open_chat: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server to test: its address, and itself with this address alone.
struct Server {
    url: ServerUrl,
    server: IceServer,
}

impl Runner {
    async fn run(&self) {
        tokio::join!(self.network(), self.devices());
    }

    fn note(&self, name: StepName, begun: Instant, finding: Finding) {
        let step = Step::of(&Probed { name, took: begun.elapsed(), finding });
        lock(&self.steps).push(step.clone());
        // Nobody need watch.
        let _ = self.tell.send(step);
    }

    fn skip(&self, names: &[StepName], why: Why) {
        for name in names {
            self.note(*name, Instant::now(), Finding::Skipped(why));
        }
    }

    async fn network(&self) {
        use StepName::*;
        let (addresses, reached) = tokio::join!(self.local(), self.center());
        if let Err(step) = reached {
            self.skip(&[IceServers, Nat, MediaPath, LoopbackCall], Why::After(step));
            return;
        }
        let servers = self.servers().await;
        let found = self.test(&servers).await;
        self.nat(&found, &addresses).await;
        let begun = Instant::now();
        let path = media_path(&found.iter().collect::<Vec<_>>(), self.config.relay_only);
        self.note(MediaPath, begun, Finding::MediaPath(path));
        self.calls(&servers, &found).await;
    }

    async fn local(&self) -> Vec<IpAddr> {
        let begun = Instant::now();
        let found = local::look(&self.peers()).await;
        let addresses = found.as_ref().map(|found| found.addresses.clone()).unwrap_or_default();
        self.note(StepName::LocalNetwork, begun, Finding::LocalNetwork(found));
        addresses
    }

    fn peers(&self) -> Peers<'_> {
        // Without renewal: what the contact center gives is what is tested.
        let relays = RelaySettings {
            ca_file: self.config.client.ca_file.clone(),
            proxy: self.config.client.proxy.clone(),
            renew: None,
        };
        Peers { network: &self.config.network, relays }
    }

    /// From the name to the API.
    async fn center(&self) -> Result<(), StepName> {
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
        let proxy_at = proxy.as_ref().and_then(|proxy| {
            let uri = proxy.uri();
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            Some(Endpoint { host: uri.host()?.to_owned(), port, protocol: Protocol::Tcp })
        });
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

    /// The servers of the list, each with one address.
    async fn servers(&self) -> Vec<Server> {
        let begun = Instant::now();
        let list = match self.client.ice_servers().await {
            Ok(list) => list,
            Err(error) => {
                self.note(StepName::IceServers, begun, Finding::IceServers(Err(error)));
                return Vec::new();
            }
        };
        let (mut servers, mut unusable) = (Vec::<Server>::new(), Vec::new());
        for entry in list.servers {
            for text in &entry.urls {
                match ServerUrl::parse(text) {
                    Ok(url) => {
                        let server = IceServer { urls: vec![text.trim().to_owned()], ..entry.clone() };
                        if servers.iter().all(|known| known.server != server) {
                            servers.push(Server { url, server });
                        }
                    }
                    Err(reason) => unusable.push(reason),
                }
            }
        }
        self.note(StepName::IceServers, begun, Finding::IceServers(Ok((servers.len(), unusable))));
        servers
    }

    /// Tests each server by itself, all at once as far as there are ports.
    async fn test(&self, servers: &[Server]) -> Vec<ServerFound> {
        let network = &self.config.network;
        let ports = network.ports().map_or(usize::MAX, |ports| ports.len());
        let at_once = (ports / network.addresses().len().max(1)).clamp(1, SERVERS_AT_ONCE);
        let room = Semaphore::new(at_once);
        join_all(servers.iter().map(async |Server { url, server }| {
            // Never closed; without a permit it would only be tested beside the others.
            let _permit = room.acquire().await;
            let begun = Instant::now();
            let credentials = server.username.as_deref().zip(server.credential.as_deref());
            let ca_file = self.config.client.ca_file.as_deref();
            let peers = self.peers();
            let (asked_tx, asked_rx) = oneshot::channel();
            let ask = async {
                let asked = ask::ask(url, credentials, ca_file).await;
                if asked.is_err() {
                    // Not there is late enough.
                    let _ = asked_tx.send(());
                }
                asked
            };
            let gather = async {
                let mut gathered = pin!(peers.gather(Some(server), url.is_turn()));
                tokio::select! {
                    gathered = &mut gathered => gathered,
                    // A peer knows ways, as through a proxy, that the question does not take.
                    Ok(()) = asked_rx => timeout(AFTER_REFUSAL, gathered).await.unwrap_or_else(|_| Ok(Default::default())),
                }
            };
            let (gathered, asked) = tokio::join!(gather, ask);
            let gathered = gathered.unwrap_or_else(|error| {
                tracing::warn!("no peer for a test of {url}: {error}");
                Default::default()
            });
            let found = ServerFound { url: url.clone(), gathered, asked };
            self.note(StepName::IceServer, begun, Finding::IceServer(Box::new(found.clone())));
            found
        }))
        .await
    }

    async fn nat(&self, found: &[ServerFound], hosts: &[IpAddr]) {
        let udp: Vec<&ServerUrl> =
            found.iter().map(|server| &server.url).filter(|url| url.protocol() == Protocol::Udp).collect();
        if udp.is_empty() {
            self.skip(&[StepName::Nat], Why::NoServer);
            return;
        }
        let begun = Instant::now();
        let mapped: Vec<_> = ask::mappings(&udp).await.into_iter().map(|(_, mapped)| mapped).collect();
        let nat = classify(&mapped, hosts);
        self.note(StepName::Nat, begun, Finding::Nat(NatFound { nat, mapped }));
    }

    /// The test calls: through the best relay, or all of them, or inside this machine.
    async fn calls(&self, servers: &[Server], found: &[ServerFound]) {
        if self.config.call.is_zero() {
            self.skip(&[StepName::LoopbackCall], Why::Flag("--duration 0s"));
            return;
        }
        let mut relays: Vec<(&ServerUrl, &IceServer, &ServerFound)> = servers
            .iter()
            .zip(found)
            .filter(|(_, found)| found.relays())
            .map(|(server, found)| (&server.url, &server.server, found))
            .collect();
        // UDP before TCP before TLS, and of those the fastest.
        relays.sort_by_key(|(url, _, found)| (url.protocol(), found.gathered.relay.as_ref().map(|r| r.after)));
        if !self.config.all_relays {
            relays.truncate(1);
        }
        let mut ways: Vec<_> = relays.iter().map(|(url, server, _)| Some((*url, *server))).collect();
        if ways.is_empty() {
            ways.push(None);
        }
        // After one another: they would share the line.
        for way in ways {
            let begun = Instant::now();
            let result = loopback::call(&self.peers(), way, self.config.call).await.map(Box::new);
            self.note(StepName::LoopbackCall, begun, Finding::LoopbackCall(result));
        }
    }

    async fn devices(&self) {
        let Some(devices) = self.config.devices.clone() else {
            self.skip(&[StepName::Microphone, StepName::Speaker], Why::Flag("--no-audio"));
            return;
        };
        let Devices { microphone, speaker } = devices;
        let look = async |name, open: Box<dyn FnOnce() -> Finding + Send>| {
            let begun = Instant::now();
            let finding = match timeout(DEVICE_WITHIN, tokio::task::spawn_blocking(open)).await {
                Ok(Ok(finding)) => finding,
                // It panicked, or hangs.
                Ok(Err(_)) | Err(_) => Finding::GivenUp(DEVICE_WITHIN),
            };
            self.note(name, begun, finding);
        };
        tokio::join!(
            look(StepName::Microphone, Box::new(|| Finding::Microphone(devices::microphone(microphone)))),
            look(StepName::Speaker, Box::new(|| Finding::Speaker(devices::speaker(speaker)))),
        );
    }

    async fn chat(&self) {
        if !self.config.chat {
            self.skip(&[StepName::Chat], Why::NotAsked("--chat"));
            return;
        }
        let begun = Instant::now();
        let opened = |chat_id: &str| *lock(&self.open_chat) = Some(chat_id.to_owned());
        let found = center::chat(&self.client, &self.config.request, opened).await;
        lock(&self.open_chat).take();
        self.note(StepName::Chat, begun, Finding::Chat(found));
    }

    /// Ends what a check that was stopped has begun.
    async fn end_chat(&self) {
        let open = lock(&self.open_chat).take();
        if let Some(chat_id) = open {
            let end = [ClientEvent::End(Default::default())];
            let _ = timeout(Duration::from_secs(3), self.client.send_events(&chat_id, &end)).await;
        }
    }
}
