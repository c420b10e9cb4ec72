//! The one container of a node's pod: the agent, which runs Kafka.

use ottla_crds::agent::{
    AGENT_PORT, CONFIG_FOLDER, METRICS_PORT, PROBE_PORT, TLS_FOLDER, VOLUMES_FOLDER,
};
use serde_json::{Map, Value, json};

use crate::desired::{Desired, GroupDesired};
use crate::node::Node;

/// Name of the container.
pub const NAME: &str = "kafka";

pub(super) fn kafka(desired: &Desired, node: &Node, group: &GroupDesired) -> Value {
    let mut container = json!({
        "name": NAME,
        "image": desired.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            { "name": "probe", "containerPort": PROBE_PORT, "protocol": "TCP" },
            { "name": "agent", "containerPort": AGENT_PORT, "protocol": "TCP" },
            { "name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP" },
        ],
        "readinessProbe": readiness(),
        "livenessProbe": liveness(),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": mounts(node),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let resources = resources(group);
    if !resources.is_empty() {
        container["resources"] = Value::Object(resources);
    }
    container
}

/// Asked each second: how soon a node counts as Ready is how long every roll takes.
fn readiness() -> Value {
    json!({
        "httpGet": { "path": "/readyz", "port": PROBE_PORT, "scheme": "HTTP" },
        "periodSeconds": 1,
        "timeoutSeconds": 3,
        "failureThreshold": 3,
    })
}

/// Asks only whether the agent lives: it ends by itself when the JVM does.
fn liveness() -> Value {
    json!({
        "httpGet": { "path": "/livez", "port": PROBE_PORT, "scheme": "HTTP" },
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 6,
    })
}

fn mounts(node: &Node) -> Vec<Value> {
    let mut mounts = vec![
        json!({ "name": "config", "mountPath": CONFIG_FOLDER, "readOnly": true }),
        json!({ "name": "tls", "mountPath": TLS_FOLDER, "readOnly": true }),
        json!({ "name": "tmp", "mountPath": "/tmp" }),
    ];
    mounts.extend(node.volumes.iter().map(|volume| {
        json!({
            "name": format!("disk-{}", volume.name),
            "mountPath": format!("{VOLUMES_FOLDER}/{}", volume.name),
        })
    }));
    mounts
}

fn resources(group: &GroupDesired) -> Map<String, Value> {
    let mut resources = Map::new();
    for (key, quantities) in
        [("requests", &group.resources.requests), ("limits", &group.resources.limits)]
    {
        if !quantities.is_empty() {
            resources.insert(key.to_owned(), json!(quantities));
        }
    }
    resources
}
