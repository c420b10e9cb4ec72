//! Rolls: nodes that the spec asks to restart are restarted one after another, each only while
//! everything that depends on it can do without.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ottla_crds::kafka_cluster::status::{CanaryMemory, RollMemory};

use crate::action::{Action, RestartPod};
use crate::canary;
use crate::desired::Desired;
use crate::node::{Group, Node};
use crate::observed::{Kafka, Observed};
use crate::repair::Outdated;
use crate::report::{Progress, WaitingOn};
use crate::scale;
use crate::upgrade::Watch;

mod reason;
mod safety;

pub use reason::Reason;
pub(crate) use reason::{certificate, reason};
pub use safety::{Hold, may_stop};
pub(crate) use safety::{guards, is_well, is_well_or_nobody_yet};

/// What a roll comes to in one pass.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) memory: Option<RollMemory>,
    /// The node that is restarted, if it is the first to take what the spec asks for.
    pub(crate) canary: Option<CanaryMemory>,
    pub(crate) actions: Vec<Action>,
    pub(crate) waiting_on: Vec<WaitingOn>,
    pub(crate) report: Option<Progress>,
    /// Nodes that it still has to restart, or that are not well again.
    pub(crate) undone: BTreeSet<i32>,
}

/// Plans the next step of a roll, if there is one or should be.
///
/// A roll is remembered before its first restart, which closes the disruption budgets, and is over
/// when no node is left to restart, all are well, and the preferred leaders lead again. They do so
/// before the next restart, too: it moves leaders itself, and one move at a time is enough.
pub(crate) fn plan(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    outdated: Vec<Outdated>,
    watch: &Watch,
    now: Timestamp,
) -> Steps {
    // A broker that gives its partitions away, or has none left, is about to be stopped for good.
    let kafka = observed.kafka.known();
    let stays = |one: &Outdated| {
        let is_empty = kafka.is_some_and(|kafka| kafka.partitions.held_by(one.node.id) == 0);
        let well = safety::is_well(observed, &one.node).is_ok();
        let moves = observed.traces().moves.as_ref();
        let gives_away = moves.is_some_and(|moves| !moves.wave.is_empty()) && well;
        // One that was a controller is forgotten as such when it has restarted without that role.
        let is_empty = is_empty && !scale::was_controller(observed, one.node.id);
        !one.node.leaving || !one.node.is_broker() || (!is_empty && !gives_away)
    };
    let outdated = outdated.into_iter().filter(stays);
    let (mut due, later): (Vec<Outdated>, Vec<Outdated>) =
        outdated.partition(|outdated| outdated.reason.is_some());
    let mut steps =
        Steps { waiting_on: later.iter().map(at_next_restart).collect(), ..Steps::default() };
    let before = observed.memory.roll.as_ref();
    if due.is_empty() && before.is_none() {
        return steps;
    }
    let well = nodes.iter().all(|node| is_well_or_nobody_yet(observed, node).is_ok());
    let leaders_away = kafka.map(|kafka| kafka.partitions.tally().led_by_others.count);
    if due.is_empty() && well && leaders_away == Some(0) {
        return steps;
    }
    let roll = remembered(before, &due, now);
    // One that has left since is nobody to wait for.
    let there = nodes.iter().filter(|node| roll.nodes.contains(&node.id));
    let (done, undone): (Vec<&Node>, Vec<&Node>) =
        there.partition(|node| is_done(observed, &due, node));
    steps.report = Some(Progress {
        since: Some(roll.since.clone()),
        of: done.len() + undone.len(),
        done: done.len(),
    });
    steps.undone = undone.into_iter().map(|node| node.id).collect();
    steps.memory = Some(roll);
    if let Some(kafka) = kafka.filter(|_| before.is_some() && well && leaders_away != Some(0)) {
        let count = kafka.partitions.tally().led_by_others;
        let example = kafka.partitions.example_name(count);
        steps.waiting_on.push(WaitingOn::LedByOthers { count: count.count, example });
        steps.actions.push(Action::ElectLeaders(led_by_others(kafka)));
        return steps;
    }
    due.sort_by_key(|outdated| turn(observed, &outdated.node));
    restart(desired, observed, nodes, due, watch, &mut steps);
    steps
}

fn remembered(before: Option<&RollMemory>, due: &[Outdated], now: Timestamp) -> RollMemory {
    let known = before.map(|roll| roll.nodes.as_slice()).unwrap_or_default();
    let nodes: BTreeSet<i32> =
        known.iter().copied().chain(due.iter().map(|outdated| outdated.node.id)).collect();
    let since = before
        .map_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), |roll| roll.since.clone());
    RollMemory { since, nodes: nodes.into_iter().collect() }
}

fn is_done(observed: &Observed, due: &[Outdated], node: &Node) -> bool {
    !due.iter().any(|outdated| outdated.node.id == node.id)
        && safety::is_well(observed, node).is_ok()
}

/// Whether a roll has restarted a node that is not Ready again.
pub(crate) fn is_restarting(observed: &Observed, node: &Node) -> bool {
    let is_ready = observed.pods.get(&node.id).is_some_and(|pod| pod.ready && !pod.terminating);
    let roll = observed.memory.roll.as_ref();
    !is_ready && roll.is_some_and(|roll| roll.nodes.contains(&node.id))
}

/// Nodes that do not serve come first: they have the least to lose. Then Dedicated controllers, then
/// brokers; of each group the quorum's leader last, so that it changes once.
fn turn(observed: &Observed, node: &Node) -> (bool, bool, bool, i32) {
    let leads = observed.kafka.known().is_some_and(|kafka| kafka.leader == Some(node.id));
    (safety::may_serve(observed, node), node.group == Group::Broker, leads, node.id)
}

/// Restarts the first node that may stop, or says what holds the first one back.
fn restart(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    due: Vec<Outdated>,
    watch: &Watch,
    steps: &mut Steps,
) {
    let mut held = None;
    let ids: Vec<i32> = due.iter().map(|outdated| outdated.node.id).collect();
    for outdated in due {
        let node = outdated.node.id;
        let reason = outdated.reason.clone().unwrap_or_default();
        let watched = || watch.permits(desired, observed, &outdated.node);
        match may_stop(desired, observed, nodes, &outdated.node).and_then(|()| watched()) {
            Ok(()) => {
                let detail = reason.clone();
                steps.canary = canary::first(observed, nodes, &outdated, &ids);
                steps.waiting_on.push(WaitingOn::Restarting { node, detail });
                steps.actions.push(Action::RestartPod(RestartPod {
                    node_id: node,
                    pod: outdated.pod,
                    set: outdated.set,
                    is_of_idle_node: false,
                    reason,
                }));
                return;
            }
            Err(hold) => held = held.or(Some((node, hold))),
        }
    }
    let Some((node, hold)) = held else { return };
    match hold {
        // That node says for itself what it waits for.
        Hold::NotWell { said: true, .. } => {}
        Hold::Soaking { sentence } => {
            steps.waiting_on.push(WaitingOn::Soaking { detail: sentence });
        }
        Hold::Forbidden { sentence } => {
            steps.waiting_on.push(WaitingOn::RestartForbidden { node, detail: sentence });
        }
        hold => {
            let detail = hold.to_string();
            steps.waiting_on.push(WaitingOn::RestartHeld { node, detail });
        }
    }
}

fn at_next_restart(outdated: &Outdated) -> WaitingOn {
    WaitingOn::RestartPending {
        node: outdated.node.id,
        detail: format!(
            "was made by another release of Ottla; it follows at its next restart, and changes of the spec with it, which can be asked for by a new value of the annotation {}",
            crate::names::RESTART_ANNOTATION
        ),
    }
}

/// A controller takes at most 10,000 changes in one request
/// (`QuorumController.MAX_RECORDS_PER_USER_OP`).
const ELECTED_AT_ONCE: usize = 1000;

/// Partitions whose preferred leader could lead and does not, by topic, as many as one request takes.
fn led_by_others(kafka: &Kafka) -> BTreeMap<String, Vec<i32>> {
    let mut found: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let led = kafka.partitions.iter().filter(|partition| partition.is_led_by_another());
    for partition in led.take(ELECTED_AT_ONCE) {
        found.entry(partition.topic.to_owned()).or_default().push(partition.index);
    }
    found
}
