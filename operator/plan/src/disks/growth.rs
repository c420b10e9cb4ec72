//! Disks that grow: how far Kubernetes is with them, and whether a node has to start anew for that.

use jiff::Timestamp;

use crate::desired::Desired;
use crate::node::Node;
use crate::observed::{Claim, Observed};
use crate::quantity;
use crate::report::WaitingOn;

/// A file system that grows while it is mounted has grown by then: Kubernetes looks each few seconds, and tries again
/// for half of a minute.
pub const GROWS_WITHIN_SECONDS: i64 = 60;

/// What is said while claims have less than they ask for.
pub(crate) fn waiting_on(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
) -> Option<WaitingOn> {
    let claims = nodes.iter().flat_map(|node| claims(desired, observed, node));
    let mut growing = claims.filter(|claim| lacks(claim));
    let first = growing.next()?;
    let (has, wants) = (first.capacity.as_deref()?, first.size.as_deref()?);
    let others = match growing.count() {
        0 => String::new(),
        1 => ", and so does another disk".to_owned(),
        count => format!(", and so do {count} other disks"),
    };
    let says = first.growth.as_ref().map(|growth| match growth.at_start_since_seconds {
        Some(_) => format!(
            ": {} Nodes are restarted for it, one after another, if it does not come by itself",
            growth.detail
        ),
        None => format!(": {}", growth.detail),
    });
    Some(WaitingOn::DisksGrowing {
        detail: format!(
            "disk {} of node {} grows from {has} to {wants}{others}{}",
            first.volume,
            first.node_id,
            says.unwrap_or_default()
        ),
    })
}

/// Why a node has to start anew, if one of its disks only grows then. One whose pod was made since needs it no more.
pub(crate) fn needs_start(
    desired: &Desired,
    observed: &Observed,
    node: &Node,
    now: Timestamp,
) -> Option<String> {
    let made = observed.pods.get(&node.id)?.created_at_seconds?;
    let is_due = |since: i64| since >= made && now.as_second() - since >= GROWS_WITHIN_SECONDS;
    let waits = |claim: &&Claim| {
        let since = claim.growth.as_ref().and_then(|growth| growth.at_start_since_seconds);
        since.is_some_and(is_due) && lacks(claim)
    };
    let claim = claims(desired, observed, node).find(waits)?;
    Some(format!(
        "disk {} has grown, and its file system grows only before its pod starts",
        claim.volume
    ))
}

fn claims<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    node: &'a Node,
) -> impl Iterator<Item = &'a Claim> {
    let names = node.volumes.iter().map(|volume| desired.names.claim(node, &volume.name));
    names.filter_map(|name| observed.claims.get(&name))
}

/// Whether a claim has less than it asks for.
fn lacks(claim: &Claim) -> bool {
    let bytes = |size: &Option<String>| size.as_deref().and_then(quantity::bytes);
    claim.bound
        && claim.capacity != claim.size
        && bytes(&claim.capacity).is_some_and(|has| Some(has) < bytes(&claim.size))
}
