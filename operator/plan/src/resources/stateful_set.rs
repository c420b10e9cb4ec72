//! One StatefulSet a node: any node can have its own configuration, disks and life, and its pod
//! comes back while the operator is down.

use std::sync::Arc;

use serde_json::{Value, json};

use super::blueprint::{Blueprint, common_metadata, own_metadata};
use super::pod;
use crate::desired::Desired;
use crate::names::{CLUSTER_LABEL, CONTROLLER_LABEL, NODE_LABEL};
use crate::node::Node;
use crate::object::{Common, Kind, Object};

/// The StatefulSet of a node that runs with the given configuration.
#[must_use]
pub fn node(blueprint: &Blueprint<'_>, node: &Node, configuration: &Object) -> Object {
    let name = blueprint.desired.names.node(node);
    let template = pod::own(blueprint, node, configuration);
    let mut own = json!({
        "spec": { "selector": { "matchLabels": { NODE_LABEL: node.id.to_string() } } },
    });
    // Put in place: `json!` would copy them.
    own["metadata"] = own_metadata(node, &name);
    own["spec"]["template"] = template;
    Object::over(&blueprint.stateful_set, Kind::StatefulSet, name, own)
}

/// What is the same in the StatefulSets of all nodes of a kind.
pub(super) fn common(desired: &Desired, node: &Node, template: Value) -> Arc<Common> {
    let mut tree = json!({
        "metadata": common_metadata(desired, node),
        "spec": {
            "replicas": 1,
            "serviceName": desired.names.nodes(),
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "revisionHistoryLimit": 2,
            "selector": { "matchLabels": { CLUSTER_LABEL: desired.names.cluster } },
        },
    });
    tree["spec"]["template"] = template;
    Common::new(tree)
}

/// A StatefulSet with another template of its pod.
#[must_use]
pub fn of_template(set: &Object, template: &Value) -> Object {
    let mut tree = set.tree();
    tree["spec"]["template"] = template.clone();
    Object::new(set.kind, set.name.clone(), tree)
}

/// The hash of the pod template in a StatefulSet, wanted or live.
#[must_use]
pub fn template_hash(tree: &Value) -> Option<&str> {
    annotation(tree, pod::TEMPLATE_ANNOTATION)
}

/// The hash of what the spec asks of the pod.
#[must_use]
pub fn wish(tree: &Value) -> Option<&str> {
    annotation(tree, pod::WISH_ANNOTATION)
}

fn annotation<'a>(tree: &'a Value, key: &str) -> Option<&'a str> {
    pod::annotation(tree.get("spec")?.get("template")?, key)
}

/// Whether the pod template of a StatefulSet is that of a controller.
#[must_use]
pub fn is_controller(tree: &Value) -> bool {
    let metadata = tree.get("spec").and_then(|spec| spec.get("template")?.get("metadata"));
    metadata.and_then(|metadata| metadata.get("labels")?.get(CONTROLLER_LABEL)).is_some()
}

/// The ConfigMap that the pod template of a StatefulSet mounts.
#[must_use]
pub fn configuration(tree: &Value) -> Option<&str> {
    pod::configuration(tree.get("spec")?.get("template")?)
}
