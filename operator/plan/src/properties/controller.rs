//! A node's place in the cluster and its way to the metadata quorum.

use std::collections::BTreeMap;

use ottla_crds::agent::Role;

use crate::desired::Desired;
use crate::node::Node;

/// How every node finds the metadata quorum.
#[must_use]
pub fn quorum(desired: &Desired, nodes: &[Node]) -> String {
    let controllers = nodes.iter().filter(|node| node.is_controller());
    let endpoints: Vec<String> =
        controllers.map(|node| desired.names.controller_endpoint(node)).collect();
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
        ("controller.quorum.bootstrap.servers".to_owned(), quorum.to_owned()),
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
