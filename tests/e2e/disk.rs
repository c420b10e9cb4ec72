//! Claims and the disks behind them: taken apart and put together as a person might, or should not.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::stage::Stage;
use super::wait::until;

const UNBOUND_WITHIN: Duration = Duration::from_secs(120);
const BOUND_WITHIN: Duration = Duration::from_secs(60);

/// The volume behind a claim.
pub(crate) async fn volume_of(stage: &Stage, claim: &str) -> anyhow::Result<String> {
    let found = claims(stage).get(claim).await.with_context(|| format!("no claim {claim}"))?;
    let volume = found.spec.and_then(|spec| spec.volume_name);
    volume.with_context(|| format!("claim {claim} has no volume"))
}

/// Keeps a volume although its claim goes, or lets it go with its claim again.
pub(crate) async fn keep(stage: &Stage, volume: &str, kept: bool) -> anyhow::Result<()> {
    let policy = if kept { "Retain" } else { "Delete" };
    change(stage, volume, &json!({ "spec": { "persistentVolumeReclaimPolicy": policy } })).await
}

/// Puts other volumes behind claims, which are made anew as they were. `pods` use them, and start
/// anew too. Nobody else may make the claims meanwhile.
pub(crate) async fn rebind(
    stage: &Stage,
    pods: &[&str],
    wanted: &BTreeMap<&str, &str>,
) -> anyhow::Result<()> {
    let mut made_anew = Vec::new();
    for (claim, volume) in wanted {
        keep(stage, volume, true).await?;
        made_anew.push(like(stage, claim, volume).await?);
    }
    for claim in wanted.keys() {
        delete_claim(stage, claim).await?;
    }
    for pod in pods {
        stage.api::<Pod>().delete(pod, &DeleteParams::default()).await?;
    }
    for claim in wanted.keys() {
        gone(stage, claim).await?;
    }
    for volume in wanted.values() {
        change(stage, volume, &json!({ "spec": { "claimRef": null } })).await?;
    }
    for claim in &made_anew {
        claims(stage).create(&PostParams::default(), claim).await?;
    }
    for (claim, volume) in wanted {
        bound(stage, claim).await?;
        keep(stage, volume, false).await?;
    }
    Ok(())
}

/// Deletes a claim, which stays until no pod uses it.
pub(crate) async fn delete_claim(stage: &Stage, claim: &str) -> anyhow::Result<()> {
    claims(stage).delete(claim, &DeleteParams::default()).await?;
    Ok(())
}

/// Says of a claim that what its former disk held is lost.
pub(crate) async fn declare_lost(stage: &Stage, claim: &str) -> anyhow::Result<()> {
    let uid = claims(stage).get(claim).await?.uid();
    let word = json!({ "metadata": { "annotations": { "ottla.dev/accept-lost-disk": uid } } });
    claims(stage).patch(claim, &PatchParams::default(), &Patch::Merge(&word)).await?;
    Ok(())
}

/// Waits until a claim is gone.
pub(crate) async fn gone(stage: &Stage, claim: &str) -> anyhow::Result<()> {
    until(&format!("claim {claim} to be gone"), UNBOUND_WITHIN, async || {
        let left = claims(stage).get_opt(claim).await?;
        Ok(left.map_or(Ok(()), |left| Err(format!("its finalizers: {:?}", left.finalizers()))))
    })
    .await
}

fn claims(stage: &Stage) -> Api<PersistentVolumeClaim> {
    stage.api()
}

/// A claim as it is, without what Kubernetes wrote into it, for a certain volume.
async fn like(stage: &Stage, claim: &str, volume: &str) -> anyhow::Result<PersistentVolumeClaim> {
    let found = claims(stage).get(claim).await.with_context(|| format!("no claim {claim}"))?;
    let mut made_anew = PersistentVolumeClaim { spec: found.spec, ..Default::default() };
    made_anew.metadata.name = found.metadata.name;
    made_anew.metadata.labels = found.metadata.labels;
    let mut annotations = found.metadata.annotations.unwrap_or_default();
    annotations.retain(|key, _| key.starts_with("ottla.dev/"));
    made_anew.metadata.annotations = Some(annotations);
    made_anew.spec.as_mut().context("a claim without a spec")?.volume_name =
        Some(volume.to_owned());
    Ok(made_anew)
}

async fn change(stage: &Stage, volume: &str, patch: &serde_json::Value) -> anyhow::Result<()> {
    let volumes: Api<PersistentVolume> = Api::all(stage.client.clone());
    volumes
        .patch(volume, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .with_context(|| format!("could not change volume {volume}"))?;
    Ok(())
}

async fn bound(stage: &Stage, claim: &str) -> anyhow::Result<()> {
    until(&format!("claim {claim} to be bound"), BOUND_WITHIN, async || {
        let phase = claims(stage).get(claim).await?.status.and_then(|status| status.phase);
        Ok(if phase.as_deref() == Some("Bound") { Ok(()) } else { Err(format!("{phase:?}")) })
    })
    .await
}
