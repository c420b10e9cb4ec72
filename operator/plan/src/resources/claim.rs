//! Claims of a node's volumes. They have no owner: data outlives the KafkaCluster.

use serde_json::{Value, json};

use super::kept_metadata;
use crate::desired::{Desired, Volume};
use crate::names::{CLUSTER_ID_ANNOTATION, RACK_ANNOTATION, VOLUME_LABEL};
use crate::node::Node;
use crate::object::{Kind, Object};
use crate::observed::Observed;
use crate::quantity;

/// The claims of one node.
#[must_use]
pub fn of_node(
    desired: &Desired,
    observed: &Observed,
    cluster_id: &str,
    node: &Node,
) -> Vec<Object> {
    let volumes = &desired.group(node.group).volumes;
    volumes.iter().map(|volume| claim(desired, observed, cluster_id, node, volume)).collect()
}

fn claim(
    desired: &Desired,
    observed: &Observed,
    cluster_id: &str,
    node: &Node,
    volume: &Volume,
) -> Object {
    let name = desired.names.claim(node, &volume.name);
    let mut metadata = kept_metadata(desired, &name);
    let mut labels = desired.names.node_labels(node);
    labels.insert(VOLUME_LABEL.to_owned(), volume.name.clone());
    metadata["labels"] = json!(labels);
    metadata["annotations"] = json!({ CLUSTER_ID_ANNOTATION: cluster_id });
    if let Some(rack) = &node.rack {
        metadata["annotations"][RACK_ANNOTATION] = rack.as_str().into();
    }
    let live = observed.child(Kind::PersistentVolumeClaim, &name).map(|child| &child.live);
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": { "requests": { "storage": size(volume, live) } },
    });
    if let Some(class) = &volume.class {
        spec["storageClassName"] = class.as_str().into();
    }
    let tree = json!({ "metadata": metadata, "spec": spec });
    Object::new(Kind::PersistentVolumeClaim, name, tree)
}

/// A claim that somebody else grew beyond the spec stays as large: claims cannot shrink.
fn size(volume: &Volume, live: Option<&Value>) -> String {
    let request = live.and_then(|live| live.pointer("/spec/resources/requests/storage")?.as_str());
    match request {
        Some(request) if quantity::bytes(request) > Some(volume.size_bytes) => request.to_owned(),
        _ => volume.size.clone(),
    }
}
