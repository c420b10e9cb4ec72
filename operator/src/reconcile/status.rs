//! The status: stamped before the first write, and written only when it says something new.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use ottla_crds::KafkaCluster;
use ottla_crds::kafka_cluster::status::KafkaClusterStatus;
use ottla_plan::names::TAKE_OVER_ANNOTATION;
use ottla_plan::status::{remember, status};
use ottla_plan::{Desired, Plan};
use serde_json::json;

use crate::context::Context;

/// The field manager of statuses.
const FIELD_MANAGER: &str = "ottla";

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The API server said no, or nothing.
    #[error("the Kubernetes API did not take it")]
    Api(#[source] kube::Error),
    /// Leadership ended.
    #[error("this operator leads no longer")]
    NotLeading(#[source] crate::lease::NotLeading),
    /// The definition drops what has to be remembered.
    #[error(
        "the definition of KafkaCluster is older than this operator and drops status.memory: apply the definitions of this release first"
    )]
    OldDefinition,
}

impl StatusError {
    /// Whether the KafkaCluster has changed since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, StatusError::Api(kube::Error::Api(status)) if status.is_conflict())
    }
}

/// A status that was written, and the one before it.
pub struct Written {
    /// Before.
    pub previous: KafkaClusterStatus,
    /// After.
    pub current: KafkaClusterStatus,
}

/// Whether the cluster must be marked as ours, or something be remembered, before anything is
/// written for it.
#[must_use]
pub fn must_come_first(context: &Context, cluster: &KafkaCluster, plan: &Plan) -> bool {
    let status = cluster.status.clone().unwrap_or_default();
    let ours = status.operator.as_ref() == Some(&context.settings.installation);
    !ours || status.memory != plan.memory
}

/// Marks the cluster as ours and remembers what a plan asks to remember, if the cluster is still as
/// it was read: of two installations one wins.
///
/// # Errors
/// See [`StatusError`].
pub async fn stamp(
    context: &Context,
    cluster: &KafkaCluster,
    plan: &Plan,
) -> Result<(), StatusError> {
    let mut status = cluster.status.clone().unwrap_or_default();
    if status.operator.as_ref() != Some(&context.settings.installation) {
        let handed_over = cluster.annotations().get(TAKE_OVER_ANNOTATION).is_some();
        tracing::info!(cluster = cluster.name_any(), handed_over, "stamping the cluster as ours");
    }
    status.operator = Some(context.settings.installation.clone());
    remember(&mut status, plan);
    let written = patch(context, cluster, &status).await?.status.unwrap_or_default();
    if written.memory == plan.memory { Ok(()) } else { Err(StatusError::OldDefinition) }
}

/// Writes the status of a pass, unless it equals the previous one, and only if the KafkaCluster is
/// still as it was read: another installation may have taken it over since.
///
/// # Errors
/// See [`StatusError`].
pub async fn write(
    context: &Context,
    cluster: &KafkaCluster,
    desired: Option<&Desired>,
    plan: &Plan,
    failure: Option<&str>,
) -> Result<Option<Written>, StatusError> {
    let previous = cluster.status.clone().unwrap_or_default();
    let installation = &context.settings.installation;
    let generation = cluster.metadata.generation;
    let now = Timestamp::now();
    let current = status(&previous, desired, plan, failure, installation, generation, now);
    if current == previous {
        return Ok(None);
    }
    patch(context, cluster, &current).await?;
    Ok(Some(Written { previous, current }))
}

async fn patch(
    context: &Context,
    cluster: &KafkaCluster,
    status: &KafkaClusterStatus,
) -> Result<KafkaCluster, StatusError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<KafkaCluster> = Api::namespaced(context.client.clone(), &namespace);
    let tree = json!({
        "apiVersion": "ottla.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": {
            "name": cluster.name_any(),
            "uid": cluster.uid(),
            "resourceVersion": cluster.resource_version(),
        },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let name = cluster.name_any();
    let patch = Patch::Apply(tree);
    let write = api.patch_status(&name, &params, &patch);
    let result = context.leadership.within_tenure(write).await.map_err(StatusError::NotLeading)?;
    result.map_err(StatusError::Api)
}
