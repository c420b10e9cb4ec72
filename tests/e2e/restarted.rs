//! Rolls under a verifying producer and consumer: nodes are restarted one after another, and nobody
//! but the pods themselves notices.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::cluster::{Cluster, Lives, READY_WITHIN, not_ready};
use super::firewall::Cut;
use super::kcat::Kcat;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, throughout, until};
use super::{killed, manifest, operator};

/// The edit is seen, remembered, and the budgets are closed.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// No Kafka follows so soon after its process was started.
const IN_TIME: Duration = Duration::from_millis(1500);

/// For so long nothing may happen to the other nodes while one is held back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Once the follower is in sync the roll goes on at its next look.
const GOES_ON_WITHIN: Duration = Duration::from_secs(5);

/// The configuration in use, the one that the spec asks for, and two to go back to.
const CONFIGURATIONS_MAX: usize = 4;

/// Nodes read it only when they start.
const QUEUED: &str = "/spec/config/queued.max.requests";

#[tokio::test]
async fn restarted() -> anyhow::Result<()> {
    play("restarted", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    let leader = killed::leader(&cluster).await?;

    let configured = manifest::with(&base, &[(QUEUED, json!("400"))])?;
    let order = roll(&cluster, "three colocated nodes", &configured).await?;
    ensure!(
        order.last() == Some(&format!("orders-broker-{leader}-0")),
        "the active controller {leader} was not the last: {order:?}"
    );
    verifier.goes_on_after("restarted: three colocated nodes").await?;

    held_back(&cluster, &verifier, &base).await?;
    verifier.goes_on_after("restarted: a follower held back").await?;

    mind_changed(&cluster, &base).await?;
    verifier.goes_on_after("restarted: four edits in the middle").await?;
    verifier.verdict_of_planned("restarted").await
}

/// Of a cluster as `examples/production.yaml` has it: controllers before brokers, the active one the last of
/// them. What it looks like then.
pub(crate) async fn controllers_before_brokers(cluster: &Cluster<'_>) -> anyhow::Result<Value> {
    let leader = killed::leader(cluster).await?;
    let configured = manifest::with(&manifest::production()?, &[(QUEUED, json!("400"))])?;
    let order = roll(cluster, "three controllers and three brokers", &configured).await?;
    let (controllers, brokers) = order.split_at(3.min(order.len()));
    ensure!(
        controllers.last() == Some(&format!("payments-controller-{leader}-0"))
            && brokers.iter().all(|pod| pod.starts_with("payments-broker-")),
        "the active controller is {leader}, and the order was {order:?}"
    );
    Ok(configured)
}

/// Applies a change and waits until every node was restarted, each once, one at a time, in the order
/// that is returned.
async fn roll(cluster: &Cluster<'_>, what: &str, changed: &Value) -> anyhow::Result<Vec<String>> {
    let before = cluster.lives().await?;
    let started = Instant::now();
    cluster.stage.apply(changed).await?;
    let mut order = Vec::new();
    let mut begun = None;
    until(&format!("the roll to end: {what}"), READY_WITHIN, async || {
        let down = down_of(cluster, &before).await?;
        ensure!(down.len() <= 1, "more than one pod is down at once: {down:?}");
        for pod in &down {
            begun.get_or_insert_with(|| started.elapsed());
            if !order.contains(pod) {
                order.push(pod.clone());
            }
        }
        cluster.is_ready().await
    })
    .await?;
    let begun = begun.unwrap_or_default();
    ensure!(begun < BEGINS_WITHIN, "the roll began only after {}", spell(begun));
    let after = cluster.lives().await?;
    for (pod, life) in &before {
        ensure!(after.get(pod) != Some(life), "{what}: {pod} was not restarted");
    }
    say(&format!(
        "restarted: {what}: begun after {}, over after {}",
        spell(begun),
        spell(started.elapsed())
    ));
    Ok(order)
}

/// Pods that are not there or not Ready.
async fn down_of(cluster: &Cluster<'_>, expected: &Lives) -> anyhow::Result<BTreeSet<String>> {
    let pods = cluster.pods().await?;
    let ready: BTreeSet<String> =
        pods.iter().filter(|pod| not_ready(pod).is_none()).map(|pod| pod.name_any()).collect();
    Ok(expected.keys().filter(|pod| !ready.contains(*pod)).cloned().collect())
}

/// The first broker that was restarted gets no records: the roll waits, says for what, and everything
/// stays available; it goes on as soon as the broker can follow.
async fn held_back(
    cluster: &Cluster<'_>,
    verifier: &Verifier<'_>,
    base: &Value,
) -> anyhow::Result<()> {
    for queued in ["401", "411", "421"] {
        let before = cluster.lives().await?;
        let leader = killed::leader(cluster).await?;
        let first = (0..3).find(|id| *id != leader).unwrap_or_default();
        let changed = manifest::with(base, &[(QUEUED, json!(queued))])?;
        let (cut, late) =
            cut_off(cluster, &before, &format!("orders-broker-{first}-0"), &changed).await?;
        if late < IN_TIME {
            return patient(cluster, verifier, &before, first, cut).await;
        }
        say(&format!("restarted: cut off only after {}, once more", spell(late)));
        cut.lift()?;
        cluster.ready().await?;
    }
    bail!("this machine stands still too often to cut a broker off before it follows")
}

/// Cuts a broker off in its next life; at most how long after that began.
async fn cut_off(
    cluster: &Cluster<'_>,
    before: &Lives,
    pod: &str,
    changed: &Value,
) -> anyhow::Result<(Cut, Duration)> {
    cluster.stage.apply(changed).await?;
    let mut looked = Instant::now();
    until(&format!("a new life of {pod} to cut off"), READY_WITHIN, async || {
        let now = Instant::now();
        let lives = cluster.lives().await?;
        let Some((uid, _)) = lives.get(pod).filter(|life| before.get(pod) != Some(*life)) else {
            looked = now;
            return Ok(Err("it is not restarted yet".to_owned()));
        };
        let cut = Cut::off(pod, uid)?.map(|cut| (cut, looked.elapsed()));
        if cut.is_none() {
            looked = now;
        }
        Ok(cut.ok_or_else(|| "no process of it runs".to_owned()))
    })
    .await
}

/// The roll waits for the broker that is cut off, and goes on when it is not any more.
async fn patient(
    cluster: &Cluster<'_>,
    verifier: &Verifier<'_>,
    before: &Lives,
    first: i32,
    cut: Cut,
) -> anyhow::Result<()> {
    let pod = format!("orders-broker-{first}-0");
    let held = cluster.lives().await?;
    ensure!(
        before.iter().all(|(name, life)| *name == pod || held.get(name) == Some(life)),
        "another node than {pod} was restarted first"
    );
    cluster.waits_on(&format!("node {first}: "), READY_WITHIN).await?;
    let words = until("the roll to say for what it waits", READY_WITHIN, async || {
        let waiting = cluster.status().await?.summary.unwrap_or_default().waiting_on;
        let waiting = waiting.unwrap_or_default();
        Ok(if waiting.contains("verified-") { Ok(waiting) } else { Err(waiting) })
    })
    .await?;
    until("the firewall to drop what the broker sends", READY_WITHIN, async || {
        let dropped = cut.dropped()?;
        Ok(if dropped > 0 { Ok(()) } else { Err("nothing is dropped".to_owned()) })
    })
    .await?;
    let since = waiting_since(cluster).await?;
    ensure!(since.is_some(), "it does not say since when it waits");
    throughout("the roll's patience", PATIENCE, async || {
        let now = cluster.lives().await?;
        let touched = held.iter().find(|(name, life)| now.get(*name) != Some(*life));
        let Some((name, _)) = touched else { return Ok(Ok(())) };
        let waiting = cluster.status().await?.summary.unwrap_or_default().waiting_on;
        Ok(Err(format!("{name} was restarted after `{words}`, and now it waits for {waiting:?}")))
    })
    .await?;
    verifier.goes_on().await?;
    let lacks = lacks_are_told(cluster, first).await?;
    let now = waiting_since(cluster).await?;
    ensure!(now == since, "it waited since {since:?}, and then since {now:?}");
    let client = Kcat::beside(cluster).await?;
    cut.lift()?;
    let took = goes_on(cluster, &client, &held).await?;
    say(&format!(
        "restarted: a follower held back: `{words}`, by {lacks} bytes; the roll went on {took}"
    ));
    cluster.ready().await?;
    until("metrics to say no more of it", READY_WITHIN, async || {
        let figures = operator::figures(cluster.stage).await?;
        let behind: Vec<String> =
            figures.into_iter().filter(|line| line.starts_with("ottla_kafka_replica")).collect();
        Ok(if behind.is_empty() { Ok(()) } else { Err(behind.join("; ")) })
    })
    .await
}

/// Waits until metrics say how many bytes a broker lacks; `explain` says so too.
async fn lacks_are_told(cluster: &Cluster<'_>, broker: i32) -> anyhow::Result<u64> {
    let bytes = until("metrics to say how far it is behind", READY_WITHIN, async || {
        let figures = operator::figures(cluster.stage).await?;
        Ok(lacks(&figures, broker).filter(|bytes| *bytes > 0).ok_or_else(|| figures.join("; ")))
    })
    .await?;
    let explained = operator::explained(cluster.stage, &cluster.name).await?;
    let behind = format!("saw   Kafka: broker {broker} lacks ");
    let told = explained.lines().any(|line| line.starts_with(&behind) && line.contains("bytes"));
    ensure!(told, "explain does not say what broker {broker} lacks: {explained}");
    Ok(bytes)
}

/// Waits until all is in sync, and then until the roll goes on; how long both took, in words.
async fn goes_on(cluster: &Cluster<'_>, client: &Kcat<'_>, held: &Lives) -> anyhow::Result<String> {
    let lifted = Instant::now();
    let has_gone_on = async || {
        let now = cluster.lives().await?;
        let told = cluster.pods().await?;
        let ending = told.iter().any(|one| one.metadata.deletion_timestamp.is_some());
        anyhow::Ok(ending || now != *held)
    };
    until("the follower to be in sync", READY_WITHIN, async || {
        let (in_sync, told) = match client.in_sync("verified").await {
            Ok(answer) => answer,
            Err(error) => (false, format!("{error:#}")),
        };
        Ok(if in_sync || has_gone_on().await? { Ok(()) } else { Err(told) })
    })
    .await?;
    let in_sync = lifted.elapsed();
    until("the roll to go on", GOES_ON_WITHIN, async || {
        Ok(if has_gone_on().await? { Ok(()) } else { Err("nobody restarts".to_owned()) })
    })
    .await?;
    let all = lifted.elapsed();
    Ok(format!(
        "{} after all was in sync, which took {}",
        spell(all.saturating_sub(in_sync)),
        spell(in_sync)
    ))
}

/// Since when the roll waits for the same.
async fn waiting_since(cluster: &Cluster<'_>) -> anyhow::Result<Option<String>> {
    Ok(cluster.status().await?.operation.and_then(|operation| operation.waiting_since))
}

/// How many bytes of what its leaders have a broker lacks, by the operator's metrics.
fn lacks(figures: &[String], broker: i32) -> Option<u64> {
    let of_broker = format!("broker=\"{broker}\"");
    let mut lag = figures.iter().filter(|line| line.starts_with("ottla_kafka_replica_lag_bytes"));
    lag.find(|line| line.contains(&of_broker))?.rsplit(' ').next()?.parse().ok()
}

/// The spec changes again and again in the middle of a roll, and the operator dies again and again;
/// in the end every node runs the last spec.
async fn mind_changed(cluster: &Cluster<'_>, base: &Value) -> anyhow::Result<()> {
    let started = Instant::now();
    let edits = async {
        for queued in 402..=405 {
            let changed = manifest::with(base, &[(QUEUED, json!(queued.to_string()))])?;
            cluster.stage.apply(&changed).await?;
            until("the edit to be seen", READY_WITHIN, async || {
                let seen = cluster.get().await?;
                let observed = seen.status.clone().unwrap_or_default().observed_generation;
                Ok(if observed == seen.metadata.generation {
                    Ok(())
                } else {
                    Err(format!("{observed:?}"))
                })
            })
            .await?;
        }
        cluster.ready().await?;
        anyhow::Ok(())
    };
    operator::dies_during(&cluster.stage.client, "restarted", edits).await?;
    for broker in 0..3 {
        let pod = cluster.pod(&format!("broker-{broker}")).await?;
        let mounted = pod.spec.and_then(|spec| {
            spec.volumes?.into_iter().find_map(|volume| Some(volume.config_map?.name))
        });
        let maps = cluster.stage.api::<ConfigMap>();
        let configuration = maps.get(&mounted.unwrap_or_default()).await?;
        let properties = configuration.data.unwrap_or_default().remove("server.properties");
        ensure!(
            properties.unwrap_or_default().contains("queued.max.requests=405"),
            "broker {broker} does not run the last spec"
        );
    }
    configurations(cluster).await?;
    say(&format!(
        "restarted: four edits in the middle, the operator killed again and again: over after {}",
        spell(started.elapsed())
    ));
    Ok(())
}

/// Configurations that nobody uses go, but for the last.
async fn configurations(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let maps = cluster.stage.api::<ConfigMap>();
    let of_node = ListParams::default().labels("ottla.dev/cluster=orders,ottla.dev/node-id=0");
    until("old configurations to go", READY_WITHIN, async || {
        let count = maps.list_metadata(&of_node).await?.items.len();
        Ok(if count <= CONFIGURATIONS_MAX { Ok(()) } else { Err(format!("there are {count}")) })
    })
    .await
}
