//! Whom the API client trusts.
#![allow(clippy::unwrap_used)]

mod api_support;

use api_support::tls::secure;
use api_support::*;
use chatphone::api::{ApiError, Client};
use std::path::PathBuf;

fn with_ca(url: &str, pem: &str) -> (Result<Client, ApiError>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let mut config = config(url);
    config.ca_file = Some(path);
    (Client::new(config), dir)
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let server = secure("localhost").await;
    let e = client(&server.url).availability().await.unwrap_err();
    assert!(matches!(e, ApiError::Tls { .. }) && !e.is_transient(), "{e:?}");
    assert!(e.to_string().contains("CA file"), "{e}");
}

#[tokio::test]
async fn an_authority_from_a_file_is_trusted() {
    let server = secure("localhost").await;
    let (client, _dir) = with_ca(&server.url, &server.ca_pem);
    assert!(client.unwrap().availability().await.unwrap().is_open());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let server = secure("other.example").await;
    let (client, _dir) = with_ca(&server.url, &server.ca_pem);
    let e = client.unwrap().availability().await.unwrap_err();
    assert!(e.to_string().contains("for another name"), "{e}");
}

#[tokio::test]
async fn a_server_without_tls_is_named_as_such() {
    let server = Server::start(|_| json(serde_json::json!({}))).await;
    let e = client(&server.url().replace("http:", "https:")).availability().await.unwrap_err();
    assert!(matches!(e, ApiError::Tls { .. }) && e.to_string().contains("does not speak TLS"), "{e:?}");
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_refused() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let (client, _dir) = with_ca("https://localhost", text);
        let e = client.unwrap_err();
        assert!(matches!(e, ApiError::BadConfig(_)), "{text:?}: {e}");
    }
    let mut missing = config("https://localhost");
    missing.ca_file = Some(PathBuf::from("/no/such/ca.pem"));
    let e = Client::new(missing).unwrap_err();
    assert!(matches!(e, ApiError::BadConfig(_)) && e.to_string().contains("/no/such/ca.pem"), "{e}");
}
