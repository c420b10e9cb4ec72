//! When a node may format its disks: at bootstrap, as a new node, or after a declared loss, and
//! never otherwise.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::agent::{AgentState, AgentStatus, DiskMeta, FormatMode, FormatRequest};

use crate::action::Format;
use crate::desired::Desired;
use crate::node::{Group, Node, of_id};
use crate::observed::{Answer, Claim, Identity, Kafka, Observed, disk_key};
use crate::{disks, identity, quorum, upgrade};

/// Why a node that waits for the word to format does not get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It must not, until a person puts something right.
    Refuse(String),
    /// Not now: something could not be asked.
    Wait(String),
}

/// Decides about one node; `None` where its agent does not ask.
#[must_use]
pub fn decide(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
) -> Option<Result<Format, Objection>> {
    let agent = observed.agent(node.id)?;
    let asks = agent.state == AgentState::AwaitingFormat;
    asks.then(|| request(desired, observed, nodes, node, agent))
}

fn request(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
    agent: &AgentStatus,
) -> Result<Format, Objection> {
    let wait = |text: &str| Objection::Wait(text.to_owned());
    let identity = observed.identity.as_ref().ok_or_else(|| wait("the identity is unknown"))?;
    let pod = observed.pods.get(&node.id).ok_or_else(|| wait("its pod is unknown"))?;
    let address = pod.address.clone().ok_or_else(|| wait("its pod has no address"))?;
    if pod.terminating {
        return Err(wait("its pod is being deleted"));
    }
    let empty = empty_volumes(agent)?;
    if let Some(volume) = unseen(identity, agent, node) {
        return Err(Objection::Refuse(format!(
            "volume {volume} of this node is on record and was not found beside the empty ones: put it back"
        )));
    }
    for volume in &empty {
        check_disk(desired, observed, identity, nodes, node, volume)?;
    }
    let mode = mode(desired, observed, identity, node, &empty)?;
    Ok(Format {
        node_id: node.id,
        pod_uid: pod.uid.clone(),
        address,
        host: desired.names.host(node),
        request: FormatRequest {
            cluster_id: identity.cluster_id.clone(),
            node_id: node.id,
            volumes: empty,
            mode,
            features: BTreeMap::new(),
        },
    })
}

fn empty_volumes(agent: &AgentStatus) -> Result<Vec<String>, Objection> {
    let mut empty = Vec::new();
    for disk in &agent.disks {
        match &disk.meta {
            DiskMeta::Absent if disk.mounted => empty.push(disk.volume.clone()),
            DiskMeta::Present { .. } => {}
            DiskMeta::Absent | DiskMeta::Unreadable { .. } => {
                return Err(Objection::Wait(format!("volume {} cannot be read", disk.volume)));
            }
        }
    }
    Ok(empty)
}

/// A volume of the node that is on record and that the agent does not see at all. What it sees empty is judged
/// for itself, and what was taken out empty is missed by nobody.
#[must_use]
pub fn unseen<'a>(identity: &'a Identity, agent: &AgentStatus, node: &Node) -> Option<&'a str> {
    let mut recorded = identity.disks_of(node.id).map(|(volume, _)| volume);
    recorded.find(|volume| {
        node.has_disk(volume) && !agent.disks.iter().any(|disk| disk.volume == **volume)
    })
}

/// A disk on record must not come back empty, unless a person declared its loss.
fn check_disk(
    desired: &Desired,
    observed: &Observed,
    identity: &Identity,
    nodes: &[Node],
    node: &Node,
    volume: &str,
) -> Result<(), Objection> {
    let name = desired.names.claim(node, volume);
    let Some(claim) = observed.claims.get(&name) else {
        return Err(Objection::Wait(format!("claim {name} is unknown")));
    };
    if !claim.bound || claim.terminating {
        return Err(Objection::Wait(format!("claim {name} is not bound, or is being deleted")));
    }
    if needs_no_word(desired, observed, node) {
        return Ok(());
    }
    if node.leaving && node.group == Group::Controller && !quorum::votes(observed, node.id) {
        return Err(Objection::Wait("the spec does not ask for it any more".to_owned()));
    }
    let is_further = disks::is_further(identity, node.id, volume);
    let key = disk_key(node.id, volume);
    if identity.traces.permitted_another(&key, &claim.uid) {
        return check_loss(desired, observed, node, claim, &name, NOBODY_SAW);
    }
    let on_record = identity.disks.contains_key(&key);
    if on_record || (is_registered(observed, node) && !is_further) {
        return check_loss(desired, observed, node, claim, &name, FORMATTED_BEFORE);
    }
    if identity.voters.is_empty() {
        return check_loss(desired, observed, node, claim, &name, NOBODY_KNOWS);
    }
    if waits_for_release(desired, observed, nodes, node) {
        return Err(Objection::Wait(format!(
            "Kafka {} is not there to stay yet, and the release before might not read what it formats",
            desired.version
        )));
    }
    Ok(())
}

const FORMATTED_BEFORE: &str = "this node was formatted before";
const NOBODY_SAW: &str =
    "another disk in its place was permitted to be formatted, and nobody saw what became of that";
const NOBODY_KNOWS: &str =
    "the identity of this cluster was restored, so that nobody can say whether it was ever in use";

/// Kafka remembers a broker for ever; one that it knows has had disks.
fn is_registered(observed: &Observed, node: &Node) -> bool {
    observed.kafka.known().is_some_and(|kafka| kafka.brokers.contains_key(&node.id))
}

fn check_loss(
    desired: &Desired,
    observed: &Observed,
    node: &Node,
    claim: &Claim,
    name: &str,
    why: &str,
) -> Result<(), Objection> {
    if claim.accepted_uid.as_deref() != Some(claim.uid.as_str()) {
        return Err(Objection::Refuse(format!(
            "the disk of claim {name} is empty, and {why}; put the right disk back, or declare the loss of its records: kubectl -n {} annotate pvc {name} {}={}",
            desired.names.namespace,
            crate::names::ACCEPT_LOST_DISK_ANNOTATION,
            claim.uid
        )));
    }
    match &observed.kafka {
        Answer::Known(kafka) if !others_decide(kafka, node) => Err(Objection::Wait(format!(
            "its loss is declared, but without node {} no majority of the voters has caught up",
            node.id
        ))),
        Answer::Known(kafka) => match kafka.no_copy_elsewhere(node.id) {
            Some(partition) => Err(Objection::Refuse(format!(
                "its loss is declared, but partition {partition} has no other in-sync replica: an empty disk would make the loss final; delete that topic or wait for another replica"
            ))),
            None => Ok(()),
        },
        Answer::Unknown { reason } => Err(Objection::Wait(format!(
            "its loss is declared, but Kafka could not be asked whether other replicas are in sync: {reason}"
        ))),
    }
}

fn mode(
    desired: &Desired,
    observed: &Observed,
    identity: &Identity,
    node: &Node,
    empty: &[String],
) -> Result<FormatMode, Objection> {
    if !node.is_controller() {
        return Ok(FormatMode::Plain);
    }
    let metadata = node.volumes.first().map(|volume| &volume.name);
    if !metadata.is_some_and(|name| empty.contains(name)) {
        return Ok(FormatMode::NoInitialControllers);
    }
    if identity::is_first_time(observed, identity, node) {
        let voters = identity::initial_controllers(desired, &identity.voters);
        return Ok(FormatMode::InitialControllers(voters));
    }
    if identity.voters.is_empty() && observed.kafka.known().is_none() {
        return Err(Objection::Refuse(
            "the first voters' directory ids are not on record, so that no voter can be formatted while Kafka is silent; restore the identity ConfigMap from a backup".to_owned(),
        ));
    }
    Ok(FormatMode::NoInitialControllers)
}

/// Whether a disk of a node that was never in use waits until a release is there to stay. Nothing waits that
/// the release itself waits for.
#[must_use]
pub fn waits_for_release(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
) -> bool {
    upgrade::keeps_disks_empty(desired, observed, nodes)
        && !quorum::is_called_back(desired, observed, node.id)
        && !is_missed_as_voter(desired, observed, node)
}

/// Whether the quorum has so few voters that none may stop, and a node is to be one: what waits for its vote
/// cannot wait for what those have to do.
fn is_missed_as_voter(desired: &Desired, observed: &Observed, node: &Node) -> bool {
    let few = observed.kafka.known().is_some_and(|kafka| kafka.voters.len() <= 2);
    few && desired.voters > 2 && node.is_controller() && !node.leaving
}

/// Whether nothing on a node's disk is missed by anybody, whatever it was: it is a controller that left, and runs
/// once more only to say that it knows a release.
#[must_use]
pub fn needs_no_word(desired: &Desired, observed: &Observed, node: &Node) -> bool {
    let left = node.leaving && node.group == Group::Controller;
    let has_no_vote = |kafka: &Kafka| !kafka.voters.contains_key(&node.id);
    left && quorum::is_called_back(desired, observed, node.id)
        && observed.kafka.known().is_some_and(has_no_vote)
}

/// Whether the others are a caught-up majority of the quorum without a node, if it votes at all.
#[must_use]
pub fn others_decide(kafka: &Kafka, node: &Node) -> bool {
    let others = kafka.caught_up_without(node.id);
    let votes = kafka.voters.contains_key(&node.id);
    !votes || (kafka.leader.is_some() && others > kafka.voters.len() / 2)
}

/// Permits that are not on record yet. A disk is in use as soon as it is formatted, and nobody might see that it was
/// before it is lost.
#[must_use]
pub fn unnoted(
    desired: &Desired,
    observed: &Observed,
    format: &Format,
) -> BTreeMap<String, String> {
    let Some(identity) = &observed.identity else { return BTreeMap::new() };
    let node = of_id(format.node_id);
    let permits = format.request.volumes.iter().filter_map(|volume| {
        let claim = observed.claims.get(&desired.names.claim(&node, volume))?;
        Some((disk_key(node.id, volume), claim.uid.clone()))
    });
    // One for another disk in that place stays: it is why a person is asked.
    let known = |key: &String| {
        identity.disks.contains_key(key) || identity.traces.permits.contains_key(key)
    };
    permits.filter(|(key, _)| !known(key)).collect()
}

/// Permits that are on record, but for disks that were seen formatted and nodes that are gone for good, and those
/// that are to be given.
pub(crate) fn permits(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    formats: &[Format],
) -> BTreeMap<String, String> {
    let Some(identity) = &observed.identity else { return BTreeMap::new() };
    let mut permits = identity.traces.permits.clone();
    let kafka = observed.kafka.known().filter(|kafka| kafka.leader.is_some());
    let ids: BTreeSet<i32> = nodes.iter().map(|node| node.id).collect();
    let is_gone = |id: i32| {
        let unknown = kafka.is_some_and(|kafka| {
            !kafka.brokers.contains_key(&id) && !kafka.voters.contains_key(&id)
        });
        unknown && !ids.contains(&id)
    };
    permits.retain(|key, _| {
        let id = identity::disk(key).map(|(id, _)| id);
        !identity.disks.contains_key(key) && !id.is_some_and(is_gone)
    });
    permits.extend(formats.iter().flat_map(|one| unnoted(desired, observed, one)));
    permits
}

/// The permits of all nodes that ask and may.
pub(crate) fn plan(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<Format> {
    nodes.iter().filter_map(|node| decide(desired, observed, nodes, node)?.ok()).collect()
}
