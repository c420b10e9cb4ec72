//! The node's certificate and key, and the server side of the agent's mutual TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_kafka::{Security, TlsOptions};
use rustls::RootCertStore;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::parse_x509_certificate;

/// Why the certificates cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{what} cannot be used: {reason}")]
    Unusable {
        /// Which.
        what: &'static str,
        /// Why not.
        reason: String,
    },
}

/// The files of the node's Secret, as they were at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    ca: Vec<u8>,
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// What tells a certificate from its next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Serial number in hexadecimal.
    pub(crate) serial: String,
    /// When it expires, seconds since the epoch; `None` before it was read.
    pub(crate) expires_at_seconds: Option<i64>,
    /// Serial numbers of the CAs beside it, in hexadecimal.
    pub(crate) authorities: Vec<String>,
}

fn hexadecimal(serial: &[u8]) -> String {
    serial.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Identity {
    /// Reads `ca.crt`, `tls.crt` and `tls.key`.
    pub(crate) fn read(folder: &Path) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| TlsError::Read { path, source })
        };
        Ok(Self { ca: read("ca.crt")?, chain: read("tls.crt")?, key: read("tls.key")? })
    }

    /// What tells the node's certificate from its next.
    pub(crate) fn leaf(&self) -> Result<Leaf, TlsError> {
        let leaf = CertificateDer::from_pem_slice(&self.chain).map_err(unusable("tls.crt"))?;
        let (_, leaf) = parse_x509_certificate(&leaf).map_err(unusable("tls.crt"))?;
        Ok(Leaf {
            serial: hexadecimal(leaf.tbs_certificate.raw_serial()),
            expires_at_seconds: Some(leaf.validity().not_after.timestamp()),
            authorities: self.authorities()?,
        })
    }

    /// Serial numbers of the CAs that are trusted.
    fn authorities(&self) -> Result<Vec<String>, TlsError> {
        let serial = |certificate: Result<CertificateDer<'static>, _>| {
            let certificate = certificate.map_err(unusable("ca.crt"))?;
            let (_, found) = parse_x509_certificate(&certificate).map_err(unusable("ca.crt"))?;
            Ok(hexadecimal(found.tbs_certificate.raw_serial()))
        };
        CertificateDer::pem_slice_iter(&self.ca).map(serial).collect()
    }

    /// How the node's own Kafka is spoken to.
    pub(crate) fn security(&self) -> Security {
        let identity = Some((self.chain.clone(), self.key.clone()));
        Security::Tls(TlsOptions { ca_pem: self.ca.clone(), identity })
    }

    /// A server that lets in only who has a certificate of the cluster's CA.
    pub(crate) fn server(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.ca) {
            let certificate = certificate.map_err(unusable("ca.crt"))?;
            roots.add(certificate).map_err(unusable("ca.crt"))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(unusable("ca.crt"))?;
        let chain = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unusable("tls.crt"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(unusable("tls.key"))?;
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable("TLS"))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(unusable("tls.crt with tls.key"))
    }
}

fn unusable<E: ToString>(what: &'static str) -> impl Fn(E) -> TlsError {
    move |error| TlsError::Unusable { what, reason: error.to_string() }
}

/// The common name of a certificate that was verified before.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    names.next()?.as_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Identity, TlsError};
    use crate::scratch::Scratch;

    #[test]
    fn a_missing_file_is_named() {
        let scratch = Scratch::new();
        let error = Identity::read(scratch.path()).err().unwrap();
        assert!(matches!(error, TlsError::Read { path, .. } if path.ends_with("ca.crt")));
    }

    #[test]
    fn nonsense_is_named() {
        let scratch = Scratch::new();
        for name in ["ca.crt", "tls.crt", "tls.key"] {
            scratch.write(name, "nonsense");
        }
        let identity = Identity::read(scratch.path()).unwrap();
        assert!(identity.server().is_err());
        assert!(identity.leaf().unwrap_err().to_string().starts_with("tls.crt cannot be used"));
    }
}
