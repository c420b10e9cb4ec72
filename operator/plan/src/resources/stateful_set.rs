//! One StatefulSet a node: any node can have its own configuration, disks and life, and its pod
//! comes back while the operator is down.

use serde_json::{Value, json};

use super::blueprint::Blueprint;
use super::pod;
use crate::names::{CLUSTER_LABEL, NODE_LABEL};
use crate::node::Node;
use crate::object::{Kind, Object};

/// The StatefulSet of a node that runs with the given configuration.
#[must_use]
pub fn node(blueprint: &Blueprint<'_>, node: &Node, configuration: &Object) -> Object {
    let desired = blueprint.desired;
    let name = desired.names.node(node);
    let mut tree = json!({
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
        },
    });
    // Put in place: `json!` would copy them.
    tree["metadata"] = blueprint.metadata(node, &name);
    let mut template = pod::template(blueprint, node, configuration);
    tree["spec"]["template"]["metadata"] = template["metadata"].take();
    // Its annotations have the hash of all of it already.
    let mut object = Object::new(Kind::StatefulSet, name, tree);
    object.tree["spec"]["template"]["spec"] = template["spec"].take();
    object
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
    let template = tree.get("spec")?.get("template")?;
    template.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// The ConfigMap that the pod template of a StatefulSet mounts.
#[must_use]
pub fn configuration(tree: &Value) -> Option<&str> {
    let template = tree.get("spec")?.get("template")?;
    let volumes = template.get("spec")?.get("volumes")?.as_array()?;
    volumes.iter().find_map(|volume| volume.get("configMap")?.get("name")?.as_str())
}
