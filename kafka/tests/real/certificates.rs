//! A CA, and a certificate that names `localhost`, for both sides of mutual TLS.

use ottla_kafka::{Security, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// What both sides use; the nodes and the client share one certificate.
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        let authority_key = KeyPair::generate().unwrap();
        let ca_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate().unwrap();
        let chain_pem = leaf.signed_by(&key, &issuer).unwrap().pem();
        Self { ca_pem, chain_pem, key_pem: key.serialize_pem() }
    }

    /// Trusts the CA and shows the certificate.
    pub(crate) fn mutual(&self) -> Security {
        let identity = Some((self.chain_pem.clone().into(), self.key_pem.clone().into()));
        Security::Tls(TlsOptions { ca_pem: self.ca_pem.clone().into(), identity })
    }

    /// Trusts the CA and shows nothing.
    pub(crate) fn anonymous(&self) -> Security {
        Security::Tls(TlsOptions { ca_pem: self.ca_pem.clone().into(), identity: None })
    }
}
