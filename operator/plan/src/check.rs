//! A second opinion on every plan and every destructive action: it knows the laws and not the
//! algorithm.

use std::collections::BTreeSet;

use ottla_crds::agent::{AgentState, FormatMode};

use crate::action::{Action, Format, RestartPod, Rewrite};
use crate::desired::Desired;
use crate::node::{Node, nodes};
use crate::object::Kind;
use crate::observed::{Observed, disk_key};
use crate::roll::{self, Hold};
use crate::{Plan, format, repair, resources};

/// A law that a plan would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law, as numbered in the safety document: `S4`, `S5` and so on.
    pub law: &'static str,
    /// What would break it.
    pub sentence: String,
}

fn violation(law: &'static str, sentence: impl Into<String>) -> Violation {
    Violation { law, sentence: sentence.into() }
}

/// Checks a whole plan against the laws before anything of it is done.
///
/// # Errors
/// Every law that would be broken.
pub fn plan(plan: &Plan, observed: &Observed) -> Result<(), Vec<Violation>> {
    let mut found: Vec<Violation> =
        plan.actions.iter().filter_map(|action| broken_law(action, observed)).collect();
    let rolled = |action: &&Action| matches!(action, Action::RestartPod(r) if !r.is_of_idle_node);
    if plan.actions.iter().filter(rolled).count() > 1 {
        found.push(violation("S2", "two nodes that serve would be restarted at once"));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn broken_law(action: &Action, observed: &Observed) -> Option<Violation> {
    let stranger = |kind: Kind, name: &str| observed.child(kind, name).is_some_and(|c| !c.ours);
    match action {
        Action::NewIdentity { .. }
            if observed.identity.is_some() || !observed.claims.is_empty() =>
        {
            Some(violation("S6", "a new cluster id although an identity or claims exist"))
        }
        Action::NewIdentity { object, .. }
        | Action::IssueAuthority { object, .. }
        | Action::Create(object)
            if observed.child(object.kind, &object.name).is_some() =>
        {
            Some(violation("S9", format!("{} exists already", object.name)))
        }
        Action::Apply(Rewrite { object, .. }) if stranger(object.kind, &object.name) => {
            Some(violation("S9", format!("{} is a stranger's", object.name)))
        }
        Action::Delete(delete) if delete.kind != Kind::ConfigMap => Some(violation(
            "S4",
            format!("{} {} would be deleted", delete.kind.word(), delete.target.name),
        )),
        Action::Delete(delete) if stranger(delete.kind, &delete.target.name) => {
            Some(violation("S9", format!("{} is a stranger's", delete.target.name)))
        }
        _ => None,
    }
}

/// Whether a destructive action may be done, judged on a fresh observation.
///
/// # Errors
/// The law that it would break.
pub fn permit(action: &Action, desired: &Desired, fresh: &Observed) -> Result<(), Violation> {
    match action {
        Action::Format(format) => permit_format(format, desired, fresh),
        Action::RestartPod(restart) => {
            let node = find(desired, fresh, restart.node_id)?;
            let pod = fresh.pods.get(&restart.node_id);
            let pod = pod.ok_or_else(|| violation("S7", "the pod is gone"))?;
            if pod.uid != restart.pod.uid {
                return Err(violation("S7", "the pod is another one by now"));
            }
            if !repair::serves_nobody(fresh, &node, pod) {
                return permit_stop(restart, desired, fresh, &node);
            }
            let claims = fresh.claims.values().filter(|claim| claim.node_id == node.id);
            if claims.into_iter().any(|claim| claim.terminating) {
                return Err(violation("S4", "a claim of the node would go with its pod"));
            }
            Ok(())
        }
        Action::Delete(delete) => {
            let used = fresh.children_of(Kind::StatefulSet).any(|(_, child)| {
                resources::stateful_set::configuration(&child.live)
                    == Some(delete.target.name.as_str())
            });
            let mounted = fresh
                .pods
                .values()
                .any(|pod| pod.configuration.as_deref() == Some(delete.target.name.as_str()));
            if delete.kind != Kind::ConfigMap || used || mounted {
                return Err(violation("S4", format!("{} is in use", delete.target.name)));
            }
            Ok(())
        }
        Action::NewIdentity { .. }
        | Action::IssueAuthority { .. }
        | Action::IssueLeaf(_)
        | Action::Create(_)
        | Action::Apply(_)
        | Action::RecordDisks { .. }
        | Action::AlterConfig(_)
        | Action::ElectLeaders(_) => Ok(()),
    }
}

/// S2 and S3: a node whose Kafka runs is stopped only by a roll, and only while nothing depends on
/// it.
fn permit_stop(
    restart: &RestartPod,
    desired: &Desired,
    fresh: &Observed,
    node: &Node,
) -> Result<(), Violation> {
    if restart.is_of_idle_node {
        return Err(violation("S2", "the node may serve by now"));
    }
    roll::may_stop(desired, fresh, &nodes(desired, fresh), node).map_err(|hold| {
        let law = match hold {
            Hold::Quorum { .. } => "S3",
            Hold::ClaimTerminating { .. } => "S4",
            _ => "S2",
        };
        violation(law, hold.to_string())
    })
}

fn find(desired: &Desired, fresh: &Observed, id: i32) -> Result<Node, Violation> {
    nodes(desired, fresh)
        .into_iter()
        .find(|node| node.id == id)
        .ok_or_else(|| violation("S7", format!("node {id} is not part of the cluster by now")))
}

/// S5: a known node is never formatted, unless its loss was declared.
fn permit_format(format: &Format, desired: &Desired, fresh: &Observed) -> Result<(), Violation> {
    let node = find(desired, fresh, format.node_id)?;
    let identity =
        fresh.identity.as_ref().ok_or_else(|| violation("S6", "the identity is gone"))?;
    if identity.cluster_id != format.request.cluster_id {
        return Err(violation("S6", "the cluster id changed"));
    }
    let pod = fresh.pods.get(&node.id).ok_or_else(|| violation("S7", "the pod is gone"))?;
    if pod.uid != format.pod_uid || pod.terminating {
        return Err(violation("S7", "the pod is another one, or being deleted"));
    }
    let agent = fresh
        .agent(node.id)
        .ok_or_else(|| violation("S7", "the agent does not answer any more"))?;
    if agent.state != AgentState::AwaitingFormat || agent.jvm.is_some() {
        return Err(violation("S5", "the agent does not ask any more"));
    }
    if format::unseen(identity, agent, node.id).is_some() {
        return Err(violation("S5", "a volume on record was not found beside the empty ones"));
    }
    for volume in &format.request.volumes {
        permit_disk(desired, fresh, &node, volume)?;
    }
    let voters: BTreeSet<i32> = identity.voters.keys().copied().collect();
    match &format.request.mode {
        FormatMode::InitialControllers(_) if !voters.contains(&node.id) => {
            Err(violation("S3", "only the first voters are formatted with the first voters' list"))
        }
        FormatMode::Plain if node.is_controller() => {
            Err(violation("S3", "a controller is never formatted without a word on the quorum"))
        }
        _ => Ok(()),
    }
}

fn permit_disk(
    desired: &Desired,
    fresh: &Observed,
    node: &Node,
    volume: &str,
) -> Result<(), Violation> {
    let name = desired.names.claim(node, volume);
    let claim = fresh.claims.get(&name);
    let claim = claim.ok_or_else(|| violation("S5", format!("claim {name} is unknown")))?;
    let on_record = fresh
        .identity
        .as_ref()
        .is_some_and(|identity| identity.disks.contains_key(&disk_key(node.id, volume)));
    let registered = fresh.kafka.known().is_some_and(|kafka| kafka.brokers.contains_key(&node.id));
    let declared = claim.accepted_uid.as_deref() == Some(claim.uid.as_str());
    let restored = fresh.identity.as_ref().is_none_or(|identity| identity.voters.is_empty());
    let perhaps_used = on_record || registered || restored;
    if perhaps_used && (node.is_controller() || !declared) {
        return Err(violation("S5", format!("the disk of claim {name} may have been in use")));
    }
    if perhaps_used {
        let kafka = fresh.kafka.known().ok_or_else(|| violation("S5", "Kafka cannot be asked"))?;
        if kafka.no_copy_elsewhere(node.id).is_some() {
            return Err(violation("S1", "a partition has no other in-sync replica"));
        }
    }
    Ok(())
}
