//! ConfigMaps: a node's configuration, and the CA's certificate for clients.

use std::sync::Arc;

use ottla_crds::agent::NodeDocument;
use serde_json::{Value, json};

use super::blueprint::{Blueprint, common_metadata, own_metadata};
use super::kept_metadata;
use crate::desired::Desired;
use crate::node::Node;
use crate::object::{Common, Kind, Object, hash};
use crate::observed::{Observed, Pod};
use crate::properties;

/// The JVM is killed when it has not stopped after this long. Without a reachable controller,
/// controlled shutdown alone takes five minutes (`ReplicaManager` waits for a controller), and
/// killing it earlier would be an unclean shutdown.
pub const SHUTDOWN_SECONDS: u64 = 360;

/// The CA's certificate, for clients of TLS listeners; while it is renewed both.
#[must_use]
pub fn authority(desired: &Desired, pem: &str) -> Object {
    let name = desired.names.authority();
    let tree = json!({
        "metadata": kept_metadata(desired, &name),
        "data": { "ca.crt": pem },
    });
    Object::new(Kind::ConfigMap, name, tree)
}

/// The configuration of one node, immutable and named by its content, so that going back is
/// naming the previous one.
#[must_use]
pub fn node(blueprint: &Blueprint<'_>, node: &Node) -> Object {
    let desired = blueprint.desired;
    let properties = properties::render(&blueprint.properties, desired, node);
    let mut document = NodeDocument {
        node_id: node.id,
        hostname: desired.names.host(node),
        ..blueprint.document.clone()
    };
    let hash = hash(&(&properties, &document));
    document.config_hash.clone_from(&hash);
    let name = format!("{}-{hash}", desired.names.node(node));
    let own = json!({ "metadata": own_metadata(node, &name) });
    // Its name has the hash of the content already.
    let mut object = Object::over(&blueprint.config_map, Kind::ConfigMap, name, own);
    let document = serde_json::to_string_pretty(&document).unwrap_or_default();
    object.own["data"]["node.json"] = document.into();
    object.own["data"]["server.properties"] = properties.into();
    object
}

/// What is the same in the configurations of all nodes of a kind.
pub(super) fn common(desired: &Desired, node: &Node) -> Arc<Common> {
    Common::new(json!({ "immutable": true, "metadata": common_metadata(desired, node) }))
}

/// The configuration's hash, which is the last part of its ConfigMap's name.
#[must_use]
pub fn config_hash(object: &Object) -> &str {
    object.name.rsplit('-').next().unwrap_or_default()
}

/// The node document of all nodes of a kind, but for what is a node's own.
pub(super) fn document(desired: &Desired, cluster_id: &str, node: &Node) -> NodeDocument {
    let group = desired.group(node.group);
    let volumes: Vec<String> = node.volumes.iter().map(|volume| volume.name.clone()).collect();
    NodeDocument {
        cluster: desired.names.cluster.clone(),
        cluster_id: cluster_id.to_owned(),
        node_id: node.id,
        roles: node.roles.clone(),
        kafka_version: desired.version.clone(),
        metadata_volume: volumes.first().cloned().unwrap_or_default(),
        volumes,
        hostname: desired.names.host(node),
        heap_bytes: group.heap_bytes,
        jvm_options: group.jvm_options.clone(),
        operator_name: desired.names.operator(),
        shutdown_seconds: SHUTDOWN_SECONDS,
        config_hash: String::new(),
    }
}

/// Whether a ConfigMap of ours is the configuration of a node.
#[must_use]
pub fn is_node_configuration(live: &Value) -> bool {
    live.get("metadata")
        .and_then(|metadata| metadata.get("labels"))
        .is_some_and(|labels| labels.get(crate::names::NODE_LABEL).is_some())
}

/// The configuration that a pod was made with, as long as it is there.
pub(crate) fn mounted<'a>(observed: &'a Observed, pod: &Pod) -> Option<&'a Value> {
    named(observed, pod.configuration.as_ref()?)
}

/// The configuration of that name, as long as it is there.
pub(crate) fn named<'a>(observed: &'a Observed, name: &str) -> Option<&'a Value> {
    Some(&observed.child(Kind::ConfigMap, name)?.live)
}

/// A key's value in the `server.properties` of a configuration.
pub(crate) fn property<'a>(configuration: &'a Value, key: &str) -> Option<&'a str> {
    let text = configuration.pointer("/data/server.properties")?.as_str()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// The node document that a pod was made with.
pub(crate) fn mounted_document(observed: &Observed, pod: &Pod) -> Option<NodeDocument> {
    document_in(mounted(observed, pod)?)
}

/// The node document in a node's ConfigMap.
pub(crate) fn document_in(configuration: &Value) -> Option<NodeDocument> {
    serde_json::from_str(configuration.pointer("/data/node.json")?.as_str()?).ok()
}
