//! Keys and certificates, drawn here and nowhere else: P-256, because Kafka's PEM stores know no
//! Ed25519.

use std::time::{Duration, SystemTime};

use kube::api::{Api, DynamicObject, PostParams};
use kube::{Client, ResourceExt as _};
use ottla_plan::action::{AuthorityStep, Leaf, RenewAuthority};
use ottla_plan::certificate::{AUTHORITY_LIFE_SECONDS, BACKDATED_SECONDS, LEAF_LIFE_SECONDS};
use ottla_plan::names::RENEW_CA_ANNOTATION;
use ottla_plan::object::{Kind, Object};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::ActError;
use super::object::{FIELD_MANAGER, create_with};
use crate::kubernetes_api::api;
use crate::tls_secret::{AUTHORITY, CERTIFICATE, KEY, KEYSTORE, NEXT_CERTIFICATE, NEXT_KEY, entry};

pub(super) async fn authority(
    client: &Client,
    namespace: &str,
    object: &Object,
    common_name: &str,
) -> Result<(), ActError> {
    let (certificate, key) = new_authority(common_name)?;
    let mut tree = object.tree();
    tree["stringData"] = json!({ CERTIFICATE: certificate, AUTHORITY: certificate, KEY: key });
    create_with(client, namespace, object, tree).await
}

/// The certificate and the key of a new CA, PEM.
fn new_authority(common_name: &str) -> Result<(String, String), ActError> {
    let mut params = params(common_name, Vec::new(), AUTHORITY_LIFE_SECONDS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(ActError::Certificate)?;
    let certificate = params.self_signed(&key).map_err(ActError::Certificate)?.pem();
    Ok((certificate, key.serialize_pem()))
}

/// Takes a step on the way to another CA in one write, if its Secret is still as it was read.
pub(super) async fn renew(
    client: &Client,
    namespace: &str,
    RenewAuthority { target, step }: &RenewAuthority,
) -> Result<(), ActError> {
    let secrets = api(client, namespace, Kind::Secret);
    let mut secret = secrets.get(&target.name).await.map_err(ActError::Api)?;
    secret.metadata.uid = Some(target.uid.clone());
    secret.metadata.resource_version = Some(target.resource_version.clone());
    let unusable = || ActError::Authority { secret: target.name.clone() };
    let text = |key: &str| {
        entry(&secret, key).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unusable)
    };
    let (entries, word) = match step {
        AuthorityStep::Introduce { common_name, word } => {
            let (certificate, key) = new_authority(common_name)?;
            let trusted = beside(&text(CERTIFICATE)?, &certificate);
            let new = json!({ AUTHORITY: trusted, NEXT_CERTIFICATE: certificate, NEXT_KEY: key });
            (new, word.as_ref())
        }
        AuthorityStep::Switch => {
            (json!({ CERTIFICATE: text(NEXT_CERTIFICATE)?, KEY: text(NEXT_KEY)? }), None)
        }
        AuthorityStep::Retire => (json!({ AUTHORITY: text(CERTIFICATE)? }), None),
    };
    if *step == AuthorityStep::Switch
        && let Some(data) = secret.data["data"].as_object_mut()
    {
        data.remove(NEXT_CERTIFICATE);
        data.remove(NEXT_KEY);
    }
    secret.data["stringData"] = entries;
    if let Some(word) = word {
        secret.annotations_mut().insert(RENEW_CA_ANNOTATION.to_owned(), word.clone());
    }
    replace(&secrets, &target.name, &secret).await
}

/// Two PEM files as one: somebody may have trimmed the first.
fn beside(one: &str, other: &str) -> String {
    format!("{}\n{other}", one.trim_end())
}

async fn replace(
    secrets: &Api<DynamicObject>,
    name: &str,
    secret: &DynamicObject,
) -> Result<(), ActError> {
    let params =
        PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    secrets.replace(name, &params, secret).await.map_err(ActError::Api)?;
    Ok(())
}

pub(super) async fn leaf(client: &Client, namespace: &str, leaf: &Leaf) -> Result<(), ActError> {
    let secrets = api(client, namespace, Kind::Secret);
    let authority = secrets.get(&leaf.authority).await.map_err(ActError::Api)?;
    let unusable = || ActError::Authority { secret: leaf.authority.clone() };
    let text = |key: &str| {
        entry(&authority, key).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unusable)
    };
    let authority_pem = text(CERTIFICATE)?;
    let authority_key = KeyPair::from_pem(&text(KEY)?).map_err(|_| unusable())?;
    let issuer = Issuer::from_ca_cert_pem(&authority_pem, authority_key).map_err(|_| unusable())?;
    let mut params = params(&leaf.common_name, leaf.dns_names.clone(), LEAF_LIFE_SECONDS)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(ActError::Certificate)?;
    let certificate = params.signed_by(&key, &issuer).map_err(ActError::Certificate)?.pem();
    let mut tree = leaf.object.tree();
    tree["stringData"] = json!({
        CERTIFICATE: certificate,
        AUTHORITY: text(AUTHORITY).unwrap_or(authority_pem),
        KEYSTORE: format!("{}{certificate}", key.serialize_pem()),
        KEY: key.serialize_pem(),
    });
    match &leaf.replaces {
        None => create_with(client, namespace, &leaf.object, tree).await,
        Some(target) => {
            tree["metadata"]["uid"] = target.uid.as_str().into();
            tree["metadata"]["resourceVersion"] = target.resource_version.as_str().into();
            let body: DynamicObject = serde_json::from_value(tree).map_err(ActError::Malformed)?;
            replace(&secrets, &target.name, &body).await
        }
    }
}

fn params(
    common_name: &str,
    dns_names: Vec<String>,
    life_seconds: i64,
) -> Result<CertificateParams, ActError> {
    let mut params = CertificateParams::new(dns_names).map_err(ActError::Certificate)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    params.distinguished_name = subject;
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(BACKDATED_SECONDS.unsigned_abs())).into();
    params.not_after = (now + Duration::from_secs(life_seconds.unsigned_abs())).into();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::{beside, new_authority};

    #[test]
    fn two_cas_in_one_file_are_two_however_the_first_one_ends() {
        let (first, _) = new_authority("orders-ca").unwrap();
        let (second, _) = new_authority("orders-ca 2026-11-26").unwrap();
        for first in [first.as_str(), first.trim_end()] {
            let both = beside(first, &second);
            let found = x509_parser::pem::Pem::iter_from_buffer(both.as_bytes());
            assert_eq!(found.filter_map(Result::ok).count(), 2, "{both}");
        }
    }
}
