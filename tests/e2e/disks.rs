//! Disks that are not what they must be: emptied, swapped, another cluster's. Each is refused with
//! a sentence, nothing is formatted, and putting it right brings everything back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim};
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{throughout, until};
use super::{disk, killed, manifest};

const SAID_WITHIN: Duration = Duration::from_secs(180);
/// How long the operator gets to do damage.
const UNTOUCHED_FOR: Duration = Duration::from_secs(6);

#[tokio::test]
async fn disks() -> anyhow::Result<()> {
    play("disks", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let other = other(stage).await?;
    let base = dedicated()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    emptied(&cluster).await?;
    verifier.goes_on().await?;
    swapped_and_foreign(&cluster, &base, &other).await?;
    verifier.goes_on().await?;
    verifier.verdict("disks").await
}

/// Three brokers with one disk each, and one controller of its own.
fn dedicated() -> anyhow::Result<Value> {
    let mut base = manifest::production()?;
    let volumes = json!([{ "name": "d0", "size": "1Gi" }]);
    for (pointer, value) in [
        ("/metadata/name", json!("orders")),
        ("/spec/brokers/storage/volumes", volumes),
        ("/spec/controllers/replicas", json!(1)),
        ("/spec/racks", Value::Null),
    ] {
        manifest::set(&mut base, pointer, value)?;
    }
    Ok(base)
}

/// Another cluster, of which only the claim is left: the name of that claim's volume.
async fn other(stage: &Stage) -> anyhow::Result<String> {
    let cluster = Cluster::raise(stage, &manifest::single("other")?).await?;
    let volume = disk::volume_of(stage, "other-broker-0-d0").await?;
    disk::keep(stage, &volume, true).await?;
    cluster.api().delete(&cluster.name, &DeleteParams::default()).await?;
    disk::delete_claim(stage, "other-broker-0-d0").await?;
    disk::gone(stage, "other-broker-0-d0").await?;
    Ok(volume)
}

/// A broker's disk is lost, and an empty one takes its place.
async fn emptied(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let (stage, claim) = (cluster.stage, "orders-broker-1-d0");
    let claims: Api<PersistentVolumeClaim> = stage.api();
    let lives = cluster.lives().await?;
    let lost = claims.get(claim).await?;
    disk::delete_claim(stage, claim).await?;
    throughout("that a broker whose claim is deleted goes on", UNTOUCHED_FOR, async || {
        let now = cluster.lives().await?;
        Ok(if now == lives { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await?;
    killed::delete(stage, "orders-broker-1-0", None).await?;
    let message = refused(cluster, 1).await?;
    ensure!(message.contains("this node was formatted before"), "{message}");
    say(&format!("disks: emptied: DiskRefused: {message}"));
    stays_refused(cluster, &[1]).await?;
    let new = claims.get(claim).await?;
    ensure!(new.uid() != lost.uid(), "claim {claim} is the one that was deleted");
    disk::declare_lost(stage, claim).await?;
    cluster.ready().await?;
    say("disks: emptied: declared as lost, formatted, in sync again");
    let now = cluster.lives().await?;
    let untouched = lives.iter().filter(|(pod, _)| *pod != "orders-broker-1-0");
    for (pod, life) in untouched {
        ensure!(now.get(pod) == Some(life), "{pod} was touched too");
    }
    Ok(())
}

/// Brokers 0 and 2 get each other's disk, and broker 1 that of another cluster.
async fn swapped_and_foreign(
    cluster: &Cluster<'_>,
    base: &Value,
    foreign: &str,
) -> anyhow::Result<()> {
    let stage = cluster.stage;
    let pods = ["orders-broker-0-0", "orders-broker-1-0", "orders-broker-2-0"];
    let [zero, one, two] = ["orders-broker-0-d0", "orders-broker-1-d0", "orders-broker-2-d0"];
    let first = disk::volume_of(stage, zero).await?;
    let second = disk::volume_of(stage, one).await?;
    let third = disk::volume_of(stage, two).await?;
    disk::keep(stage, &second, true).await?;
    let records = disks_on_record(cluster).await?;
    let wrong = BTreeMap::from([(zero, third.as_str()), (one, foreign), (two, &first)]);
    paused(cluster, base, || disk::rebind(stage, &pods, &wrong)).await?;
    let ids = cluster.status().await?.cluster_id.context("no cluster id")?;
    for (id, sentence) in [
        (0, "volume d0 belongs to node 2 and not to node 0".to_owned()),
        (1, format!("and not to orders (cluster {ids})")),
        (2, "volume d0 belongs to node 0 and not to node 2".to_owned()),
    ] {
        let message = refused(cluster, id).await?;
        ensure!(message.contains(&sentence), "{message:?} lacks {sentence:?}");
        say(&format!("disks: mixed up: DiskRefused: {message}"));
    }
    stays_refused(cluster, &[0, 1, 2]).await?;
    let right = BTreeMap::from([(zero, first.as_str()), (one, &second), (two, &third)]);
    paused(cluster, base, || disk::rebind(stage, &pods, &right)).await?;
    cluster.ready().await?;
    ensure!(disks_on_record(cluster).await? == records, "the record of disks changed");
    say("disks: mixed up: put right, Ready again");
    Ok(())
}

/// Does something while the operator keeps its hands off.
async fn paused<F: Future<Output = anyhow::Result<()>>>(
    cluster: &Cluster<'_>,
    base: &Value,
    work: impl FnOnce() -> F,
) -> anyhow::Result<()> {
    let quiet = manifest::with(base, &[("/spec/paused", json!(true))])?;
    cluster.stage.apply(&quiet).await?;
    cluster.waits_on("spec.paused is true", SAID_WITHIN).await?;
    work().await?;
    cluster.stage.apply(base).await
}

/// Waits until a node is refused; why.
async fn refused(cluster: &Cluster<'_>, id: i32) -> anyhow::Result<String> {
    until(&format!("node {id} to be refused"), SAID_WITHIN, async || {
        let status = cluster.status().await?;
        let node = status.brokers.iter().find(|node| node.id == id);
        let node = node.with_context(|| format!("the status has no node {id}"))?;
        let why = node.waiting_on.clone().unwrap_or_default();
        Ok(if node.phase == "Refused" { Ok(why) } else { Err(format!("{}: {why}", node.phase)) })
    })
    .await
}

/// Nothing is formatted, and no pod is restarted to try again.
async fn stays_refused(cluster: &Cluster<'_>, ids: &[i32]) -> anyhow::Result<()> {
    let lives = cluster.lives().await?;
    throughout("that the nodes stay refused", UNTOUCHED_FOR, async || {
        let status = cluster.status().await?;
        let nodes = status.brokers.iter().filter(|node| ids.contains(&node.id));
        let waits = ["Refused", "Unknown"];
        let other: Vec<_> = nodes.filter(|node| !waits.contains(&node.phase.as_str())).collect();
        let touched = cluster.lives().await? != lives;
        Ok(if other.is_empty() && !touched { Ok(()) } else { Err(format!("{other:?}")) })
    })
    .await
}

/// What the identity says of disks.
async fn disks_on_record(cluster: &Cluster<'_>) -> anyhow::Result<Option<String>> {
    let name = format!("{}-identity", cluster.name);
    let identity = cluster.stage.api::<ConfigMap>().get(&name).await?;
    Ok(identity.data.unwrap_or_default().remove("disks"))
}
