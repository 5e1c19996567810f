//! TLS to a server: whom it trusts, and what its errors mean to a person.

use super::dial::DialError;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{CertificateError, ClientConfig};
use rustls_platform_verifier::Verifier;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// The protocols of TURN and of a proxy in ALPN (RFC 7443, RFC 7301). A server that knows no ALPN is fine.
pub(super) const TURN: &[u8] = b"stun.turn";
pub(super) const HTTP: &[u8] = b"http/1.1";

/// A connector that trusts what the system trusts, and the certificates of `ca_file`. Reads files.
pub(super) fn connector(ca_file: Option<&Path>, protocol: &[u8]) -> Result<TlsConnector, DialError> {
    let unusable = |what: String| DialError::Trust(what);
    let extra = match ca_file {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let certificates =
                read.map_err(|e| unusable(format!("cannot read the CA file {}: {e}", path.display())))?;
            if certificates.is_empty() {
                return Err(unusable(format!("{} holds no certificate in PEM form", path.display())));
            }
            certificates
        }
        None => Vec::new(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(e.to_string()))?;
    let mut config = match Verifier::new_with_extra_roots(extra.iter().cloned(), provider) {
        Ok(verifier) => {
            // Not dangerous: the verifier is the system's, as the HTTP client has it.
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        // Where the system has no certificates, those of the file may be enough.
        Err(_) if !extra.is_empty() => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(extra);
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Err(e) => return Err(unusable(format!("{e}; install the system's CA certificates, or name a CA file"))),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the certificate must be for.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, DialError> {
    ServerName::try_from(host.to_owned()).map_err(|_| DialError::Trust(format!("\"{host}\" is no name of a server")))
}

/// A failed handshake with `host`.
pub(super) fn failure(host: &str, error: io::Error) -> DialError {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => DialError::Tls("it closed the connection in the TLS handshake".into()),
            _ => DialError::Tls(error.to_string()),
        };
    };
    match tls {
        rustls::Error::InvalidCertificate(certificate) => DialError::Trust(match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!(
                    "the certificate of {host} has expired; its owner must renew it (or this machine's clock is wrong)"
                )
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet; check this machine's clock")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is not for the name {host}; use the name that is in the certificate")
            }
            CertificateError::UnknownIssuer => format!(
                "the certificate of {host} is from an authority that this machine does not trust; name the authority's \
                 certificate as the CA file (--ca-file)"
            ),
            other => format!("the certificate of {host} is not accepted: {other}"),
        }),
        rustls::Error::InvalidMessage(_) => DialError::Tls("what answers there does not speak TLS".into()),
        other => DialError::Tls(other.to_string()),
    }
}
