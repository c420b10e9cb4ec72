//! What may be known of Secrets: fingerprints and expiry, never keys. Only the operator's own
//! credentials leave here whole.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use kube::api::DynamicObject;
use ottla_plan::certificate::BACKDATED_SECONDS;
use ottla_plan::names::{Names, RENEW_CA_ANNOTATION};
use ottla_plan::observed::{Authority, Certificate, NextAuthority};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, Pem, X509Certificate};

use crate::reach::Credentials;
use crate::tls_secret::{AUTHORITY, CERTIFICATE, KEY, NEXT_CERTIFICATE, entry};

/// What Secrets of a cluster tell.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The CA.
    pub authority: Option<Authority>,
    /// Other certificates by the name of their Secret.
    pub certificates: BTreeMap<String, Certificate>,
    /// The operator's own.
    pub credentials: Option<Credentials>,
}

/// Reads the Secrets of a cluster.
#[must_use]
pub fn read(names: &Names, secrets: &[DynamicObject]) -> Secrets {
    let mut read = Secrets::default();
    let authority = secrets.iter().find(|secret| secret.name_any() == names.authority());
    let Some(authority) = authority else { return read };
    let Some(authority_pem) = entry(authority, CERTIFICATE) else { return read };
    // One that a person restored may have no other entry.
    let trusted_pem = entry(authority, AUTHORITY).unwrap_or_else(|| authority_pem.clone());
    read.authority = self::authority(authority, &authority_pem, &trusted_pem);
    for secret in secrets.iter().filter(|secret| secret.name_any() != names.authority()) {
        let Some(pem) = entry(secret, CERTIFICATE) else { continue };
        if let Some(mut certificate) = certificate(&pem, &authority_pem) {
            certificate.authorities = serials(&entry(secret, AUTHORITY).unwrap_or_default());
            // Most often the one that signs now, which was looked at already.
            certificate.is_of_trusted_authority =
                certificate.trusted || is_of_any(&pem, &trusted_pem);
            read.certificates.insert(secret.name_any(), certificate);
        }
        if secret.name_any() == names.operator() {
            read.credentials = entry(secret, KEY).map(|key_pem| Credentials {
                ca_pem: trusted_pem.clone(),
                certificate_pem: pem,
                key_pem,
            });
        }
    }
    read
}

fn authority(secret: &DynamicObject, pem: &[u8], trusted_pem: &[u8]) -> Option<Authority> {
    let next = entry(secret, NEXT_CERTIFICATE).and_then(|pem| next_authority(&pem));
    Some(Authority {
        signer: certificate(pem, pem)?,
        trusted_pem: String::from_utf8(trusted_pem.to_vec()).ok()?,
        trusted: serials(trusted_pem),
        next,
        word: secret.annotations().get(RENEW_CA_ANNOTATION).cloned(),
    })
}

fn next_authority(pem: &[u8]) -> Option<NextAuthority> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem).ok()?;
    let (_, authority) = X509Certificate::from_der(&block.contents).ok()?;
    Some(NextAuthority {
        serial: hexadecimal(authority.raw_serial()),
        made_at_seconds: authority.validity().not_before.timestamp() + BACKDATED_SECONDS,
    })
}

/// Whether any of the CAs in a PEM file signed a certificate.
fn is_of_any(pem: &[u8], trusted_pem: &[u8]) -> bool {
    let blocks = Pem::iter_from_buffer(trusted_pem).flatten();
    let Ok((_, leaf)) = x509_parser::pem::parse_x509_pem(pem) else { return false };
    let Ok((_, leaf)) = X509Certificate::from_der(&leaf.contents) else { return false };
    let signed = |block: Pem| {
        let (_, authority) = X509Certificate::from_der(&block.contents).ok()?;
        leaf.verify_signature(Some(authority.public_key())).ok()
    };
    blocks.filter_map(signed).next().is_some()
}

/// Serial numbers, in hexadecimal, of the certificates in a PEM file.
fn serials(pem: &[u8]) -> BTreeSet<String> {
    let blocks = Pem::iter_from_buffer(pem).flatten();
    let serial = |block: Pem| {
        let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
        Some(hexadecimal(certificate.raw_serial()))
    };
    blocks.filter_map(serial).collect()
}

fn hexadecimal(serial: &[u8]) -> String {
    serial.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn certificate(pem: &[u8], authority_pem: &[u8]) -> Option<Certificate> {
    let (_, leaf) = x509_parser::pem::parse_x509_pem(pem).ok()?;
    let (_, leaf) = X509Certificate::from_der(&leaf.contents).ok()?;
    let (_, authority) = x509_parser::pem::parse_x509_pem(authority_pem).ok()?;
    let (_, authority) = X509Certificate::from_der(&authority.contents).ok()?;
    Some(Certificate {
        serial: hexadecimal(leaf.raw_serial()),
        is_of_trusted_authority: true,
        authorities: BTreeSet::new(),
        expires_at_seconds: leaf.validity().not_after.timestamp(),
        common_name: leaf
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned(),
        dns_names: dns_names(&leaf),
        trusted: leaf.issuer() == authority.subject()
            && leaf.verify_signature(Some(authority.public_key())).is_ok(),
    })
}

fn dns_names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}
