//! KafkaClusters sent as `kubectl` sends them: with unknown fields refused.

use anyhow::Context as _;
use http::{Method, Request};
use serde_json::Value;

use super::stage::Stage;

/// What came of a request: nothing to say, or the sentence that refused it.
pub(crate) type Answer = Result<(), String>;

/// Creates a KafkaCluster, as a trial only.
pub(crate) async fn try_create(stage: &Stage, manifest: &Value) -> anyhow::Result<Answer> {
    let path = format!("{}?dryRun=All&fieldValidation=Strict", path(stage));
    send(stage, Method::POST, &path, "application/json", manifest).await
}

/// Changes a KafkaCluster to what a manifest says, for good.
pub(crate) async fn replace(stage: &Stage, name: &str, wanted: &Value) -> anyhow::Result<Answer> {
    let path = format!("{}/{name}?fieldValidation=Strict", path(stage));
    send(stage, Method::PATCH, &path, "application/merge-patch+json", wanted).await
}

/// Asks for a number of brokers by the scale subresource, as `kubectl scale` does.
pub(crate) async fn scale(stage: &Stage, name: &str, replicas: i32) -> anyhow::Result<Answer> {
    let path = format!("{}/{name}/scale", path(stage));
    let patch = serde_json::json!({ "spec": { "replicas": replicas } });
    send(stage, Method::PATCH, &path, "application/merge-patch+json", &patch).await
}

fn path(stage: &Stage) -> String {
    format!("/apis/ottla.dev/v1alpha1/namespaces/{}/kafkaclusters", stage.namespace)
}

async fn send(
    stage: &Stage,
    method: Method,
    path: &str,
    content: &str,
    body: &Value,
) -> anyhow::Result<Answer> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", content)
        .body(serde_json::to_vec(body)?)?;
    match stage.client.request::<Value>(request).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) => Ok(Err(status.message.clone())),
        Err(error) => Err(error).context("the API server did not answer"),
    }
}
