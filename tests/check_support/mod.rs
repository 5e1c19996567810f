//! Checks of what the tests set up, and a real TURN server.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../coturn_support/mod.rs"]
pub mod coturn;
#[cfg(target_os = "linux")]
pub mod netns;

use chatphone::api::types::{ChatRequest, IceServer};
use chatphone::api::{ClientConfig, Identity};
use chatphone::check::{CheckConfig, Report, Step, StepName, Verdict, check};
use chatphone::peer::LocalNetwork;
use chatphone::simulator::{Simulator, SimulatorConfig};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Whoever reads what is printed must never see it.
pub const CLIENT_ID: &str = "secret-id";

pub fn config(url: &str) -> CheckConfig {
    let mut client = ClientConfig::new(url, "app", Identity::ClientId(CLIENT_ID.into()));
    client.insecure_http = true;
    let url = client.url().unwrap();
    CheckConfig {
        url,
        client,
        request: ChatRequest::default(),
        network: LocalNetwork::only([127, 0, 0, 1].into()),
        relay_only: false,
        devices: None,
        call: Duration::ZERO,
        all_relays: false,
        chat: false,
    }
}

/// Runs a check to its end, which must come.
pub async fn run(config: CheckConfig) -> Report {
    let (tell, mut told) = mpsc::unbounded_channel();
    let report = timeout(Duration::from_secs(60), check(config, CancellationToken::new(), tell));
    let report = report.await.expect("a check is bounded in time").unwrap();
    // Everything was told on the way, too.
    let mut steps: Vec<Step> = Vec::new();
    while let Some(step) = told.recv().await {
        steps.push(step);
    }
    assert_eq!(steps.len(), report.steps.len());
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains(CLIENT_ID) && !text.contains(coturn::PASSWORD), "a secret is in {text}");
    report
}

pub async fn run_at(url: &str) -> Report {
    run(config(url)).await
}

pub fn step(report: &Report, name: StepName) -> &Step {
    report.steps.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no {name:?} in {report:#?}"))
}

pub fn verdict(report: &Report, name: StepName) -> Verdict {
    step(report, name).verdict
}

/// The steps of the servers whose address begins like this.
pub fn server<'a>(report: &'a Report, url: &str) -> &'a Step {
    let mut found = report.steps.iter().filter(|s| s.name == StepName::IceServer && s.subject() == Some(url));
    found.next().unwrap_or_else(|| panic!("no {url} in {report:#?}"))
}

pub async fn center(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig::default();
    config.agent.join_after = Duration::from_millis(20);
    change(&mut config);
    Simulator::start(config).await.unwrap()
}

pub fn ice(url: impl Into<String>) -> IceServer {
    IceServer { urls: vec![url.into()], ..Default::default() }
}

pub fn turn(url: impl Into<String>, password: &str) -> IceServer {
    IceServer { username: Some(coturn::USER.into()), credential: Some(password.into()), ..ice(url) }
}
