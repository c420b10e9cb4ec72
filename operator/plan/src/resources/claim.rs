//! Claims of a node's volumes. They have no owner: data outlives the KafkaCluster.

use std::sync::Arc;

use serde_json::{Value, json};

use super::blueprint::{Blueprint, own_metadata};
use super::kept_metadata;
use crate::desired::{Desired, Volume};
use crate::names::{CLUSTER_ID_ANNOTATION, GROUP_LABEL, RACK_ANNOTATION, VOLUME_LABEL};
use crate::node::Node;
use crate::object::{Common, Kind, Object, desired_hash};
use crate::observed::{Claim, Observed};
use crate::quantity;
use crate::report::WaitingOn;

/// The claims of one node.
#[must_use]
pub fn of_node(blueprint: &Blueprint<'_>, observed: &Observed, node: &Node) -> Vec<Object> {
    let volumes = node.volumes.iter().zip(&blueprint.claims);
    volumes.map(|(volume, common)| claim(blueprint, observed, node, volume, common)).collect()
}

fn claim(
    blueprint: &Blueprint<'_>,
    observed: &Observed,
    node: &Node,
    volume: &Volume,
    common: &Arc<Common>,
) -> Object {
    let name = blueprint.desired.names.claim(node, &volume.name);
    let live = observed.child(Kind::PersistentVolumeClaim, &name).map(|child| &*child.live);
    let build = |class: Option<&str>| {
        let own = own(node, &name, volume, live, class);
        Object::over(common, Kind::PersistentVolumeClaim, name.clone(), own)
    };
    let wished = build(None);
    // Kubernetes lets nobody move a claim to another class, so one that has to be written keeps its
    // own, whatever the spec says by now.
    match live.and_then(|live| live.get("spec")?.get("storageClassName")?.as_str()) {
        Some(class) if live.and_then(desired_hash) != Some(wished.hash()) => build(Some(class)),
        _ => wished,
    }
}

/// What is a claim's own. One that somebody else grew beyond the spec stays as large: claims cannot
/// shrink.
fn own(
    node: &Node,
    name: &str,
    volume: &Volume,
    live: Option<&Value>,
    class: Option<&str>,
) -> Value {
    let mut own = json!({ "metadata": own_metadata(node, name) });
    if let Some(rack) = &node.rack {
        own["metadata"]["annotations"][RACK_ANNOTATION] = rack.as_str().into();
    }
    if let Some(size) = live.and_then(|live| beyond(volume, live)) {
        own["spec"]["resources"]["requests"]["storage"] = size.into();
    }
    if let Some(class) = class {
        own["spec"]["storageClassName"] = class.into();
    }
    own
}

/// What is the same in the claims of all nodes of a kind, one a volume.
pub(super) fn common(desired: &Desired, cluster_id: &str, node: &Node) -> Vec<Arc<Common>> {
    let each = node.volumes.iter().map(|volume| {
        let mut metadata = kept_metadata(desired, "");
        metadata["labels"][GROUP_LABEL] = node.group.word().into();
        metadata["labels"][VOLUME_LABEL] = volume.name.as_str().into();
        metadata["annotations"] = json!({ CLUSTER_ID_ANNOTATION: cluster_id });
        Common::new(json!({ "metadata": metadata, "spec": spec(volume) }))
    });
    each.collect()
}

fn spec(volume: &Volume) -> Value {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": { "requests": { "storage": volume.size } },
    });
    if let Some(class) = &volume.class {
        spec["storageClassName"] = class.as_str().into();
    }
    spec
}

/// Claims that are not what the spec asks for, and cannot become it.
pub(crate) fn unlike(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<WaitingOn> {
    let exists = |one: &Claim| {
        let key = (one.group, one.node_id);
        nodes.binary_search_by_key(&key, |node| (node.group, node.id)).is_ok()
    };
    let unlike = |(name, one): (&String, &Claim)| {
        let mut wished = desired.group(one.group).volumes.iter();
        let volume = wished.find(|volume| volume.name == one.volume)?;
        let claim = name.clone();
        if let (Some(wished), Some(class)) = (&volume.class, &one.class)
            && wished != class
        {
            return Some(WaitingOn::DiskKeepsClass { claim, class: class.clone() });
        }
        let size = exceeding(volume, one.size.as_deref()?)?.to_owned();
        Some(WaitingOn::DiskStaysLarger { claim, size })
    };
    let claims = observed.claims.iter().filter(|(_, one)| exists(one));
    claims.filter_map(unlike).collect()
}

/// What a claim asks for, where that is more than the spec does.
fn beyond<'a>(volume: &Volume, live: &'a Value) -> Option<&'a str> {
    let requests = live.get("spec")?.get("resources")?.get("requests")?;
    exceeding(volume, requests.get("storage")?.as_str()?)
}

fn exceeding<'a>(volume: &Volume, request: &'a str) -> Option<&'a str> {
    if request == volume.size {
        return None;
    }
    (quantity::bytes(request) > Some(volume.size_bytes)).then_some(request)
}
