//! The operator as a whole: elected, it watches, and every event leads to a pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use ottla_crds::KafkaCluster;
use ottla_plan::names::CLUSTER_LABEL;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::reconcile::cluster::{PassError, pass};
use crate::telemetry::error_chain;

/// Clusters that are worked on at the same time.
const CONCURRENCY: u16 = 16;

/// Events of many objects at once lead to one pass.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// How many objects a watch lists at once: bounds what a start needs in memory.
const PAGE_SIZE: u32 = 100;

/// The kind, in metrics.
const KIND: &str = "KafkaCluster";

/// The longest that a pass may take. It takes a second or two; one that hangs on an API server which
/// does not answer would hold up its cluster for as long as the kernel believes in the connection.
const PASS_MAX: Duration = Duration::from_secs(60);

/// After a pass that failed.
const AFTER_AN_ERROR: Duration = Duration::from_secs(3);

/// Watches and reconciles until `stop` is cancelled, then lets passes under way end.
pub async fn run(context: Context, namespaces: Vec<String>, stop: CancellationToken) {
    let scopes =
        if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() };
    let all = scopes.into_iter().map(|scope| watch(context.clone(), scope, stop.clone()));
    join_all(all).await;
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// What wakes us: a KafkaCluster's metadata.
type Clusters = Controller<PartialObjectMeta<KafkaCluster>>;

/// One watch over clusters, and one over each kind of their parts: metadata alone, because an
/// event only wakes us, and because one object that is not understood must not hide the others.
async fn watch(context: Context, scope: Option<String>, stop: CancellationToken) {
    let scope = scope.as_deref();
    let client = context.client.clone();
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    let clusters = api::<PartialObjectMeta<KafkaCluster>>(&client, scope);
    let controller = Controller::new(clusters, config)
        .with_config(Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY));
    let controller = part::<Pod>(controller, &client, scope);
    let controller = part::<StatefulSet>(controller, &client, scope);
    let controller = part::<ConfigMap>(controller, &client, scope);
    let controller = part::<Secret>(controller, &client, scope);
    let controller = part::<Service>(controller, &client, scope);
    let controller = part::<ServiceAccount>(controller, &client, scope);
    let controller = part::<PersistentVolumeClaim>(controller, &client, scope);
    let controller = part::<PodDisruptionBudget>(controller, &client, scope);
    let controller = part::<NetworkPolicy>(controller, &client, scope);
    controller
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, |_, _, _| Action::requeue(AFTER_AN_ERROR), Arc::new(context))
        .for_each(|result| async move {
            match result {
                Err(error @ controller::Error::QueueError(_)) => {
                    tracing::warn!(reason = error_chain(&error), "a watch is broken");
                }
                Err(error) => {
                    tracing::debug!(reason = error_chain(&error), "a wake-up came to nothing");
                }
                Ok(_) => {}
            }
        })
        .await;
}

fn part<K>(controller: Clusters, client: &Client, scope: Option<&str>) -> Clusters
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let config = watcher::Config::default().labels(CLUSTER_LABEL).page_size(PAGE_SIZE);
    controller.watches(api::<PartialObjectMeta<K>>(client, scope), config, |part| {
        owner(part.labels(), part.namespace())
    })
}

fn owner(
    labels: &BTreeMap<String, String>,
    namespace: Option<String>,
) -> Option<ObjectRef<PartialObjectMeta<KafkaCluster>>> {
    Some(ObjectRef::new(labels.get(CLUSTER_LABEL)?).within(&namespace?))
}

async fn reconcile(
    cluster: Arc<PartialObjectMeta<KafkaCluster>>,
    context: Arc<Context>,
) -> Result<Action, PassError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let name = cluster.name_any();
    let began = Instant::now();
    let pass = Box::pin(pass(&context, &namespace, &name));
    let too_long = |_| Err(PassError::TooLong { seconds: PASS_MAX.as_secs() });
    let result = tokio::time::timeout(PASS_MAX, pass).await.unwrap_or_else(too_long);
    let succeeded = result.as_ref().is_ok_and(|done| !done.failed);
    context.metrics.reconciled(KIND, began.elapsed(), succeeded);
    match result {
        Ok(done) => Ok(done.next.map_or_else(Action::await_change, Action::requeue)),
        Err(error) => {
            let cluster = format!("{namespace}/{name}");
            tracing::warn!(cluster, reason = error_chain(&error), "the pass ended early");
            Err(error)
        }
    }
}
