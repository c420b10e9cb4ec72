//! Volumes of a node's pod: its configuration, its certificate, and its disks.

use serde_json::{Value, json};

use crate::desired::Desired;
use crate::node::Node;
use crate::object::Object;

pub(super) fn all(desired: &Desired, node: &Node, configuration: &Object) -> Vec<Value> {
    let mut volumes = vec![
        json!({ "name": "config", "configMap": { "name": configuration.name } }),
        json!({
            "name": "tls",
            "secret": { "secretName": desired.names.node(node), "defaultMode": 0o440 },
        }),
        json!({ "name": "tmp", "emptyDir": { "sizeLimit": "64Mi" } }),
    ];
    volumes.extend(node.volumes.iter().map(|volume| {
        json!({
            "name": format!("disk-{}", volume.name),
            "persistentVolumeClaim": { "claimName": desired.names.claim(node, &volume.name) },
        })
    }));
    volumes
}
