//! The check before a call: the way to the contact center, and what it answers.
#![allow(clippy::unwrap_used)]

mod api_support;
mod check_support;

use api_support::tls::{secure, secure_with};
use api_support::{Server, nobody, raw, response};
use chatphone::api::Client;
use chatphone::api::types::ChatRequest;
use chatphone::check::{Audience, Report, StepName, Verdict, check};
use chatphone::simulator::Hours;
use check_support::*;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The steps that were left out.
fn left_out(report: &Report) -> Vec<StepName> {
    report.steps.iter().filter(|s| s.message.starts_with("not tried: ")).map(|s| s.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_contact_center_takes_calls() {
    let center = center(|_| ()).await;
    let mut config = config(&center.base_url());
    config.call = Duration::from_secs(1);
    let report = run(config).await;
    assert!(report.conclusion.ok, "{report:#?}");
    use StepName::*;
    for name in [Configuration, Dns, Tcp, Clock, Http, Api, Hours, Latency, LocalNetwork, LoopbackCall] {
        assert_eq!(verdict(&report, name), Verdict::Ok, "{:?}", step(&report, name));
    }
    // There are no servers, which is told.
    assert_eq!(report.conclusion.verdict, Verdict::Warning);
    assert_eq!(step(&report, LocalNetwork).details["addresses"], serde_json::json!(["127.0.0.1"]));
    let call = &step(&report, LoopbackCall).details;
    assert!(call["packets_received"].as_u64().unwrap() > 50 && call["mos"].as_f64().unwrap() > 3.0, "{call:?}");
    // No agent was disturbed.
    assert_eq!(verdict(&report, Chat), Verdict::Skipped);
    let client = Client::new(check_support::config(&center.base_url()).client).unwrap();
    assert!(client.active_chat().await.unwrap_err().is_session_gone());
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_contact_center_is_a_warning() {
    let center = center(|c| c.hours = Hours::Closed).await;
    let report = run_at(&center.base_url()).await;
    assert!(report.conclusion.ok);
    let hours = step(&report, StepName::Hours);
    assert_eq!((hours.verdict, &hours.details["open"]), (Verdict::Warning, &false.into()));
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_app_id_is_named_as_such() {
    let center = center(|c| c.app_ids = vec!["right".into()]).await;
    let report = run_at(&center.base_url()).await;
    assert!(!report.conclusion.ok);
    let api = step(&report, StepName::Api);
    assert_eq!((api.verdict, &api.details["error_code"]), (Verdict::Failed, &3000.into()));
    assert!(report.conclusion.advice.iter().any(|a| a.to == Audience::Here && a.text.contains("--app-id")));
    assert!(left_out(&report).contains(&StepName::LoopbackCall));
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_listens_is_told_from_a_missing_answer() {
    let address = nobody().await;
    let report = run_at(&format!("http://{address}")).await;
    let tcp = step(&report, StepName::Tcp);
    assert_eq!(tcp.verdict, Verdict::Failed);
    assert!(tcp.message.contains("nobody listens"), "{}", tcp.message);
    assert!(report.conclusion.summary.starts_with("Calls cannot be made."), "{}", report.conclusion.summary);
    use StepName::*;
    assert_eq!(
        left_out(&report),
        [Tls, Clock, Http, Api, Hours, Latency, Chat, IceServers, Nat, MediaPath, LoopbackCall]
    );
    // What does not depend on it is known all the same.
    assert_eq!(verdict(&report, LocalNetwork), Verdict::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve_is_for_the_network_department() {
    let report = run_at("https://no-such-center.invalid").await;
    assert_eq!(verdict(&report, StepName::Dns), Verdict::Failed);
    let advice = &report.conclusion.advice[0];
    assert_eq!(advice.to, Audience::NetworkDepartment);
    assert_eq!(advice.text, "DNS must resolve no-such-center.invalid from this network.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_told_with_its_issuer() {
    let server = secure("localhost").await;
    let report = run_at(&server.url).await;
    let tls = step(&report, StepName::Tls);
    assert_eq!(tls.verdict, Verdict::Failed);
    assert!(tls.message.contains("inspects TLS"), "{}", tls.message);
    assert!(tls.details["certificate"]["issuer"].as_str().is_some_and(|issuer| !issuer.is_empty()), "{tls:?}");
    assert!(report.conclusion.advice.iter().any(|a| a.text.contains("--ca-file")));
    assert_eq!(left_out(&report)[0], StepName::Http);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_the_ca_file_is_trusted() {
    let server = secure("localhost").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &server.ca_pem).unwrap();
    let mut config = config(&server.url);
    config.client.ca_file = Some(path);
    let report = run(config).await;
    let tls = step(&report, StepName::Tls);
    assert_eq!((tls.verdict, &tls.details["version"]), (Verdict::Ok, &"TLS 1.3".into()), "{tls:?}");
    assert_eq!(verdict(&report, StepName::Api), Verdict::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_ended_or_are_for_another_name_are_told_apart() {
    let ended = secure_with("localhost", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2)).await;
    let other = secure("other.example").await;
    for (server, words) in [(ended, "ended on 2020-01-02"), (other, "for another name")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, &server.ca_pem).unwrap();
        let mut config = config(&server.url);
        config.client.ca_file = Some(path);
        let report = run(config).await;
        let tls = step(&report, StepName::Tls);
        assert_eq!(tls.verdict, Verdict::Failed);
        assert!(tls.message.contains(words), "{}", tls.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_named_as_such() {
    let server = Server::start(|_| response(200, "text/plain", "hello")).await;
    let report = run_at(&server.url().replace("http:", "https:")).await;
    let tls = step(&report, StepName::Tls);
    assert!(tls.verdict == Verdict::Failed && tls.message.contains("does not speak TLS"), "{tls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_page_is_recognised() {
    let page = "<html><head><title>Hotel WLAN: please sign in</title></head></html>";
    let portal = Server::start(move |_| response(200, "text/html", page)).await;
    let report = run_at(&portal.url()).await;
    let http = step(&report, StepName::Http);
    assert_eq!((http.verdict, &http.details["captive_portal"]), (Verdict::Failed, &true.into()));
    assert!(http.message.contains("\"Hotel WLAN: please sign in\""), "{}", http.message);
    // Whoever it is learns nothing of who asked.
    for seen in portal.seen() {
        assert!(seen.header("authorization").is_none(), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_elsewhere_is_a_sign_in_page_too() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://portal.example/login?who=me\r\nContent-Length: 0\r\n\r\n";
    let report = run_at(&raw(answer).await).await;
    let http = step(&report, StepName::Http);
    assert_eq!(http.verdict, Verdict::Failed);
    assert!(http.message.ends_with("leads to http://portal.example/login"), "{}", http.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_years_off_is_told() {
    let answer = "HTTP/1.1 200 OK\r\nDate: Wed, 01 Jan 2020 00:00:00 GMT\r\nContent-Length: 20\r\n\
                  Connection: close\r\n\r\n{\"chat\":\"available\"}";
    let report = run_at(&raw(answer).await).await;
    let clock = step(&report, StepName::Clock);
    assert_eq!(clock.verdict, Verdict::Warning);
    assert!(clock.details["ahead_s"].as_i64().unwrap() > 86_400 * 365, "{clock:?}");
    assert!(report.conclusion.ok, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_opened_only_when_asked_for_and_ended_again() {
    let center = center(|c| c.hold = Duration::from_millis(2500)).await;
    let mut config = config(&center.base_url());
    config.chat = true;
    let client = Client::new(config.client.clone()).unwrap();
    let report = run(config.clone()).await;
    let chat = step(&report, StepName::Chat);
    assert_eq!((chat.verdict, &chat.details["was_open"]), (Verdict::Ok, &false.into()), "{chat:?}");
    assert!(chat.details["poll_held_ms"].as_f64().unwrap() >= 2000.0, "{chat:?}");
    assert!(client.active_chat().await.unwrap_err().is_session_gone());
    // One that was there stays.
    let own = client.request_chat(&ChatRequest::default()).await.unwrap();
    let report = run(config).await;
    assert_eq!(step(&report, StepName::Chat).details["was_open"], true);
    assert_eq!(client.active_chat().await.unwrap().chat_id, own.chat_id);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_stopped_ends_its_chat_and_says_so() {
    let center = center(|_| ()).await;
    let mut config = config(&center.base_url());
    config.chat = true;
    let client = Client::new(config.client.clone()).unwrap();
    let (stop, (tell, mut told)) = (CancellationToken::new(), mpsc::unbounded_channel());
    let checking = tokio::spawn(check(config, stop.clone(), tell));
    while told.recv().await.unwrap().name != StepName::Latency {}
    while client.active_chat().await.is_err() {
        tokio::task::yield_now().await;
    }
    // The answer that names the chat may still be on its way to the check.
    stop.cancel();
    let report = checking.await.unwrap().unwrap();
    assert!(report.stopped && !report.conclusion.ok);
    assert!(client.active_chat().await.unwrap_err().is_session_gone());
    center.shutdown().await;
}
