//! Other releases under a verifying producer and consumer: up from the oldest to the newest, back while
//! the way is open, and no further. The operator dies again and again meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::ensure;
use ottla_plan::release;
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN};
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{manifest, operator, request};

#[tokio::test]
async fn upgraded() -> anyhow::Result<()> {
    play("upgraded", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let oldest = with(&manifest::short_lived()?, "4.2.1", "Automatic")?;
    let cluster = Cluster::raise(stage, &oldest).await?;
    let verifier = Verifier::beside(&cluster).await?;
    operator::dies_during(&stage.client, "upgraded", steps(&cluster, &verifier, &oldest)).await?;
    no_further(&cluster, &oldest).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("upgraded").await
}

async fn steps(cluster: &Cluster<'_>, verifier: &Verifier<'_>, base: &Value) -> anyhow::Result<()> {
    let steps = [
        ("4.3.1", "Automatic", "4.3.1"),
        ("4.4.0", "Manual", "4.3.1"),
        ("4.3.1", "Manual", "4.3.1"),
        ("4.4.0", "Automatic", "4.4.0"),
    ];
    for (version, finalize, features) in steps {
        let began = Instant::now();
        cluster.stage.apply(&with(base, version, finalize)?).await?;
        runs(cluster, version, features).await?;
        say(&format!(
            "upgraded: Kafka {version} with the features of {features} after {}",
            spell(began.elapsed())
        ));
        verifier.goes_on_after(&format!("upgraded: to Kafka {version}")).await?;
    }
    Ok(())
}

fn with(base: &Value, version: &str, finalize: &str) -> anyhow::Result<Value> {
    let upgrade = json!({ "finalize": finalize, "soak": "5s" });
    manifest::with(base, &[("/spec/version", json!(version)), ("/spec/upgrade", upgrade)])
}

/// Waits until every node runs a release, Ready, and just what another one knows is switched on.
async fn runs(cluster: &Cluster<'_>, version: &str, features: &str) -> anyhow::Result<()> {
    let expected: BTreeMap<String, i32> = release::levels(features)
        .into_iter()
        .map(|(name, level)| (name.to_owned(), level))
        .collect();
    until(&format!("Kafka {version} everywhere"), READY_WITHIN, async || {
        if let Err(not_ready) = cluster.is_ready().await? {
            return Ok(Err(not_ready));
        }
        let found = cluster.status().await?.version.unwrap_or_default();
        let there = found.running == [version] && found.features == expected;
        Ok(if there { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}

/// Once its features are switched on there is no way back from a release, and nothing happens.
async fn no_further(cluster: &Cluster<'_>, base: &Value) -> anyhow::Result<()> {
    let lives = cluster.lives().await?;
    let back = with(base, "4.3.1", "Automatic")?;
    let answer = request::replace(cluster.stage, &cluster.name, &back).await?;
    let sentence = "features are switched on that it does not know; choose one of 4.4.0";
    let refused = answer.as_ref().is_err_and(|message| message.contains(sentence));
    ensure!(refused, "the way back was not refused: {answer:?}");
    ensure!(cluster.lives().await? == lives, "pods were touched");
    Ok(())
}
