//! Which zone each node lives in: where its disks are, and a new one where the fewest of its kind are.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::moves::Wave;
use crate::node::{FIRST_CONTROLLER_ID, Group, Node};
use crate::observed::{Kafka, Observed, Partition};
use crate::report::partitions;

/// The zone of each of these nodes, if the cluster has racks. Those that leave count for nobody, so that who
/// takes a place takes it in the same zone; among zones that have as few, nodes take turns by their ids.
pub(crate) fn dealt<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    ids: &BTreeSet<(Group, i32)>,
    stays: impl Fn(&(Group, i32)) -> bool,
) -> BTreeMap<(Group, i32), &'a str> {
    let Some(racks) = &desired.racks else { return BTreeMap::new() };
    let mut dealt: BTreeMap<(Group, i32), &str> = BTreeMap::new();
    for claim in observed.claims.values() {
        if let Some(rack) = &claim.rack {
            dealt.entry((claim.group, claim.node_id)).or_insert(rack);
        }
    }
    let mut counts: Counts<'_> = Counts::new();
    for (node, rack) in dealt.iter().filter(|(node, _)| stays(node)) {
        *counts.entry((node.0, *rack)).or_default() += 1;
    }
    let mut new: Vec<(Group, i32)> =
        ids.iter().copied().filter(|node| !dealt.contains_key(node)).collect();
    new.sort_by_key(|node| !stays(node));
    for node in new {
        let Some(rack) = emptiest(&racks.zones, &counts, node) else { continue };
        *counts.entry((node.0, rack)).or_default() += 1;
        dealt.insert(node, rack);
    }
    dealt
}

/// How many nodes of a group stay in a zone.
type Counts<'a> = BTreeMap<(Group, &'a str), usize>;

fn emptiest<'a>(
    zones: &'a [String],
    counts: &Counts<'_>,
    (group, id): (Group, i32),
) -> Option<&'a str> {
    let first = if group == Group::Controller { FIRST_CONTROLLER_ID } else { 0 };
    let turn = usize::try_from(id - first).unwrap_or_default() % zones.len().max(1);
    let taking_turns = zones.iter().skip(turn).chain(zones.iter().take(turn)).map(String::as_str);
    taking_turns.min_by_key(|zone| counts.get(&(group, *zone)).copied().unwrap_or_default())
}

/// Why brokers must not leave, if partitions would lie in fewer zones without them. A replica that is not in
/// sync protects from nothing, so that brokers of a zone that is lost may leave.
pub(crate) fn forbid(
    wave: &Wave<'_>,
    nodes: &[Node],
    kafka: &Kafka,
    leaving: &BTreeSet<i32>,
) -> Option<String> {
    let brokers = || nodes.iter().filter(|node| node.is_broker());
    let racks: BTreeMap<i32, &str> =
        brokers().filter_map(|node| Some((node.id, node.rack.as_deref()?))).collect();
    let stay: BTreeSet<&str> =
        brokers().filter(|node| !node.leaving).filter_map(|node| node.rack.as_deref()).collect();
    let last: Vec<i32> = leaving
        .iter()
        .copied()
        .filter(|id| racks.get(id).is_some_and(|rack| !stay.contains(rack)))
        .collect();
    if last.is_empty() {
        return None;
    }
    let zones = |partition: &Partition<'_>| {
        let settled = wave.settled_on(kafka, partition).into_iter();
        let in_sync = settled.filter(|id| partition.in_sync.contains(id));
        in_sync.filter_map(|id| racks.get(&id)).collect::<BTreeSet<_>>().len()
    };
    let mut fewer = kafka.partitions.iter().filter(|partition| {
        partition.replicas.iter().any(|id| last.contains(id)) && zones(partition) > stay.len()
    });
    let first = fewer.next()?;
    let which = partitions(1 + fewer.count(), &first.name());
    let brokers = crate::report::brokers(leaving);
    let alone: BTreeSet<&str> = last.iter().filter_map(|id| racks.get(id).copied()).collect();
    let alone: Vec<&str> = alone.into_iter().collect();
    Some(format!(
        "{brokers} cannot leave: {which} would lie in fewer zones than now, because no broker would be left in {}; raise brokers.replicas, so that others take their place there, let others leave by excludedIds, or move these partitions first",
        alone.join(", ")
    ))
}
