//! Objects of any kind, by what their manifests say.

use anyhow::Context as _;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use super::stage::Stage;

/// Access to the kind of object that a manifest describes.
pub(crate) fn api(stage: &Stage, manifest: &Value) -> anyhow::Result<Api<DynamicObject>> {
    let text = |field: &str| {
        manifest[field].as_str().with_context(|| format!("the manifest has no {field}"))
    };
    Ok(of_kind(stage, text("apiVersion")?, text("kind")?))
}

/// Access to a kind, such as `apps/v1` `StatefulSet`.
pub(crate) fn of_kind(stage: &Stage, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(stage.client.clone(), &stage.namespace, &resource)
}
