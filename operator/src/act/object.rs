//! Objects created, applied and deleted.

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, ResourceExt};
use ottla_plan::action::{RestartPod, Rewrite, Target};
use ottla_plan::names::CLUSTER_LABEL;
use ottla_plan::object::{Kind, Object};
use serde_json::json;

use super::{ActError, ownership};
use crate::kubernetes_api::{api, pods};

/// The field manager of everything that Ottla writes.
pub(crate) const FIELD_MANAGER: &str = "ottla";

/// Creates an object, and never touches one that exists.
pub(super) async fn create(
    client: &Client,
    namespace: &str,
    object: &Object,
) -> Result<(), ActError> {
    create_with(client, namespace, object, object.tree()).await
}

/// As [`create`], with content that the plan did not carry.
pub(super) async fn create_with(
    client: &Client,
    namespace: &str,
    object: &Object,
    tree: serde_json::Value,
) -> Result<(), ActError> {
    let api = api(client, namespace, object.kind);
    let params =
        PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let body: DynamicObject = serde_json::from_value(tree).map_err(ActError::Malformed)?;
    match api.create(&params, &body).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            ours(&api, object, body).await
        }
        Err(error) => Err(ActError::Api(error)),
    }
}

/// An object that exists after all: ours, because a reply was lost, or a stranger's.
async fn ours(
    api: &Api<DynamicObject>,
    object: &Object,
    wanted: DynamicObject,
) -> Result<(), ActError> {
    let found = api.get_metadata_opt(&object.name).await.map_err(ActError::Api)?;
    let label = |object: &dyn Fn() -> Option<String>| object();
    let found = label(&|| found.as_ref()?.labels().get(CLUSTER_LABEL).cloned());
    if found.is_none() || found != wanted.labels().get(CLUSTER_LABEL).cloned() {
        return Err(ActError::Taken { kind: object.kind, name: object.name.clone() });
    }
    Ok(())
}

/// Makes an object of ours what it should be, by server-side apply. Its UID is sent along, so that
/// another object of the same name is never touched.
pub(super) async fn apply(
    client: &Client,
    namespace: &str,
    Rewrite { object, target, lists }: &Rewrite,
) -> Result<(), ActError> {
    let api = api(client, namespace, object.kind);
    own(&api, target, lists).await?;
    let mut tree = object.tree();
    tree["metadata"]["uid"] = target.uid.as_str().into();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&target.name, &params, &Patch::Apply(tree)).await.map_err(ActError::Api)?;
    Ok(())
}

/// Hands to our apply what it has to own; see [`ownership`].
async fn own(
    api: &Api<DynamicObject>,
    target: &Target,
    lists: &[Vec<String>],
) -> Result<(), ActError> {
    let live = api.get_metadata(&target.name).await.map_err(ActError::Api)?;
    let mut fields = live.managed_fields().to_vec();
    if !ownership::hand_over(&mut fields, lists) {
        return Ok(());
    }
    let patch = json!({
        "metadata": {
            "uid": target.uid,
            "resourceVersion": live.resource_version(),
            "managedFields": fields,
        },
    });
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
    api.patch_metadata(&target.name, &params, &Patch::Merge(patch)).await.map_err(ActError::Api)?;
    Ok(())
}

/// Deletes exactly the object that was seen.
pub(super) async fn delete(
    client: &Client,
    namespace: &str,
    kind: Kind,
    target: &Target,
) -> Result<(), ActError> {
    delete_through(&api(client, namespace, kind), target).await
}

/// Describes a node's next life, and ends this one. After a crash in between, the next pass finds the
/// StatefulSet as it should be and the pod as it was.
pub(super) async fn restart(
    client: &Client,
    namespace: &str,
    restart: &RestartPod,
) -> Result<(), ActError> {
    if let Some(set) = &restart.set {
        apply(client, namespace, set).await?;
    }
    delete_pod(client, namespace, &restart.pod).await
}

/// Deletes exactly the pod that was seen. Its status changes all the time, so its UID is the
/// precondition, and not its resource version.
async fn delete_pod(client: &Client, namespace: &str, target: &Target) -> Result<(), ActError> {
    let target = Target { resource_version: String::new(), ..target.clone() };
    delete_through(&pods(client, namespace), &target).await
}

async fn delete_through(api: &Api<DynamicObject>, target: &Target) -> Result<(), ActError> {
    let version = Some(target.resource_version.clone()).filter(|version| !version.is_empty());
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(target.uid.clone()),
            resource_version: version,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&target.name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(ActError::Api(error)),
    }
}
