//! Keys and certificates, drawn here and nowhere else: P-256, because Kafka's PEM stores know no
//! Ed25519.

use std::time::{Duration, SystemTime};

use kube::Client;
use kube::api::{DynamicObject, PostParams};
use ottla_plan::action::Leaf;
use ottla_plan::certificate::{AUTHORITY_LIFE_SECONDS, LEAF_LIFE_SECONDS};
use ottla_plan::object::{Kind, Object};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::ActError;
use super::object::{FIELD_MANAGER, create_with};
use crate::kubernetes_api::api;
use crate::tls_secret::{AUTHORITY, CERTIFICATE, KEY, KEYSTORE, entry};

/// Clocks of machines differ: a certificate is good from a little before it is made.
const BACKDATED: Duration = Duration::from_secs(300);

pub(super) async fn authority(
    client: &Client,
    namespace: &str,
    object: &Object,
    common_name: &str,
) -> Result<(), ActError> {
    let mut params = params(common_name, Vec::new(), AUTHORITY_LIFE_SECONDS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(ActError::Certificate)?;
    let certificate = params.self_signed(&key).map_err(ActError::Certificate)?.pem();
    let mut tree = object.tree();
    tree["stringData"] = json!({
        CERTIFICATE: certificate,
        AUTHORITY: certificate,
        KEY: key.serialize_pem(),
    });
    create_with(client, namespace, object, tree).await
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
        AUTHORITY: authority_pem,
        KEYSTORE: format!("{}{certificate}", key.serialize_pem()),
        KEY: key.serialize_pem(),
    });
    match &leaf.replaces {
        None => create_with(client, namespace, &leaf.object, tree).await,
        Some(target) => {
            tree["metadata"]["uid"] = target.uid.as_str().into();
            tree["metadata"]["resourceVersion"] = target.resource_version.as_str().into();
            let body: DynamicObject = serde_json::from_value(tree).map_err(ActError::Malformed)?;
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            secrets.replace(&target.name, &params, &body).await.map_err(ActError::Api)?;
            Ok(())
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
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + Duration::from_secs(life_seconds.unsigned_abs())).into();
    Ok(params)
}
