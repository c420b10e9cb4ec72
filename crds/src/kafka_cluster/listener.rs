//! Listeners: where clients connect to the brokers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One listener of every broker.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name, of lower case letters and digits; `controller`, `replication` and `nodes` are taken.
    #[schemars(length(min = 1, max = 15), regex(pattern = "^[a-z][a-z0-9]{0,14}$"))]
    #[x_kube(validation = Rule::new("!(self in ['controller', 'replication', 'nodes'])").message("the listener names controller, replication and nodes are Ottla's own: choose another name"))]
    pub name: String,
    /// Port, from 9092 up: lower ones are Ottla's own.
    #[schemars(range(min = 9092, max = 65535))]
    #[x_kube(validation = Rule::new("self != 9404").message("port 9404 serves metrics: choose another port from 9092 up"))]
    pub port: i32,
    /// Whether clients connect by TLS; the server's certificate is signed by the cluster's CA.
    pub tls: bool,
    /// How clients authenticate.
    pub authentication: Authentication,
    /// From where the listener is reached.
    pub access: Access,
}

/// How clients of a listener authenticate.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// Not at all: whoever reaches the port is let in.
    None,
}

/// From where a listener is reached.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// From inside the Kubernetes cluster.
    Internal,
}
