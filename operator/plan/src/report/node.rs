//! What one node is doing, from its pod and its agent.

use ottla_crds::agent::{AgentState, AgentStatus, DiskMeta, DiskStatus, InSync};

use super::{NodeReport, Phase, WaitingOn};
use crate::desired::Desired;
use crate::format::{self, Objection};
use crate::node::Node;
use crate::observed::{Answer, Claim, Observed, Pod};
use crate::repair;

/// The report of one node.
#[must_use]
pub fn node(desired: &Desired, observed: &Observed, nodes: &[Node], node: &Node) -> NodeReport {
    let pod = observed.pods.get(&node.id);
    let agent = observed.agent(node.id);
    let (phase, waiting_on) = match (pod, observed.agents.get(&node.id)) {
        (None, _) => (Phase::Pending, Some(WaitingOn::PodMissing { node: node.id })),
        (Some(pod), Some(Answer::Known(agent))) => {
            let full = full(desired, observed, node, agent);
            let said = full.or_else(|| offline(desired, node, agent)).unwrap_or_else(|| {
                from_agent(node, agent, refusal(desired, observed, nodes, node))
            });
            doubted(observed, node, wrong_image(observed, node, pod, agent).unwrap_or(said))
        }
        (Some(pod), answer) => silent(observed, node, pod, answer),
    };
    let drain = observed.traces().drain.as_ref();
    let leaves = node.leaving && drain.is_some_and(|drain| drain.brokers.contains(&node.id));
    let drains = leaves && phase == Phase::Running;
    NodeReport {
        node: node.clone(),
        phase: if drains { Phase::Draining } else { phase },
        ready: pod.is_some_and(|pod| pod.ready && !pod.terminating),
        quorum_role: agent.and_then(|agent| agent.jvm.as_ref()?.quorum_role),
        version: agent.map(|agent| agent.kafka_version.clone()),
        waiting_on,
    }
}

fn silent(
    observed: &Observed,
    node: &Node,
    pod: &Pod,
    answer: Option<&Answer<AgentStatus>>,
) -> (Phase, Option<WaitingOn>) {
    let id = node.id;
    if pod.terminating {
        return (Phase::Stopping, Some(WaitingOn::Stopping { node: id }));
    }
    if let Some(detail) = &pod.stuck {
        let detail = stuck(observed, node, detail);
        return (Phase::Pending, Some(WaitingOn::PodStuck { node: id, detail }));
    }
    match answer {
        Some(Answer::Unknown { reason }) => {
            let detail = format!("its agent could not be asked: {reason}");
            (Phase::Unknown, Some(WaitingOn::AgentUnknown { node: id, detail }))
        }
        None | Some(Answer::Known(_)) if pod.ready => {
            let detail = "its agent could not be asked".to_owned();
            (Phase::Unknown, Some(WaitingOn::AgentUnknown { node: id, detail }))
        }
        None | Some(Answer::Known(_)) => {
            let detail = "its pod is being started".to_owned();
            (Phase::Pending, Some(WaitingOn::Starting { node: id, detail }))
        }
    }
}

/// An agent says what was true at the start of its JVM; Kafka itself may know better by now.
fn doubted(
    observed: &Observed,
    node: &Node,
    said: (Phase, Option<WaitingOn>),
) -> (Phase, Option<WaitingOn>) {
    match observed.kafka.known().and_then(|kafka| kafka.cut_off(node)) {
        Some(why) if said.1.is_none() => {
            let waiting_on = WaitingOn::CatchingUp { node: node.id, detail: why.to_owned() };
            (Phase::CatchingUp, Some(waiting_on))
        }
        _ => said,
    }
}

/// An agent refuses to start what the spec does not name.
fn wrong_image(
    observed: &Observed,
    node: &Node,
    pod: &Pod,
    agent: &AgentStatus,
) -> Option<(Phase, Option<WaitingOn>)> {
    let holds = repair::wrong_image(observed, pod, agent)?;
    let detail = format!("{holds}: correct spec.image or spec.version");
    Some((Phase::Refused, Some(WaitingOn::ImageRefused { node: node.id, detail })))
}

/// Disks of a node for which alone its agent does not start Kafka: all are its own, and some are full.
fn full(
    desired: &Desired,
    observed: &Observed,
    node: &Node,
    agent: &AgentStatus,
) -> Option<(Phase, Option<WaitingOn>)> {
    let cluster = &observed.identity.as_ref()?.cluster_id;
    let is_own = |disk: &DiskStatus| {
        matches!(&disk.meta, DiskMeta::Present { cluster_id, node_id, .. }
            if cluster_id == cluster && *node_id == node.id)
    };
    let disk = agent.disks.iter().find(|disk| disk.is_full())?;
    if agent.state != AgentState::Refused || !agent.disks.iter().all(is_own) {
        return None;
    }
    let wished = &desired.group(node.group).volumes;
    let help = match wished.iter().any(|volume| volume.name == disk.volume) {
        true => "raise its size in the spec",
        false => "name it in the spec again, with a larger size, until its records have moved",
    };
    let reason = agent.reason.as_deref().unwrap_or("a disk is full");
    let detail = format!("{reason}: {help}");
    Some((Phase::Refused, Some(WaitingOn::DiskFull { node: node.id, detail })))
}

/// Disks of a running broker that Kafka took offline. Of one that the spec leaves out something else is said, and of a
/// broker that leaves with all its disks.
fn offline(
    desired: &Desired,
    node: &Node,
    agent: &AgentStatus,
) -> Option<(Phase, Option<WaitingOn>)> {
    let wished = &desired.group(node.group).volumes;
    let stays = |name: &&String| wished.iter().any(|volume| volume.name == **name);
    let volumes: Vec<String> =
        agent.jvm.as_ref()?.offline_volumes.iter().filter(stays).cloned().collect();
    let serves = matches!(agent.state, AgentState::CatchingUp | AgentState::Running);
    (serves && !node.leaving && !volumes.is_empty())
        .then_some((Phase::CatchingUp, Some(WaitingOn::DiskOffline { node: node.id, volumes })))
}

/// Kubernetes says that a claim has no volume, and not which claim of which class.
fn stuck(observed: &Observed, node: &Node, detail: &str) -> String {
    if !detail.to_ascii_lowercase().contains("persistentvolumeclaim") {
        return detail.to_owned();
    }
    let of_node = |claim: &Claim| claim.group == node.group && claim.node_id == node.id;
    let unbound = observed.claims.iter().filter(|(_, claim)| of_node(claim) && !claim.bound);
    let unbound: Vec<String> = unbound.map(|(name, claim)| without_volume(name, claim)).collect();
    [&[detail.trim_end_matches('.').to_owned()], &unbound[..]].concat().join("; ")
}

fn without_volume(name: &str, claim: &Claim) -> String {
    match &claim.class {
        Some(class) => format!("claim {name} has no volume of StorageClass {class} yet"),
        None => format!(
            "claim {name} has no volume yet, and no StorageClass: name one in the spec, or make one the default"
        ),
    }
}

/// Why a node that asks for it may not format, if so.
fn refusal(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
) -> Option<WaitingOn> {
    match format::decide(desired, observed, nodes, node)? {
        Ok(_) => None,
        Err(Objection::Refuse(detail)) => Some(WaitingOn::DiskRefused { node: node.id, detail }),
        Err(Objection::Wait(detail)) => {
            let detail = format!("waits for the word to format its disks: {detail}");
            Some(WaitingOn::Starting { node: node.id, detail })
        }
    }
}

fn from_agent(
    node: &Node,
    agent: &AgentStatus,
    refusal: Option<WaitingOn>,
) -> (Phase, Option<WaitingOn>) {
    let id = node.id;
    let said = |otherwise: &str| agent.reason.clone().unwrap_or_else(|| otherwise.to_owned());
    let starting = |detail: String| Some(WaitingOn::Starting { node: id, detail });
    match agent.state {
        AgentState::AwaitingFormat => {
            let waiting_on = refusal
                .or_else(|| starting("its empty disks are about to be formatted".to_owned()));
            let refused = matches!(waiting_on, Some(WaitingOn::DiskRefused { .. }));
            (if refused { Phase::Refused } else { Phase::AwaitingFormat }, waiting_on)
        }
        AgentState::Refused => {
            let detail = said("its disks are not what they must be");
            (Phase::Refused, Some(WaitingOn::DiskRefused { node: id, detail }))
        }
        AgentState::Formatting => (Phase::AwaitingFormat, starting("formats its disks".to_owned())),
        AgentState::Starting => (Phase::Starting, starting(said("Kafka starts"))),
        AgentState::Recovering => (Phase::Recovering, starting(said("Kafka reads its logs again"))),
        AgentState::CatchingUp => {
            let detail = match &agent.in_sync {
                InSync::No { waiting_on } => waiting_on.clone(),
                InSync::Unknown { reason } => reason.clone(),
                InSync::Yes => said("catches up"),
            };
            (Phase::CatchingUp, Some(WaitingOn::CatchingUp { node: id, detail }))
        }
        AgentState::Running => (Phase::Running, None),
        AgentState::Stopping => (Phase::Stopping, Some(WaitingOn::Stopping { node: id })),
    }
}
