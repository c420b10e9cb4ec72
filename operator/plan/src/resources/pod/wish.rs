//! What the spec asks of a node's pod. A pod that was made for the same wish is not restarted, even
//! if another release of Ottla would make it differently.

use crate::desired::Desired;
use crate::node::Node;
use crate::object::hash;
use crate::properties;

/// The hash of everything in the spec that a node can only follow by a restart.
#[must_use]
pub fn wish(desired: &Desired, node: &Node) -> String {
    let group = desired.group(node.group);
    let volumes: Vec<&str> = group.volumes.iter().map(|volume| volume.name.as_str()).collect();
    hash(&(
        (&desired.version, &desired.own_image, &desired.config, &desired.listeners),
        (desired.dedicated(), desired.voters, properties::replication_factor(desired)),
        (&group.resources, &group.own_heap, &group.jvm_options, &group.pod, volumes),
        (&node.rack, &desired.racks.as_ref().map(|racks| &racks.topology_key)),
    ))
}
