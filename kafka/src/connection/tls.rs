//! TLS: whom to trust, who we are, and that the peer's certificate names the host we dialled.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Security;
use crate::Error;

/// What TLS needs, all as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificates to trust, one or several.
    pub ca_pem: Vec<u8>,
    /// The client's certificate chain and its private key (PKCS#8), for mutual TLS.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for TlsOptions {
    /// Shows no key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsOptions")
            .field("ca_pem_bytes", &self.ca_pem.len())
            .field("has_identity", &self.identity.is_some())
            .finish()
    }
}

/// How sockets are opened: a [`Security`] whose certificates were read.
#[derive(Clone)]
pub(crate) enum Transport {
    Plaintext,
    Tls(Tls),
}

/// The client side of TLS handshakes.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Transport {
    pub(crate) fn new(security: &Security) -> Result<Self, Error> {
        match security {
            Security::Plaintext => Ok(Self::Plaintext),
            Security::Tls(options) => {
                let client = client_config(options).map_err(|reason| Error::TlsOptions { reason });
                Ok(Self::Tls(Tls(Arc::new(client?))))
            }
        }
    }
}

impl Tls {
    /// Shakes hands; the peer's certificate must name `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, socket).await
    }
}

fn client_config(options: &TlsOptions) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(&options.ca_pem)?);
    let Some((chain_pem, key_pem)) = &options.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("the client's certificate", chain_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|error| format!("the client's private key: {error}"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("the client's certificate and key: {error}"))
}

fn roots(ca_pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("the CA", ca_pem)? {
        store.add(certificate).map_err(|error| format!("the CA: {error}"))?;
    }
    Ok(store)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| format!("{what}: {error}"))?;
    if found.is_empty() {
        return Err(format!("{what}: there is no certificate in it"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(ca_pem: &str, identity: Option<(&str, &str)>) -> TlsOptions {
        let identity = identity.map(|(chain, key)| (chain.into(), key.into()));
        TlsOptions { ca_pem: ca_pem.into(), identity }
    }

    #[test]
    fn mistakes_name_the_part() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        for (ca, identity, part) in [
            ("", None, "the CA: there is no certificate"),
            (&*certificate, Some(("", &*key)), "the client's certificate: there is no certificate"),
            (&*certificate, Some((&*certificate, "")), "the client's private key"),
        ] {
            let told = Transport::new(&Security::Tls(options(ca, identity))).err().unwrap();
            assert!(told.to_string().contains(part), "{told}");
        }
        let good = options(&certificate, Some((&certificate, &key)));
        assert!(Transport::new(&Security::Tls(good)).is_ok());
    }

    #[test]
    fn no_key_is_shown() {
        let shown = format!("{:?}", options("ca", Some(("chain", "key"))));
        assert_eq!(shown, "TlsOptions { ca_pem_bytes: 2, has_identity: true }");
    }
}
