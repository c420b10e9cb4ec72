//! The operator killed in the middle of a bring-up, with real Kafka: the same objects in the end,
//! created once each, nothing formatted twice, one cluster id. Every single write is tried in the
//! tests of faults; here a few are, with all parts real.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::LogParams;

use super::audit::{self, Request};
use super::cluster::Cluster;
use super::exec::exec;
use super::kcat::Kcat;
use super::stage::{Stage, play, say};
use super::wait::spell;
use super::{manifest, operator};

/// After which of its writes the operator is killed: amid the objects of the whole, amid those of
/// nodes, and while nodes are told to format.
const WRITES: [usize; 3] = [4, 15, 26];

/// Writes come every few milliseconds.
const LOOK: Duration = Duration::from_millis(1);

/// A bring-up has begun and ended by then, or never will.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn crashes() -> anyhow::Result<()> {
    let mut ends: Vec<BTreeSet<String>> = Vec::new();
    for write in WRITES {
        let name = format!("crash-{write}");
        play(&name, async |stage: &Stage| {
            ends.push(killed_after(stage, &name, write).await?);
            Ok(())
        })
        .await?;
    }
    ensure!(ends.windows(2).all(|two| two[0] == two[1]), "they ended differently: {ends:#?}");
    Ok(())
}

/// One bring-up; what exists in the end.
async fn killed_after(stage: &Stage, name: &str, write: usize) -> anyhow::Result<BTreeSet<String>> {
    let place = audit::end()?;
    let process = operator::process()?;
    let cluster = Cluster::apply(stage, &manifest::short_lived()?).await?;
    let all_written = async {
        while writes(stage, place)?.len() < write {
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WRITTEN_WITHIN, all_written).await.context("too few writes")??;
    operator::kill(process)?;
    let first_life = writes(stage, place)?.len();
    let took = cluster.ready().await?;
    say(&format!("{name}: killed after write {first_life}, Ready {} later", spell(took)));

    let mut created: BTreeMap<String, usize> = BTreeMap::new();
    for request in writes(stage, place)?.iter().filter(|one| one.verb == "create") {
        *created.entry(object(request)).or_default() += usize::from(request.code == 201);
    }
    let twice: Vec<_> = created.iter().filter(|(_, count)| **count > 1).collect();
    ensure!(twice.is_empty(), "created more than once: {twice:?}");
    one_cluster(&cluster).await?;
    for (pod, (_, restarts)) in cluster.lives().await? {
        ensure!(restarts == 0, "{pod} was restarted");
        formatted_once(stage, &pod).await?;
    }
    Kcat::beside(&cluster).await?.round_trip("tls", "after").await?;
    Ok(created.into_keys().collect())
}

/// What the operator wrote for this cluster; its own words in events do not count.
fn writes(stage: &Stage, place: u64) -> anyhow::Result<Vec<Request>> {
    let mut writes = audit::writes_since(place)?;
    writes.retain(|one| one.namespace == stage.namespace && one.resource != "events");
    Ok(writes)
}

/// A node's configuration is named by the hash of a content that chance has a part in.
fn object(request: &Request) -> String {
    let name = match request.name.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => format!("{name}-CONFIGURATION"),
        _ => request.name.clone(),
    };
    format!("{} {name}", request.resource)
}

/// Every disk carries the cluster id that the identity and the status name.
async fn one_cluster(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let status = cluster.status().await?;
    let id = status.cluster_id.context("no cluster id")?;
    let identity = cluster.stage.api::<ConfigMap>().get("orders-identity").await?;
    let noted = identity.data.unwrap_or_default().remove("clusterId");
    ensure!(noted.as_ref() == Some(&id), "the identity says {noted:?}, the status {id}");
    for broker in 0..3 {
        let pod = format!("orders-broker-{broker}-0");
        let file = "/var/lib/ottla/d0/log/meta.properties";
        let found = exec(&cluster.stage.api(), &pod, &["cat", file], "").await?;
        ensure!(found.contains(&format!("cluster.id={id}")), "{pod}: {found}");
    }
    Ok(())
}

/// The agent obeyed the word to format once; if it was said again, there was nothing to do.
async fn formatted_once(stage: &Stage, pod: &str) -> anyhow::Result<()> {
    let log = stage.api::<Pod>().logs(pod, &LogParams::default()).await?;
    let obeyed = log.lines().filter(|line| line.contains("asked to format: Accepted")).count();
    ensure!(obeyed == 1, "{pod} was formatted {obeyed} times");
    Ok(())
}
