//! A KafkaCluster deleted and created again finds its data, and takes back what was begun; a verifying producer
//! and consumer goes on when it is there again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use super::brokers;
use super::cluster::{Cluster, READY_WITHIN, words};
use super::kcat::{Kcat, numbered};
use super::manifest;
use super::object::of_kind;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};

/// Brokers that are voters too stop together; the last of them find no quorum to say goodbye to.
const STOPPED_WITHIN: Duration = Duration::from_secs(400);

#[tokio::test]
async fn recreated_with_its_data() -> anyhow::Result<()> {
    play("recreated", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let volumes = ["d0", "d1"].map(|name| json!({ "name": name, "size": "2Gi" }));
    let manifest = manifest::with(
        &manifest::short_lived()?,
        &[("/spec/brokers/storage/volumes", json!(volumes))],
    )?;
    let cluster = Cluster::raise(stage, &manifest).await?;
    let verifier = Verifier::beside(&cluster).await?;
    let client = Kcat::beside(&cluster).await?;
    let records = numbered("kept", 2000);
    client.produce("tls", "kept", &records).await?;
    let cluster_id = cluster.status().await?.cluster_id;
    let claims = claims(stage).await?;

    disk_begins_to_leave(&cluster, &manifest).await?;
    cluster.api().delete(&cluster.name, &DeleteParams::default()).await?;
    let started = std::time::Instant::now();
    let stopped = async {
        until("every pod to be gone", STOPPED_WITHIN, async || {
            let pods: Vec<String> =
                cluster.pods().await?.iter().map(kube::ResourceExt::name_any).collect();
            Ok(if pods.is_empty() { Ok(()) } else { Err(pods.join(", ")) })
        })
        .await?;
        say(&format!("recreated: every pod gone after {}", spell(started.elapsed())));
        anyhow::Ok(())
    };
    stage.others_play_during(stopped).await?;
    gone(&cluster).await?;
    ensure!(self::claims(stage).await? == claims, "claims changed");

    ensure!(disks_leave(stage).await?, "what was begun is not on record");
    unlike_its_data(stage, &manifest).await?;
    ensure!(self::claims(stage).await? == claims, "claims changed");
    let cluster = Cluster::apply(stage, &manifest).await?;
    say(&format!("recreated: Ready again after {}", spell(cluster.ready().await?)));
    let status = cluster.status().await?;
    ensure!(status.cluster_id == cluster_id, "{:?} was {cluster_id:?}", status.cluster_id);
    ensure!(self::claims(stage).await? == claims, "claims changed");
    client.holds("plain", "kept", &records).await?;
    client.holds("tls", "kept", &records).await?;
    until("what was begun to be taken back", READY_WITHIN, async || {
        let leave = disks_leave(stage).await?;
        Ok(if leave { Err("it is still on record".to_owned()) } else { Ok(()) })
    })
    .await?;
    let settings = brokers::settings(&cluster).await?;
    ensure!(!settings.contains("cordoned"), "a cordon was left behind: {settings}");
    verifier.goes_on().await?;
    verifier.verdict("recreated").await
}

/// Waits until the first broker is restarted without a disk that the spec leaves out.
async fn disk_begins_to_leave(cluster: &Cluster<'_>, manifest: &Value) -> anyhow::Result<()> {
    let one = json!([{ "name": "d0", "size": "2Gi" }]);
    let without = manifest::with(manifest, &[("/spec/brokers/storage/volumes", one)])?;
    let before = cluster.lives().await?;
    cluster.stage.apply(&without).await?;
    until("a broker to be restarted without a disk", READY_WITHIN, async || {
        let ends = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
        let begun = cluster.pods().await?.iter().any(ends) || cluster.lives().await? != before;
        Ok(if begun { Ok(()) } else { Err(words(&cluster.status().await?)) })
    })
    .await
}

/// Whether it is on record that disks leave.
async fn disks_leave(stage: &Stage) -> anyhow::Result<bool> {
    let identity = stage.api::<ConfigMap>().get("orders-identity").await?;
    let traces = identity.data.unwrap_or_default().remove("traces").unwrap_or_default();
    Ok(traces.contains("\"disks\""))
}

/// Created again with another disk in the place of the one that it had, no node is started.
async fn unlike_its_data(stage: &Stage, manifest: &Value) -> anyhow::Result<()> {
    let volumes = json!([{ "name": "data", "size": "2Gi" }]);
    let unlike = manifest::with(manifest, &[("/spec/brokers/storage/volumes", volumes)])?;
    let cluster = Cluster::apply(stage, &unlike).await?;
    let message = cluster.stalled("DataMismatch", Duration::from_secs(60)).await?;
    say(&format!("recreated: DataMismatch: {message}"));
    ensure!(cluster.pods().await?.is_empty(), "pods were made");
    cluster.api().delete(&cluster.name, &DeleteParams::default()).await?;
    gone(&cluster).await
}

async fn claims(stage: &Stage) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let claims = stage.api::<PersistentVolumeClaim>().list(&ListParams::default()).await?;
    Ok(claims.iter().map(|claim| (claim.name_any(), claim.uid())).collect())
}

/// What lives with the KafkaCluster goes with it; what belongs to the data stays.
async fn gone(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let of_cluster = ListParams::default().labels(&format!("ottla.dev/cluster={}", cluster.name));
    for (api_version, kind, stays) in [
        ("apps/v1", "StatefulSet", &[][..]),
        ("v1", "Service", &[]),
        ("v1", "ServiceAccount", &[]),
        ("v1", "Secret", &["orders-ca"]),
        ("v1", "ConfigMap", &["orders-ca", "orders-identity"]),
        ("policy/v1", "PodDisruptionBudget", &[]),
        ("networking.k8s.io/v1", "NetworkPolicy", &[]),
    ] {
        let api = of_kind(cluster.stage, api_version, kind);
        until(&format!("the {kind}s to be gone"), Duration::from_secs(60), async || {
            let left = api.list(&of_cluster).await?;
            let left: Vec<String> = left.iter().map(kube::ResourceExt::name_any).collect();
            Ok(if left == stays { Ok(()) } else { Err(left.join(", ")) })
        })
        .await?;
    }
    Ok(())
}
