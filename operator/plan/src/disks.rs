//! Which disks a node has: those that the spec asks for, as far as it may have them already, and those that
//! it does not ask for any more and that are not empty yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::agent::AgentState;
use serde_json::Value;

use crate::action::{Action, Delete, Target};
use crate::desired::{Desired, Volume};
use crate::identity::disk;
use crate::node::{Group, Node, of_id};
use crate::object::Kind;
use crate::observed::{Claim, Identity, Kafka, Observed, disk_key};
use crate::properties::log_dir;
use crate::report::WaitingOn;
use crate::resources::{config_map, stateful_set};
use crate::{format, quantity, quorum, upgrade};

mod departure;
pub(crate) mod growth;
mod progress;
mod turn;

pub(crate) use departure::{plan, spell};

/// Disks that the spec does not ask for any more, by node. One that neither a node's pod has nor its next life
/// would have was left out when it was empty. Of a restored identity nobody knows which disks were in use.
pub(crate) fn leaving<'a>(
    desired: &Desired,
    observed: &'a Observed,
) -> BTreeMap<i32, BTreeSet<&'a str>> {
    let mut found: BTreeMap<i32, BTreeSet<&str>> = BTreeMap::new();
    let Some(identity) = &observed.identity else { return found };
    let on_record = perhaps_used(desired, observed);
    let claims = observed.claims.values().filter(|_| identity.voters.is_empty());
    let claimed = claims.map(|claim| (claim.node_id, claim.volume.as_str()));
    for (id, volume) in on_record.chain(claimed) {
        let wished = desired.group(quorum::group(id)).asks_for(volume);
        let is_there = || {
            is_mounted(desired, observed, id, volume)
                || is_called_back(desired, observed, id, volume)
        };
        if !wished && is_there() {
            found.entry(id).or_default().insert(volume);
        }
    }
    found
}

/// Whether a node that was about to go on without the disk that it votes with needs it again: the others have lost
/// their majority meanwhile, and it has one of few good metadata logs.
fn is_called_back(desired: &Desired, observed: &Observed, id: i32, volume: &str) -> bool {
    let claim = observed.claims.get(&desired.names.claim(&of_id(id), volume));
    claim.is_some_and(|claim| !claim.terminating)
        && voting_disk(observed, id).is_some_and(|name| name == volume)
        && !runs(observed, id)
        && !others_have_metadata(observed, id)
}

/// Disks that are on record, or that were permitted to be formatted.
pub(crate) fn perhaps_used<'a>(
    desired: &Desired,
    observed: &'a Observed,
) -> impl Iterator<Item = (i32, &'a str)> {
    let is_there = |(id, volume): (i32, &str), uid: &String| {
        let claim = observed.claims.get(&desired.names.claim(&of_id(id), volume));
        claim.is_some_and(|claim| claim.uid == *uid)
    };
    let permits = observed.traces().permits.iter();
    let permitted = permits.filter_map(move |(key, uid)| Some((disk(key)?, uid)));
    let permitted = permitted.filter(move |(disk, uid)| is_there(*disk, uid)).map(|(disk, _)| disk);
    let recorded = observed.identity.iter().flat_map(|identity| identity.disks.keys());
    recorded.filter_map(|key| disk(key)).chain(permitted)
}

/// Whether a node's next pod would have a disk, or its pod has it.
fn is_mounted(desired: &Desired, observed: &Observed, id: i32, volume: &str) -> bool {
    next_has(desired, observed, id, volume) != Some(false)
        || has(observed, id, volume) != Some(false)
}

/// Whether a node's next pod would have a disk; `None` where it has no StatefulSet.
pub(crate) fn next_has(
    desired: &Desired,
    observed: &Observed,
    id: i32,
    volume: &str,
) -> Option<bool> {
    let set = observed.child(Kind::StatefulSet, &desired.names.node(&of_id(id)))?;
    Some(volumes_in(&set.live).any(|mounted| mounted == volume))
}

/// Whether a node's pod has a disk; `None` where nobody knows.
pub(crate) fn has(observed: &Observed, id: i32, volume: &str) -> Option<bool> {
    let Some(pod) = observed.pods.get(&id).filter(|pod| !pod.terminating) else {
        return Some(false);
    };
    let document = config_map::mounted_document(observed, pod)?;
    Some(document.volumes.iter().any(|mounted| mounted == volume))
}

/// The disks that the next pod of a StatefulSet mounts.
pub(crate) fn volumes_in(set: &Value) -> impl Iterator<Item = &str> {
    let volumes = set.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
    let names = volumes.into_iter().flatten().filter_map(|volume| volume.get("name")?.as_str());
    names.filter_map(|name| name.strip_prefix("disk-"))
}

/// The disks of a node.
pub(crate) fn of_node(
    desired: &Desired,
    observed: &Observed,
    (group, id): (Group, i32),
    leaving: &BTreeMap<i32, BTreeSet<&str>>,
) -> Arc<[Volume]> {
    let wished = &desired.group(group).volumes;
    let leaving = leaving.get(&id).into_iter().flatten();
    let (released, mut needed): (Vec<&str>, Vec<&str>) =
        leaving.partition(|volume| is_released(desired, observed, (group, id), volume));
    if needed.is_empty() {
        return metadata_first(desired, observed, id, Arc::clone(wished));
    }
    // All go at once, so that the node restarts once; but Kafka copies nothing between disks while one of them is
    // offline, so that such a one does not wait for the others.
    if !released.iter().any(|volume| is_offline(observed, id, volume)) {
        needed.extend(released);
    }
    let as_it_is = |volume: &str| as_it_is(desired, observed, (group, id), volume);
    let mut needed: Vec<Volume> = needed.into_iter().map(as_it_is).collect();
    // It holds nothing but the metadata log, so that another disk is of no use before that may move.
    if group == Group::Controller {
        return metadata_first(desired, observed, id, needed.into());
    }
    let (first, others) = wished.split_at(wished.len().min(1));
    needed.extend_from_slice(others);
    needed.sort_by(|one, other| one.name.cmp(&other.name));
    metadata_first(desired, observed, id, first.iter().cloned().chain(needed).collect())
}

/// The metadata log stays where it is as long as the node has that disk: Kafka does not start where it finds one and
/// is told of another place.
fn metadata_first(
    desired: &Desired,
    observed: &Observed,
    id: i32,
    volumes: Arc<[Volume]>,
) -> Arc<[Volume]> {
    if volumes.len() < 2 {
        return volumes;
    }
    // A node that gets back the disk that still has its vote goes on with that one.
    let has = |name: &String| volumes.iter().any(|volume| volume.name == *name);
    let voting = voting_disk(observed, id).filter(has);
    let metadata = voting.or_else(|| metadata_disk(desired, observed, id));
    let place = volumes.iter().position(|volume| Some(&volume.name) == metadata.as_ref());
    match place {
        None | Some(0) => volumes,
        Some(place) => {
            let (before, rest) = volumes.split_at(place);
            let (metadata, after) = rest.split_at(1);
            metadata.iter().chain(before).chain(after).cloned().collect()
        }
    }
}

/// The disk that holds a node's metadata log: as its agent finds it or, where that tells nothing, the one that votes,
/// as is on record, or as its pod or its next one is told.
pub(crate) fn metadata_disk(desired: &Desired, observed: &Observed, id: i32) -> Option<String> {
    let told = || {
        let pod = observed.pods.get(&id);
        let mounted = pod.and_then(|pod| config_map::mounted_document(observed, pod));
        let next = || {
            let set = observed.child(Kind::StatefulSet, &desired.names.node(&of_id(id)))?;
            let name = stateful_set::configuration(&set.live)?;
            config_map::document_in(config_map::named(observed, name)?)
        };
        Some(mounted.or_else(next)?.metadata_volume)
    };
    let disks = observed.agent(id).map(|agent| agent.disks.as_slice()).unwrap_or_default();
    let mut holders = disks.iter().filter(|disk| disk.holds_metadata_log);
    match (holders.next(), holders.next()) {
        (Some(only), None) => Some(only.volume.clone()),
        _ => voting_disk(observed, id).or_else(told),
    }
}

/// The disk that is who a voter is (KIP-853).
fn voting_disk(observed: &Observed, id: i32) -> Option<String> {
    let identity = observed.identity.as_ref()?;
    let directory = identity.quorum.members.get(&id)?;
    let mut disks = identity.disks_of(id);
    disks
        .find(|(_, key)| identity.disks.get(*key) == Some(directory))
        .map(|(volume, _)| volume.to_owned())
}

/// Whether a node may start with an empty metadata log on another disk: it gets all of it from the others. A voter
/// comes back as another one, whose vote it has to be given, so that there must be enough others meanwhile, whom every
/// node finds. While it runs, the guard of its restart asks for them; what it would be made with must not change with
/// every restart.
pub(crate) fn metadata_may_move(desired: &Desired, observed: &Observed, id: i32) -> bool {
    let members = observed.identity.as_ref().map(|identity| &identity.quorum.members);
    match members {
        Some(members) if !members.is_empty() && !members.contains_key(&id) => true,
        Some(members) if !members.is_empty() => {
            let mut pods = observed.pods.values();
            desired.voters >= 3
                && (runs(observed, id) || others_have_metadata(observed, id))
                && pods.all(|pod| quorum::is_told_of_wished(desired, observed, pod))
        }
        _ => false,
    }
}

/// Whether a node votes with a disk that it has, if the spec asks for its vote. Until then one that it had may hold
/// one of few good metadata logs.
pub(crate) fn votes_as_wished(desired: &Desired, observed: &Observed, id: i32) -> bool {
    if !quorum::wished(desired).contains(&id) {
        return true;
    }
    let kafka = observed.kafka.known();
    let voter = kafka.and_then(|kafka| kafka.voters.get(&id)).filter(|voter| voter.is_caught_up());
    let identity = observed.identity.as_ref();
    let Some((voter, identity)) = voter.zip(identity) else { return false };
    let mut mounted =
        identity.disks_of(id).filter(|(volume, _)| has(observed, id, volume) == Some(true));
    mounted.any(|(_, key)| identity.disks.get(key) == Some(&voter.directory))
}

fn runs(observed: &Observed, id: i32) -> bool {
    let pod = observed.pods.get(&id);
    let running = observed.agent(id).is_some_and(|agent| agent.state == AgentState::Running);
    running && pod.is_some_and(|pod| pod.ready && !pod.terminating)
}

/// Whether a majority of the voters has caught up without a node, if it votes at all.
pub(crate) fn others_have_metadata(observed: &Observed, id: i32) -> bool {
    observed.kafka.known().is_some_and(|kafka| format::others_decide(kafka, &of_id(id)))
}

/// A disk that the spec does not name any more, as its claim is.
fn as_it_is(
    desired: &Desired,
    observed: &Observed,
    (group, id): (Group, i32),
    volume: &str,
) -> Volume {
    let claim = desired.names.claim(&of_id(id), volume);
    let claim = observed.claims.get(&claim);
    let like = desired.group(group).volumes.first().map(|first| first.size.clone());
    let size = claim.and_then(|claim| claim.size.clone()).or(like).unwrap_or_default();
    Volume {
        name: volume.to_owned(),
        size_bytes: quantity::bytes(&size).unwrap_or_default(),
        size,
        class: claim.and_then(|claim| claim.class.clone()),
    }
}

/// Whether a node can do without a disk that the spec does not ask for: it was seen empty while it took
/// nothing new. A broker that Kafka does not know holds nothing at all. Of one that Kafka took offline nobody knows
/// what is on it: then all that the broker has must be in sync elsewhere. A controller's further disks hold nothing.
pub(crate) fn is_released(
    desired: &Desired,
    observed: &Observed,
    (group, id): (Group, i32),
    volume: &str,
) -> bool {
    let is_metadata = metadata_disk(desired, observed, id).is_none_or(|name| name == volume)
        || voting_disk(observed, id).is_some_and(|name| name == volume);
    if is_metadata && !metadata_may_move(desired, observed, id) {
        return false;
    }
    if group == Group::Controller {
        return true;
    }
    if observed.kafka.known().is_some_and(|kafka| knows_nothing_of(kafka, id)) {
        return true;
    }
    let memory = observed.traces().disks.as_ref();
    let remembered = memory.is_some_and(|memory| {
        memory.broker == id && memory.volumes.iter().any(|known| known == volume)
    });
    let Some(kafka) = observed.kafka.known().filter(|_| remembered) else { return false };
    let Some(folders) = kafka.folders(id) else { return false };
    match folders.by_volume.get(volume) {
        Some(folder) if folder.offline => kafka.no_copy_elsewhere(id).is_none(),
        Some(folder) => folder.is_empty() && folders.cordoned.contains(&log_dir(volume)),
        None => false,
    }
}

fn is_offline(observed: &Observed, id: i32, volume: &str) -> bool {
    let folders = observed.kafka.known().and_then(|kafka| kafka.folders(id));
    folders.and_then(|all| all.by_volume.get(volume)).is_some_and(|folder| folder.offline)
}

fn knows_nothing_of(kafka: &Kafka, broker: i32) -> bool {
    kafka.leader.is_some()
        && !kafka.brokers.contains_key(&broker)
        && kafka.partitions.held_by(broker) == 0
}

/// Takes further disks from nodes that leave, and from all while another release is watched: the release before
/// might not read what it formats, so that such a disk would wait empty, and the node with it. One that would have
/// none then keeps those that it had.
pub(crate) fn hold_back(desired: &Desired, observed: &Observed, nodes: &mut [Node]) {
    let Some(identity) = &observed.identity else { return };
    let watched = upgrade::keeps_disks_empty(desired, observed, nodes);
    for node in nodes.iter_mut().filter(|node| watched || node.leaving) {
        let permits = &identity.traces.permits;
        let is_further = |volume: &Volume| {
            let permitted = permits.contains_key(&disk_key(node.id, &volume.name));
            !permitted && is_further(identity, node.id, &volume.name)
        };
        if node.volumes.iter().any(is_further) {
            let others = node.volumes.iter().filter(|volume| !is_further(volume));
            let mut others: Vec<Volume> = others.cloned().collect();
            if others.is_empty() {
                let had = identity.disks_of(node.id).map(|(volume, _)| volume);
                let as_it_is = |volume| as_it_is(desired, observed, (node.group, node.id), volume);
                others.extend(had.map(as_it_is));
            }
            node.volumes = metadata_first(desired, observed, node.id, others.into());
        }
    }
}

/// Disks that the spec asks for and that wait until a release is there to stay.
pub(crate) fn held_back(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
) -> Option<WaitingOn> {
    if !upgrade::keeps_disks_empty(desired, observed, nodes) {
        return None;
    }
    let stay = nodes.iter().filter(|node| !node.leaving);
    let waiting = stay.flat_map(|node| {
        let wished = desired.group(node.group).volumes.iter().map(|volume| &volume.name);
        wished.filter(|name| !node.has_disk(name))
    });
    let names: BTreeSet<&String> = waiting.collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    (!names.is_empty()).then(|| WaitingOn::DisksHeldBack {
        detail: format!(
            "{}: until Kafka {} is there to stay (spec.upgrade), because the release before might not read what it formats",
            departure::spell(&names),
            desired.version
        ),
    })
}

/// Whether a disk comes to a node that has others: it is not on record, and they are. What a restored
/// identity does not know may still have been there.
pub(crate) fn is_further(identity: &Identity, node_id: i32, volume: &str) -> bool {
    !identity.voters.is_empty()
        && !identity.disks.contains_key(&disk_key(node_id, volume))
        && identity.disks_of(node_id).next().is_some()
}

/// Claims that nothing ever used: of disks that the spec asked for, and not any more before a node had them.
pub(crate) fn leftovers(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let Some(identity) = observed.identity.as_ref().filter(|one| !one.voters.is_empty()) else {
        return Vec::new();
    };
    let unused = observed.claims.iter().filter(|(_, claim)| {
        !claim.bound
            && !claim.terminating
            && observed.pods.contains_key(&claim.node_id)
            && !desired.group(claim.group).asks_for(&claim.volume)
            && !identity.disks.contains_key(&disk_key(claim.node_id, &claim.volume))
            && !is_in_use(desired, observed, claim)
    });
    let delete = unused.filter_map(|(name, _)| {
        let child = observed.child(Kind::PersistentVolumeClaim, name).filter(|one| one.ours)?;
        Some(Action::Delete(Delete {
            kind: Kind::PersistentVolumeClaim,
            target: Target::of(name, child),
            reason: "no node ever had its disk, and the spec does not ask for it".to_owned(),
        }))
    });
    delete.collect()
}

/// Whether a pod has a claim, or its next life would.
pub(crate) fn is_in_use(desired: &Desired, observed: &Observed, claim: &Claim) -> bool {
    next_has(desired, observed, claim.node_id, &claim.volume) == Some(true)
        || has(observed, claim.node_id, &claim.volume) != Some(false)
}
