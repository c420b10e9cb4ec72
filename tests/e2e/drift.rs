//! Objects changed by hand, one of each kind: each is put right, and no pod is touched. A disk grows,
//! and no pod is touched either.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::exec::exec;
use super::kcat::Kcat;
use super::manifest;
use super::object::of_kind;
use super::stage::{Stage, play, say};
use super::wait::until;

const MENDED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn drift() -> anyhow::Result<()> {
    play("drift", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let base = manifest::quickstart()?;
    let cluster = Cluster::raise(stage, &base).await?;
    let lives = cluster.lives().await?;
    for (api_version, kind, name, pointer, value) in [
        ("v1", "ConfigMap", "orders-ca", "/data/ca.crt", json!("not a certificate")),
        ("v1", "Secret", "orders-operator", "/data/tls.crt", json!("bm9uZQ==")),
        ("v1", "Service", "orders-plain-bootstrap", "/spec/ports/0/port", json!(9999)),
        ("v1", "ServiceAccount", "orders-nodes", "/automountServiceAccountToken", json!(true)),
        ("apps/v1", "StatefulSet", "orders-broker-0", "/spec/updateStrategy/type", json!(ROLLING)),
        ("policy/v1", "PodDisruptionBudget", "orders-broker", "/spec/minAvailable", json!(0)),
        ("networking.k8s.io/v1", "NetworkPolicy", "orders-nodes", "/spec/ingress/0", json!({})),
    ] {
        put_right(&cluster, api_version, kind, name, pointer, value).await?;
    }
    let grown = manifest::with(&base, &[("/spec/brokers/storage/volumes/0/size", json!("3Gi"))])?;
    grows(&cluster, &grown).await?;
    ensure!(cluster.lives().await? == lives, "pods were touched: {:?}", cluster.lives().await?);
    Kcat::beside(&cluster).await?.round_trip("tls", "after").await
}

const ROLLING: &str = "RollingUpdate";

/// Changes one field and waits until it is what it was.
async fn put_right(
    cluster: &Cluster<'_>,
    api_version: &str,
    kind: &str,
    name: &str,
    pointer: &str,
    value: Value,
) -> anyhow::Result<()> {
    cluster.ready().await?;
    let api = of_kind(cluster.stage, api_version, kind);
    let field = |tree: &Value| tree.pointer(pointer).cloned();
    let before =
        until(&format!("{kind} {name} to be changed by hand"), MENDED_WITHIN, async || {
            let before = api.get(name).await.with_context(|| format!("no {kind} {name}"))?;
            ensure!(
                field(&before.data) != Some(value.clone()),
                "{kind} {name} is like that already"
            );
            let mut changed = before.clone();
            manifest::set(&mut changed.data, pointer, value.clone())?;
            match api.replace(name, &PostParams::default(), &changed).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => Ok(Err(status.message)),
                replaced => Ok(Ok(replaced.map(|_| before)?)),
            }
        })
        .await?;
    until(&format!("{kind} {name} to be put right"), MENDED_WITHIN, async || {
        let now = api.get(name).await?;
        let changed = now.resource_version() != before.resource_version();
        let found = field(&now.data);
        // A certificate is made anew, and never the same.
        let right =
            found == field(&before.data) || kind == "Secret" && found != Some(value.clone());
        Ok(if changed && right { Ok(()) } else { Err(format!("{pointer} is {found:?}")) })
    })
    .await?;
    say(&format!("drift: {kind} {name} is put right"));
    Ok(())
}

/// The claims grow, and Kafka sees it without a restart.
async fn grows(cluster: &Cluster<'_>, grown: &Value) -> anyhow::Result<()> {
    cluster.stage.apply(grown).await?;
    let claims = cluster.stage.api::<PersistentVolumeClaim>();
    let command = ["df", "--output=size", "--block-size=1M", "/var/lib/ottla/d0"];
    for broker in 0..3 {
        let (claim, pod) =
            (format!("orders-broker-{broker}-d0"), format!("orders-broker-{broker}-0"));
        until(&format!("claim {claim} to grow"), MENDED_WITHIN, async || {
            let status = claims.get(&claim).await?.status.unwrap_or_default();
            let size = status.capacity.unwrap_or_default().remove("storage");
            let grown = size.as_ref().is_some_and(|size| size.0 == "3Gi");
            Ok(if grown { Ok(()) } else { Err(format!("it has {size:?}")) })
        })
        .await?;
        let table = exec(&cluster.stage.api(), &pod, &command, "").await?;
        let mebibytes: u64 = table.lines().last().unwrap_or_default().trim().parse()?;
        ensure!(mebibytes > 2500, "{pod} sees {mebibytes} MiB");
    }
    cluster.ready().await?;
    say("drift: every disk has grown, and the pods see it");
    Ok(())
}
