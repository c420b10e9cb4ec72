//! A node's place in the cluster and its way to the metadata quorum.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::agent::Role;

use crate::desired::Desired;
use crate::node::{Node, of_id};

/// Kafka's key for the controllers by which a node finds the metadata quorum.
pub const BOOTSTRAP: &str = "controller.quorum.bootstrap.servers";

/// How every node finds the metadata quorum.
#[must_use]
pub fn quorum(desired: &Desired, bootstrap: &BTreeSet<i32>) -> String {
    let endpoints: Vec<String> =
        bootstrap.iter().map(|id| desired.names.controller_endpoint(&of_id(*id))).collect();
    endpoints.join(",")
}

pub(super) fn common(quorum: &str, node: &Node) -> BTreeMap<String, String> {
    let roles: Vec<&str> = node
        .roles
        .iter()
        .map(|role| match role {
            Role::Broker => "broker",
            Role::Controller => "controller",
        })
        .collect();
    BTreeMap::from([
        ("process.roles".to_owned(), roles.join(",")),
        (BOOTSTRAP.to_owned(), quorum.to_owned()),
        ("controller.quorum.auto.join.enable".to_owned(), "false".to_owned()),
    ])
}

pub(super) fn own(node: &Node) -> Vec<(&'static str, String)> {
    let mut own = vec![("node.id", node.id.to_string())];
    if let Some(rack) = node.rack.clone().filter(|_| node.is_broker()) {
        own.push(("broker.rack", rack));
    }
    own
}
