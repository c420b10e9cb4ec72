//! Two clusters in one namespace, the same name in two namespaces, and two operators by mistake:
//! nobody touches what is another's.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use super::audit;
use super::cluster::{Cluster, READY_WITHIN};
use super::kcat::{Kcat, numbered};
use super::manifest;
use super::stage::{Stage, play, say};
use super::wait::until;

/// A lease of 15 seconds may have to run out, and a pod has to start.
const LEADS_WITHIN: Duration = Duration::from_secs(90);
const SAID_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn neighbours() -> anyhow::Result<()> {
    play("neighbours", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let elsewhere = Stage::open("neighbours-elsewhere").await?;
    let played = among(stage, &elsewhere).await;
    elsewhere.close().await?;
    played
}

async fn among(stage: &Stage, elsewhere: &Stage) -> anyhow::Result<()> {
    let orders = Cluster::apply(stage, &manifest::single("orders")?).await?;
    let beside = Cluster::apply(stage, &manifest::single("orders-2")?).await?;
    let same_name = Cluster::apply(elsewhere, &manifest::single("orders")?).await?;
    let clusters = [&orders, &beside, &same_name];
    let mut ids = Vec::new();
    let mut clients = Vec::new();
    for cluster in clusters {
        cluster.ready().await?;
        ids.extend(cluster.status().await?.cluster_id);
        clients.push(Kcat::beside(cluster).await?);
    }
    ids.sort();
    ids.dedup();
    ensure!(ids.len() == clusters.len(), "clusters share an id: {ids:?}");
    for (word, client) in ["one", "two", "three"].iter().zip(&clients) {
        client.produce("tls", "same", &numbered(word, 50)).await?;
    }
    for (word, client) in ["one", "two", "three"].iter().zip(&clients) {
        client.holds("plain", "same", &numbered(word, 50)).await?;
    }
    say("neighbours: three clusters, two of them of one name, each holds its own records");
    one_deleted(&beside, &[&orders, &same_name]).await?;
    second_operator(&orders).await
}

/// What becomes of one cluster is nothing to the others.
async fn one_deleted(gone: &Cluster<'_>, others: &[&Cluster<'_>]) -> anyhow::Result<()> {
    let mut before = Vec::new();
    for other in others {
        before.push(other.lives().await?);
    }
    gone.api().delete(&gone.name, &DeleteParams::default()).await?;
    until("the deleted cluster's pods to be gone", READY_WITHIN, async || {
        let left = gone.pods().await?;
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{} pods", left.len())) })
    })
    .await?;
    let of_gone = ListParams::default().labels(&format!("ottla.dev/cluster={}", gone.name));
    let claims = gone.stage.api::<PersistentVolumeClaim>().list(&of_gone).await?;
    ensure!(claims.items.len() == 1, "its claims are {:?}", claims.items.len());
    for (other, before) in others.iter().zip(before) {
        other.ready().await?;
        ensure!(other.lives().await? == before, "{} was touched", other.name);
    }
    say("neighbours: one cluster deleted, the others untouched");
    Ok(())
}

/// A second installation by the Helm chart stands by and says so, until it is given the cluster.
async fn second_operator(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let namespace = cluster.stage.namespace.as_str();
    let place = audit::end()?;
    helm(&["install", "second", &chart(), "--namespace", namespace, "--wait", "--timeout=90s"])
        .await?;
    let played = stands_by_then_takes_over(cluster, place).await;
    helm(&["uninstall", "second", "--namespace", namespace, "--wait"]).await?;
    played
}

async fn stands_by_then_takes_over(cluster: &Cluster<'_>, place: u64) -> anyhow::Result<()> {
    let namespace = cluster.stage.namespace.as_str();
    let lives = cluster.lives().await?;
    let sentence = "stands by: the operator ottla-system/ottla owns this cluster";
    until("the second operator to say that it stands by", LEADS_WITHIN, async || {
        let said = log(cluster.stage).await?;
        Ok(if said.contains(sentence) { Ok(()) } else { Err(said) })
    })
    .await?;
    say(&format!("neighbours: second operator: {sentence}"));
    let second = format!("system:serviceaccount:{namespace}:second-ottla");
    let wrote: Vec<String> = audit::since(place)?
        .iter()
        .filter(|one| one.user == second && one.is_write())
        .map(audit::Request::spell)
        .collect();
    ensure!(wrote.is_empty(), "the second operator wrote {wrote:?}");
    let installation = format!("{namespace}/second-ottla");
    let word = json!({ "metadata": { "annotations": { "ottla.dev/take-over": installation } } });
    cluster.api().patch(&cluster.name, &PatchParams::default(), &Patch::Merge(&word)).await?;
    until("the cluster to be handed over", SAID_WITHIN, async || {
        let owner = cluster.status().await?.operator;
        let handed_over = owner.as_deref() == Some(installation.as_str());
        Ok(if handed_over { Ok(()) } else { Err(format!("{owner:?} owns it")) })
    })
    .await?;
    cluster.ready().await?;
    ensure!(cluster.lives().await? == lives, "pods were touched");
    say(&format!("neighbours: handed over to {installation}, no pod touched"));
    Ok(())
}

async fn log(stage: &Stage) -> anyhow::Result<String> {
    let second = ListParams::default().labels("app.kubernetes.io/instance=second");
    let mut said = String::new();
    for pod in stage.api::<Pod>().list(&second).await? {
        said += &stage.api::<Pod>().logs(&pod.name_any(), &LogParams::default()).await?;
    }
    Ok(said)
}

fn chart() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ottla").to_owned()
}

/// Runs Helm: `OTTLA_HELM`, or the one on the search path.
async fn helm(arguments: &[&str]) -> anyhow::Result<()> {
    let program: PathBuf = std::env::var_os("OTTLA_HELM").unwrap_or_else(|| "helm".into()).into();
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .await
        .with_context(|| format!("could not run {}", program.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {} failed: {complaint}", arguments.join(" "));
    Ok(())
}
