//! What nodes have in common, built once a pass: a cluster may have thousands of nodes, and most of
//! what one is made of is the same for all of its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::agent::NodeDocument;
use serde_json::{Value, json};

use super::{claim, config_map, owned_metadata, pod, stateful_set};
use crate::desired::{Desired, Volume};
use crate::names::{GROUP_LABEL, NODE_LABEL};
use crate::node::{Group, Node};
use crate::object::{Common, hash};
use crate::observed::Observed;
use crate::{properties, quorum};

/// What all nodes of one group with the same roles and disks have in common.
pub struct Blueprint<'a> {
    /// What the cluster is to be.
    pub desired: &'a Desired,
    /// The node document without what is the node's own.
    pub(super) document: NodeDocument,
    /// `server.properties` without what is the node's own.
    pub(super) properties: BTreeMap<String, String>,
    /// Of their ConfigMaps.
    pub(super) config_map: Arc<Common>,
    /// Of their StatefulSets.
    pub(super) stateful_set: Arc<Common>,
    /// The hash of what is common to their pod templates.
    pub(super) template: String,
    /// The hash of what the spec asks of all their pods.
    pub(super) wish: String,
    /// Of their claims, one a volume.
    pub(super) claims: Vec<Arc<Common>>,
}

/// What tells kinds of nodes apart: their group, whether they are controllers, and their disks.
type Kind = (Group, bool, Arc<[Volume]>);

/// The blueprints of a cluster's nodes.
pub struct Blueprints<'a> {
    desired: &'a Desired,
    cluster_id: &'a str,
    quorum: String,
    /// The controllers that it is found by.
    bootstrap: BTreeSet<i32>,
    /// How many brokers there are.
    brokers: usize,
    kinds: BTreeMap<Kind, Blueprint<'a>>,
}

impl<'a> Blueprints<'a> {
    /// Those of a cluster with these nodes.
    #[must_use]
    pub fn new(
        desired: &'a Desired,
        observed: &Observed,
        cluster_id: &'a str,
        nodes: &[Node],
    ) -> Blueprints<'a> {
        let bootstrap = quorum::bootstrap(desired, observed);
        let quorum = properties::quorum(desired, &bootstrap);
        let brokers = nodes.iter().filter(|node| node.is_broker()).count();
        Blueprints { desired, cluster_id, quorum, bootstrap, brokers, kinds: BTreeMap::new() }
    }

    /// The blueprint that a node is built from.
    pub fn of(&mut self, node: &Node) -> &Blueprint<'a> {
        let (desired, cluster_id) = (self.desired, self.cluster_id);
        let kind = (node.group, node.is_controller(), Arc::clone(&node.volumes));
        self.kinds.entry(kind).or_insert_with(|| {
            let template = pod::common(desired, node);
            Blueprint {
                desired,
                document: config_map::document(desired, cluster_id, node),
                properties: properties::common(desired, &self.quorum, self.brokers, node),
                template: hash(&template),
                config_map: config_map::common(desired, node),
                stateful_set: stateful_set::common(desired, node, template),
                wish: pod::common_wish(desired, &self.bootstrap, self.brokers, node),
                claims: claim::common(desired, cluster_id, node),
            }
        })
    }
}

/// Metadata that all objects of a kind of node share, and that live with the KafkaCluster.
pub(super) fn common_metadata(desired: &Desired, node: &Node) -> Value {
    let mut metadata = owned_metadata(desired, "");
    metadata["labels"][GROUP_LABEL] = node.group.word().into();
    metadata
}

/// Metadata that is a node's own.
pub(super) fn own_metadata(node: &Node, name: &str) -> Value {
    json!({ "name": name, "labels": { NODE_LABEL: node.id.to_string() } })
}
