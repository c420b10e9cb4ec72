//! Who the cluster is: its id, its first voters, and which disks are known. The identity object
//! outlives the KafkaCluster, so that creating it again finds its data.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::agent::DiskMeta;
use serde_json::{Value, json};

use crate::action::{Action, Target};
use crate::desired::Desired;
use crate::node::{FIRST_CONTROLLER_ID, Group, Node, of_id};
use crate::object::{Kind, Object};
use crate::observed::{Claim, Identity, Observed, QuorumRecord, disk_key};
use crate::report::WaitingOn;
use crate::{disks, repair};

/// Key of the cluster id in the identity object.
pub const CLUSTER_ID: &str = "clusterId";
/// Key of the first voters, JSON from node id to directory id.
pub const VOTERS: &str = "voters";
/// Key of the disks seen formatted, JSON from `node id/volume` to directory id.
pub const DISKS: &str = "disks";
/// Key of the quorum as it was decided last, JSON of [`QuorumRecord`](crate::observed::QuorumRecord);
/// absent as long as the first voters are all there is.
pub const QUORUM: &str = "quorum";
/// Key of what the operator has begun, JSON of [`Traces`](crate::observed::Traces); absent as long as that is
/// nothing.
pub const TRACES: &str = "traces";

/// Creates the identity of a new cluster, or says why it must not.
pub(crate) fn plan(desired: &Desired, observed: &Observed) -> Result<Vec<Action>, WaitingOn> {
    let name = desired.names.identity();
    if let Some(taken) = repair::stranger(observed, Kind::ConfigMap, &name) {
        return Err(taken);
    }
    if let Some(problem) = &observed.identity_problem {
        return Err(WaitingOn::IdentityLost {
            detail: format!("ConfigMap {name} {problem}: restore it from a backup"),
        });
    }
    if observed.identity.is_some() {
        return Ok(Vec::new());
    }
    if observed.child(Kind::ConfigMap, &name).is_some() {
        let detail = format!("ConfigMap {name} exists but was not understood");
        return Err(WaitingOn::IdentityLost { detail });
    }
    match known_cluster_ids(observed).as_slice() {
        [] => Ok(vec![new_identity(desired)]),
        [id] if id.found_on_all => Ok(vec![Action::Create(restored(desired, observed, &id.id))]),
        ids => Err(WaitingOn::IdentityLost { detail: lost(&name, ids) }),
    }
}

struct KnownId {
    id: String,
    found_on_all: bool,
}

/// Cluster ids that claims and the status still carry. A claim of ours without any id is a disk
/// of which nothing is known, and then nothing may be guessed.
fn known_cluster_ids(observed: &Observed) -> Vec<KnownId> {
    let mut noted: Vec<Option<&String>> =
        observed.claims.values().map(|claim| claim.cluster_id.as_ref()).collect();
    if observed.recorded_cluster_id.is_some() {
        noted.push(observed.recorded_cluster_id.as_ref());
    }
    let mut ids: Vec<&String> = noted.iter().flatten().copied().collect();
    ids.sort();
    ids.dedup();
    let found_on_all = noted.iter().all(Option::is_some);
    if ids.is_empty() && !noted.is_empty() {
        return vec![KnownId { id: String::new(), found_on_all: false }];
    }
    ids.into_iter().map(|id| KnownId { id: id.clone(), found_on_all }).collect()
}

fn lost(name: &str, ids: &[KnownId]) -> String {
    let found: Vec<&str> =
        ids.iter().map(|id| id.id.as_str()).filter(|id| !id.is_empty()).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    format!(
        "ConfigMap {name} is missing although claims of this cluster exist, and their cluster ids do not settle it (found: {found}): restore the ConfigMap, or delete the claims if their data is not wanted"
    )
}

/// Node ids of the first voters.
#[must_use]
pub fn first_voters(desired: &Desired) -> Vec<i32> {
    let first = if desired.dedicated() { FIRST_CONTROLLER_ID } else { 0 };
    (first..first + desired.voters).collect()
}

fn new_identity(desired: &Desired) -> Action {
    let object = object(desired, None);
    Action::NewIdentity { object, voters: first_voters(desired) }
}

/// The identity from what claims still know. Voters stay unknown, so no disk of a voter is ever
/// formatted under it; a running cluster needs none of that.
fn restored(desired: &Desired, observed: &Observed, cluster_id: &str) -> Object {
    let disks: BTreeMap<String, String> = present_disks(observed, cluster_id).collect();
    // Controllers whose claims are left may have left themselves.
    let controllers = observed.claims.values().filter(|claim| claim.group == Group::Controller);
    let registered = controllers.map(|claim| claim.node_id).collect();
    let record = QuorumRecord { registered, ..QuorumRecord::default() };
    object(
        desired,
        Some(json!({
            CLUSTER_ID: cluster_id,
            VOTERS: "{}",
            DISKS: serde_json::to_string(&disks).unwrap_or_default(),
            QUORUM: serde_json::to_string(&record).unwrap_or_default(),
        })),
    )
}

fn object(desired: &Desired, content: Option<Value>) -> Object {
    let mut tree = json!({
        "metadata": {
            "name": desired.names.identity(),
            "namespace": desired.names.namespace,
            "labels": desired.names.kept_labels(),
        },
    });
    if let Some(content) = content {
        tree["data"] = content;
    }
    Object::new(Kind::ConfigMap, desired.names.identity(), tree)
}

/// Where the spec does not fit the data that the cluster has. The definition refuses such a change
/// of a KafkaCluster that exists, but one that is created again may differ in anything.
pub(crate) fn mismatches(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<WaitingOn> {
    let Some(identity) = &observed.identity else { return Vec::new() };
    let mut found: Vec<String> = other_place(desired, identity).into_iter().collect();
    found.extend(too_few_brokers(observed, identity, nodes));
    let mut disks: Vec<(i32, &str)> = disks::perhaps_used(desired, observed).collect();
    if identity.voters.is_empty() {
        disks.extend(observed.claims.values().map(|claim| (claim.node_id, claim.volume.as_str())));
    }
    disks.sort_unstable();
    disks.dedup();
    // Those of a cluster that runs are emptied and taken out.
    let running: BTreeSet<Group> = observed.nodes_with_sets().map(|(group, _)| group).collect();
    disks.retain(|(id, _)| !running.contains(&field(*id).0));
    found.extend(disks.into_iter().filter_map(|(id, volume)| left_out(desired, id, volume)));
    found.extend(observed.claims.values().find_map(|claim| without_rack(desired, claim)));
    found.into_iter().map(|detail| WaitingOn::DataMismatch { detail }).collect()
}

/// Controllers with pods of their own have disks that nothing else can be made with.
fn other_place(desired: &Desired, identity: &Identity) -> Option<String> {
    let members = identity.quorum.members.keys();
    let dedicated: Vec<i32> = members.copied().filter(|id| *id >= FIRST_CONTROLLER_ID).collect();
    (!desired.dedicated() && !dedicated.is_empty()).then(|| {
        format!(
            "the controllers of this cluster are {dedicated:?}, in pods of their own, and the spec asks for Colocated ones: {AGAIN} controllers.placement as it was"
        )
    })
}

/// The way back: the rules of a KafkaCluster that exists keep most of what does not fit as it is.
const AGAIN: &str = "delete the KafkaCluster, whose data stays, and create it again with";

/// A quorum of which a majority has no pod would be waited for for ever.
fn too_few_brokers(observed: &Observed, identity: &Identity, nodes: &[Node]) -> Option<String> {
    let members: Vec<i32> = identity.quorum.members.keys().copied().collect();
    let missing = members.iter().any(|id| !nodes.iter().any(|node| node.id == *id));
    (missing && observed.kafka.known().is_none()).then(|| {
        format!(
            "the controllers of this cluster are {members:?}, and the spec has no broker for each of them: raise brokers.replicas, until they have been started once"
        )
    })
}

/// Without racks a claim's zone would be forgotten, and nothing else remembers it.
fn without_rack(desired: &Desired, claim: &Claim) -> Option<String> {
    let rack = claim.rack.as_ref().filter(|_| desired.racks.is_none())?;
    Some(format!("node {} lives in zone {rack}: {AGAIN} racks as they were", claim.node_id))
}

/// The node id and the volume of a key in the record of disks.
pub(crate) fn disk(key: &str) -> Option<(i32, &str)> {
    let (id, volume) = key.split_once('/')?;
    Some((id.parse().ok()?, volume))
}

fn field(id: i32) -> (Group, &'static str) {
    if id >= FIRST_CONTROLLER_ID {
        (Group::Controller, "controllers.storage.volumes")
    } else {
        (Group::Broker, "brokers.storage.volumes")
    }
}

/// A node that starts without one of its disks takes what was on it for lost.
fn left_out(desired: &Desired, id: i32, volume: &str) -> Option<String> {
    let (group, field) = field(id);
    (!desired.group(group).asks_for(volume)).then(|| {
        format!(
            "node {id} has a disk {volume}, which the spec leaves out: {AGAIN} that disk in {field}"
        )
    })
}

/// Notes disks that agents report as formatted and that are not on record.
pub(crate) fn record(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let Some(identity) = &observed.identity else { return Vec::new() };
    let new: BTreeMap<String, String> = present_disks(observed, &identity.cluster_id)
        .filter(|(key, directory)| identity.disks.get(key) != Some(directory))
        .collect();
    if new.is_empty() {
        return Vec::new();
    }
    let target = Target::of_identity(&desired.names, identity);
    vec![Action::RecordDisks { target, disks: new }]
}

fn present_disks<'a>(
    observed: &'a Observed,
    cluster_id: &'a str,
) -> impl Iterator<Item = (String, String)> + 'a {
    observed.agents.iter().flat_map(move |(id, answer)| {
        let disks = answer.known().map(|agent| agent.disks.as_slice()).unwrap_or_default();
        disks.iter().filter_map(move |disk| match &disk.meta {
            DiskMeta::Present { cluster_id: found, node_id, directory_id: Some(directory) }
                if found == cluster_id && node_id == id =>
            {
                Some((disk_key(*id, &disk.volume), directory.clone()))
            }
            _ => None,
        })
    })
}

/// `--initial-controllers` of a new cluster, the same on every voter.
pub(crate) fn initial_controllers(desired: &Desired, voters: &BTreeMap<i32, String>) -> String {
    let entry = |(id, directory): (&i32, &String)| {
        format!("{id}@{}:{directory}", desired.names.controller_endpoint(&of_id(*id)))
    };
    voters.iter().map(entry).collect::<Vec<String>>().join(",")
}

/// Whether a node is one of the first voters and has never been formatted as that.
pub(crate) fn is_first_time(observed: &Observed, identity: &Identity, node: &Node) -> bool {
    let first = identity.voters.get(&node.id);
    let heard_of = observed.kafka.known().is_some_and(|kafka| {
        let voter = kafka.voters.get(&node.id);
        voter.is_none_or(|voter| voter.behind_milliseconds.is_some())
    });
    let on_record = identity.disks_of(node.id).next().is_some();
    first.is_some() && first == identity.quorum.members.get(&node.id) && !on_record && !heard_of
}
