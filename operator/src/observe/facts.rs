//! The planner's facts, out of Kubernetes' objects.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::DynamicObject;
use ottla_crds::agent::{CONTROLLER_PORT, REPLICATION_PORT};
use ottla_plan::identity::{CLUSTER_ID, DISKS, QUORUM, TRACES, VOTERS};
use ottla_plan::names::{
    ACCEPT_LOST_DISK_ANNOTATION, BROKER_LABEL, CLUSTER_ID_ANNOTATION, CONTROLLER_LABEL,
    GROUP_LABEL, NODE_LABEL, Names, RACK_ANNOTATION, RESTART_ANNOTATION, VOLUME_LABEL,
};
use ottla_plan::node::Group;
use ottla_plan::object::Kind;
use ottla_plan::observed::{Child, Children, Claim, Growth, Identity, Pod, QuorumRecord, Traces};
use ottla_plan::resources::pod::{CONTAINER, TEMPLATE_ANNOTATION, WISH_ANNOTATION};
use serde_json::Value;

fn text<'a>(live: &'a Value, pointer: &str) -> Option<&'a str> {
    live.pointer(pointer)?.as_str()
}

fn metadata<'a>(live: &'a Value, part: &str, key: &str) -> Option<&'a str> {
    live.get("metadata")?.get(part)?.get(key)?.as_str()
}

/// Claims of nodes, by name.
#[must_use]
pub fn claims(children: &Children) -> BTreeMap<String, Claim> {
    let claims = children.of_kind(Kind::PersistentVolumeClaim);
    claims.filter_map(|(name, child)| Some((name.clone(), claim(child)?))).collect()
}

fn claim(child: &Child) -> Option<Claim> {
    let label = |key: &str| metadata(&child.live, "labels", key);
    let annotation = |key: &str| metadata(&child.live, "annotations", key).map(ToOwned::to_owned);
    Some(Claim {
        uid: child.uid.clone(),
        group: Group::from_word(label(GROUP_LABEL)?)?,
        node_id: label(NODE_LABEL)?.parse().ok()?,
        volume: label(VOLUME_LABEL)?.to_owned(),
        class: text(&child.live, "/spec/storageClassName").map(ToOwned::to_owned),
        size: text(&child.live, "/spec/resources/requests/storage").map(ToOwned::to_owned),
        capacity: text(&child.live, "/status/capacity/storage").map(ToOwned::to_owned),
        growth: growth(&child.live),
        bound: text(&child.live, "/status/phase") == Some("Bound"),
        terminating: child.terminating,
        rack: annotation(RACK_ANNOTATION),
        cluster_id: annotation(CLUSTER_ID_ANNOTATION),
        accepted_uid: annotation(ACCEPT_LOST_DISK_ANNOTATION),
    })
}

/// What a claim's conditions say of its growth, the worst first.
fn growth(live: &Value) -> Option<Growth> {
    const PENDING: &str = "FileSystemResizePending";
    const KINDS: [&str; 4] = ["ControllerResizeError", "NodeResizeError", PENDING, "Resizing"];
    let conditions = live.pointer("/status/conditions")?.as_array()?;
    let of_kind = |kind: &str| {
        let is =
            |one: &&Value| text(one, "/type") == Some(kind) && text(one, "/status") == Some("True");
        conditions.iter().find(is)
    };
    let (kind, condition) = KINDS.iter().find_map(|kind| Some((kind, of_kind(kind)?)))?;
    let since = of_kind(PENDING).and_then(|one| text(one, "/lastTransitionTime")?.parse().ok());
    Some(Growth {
        detail: text(condition, "/message")
            .filter(|words| !words.is_empty())
            .unwrap_or(kind)
            .to_owned(),
        at_start_since_seconds: since.map(jiff::Timestamp::as_second),
    })
}

/// The identity object, and what is wrong with it.
#[must_use]
pub fn identity(names: &Names, children: &Children) -> (Option<Identity>, Option<String>) {
    let Some(child) = children.get(Kind::ConfigMap, &names.identity()) else {
        return (None, None);
    };
    match read_identity(child) {
        Ok(identity) => (Some(identity), None),
        Err(problem) => (None, Some(problem)),
    }
}

fn read_identity(child: &Child) -> Result<Identity, String> {
    let entry = |key: &str| {
        child
            .live
            .get("data")
            .and_then(|data| data.get(key)?.as_str())
            .ok_or_else(|| format!("has no `{key}`"))
    };
    let broken = |key: &str| format!("has a `{key}` that is not understood");
    let cluster_id = entry(CLUSTER_ID)?;
    if cluster_id.is_empty() {
        return Err(broken(CLUSTER_ID));
    }
    let voters = serde_json::from_str(entry(VOTERS)?).map_err(|_| broken(VOTERS))?;
    let quorum = match entry(QUORUM) {
        Ok(text) => serde_json::from_str(text).map_err(|_| broken(QUORUM))?,
        Err(_) => QuorumRecord::of_first(&voters),
    };
    let traces = match entry(TRACES) {
        Ok(text) => serde_json::from_str(text).map_err(|_| broken(TRACES))?,
        Err(_) => Traces::default(),
    };
    Ok(Identity {
        uid: child.uid.clone(),
        resource_version: child.resource_version.clone(),
        cluster_id: cluster_id.to_owned(),
        voters,
        quorum,
        disks: serde_json::from_str(entry(DISKS)?).map_err(|_| broken(DISKS))?,
        traces,
    })
}

/// Pods of nodes, by node id.
#[must_use]
pub fn pods(pods: &[DynamicObject]) -> BTreeMap<i32, Pod> {
    pods.iter().filter_map(|object| Some((node_id(object)?, pod(object)))).collect()
}

fn node_id(pod: &DynamicObject) -> Option<i32> {
    pod.labels().get(NODE_LABEL)?.parse().ok()
}

fn pod(object: &DynamicObject) -> Pod {
    let status = object.data.get("status").unwrap_or(&Value::Null);
    let condition = |type_: &str| {
        let conditions = status.get("conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().find(|condition| text(condition, "/type") == Some(type_))
    };
    let ready = condition("Ready").and_then(|ready| text(ready, "/status")) == Some("True");
    let container = container(status);
    let restarts = container.and_then(|kafka| kafka.get("restartCount")?.as_i64());
    Pod {
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        address: text(status, "/podIP").map(ToOwned::to_owned),
        ready,
        terminating: object.metadata.deletion_timestamp.is_some(),
        template: object.annotations().get(TEMPLATE_ANNOTATION).cloned(),
        wish: object.annotations().get(WISH_ANNOTATION).cloned(),
        restart: object.annotations().get(RESTART_ANNOTATION).cloned(),
        configuration: mounted(&object.data).map(ToOwned::to_owned),
        image: image(&object.data).map(ToOwned::to_owned),
        unscheduled_since_seconds: unscheduled_since(condition("PodScheduled")),
        created_at_seconds: object.creation_timestamp().map(|made| made.0.as_second()),
        stuck: unschedulable(condition("PodScheduled")).or_else(|| waiting(container?)),
        restarts: restarts.and_then(|count| i32::try_from(count).ok()).unwrap_or_default(),
    }
}

/// The ConfigMap that a pod mounts.
fn mounted(pod: &Value) -> Option<&str> {
    let volumes = pod.pointer("/spec/volumes")?.as_array()?;
    volumes.iter().find_map(|volume| text(volume, "/configMap/name"))
}

fn image(pod: &Value) -> Option<&str> {
    let containers = pod.pointer("/spec/containers")?.as_array()?;
    let kafka = containers.iter().find(|one| text(one, "/name") == Some(CONTAINER))?;
    text(kafka, "/image")
}

fn unschedulable(scheduled: Option<&Value>) -> Option<String> {
    let condition = scheduled?;
    let refused = text(condition, "/status") == Some("False");
    refused.then(|| {
        format!("cannot be scheduled: {}", text(condition, "/message").unwrap_or("no reason given"))
    })
}

fn unscheduled_since(scheduled: Option<&Value>) -> Option<i64> {
    let condition = scheduled.filter(|one| text(one, "/status") == Some("False"))?;
    let since: jiff::Timestamp = text(condition, "/lastTransitionTime")?.parse().ok()?;
    Some(since.as_second())
}

/// The status of Kafka's container: others may have been put beside it.
fn container(status: &Value) -> Option<&Value> {
    let all = status.get("containerStatuses")?.as_array()?;
    all.iter().find(|container| text(container, "/name") == Some(CONTAINER))
}

/// Why the container waits, unless that is only the usual way to a start.
fn waiting(container: &Value) -> Option<String> {
    let waiting = container.pointer("/state/waiting")?;
    let reason = text(waiting, "/reason")?;
    if matches!(reason, "ContainerCreating" | "PodInitializing") {
        return None;
    }
    // What its last life said is why it is not started again, unless Kubernetes says something else.
    let ended = Some("/lastState/terminated/message").filter(|_| reason == "CrashLoopBackOff");
    let said = ended.and_then(|path| text(container, path)).and_then(last_words);
    Some(match said.or_else(|| text(waiting, "/message")) {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    })
}

/// More only makes a sentence long.
const WORDS_MAX: usize = 300;

/// Of the last lines that a container wrote before it ended, the one that says why: the innermost
/// exception, or what Java itself says.
fn last_words(log: &str) -> Option<&str> {
    let mut exceptions = log.lines().rev().filter(|line| line.contains("Exception: "));
    let java = || log.lines().find(|line| line.contains("rror: ") || line.contains("nrecognized"));
    let line = exceptions.next().or_else(java)?.trim();
    let end = (0..=WORDS_MAX.min(line.len())).rev().find(|end| line.is_char_boundary(*end))?;
    Some(&line[..end])
}

/// DNS names of nodes, by node id. A pod's name and its Service never change.
#[must_use]
pub fn hosts(names: &Names, pods: &[DynamicObject]) -> BTreeMap<i32, String> {
    pods.iter().filter_map(|pod| Some((node_id(pod)?, host(names, pod)))).collect()
}

fn host(names: &Names, pod: &DynamicObject) -> String {
    format!("{}.{}.{}.svc", pod.name_any(), names.nodes(), names.namespace)
}

/// Inter-broker endpoints of brokers that are Ready.
#[must_use]
pub fn bootstrap(names: &Names, pods: &[DynamicObject]) -> Vec<String> {
    ready(names, pods, BROKER_LABEL, REPLICATION_PORT)
}

/// Controller endpoints of controllers that are Ready.
#[must_use]
pub fn controllers(names: &Names, pods: &[DynamicObject]) -> Vec<String> {
    ready(names, pods, CONTROLLER_LABEL, CONTROLLER_PORT)
}

fn ready(names: &Names, pods: &[DynamicObject], label: &str, port: u16) -> Vec<String> {
    pods.iter()
        .filter(|object| object.labels().contains_key(label) && pod(object).ready)
        .map(|object| format!("{}:{port}", host(names, object)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{last_words, waiting};

    #[test]
    fn what_a_container_said_last_is_told_while_it_is_not_started_again() {
        let waits = |reason: &str| {
            waiting(&json!({
                "state": { "waiting": { "reason": reason, "message": "of Kubernetes" } },
                "lastState": { "terminated": { "message": "Caused by: X.Exception: of Kafka" } },
            }))
        };
        let crashes = waits("CrashLoopBackOff");
        assert_eq!(crashes.as_deref(), Some("CrashLoopBackOff: Caused by: X.Exception: of Kafka"));
        let disk = waits("CreateContainerError");
        assert_eq!(disk.as_deref(), Some("CreateContainerError: of Kubernetes"));
        assert_eq!(waits("ContainerCreating"), None);
    }

    #[test]
    fn of_the_last_lines_of_a_log_that_is_told_which_says_why() {
        let kafka = "[2026-11-26 18:00:00] ERROR Exiting Kafka due to fatal exception\n\
            org.apache.kafka.common.KafkaException: cannot start\n\
            \tat kafka.Kafka.main(Kafka.scala)\n\
            Caused by: org.apache.kafka.common.config.ConfigException: Invalid value -3\n\
            \tat kafka.server.KafkaConfig.<init>(KafkaConfig.scala)";
        let cause = "Caused by: org.apache.kafka.common.config.ConfigException: Invalid value -3";
        assert_eq!(last_words(kafka), Some(cause));
        let java = "Unrecognized VM option 'Nonsense'\nError: Could not create the Java Virtual \
            Machine.\nError: A fatal exception has occurred. Program will exit.";
        assert_eq!(last_words(java), Some("Unrecognized VM option 'Nonsense'"));
        assert_eq!(last_words("[2026-11-26 18:00:00] INFO stopped"), None);
    }
}
