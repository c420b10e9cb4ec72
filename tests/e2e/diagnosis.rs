//! What a person needs to understand a failed scenario.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt as _};
use ottla_crds::KafkaCluster;

use super::stage::{Stage, say};

/// Enough of the operator's log to hold a scenario.
const LOG_LINES: i64 = 3000;
/// The last of them that speak of the scenario's namespace.
const LOG_LINES_SHOWN: usize = 60;

/// The last of them, for a message.
const LAST_WORDS: usize = 20;

/// What the operator said and did last in the scenario's namespace.
pub(crate) async fn last_words_of_operator(stage: &Stage) -> String {
    let lines = log(stage).await.unwrap_or_else(|error| vec![format!("(no log: {error})")]);
    let shown = lines.len().saturating_sub(LAST_WORDS);
    lines[shown..].join("\n")
}

/// Prints everything; what cannot be had is said and no more.
pub(crate) async fn print(stage: &Stage) {
    for part in [clusters(stage).await, pods(stage).await, events(stage).await, log(stage).await] {
        match part {
            Ok(lines) => lines.iter().for_each(|line| say(&format!("| {line}"))),
            Err(error) => say(&format!("| (could not be had: {error})")),
        }
    }
}

async fn clusters(stage: &Stage) -> kube::Result<Vec<String>> {
    let all = stage.api::<KafkaCluster>().list(&ListParams::default()).await?;
    let mut lines = Vec::new();
    for cluster in all {
        let tree = serde_json::json!({ "status": cluster.status });
        let yaml = serde_yaml::to_string(&tree).unwrap_or_else(|error| error.to_string());
        lines.push(format!("== KafkaCluster {}", cluster.name_any()));
        lines.extend(yaml.lines().map(str::to_owned));
    }
    Ok(lines)
}

async fn pods(stage: &Stage) -> kube::Result<Vec<String>> {
    let pods = stage.api::<Pod>().list(&ListParams::default()).await?;
    let line = |pod: &Pod| {
        let status = pod.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let container = containers.first();
        format!(
            "{} {} ready={} restarts={} deleting={} node={}",
            pod.name_any(),
            status.phase.unwrap_or_default(),
            container.is_some_and(|container| container.ready),
            container.map_or(0, |container| container.restart_count),
            pod.metadata.deletion_timestamp.is_some(),
            pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        )
    };
    let mut lines = vec!["== pods".to_owned()];
    lines.extend(pods.iter().map(line));
    for pod in &pods {
        lines.extend(last_words(stage, &pod.name_any()).await);
    }
    Ok(lines)
}

async fn last_words(stage: &Stage, pod: &str) -> Vec<String> {
    let params = LogParams { tail_lines: Some(15), ..LogParams::default() };
    let log = stage.api::<Pod>().logs(pod, &params).await;
    let log = log.unwrap_or_else(|error| format!("(no log: {error})"));
    let mut lines = vec![format!("== last words of {pod}")];
    lines.extend(log.lines().map(str::to_owned));
    lines
}

async fn events(stage: &Stage) -> kube::Result<Vec<String>> {
    let mut events = stage.api::<Event>().list(&ListParams::default()).await?.items;
    events.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    let mut lines = vec!["== events".to_owned()];
    lines.extend(events.into_iter().map(|event| {
        let object = event.regarding.unwrap_or_default();
        format!(
            "{} {} {}: {}",
            object.kind.unwrap_or_default(),
            object.name.unwrap_or_default(),
            event.reason.unwrap_or_default(),
            event.note.unwrap_or_default()
        )
    }));
    Ok(lines)
}

async fn log(stage: &Stage) -> kube::Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), "ottla-system");
    let params = LogParams { tail_lines: Some(LOG_LINES), ..LogParams::default() };
    let mut lines = vec!["== the operator's log on this namespace".to_owned()];
    for pod in pods.list(&ListParams::default()).await? {
        let log = pods.logs(&pod.name_any(), &params).await?;
        let ours: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(&stage.namespace) || line.contains("ERROR"))
            .collect();
        let shown = ours.len().saturating_sub(LOG_LINES_SHOWN);
        lines.extend(ours.into_iter().skip(shown).map(str::to_owned));
    }
    Ok(lines)
}
