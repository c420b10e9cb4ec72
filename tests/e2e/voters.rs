//! The metadata quorum changes under a verifying producer and consumer: a voter's disk is lost, controllers
//! get pods of their own, become five and three again, get other disks, and those that left are called back for
//! another release. The operator dies again and again meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use ottla_crds::kafka_cluster::status::NodeStatus;
use ottla_plan::release;
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN};
use super::exec::exec;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{disk, killed, manifest, operator, volumes};

#[tokio::test]
async fn voters() -> anyhow::Result<()> {
    play("voters", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    operator::dies_during(&stage.client, "voters", steps(&cluster, &verifier, &base)).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("voters").await
}

async fn steps(cluster: &Cluster<'_>, verifier: &Verifier<'_>, base: &Value) -> anyhow::Result<()> {
    let began = Instant::now();
    replaced(cluster).await?;
    say(&format!("voters: a lost disk replaced after {}", spell(began.elapsed())));
    verifier.goes_on_after("voters: a lost disk replaced").await?;

    let three = dedicated(base, 3, "4.3.1")?;
    changed(cluster, "pods of their own", &three, &[10_000, 10_001, 10_002]).await?;
    verifier.goes_on_after("voters: pods of their own").await?;
    stood_for_election(cluster).await?;
    let lives = cluster.lives().await?;
    let five = [10_000, 10_001, 10_002, 10_003, 10_004];
    changed(cluster, "five of them", &dedicated(base, 5, "4.3.1")?, &five).await?;
    verifier.goes_on_after("voters: five of them").await?;
    changed(cluster, "three again", &three, &[10_000, 10_001, 10_002]).await?;
    ensure!(cluster.lives().await? == lives, "other pods were touched");
    verifier.goes_on_after("voters: three again").await?;

    let other_disks = on_disk("d1", &three)?;
    changed(cluster, "other disks", &other_disks, &[10_000, 10_001, 10_002]).await?;
    volumes::vote_with(cluster, &[10_000, 10_001, 10_002], "d1").await?;
    verifier.goes_on_after("voters: other disks").await?;

    let newer = on_disk("d1", &dedicated(base, 3, "4.4.0")?)?;
    changed(cluster, "another release", &newer, &[10_000, 10_001, 10_002]).await?;
    forgotten(cluster, "[10000,10001,10002]").await?;
    verifier.goes_on_after("voters: another release").await
}

/// Kafka 4.4 was told to forget the controllers that left.
async fn forgotten(cluster: &Cluster<'_>, stay: &str) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = cluster.stage.api();
    until("registrations of those that left", READY_WITHIN, async || {
        let data = maps.get("orders-identity").await?.data.unwrap_or_default();
        let record: Value = serde_json::from_str(data.get("quorum").context("no quorum")?)?;
        let registered = record["registered"].to_string();
        Ok(if registered == stay { Ok(()) } else { Err(registered) })
    })
    .await
}

/// Controllers with that disk and no other.
fn on_disk(volume: &str, controllers: &Value) -> anyhow::Result<Value> {
    let volumes = json!([{ "name": volume, "size": "1Gi" }]);
    manifest::with(controllers, &[("/spec/controllers/storage/volumes", volumes)])
}

fn dedicated(base: &Value, replicas: i32, version: &str) -> anyhow::Result<Value> {
    let storage = json!({ "volumes": [{ "name": "d0", "size": "1Gi" }] });
    let resources = base["spec"]["brokers"]["resources"].clone();
    let jvm = base["spec"]["brokers"]["jvm"].clone();
    let controllers = json!({
        "placement": "Dedicated", "replicas": replicas, "storage": storage,
        "resources": resources, "jvm": jvm,
    });
    manifest::with(
        base,
        &[
            ("/spec/controllers", controllers),
            ("/spec/version", json!(version)),
            ("/spec/upgrade", json!({ "soak": "5s" })),
        ],
    )
}

/// Applies a change, and waits until it is Ready with these voters and no other controller, and with the
/// features of its release.
async fn changed(
    cluster: &Cluster<'_>,
    what: &str,
    wanted: &Value,
    voters: &[i32],
) -> anyhow::Result<()> {
    let began = Instant::now();
    cluster.stage.apply(wanted).await?;
    let release = wanted["spec"]["version"].as_str().unwrap_or_default();
    let levels = release::levels(release).into_iter();
    let features: BTreeMap<String, i32> =
        levels.map(|(name, level)| (name.to_owned(), level)).collect();
    until(what, READY_WITHIN * 2, async || {
        if let Err(not_ready) = cluster.is_ready().await? {
            return Ok(Err(not_ready));
        }
        let status = cluster.status().await?;
        let votes = |node: &&NodeStatus| {
            matches!(node.role.as_deref(), Some("Leader" | "Voter" | "Observer"))
        };
        let nodes = status.brokers.iter().chain(&status.controllers);
        let found: Vec<i32> = nodes.filter(votes).map(|node| node.id).collect();
        let switched_on = status.version.unwrap_or_default().features;
        let there = found == voters && switched_on == features;
        Ok(if there { Ok(()) } else { Err(format!("{found:?}, {switched_on:?}")) })
    })
    .await?;
    say(&format!("voters: {what} after {}", spell(began.elapsed())));
    Ok(())
}

/// A broker that does not vote any more once voted for itself in the epoch that still lasts, as its disk
/// says, and starts again.
async fn stood_for_election(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    const STATE: &str = "/var/lib/ottla/d0/log/__cluster_metadata-0/quorum-state";
    const META: &str = "/var/lib/ottla/d0/log/meta.properties";
    let (pods, pod) = (cluster.stage.api::<Pod>(), "orders-broker-1-0");
    let meta = exec(&pods, pod, &["cat", META], "").await?;
    let directory = meta.lines().find_map(|line| line.strip_prefix("directory.id="));
    let mut state: Value = serde_json::from_str(&exec(&pods, pod, &["cat", STATE], "").await?)?;
    state["votedId"] = json!(1);
    state["votedDirectoryId"] = json!(directory.context("a disk without an id")?);
    exec(&pods, pod, &["tee", STATE], &state.to_string()).await?;
    let before = cluster.lives().await?;
    killed::delete(cluster.stage, pod, None).await?;
    killed::comes_back(cluster, "one that stood for election", &before, &[pod]).await
}

/// The disk of a voter is lost, and an empty one takes its place.
async fn replaced(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let (stage, claim) = (cluster.stage, "orders-broker-1-d0");
    disk::delete_claim(stage, claim).await?;
    killed::delete(stage, "orders-broker-1-0", None).await?;
    let message = cluster.stalled("DiskRefused", READY_WITHIN).await?;
    ensure!(message.contains("this node was formatted before"), "{message}");
    disk::declare_lost(stage, claim).await?;
    until("the vote of the new disk", READY_WITHIN, async || {
        if let Err(not_ready) = cluster.is_ready().await? {
            return Ok(Err(not_ready));
        }
        let status = cluster.status().await?;
        let node = status.brokers.iter().find(|node| node.id == 1);
        let role = node.and_then(|node| node.role.clone()).unwrap_or_default();
        let votes = role == "Voter" || role == "Leader";
        Ok(if votes { Ok(()) } else { Err(format!("it is an {role}")) })
    })
    .await
}
