//! Disks grow, come and go under a verifying producer and consumer: another one is added, and then gives way to a
//! third of another class and size, and so does the first, which has the metadata log of a voter. The operator dies
//! again and again meanwhile.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN};
use super::exec::exec;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{manifest, operator};

/// A disk of a broker: name, size, class.
type Disk = (&'static str, &'static str, Option<&'static str>);

/// The first, which has grown.
const D0: Disk = ("d0", "3Gi", None);
const D1: Disk = ("d1", "2Gi", None);
/// Another class, which is not the default, and a smaller size.
const D2: Disk = ("d2", "1Gi", Some("fixed-disk"));

const LATE: &str = "late";
const POD: &str = "orders-broker-0-0";

#[tokio::test]
async fn volumes() -> anyhow::Result<()> {
    play("volumes", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    operator::dies_during(&stage.client, "volumes", steps(&cluster, &verifier, &base)).await?;
    vote_with(&cluster, &[0, 1, 2], "d2").await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("volumes").await
}

async fn steps(cluster: &Cluster<'_>, verifier: &Verifier<'_>, base: &Value) -> anyhow::Result<()> {
    let lives = cluster.lives().await?;
    grows(cluster, &with(base, &[D0])?).await?;
    ensure!(cluster.lives().await? == lives, "a disk grew, and pods were touched");
    verifier.goes_on_after("volumes: disks have grown").await?;

    changed(cluster, "a disk added", &with(base, &[D0, D1])?).await?;
    // What is made now comes to the disk that has the least.
    let topic = ["--create", "--topic", LATE, "--partitions", "6", "--replication-factor", "3"];
    let tool = ["kafka-topics.sh", "--bootstrap-server", "orders-plain-bootstrap:9092"];
    exec(&cluster.stage.api::<Pod>(), POD, &[&tool[..], &topic].concat(), "").await?;
    until("the new disks to hold something of the topic", READY_WITHIN, async || {
        let count = stored(cluster, "d1", LATE).await?;
        Ok(if count > 0 { Ok(()) } else { Err("they are empty".to_owned()) })
    })
    .await?;
    verifier.goes_on_after("volumes: a disk added").await?;

    changed(cluster, "a disk replaced", &with(base, &[D0, D2])?).await?;
    gone(cluster, "d1").await?;
    verifier.goes_on_after("volumes: a disk replaced").await?;

    changed(cluster, "the first disk gone", &with(base, &[D2])?).await?;
    gone(cluster, "d0").await?;
    ensure!(
        stored(cluster, "d2", "verified").await? == 18,
        "not all replicas are on the last disk"
    );
    verifier.goes_on_after("volumes: the first disk gone").await
}

/// The claims grow, and Kafka sees it without a restart.
async fn grows(cluster: &Cluster<'_>, grown: &Value) -> anyhow::Result<()> {
    let began = Instant::now();
    cluster.stage.apply(grown).await?;
    let claims = cluster.stage.api::<PersistentVolumeClaim>();
    let command = ["df", "--output=size", "--block-size=1M", "/var/lib/ottla/d0"];
    for broker in 0..3 {
        let (claim, pod) =
            (format!("orders-broker-{broker}-d0"), format!("orders-broker-{broker}-0"));
        until(&format!("claim {claim} to grow"), READY_WITHIN, async || {
            let status = claims.get(&claim).await?.status.unwrap_or_default();
            let size = status.capacity.unwrap_or_default().remove("storage");
            let grown = size.as_ref().is_some_and(|size| size.0 == "3Gi");
            Ok(if grown { Ok(()) } else { Err(format!("it has {size:?}")) })
        })
        .await?;
        let table = exec(&cluster.stage.api(), &pod, &command, "").await?;
        let mebibytes: u64 = table.lines().last().unwrap_or_default().trim().parse()?;
        ensure!(mebibytes > 2500, "{pod} sees {mebibytes} MiB");
    }
    cluster.ready().await?;
    say(&format!(
        "volumes: every disk has grown, and the pods see it, after {}",
        spell(began.elapsed())
    ));
    Ok(())
}

/// Brokers with these disks, whose claims go with them.
fn with(base: &Value, volumes: &[Disk]) -> anyhow::Result<Value> {
    let volumes = volumes.iter().map(|(name, size, class)| {
        let mut volume = json!({ "name": name, "size": size });
        if let Some(class) = class {
            volume["storageClassName"] = json!(class);
        }
        volume
    });
    let storage = json!({
        "volumes": volumes.collect::<Vec<_>>(), "reclaim": { "whenScaled": "Delete" },
    });
    manifest::with(base, &[("/spec/brokers/storage", storage)])
}

/// Applies a change, and waits until it is Ready and every broker has just these disks.
async fn changed(cluster: &Cluster<'_>, what: &str, wanted: &Value) -> anyhow::Result<()> {
    let began = Instant::now();
    cluster.stage.apply(wanted).await?;
    let volumes = wanted["spec"]["brokers"]["storage"]["volumes"].as_array();
    let names = volumes.context("no volumes")?.iter().filter_map(|one| one["name"].as_str());
    let wished: BTreeSet<String> = names.map(ToOwned::to_owned).collect();
    until(what, READY_WITHIN * 2, async || {
        if let Err(not_ready) = cluster.is_ready().await? {
            return Ok(Err(not_ready));
        }
        for broker in 0..3 {
            let found = mounted(&cluster.pod(&format!("broker-{broker}")).await?);
            if found != wished {
                return Ok(Err(format!("broker {broker} has {found:?}")));
            }
        }
        Ok(Ok(()))
    })
    .await?;
    say(&format!("volumes: {what} after {}", spell(began.elapsed())));
    Ok(())
}

fn mounted(pod: &Pod) -> BTreeSet<String> {
    let volumes = pod.spec.iter().filter_map(|spec| spec.volumes.as_ref()).flatten();
    volumes.filter_map(|one| one.name.strip_prefix("disk-").map(ToOwned::to_owned)).collect()
}

/// How many replicas of a topic lie on such a disk of any broker.
async fn stored(cluster: &Cluster<'_>, volume: &str, topic: &str) -> anyhow::Result<usize> {
    let beginning = format!("{topic}-");
    let folder = format!("/var/lib/ottla/{volume}/log");
    let mut count = 0;
    for broker in 0..3 {
        let pod = format!("orders-broker-{broker}-0");
        let found = exec(&cluster.stage.api(), &pod, &["ls", &folder], "").await?;
        count += found.lines().filter(|line| line.starts_with(&beginning)).count();
    }
    Ok(count)
}

/// All of these vote with that disk, as is on record.
pub(super) async fn vote_with(
    cluster: &Cluster<'_>,
    ids: &[i32],
    volume: &str,
) -> anyhow::Result<()> {
    let identity = cluster.stage.api::<ConfigMap>().get("orders-identity").await?;
    let data = identity.data.unwrap_or_default();
    let read = |key: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_str(data.get(key).context("it is not on record")?)?)
    };
    let (quorum, disks) = (read("quorum")?, read("disks")?);
    for id in ids {
        let voter = &quorum["members"][id.to_string()];
        let disk = &disks[format!("{id}/{volume}")];
        ensure!(voter.is_string() && voter == disk, "{id} votes with {voter} and not with {disk}");
    }
    Ok(())
}

/// Nothing of a disk is left: neither its claims, nor that it is on record.
async fn gone(cluster: &Cluster<'_>, volume: &str) -> anyhow::Result<()> {
    let identity = cluster.stage.api::<ConfigMap>().get("orders-identity").await?;
    let disks = identity.data.unwrap_or_default().remove("disks").unwrap_or_default();
    ensure!(!disks.contains(volume), "still on record: {disks}");
    let claims = cluster.stage.api::<PersistentVolumeClaim>();
    for broker in 0..3 {
        let claim = format!("orders-broker-{broker}-{volume}");
        until(&format!("claim {claim} to be gone"), READY_WITHIN, async || {
            let left = claims.get_opt(&claim).await?;
            Ok(left.map_or(Ok(()), |_| Err("it is there".to_owned())))
        })
        .await?;
    }
    Ok(())
}
