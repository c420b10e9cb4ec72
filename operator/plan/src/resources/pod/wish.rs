//! What the spec asks of a node's pod. A pod that was made for the same wish is not restarted, even
//! if another release of Ottla would make it differently.

use std::collections::BTreeSet;

use super::super::blueprint::Blueprint;
use crate::desired::Desired;
use crate::node::Node;
use crate::object::hash;
use crate::properties;

/// The hash of everything in the spec that a node can only follow by a restart.
pub(super) fn wish(blueprint: &Blueprint<'_>, node: &Node) -> String {
    let topology_key = blueprint.desired.racks.as_ref().map(|racks| &racks.topology_key);
    hash(&(&blueprint.wish, &node.rack, topology_key))
}

/// The hash of that part of it which is the same for all nodes of a kind.
pub(in super::super) fn common(
    desired: &Desired,
    bootstrap: &BTreeSet<i32>,
    brokers: usize,
    node: &Node,
) -> String {
    let group = desired.group(node.group);
    let volumes: Vec<&str> = node.volumes.iter().map(|volume| volume.name.as_str()).collect();
    hash(&(
        (&desired.version, &desired.own_image, &desired.config, &desired.listeners),
        (&node.roles, bootstrap, properties::replication_factor(brokers)),
        (&group.resources, &group.own_heap, &group.jvm_options, &group.pod, volumes),
    ))
}
