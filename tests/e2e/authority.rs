//! Another CA under a verifying producer and consumer that verifies brokers, and reads from its ConfigMap whom to
//! trust: every node is restarted three times, and lets every other and the client in all the while. The operator
//! dies again and again meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::{Cluster, Lives, READY_WITHIN};
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};
use super::{manifest, operator};

const WORD: &str = "2026";

#[tokio::test]
async fn authority() -> anyhow::Result<()> {
    play("authority", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let verifier = Verifier::by_tls(&cluster).await?;
    operator::dies_during(&stage.client, "authority", renewed(&cluster)).await?;
    verifier.goes_on().await?;
    verifier.verdict_of_planned("authority").await
}

async fn renewed(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let (stage, before) = (cluster.stage, entries(cluster).await?);
    ensure!(before["tls.crt"] == before["ca.crt"], "another CA is trusted before");
    let mut lives = BTreeMap::new();
    note(&mut lives, cluster.lives().await?);
    let word = json!({ "metadata": { "annotations": { "ottla.dev/renew-ca": WORD } } });
    let began = Instant::now();
    cluster.api().patch(&cluster.name, &PatchParams::default(), &Patch::Merge(&word)).await?;
    until("the former CA to be gone and all to be Ready", READY_WITHIN * 3, async || {
        note(&mut lives, cluster.lives().await?);
        let now = entries(cluster).await?;
        let over = now["tls.crt"] != before["tls.crt"] && now["tls.crt"] == now["ca.crt"];
        if !over {
            return Ok(Err(format!("CA: {:?}", now.keys())));
        }
        if cluster.status().await?.memory.roll.is_some() {
            return Ok(Err("a roll is under way".to_owned()));
        }
        let made = lives.values().all(|lives| lives.len() >= 4);
        if !made { Ok(Err(format!("{lives:?}"))) } else { cluster.is_ready().await }
    })
    .await?;
    say(&format!("authority: another CA after {}", spell(began.elapsed())));
    for (pod, lives) in &lives {
        ensure!(lives.len() == 4, "{pod} was restarted {} times", lives.len() - 1);
    }
    let published: ConfigMap = stage.api().get("orders-ca").await?;
    let published = published.data.unwrap_or_default().remove("ca.crt");
    ensure!(published == entries(cluster).await?.remove("ca.crt"), "clients are told of another");
    Ok(())
}

/// Every life that each pod had.
fn note(all: &mut BTreeMap<String, Vec<(String, i32)>>, now: Lives) {
    for (pod, life) in now {
        let lives = all.entry(pod).or_default();
        if !lives.contains(&life) {
            lives.push(life);
        }
    }
}

/// What the CA's Secret holds.
async fn entries(cluster: &Cluster<'_>) -> anyhow::Result<BTreeMap<String, String>> {
    let secret: Secret = cluster.stage.api().get("orders-ca").await?;
    let name = secret.name_any();
    let data = secret.data.with_context(|| format!("Secret {name} is empty"))?;
    Ok(data
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into()))
        .collect())
}
