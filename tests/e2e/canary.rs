//! Mistakes that only a start of Kafka shows, under a verifying producer and consumer: one node tries them
//! and goes back by itself. The operator dies again and again meanwhile.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN, not_ready};
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{manifest, operator};

/// Three starts that fail, with Kubernetes' pauses between them, and the operator dead for a while.
const TRIED_WITHIN: Duration = Duration::from_secs(180);

const QUEUED: &str = "/spec/config/queued.max.requests";

/// Kafka takes no more than another of its values, which it looks at only when it starts.
const WAIT: &str = "/spec/config/replica.fetch.wait.max.ms";

const OPTIONS: &str = "/spec/brokers/jvm/options";

#[tokio::test]
async fn canary() -> anyhow::Result<()> {
    play("canary", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::beside(&cluster).await?;
    operator::dies_during(&stage.client, "canary", steps(&cluster, &verifier, &base)).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("canary").await
}

async fn steps(cluster: &Cluster<'_>, verifier: &Verifier<'_>, base: &Value) -> anyhow::Result<()> {
    let mistakes = [
        ("an option that Java does not know", OPTIONS, json!(["-XX:Nonsense"]), "'Nonsense'"),
        ("a value that Kafka refuses", WAIT, json!("40000"), "replica.fetch.wait.max.ms"),
    ];
    for (what, path, value, said) in mistakes {
        goes_back(cluster, what, &manifest::with(base, &[(path, value)])?, said).await?;
        verifier.goes_on_after(&format!("canary: {what}")).await?;
    }
    cluster.stage.apply(&manifest::with(base, &[(QUEUED, json!("400"))])?).await?;
    cluster.ready().await?;
    verifier.goes_on_after("canary: a mended spec").await
}

/// Applies a mistake, and waits until the one node that tried it is back, and the status says why.
async fn goes_back(
    cluster: &Cluster<'_>,
    what: &str,
    mistaken: &Value,
    said: &str,
) -> anyhow::Result<()> {
    let before = cluster.lives().await?;
    let began = Instant::now();
    cluster.stage.apply(mistaken).await?;
    let sentence = cluster.stalled("CanaryFailed", TRIED_WITHIN).await?;
    say(&format!("canary: {what}: told after {}", spell(began.elapsed())));
    ensure!(sentence.contains(said), "{what} is not said to be it: {sentence}");
    until(&format!("all nodes to run again after {what}"), READY_WITHIN, async || {
        let down: Vec<String> = cluster.pods().await?.iter().filter_map(not_ready).collect();
        let memory = cluster.status().await?.memory;
        let over = down.is_empty() && memory.canary.is_none() && memory.roll.is_none();
        Ok(if over { Ok(()) } else { Err(format!("{down:?}, {memory:?}")) })
    })
    .await?;
    say(&format!("canary: {what}: all run again after {}", spell(began.elapsed())));
    let after = cluster.lives().await?;
    let touched = before.iter().filter(|(pod, life)| after.get(*pod) != Some(life)).count();
    ensure!(touched == 1, "{touched} pods were touched: {before:?}, {after:?}");
    Ok(())
}
