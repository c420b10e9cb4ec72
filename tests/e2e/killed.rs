//! Killed: a broker's pod, the JVM inside, the operator, the leader of the quorum, all at once.
//! Each comes back without a person, and every acknowledged record is there.

use std::time::Instant;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, ListParams};

use super::cluster::{Cluster, Lives, READY_WITHIN};
use super::exec::exec;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{manifest, operator};

/// Kills Kafka inside a container, and with it the container.
const KILL_JAVA: &str = r#"for p in /proc/[0-9]*; do
    [ "$(readlink $p/exe)" = /opt/java/bin/java ] && kill -9 ${p#/proc/}; done"#;

#[tokio::test]
async fn killed() -> anyhow::Result<()> {
    play("killed", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let cluster = Cluster::raise(stage, &manifest::short_lived()?).await?;
    let verifier = Verifier::beside(&cluster).await?;

    let before = cluster.lives().await?;
    delete(stage, "orders-broker-1-0", None).await?;
    comes_back(&cluster, "pod of broker 1 deleted", &before, &["orders-broker-1-0"]).await?;
    verifier.goes_on().await?;

    let before = cluster.lives().await?;
    // The container ends with its JVM, perhaps before the command is said to have ended.
    let _ = exec(&stage.api(), "orders-broker-2-0", &["bash", "-c", KILL_JAVA], "").await;
    comes_back(&cluster, "JVM of broker 2 killed", &before, &["orders-broker-2-0"]).await?;
    verifier.goes_on().await?;

    operator_killed(&cluster).await?;
    verifier.goes_on().await?;

    let before = cluster.lives().await?;
    let leader = format!("orders-broker-{}-0", leader(&cluster).await?);
    delete(stage, &leader, Some(0)).await?;
    comes_back(&cluster, "pod of the quorum's leader killed", &before, &[&leader]).await?;
    verifier.goes_on().await?;

    let before = cluster.lives().await?;
    let all: Vec<&str> = before.keys().map(String::as_str).collect();
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let of_cluster = ListParams::default().labels("ottla.dev/cluster=orders");
    stage.api::<Pod>().delete_collection(&at_once, &of_cluster).await?;
    comes_back(&cluster, "all pods killed at once", &before, &all).await?;
    verifier.goes_on().await?;

    verifier.verdict("killed").await
}

/// Deletes a pod, with its own time to say goodbye unless told otherwise.
pub(crate) async fn delete(stage: &Stage, pod: &str, grace: Option<u32>) -> anyhow::Result<()> {
    let params = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
    stage.api::<Pod>().delete(pod, &params).await?;
    Ok(())
}

/// The node that leads the metadata quorum.
pub(crate) async fn leader(cluster: &Cluster<'_>) -> anyhow::Result<i32> {
    until("the status to name the quorum's leader", READY_WITHIN, async || {
        let status = cluster.status().await?;
        let mut nodes = status.brokers.iter().chain(&status.controllers);
        let leader = nodes.find(|node| node.role.as_deref() == Some("Leader"));
        Ok(leader.map(|node| node.id).ok_or_else(|| format!("{nodes:?}")))
    })
    .await
}

/// Waits until the pods that were killed live again and the cluster is Ready; no other pod may
/// have been touched.
pub(crate) async fn comes_back(
    cluster: &Cluster<'_>,
    what: &str,
    before: &Lives,
    killed: &[&str],
) -> anyhow::Result<()> {
    let started = Instant::now();
    until(&format!("all to be well again: {what}"), READY_WITHIN, async || {
        let now = cluster.lives().await?;
        let same = |pod: &&&str| now.get(**pod).is_none_or(|life| before.get(**pod) == Some(life));
        match killed.iter().find(same) {
            Some(pod) => Ok(Err(format!("{pod} does not live again"))),
            None => cluster.is_ready().await,
        }
    })
    .await?;
    say(&format!("killed: {what}: Ready again after {}", spell(started.elapsed())));
    let now = cluster.lives().await?;
    for (pod, life) in before.iter().filter(|(pod, _)| !killed.contains(&pod.as_str())) {
        ensure!(now.get(pod) == Some(life), "{what}, and {pod} was touched too");
    }
    Ok(())
}

/// While no operator runs nothing happens; the next one works, and restarts nothing.
async fn operator_killed(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let before = cluster.lives().await?;
    operator::kill(operator::process()?)?;
    let started = Instant::now();
    let services = cluster.stage.api::<Service>();
    let name = format!("{}-tls-bootstrap", cluster.name);
    services.delete(&name, &DeleteParams::default()).await?;
    until("the next operator to work", READY_WITHIN, async || {
        Ok(services.get_opt(&name).await?.map(|_| ()).ok_or_else(|| format!("no Service {name}")))
    })
    .await?;
    say(&format!("killed: operator killed: the next works after {}", spell(started.elapsed())));
    cluster.ready().await?;
    ensure!(cluster.lives().await? == before, "the operator's death touched pods");
    Ok(())
}
