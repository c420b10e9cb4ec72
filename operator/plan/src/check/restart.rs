//! What must hold before a pod is deleted so that it starts anew.

use super::{Verdicts, Violation, disks, find, unless, violation};
use crate::action::RestartPod;
use crate::desired::Desired;
use crate::node::{Node, nodes};
use crate::observed::{Observed, Pod};
use crate::repair;
use crate::roll::{self, Hold};

pub(super) fn guards(restart: &RestartPod, desired: &Desired, fresh: &Observed) -> Verdicts {
    let nodes = nodes(desired, fresh);
    let node = find(&nodes, restart.node_id);
    let pod = fresh.pods.get(&restart.node_id);
    let idle = node
        .as_ref()
        .is_ok_and(|node| pod.is_some_and(|pod| repair::serves_nobody(fresh, node, pod)));
    let mut verdicts = vec![
        ("the pod is the one that is meant", same_pod(restart, pod)),
        (
            "a node taken for idle is",
            unless(restart.is_of_idle_node && !idle, "S2", "the node may serve by now"),
        ),
    ];
    match &node {
        Ok(node) if idle => verdicts.extend([
            ("its claims stay", claims_stay(fresh, node)),
            (DISKS, disks::left_out(restart, desired, fresh, node)),
        ]),
        Ok(node) => {
            verdicts.extend(serving(desired, fresh, &nodes, node));
            verdicts.push((DISKS, disks::left_out(restart, desired, fresh, node)));
        }
        Err(_) => {}
    }
    verdicts.push(("the node is part of the cluster", node.map(|_| ())));
    verdicts
}

const DISKS: &str = "it goes on without no disk that it needs";

fn same_pod(restart: &RestartPod, pod: Option<&Pod>) -> Result<(), Violation> {
    let pod = pod.ok_or_else(|| violation("S7", "the pod is gone"))?;
    unless(pod.uid != restart.pod.uid, "S7", "the pod is another one by now")
}

fn claims_stay(fresh: &Observed, node: &Node) -> Result<(), Violation> {
    let going = fresh.claims.values().any(|claim| claim.terminating && claim.is_of(node));
    unless(going, "S4", "a claim of the node would go with its pod")
}

/// A node whose Kafka runs is stopped only by a roll, and only while nothing depends on it.
fn serving(desired: &Desired, fresh: &Observed, nodes: &[Node], node: &Node) -> Verdicts {
    let verdicts = roll::guards(desired, fresh, nodes, node).into_iter();
    verdicts.map(|(name, verdict)| (name, verdict.map_err(|hold| broken(&hold)))).collect()
}

fn broken(hold: &Hold) -> Violation {
    let law = match hold {
        Hold::Quorum { .. } => "S3",
        Hold::ClaimTerminating { .. } => "S4",
        _ => "S2",
    };
    violation(law, hold.to_string())
}
