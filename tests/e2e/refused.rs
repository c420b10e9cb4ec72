//! Mistakes: each is refused with the sentence that a person needs, and a running cluster stays
//! untouched by any of them.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use super::cluster::{Cluster, Lives};
use super::manifest;
use super::mistakes::{self, Mistake};
use super::request::{self, Answer};
use super::stage::{Stage, play, say};
use super::wait::{spell, throughout};

const REPORTED_WITHIN: Duration = Duration::from_secs(60);
/// How long the operator gets to do damage after a mistake.
const UNTOUCHED_FOR: Duration = Duration::from_secs(5);

#[tokio::test]
async fn refused_at_apply() -> anyhow::Result<()> {
    play("refused-at-apply", at_apply).await
}

#[tokio::test]
async fn refused_while_running() -> anyhow::Result<()> {
    play("refused-while-running", while_running).await
}

#[tokio::test]
async fn reported_as_a_condition() -> anyhow::Result<()> {
    play("reported", reported).await
}

async fn at_apply(stage: &Stage) -> anyhow::Result<()> {
    let bases = [
        (manifest::short_lived()?, mistakes::of_colocated()),
        (manifest::production()?, mistakes::of_dedicated()),
    ];
    let (mut count, mut wrong) = (0, Vec::new());
    for (base, mistakes) in bases {
        let answer = request::try_create(stage, &base).await?;
        ensure!(answer.is_ok(), "the base itself is refused: {answer:?}");
        for mistake in mistakes {
            let mistaken = manifest::with(&base, &[(mistake.0, mistake.1.clone())])?;
            let answer = request::try_create(stage, &mistaken).await?;
            wrong.extend(unlike(&mistake, &answer));
            count += 1;
        }
    }
    ensure!(wrong.is_empty(), "not refused as they should be:\n{}", wrong.join("\n"));
    ensure!(count >= 40, "only {count} mistakes were tried");
    say(&format!("refused: {count} mistakes at apply"));
    Ok(())
}

/// What is wrong with an answer to a mistake, if anything.
fn unlike((pointer, value, sentence): &Mistake, answer: &Answer) -> Option<String> {
    match answer {
        Ok(()) => Some(format!("{pointer} = {value}: accepted")),
        Err(message) if message.contains(sentence) => None,
        Err(message) => Some(format!("{pointer} = {value}: {message:?} lacks {sentence:?}")),
    }
}

async fn while_running(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::short_lived()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let lives = cluster.lives().await?;
    let generation = cluster.get().await?.metadata.generation;
    let mut wrong = Vec::new();
    for mistake in mistakes::of_running() {
        let mistaken = manifest::with(&base, &[(mistake.0, mistake.1.clone())])?;
        let answer = request::replace(stage, &cluster.name, &mistaken).await?;
        wrong.extend(unlike(&mistake, &answer));
    }
    let fewer = request::scale(stage, &cluster.name, 2).await?;
    let scaled = ("scale", json!(2), "controllers.replicas must not exceed brokers.replicas");
    wrong.extend(unlike(&scaled, &fewer));
    ensure!(wrong.is_empty(), "not refused as they should be:\n{}", wrong.join("\n"));
    ensure!(cluster.get().await?.metadata.generation == generation, "the spec changed");
    for (reason, mistake) in mistakes::for_the_operator() {
        invalid(&cluster, &base, reason, &mistake).await?;
    }
    shrunk(&cluster, &base).await?;
    untouched(&cluster, &lives).await?;
    ensure!(request::replace(stage, &cluster.name, &undone(&base)?).await?.is_ok(), "the way back");
    cluster.ready().await?;
    untouched(&cluster, &lives).await
}

/// A disk that is to shrink stays as large, which is no trouble for the cluster, and is said.
async fn shrunk(cluster: &Cluster<'_>, base: &Value) -> anyhow::Result<()> {
    let mut mistaken = undone(base)?;
    manifest::set(&mut mistaken, "/spec/brokers/storage/volumes/0/size", json!("1Gi"))?;
    let answer = request::replace(cluster.stage, &cluster.name, &mistaken).await?;
    ensure!(answer.is_ok(), "a smaller size is refused: {answer:?}");
    let message = cluster.says("Ready", "DiskStaysLarger", REPORTED_WITHIN).await?;
    ensure!(message.contains("a disk never shrinks"), "{message}");
    say(&format!("refused: DiskStaysLarger: {message}"));
    Ok(())
}

/// A merge patch that sets the base again, where `config` was set in the meantime.
fn undone(base: &Value) -> anyhow::Result<Value> {
    let mut undone = base.clone();
    undone["spec"]["config"] = Value::Null;
    undone["spec"]["brokers"]["resources"]["limits"] = Value::Null;
    Ok(undone)
}

/// The API server lets a mistake pass, and the operator says so and does nothing.
async fn invalid(
    cluster: &Cluster<'_>,
    base: &Value,
    reason: &str,
    mistake: &Mistake,
) -> anyhow::Result<()> {
    let mut mistaken = undone(base)?;
    manifest::set(&mut mistaken, mistake.0, mistake.1.clone())?;
    let answer = request::replace(cluster.stage, &cluster.name, &mistaken).await?;
    ensure!(answer.is_ok(), "{} = {} is refused: {answer:?}", mistake.0, mistake.1);
    let message = cluster.stalled(reason, REPORTED_WITHIN).await?;
    ensure!(message.contains(mistake.2), "{message:?} lacks {:?}", mistake.2);
    Ok(())
}

async fn untouched(cluster: &Cluster<'_>, lives: &Lives) -> anyhow::Result<()> {
    throughout("that no pod is touched", UNTOUCHED_FOR, async || {
        let now = cluster.lives().await?;
        Ok(if now == *lives { Ok(()) } else { Err(format!("{now:?} were {lives:?}")) })
    })
    .await
}

/// What only the API server or a scheduler knows in the end shows in the status too.
async fn reported(stage: &Stage) -> anyhow::Result<()> {
    stranger_in_the_way(stage).await?;
    let base = manifest::short_lived()?;
    for (name, pointer, value, reason, sentence) in unreachable() {
        let changes = [("/metadata/name", json!(name)), (pointer, value)];
        let cluster = Cluster::apply(stage, &manifest::with(&base, &changes)?).await?;
        let message = cluster.says("Ready", reason, REPORTED_WITHIN).await?;
        ensure!(message.contains(sentence), "{name}: {message:?} lacks {sentence:?}");
        say(&format!("reported: {name}: {reason}: {message}"));
        if name == "no-image" {
            cluster.stage.apply(&manifest::with(&base, &[changes[0].clone()])?).await?;
            say(&format!(
                "reported: {name}: mended, Ready after {}",
                spell(cluster.ready().await?)
            ));
        }
        cluster.api().delete(name, &kube::api::DeleteParams::default()).await?;
    }
    Ok(())
}

/// What can only be found out by trying: a name, a change of the spec, and the reason and words that the
/// condition Ready has then.
fn unreachable() -> [(&'static str, &'static str, Value, &'static str, &'static str); 6] {
    [
        (
            "no-class",
            "/spec/brokers/storage/volumes/0/storageClassName",
            json!("no-such-class"),
            "PodStuck",
            "claim no-class-broker-0-d0 has no volume of StorageClass no-such-class yet",
        ),
        (
            "no-image",
            "/spec/image",
            json!("ottla.dev/kafka:none"),
            "PodStuck",
            "ottla.dev/kafka:none",
        ),
        (
            "no-room",
            "/spec/brokers/resources/requests/memory",
            json!("9Ti"),
            "PodStuck",
            "Insufficient memory",
        ),
        (
            "no-zone",
            "/spec/racks",
            json!({ "topologyKey": "topology.kubernetes.io/zone", "zones": ["zone-z"] }),
            "PodStuck",
            "node affinity/selector",
        ),
        (
            "no-affinity",
            "/spec/brokers/pod",
            json!({ "affinity": { "nodeAffinity": "here" } }),
            "WriteFailed",
            "could not create StatefulSet",
        ),
        (
            "other-image",
            "/spec/image",
            json!("ottla.dev/kafka:0.1.0-kafka-4.2.1"),
            "ImageRefused",
            "its image holds Kafka 4.2.1 and not 4.3.1",
        ),
    ]
}

/// An object of somebody else's under a name that the cluster needs is not touched.
async fn stranger_in_the_way(stage: &Stage) -> anyhow::Result<()> {
    stage
        .apply(&json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "orders-plain-bootstrap" },
            "spec": { "selector": { "app": "mine" }, "ports": [{ "port": 80 }] },
        }))
        .await?;
    let cluster = Cluster::apply(stage, &manifest::short_lived()?).await?;
    let message = cluster.stalled("NameTaken", REPORTED_WITHIN).await?;
    ensure!(
        message.contains("Service orders-plain-bootstrap exists and is not part of"),
        "{message}"
    );
    say(&format!("reported: NameTaken: {message}"));
    let services = super::object::of_kind(stage, "v1", "Service");
    let service = services.get("orders-plain-bootstrap").await?;
    ensure!(service.data["spec"]["selector"] == json!({ "app": "mine" }), "it was changed");
    services.delete("orders-plain-bootstrap", &kube::api::DeleteParams::default()).await?;
    cluster.ready().await?;
    cluster.api().delete(&cluster.name, &kube::api::DeleteParams::default()).await?;
    Ok(())
}
