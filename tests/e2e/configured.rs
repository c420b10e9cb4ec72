//! Configuration under a verifying producer and consumer: what Kafka takes while it runs is changed
//! at once and restarts nobody, and the rest rolls. The operator dies again and again meanwhile.

use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN};
use super::exec::exec;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, throughout, until};
use super::{manifest, operator};

/// An edit is seen at once, and by this time nobody has killed the operator.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);
/// How long nobody may be restarted after an edit that Kafka refused.
const UNTOUCHED_FOR: Duration = Duration::from_secs(5);

const CONFIG: &str = "/spec/config";

/// Kafka looks at the addresses in it only when it takes it.
const PER_IP: &str = "max.connections.per.ip.overrides";
const POD: &str = "orders-broker-0-0";
const KAFKA: [&str; 3] = ["kafka-configs.sh", "--bootstrap-server", "orders-plain-bootstrap:9092"];

#[tokio::test]
async fn configured() -> anyhow::Result<()> {
    play("configured", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    operator::dies_during(&stage.client, "configured", steps(&cluster, &base)).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("configured").await
}

async fn steps(cluster: &Cluster<'_>, base: &Value) -> anyhow::Result<()> {
    let (stage, lives) = (cluster.stage, cluster.lives().await?);

    let live = json!({ "max.connections": "1000", "message.max.bytes": "2000000" });
    let edited = Instant::now();
    configure(cluster, base, &live).await?;
    until("the change to be told", TAKEN_WITHIN, async || told(stage).await).await?;
    say(&format!("configured: a live change is told after {}", spell(edited.elapsed())));
    holds(cluster, &["max.connections=1000", "message.max.bytes=2000000"], &[]).await?;

    configure(cluster, base, &json!({ "max.connections": "1000" })).await?;
    holds(cluster, &["max.connections=1000"], &["message.max.bytes"]).await?;

    let by_hand = "max.connections=500,log.index.interval.bytes=8192,num.io.threads=16";
    let entity = ["--alter", "--entity-type", "brokers", "--entity-default"];
    kafka(stage, &[&entity[..], &["--add-config", by_hand]].concat()).await?;
    let left_alone = "num.io.threads=16";
    let gone = ["log.index.interval.bytes"];
    holds(cluster, &["max.connections=1000", left_alone], &gone).await?;

    let fewer = json!({ "max.connections": "1000", "min.insync.replicas": "1" });
    configure(cluster, base, &fewer).await?;
    holds(cluster, &["min.insync.replicas=1"], &[]).await?;
    configure(cluster, base, &json!({ "max.connections": "1000" })).await?;
    holds(cluster, &["min.insync.replicas=2"], &[]).await?;

    let refused = json!({ PER_IP: "a/b:5", "log.retention.hours": "24" });
    configure(cluster, base, &refused).await?;
    let words = cluster.says("Ready", "WriteFailed", READY_WITHIN).await?;
    ensure!(words.contains(PER_IP) && words.contains("a/b"), "it says: {words}");
    say(&format!("configured: refused by Kafka: `{words}`"));
    throughout("the refusal", UNTOUCHED_FOR, async || {
        let now = cluster.lives().await?;
        Ok(if now == lives { Ok(()) } else { Err(format!("{lives:?} became {now:?}")) })
    })
    .await?;
    stage.apply(base).await?;
    cluster.ready().await?;
    holds(cluster, &[left_alone], &["max.connections", PER_IP]).await?;
    ensure!(cluster.lives().await? == lives, "a live change touched a pod");

    let both =
        json!({ "max.connections": "1200", "log.retention.hours": "24", "num.io.threads": "24" });
    configure(cluster, base, &both).await?;
    holds(cluster, &["max.connections=1200"], &[]).await?;
    cluster.ready().await?;
    let after = cluster.lives().await?;
    let kept = lives.iter().find(|(pod, life)| after.get(*pod) == Some(*life));
    ensure!(kept.is_none(), "a change that needs a restart left one as it was: {kept:?}");
    // What was set by hand hid it until every node had started with it.
    holds(cluster, &[], &["num.io.threads"]).await?;
    effective(stage, "num.io.threads=24").await?;
    effective(stage, "max.connections=1200").await?;
    effective(stage, "log.retention.hours=24").await
}

async fn configure(cluster: &Cluster<'_>, base: &Value, config: &Value) -> anyhow::Result<()> {
    cluster.stage.apply(&manifest::with(base, &[(CONFIG, config.clone())])?).await
}

/// Whether an event says that it was made.
async fn told(stage: &Stage) -> anyhow::Result<Result<(), String>> {
    let events = stage.api::<Event>().list(&Default::default()).await?.items;
    let notes: Vec<String> = events
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("Configured"))
        .filter_map(|event| event.message)
        .collect();
    let made = notes.iter().any(|note| note.contains("message.max.bytes 2000000"));
    Ok(if made { Ok(()) } else { Err(notes.join("; ")) })
}

/// Waits until the cluster's own dynamic configuration has this, and not that.
async fn holds(cluster: &Cluster<'_>, there: &[&str], gone: &[&str]) -> anyhow::Result<()> {
    let what = format!("the configuration to have {there:?} and not {gone:?}");
    until(&what, READY_WITHIN, async || {
        let entity = ["--describe", "--entity-type", "brokers", "--entity-default"];
        let found = kafka(cluster.stage, &entity).await?;
        let lines = || found.lines().map(|line| line.split(' ').find(|w| w.contains('=')));
        let key = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
        let missing = there.iter().find(|entry| !lines().any(|line| line == Some(entry)));
        let left = gone.iter().find(|name| lines().flatten().any(|line| key(line) == **name));
        Ok(match (missing, left) {
            (None, None) => Ok(()),
            _ => Err(format!("missing {missing:?}, left {left:?}")),
        })
    })
    .await
}

/// Checks that every broker works by a value.
async fn effective(stage: &Stage, entry: &str) -> anyhow::Result<()> {
    for broker in ["0", "1", "2"] {
        let entity = ["--describe", "--all", "--entity-type", "brokers", "--entity-name", broker];
        let found = kafka(stage, &entity).await?;
        let works = found.lines().any(|line| line.split_whitespace().next() == Some(entry));
        ensure!(works, "broker {broker} does not work by {entry}");
    }
    Ok(())
}

async fn kafka(stage: &Stage, arguments: &[&str]) -> anyhow::Result<String> {
    exec(&stage.api::<Pod>(), POD, &[&KAFKA[..], arguments].concat(), "").await
}
