//! Volumes of a node's pod: its configuration, its certificate, and its disks.

use serde_json::{Value, json};

use crate::desired::Desired;
use crate::node::Node;
use crate::object::Object;

/// The volumes that are the same for all.
pub(super) fn common() -> Vec<Value> {
    vec![json!({ "name": "tmp", "emptyDir": { "sizeLimit": "64Mi" } })]
}

/// Adds those that are a node's own.
pub(super) fn add(volumes: &mut Value, desired: &Desired, node: &Node, configuration: &Object) {
    let Some(volumes) = volumes.as_array_mut() else { return };
    let first = [
        json!({ "name": "config", "configMap": { "name": configuration.name } }),
        json!({
            "name": "tls",
            "secret": { "secretName": desired.names.node(node), "defaultMode": 0o440 },
        }),
    ];
    volumes.splice(0..0, first);
    volumes.extend(desired.group(node.group).volumes.iter().map(|volume| {
        json!({
            "name": format!("disk-{}", volume.name),
            "persistentVolumeClaim": { "claimName": desired.names.claim(node, &volume.name) },
        })
    }));
}
