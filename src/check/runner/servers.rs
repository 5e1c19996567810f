//! The STUN and TURN servers: each by itself, and calls through those that relay.

use super::Runner;
use crate::api::types::IceServer;
use crate::check::ask;
use crate::check::finding::{Finding, NatFound, Protocol, ServerFound, Why};
use crate::check::loopback;
use crate::check::nat::classify;
use crate::check::step::StepName;
use crate::check::url::ServerUrl;
use futures::future::join_all;
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// How long a peer is waited for when the server said no to a question.
const AFTER_REFUSAL: Duration = Duration::from_millis(1500);
/// Servers tested at the same time.
const SERVERS_AT_ONCE: usize = 16;
/// Servers tested at most: no list has as many, and a person waits.
const MOST_SERVERS: usize = 64;

/// A server to test: its address, and itself with this address alone.
pub(super) struct Server {
    url: ServerUrl,
    server: IceServer,
}

impl Runner {
    /// The servers of the list, each with one address.
    pub(super) async fn servers(&self) -> Vec<Server> {
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
                        if servers.len() < MOST_SERVERS && servers.iter().all(|known| known.server != server) {
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
    pub(super) async fn test(&self, servers: &[Server]) -> Vec<ServerFound> {
        let network = &self.config.network;
        let ports = network.ports().map_or(usize::MAX, |ports| ports.len());
        let at_once = (ports / network.addresses().len().max(1)).clamp(1, SERVERS_AT_ONCE);
        let room = Semaphore::new(at_once);
        join_all(servers.iter().map(async |Server { url, server }| {
            // Never closed; without a permit it would only be tested beside the others.
            let _permit = room.acquire().await;
            let begun = Instant::now();
            let credentials = server.username.as_deref().zip(server.credential.as_deref());
            let way = ask::Way {
                ca_file: self.config.client.ca_file.as_deref(),
                proxy: self.config.client.proxy.as_ref(),
            };
            let peers = self.peers();
            let (asked_tx, asked_rx) = oneshot::channel();
            let ask = async {
                let asked = ask::ask(url, credentials, way).await;
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
                    // A peer knows ways that the question does not take, as another address of the name.
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

    pub(super) async fn nat(&self, found: &[ServerFound], hosts: &[IpAddr]) {
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
    pub(super) async fn calls(&self, servers: &[Server], found: &[ServerFound]) {
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
}
