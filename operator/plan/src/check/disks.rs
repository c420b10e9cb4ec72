//! What must hold before a disk is emptied, left out of a node's next life, or taken away.

use std::collections::BTreeSet;

use ottla_crds::agent::DiskMeta;

use super::{Verdicts, Violation, find, unless, violation};
use crate::action::{Delete, MoveReplicas, RestartPod};
use crate::desired::Desired;
use crate::disks;
use crate::node::{Node, nodes};
use crate::object::Kind;
use crate::observed::{Claim, Observed, Pod, disk_key};
use crate::properties::log_dir;
use crate::quorum;
use crate::resources::config_map;

/// A cordon that nobody remembers would be there for ever, and without one what was seen empty may not be so any
/// more.
pub(super) fn cordon(
    broker: i32,
    folders: &BTreeSet<String>,
    desired: &Desired,
    fresh: &Observed,
) -> Verdicts {
    let stays = |name: &str| {
        disks::next_has(desired, fresh, broker, name) != Some(false)
            && desired.group(quorum::group(broker)).asks_for(name)
    };
    let pod = fresh.pods.get(&broker);
    let document = pod.map(|pod| config_map::mounted_document(fresh, pod));
    let opened = document.is_some_and(|document| {
        document.is_none_or(|one| {
            one.volumes.iter().any(|name| !stays(name) && !folders.contains(&log_dir(name)))
        })
    });
    vec![
        ("that it gives disks away is remembered", remembered(broker, fresh)),
        (
            "a disk that leaves stays cordoned",
            unless(opened, "S1", "a disk that leaves would take new replicas"),
        ),
    ]
}

pub(super) fn moves(moves: &MoveReplicas, desired: &Desired, fresh: &Observed) -> Verdicts {
    let nodes = nodes(desired, fresh);
    let node = find(&nodes, moves.broker).map(|_| ());
    let wished = desired.group(quorum::group(moves.broker));
    let stays = |name: &String| wished.asks_for(name);
    vec![
        ("that it gives disks away is remembered", remembered(moves.broker, fresh)),
        ("the node is part of the cluster", node),
        (
            "the spec asks for the disk that takes it",
            unless(!moves.moves.keys().all(stays), "S9", "the spec does not ask for that disk"),
        ),
    ]
}

fn remembered(broker: i32, fresh: &Observed) -> Result<(), Violation> {
    let memory = fresh.traces().disks.as_ref().filter(|memory| memory.broker == broker);
    unless(memory.is_none(), "S7", "it is not on record that the broker gives disks away")
}

/// S1: a node goes on without one of its disks only when nothing is lost by that.
pub(super) fn left_out(
    restart: &RestartPod,
    desired: &Desired,
    fresh: &Observed,
    node: &Node,
) -> Result<(), Violation> {
    let Some(pod) = fresh.pods.get(&node.id) else { return Ok(()) };
    let Some(next) = next_volumes(restart, desired, fresh, node) else { return Ok(()) };
    if next.is_empty() {
        return Err(violation("S1", "it would have no disk at all"));
    }
    let has = match config_map::mounted_document(fresh, pod) {
        Some(document) => document.volumes,
        // Nobody knows which it has: then none may go.
        None => on_record(fresh, node),
    };
    let goes =
        |volume: &&String| !next.contains(volume) && !was_never_used(fresh, node, pod, volume);
    let needed = has
        .iter()
        .filter(goes)
        .find(|volume| !disks::is_released(desired, fresh, (node.group, node.id), volume));
    match needed {
        Some(volume) => {
            Err(violation("S1", format!("disk {volume} was not seen empty, or has its vote")))
        }
        None => Ok(()),
    }
}

/// The disks that a node's next life mounts, if it has one.
fn next_volumes(
    restart: &RestartPod,
    desired: &Desired,
    fresh: &Observed,
    node: &Node,
) -> Option<Vec<String>> {
    if let Some(set) = &restart.set {
        return Some(disks::volumes_in(&set.object.tree()).map(ToOwned::to_owned).collect());
    }
    let set = fresh.child(Kind::StatefulSet, &desired.names.node(node))?;
    Some(disks::volumes_in(&set.live).map(ToOwned::to_owned).collect())
}

/// A restored identity may lack some that have claims.
fn on_record(fresh: &Observed, node: &Node) -> Vec<String> {
    let identity = fresh.identity.as_ref();
    let restored = identity.is_none_or(|one| one.voters.is_empty());
    let recorded = identity.iter().flat_map(|one| one.disks_of(node.id));
    let claims = fresh.claims.values().filter(|one| restored && one.node_id == node.id);
    let all = recorded.map(|(volume, _)| volume).chain(claims.map(|one| one.volume.as_str()));
    all.map(ToOwned::to_owned).collect()
}

/// Whether no Kafka ever had a disk of a node: it is not on record, and nothing ran in its pod since it has it.
fn was_never_used(fresh: &Observed, node: &Node, pod: &Pod, volume: &str) -> bool {
    let Some(identity) = fresh.identity.as_ref().filter(|one| !one.voters.is_empty()) else {
        return false;
    };
    if identity.disks.contains_key(&disk_key(node.id, volume)) {
        return false;
    }
    match fresh.agent(node.id) {
        Some(agent) => {
            let is_ours = |meta: &DiskMeta| {
                matches!(meta, DiskMeta::Present { cluster_id, node_id, .. }
                    if *cluster_id == identity.cluster_id && *node_id == node.id)
            };
            let mut disks = agent.disks.iter().filter(|disk| disk.volume == volume);
            agent.jvm.is_none() && !disks.any(|disk| is_ours(&disk.meta))
        }
        None => {
            let permitted = identity.traces.permits.contains_key(&disk_key(node.id, volume));
            !permitted && pod.restarts == 0 && (pod.stuck.is_some() || pod.address.is_none())
        }
    }
}

/// The claim of a disk that its node does without, while the node itself goes on.
pub(super) fn of_stayer<'a>(delete: &Delete, fresh: &'a Observed) -> Option<&'a Claim> {
    let claim = fresh.claims.get(&delete.target.name);
    let claim = claim.filter(|_| delete.kind == Kind::PersistentVolumeClaim)?;
    fresh.pods.contains_key(&claim.node_id).then_some(claim)
}

pub(super) fn delete(claim: &Claim, desired: &Desired, fresh: &Observed) -> Verdicts {
    let wished = desired.group(claim.group).asks_for(&claim.volume);
    let identity = fresh.identity.as_ref();
    let key = disk_key(claim.node_id, &claim.volume);
    let on_record = identity.is_none_or(|one| one.disks.contains_key(&key));
    let restored = identity.is_some_and(|one| one.voters.is_empty());
    let memory = fresh.traces().disks.as_ref();
    let emptied = memory.is_some_and(|memory| {
        memory.broker == claim.node_id && memory.emptied.contains(&claim.volume)
    });
    let in_use = disks::is_in_use(desired, fresh, claim);
    vec![
        ("the spec does not ask for it", unless(wished, "S4", "the spec asks for the disk")),
        ("no pod has it", unless(in_use, "S4", "a pod has the disk, or would have it")),
        ("it is off the record", unless(on_record, "S5", "the disk is on record as in use")),
        (
            "its node votes without it",
            unless(
                !disks::votes_as_wished(desired, fresh, claim.node_id),
                "S3",
                "its node does not vote yet as the spec asks",
            ),
        ),
        (
            "it was emptied, or never there",
            unless(claim.bound && (!emptied || restored), "S4", "the disk was not seen empty"),
        ),
    ]
}
