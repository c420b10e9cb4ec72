//! The child objects of a cluster, one file a kind. Building them cannot fail.

use serde_json::{Value, json};

use crate::desired::Desired;
use crate::node::{Group, Node};
use crate::object::Object;
use crate::observed::Observed;

pub mod blueprint;
pub mod claim;
pub mod config_map;
pub mod disruption_budget;
pub mod network_policy;
pub mod pod;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod stateful_set;

/// Objects that belong to the cluster as a whole.
#[must_use]
pub fn of_cluster(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<Object> {
    let mut objects = vec![
        service_account::nodes(desired),
        service::nodes(desired),
        network_policy::nodes(desired),
    ];
    objects.extend(desired.listeners.iter().map(|listener| service::bootstrap(desired, listener)));
    objects.extend(
        [Group::Broker, Group::Controller]
            .into_iter()
            .filter_map(|group| disruption_budget::group(desired, observed, nodes, group)),
    );
    objects.extend(
        observed
            .authority
            .iter()
            .map(|authority| config_map::authority(desired, &authority.trusted_pem)),
    );
    objects
}

/// Metadata of an object that lives and dies with the KafkaCluster.
fn owned_metadata(desired: &Desired, name: &str) -> Value {
    let mut metadata = kept_metadata(desired, name);
    metadata["labels"] = json!(desired.names.labels());
    metadata["ownerReferences"] = json!([{
        "apiVersion": "ottla.dev/v1alpha1",
        "kind": "KafkaCluster",
        "name": desired.names.cluster,
        "uid": desired.uid,
        "controller": true,
    }]);
    metadata
}

/// Metadata of an object that outlives the KafkaCluster.
fn kept_metadata(desired: &Desired, name: &str) -> Value {
    json!({
        "name": name,
        "namespace": desired.names.namespace,
        "labels": desired.names.kept_labels(),
    })
}
