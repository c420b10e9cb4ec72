//! More brokers, asked for as `kubectl scale` does, under a verifying producer and consumer: they join,
//! and nobody else notices.

use anyhow::ensure;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::Cluster;
use super::manifest;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::spell;

const BROKERS: usize = 5;

#[tokio::test]
async fn joined() -> anyhow::Result<()> {
    play("joined", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let cluster = Cluster::raise(stage, &manifest::quickstart()?).await?;
    let verifier = Verifier::beside(&cluster).await?;
    let before = cluster.lives().await?;
    let more = Patch::Merge(json!({ "spec": { "replicas": BROKERS } }));
    cluster.api().patch_scale(&cluster.name, &PatchParams::default(), &more).await?;
    let took = cluster.ready().await?;
    let after = cluster.lives().await?;
    ensure!(after.len() == BROKERS, "there are {} pods", after.len());
    let touched = before.iter().find(|(pod, life)| after.get(*pod) != Some(*life));
    ensure!(touched.is_none(), "more brokers touched another: {touched:?}");
    let scale = cluster.api().get_scale(&cluster.name).await?.status.unwrap_or_default();
    ensure!(scale.replicas == 5, "the scale says {}", scale.replicas);
    say(&format!("joined: from 3 to {BROKERS} brokers after {}", spell(took)));
    verifier.goes_on().await?;
    verifier.verdict_of_planned("joined").await
}
