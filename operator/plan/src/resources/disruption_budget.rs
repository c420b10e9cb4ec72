//! PodDisruptionBudgets: how many nodes of a group Kubernetes may evict.

use serde_json::{Value, json};

use super::owned_metadata;
use crate::desired::Desired;
use crate::names::{CLUSTER_LABEL, GROUP_LABEL};
use crate::node::{Group, Node};
use crate::object::{Kind, Object};
use crate::observed::Observed;
use crate::quorum;

/// The budget of a group; none for a single node, which could otherwise never be drained.
///
/// While a roll goes on, any partition lacks a replica, any node is cut off from the others, others vote
/// than the spec asks for, or nobody can say, no node may be evicted.
#[must_use]
pub fn group(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    group: Group,
) -> Option<Object> {
    let count = nodes.iter().filter(|node| node.group == group).count();
    if count < 2 {
        return None;
    }
    let rolling = observed.memory.roll.is_some();
    let healthy = !rolling
        && observed.kafka.known().is_some_and(|kafka| {
            kafka.partitions.tally().under_replicated.count == 0
                && nodes.iter().all(|node| kafka.cut_off(node).is_none())
                && kafka.voters.keys().copied().eq(quorum::wished(desired))
        });
    let name = desired.names.disruption_budget(group);
    let tree = json!({
        "metadata": owned_metadata(desired, &name),
        "spec": {
            "minAvailable": if healthy { count - 1 } else { count },
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {
                "matchLabels": { CLUSTER_LABEL: desired.names.cluster, GROUP_LABEL: group.word() },
            },
        },
    });
    Some(Object::new(Kind::PodDisruptionBudget, name, tree))
}

/// Whether Kubernetes knows that no node of a group may be evicted.
#[must_use]
pub fn is_closed(desired: &Desired, observed: &Observed, nodes: &[Node], group: Group) -> bool {
    let Some(wanted) = self::group(desired, observed, nodes, group) else { return true };
    let Some(child) = observed.child(Kind::PodDisruptionBudget, &wanted.name) else { return false };
    let at = |pointer: &str| child.live.pointer(pointer).and_then(Value::as_i64);
    let count = nodes.iter().filter(|node| node.group == group).count();
    let closed = at("/spec/minAvailable").is_some_and(|least| usize::try_from(least) == Ok(count));
    let noticed = at("/status/observedGeneration") >= at("/metadata/generation");
    closed && noticed && at("/status/disruptionsAllowed") == Some(0)
}
