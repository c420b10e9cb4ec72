//! How many brokers there are: those that the spec asks for, and those that leave. A broker leaves when
//! its partitions have moved to others, its disks were seen empty, and nobody can be told any more that
//! it is there.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::action::Action;
use crate::desired::Desired;
use crate::moves::{self, Task};
use crate::node::{Group, Node};
use crate::observed::traces::{DrainMemory, MovesMemory};
use crate::observed::{Kafka, Observed};
use crate::report::{Progress, WaitingOn, partitions};
use crate::{racks, release, roll};

mod departure;

use departure::Case;

/// Brokers that the spec asks for. Those that exist stay; gaps are filled from the lowest id, and where
/// there are too many, the highest ids leave.
pub(crate) fn wished_brokers(desired: &Desired, observed: &Observed) -> BTreeSet<i32> {
    let known: BTreeSet<(Group, i32)> =
        observed.nodes_with_sets().chain(observed.nodes_with_disks()).collect();
    wished_of(desired, known.iter())
}

/// As [`wished_brokers`], where these nodes have a StatefulSet or a disk that was in use.
pub(crate) fn wished_of<'a>(
    desired: &Desired,
    known: impl Iterator<Item = &'a (Group, i32)>,
) -> BTreeSet<i32> {
    let count = usize::try_from(desired.brokers.replicas).unwrap_or_default();
    let of_brokers = |(group, id): &(Group, i32)| (*group == Group::Broker).then_some(*id);
    let mut known: BTreeSet<i32> = known.filter_map(of_brokers).collect();
    if !desired.dedicated() {
        known.extend(0..desired.voters);
    }
    let allowed = |id: &i32| !desired.excluded_ids.contains(id);
    let mut wished: BTreeSet<i32> = known.into_iter().filter(allowed).take(count).collect();
    let gaps: Vec<i32> =
        (0..).filter(allowed).filter(|id| !wished.contains(id)).take(count).collect();
    let missing = count - wished.len();
    wished.extend(gaps.into_iter().take(missing));
    wished
}

/// Whether a broker that the spec does not ask for, and that has no StatefulSet any more, has to run
/// again to give its replicas away.
pub(crate) fn is_needed(observed: &Observed, id: i32) -> bool {
    match observed.kafka.known() {
        Some(kafka) => kafka.partitions.held_by(id) > 0,
        // Nobody knows yet. One that was on its way out stays out until somebody does.
        None => !remembered(observed).contains(&id),
    }
}

fn remembered(observed: &Observed) -> &[i32] {
    observed.traces().drain.as_ref().map(|drain| drain.brokers.as_slice()).unwrap_or_default()
}

/// What brokers that leave come to in one pass.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) drain: Option<DrainMemory>,
    pub(crate) moves: Option<MovesMemory>,
    pub(crate) actions: Vec<Action>,
    pub(crate) waiting_on: Vec<WaitingOn>,
    /// How many brokers have left, of all that do.
    pub(crate) departures: Option<Progress>,
    /// How many partitions are where they have to be, of all that are moved.
    pub(crate) arrivals: Option<Progress>,
}

/// Plans the next step of brokers that leave, and of partitions that have to move for any reason.
/// `undone` are nodes that a roll still has to restart or waits for.
pub(crate) fn plan(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    undone: &BTreeSet<i32>,
    now: Timestamp,
) -> Steps {
    let unchanged = || Steps {
        drain: observed.traces().drain.clone(),
        moves: observed.traces().moves.clone(),
        ..Steps::default()
    };
    let Some(kafka) = observed.kafka.known().filter(|kafka| kafka.leader.is_some()) else {
        return unchanged();
    };
    let leaving = leaving(observed, nodes, kafka);
    let forbidden = forbidden(observed, kafka, nodes, &leaving);
    let known = known_as_controller(observed, kafka, &leaving);
    let is_stuck = has_stuck_leaver(observed, kafka, nodes, &leaving);
    let task = Task {
        desired,
        observed,
        nodes,
        kafka,
        leaving: &leaving,
        held: forbidden
            .clone()
            .or_else(|| known.clone().filter(|_| !is_stuck))
            .or_else(|| held(kafka, nodes, &leaving, undone, is_stuck)),
        now,
    };
    let moves = moves::plan(&task);
    let may_begin = forbidden.is_none() && known.is_none();
    let case = Case { desired, observed, kafka, leaving: &leaving, may_begin, now };
    let departures = case.plan();
    let progress = departures.memory.as_ref().map(|drain| {
        let gone = usize::try_from(drain.gone).unwrap_or_default();
        Progress { since: Some(drain.since.clone()), done: gone, of: gone + leaving.len() }
    });
    let held = moves.waiting_on.or(known);
    let details: Vec<String> = held.into_iter().chain(departures.details).collect();
    let detail = details.join("; ");
    let waiting_on = match forbidden {
        Some(detail) => Some(WaitingOn::ScaleInForbidden { detail }),
        None if leaving.is_empty() => {
            (!detail.is_empty()).then_some(WaitingOn::MovingReplicas { detail })
        }
        None => Some(WaitingOn::Draining { brokers: leaving.into_iter().collect(), detail }),
    };
    Steps {
        drain: departures.memory,
        moves: moves.memory,
        actions: [departures.actions, moves.actions].concat(),
        waiting_on: waiting_on.into_iter().collect(),
        departures: progress,
        arrivals: moves.progress,
    }
}

/// Brokers that exist in any way and that the spec does not ask for.
fn leaving(observed: &Observed, nodes: &[Node], kafka: &Kafka) -> BTreeSet<i32> {
    let brokers = || nodes.iter().filter(|node| node.is_broker());
    let wished: BTreeSet<i32> =
        brokers().filter(|node| !node.leaving).map(|node| node.id).collect();
    let mut known: BTreeSet<i32> = brokers().map(|node| node.id).collect();
    known.extend(kafka.brokers.keys());
    known.extend(kafka.partitions.holders());
    known.extend(remembered(observed));
    known.difference(&wished).copied().collect()
}

/// What comes before the next wave of moves: a roll, because one disruption at a time is enough, and
/// brokers that are to take a part of them. A roll that waits for a broker that leaves and is stuck would wait for ever
/// if its partitions did not move first, and who is to join may wait for that roll.
fn held(
    kafka: &Kafka,
    nodes: &[Node],
    leaving: &BTreeSet<i32>,
    undone: &BTreeSet<i32>,
    is_stuck: bool,
) -> Option<String> {
    if is_stuck && !undone.is_empty() {
        return None;
    }
    let rolled = undone.iter().find(|id| !leaving.contains(id));
    let missing = nodes
        .iter()
        .find(|node| node.is_broker() && !node.leaving && !kafka.brokers.contains_key(&node.id));
    match (rolled, missing) {
        (Some(id), _) => Some(format!("waits for the roll, which is at node {id}")),
        (None, Some(node)) => Some(format!(
            "waits for broker {}, which has not joined yet and would take a part; to do without it, lower brokers.replicas",
            node.id
        )),
        (None, None) => None,
    }
}

/// Whether Kafka may know a broker as a controller, too.
pub(crate) fn was_controller(observed: &Observed, id: i32) -> bool {
    observed.identity.as_ref().is_some_and(|one| one.quorum.registered.contains(&id))
}

/// Whether a broker that leaves is not well, or not with all its disks, and holds partitions: a roll waits for it, and it
/// for its moves. One that Kafka alone knows of never is well.
fn has_stuck_leaver(
    observed: &Observed,
    kafka: &Kafka,
    nodes: &[Node],
    leaving: &BTreeSet<i32>,
) -> bool {
    let node = |id: i32| nodes.iter().find(|node| node.id == id);
    let has_offline = |id: i32| observed.jvm(id).is_some_and(|jvm| !jvm.offline_volumes.is_empty());
    let is_well = |node: &Node| roll::is_well(observed, node).is_ok() && !has_offline(node.id);
    let is_stuck = |id: i32| !node(id).is_some_and(is_well);
    leaving.iter().any(|id| is_stuck(*id) && kafka.partitions.held_by(*id) > 0)
}

/// What a broker that leaves waits for that was a controller and is about to be forgotten as one.
fn known_as_controller(
    observed: &Observed,
    kafka: &Kafka,
    leaving: &BTreeSet<i32>,
) -> Option<String> {
    let mut known = leaving.iter().filter(|id| was_controller(observed, **id));
    let id = known.next().filter(|_| release::unregisters_controllers(&kafka.features))?;
    Some(format!("waits until Kafka does not know broker {id} as a controller any more"))
}

/// Why brokers must not leave at all, if so: a partition would have nowhere to go.
fn forbidden(
    observed: &Observed,
    kafka: &Kafka,
    nodes: &[Node],
    leaving: &BTreeSet<i32>,
) -> Option<String> {
    if leaving.is_empty() {
        return None;
    }
    let stays_known = !release::unregisters_controllers(&kafka.features);
    if let Some(id) = leaving.iter().find(|id| stays_known && was_controller(observed, **id)) {
        return Some(format!(
            "broker {id} cannot leave: it was a controller, and Kafka keeps its registration, which would not let the features of another release be switched on once it is gone (KAFKA-20295); keep it, or let another leave by excludedIds"
        ));
    }
    let stay = nodes.iter().filter(|node| node.is_broker() && !node.leaving).count();
    let wave = moves::Wave::of(observed);
    let mut too_many = kafka.partitions.iter().filter(|partition| {
        partition.replicas.len() > stay
            && partition.replicas.iter().any(|id| leaving.contains(id))
            && wave.settled(kafka, partition) > stay
    });
    let Some(first) = too_many.next() else { return racks::forbid(&wave, nodes, kafka, leaving) };
    let which = partitions(1 + too_many.count(), &first.name());
    let brokers = crate::report::brokers(leaving);
    let left = if stay == 1 {
        "one broker that is".to_owned()
    } else {
        format!("{stay} brokers that are")
    };
    Some(format!(
        "{brokers} cannot leave: {which} would have more replicas than the {left} left; raise brokers.replicas or shorten excludedIds again, or lower the number of replicas first"
    ))
}
