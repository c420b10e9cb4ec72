//! Somebody else's object has a name that the cluster needs: it is named, and left alone.

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::{Api, ResourceExt};
use ottla_operator::kubernetes_api::api;
use ottla_plan::names::CLUSTER_LABEL;
use ottla_plan::object::Kind;
use ottla_tests::fault::Faults;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::each;
use crate::faults::server::User;
use crate::faults::stage::{Baseline, Bench, Example, Stage};

/// Kind and name of what is in the way.
const NAMES: [(Kind, &str); 10] = [
    (Kind::ConfigMap, "orders-identity"),
    (Kind::ConfigMap, "orders-ca"),
    (Kind::Secret, "orders-ca"),
    (Kind::Secret, "orders-operator"),
    (Kind::Secret, "orders-broker-1"),
    (Kind::Service, "orders-nodes"),
    (Kind::ServiceAccount, "orders-nodes"),
    (Kind::PodDisruptionBudget, "orders-broker"),
    (Kind::PersistentVolumeClaim, "orders-broker-0-d0"),
    (Kind::StatefulSet, "orders-broker-2"),
];

pub(super) async fn play(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let mut cases = Vec::new();
    for (kind, name) in NAMES {
        cases.push(case(bench.clone(), baseline.clone(), kind, name, None));
    }
    let other = Some("another");
    cases.push(case(bench.clone(), baseline.clone(), Kind::Service, "orders-nodes", other));
    cases.push(case(bench.clone(), baseline.clone(), Kind::ConfigMap, "orders-identity", other));
    let played = each(cases).await?;
    Ok(format!(
        "{} names taken, each named in the status, left alone, and done without",
        played.len()
    ))
}

async fn case(
    bench: Bench,
    baseline: Baseline,
    kind: Kind,
    name: &'static str,
    cluster: Option<&'static str>,
) -> anyhow::Result<()> {
    let stage = Stage::new(&bench, Example::Quickstart).await?;
    let strangers = api(&bench.person, &stage.namespace, kind);
    let before = create(&strangers, kind, name, cluster).await?;
    stage.apply().await?;
    let operator = stage.operator(Faults::new())?;
    let stalled = |reason: Option<&String>| reason.map(String::as_str) == Some("NameTaken");
    stage.until("NameTaken", |place| stalled(place.conditions.get("Stalled"))).await?;
    sleep(Duration::from_secs(3)).await;
    let place = stage.place();
    ensure!(stalled(place.conditions.get("Stalled")), "it says no more that {name} is taken");
    let told = stage.clusters().get(&stage.cluster_name()?).await?.status.unwrap_or_default();
    let sentence = format!("{} {name}", kind.word());
    ensure!(
        told.conditions.iter().any(|condition| condition.message.contains(&sentence)),
        "no condition names {sentence}: {:?}",
        told.conditions
    );
    let after = strangers.get(name).await?;
    ensure!(same(&before, &after), "the stranger {sentence} was touched");
    strangers.delete(name, &DeleteParams::background()).await?;
    let settled = stage.settles(&baseline, &operator).await;
    settled.with_context(|| format!("after {sentence} made room"))?;
    stage.verify_ground()?;
    let writes = bench.audit.writes(User::Operator, &stage.namespace)?;
    ensure!(!writes.iter().any(|write| write.deletes()), "it deleted something");
    operator.end().await;
    Ok(())
}

async fn create(
    strangers: &Api<DynamicObject>,
    kind: Kind,
    name: &str,
    cluster: Option<&str>,
) -> anyhow::Result<DynamicObject> {
    let (api_version, word, _) = kind.words();
    let mut tree = content(kind);
    tree["apiVersion"] = api_version.into();
    tree["kind"] = word.into();
    tree["metadata"] = json!({ "name": name, "labels": { "app": "a-strangers" } });
    if let Some(cluster) = cluster {
        tree["metadata"]["labels"][CLUSTER_LABEL] = cluster.into();
    }
    Ok(strangers.create(&PostParams::default(), &serde_json::from_value(tree)?).await?)
}

/// The least that the API server takes of each kind.
fn content(kind: Kind) -> Value {
    let labels = json!({ "app": "a-strangers" });
    match kind {
        Kind::Service => json!({ "spec": { "ports": [{ "port": 80 }] } }),
        Kind::PodDisruptionBudget => json!({ "spec": {
            "minAvailable": 1, "selector": { "matchLabels": labels },
        }}),
        Kind::PersistentVolumeClaim => json!({ "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        }}),
        Kind::StatefulSet => json!({ "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "main", "image": "registry.invalid/none" }] },
            },
        }}),
        Kind::ConfigMap | Kind::Secret | Kind::ServiceAccount | Kind::NetworkPolicy => json!({}),
    }
}

/// Kubernetes' own programs note states and counts; nobody else may change anything.
fn same(before: &DynamicObject, after: &DynamicObject) -> bool {
    let spec = |object: &DynamicObject| {
        [object.data.get("spec"), object.data.get("data")].map(|part| part.cloned())
    };
    let volume_aside = |mut parts: [Option<Value>; 2]| {
        if let Some(Some(spec)) = parts.first_mut().map(Option::as_mut) {
            spec["volumeName"] = Value::Null;
        }
        parts
    };
    before.uid() == after.uid()
        && before.labels() == after.labels()
        && before.annotations() == after.annotations()
        && volume_aside(spec(before)) == volume_aside(spec(after))
}
