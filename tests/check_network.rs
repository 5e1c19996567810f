//! The check before a call: STUN and TURN servers, real ones and those that are not there.
#![allow(clippy::unwrap_used)]

mod check_support;

use chatphone::check::{Audience, Protocol, Report, StepName, Verdict};
use check_support::coturn::{Coturn, PASSWORD};
use check_support::*;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_silent_and_costs_little_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("stun:{}", silent.local_addr().unwrap());
    let center = center(|c| c.ice_servers = vec![ice(&url)]).await;
    let begun = Instant::now();
    let report = run_at(&center.base_url()).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let stun = server(&report, &url);
    assert_eq!((stun.verdict, stun.message.as_str()), (Verdict::Failed, "no answer"));
    let path = step(&report, StepName::MediaPath);
    assert_eq!((path.verdict, &path.details["udp"]), (Verdict::Failed, &"no_answer".into()));
    let allow = report.conclusion.advice.iter().find_map(|a| a.allow.clone()).unwrap();
    assert_eq!((allow.to.port, allow.to.protocol), (silent.local_addr().unwrap().port(), Protocol::Udp));
    assert_eq!(verdict(&report, StepName::Nat), Verdict::Skipped);
    assert!(!report.conclusion.ok);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_over_udp_carries_the_test_call() {
    let coturn = Coturn::start();
    let center = center(|c| c.ice_servers = vec![ice(coturn.stun()), turn(coturn.udp(), PASSWORD)]).await;
    let mut config = config(&center.base_url());
    config.call = Duration::from_secs(2);
    let report = run(config).await;
    let stun = server(&report, &coturn.stun());
    assert_eq!(stun.verdict, Verdict::Ok, "{stun:?}");
    assert!(stun.details["mapped_address"].as_str().unwrap().starts_with("127.0.0.1:"), "{stun:?}");
    let relay = server(&report, &coturn.udp());
    assert_eq!((relay.verdict, &relay.details["lifetime_s"]), (Verdict::Ok, &600.into()), "{relay:?}");
    assert_eq!(step(&report, StepName::Nat).details["nat"], "none");
    let path = step(&report, StepName::MediaPath);
    assert_eq!((path.verdict, &path.details["relays"]), (Verdict::Ok, &serde_json::json!(["udp"])));
    let call = step(&report, StepName::LoopbackCall);
    assert!(matches!(call.verdict, Verdict::Ok | Verdict::Warning), "{call:?}");
    assert_eq!(call.details["through"], coturn.udp());
    assert!(call.details["local"].as_str().unwrap().starts_with("relay"), "{call:?}");
    assert!(call.details["packets_received"].as_u64().unwrap() >= 150, "{call:?}");
    assert!(report.conclusion.ok, "{report:#?}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_refused_is_told_as_such() {
    let coturn = Coturn::start();
    let wrong = turn(coturn.udp(), "not the password");
    let none = ice(coturn.tcp());
    let center = center(|c| c.ice_servers = vec![wrong, none]).await;
    let report = run_at(&center.base_url()).await;
    let refused = server(&report, &coturn.udp());
    assert_eq!(refused.verdict, Verdict::Failed);
    assert!(refused.message.contains("does not take the user name and password"), "{}", refused.message);
    assert_eq!(refused.advice[0].to, Audience::ContactCenter);
    let without = server(&report, &coturn.tcp());
    assert!(without.message.contains("none were given"), "{}", without.message);
    // It did answer: no firewall is to blame.
    assert_eq!(step(&report, StepName::MediaPath).details["udp"], "open");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_over_tcp_and_tls_can_be_used_and_each_is_tested_when_asked_for() {
    let coturn = Coturn::start();
    let urls = [coturn.udp(), coturn.tcp(), coturn.tls()];
    let center = center(|c| c.ice_servers = urls.iter().map(|url| turn(url, PASSWORD)).collect()).await;
    let mut config = config(&center.base_url());
    config.call = Duration::from_secs(1);
    config.all_relays = true;
    config.client.ca_file = Some(coturn.ca_file());
    let report = run(config).await;
    for url in &urls {
        assert_eq!(server(&report, url).verdict, Verdict::Ok, "{:?}", server(&report, url));
    }
    let through: Vec<_> = calls(&report).map(|call| call.details["through"].as_str().unwrap()).collect();
    assert_eq!(through, urls, "the best one first");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_certificate_is_not_trusted_is_told_as_such() {
    let coturn = Coturn::start();
    let center = center(|c| c.ice_servers = vec![turn(coturn.tls(), PASSWORD)]).await;
    let report = run_at(&center.base_url()).await;
    let relay = server(&report, &coturn.tls());
    assert_eq!(relay.verdict, Verdict::Failed);
    assert!(relay.message.contains("does not trust"), "{}", relay.message);
    center.shutdown().await;
}

fn calls(report: &Report) -> impl Iterator<Item = &chatphone::check::Step> {
    report.steps.iter().filter(|step| step.name == StepName::LoopbackCall)
}
