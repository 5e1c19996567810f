//! Whom this machine trusts: the system's certificates and the CA file, as the API's client does, with a note of what was
//! seen where there is no trust.

use super::finding::{Certificate, NoTrust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// What a handshake showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub certificate: Option<Certificate>,
    /// Why it is not to be trusted.
    pub distrust: Option<NoTrust>,
}

/// A place for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Note(Arc<Mutex<Seen>>);

impl Note {
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Verifies, notes the result, and lets everybody pass: only for a test that sends nothing secret.
#[derive(Debug)]
struct Recorder {
    inner: Verifier,
    note: Note,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let distrust = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now).err();
        *self.note.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Seen { certificate: read(end_entity), distrust: distrust.map(|error| of_tls(&error)) };
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A configuration that lets everybody pass and notes whom.
pub(super) fn recording(ca_file: Option<&Path>, alpn: &[&[u8]]) -> Result<(Arc<ClientConfig>, Note), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut extra = Vec::new();
    if let Some(path) = ca_file {
        let in_words = |e: &dyn std::fmt::Display| format!("the CA file {}: {e}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| in_words(&e))? {
            extra.push(certificate.map_err(|e| in_words(&e))?);
        }
    }
    let (note, inner) = (Note::default(), verifier(extra, &provider)?);
    let recorder = Recorder { inner, note: note.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(recorder))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok((Arc::new(config), note))
}

fn verifier(extra: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Verifier, String> {
    Verifier::new_with_extra_roots(extra, Arc::clone(provider))
        .map_err(|e| format!("{e}; install the system's CA certificates"))
}

/// What an error of a handshake means.
pub(super) fn why(error: &io::Error) -> NoTrust {
    match error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
        Some(error) => of_tls(error),
        // What speaks no TLS often just hangs up.
        None if error.kind() == io::ErrorKind::UnexpectedEof => NoTrust::NoTls,
        None => NoTrust::Other(error.to_string()),
    }
}

fn of_tls(error: &Error) -> NoTrust {
    use CertificateError::*;
    match error {
        Error::InvalidCertificate(UnknownIssuer) => NoTrust::UnknownIssuer,
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => NoTrust::Expired,
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => NoTrust::NotYetValid,
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => NoTrust::WrongName,
        Error::InvalidMessage(_) => NoTrust::NoTls,
        other => NoTrust::Other(other.to_string()),
    }
}

fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = |name: &X509Name<'_>| {
        let text = |attribute: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
            attribute.and_then(|a| a.as_str().ok()).map(str::to_owned)
        };
        let known = text(name.iter_common_name().next()).or_else(|| text(name.iter_organization().next()));
        crate::api::types::one_line(&known.unwrap_or_else(|| name.to_string()))
    };
    let validity = certificate.validity();
    Some(Certificate {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}
