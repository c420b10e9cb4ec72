//! Brokers leave and join under a verifying producer and consumer: some of five, asked for as
//! `kubectl scale` does, one that is chosen, half-way and back, and while the operator dies again and
//! again. Nothing of it is left behind.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::audit;
use super::cluster::{Cluster, READY_WITHIN};
use super::exec::exec;
use super::manifest;
use super::operator;
use super::rest;
use super::stage::{Stage, play, say};
use super::verifier::Verifier;
use super::wait::{spell, until};

/// At rest the operator looks at a cluster each half minute.
const RESTS_FOR: Duration = Duration::from_secs(40);

/// A broker that never leaves.
const POD: &str = "orders-broker-0-0";
const SERVER: [&str; 2] = ["--bootstrap-server", "orders-plain-bootstrap:9092"];

#[tokio::test]
async fn brokers_leave_and_join() -> anyhow::Result<()> {
    play("brokers", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let five = manifest::with(&manifest::short_lived()?, &[("/spec/brokers/replicas", json!(5))])?;
    let cluster = Cluster::raise(stage, &five).await?;
    let verifier = Verifier::beside(&cluster).await?;
    operator::dies_during(&stage.client, "brokers", leave_and_join(&cluster, &verifier, &five))
        .await?;
    verifier.has_waited_for_no_long_time("brokers").await?;
    filled(&cluster).await?;
    operator::dies_during(&stage.client, "brokers", called_back(&cluster, &verifier)).await?;
    verifier.goes_on_after("brokers: called back half-way").await?;
    while_the_operator_dies(&cluster, &verifier).await?;
    at_rest(&cluster).await?;
    verifier.goes_on_after("brokers: from 5 to 3").await?;
    verifier.verdict_of_planned("brokers").await
}

/// One that is chosen leaves, then one by number, and both join again.
async fn leave_and_join(
    cluster: &Cluster<'_>,
    verifier: &Verifier<'_>,
    five: &Value,
) -> anyhow::Result<()> {
    let stage = cluster.stage;
    let took = leave(cluster, five, &json!([3]), 4).await?;
    brokers(cluster, &[0, 1, 2, 4]).await?;
    ensure!(
        claims(stage).await?.contains("orders-broker-3-d0"),
        "a claim that should stay is gone"
    );
    say(&format!("brokers: a chosen broker of five left after {}", spell(took)));
    verifier.goes_on_after("brokers: a chosen one left").await?;

    let delete = json!({ "whenScaled": "Delete" });
    let emptied = manifest::with(five, &[("/spec/brokers/storage/reclaim", delete)])?;
    let took = leave(cluster, &emptied, &json!([]), 3).await?;
    brokers(cluster, &[0, 1, 2]).await?;
    until("the claim of the broker that left to go", READY_WITHIN, async || {
        let claims = claims(stage).await?;
        let gone = !claims.contains("orders-broker-4-d0");
        Ok(if gone { Ok(()) } else { Err(format!("{claims:?}")) })
    })
    .await?;
    say(&format!("brokers: from 4 to 3 brokers after {}, one claim gone", spell(took)));
    verifier.goes_on_after("brokers: from 4 to 3").await?;

    joined(cluster).await?;
    verifier.goes_on_after("brokers: from 3 to 5").await
}

/// New partitions come to all five, with some records in them.
async fn filled(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let topic = ["--create", "--topic", "late", "--partitions", "40", "--replication-factor", "3"];
    kafka(cluster, "kafka-topics.sh", &topic).await?;
    let records = ["--topic", "late", "--num-records", "20000", "--record-size", "1000"];
    let steadily = ["--throughput", "2000"];
    kafka(cluster, "kafka-producer-perf-test.sh", &[&records[..], &steadily].concat()).await?;
    Ok(())
}

/// Two of five are to leave, and are called back while their partitions move, slowly because somebody
/// else has set a limit. That one stays, and all else is as it was.
async fn called_back(cluster: &Cluster<'_>, verifier: &Verifier<'_>) -> anyhow::Result<()> {
    let lives = cluster.lives().await?;
    limit(cluster, Some("2000")).await?;
    scale(cluster, 3).await?;
    let began = Instant::now();
    cluster.waits_on(" now (", READY_WITHIN).await?;
    let words = cluster.status().await?.summary.unwrap_or_default().waiting_on.unwrap_or_default();
    say(&format!("brokers: `{words}` after {}", spell(began.elapsed())));
    verifier.goes_on().await?;
    ensure!(moving(cluster).await?, "nothing moves any more");
    scale(cluster, 5).await?;
    let took = cluster.ready().await?;
    ensure!(!moving(cluster).await?, "something still moves");
    ensure!(cluster.lives().await? == lives, "pods were touched: {lives:?}");
    let found = settings(cluster).await?;
    ensure!(found.contains("throttled.rate=2000"), "the limit of somebody else is gone: {found}");
    ensure!(!found.contains("throttled.replicas="), "limits were left behind: {found}");
    ensure!(!found.contains("cordoned.log.dirs=*"), "a cordon was left behind: {found}");
    limit(cluster, None).await?;
    say(&format!("brokers: called back half-way, as before after {}", spell(took)));
    Ok(())
}

/// Somebody limits what each broker copies, in bytes a second, so that moves take long, or lifts that.
async fn limit(cluster: &Cluster<'_>, rate: Option<&str>) -> anyhow::Result<()> {
    let keys = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
    let each = keys.map(|key| rate.map_or(key.to_owned(), |rate| format!("{key}={rate}")));
    let verb = if rate.is_some() { "--add-config" } else { "--delete-config" };
    let entity = ["--alter", "--entity-type", "brokers", "--entity-default", verb];
    kafka(cluster, "kafka-configs.sh", &[&entity[..], &[&each.join(",")]].concat()).await?;
    Ok(())
}

/// Sets how many brokers there are to be, and which not; how long it took.
async fn leave(
    cluster: &Cluster<'_>,
    base: &Value,
    excluded: &Value,
    replicas: i32,
) -> anyhow::Result<Duration> {
    let changes = [
        ("/spec/brokers/replicas", json!(replicas)),
        ("/spec/brokers/excludedIds", excluded.clone()),
    ];
    cluster.stage.apply(&manifest::with(base, &changes)?).await?;
    cluster.ready().await
}

/// Two more join and touch nobody: one finds its disk again, the other gets a new one.
async fn joined(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let before = cluster.lives().await?;
    scale(cluster, 5).await?;
    let took = cluster.ready().await?;
    let after = cluster.lives().await?;
    let touched = before.iter().find(|(pod, life)| after.get(*pod) != Some(*life));
    ensure!(touched.is_none(), "more brokers touched another: {touched:?}");
    brokers(cluster, &[0, 1, 2, 3, 4]).await?;
    let scale = cluster.api().get_scale(&cluster.name).await?.status.unwrap_or_default();
    ensure!(scale.replicas == 5, "the scale says {}", scale.replicas);
    say(&format!("brokers: from 3 to 5 brokers after {}", spell(took)));
    Ok(())
}

/// Two of five leave, while the operator dies again and again.
async fn while_the_operator_dies(
    cluster: &Cluster<'_>,
    verifier: &Verifier<'_>,
) -> anyhow::Result<()> {
    limit(cluster, Some("150000")).await?;
    let before = cluster.lives().await?;
    let started = Instant::now();
    let leaving = async {
        operator::replace(&cluster.stage.client).await?;
        scale(cluster, 3).await?;
        cluster.ready().await?;
        anyhow::Ok(())
    };
    operator::dies_during(&cluster.stage.client, "brokers", leaving).await?;
    limit(cluster, None).await?;
    brokers(cluster, &[0, 1, 2]).await?;
    let after = cluster.lives().await?;
    ensure!(after.iter().all(|(pod, life)| before.get(pod) == Some(life)), "others were touched");
    say(&format!(
        "brokers: from 5 to 3 brokers, the operator killed at the beginning, too: over after {}",
        spell(started.elapsed())
    ));
    verifier.goes_on().await
}

/// Nothing is left to do, neither in Kubernetes nor in Kafka.
async fn at_rest(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let found = settings(cluster).await?;
    for left in ["throttled", "cordoned.log.dirs=*"] {
        ensure!(!found.contains(left), "{left} was left behind: {found}");
    }
    ensure!(!moving(cluster).await?, "something still moves");
    rest::comes(cluster.stage, &cluster.name, "brokers").await?;
    let (place, told) = (audit::end()?, rest::told_kafka(cluster.stage).await?);
    tokio::time::sleep(RESTS_FOR).await;
    let writes = rest::written_since(cluster.stage, place)?;
    ensure!(writes.is_empty(), "at rest it writes: {}", writes.join(", "));
    let now = rest::told_kafka(cluster.stage).await?;
    ensure!(now == told, "at rest Kafka is told to change: {told:?} became {now:?}");
    Ok(())
}

/// As `kubectl scale` does.
async fn scale(cluster: &Cluster<'_>, replicas: i32) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    cluster.api().patch_scale(&cluster.name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Exactly these have pods and certificates, and are known to Kafka.
async fn brokers(cluster: &Cluster<'_>, ids: &[i32]) -> anyhow::Result<()> {
    let names = |suffix: &str| -> BTreeSet<String> {
        ids.iter().map(|id| format!("orders-broker-{id}{suffix}")).collect()
    };
    let pods: BTreeSet<String> = cluster.pods().await?.iter().map(Pod::name_any).collect();
    ensure!(pods == names("-0"), "there are {pods:?}");
    let secrets = cluster.stage.api::<Secret>().list(&ListParams::default()).await?.items;
    let of_broker = |secret: &Secret| secret.name_any().starts_with("orders-broker-");
    let secrets: BTreeSet<String> =
        secrets.iter().filter(|secret| of_broker(secret)).map(Secret::name_any).collect();
    ensure!(secrets == names(""), "there are {secrets:?}");
    let list = ["kafka-cluster.sh", "list-endpoints", "--include-fenced-brokers"];
    let command = [&list[..], &SERVER[..]].concat();
    let known = exec(&cluster.stage.api::<Pod>(), POD, &command, "").await?;
    let mut registered: Vec<i32> =
        known.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    registered.sort_unstable();
    ensure!(registered == ids, "Kafka knows of {registered:?}: {known}");
    Ok(())
}

async fn claims(stage: &Stage) -> anyhow::Result<BTreeSet<String>> {
    let claims = stage.api::<PersistentVolumeClaim>().list(&ListParams::default()).await?.items;
    Ok(claims.iter().map(PersistentVolumeClaim::name_any).collect())
}

/// Whether any partition is on its way.
async fn moving(cluster: &Cluster<'_>) -> anyhow::Result<bool> {
    let found = kafka(cluster, "kafka-reassign-partitions.sh", &["--list"]).await?;
    Ok(!found.contains("No partition reassignments found"))
}

/// What is set of brokers, each and all, and of topics.
pub(crate) async fn settings(cluster: &Cluster<'_>) -> anyhow::Result<String> {
    let describe = async |entity: &[&str]| {
        kafka(cluster, "kafka-configs.sh", &[&["--describe"], entity].concat()).await
    };
    let mut found = describe(&["--entity-type", "brokers", "--entity-default"]).await?;
    found += &describe(&["--entity-type", "topics"]).await?;
    found += &describe(&["--entity-type", "brokers"]).await?;
    Ok(found)
}

async fn kafka(cluster: &Cluster<'_>, tool: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let command = [&[tool], &SERVER[..], arguments].concat();
    exec(&cluster.stage.api::<Pod>(), POD, &command, "").await
}
