//! Objects changed by hand, one of each kind: each is put right, and no pod is touched.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::cluster::Cluster;
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
    let base = manifest::short_lived()?;
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
