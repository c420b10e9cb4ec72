//! Services: one for the names of nodes, and one a listener to bootstrap from.

use ottla_crds::agent::{AGENT_PORT, CONTROLLER_PORT, REPLICATION_PORT};
use ottla_crds::kafka_cluster::listener::Listener;
use serde_json::{Value, json};

use super::owned_metadata;
use crate::desired::Desired;
use crate::names::{BROKER_LABEL, CLUSTER_LABEL};
use crate::object::{Kind, Object};

/// The headless Service that gives every node its name. Names of nodes that are not Ready are
/// published too: a quorum could never form otherwise.
#[must_use]
pub fn nodes(desired: &Desired) -> Object {
    let name = desired.names.nodes();
    let mut ports = vec![
        port("controller", CONTROLLER_PORT.into()),
        port("replication", REPLICATION_PORT.into()),
        port("agent", AGENT_PORT.into()),
    ];
    ports.extend(desired.listeners.iter().map(|l| port(&l.name, l.port)));
    let tree = json!({
        "metadata": owned_metadata(desired, &name),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": { CLUSTER_LABEL: desired.names.cluster },
            "ports": ports,
        },
    });
    Object::new(Kind::Service, name, tree)
}

/// The Service by which clients of a listener find their first broker.
#[must_use]
pub fn bootstrap(desired: &Desired, listener: &Listener) -> Object {
    let name = desired.names.bootstrap(&listener.name);
    let tree = json!({
        "metadata": owned_metadata(desired, &name),
        "spec": {
            "type": "ClusterIP",
            "selector": { CLUSTER_LABEL: desired.names.cluster, BROKER_LABEL: "true" },
            "ports": [port(&listener.name, listener.port)],
        },
    });
    Object::new(Kind::Service, name, tree)
}

fn port(name: &str, port: i32) -> Value {
    json!({ "name": name, "port": port, "targetPort": port, "protocol": "TCP" })
}
