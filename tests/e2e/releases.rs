//! Every release of Kafka that a KafkaCluster may name, apart from that of the examples: it comes
//! up, says what it runs, and takes records.

use anyhow::ensure;
use ottla_crds::kafka_cluster::KAFKA_VERSIONS;
use ottla_plan::release;
use serde_json::json;

use super::cluster::Cluster;
use super::kcat::Kcat;
use super::manifest;
use super::stage::{Stage, play, say};
use super::wait::spell;

#[tokio::test]
async fn releases() -> anyhow::Result<()> {
    play("releases", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::single("orders")?;
    let others = KAFKA_VERSIONS.iter().filter(|version| base["spec"]["version"] != **version);
    for version in others {
        let name = format!("orders-{}", version.replace('.', "-"));
        let changes = [("/metadata/name", json!(name)), ("/spec/version", json!(version))];
        let cluster = Cluster::apply(stage, &manifest::with(&base, &changes)?).await?;
        let took = cluster.ready().await?;
        let running = cluster.status().await?.version.unwrap_or_default();
        ensure!(running.running == [*version], "{version} runs as {:?}", running.running);
        let known = release::levels(version);
        let same = running.features.iter().map(|(name, level)| (name.as_str(), *level)).eq(known);
        ensure!(same, "{version} begins with {:?}", running.features);
        Kcat::beside(&cluster).await?.round_trip("tls", "hello").await?;
        say(&format!(
            "releases: Kafka {version} Ready after {}, features {:?}",
            spell(took),
            running.features
        ));
    }
    Ok(())
}
