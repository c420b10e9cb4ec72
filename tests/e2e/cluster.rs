//! One KafkaCluster as its owner sees it: the object, its status, its pods.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::ResourceExt as _;
use kube::api::ListParams;
use ottla_crds::KafkaCluster;
use ottla_crds::kafka_cluster::status::{Condition, KafkaClusterStatus};
use serde_json::Value;

use super::stage::Stage;
use super::wait::{Seen, until};

/// Generous: on two cores three JVMs start in about half a minute.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(240);

/// One KafkaCluster.
pub(crate) struct Cluster<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) name: String,
}

/// What tells whether a pod was touched: its UID, and how often its container was started.
pub(crate) type Lives = BTreeMap<String, (String, i32)>;

impl<'a> Cluster<'a> {
    /// Applies a KafkaCluster, and does not wait.
    pub(crate) async fn apply(stage: &'a Stage, manifest: &Value) -> anyhow::Result<Self> {
        stage.apply(manifest).await?;
        let name = manifest["metadata"]["name"].as_str().context("no name")?.to_owned();
        Ok(Self { stage, name })
    }

    /// Applies a KafkaCluster and waits until it is Ready.
    pub(crate) async fn raise(stage: &'a Stage, manifest: &Value) -> anyhow::Result<Self> {
        let cluster = Self::apply(stage, manifest).await?;
        cluster.ready().await?;
        Ok(cluster)
    }

    /// All KafkaClusters of the namespace.
    pub(crate) fn api(&self) -> Api<KafkaCluster> {
        self.stage.api()
    }

    /// The object.
    pub(crate) async fn get(&self) -> anyhow::Result<KafkaCluster> {
        self.api().get(&self.name).await.context("could not read the KafkaCluster")
    }

    /// Its status.
    pub(crate) async fn status(&self) -> anyhow::Result<KafkaClusterStatus> {
        Ok(self.get().await?.status.unwrap_or_default())
    }

    /// Waits until the status of this very spec says Ready and every pod is; how long it took.
    pub(crate) async fn ready(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        until(&format!("KafkaCluster {} to be Ready", self.name), READY_WITHIN, async || {
            self.is_ready().await
        })
        .await?;
        Ok(started.elapsed())
    }

    /// Whether it is Ready now.
    pub(crate) async fn is_ready(&self) -> anyhow::Result<Seen<()>> {
        let cluster = self.get().await?;
        let status = cluster.status.clone().unwrap_or_default();
        let ready = condition(&status, "Ready");
        if status.observed_generation != cluster.metadata.generation || ready.status != "True" {
            return Ok(Err(words(&status)));
        }
        let behind: Vec<String> = self.pods().await?.iter().filter_map(not_ready).collect();
        Ok(if behind.is_empty() { Ok(()) } else { Err(behind.join("; ")) })
    }

    /// Waits until a condition is `True` with this reason; its message.
    pub(crate) async fn stalled(&self, reason: &str, patience: Duration) -> anyhow::Result<String> {
        self.says("Stalled", reason, patience).await
    }

    /// Waits until a condition has this reason; its message.
    pub(crate) async fn says(
        &self,
        type_: &str,
        reason: &str,
        patience: Duration,
    ) -> anyhow::Result<String> {
        let what = format!("condition {type_} of {} to say {reason}", self.name);
        until(&what, patience, async || {
            let cluster = self.get().await?;
            let status = cluster.status.clone().unwrap_or_default();
            let current = status.observed_generation == cluster.metadata.generation;
            let condition = condition(&status, type_);
            let found = current && condition.reason == reason;
            Ok(if found { Ok(condition.message) } else { Err(words(&status)) })
        })
        .await
    }

    /// Waits until the first thing that it waits for contains a sentence.
    pub(crate) async fn waits_on(&self, sentence: &str, patience: Duration) -> anyhow::Result<()> {
        until(&format!("{} to wait on: {sentence}", self.name), patience, async || {
            let cluster = self.get().await?;
            let status = cluster.status.clone().unwrap_or_default();
            let current = status.observed_generation == cluster.metadata.generation;
            let first = status.summary.as_ref().and_then(|summary| summary.waiting_on.clone());
            let found = current && first.is_some_and(|first| first.contains(sentence));
            Ok(if found { Ok(()) } else { Err(words(&status)) })
        })
        .await
    }

    /// Its pods, by name.
    pub(crate) async fn pods(&self) -> anyhow::Result<Vec<Pod>> {
        let of_cluster = ListParams::default().labels(&format!("ottla.dev/cluster={}", self.name));
        let mut pods = self.stage.api::<Pod>().list(&of_cluster).await?.items;
        pods.sort_by_key(Pod::name_any);
        Ok(pods)
    }

    /// The pod of a node.
    pub(crate) async fn pod(&self, node: &str) -> anyhow::Result<Pod> {
        let name = format!("{}-{node}-0", self.name);
        self.stage.api::<Pod>().get(&name).await.with_context(|| format!("no pod {name}"))
    }

    /// Which lives its pods have now.
    pub(crate) async fn lives(&self) -> anyhow::Result<Lives> {
        Ok(self.pods().await?.iter().map(life).collect())
    }
}

fn life(pod: &Pod) -> (String, (String, i32)) {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let restarts = containers.map_or(0, |all| all.iter().map(|one| one.restart_count).sum());
    (pod.name_any(), (pod.uid().unwrap_or_default(), restarts))
}

/// Why a pod is not Ready, if it is not.
pub(crate) fn not_ready(pod: &Pod) -> Option<String> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(format!("{} is being deleted", pod.name_any()));
    }
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions
        .is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"));
    (!ready).then(|| format!("{} is not Ready", pod.name_any()))
}

/// One condition, empty where it is not there yet.
pub(crate) fn condition(status: &KafkaClusterStatus, type_: &str) -> Condition {
    status.conditions.iter().find(|one| one.type_ == type_).cloned().unwrap_or_default()
}

/// What a status says, in a line.
pub(crate) fn words(status: &KafkaClusterStatus) -> String {
    let ready = condition(status, "Ready");
    format!("Ready={} {}: {}", ready.status, ready.reason, ready.message)
}
