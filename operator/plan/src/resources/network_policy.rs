//! The NetworkPolicy of nodes: Ottla's own ports for nodes and the operator alone.

use ottla_crds::agent::{AGENT_PORT, CONTROLLER_PORT, METRICS_PORT, PROBE_PORT, REPLICATION_PORT};
use serde_json::{Value, json};

use super::owned_metadata;
use crate::desired::Desired;
use crate::names::CLUSTER_LABEL;
use crate::object::{Kind, Object};

/// Who may reach which port of a node. Client listeners, probes and metrics are open to whoever
/// the namespace's other policies let in.
#[must_use]
pub fn nodes(desired: &Desired) -> Object {
    let name = desired.names.nodes();
    let node =
        json!({ "podSelector": { "matchLabels": { CLUSTER_LABEL: desired.names.cluster } } });
    let operator = json!({
        "namespaceSelector": {
            "matchLabels": { "kubernetes.io/metadata.name": desired.settings.operator_namespace },
        },
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": "ottla" } },
    });
    let mut open = vec![port(PROBE_PORT.into()), port(METRICS_PORT.into())];
    open.extend(desired.listeners.iter().map(|listener| port(listener.port)));
    let tree = json!({
        "metadata": owned_metadata(desired, &name),
        "spec": {
            "podSelector": { "matchLabels": { CLUSTER_LABEL: desired.names.cluster } },
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [node, operator],
                    "ports": [port(CONTROLLER_PORT.into()), port(REPLICATION_PORT.into())],
                },
                { "from": [operator], "ports": [port(AGENT_PORT.into())] },
                { "ports": open },
            ],
        },
    });
    Object::new(Kind::NetworkPolicy, name, tree)
}

fn port(port: i32) -> Value {
    json!({ "port": port, "protocol": "TCP" })
}
