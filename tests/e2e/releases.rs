//! Every release of Kafka that a KafkaCluster may name, apart from that of the examples: it comes
//! up, says what it runs, and takes records. One broker becomes three, and so do the replicas of internal topics.

use std::time::Instant;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use ottla_crds::kafka_cluster::KAFKA_VERSIONS;
use ottla_plan::release;
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN};
use super::exec::exec;
use super::kcat::Kcat;
use super::manifest;
use super::stage::{Stage, play, say};
use super::wait::{spell, until};

/// Kafka's topic of what groups have read.
const OFFSETS: &str = "__consumer_offsets";

#[tokio::test]
async fn releases() -> anyhow::Result<()> {
    play("releases", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::single("orders")?;
    one_becomes_three(stage, &base).await?;
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

/// What Kafka itself made with one replica gets three, as every topic that is made from then on.
async fn one_becomes_three(stage: &Stage, base: &Value) -> anyhow::Result<()> {
    let cluster = Cluster::raise(stage, base).await?;
    let tool = async |tool: &str, arguments: &[&str]| {
        let server = ["--bootstrap-server", "orders-plain-bootstrap:9092"];
        let command = [&[tool], &server[..], arguments].concat();
        exec(&stage.api::<Pod>(), "orders-broker-0-0", &command, "").await
    };
    let kcat = Kcat::beside(&cluster).await?;
    kcat.round_trip("plain", "before").await?;
    let group = ["--topic", "before", "--group", "readers", "--from-beginning"];
    let one = ["--max-messages", "1", "--timeout-ms", "30000"];
    tool("kafka-console-consumer.sh", &[&group[..], &one].concat()).await?;
    let factor = async || {
        let told = tool("kafka-topics.sh", &["--describe", "--topic", OFFSETS]).await?;
        let word = told.split_whitespace().skip_while(|word| *word != "ReplicationFactor:").nth(1);
        anyhow::Ok(word.map(str::to_owned))
    };
    ensure!(factor().await?.as_deref() == Some("1"), "{OFFSETS} does not begin with one replica");

    let began = Instant::now();
    let three = [("/spec/brokers/replicas", json!(3)), ("/spec/controllers/replicas", json!(3))];
    stage.apply(&manifest::with(base, &three)?).await?;
    cluster.ready().await?;
    until("three replicas of Kafka's own topic", READY_WITHIN, async || {
        let found = factor().await?;
        Ok(if found.as_deref() == Some("3") { Ok(()) } else { Err(format!("it has {found:?}")) })
    })
    .await?;
    cluster.ready().await?;
    kcat.round_trip("plain", "after").await?;
    say(&format!("releases: one broker became three after {}", spell(began.elapsed())));
    Ok(())
}
