//! The pod template of a node.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::blueprint::Blueprint;
use crate::desired::{Desired, GroupDesired};
use crate::names::{
    BROKER_LABEL, CLUSTER_LABEL, CONTROLLER_LABEL, GROUP_LABEL, NODE_LABEL, RESTART_ANNOTATION,
};
use crate::node::Node;
use crate::object::{Object, hash};

mod container;
mod volume;
mod wish;

/// Annotation of a pod with the hash of the template that it was made from.
pub const TEMPLATE_ANNOTATION: &str = "ottla.dev/template";

/// Annotation of a pod with the hash of what the spec asked of it.
pub const WISH_ANNOTATION: &str = "ottla.dev/wish";

pub use container::NAME as CONTAINER;
pub(super) use wish::common as common_wish;

/// The user that Kafka runs as, and the group that owns its disks.
const USER_ID: i64 = 1001;

/// Longer than the agent waits for the JVM, so that the agent ends it and not the kubelet.
const GRACE_PERIOD_SECONDS: u64 = super::config_map::SHUTDOWN_SECONDS + 30;

/// What is a node's own in the template of its pod. The hash covers what the pod is made of, and not
/// by which wish or word it came.
pub(super) fn own(blueprint: &Blueprint<'_>, node: &Node, configuration: &Object) -> Value {
    let desired = blueprint.desired;
    let mut template =
        json!({ "metadata": { "labels": { NODE_LABEL: node.id.to_string() } }, "spec": {} });
    template["spec"]["volumes"] = volume::all(desired, node, configuration).into();
    // A rack is a hard demand beside whatever affinity the user asks for: the disk is there.
    if let (Some(racks), Some(rack)) = (&desired.racks, &node.rack) {
        template["spec"]["nodeSelector"][&racks.topology_key] = rack.as_str().into();
    }
    let hash = hash(&(&blueprint.template, &template));
    let annotations = &mut template["metadata"]["annotations"];
    annotations[TEMPLATE_ANNOTATION] = hash.into();
    annotations[WISH_ANNOTATION] = wish::wish(blueprint, node).into();
    if let Some(restart) = &desired.restart {
        annotations[RESTART_ANNOTATION] = restart.as_str().into();
    }
    template
}

/// The hash of a template.
#[must_use]
pub fn template_hash(template: &Value) -> Option<&str> {
    annotation(template, TEMPLATE_ANNOTATION)
}

pub(super) fn annotation<'a>(template: &'a Value, key: &str) -> Option<&'a str> {
    template.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// What of a template decides on which machines its pod can run.
pub(crate) fn place(template: &Value) -> Value {
    let all = |list: Option<&Value>, pointer: &str| -> Vec<Value> {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.pointer(pointer).cloned()).collect()
    };
    let at = |pointer: &str| template.pointer(pointer);
    json!({
        "labels": at("/metadata/labels"),
        "affinity": at("/spec/affinity"),
        "nodeSelector": at("/spec/nodeSelector"),
        "tolerations": at("/spec/tolerations"),
        "topologySpreadConstraints": at("/spec/topologySpreadConstraints"),
        "priorityClassName": at("/spec/priorityClassName"),
        "claims": all(at("/spec/volumes"), "/persistentVolumeClaim/claimName"),
        "resources": all(at("/spec/containers"), "/resources"),
    })
}

/// The ConfigMap that a template mounts.
#[must_use]
pub fn configuration(template: &Value) -> Option<&str> {
    let volumes = template.get("spec")?.get("volumes")?.as_array()?;
    volumes.iter().find_map(|volume| volume.get("configMap")?.get("name")?.as_str())
}

/// The template of all nodes of a kind, but for what is a node's own.
pub(super) fn common(desired: &Desired, node: &Node) -> Value {
    let group = desired.group(node.group);
    json!({
        "metadata": {
            "labels": labels(desired, node, group),
            "annotations": annotations(group),
        },
        "spec": spec(desired, node, group),
    })
}

fn labels(desired: &Desired, node: &Node, group: &GroupDesired) -> BTreeMap<String, String> {
    let mut labels = group.pod.labels.clone();
    labels.extend(desired.names.labels());
    labels.insert(GROUP_LABEL.to_owned(), node.group.word().to_owned());
    for (label, holds) in
        [(BROKER_LABEL, node.is_broker()), (CONTROLLER_LABEL, node.is_controller())]
    {
        if holds {
            labels.insert(label.to_owned(), "true".to_owned());
        }
    }
    labels
}

fn annotations(group: &GroupDesired) -> BTreeMap<String, String> {
    let mut annotations = group.pod.annotations.clone();
    annotations
        .insert("kubectl.kubernetes.io/default-container".to_owned(), container::NAME.to_owned());
    annotations
}

fn spec(desired: &Desired, node: &Node, group: &GroupDesired) -> Value {
    let mut spec = json!({
        "serviceAccountName": desired.names.nodes(),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_PERIOD_SECONDS,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container::kafka(desired, node, group)],
        "affinity": group.pod.affinity.clone().unwrap_or_else(|| apart(desired, node)),
        "tolerations": tolerations(group),
    });
    if !group.pod.node_selector.is_empty() {
        spec["nodeSelector"] = json!(group.pod.node_selector);
    }
    if !group.pod.topology_spread_constraints.is_empty() {
        spec["topologySpreadConstraints"] = json!(group.pod.topology_spread_constraints);
    }
    if let Some(class) = &group.pod.priority_class_name {
        spec["priorityClassName"] = class.as_str().into();
    }
    if !group.pod.image_pull_secrets.is_empty() {
        let names = group.pod.image_pull_secrets.iter().map(|name| json!({ "name": name }));
        spec["imagePullSecrets"] = names.collect();
    }
    spec
}

/// Nodes of a group rather live on different Kubernetes nodes.
fn apart(desired: &Desired, node: &Node) -> Value {
    json!({
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {
                        "matchLabels": {
                            CLUSTER_LABEL: desired.names.cluster,
                            GROUP_LABEL: node.group.word(),
                        },
                    },
                },
            }],
        },
    })
}

/// A node whose Kubernetes node is silent stays where it is: its disk is there, and a second
/// process with its id would be worse than none.
fn tolerations(group: &GroupDesired) -> Vec<Value> {
    let forever = |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoExecute" });
    let mut tolerations = group.pod.tolerations.clone();
    tolerations.push(forever("node.kubernetes.io/not-ready"));
    tolerations.push(forever("node.kubernetes.io/unreachable"));
    tolerations
}
