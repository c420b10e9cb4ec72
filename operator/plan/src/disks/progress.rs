//! How far it is with disks that leave, as people are told.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::{Group, Node};
use crate::observed::traces::DisksMemory;
use crate::report::Progress;

/// How many nodes of a group are rid of what leaves. A broker is not as long as traces of its disks are left.
pub(super) fn progress(
    nodes: &[Node],
    group: Group,
    leaving: &BTreeMap<i32, BTreeSet<&str>>,
    memory: Option<&DisksMemory>,
) -> Progress {
    let put_off = memory.into_iter().flat_map(|memory| memory.put_off.keys().copied());
    let begun: BTreeSet<i32> =
        memory.map(|memory| memory.broker).into_iter().chain(put_off).collect();
    let there = nodes.iter().filter(|node| node.group == group).map(|node| node.id);
    let all: BTreeSet<i32> = there.chain(begun.iter().copied()).collect();
    let is_done = |id: &&i32| !begun.contains(id) && !leaving.contains_key(id);
    Progress { since: None, done: all.iter().filter(is_done).count(), of: all.len() }
}
