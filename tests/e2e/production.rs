//! `examples/production.yaml`: controllers of their own, two disks a broker, a rack a zone.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::exec::exec;
use super::kcat::Kcat;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::spell;
use super::{killed, manifest, operator, restarted};

const ZONE: &str = "topology.kubernetes.io/zone";

#[tokio::test]
async fn production() -> anyhow::Result<()> {
    play("production", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let cluster = Cluster::apply(stage, &manifest::production()?).await?;
    say(&format!("production: Ready after {}", spell(cluster.ready().await?)));
    let status = cluster.status().await?;
    ensure!(status.brokers.len() == 3 && status.controllers.len() == 3, "{status:?}");
    let leaders = status.controllers.iter().filter(|one| one.role.as_deref() == Some("Leader"));
    ensure!(leaders.count() == 1, "{:?}", status.controllers);
    let mut racks = Vec::new();
    for node in status.brokers.iter().chain(&status.controllers) {
        let group = if node.id < 10000 { "broker" } else { "controller" };
        let zone = zone(&cluster, &format!("{group}-{}", node.id)).await?;
        ensure!(node.rack.as_deref() == Some(zone.as_str()), "node {} is in {zone}", node.id);
        if group == "broker" {
            racks.push(zone);
        }
    }
    racks.sort();
    ensure!(racks == ["zone-a", "zone-b", "zone-c"], "brokers are in {racks:?}");
    Kcat::beside(&cluster).await?.round_trip("tls", "paid").await?;
    for id in 0..3 {
        disks(&cluster, id).await?;
    }
    leader_killed(&cluster).await
}

/// Every node is restarted and a broker is succeeded while the operator dies again and again, then the active
/// controller dies, and records go on being acknowledged.
async fn leader_killed(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let verifier = Verifier::beside(cluster).await?;
    operator::dies_during(&cluster.stage.client, "production", async {
        let configured = restarted::controllers_before_brokers(cluster).await?;
        verifier.goes_on_after("production: controllers and brokers restarted").await?;
        succeeded(cluster, &configured).await?;
        verifier.goes_on_after("production: the broker of a zone succeeded").await
    })
    .await?;
    let before = cluster.lives().await?;
    let pod = format!("payments-controller-{}-0", killed::leader(cluster).await?);
    killed::delete(cluster.stage, &pod, Some(0)).await?;
    killed::comes_back(cluster, "pod of the active controller killed", &before, &[&pod]).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("production").await
}

/// The only broker of a zone leaves, and who takes its place takes it in the same zone.
async fn succeeded(cluster: &Cluster<'_>, base: &Value) -> anyhow::Result<()> {
    let before = zone(cluster, "broker-1").await?;
    let began = Instant::now();
    let excluded = [("/spec/brokers/excludedIds", json!([1]))];
    cluster.stage.apply(&manifest::with(base, &excluded)?).await?;
    cluster.ready().await?;
    let brokers = cluster.status().await?.brokers;
    let ids: Vec<i32> = brokers.iter().map(|one| one.id).collect();
    ensure!(ids == [0, 2, 3], "the brokers are {ids:?}");
    let after = zone(cluster, "broker-3").await?;
    ensure!(after == before, "broker 1 was in {before}, and broker 3 is in {after}");
    say(&format!("production: broker 1 succeeded in {before} after {}", spell(began.elapsed())));
    Ok(())
}

/// The zone in which a node's pod runs.
async fn zone(cluster: &Cluster<'_>, node: &str) -> anyhow::Result<String> {
    let pod = cluster.pod(node).await?;
    let name = pod.spec.and_then(|spec| spec.node_name).context("the pod is not scheduled")?;
    let nodes: Api<Node> = Api::all(cluster.stage.client.clone());
    let zone = nodes.get(&name).await?.labels().get(ZONE).cloned();
    zone.with_context(|| format!("{name} is in no zone"))
}

/// Kafka itself counts both disks of a broker.
async fn disks(cluster: &Cluster<'_>, id: i32) -> anyhow::Result<()> {
    let pod = format!("{}-broker-{id}-0", cluster.name);
    let broker = id.to_string();
    let bootstrap = format!("{}-plain-bootstrap:9092", cluster.name);
    let command = [
        "kafka-log-dirs.sh",
        "--bootstrap-server",
        &bootstrap,
        "--describe",
        "--broker-list",
        &broker,
    ];
    let found = exec(&cluster.stage.api(), &pod, &command, "").await?;
    for disk in ["/var/lib/ottla/d0/log", "/var/lib/ottla/d1/log"] {
        ensure!(found.contains(disk), "broker {id} does not use {disk}: {found}");
    }
    Ok(())
}
