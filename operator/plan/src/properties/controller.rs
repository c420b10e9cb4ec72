//! A node's place in the cluster and its way to the metadata quorum.

use std::collections::BTreeMap;

use ottla_crds::agent::Role;

use crate::desired::Desired;
use crate::node::Node;

pub(super) fn properties(
    desired: &Desired,
    nodes: &[Node],
    node: &Node,
) -> BTreeMap<String, String> {
    let roles: Vec<&str> = node
        .roles
        .iter()
        .map(|role| match role {
            Role::Broker => "broker",
            Role::Controller => "controller",
        })
        .collect();
    let quorum: Vec<String> = nodes
        .iter()
        .filter(|node| node.is_controller())
        .map(|node| desired.names.controller_endpoint(node))
        .collect();
    let mut properties = BTreeMap::from([
        ("node.id".to_owned(), node.id.to_string()),
        ("process.roles".to_owned(), roles.join(",")),
        ("controller.quorum.bootstrap.servers".to_owned(), quorum.join(",")),
        ("controller.quorum.auto.join.enable".to_owned(), "false".to_owned()),
    ]);
    if let Some(rack) = &node.rack
        && node.is_broker()
    {
        properties.insert("broker.rack".to_owned(), rack.clone());
    }
    properties
}
