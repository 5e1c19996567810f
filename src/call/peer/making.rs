//! Makes a peer, with the ICE servers of the moment.

use super::Setup;
use crate::api::Client;
use crate::api::types::IceServer;
use crate::peer::{AudioPeer, PeerConfig, PeerError, PeerEvent, RelaySettings, Renew, unusable_ice_servers};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// How long the ICE servers may take: without them a call still works in most networks, so it is not held up for long.
const ICE_SERVERS_WITHIN: Duration = Duration::from_secs(3);

pub(super) type Events = UnboundedReceiver<PeerEvent>;
/// A peer that was made, or why not, and what went wrong beside.
pub(super) type Made = (Result<(AudioPeer, Events), PeerError>, Vec<String>);

pub(super) async fn make_peer(setup: Setup) -> Made {
    let mut problems = Vec::new();
    let ice_servers = match timeout(ICE_SERVERS_WITHIN, setup.client.ice_servers()).await {
        Ok(Ok(answer)) => answer.servers,
        Ok(Err(error)) => without_servers(&mut problems, &error.to_string()),
        Err(_) => without_servers(&mut problems, &format!("no answer within {} s", ICE_SERVERS_WITHIN.as_secs())),
    };
    for what in unusable_ice_servers(&ice_servers) {
        tracing::info!("an ICE server is left out: {what}");
        problems.push(format!("an ICE server is left out: {what}"));
    }
    let config = PeerConfig {
        ice_servers,
        relays: relay_settings(&setup.client),
        network: setup.network.clone(),
        relay_only: setup.relay_only,
        codecs: setup.sound.codecs.clone(),
    };
    (AudioPeer::tapped(config, setup.tap).await, problems)
}

/// As the contact center is reached. Credentials that have expired by the time they are used are fetched again.
fn relay_settings(client: &Client) -> RelaySettings {
    let (ca_file, proxy) = (client.ca_file().map(Into::into), client.proxy().cloned());
    let client = client.clone();
    let renew = Renew::new(move || {
        let client = client.clone();
        async move { Some(timeout(ICE_SERVERS_WITHIN, client.ice_servers()).await.ok()?.ok()?.servers) }
    });
    RelaySettings { ca_file, proxy, renew: Some(renew) }
}

fn without_servers(problems: &mut Vec<String>, why: &str) -> Vec<IceServer> {
    tracing::warn!("the ICE servers could not be fetched, trying without: {why}");
    problems.push(format!("the ICE servers could not be fetched: {why}"));
    Vec::new()
}
