//! A Kubernetes node is drained in the middle of a roll: its broker is evicted only when the roll can
//! do without it, and at no moment are two brokers down. As long as nobody may come to that machine, whose disk
//! the broker has, it is waited for. The operator dies again and again meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::EvictParams;
use kube::{Api, Client, Config, ResourceExt as _};
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN, not_ready};
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{killed, manifest, operator};

const TOO_MANY_REQUESTS: u16 = 429;

/// More often than `kubectl drain`, which tries again each five seconds.
const TRIES_EACH: Duration = Duration::from_secs(1);

#[tokio::test]
async fn drained() -> anyhow::Result<()> {
    play("drained", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    let work = drained_in_a_roll(&cluster, &verifier, &base);
    operator::dies_during(&stage.client, "drained", work).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("drained").await
}

async fn drained_in_a_roll(
    cluster: &Cluster<'_>,
    verifier: &Verifier<'_>,
    base: &Value,
) -> anyhow::Result<()> {
    // The roll comes to the active controller last.
    let id = killed::leader(cluster).await?;
    let last = format!("orders-broker-{id}-0");
    let pod = cluster.pod(&format!("broker-{id}")).await?;
    let machine = pod.spec.and_then(|spec| spec.node_name).context("it runs nowhere")?;
    let changed = manifest::with(base, &[("/spec/config/queued.max.requests", json!("400"))])?;
    cluster.stage.apply(&changed).await?;
    until("the roll to begin", READY_WITHIN, async || {
        let down = down(cluster).await?;
        Ok(if down.is_empty() { Err("every pod is Ready".to_owned()) } else { Ok(()) })
    })
    .await?;
    let machines: Api<Node> = Api::all(cluster.stage.client.clone());
    machines.cordon(&machine).await?;
    let drained = while_cordoned(cluster, verifier, id, &last).await;
    machines.uncordon(&machine).await?;
    drained?;
    let uncordoned = Instant::now();
    cluster.ready().await?;
    say(&format!("drained: Ready {} after the end of that", spell(uncordoned.elapsed())));
    Ok(())
}

async fn while_cordoned(
    cluster: &Cluster<'_>,
    verifier: &Verifier<'_>,
    id: i32,
    last: &str,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let refused = drain(cluster, last).await?;
    ensure!(refused > 0, "{last} was evicted in the middle of the roll");
    say(&format!(
        "drained: {last} was refused {refused} times and evicted after {}",
        spell(started.elapsed())
    ));
    cluster.waits_on(&format!("node {id}: cannot be scheduled: "), READY_WITHIN).await?;
    verifier.goes_on().await?;
    let down = down(cluster).await?;
    ensure!(down == [last], "down are {down:?}");
    Ok(())
}

/// Evicts a pod as `kubectl drain` does, again and again until it is allowed; how often it was not.
async fn drain(cluster: &Cluster<'_>, pod: &str) -> anyhow::Result<usize> {
    // By itself the client would try for minutes and tell nobody.
    let mut config = Config::infer().await?;
    config.default_retry = false;
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config)?, &cluster.stage.namespace);
    let started = Instant::now();
    let mut refused = 0;
    while started.elapsed() < READY_WITHIN {
        let before = down(cluster).await?;
        ensure!(before.len() <= 1, "more than one pod is down at once: {before:?}");
        match pods.evict(pod, &EvictParams::default()).await {
            Ok(_) => {
                let down = down(cluster).await?;
                ensure!(down.len() <= 1, "{pod} was evicted while {before:?} was down");
                return Ok(refused);
            }
            Err(kube::Error::Api(status)) if status.code == TOO_MANY_REQUESTS => refused += 1,
            Err(error) => bail!("{pod} could not be evicted: {error}"),
        }
        tokio::time::sleep(TRIES_EACH).await;
    }
    bail!("{pod} could never be evicted");
}

/// Pods that are not Ready, or on their way out.
async fn down(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let pods = cluster.pods().await?;
    Ok(pods.iter().filter(|pod| not_ready(pod).is_some()).map(|pod| pod.name_any()).collect())
}
