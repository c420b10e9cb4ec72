//! One StatefulSet a node: any node can have its own configuration, disks and life, and its pod
//! comes back while the operator is down.

use serde_json::{Value, json};

use super::{owned_metadata, pod};
use crate::desired::Desired;
use crate::names::{CLUSTER_LABEL, NODE_LABEL};
use crate::node::Node;
use crate::object::{Kind, Object};

/// The StatefulSet of a node that runs with the given configuration.
#[must_use]
pub fn node(desired: &Desired, node: &Node, configuration: &Object) -> Object {
    let name = desired.names.node(node);
    let mut metadata = owned_metadata(desired, &name);
    metadata["labels"] = json!(desired.names.node_labels(node));
    let tree = json!({
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "serviceName": desired.names.nodes(),
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "revisionHistoryLimit": 2,
            "selector": {
                "matchLabels": {
                    CLUSTER_LABEL: desired.names.cluster,
                    NODE_LABEL: node.id.to_string(),
                },
            },
            "template": pod::template(desired, node, configuration),
        },
    });
    Object::new(Kind::StatefulSet, name, tree)
}

/// The hash of the pod template in a StatefulSet, wanted or live.
#[must_use]
pub fn template_hash(tree: &Value) -> Option<&str> {
    tree.get("spec")?
        .get("template")?
        .get("metadata")?
        .get("annotations")?
        .get(pod::TEMPLATE_ANNOTATION)?
        .as_str()
}

/// The ConfigMap that the pod template of a StatefulSet mounts.
#[must_use]
pub fn configuration(tree: &Value) -> Option<&str> {
    let volumes = tree.pointer("/spec/template/spec/volumes")?.as_array()?;
    volumes.iter().find_map(|volume| volume.get("configMap")?.get("name")?.as_str())
}
