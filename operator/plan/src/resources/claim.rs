//! Claims of a node's volumes. They have no owner: data outlives the KafkaCluster.

use serde_json::{Value, json};

use super::blueprint::Blueprint;
use super::kept_metadata;
use crate::desired::{Desired, Volume};
use crate::names::{CLUSTER_ID_ANNOTATION, GROUP_LABEL, NODE_LABEL, RACK_ANNOTATION, VOLUME_LABEL};
use crate::node::Node;
use crate::object::{Kind, Object, desired_hash};
use crate::observed::Observed;
use crate::quantity;
use crate::report::WaitingOn;

/// The claims of one node.
#[must_use]
pub fn of_node(blueprint: &Blueprint<'_>, observed: &Observed, node: &Node) -> Vec<Object> {
    let volumes = &blueprint.desired.group(node.group).volumes;
    volumes.iter().map(|volume| claim(blueprint, observed, node, volume)).collect()
}

fn claim(blueprint: &Blueprint<'_>, observed: &Observed, node: &Node, volume: &Volume) -> Object {
    let Blueprint { desired, cluster_id, .. } = blueprint;
    let name = desired.names.claim(node, &volume.name);
    let live = observed.child(Kind::PersistentVolumeClaim, &name).map(|child| &*child.live);
    let build = |class| {
        let mut tree = json!({});
        tree["metadata"] = metadata(desired, cluster_id, node, volume);
        tree["spec"] = spec(volume, live, class);
        Object::new(Kind::PersistentVolumeClaim, name.clone(), tree)
    };
    let wished = build(volume.class.as_deref());
    // Kubernetes lets nobody move a claim to another class, so one that has to be written keeps its
    // own, whatever the spec says by now.
    match live.and_then(|live| live.get("spec")?.get("storageClassName")?.as_str()) {
        Some(class) if live.and_then(desired_hash) != Some(wished.hash()) => build(Some(class)),
        _ => wished,
    }
}

fn metadata(desired: &Desired, cluster_id: &str, node: &Node, volume: &Volume) -> Value {
    let mut metadata = kept_metadata(desired, &desired.names.claim(node, &volume.name));
    metadata["labels"][NODE_LABEL] = node.id.to_string().into();
    metadata["labels"][GROUP_LABEL] = node.group.word().into();
    metadata["labels"][VOLUME_LABEL] = volume.name.as_str().into();
    metadata["annotations"] = json!({ CLUSTER_ID_ANNOTATION: cluster_id });
    if let Some(rack) = &node.rack {
        metadata["annotations"][RACK_ANNOTATION] = rack.as_str().into();
    }
    metadata
}

fn spec(volume: &Volume, live: Option<&Value>, class: Option<&str>) -> Value {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": { "requests": { "storage": size(volume, live) } },
    });
    if let Some(class) = class {
        spec["storageClassName"] = class.into();
    }
    spec
}

/// Claims that hold more than the spec asks for.
pub(crate) fn larger(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<WaitingOn> {
    let of_node = |node: &Node| {
        let volumes = desired.group(node.group).volumes.iter();
        volumes
            .filter_map(|volume| {
                let claim = desired.names.claim(node, &volume.name);
                let live = &observed.child(Kind::PersistentVolumeClaim, &claim)?.live;
                let size = beyond(volume, live)?.to_owned();
                Some(WaitingOn::DiskStaysLarger { claim, size })
            })
            .collect::<Vec<_>>()
    };
    nodes.iter().flat_map(of_node).collect()
}

/// A claim that somebody else grew beyond the spec stays as large: claims cannot shrink.
fn size(volume: &Volume, live: Option<&Value>) -> String {
    live.and_then(|live| beyond(volume, live)).unwrap_or(&volume.size).to_owned()
}

/// What a claim asks for, where that is more than the spec does.
fn beyond<'a>(volume: &Volume, live: &'a Value) -> Option<&'a str> {
    let requests = live.get("spec")?.get("resources")?.get("requests")?;
    let request = requests.get("storage")?.as_str()?;
    if request == volume.size {
        return None;
    }
    (quantity::bytes(request) > Some(volume.size_bytes)).then_some(request)
}
