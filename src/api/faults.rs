//! Finding the reason at the end of a chain of errors.

use super::markup::one_line;
use std::error::Error as StdError;
use std::io;

pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| cause(*e))
}

fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // The error inside an `io::Error` is not its source but itself in other clothes.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    one_line(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

pub(super) fn as_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<rustls::Error>()
}

pub(super) fn tls_reason(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate comes from an authority this machine does not trust; give that authority's certificate \
             as the CA file, or check the address"
                .into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name; check the address".into(),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; check this machine's clock, or tell the operator".into()
        }
        Error::InvalidMessage(_) => "it does not speak TLS; check the address and the port".into(),
        other => format!("{}; check the address", one_line(&other.to_string())),
    }
}
