//! Listeners: where clients connect to the brokers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One listener of every broker.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name, of lower case letters and digits; `agent`, `controller`, `replication` and
    /// `nodes` are taken.
    #[schemars(length(min = 1, max = 15), regex(pattern = "^[a-z][a-z0-9]{0,14}$"))]
    #[x_kube(validation = Rule::new("!(self in ['agent', 'controller', 'replication', 'nodes'])").message("the listener names agent, controller, replication and nodes are Ottla's own: choose another name"))]
    pub name: String,
    /// Port, from 9092 up: lower ones are Ottla's own.
    #[schemars(range(min = 9092, max = 65535))]
    #[x_kube(
        validation = Rule::new("self != 9404").message("port 9404 serves metrics: choose another port from 9092 up"),
        validation = Rule::new("self == oldSelf").message("port cannot be changed yet: brokers that run would not listen there; add another listener instead")
    )]
    pub port: i32,
    /// Whether clients connect by TLS; the server's certificate is signed by the cluster's CA.
    #[x_kube(validation = Rule::new("self == oldSelf").message("tls cannot be changed yet: brokers that run would go on as they are; add another listener instead"))]
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
