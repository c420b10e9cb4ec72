//! Objects deleted by hand, one by one: each comes back, and nothing restarts that need not.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::Value;

use super::cluster::Cluster;
use super::kcat::{Kcat, numbered};
use super::manifest;
use super::object::of_kind;
use super::stage::{Stage, play, say};
use super::wait::{throughout, until};

const BACK_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn objects_deleted_by_hand() -> anyhow::Result<()> {
    play("objects", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let cluster = Cluster::raise(stage, &manifest::short_lived()?).await?;
    let client = Kcat::beside(&cluster).await?;
    let records = numbered("kept", 500);
    client.produce("plain", "kept", &records).await?;
    let status = cluster.status().await?;
    let lives = cluster.lives().await?;
    let configuration = configuration_of(&cluster, "orders-broker-1").await?;
    for (api_version, kind, name) in [
        ("v1", "ConfigMap", configuration.as_str()),
        ("v1", "ConfigMap", "orders-ca"),
        ("v1", "ConfigMap", "orders-identity"),
        ("v1", "Service", "orders-plain-bootstrap"),
        ("v1", "Service", "orders-tls-bootstrap"),
        ("v1", "Service", "orders-nodes"),
        ("v1", "Secret", "orders-broker-2"),
        ("v1", "Secret", "orders-operator"),
        ("v1", "ServiceAccount", "orders-nodes"),
        ("policy/v1", "PodDisruptionBudget", "orders-broker"),
        ("networking.k8s.io/v1", "NetworkPolicy", "orders-nodes"),
    ] {
        comes_back(&cluster, api_version, kind, name, &DeleteParams::default()).await?;
    }
    let orphan = deletion(PropagationPolicy::Orphan);
    comes_back(&cluster, "apps/v1", "StatefulSet", "orders-broker-0", &orphan).await?;
    adopted(&cluster, "broker-0").await?;
    authority_lost(&cluster).await?;
    cluster.ready().await?;
    ensure!(cluster.lives().await? == lives, "pods were touched: {:?}", cluster.lives().await?);
    let background = deletion(PropagationPolicy::Background);
    comes_back(&cluster, "apps/v1", "StatefulSet", "orders-broker-1", &background).await?;
    replaced(&cluster, "orders-broker-1-0", &lives).await?;
    ensure!(cluster.status().await?.cluster_id == status.cluster_id, "another cluster id");
    client.holds("tls", "kept", &records).await
}

fn deletion(propagation: PropagationPolicy) -> DeleteParams {
    DeleteParams { propagation_policy: Some(propagation), ..DeleteParams::default() }
}

/// The name of the ConfigMap that a StatefulSet mounts.
async fn configuration_of(cluster: &Cluster<'_>, set: &str) -> anyhow::Result<String> {
    let set = of_kind(cluster.stage, "apps/v1", "StatefulSet").get(set).await?;
    let volumes = set.data["spec"]["template"]["spec"]["volumes"].as_array();
    let mut names =
        volumes.into_iter().flatten().filter_map(|one| one["configMap"]["name"].as_str());
    Ok(names.next_back().context("the StatefulSet mounts no ConfigMap")?.to_owned())
}

/// Deletes one object and waits for another of its name, with the same content.
async fn comes_back(
    cluster: &Cluster<'_>,
    api_version: &str,
    kind: &str,
    name: &str,
    how: &DeleteParams,
) -> anyhow::Result<()> {
    let api = of_kind(cluster.stage, api_version, kind);
    let before = api.get(name).await.with_context(|| format!("no {kind} {name}"))?;
    api.delete(name, how).await?;
    let after = until(&format!("{kind} {name} to come back"), BACK_WITHIN, async || {
        let after = api.get_opt(name).await?.filter(|after| after.uid() != before.uid());
        Ok(after.ok_or_else(|| "it is not there".to_owned()))
    })
    .await?;
    ensure!(after.labels() == before.labels(), "{kind} {name} has other labels");
    if !["Secret", "Service", "PodDisruptionBudget"].contains(&kind) && name != "orders-identity" {
        let content = |tree: &Value| [tree["spec"].clone(), tree["data"].clone()];
        ensure!(content(&after.data) == content(&before.data), "{kind} {name} has other content");
    }
    say(&format!("objects: {kind} {name} is back"));
    Ok(())
}

/// A pod left behind belongs to the new StatefulSet.
async fn adopted(cluster: &Cluster<'_>, node: &str) -> anyhow::Result<()> {
    let set = of_kind(cluster.stage, "apps/v1", "StatefulSet");
    let set = set.get(&format!("{}-{node}", cluster.name)).await?.uid();
    until("the pod to be adopted", BACK_WITHIN, async || {
        let pod = cluster.pod(node).await?;
        let owners: Vec<String> =
            pod.owner_references().iter().map(|owner| owner.uid.clone()).collect();
        let owned = set.as_ref().is_some_and(|set| owners.contains(set));
        Ok(if owned { Ok(()) } else { Err(format!("its owners are {owners:?}")) })
    })
    .await
}

/// A CA is never made anew under nodes that trust the old one; restored, all is well.
async fn authority_lost(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let secrets = cluster.stage.api::<Secret>();
    let kept = secrets.get("orders-ca").await?;
    secrets.delete("orders-ca", &DeleteParams::default()).await?;
    let message = cluster.stalled("AuthorityLost", BACK_WITHIN).await?;
    say(&format!("objects: AuthorityLost: {message}"));
    throughout("that no other CA is made", Duration::from_secs(5), async || {
        let made = secrets.get_opt("orders-ca").await?.is_some();
        Ok(if made { Err("there is one".to_owned()) } else { Ok(()) })
    })
    .await?;
    let mut restored = Secret { data: kept.data, type_: kept.type_, ..Secret::default() };
    restored.metadata.name = kept.metadata.name;
    restored.metadata.labels = kept.metadata.labels;
    restored.metadata.annotations = kept.metadata.annotations;
    secrets.create(&kube::api::PostParams::default(), &restored).await?;
    Ok(())
}

/// A pod that was deleted with its StatefulSet is another one; the others are the same.
async fn replaced(
    cluster: &Cluster<'_>,
    pod: &str,
    lives: &super::cluster::Lives,
) -> anyhow::Result<()> {
    until(&format!("another pod {pod}"), super::cluster::READY_WITHIN, async || {
        let now = cluster.lives().await?;
        let another = now.get(pod).is_some_and(|life| lives.get(pod) != Some(life));
        Ok(if another { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await?;
    cluster.ready().await?;
    let now = cluster.lives().await?;
    let others = lives.iter().filter(|(name, _)| *name != pod);
    for (name, life) in others {
        ensure!(now.get(name) == Some(life), "{name} was touched too");
    }
    let maps = cluster.stage.api::<ConfigMap>().get("orders-identity").await?;
    ensure!(maps.data.is_some(), "the identity is empty");
    Ok(())
}
