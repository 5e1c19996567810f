//! Whom the API client trusts.
#![allow(clippy::unwrap_used)]

mod api_support;

use api_support::*;
use chatphone::api::{ApiError, Client};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server with a certificate for `name` from an authority of its own.
struct Secure {
    url: String,
    ca_pem: String,
}

async fn secure(name: &str) -> Secure {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            read_head(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{\"chat\":\"available\"}";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    Secure { url, ca_pem: ca.pem() }
}

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
    assert!(matches!(e, ApiError::File { .. }) && e.to_string().contains("/no/such/ca.pem"), "{e}");
}
