//! The identity object: created once with fresh ids, and disks noted in it.

use std::collections::BTreeMap;

use kube::Client;
use kube::api::{Patch, PatchParams};
use ottla_plan::action::Target;
use ottla_plan::identity::{CLUSTER_ID, DISKS, QUORUM, TRACES, VOTERS};
use ottla_plan::object::{Kind, Object};
use ottla_plan::observed::{QuorumRecord, Traces};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde_json::json;

use super::ActError;
use super::object::{FIELD_MANAGER, create_with};
use crate::kubernetes_api::api;

pub(super) async fn create(
    client: &Client,
    namespace: &str,
    object: &Object,
    voters: &[i32],
) -> Result<(), ActError> {
    let directories: Result<BTreeMap<i32, String>, ActError> =
        voters.iter().map(|id| Ok((*id, kafka_id()?))).collect();
    let mut tree = object.tree();
    tree["data"] = json!({
        CLUSTER_ID: kafka_id()?,
        VOTERS: serde_json::to_string(&directories?).map_err(ActError::Malformed)?,
        DISKS: "{}",
    });
    create_with(client, namespace, object, tree).await
}

/// Notes disks, if the object is still as it was read.
pub(super) async fn record(
    client: &Client,
    namespace: &str,
    target: &Target,
    disks: &BTreeMap<String, String>,
) -> Result<(), ActError> {
    change(client, namespace, target, |all| all.extend(disks.clone())).await
}

/// Strikes disks, if the object is still as it was read.
pub(super) async fn forget(
    client: &Client,
    namespace: &str,
    target: &Target,
    disks: &[String],
) -> Result<(), ActError> {
    change(client, namespace, target, |all| all.retain(|key, _| !disks.contains(key))).await
}

/// Notes how the metadata quorum is decided to be, if the object is still as it was read.
pub(super) async fn record_quorum(
    client: &Client,
    namespace: &str,
    target: &Target,
    record: &QuorumRecord,
) -> Result<(), ActError> {
    write(client, namespace, target, QUORUM, record).await
}

/// Notes what is left in Kafka, if the object is still as it was read.
pub(super) async fn record_traces(
    client: &Client,
    namespace: &str,
    target: &Target,
    traces: &Traces,
) -> Result<(), ActError> {
    write(client, namespace, target, TRACES, traces).await
}

async fn change(
    client: &Client,
    namespace: &str,
    target: &Target,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<(), ActError> {
    let api = api(client, namespace, Kind::ConfigMap);
    let live = api.get(&target.name).await.map_err(ActError::Api)?;
    let noted = live.data.pointer(&format!("/data/{DISKS}")).and_then(|text| text.as_str());
    let mut all: BTreeMap<String, String> =
        serde_json::from_str(noted.unwrap_or("{}")).map_err(ActError::Malformed)?;
    change(&mut all);
    write(client, namespace, target, DISKS, &all).await
}

async fn write(
    client: &Client,
    namespace: &str,
    target: &Target,
    key: &str,
    value: &impl Serialize,
) -> Result<(), ActError> {
    let text = serde_json::to_string(value).map_err(ActError::Malformed)?;
    let api = api(client, namespace, Kind::ConfigMap);
    let patch = json!({
        "metadata": { "uid": target.uid, "resourceVersion": target.resource_version },
        "data": { key: text },
    });
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
    api.patch(&target.name, &params, &Patch::Merge(patch)).await.map_err(ActError::Api)?;
    Ok(())
}

/// A random id as Kafka writes them: 16 bytes in URL-safe base 64. Ids that begin with a dash
/// could be read as an option by Kafka's tools, and ids of few bits are reserved; neither is kept.
fn kafka_id() -> Result<String, ActError> {
    let random = SystemRandom::new();
    loop {
        let mut bytes = [0_u8; 16];
        random.fill(&mut bytes).map_err(|_| ActError::Randomness)?;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let text = base64(&bytes);
        if !text.starts_with('-') {
            return Ok(text);
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let bits = chunk.len() * 8;
        let digits = bits.div_ceil(6);
        let word = word << (digits * 6 - bits);
        for digit in (0..digits).rev() {
            let index = (word >> (digit * 6)) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        assert_eq!(base64(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(base64(&[0xff; 16]), "_____________________w");
        assert_eq!(base64(b"0123456789abcdef"), "MDEyMzQ1Njc4OWFiY2RlZg");
        let id = kafka_id().unwrap();
        assert_eq!(id.len(), 22);
        assert_ne!(id, kafka_id().unwrap());
    }
}
