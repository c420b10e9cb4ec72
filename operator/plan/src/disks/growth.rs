//! Disks that grow: how far Kubernetes is with them, and whether a node has to start anew for that.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::node::{Group, Node};
use crate::observed::{Claim, Observed};
use crate::quantity;
use crate::report::WaitingOn;

/// A file system that grows while it is mounted has grown by then: Kubernetes looks each few seconds, and tries again
/// for half of a minute.
pub const GROWS_WITHIN_SECONDS: i64 = 60;

/// Claims that have less than they ask for, by their nodes.
pub(crate) type Growing<'a> = BTreeMap<(Group, i32), Vec<&'a Claim>>;

/// Those of disks that nodes are to have.
pub(crate) fn growing<'a>(observed: &'a Observed, nodes: &[Node]) -> Growing<'a> {
    let mut growing = Growing::new();
    for claim in observed.claims.values().filter(|claim| lacks(claim)) {
        let key = (claim.group, claim.node_id);
        let place = nodes.binary_search_by_key(&key, |node| (node.group, node.id));
        if place.is_ok_and(|place| nodes[place].has_disk(&claim.volume)) {
            growing.entry(key).or_default().push(claim);
        }
    }
    growing
}

/// What is said of them.
pub(crate) fn waiting_on(growing: &Growing<'_>) -> Option<WaitingOn> {
    let mut all = growing.values().flatten();
    let first = all.next()?;
    let (has, wants) = (first.capacity.as_deref()?, first.size.as_deref()?);
    let others = match all.count() {
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
    growing: &Growing<'_>,
    observed: &Observed,
    node: &Node,
    now: Timestamp,
) -> Option<String> {
    let claims = growing.get(&(node.group, node.id))?;
    let made = observed.pods.get(&node.id)?.created_at_seconds?;
    let is_due = |since: i64| since >= made && now.as_second() - since >= GROWS_WITHIN_SECONDS;
    let since = |claim: &Claim| claim.growth.as_ref()?.at_start_since_seconds;
    let claim = claims.iter().find(|claim| since(claim).is_some_and(is_due))?;
    Some(format!(
        "disk {} has grown, and its file system grows only before its pod starts",
        claim.volume
    ))
}

/// Whether a claim has less than it asks for.
fn lacks(claim: &Claim) -> bool {
    let bytes = |size: &Option<String>| size.as_deref().and_then(quantity::bytes);
    claim.bound
        && claim.capacity != claim.size
        && bytes(&claim.capacity).is_some_and(|has| Some(has) < bytes(&claim.size))
}
