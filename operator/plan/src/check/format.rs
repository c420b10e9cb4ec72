//! What must hold before disks are formatted. S5: a known node never is, unless its loss was declared.

use ottla_crds::agent::{AgentState, FormatMode};

use super::{Verdicts, Violation, find, unless, violation};
use crate::action::Format;
use crate::desired::Desired;
use crate::node::{Node, nodes};
use crate::observed::{Claim, Observed, disk_key};
use crate::{disks, format, identity};

pub(super) fn guards(format: &Format, desired: &Desired, fresh: &Observed) -> Verdicts {
    let nodes = nodes(desired, fresh);
    let node = find(&nodes, format.node_id);
    let mut verdicts = vec![
        ("the cluster id is the same", same_cluster(format, fresh)),
        ("the pod is the one that is meant", same_pod(format, fresh)),
        ("the agent asks", asks(format, fresh)),
    ];
    if let Ok(node) = node {
        verdicts.push(("no volume on record is missing", none_unseen(fresh, node)));
        verdicts.extend(disks(format, desired, fresh, node));
        verdicts
            .push(("its release is there to stay", stays(format, desired, fresh, &nodes, node)));
        verdicts.extend(mode(format, fresh, node));
        let unnoted = !format::unnoted(desired, fresh, format).is_empty();
        verdicts.push((
            "it is on record before it is given",
            unless(unnoted, "S5", "the permit is not on record"),
        ));
    }
    verdicts.push(("the node is part of the cluster", node.map(|_| ())));
    verdicts
}

fn same_cluster(format: &Format, fresh: &Observed) -> Result<(), Violation> {
    let identity = fresh.identity.as_ref();
    let identity = identity.ok_or_else(|| violation("S6", "the identity is gone"))?;
    let other = identity.cluster_id != format.request.cluster_id;
    unless(other, "S6", "the cluster id changed")
}

fn same_pod(format: &Format, fresh: &Observed) -> Result<(), Violation> {
    let pod = fresh.pods.get(&format.node_id);
    let pod = pod.ok_or_else(|| violation("S7", "the pod is gone"))?;
    let other = pod.uid != format.pod_uid || pod.terminating;
    unless(other, "S7", "the pod is another one, or being deleted")
}

fn asks(format: &Format, fresh: &Observed) -> Result<(), Violation> {
    let agent = fresh.agent(format.node_id);
    let agent = agent.ok_or_else(|| violation("S7", "the agent does not answer any more"))?;
    let asks = agent.state == AgentState::AwaitingFormat && agent.jvm.is_none();
    unless(!asks, "S5", "the agent does not ask any more")
}

fn none_unseen(fresh: &Observed, node: &Node) -> Result<(), Violation> {
    let (Some(identity), Some(agent)) = (&fresh.identity, fresh.agent(node.id)) else {
        return Ok(());
    };
    let unseen = format::unseen(identity, agent, node).is_some();
    unless(unseen, "S5", "a volume on record was not found beside the empty ones")
}

fn is_further(fresh: &Observed, node: &Node, volume: &str) -> bool {
    let identity = fresh.identity.as_ref();
    identity.is_some_and(|identity| disks::is_further(identity, node.id, volume))
}

/// What a release formats that is watched, the one before might not read.
fn stays(
    format: &Format,
    desired: &Desired,
    fresh: &Observed,
    nodes: &[Node],
    node: &Node,
) -> Result<(), Violation> {
    let identity = fresh.identity.as_ref();
    let known = identity.is_some_and(|one| one.disks_of(node.id).next().is_some());
    let mut volumes = format.request.volumes.iter();
    let new = !known || volumes.any(|volume| is_further(fresh, node, volume));
    unless(
        new && format::waits_for_release(desired, fresh, nodes, node),
        "S5",
        "the release that would format it is not there to stay yet",
    )
}

/// A disk that would be formatted, and its claim.
struct Disk<'a> {
    name: String,
    claim: Option<&'a Claim>,
    perhaps_used: bool,
}

fn disks(format: &Format, desired: &Desired, fresh: &Observed, node: &Node) -> Verdicts {
    let registered = fresh.kafka.known().is_some_and(|kafka| kafka.brokers.contains_key(&node.id));
    let restored = fresh.identity.as_ref().is_none_or(|identity| identity.voters.is_empty());
    let on_record = |volume: &str| {
        let identity = fresh.identity.as_ref();
        identity.is_some_and(|identity| identity.disks.contains_key(&disk_key(node.id, volume)))
    };
    let unmissed = format::needs_no_word(desired, fresh, node);
    let permitted_another = |volume: &str, claim: Option<&Claim>| {
        let uid = claim.map(|claim| claim.uid.as_str()).unwrap_or_default();
        fresh.traces().permitted_another(&disk_key(node.id, volume), uid)
    };
    let volumes = format.request.volumes.iter();
    let disks: Vec<Disk<'_>> = volumes
        .map(|volume| {
            let name = desired.names.claim(node, volume);
            let claim = fresh.claims.get(&name);
            Disk {
                name,
                claim,
                perhaps_used: !unmissed
                    && (permitted_another(volume, claim)
                        || !is_further(fresh, node, volume)
                            && (on_record(volume) || registered || restored)),
            }
        })
        .collect();
    let declared = |claim: &Claim| claim.accepted_uid.as_deref() == Some(claim.uid.as_str());
    let undeclared =
        |disk: &Disk<'_>| disk.perhaps_used && disk.claim.is_some_and(|claim| !declared(claim));
    let used = disks.iter().any(|disk| disk.perhaps_used);
    let kafka = fresh.kafka.known();
    let last_copy = used && kafka.is_some_and(|kafka| kafka.no_copy_elsewhere(node.id).is_some());
    vec![
        ("every claim is known", no(disks.iter().find(|disk| disk.claim.is_none()), "is unknown")),
        (
            "a loss was declared",
            no(disks.iter().find(|disk| undeclared(disk)), "may have a disk that was in use"),
        ),
        (
            "the other voters decide without it",
            unless(
                used && kafka.is_some_and(|kafka| !format::others_decide(kafka, node)),
                "S3",
                "no majority of the voters has caught up without it",
            ),
        ),
        (
            "Kafka was asked for other copies",
            unless(used && kafka.is_none(), "S5", "Kafka cannot be asked"),
        ),
        (
            "other copies are in sync",
            unless(last_copy, "S1", "a partition has no other in-sync replica"),
        ),
    ]
}

fn no(disk: Option<&Disk<'_>>, what: &str) -> Result<(), Violation> {
    disk.map_or(Ok(()), |disk| Err(violation("S5", format!("claim {} {what}", disk.name))))
}

fn mode(format: &Format, fresh: &Observed, node: &Node) -> Verdicts {
    let mode = &format.request.mode;
    let first =
        fresh.identity.as_ref().is_some_and(|known| identity::is_first_time(fresh, known, node));
    let as_first = matches!(mode, FormatMode::InitialControllers(_));
    let plain = *mode == FormatMode::Plain;
    vec![
        (
            "only first voters get the first voters' list",
            unless(
                as_first && !first,
                "S3",
                "only the first voters are formatted with the first voters' list",
            ),
        ),
        (
            "a controller gets a word on the quorum",
            unless(
                plain && node.is_controller(),
                "S3",
                "a controller is never formatted without a word on the quorum",
            ),
        ),
    ]
}
