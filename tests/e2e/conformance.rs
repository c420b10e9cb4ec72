//! The model world is honest: after the same edits the operator sees of it what it sees of a real cluster, and
//! both take and refuse the same writes.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use ottla_operator::kubernetes_api::api;
use ottla_plan::explain;
use ottla_plan::object::Kind;
use ottla_tests::script::live;
use ottla_tests::world::{World, manifest as of_model};
use serde_json::{Value, json};

use super::cluster::{Cluster, READY_WITHIN};
use super::stage::{Stage, play, say};
use super::wait::until;
use super::{manifest, operator};

#[tokio::test]
async fn conformance() -> anyhow::Result<()> {
    play("conformance", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let namespace = ("/metadata/namespace", json!(stage.namespace));
    let mut wanted = manifest::with(&manifest::short_lived()?, &[namespace])?;
    let mut world = World::new(of_model(&wanted.to_string())?);
    world.bring_up()?;
    let cluster = Cluster::apply(stage, &wanted).await?;
    alike(&cluster, &world, "when it is up").await?;
    for question in questions() {
        answered_alike(stage, &world, &question).await?;
    }
    say(&format!("conformance: {} writes are taken or refused by both", questions().len()));

    for (what, edits) in edits() {
        wanted = manifest::with(&wanted, &edits)?;
        stage.apply(&wanted).await?;
        world.apply(of_model(&wanted.to_string())?);
        live(&mut world)?;
        alike(&cluster, &world, what).await?;
    }
    Ok(())
}

type Edits = Vec<(&'static str, Value)>;

fn edits() -> Vec<(&'static str, Edits)> {
    let config = json!({ "message.max.bytes": "2000000", "queued.max.requests": "400" });
    let controllers = json!({
        "placement": "Dedicated", "replicas": 3,
        "storage": { "volumes": [{ "name": "d0", "size": "1Gi" }] },
        "resources": { "requests": { "memory": "512Mi" }, "limits": { "memory": "512Mi" } },
    });
    let more = vec![("/spec/brokers/replicas", json!(5)), ("/spec/controllers", controllers)];
    let disks = ["d0", "d1"].map(|name| json!({ "name": name, "size": "2Gi" }));
    let one_disk = json!([disks[0]]);
    let first = vec![("/spec/config", config), ("/spec/brokers/storage/volumes", json!(disks))];
    let upgrade = json!({ "finalize": "Automatic", "soak": "5s" });
    let last = vec![
        ("/spec/brokers/replicas", json!(3)),
        ("/spec/brokers/storage/volumes", one_disk),
        ("/spec/version", json!("4.4.0")),
        ("/spec/upgrade", upgrade),
    ];
    vec![
        ("with another configuration and another disk", first),
        ("with two brokers more and controllers of their own", more),
        ("with two brokers and a disk less and another release", last),
    ]
}

/// Waits until the operator sees the same of both, and has nothing to do.
async fn alike(cluster: &Cluster<'_>, world: &World, when: &str) -> anyhow::Result<()> {
    let seen = explain::seen(&world.observe());
    let model: Vec<&str> = seen.lines().collect();
    let what = format!("a real cluster {when} that is as the model's");
    until(&what, READY_WITHIN * 2, async || {
        if let Err(not_ready) = cluster.is_ready().await? {
            return Ok(Err(not_ready));
        }
        let explained = operator::explained(cluster.stage, &cluster.name).await?;
        let real: Vec<&str> = explained.lines().filter(|line| line.starts_with("saw ")).collect();
        let lacks = model.iter().filter(|line| !real.contains(line));
        let has = real.iter().filter(|line| !model.contains(line));
        let differs: Vec<String> = lacks
            .map(|line| format!("model: {line}"))
            .chain(has.map(|line| format!("real: {line}")))
            .chain(operator::left_to_do(&explained).iter().map(|line| format!("left: {line}")))
            .collect();
        Ok(if differs.is_empty() { Ok(()) } else { Err(format!("\n{}", differs.join("\n"))) })
    })
    .await?;
    say(&format!("conformance: {} lines alike {when}", model.len()));
    Ok(())
}

/// A write that both are asked for.
struct Question {
    kind: Kind,
    /// The object, without the name of its cluster; `*` is the configuration that broker 0 runs with.
    name: &'static str,
    pointer: &'static str,
    value: Value,
}

fn questions() -> Vec<Question> {
    let claim = |pointer, value| (Kind::PersistentVolumeClaim, "broker-0-d0", pointer, value);
    let set = |pointer, value| (Kind::StatefulSet, "broker-0", pointer, value);
    let configuration = |pointer, value| (Kind::ConfigMap, "*", pointer, value);
    let all = [
        claim("/spec/storageClassName", json!("another")),
        claim("/spec/volumeMode", json!("Block")),
        claim("/spec/resources/requests/storage", json!("1Mi")),
        claim("/spec/resources/requests/storage", json!("20Gi")),
        claim("/metadata/labels/x", json!("y")),
        set("/spec/serviceName", json!("another")),
        set("/spec/selector/matchLabels/x", json!("y")),
        set("/spec/replicas", json!(0)),
        set("/spec/template/metadata/annotations/x", json!("y")),
        configuration("/data/x", json!("y")),
        configuration("/immutable", json!(false)),
        configuration("/metadata/labels/x", json!("y")),
        (Kind::ConfigMap, "identity", "/data/x", json!("y")),
        (Kind::PodDisruptionBudget, "broker", "/spec/minAvailable", json!(0)),
        (Kind::Service, "nodes", "/spec/publishNotReadyAddresses", json!(false)),
    ];
    let question = |(kind, name, pointer, value)| Question { kind, name, pointer, value };
    all.into_iter().map(question).collect()
}

/// The real one is only asked what it would say.
async fn answered_alike(stage: &Stage, world: &World, question: &Question) -> anyhow::Result<()> {
    let Question { kind, name, pointer, value } = question;
    let objects: Api<DynamicObject> = api(&stage.client, &stage.namespace, *kind);
    let (in_model, in_real) = if *name == "*" {
        let of_pod = world.observe().pods.get(&0).and_then(|pod| pod.configuration.clone());
        (of_pod.context("no configuration")?, real_configuration(stage).await?)
    } else {
        let whole = format!("orders-{name}");
        (whole.clone(), whole)
    };
    let path: Vec<&str> = pointer.split('/').skip(1).collect();
    let model = world.store().clone().write(*kind, &in_model, &path, value.clone());
    let tree = path.iter().rev().fold(value.clone(), |inner, part| json!({ *part: inner }));
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let real = objects.patch(&in_real, &params, &Patch::Merge(&tree)).await;
    let what = format!("{} {in_real} {pointer} {value}", kind.word());
    ensure!(model.is_ok() == real.is_ok(), "{what}: the model says {model:?}, Kubernetes {real:?}");
    Ok(())
}

async fn real_configuration(stage: &Stage) -> anyhow::Result<String> {
    let pod = stage.api::<Pod>().get("orders-broker-0-0").await?;
    let volumes = pod.spec.and_then(|spec| spec.volumes).unwrap_or_default();
    let mut maps = volumes.into_iter().filter_map(|volume| volume.config_map);
    let found = maps.find(|map| map.name.starts_with("orders-broker-0-"));
    Ok(found.context("the pod mounts no configuration")?.name)
}
