//! What nodes have in common, built once a pass: a cluster may have thousands of nodes, and most of
//! what one is made of is the same for all of its kind.

use std::collections::BTreeMap;

use ottla_crds::agent::NodeDocument;
use serde_json::Value;

use super::{config_map, owned_metadata, pod};
use crate::desired::Desired;
use crate::node::{Group, Node};
use crate::properties;

/// What all nodes of one group and the same roles have in common.
pub struct Blueprint<'a> {
    /// What the cluster is to be.
    pub desired: &'a Desired,
    /// Kafka's cluster id.
    pub cluster_id: &'a str,
    /// Metadata of their objects, without what is the node's own.
    pub(super) metadata: Value,
    /// The node document without what is the node's own.
    pub(super) document: NodeDocument,
    /// `server.properties` without what is the node's own.
    pub(super) properties: BTreeMap<String, String>,
    /// The pod template without what is the node's own.
    pub(super) template: Value,
    /// The hash of what the spec asks of all their pods.
    pub(super) wish: String,
}

/// The blueprints of a cluster's nodes.
pub struct Blueprints<'a> {
    desired: &'a Desired,
    cluster_id: &'a str,
    quorum: String,
    kinds: BTreeMap<(Group, bool), Blueprint<'a>>,
}

impl<'a> Blueprints<'a> {
    /// Those of a cluster with these nodes.
    #[must_use]
    pub fn new(desired: &'a Desired, cluster_id: &'a str, nodes: &[Node]) -> Blueprints<'a> {
        let quorum = properties::quorum(desired, nodes);
        Blueprints { desired, cluster_id, quorum, kinds: BTreeMap::new() }
    }

    /// The blueprint that a node is built from.
    pub fn of(&mut self, node: &Node) -> &Blueprint<'a> {
        let (desired, cluster_id) = (self.desired, self.cluster_id);
        self.kinds.entry((node.group, node.is_controller())).or_insert_with(|| Blueprint {
            desired,
            cluster_id,
            metadata: owned_metadata(desired, ""),
            document: config_map::document(desired, cluster_id, node),
            properties: properties::common(desired, &self.quorum, node),
            template: pod::common(desired, node),
            wish: pod::common_wish(desired, node),
        })
    }
}

impl Blueprint<'_> {
    /// Metadata of an object of a node.
    pub(super) fn metadata(&self, node: &Node, name: &str) -> Value {
        let mut metadata = self.metadata.clone();
        metadata["name"] = name.into();
        metadata["labels"][crate::names::NODE_LABEL] = node.id.to_string().into();
        metadata["labels"][crate::names::GROUP_LABEL] = node.group.word().into();
        metadata
    }
}
