//! Real disks fill up and die under a verifying producer and consumer. Each time the status says what is wrong and
//! what helps, nobody else is touched, and that is what helps.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use serde_json::{Value, json};

use super::cluster::{Cluster, Lives, READY_WITHIN};
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{disk, killed, manifest};

/// What is left for the records that come while a disk is filled up.
const LEFT_BYTES: u64 = 1 << 20;

#[tokio::test]
async fn worn() -> anyhow::Result<()> {
    play("worn", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = with(&["d0", "d1"], "1Gi")?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    fills(&cluster).await?;
    verifier.goes_on().await?;
    dies(&cluster).await?;
    verifier.goes_on().await?;
    dies_with_its_broker(&cluster).await?;
    verifier.goes_on().await?;
    verifier.verdict("worn").await
}

/// Three brokers with these disks, all of one size.
fn with(volumes: &[&str], size: &str) -> anyhow::Result<Value> {
    let volumes = volumes.iter().map(|name| json!({ "name": name, "size": size }));
    let path = "/spec/brokers/storage/volumes";
    manifest::with(&manifest::short_lived()?, &[(path, volumes.collect())])
}

/// The disk with the metadata log is filled up: its broker waits for room, and goes on when the disk has grown.
async fn fills(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let before = cluster.lives().await?;
    let folder = folder_of(cluster, "orders-broker-2-d0").await?;
    let ballast = folder.join("ballast");
    until("the disk to be filled up", READY_WITHIN, async || {
        // Records come meanwhile, too.
        let free = (free_bytes(&folder)? - LEFT_BYTES).to_string();
        let mut fallocate = Command::new("fallocate");
        let filled = run(fallocate.arg("--length").arg(free).arg(&ballast));
        Ok(filled.map_err(|error| format!("{error:#}")))
    })
    .await?;
    let sentence = cluster.stalled("DiskFull", READY_WITHIN).await?;
    ensure!(sentence.contains("node 2: volume d0 is full"), "it says: {sentence}");
    say(&format!("worn: filled: DiskFull: {sentence}"));
    let began = Instant::now();
    cluster.stage.apply(&with(&["d0", "d1"], "2Gi")?).await?;
    cluster.ready().await?;
    say(&format!("worn: filled: Ready again {} after the disk's growth", spell(began.elapsed())));
    only_touched(cluster, &before, "orders-broker-2-0").await?;
    run(Command::new("rm").arg(&ballast))
}

/// A disk dies beside another one, and Kafka goes on with that. Another disk takes its place.
async fn dies(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let before = cluster.lives().await?;
    kill(cluster, "orders-broker-0-d1").await?;
    let sentence = cluster.stalled("DiskOffline", READY_WITHIN).await?;
    ensure!(sentence.contains("node 0: Kafka took disk d1 offline"), "it says: {sentence}");
    say(&format!("worn: died: DiskOffline: {sentence}"));
    ensure!(cluster.lives().await? == before, "a disk died, and pods were touched");
    let began = Instant::now();
    cluster.stage.apply(&with(&["d0", "d2"], "2Gi")?).await?;
    cluster.ready().await?;
    say(&format!("worn: died: another disk in its place after {}", spell(began.elapsed())));
    Ok(())
}

/// The disk with the metadata log dies, and its broker with it. Declared lost, an empty one takes its place.
async fn dies_with_its_broker(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let (claim, before) = ("orders-broker-1-d0", cluster.lives().await?);
    kill(cluster, claim).await?;
    let sentence = until("the status to say what the disk answers", READY_WITHIN, async || {
        let sentence = cluster.says("Ready", "PodStuck", READY_WITHIN).await?;
        let tells = sentence.starts_with("node 1: ") && sentence.contains("input/output error");
        Ok(if tells { Ok(sentence) } else { Err(sentence) })
    })
    .await?;
    say(&format!("worn: died with its broker: PodStuck: {sentence}"));
    let began = Instant::now();
    disk::delete_claim(cluster.stage, claim).await?;
    killed::delete(cluster.stage, "orders-broker-1-0", None).await?;
    until("the empty disk to be refused", READY_WITHIN, async || {
        let sentence = cluster.stalled("DiskRefused", READY_WITHIN).await?;
        let is_empty = sentence.contains("this node was formatted before");
        Ok(if is_empty { Ok(()) } else { Err(sentence) })
    })
    .await?;
    disk::declare_lost(cluster.stage, claim).await?;
    cluster.ready().await?;
    say(&format!("worn: died with its broker: replaced after {}", spell(began.elapsed())));
    only_touched(cluster, &before, "orders-broker-1-0").await
}

async fn only_touched(cluster: &Cluster<'_>, before: &Lives, pod: &str) -> anyhow::Result<()> {
    let now = cluster.lives().await?;
    for (name, life) in before.iter().filter(|(name, _)| *name != pod) {
        ensure!(now.get(name) == Some(life), "{name} was touched too");
    }
    Ok(())
}

/// From now on the disk behind a claim answers nothing but errors.
async fn kill(cluster: &Cluster<'_>, claim: &str) -> anyhow::Result<()> {
    let folder = folder_of(cluster, claim).await?;
    run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(folder))
}

/// Where the disk behind a claim is mounted on this machine, which is the node of the local Kubernetes.
async fn folder_of(cluster: &Cluster<'_>, claim: &str) -> anyhow::Result<PathBuf> {
    let name = disk::volume_of(cluster.stage, claim).await?;
    let volumes: Api<PersistentVolume> = Api::all(cluster.stage.client.clone());
    let local = volumes.get(&name).await?.spec.and_then(|spec| spec.local);
    Ok(local.with_context(|| format!("volume {name} is not local"))?.path.into())
}

fn free_bytes(folder: &PathBuf) -> anyhow::Result<u64> {
    let mut command = Command::new("df");
    let output = command.args(["--output=avail", "--block-size=1"]).arg(folder).output()?;
    let table = String::from_utf8(output.stdout)?;
    Ok(table.lines().last().unwrap_or_default().trim().parse()?)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(())
}
