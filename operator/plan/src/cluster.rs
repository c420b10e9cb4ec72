//! KafkaCluster: the order of steps. Read this first.

use jiff::Timestamp;
use ottla_crds::kafka_cluster::status::Memory;

use crate::desired::{Desired, Problem};
use crate::disks::growth::{self, Growing};
use crate::node::{Node, nodes};
use crate::observed::{Answer, Observed};
use crate::repair::Moment;
use crate::report::{Report, WaitingOn};
use crate::resources::blueprint::Blueprints;
use crate::{
    Action, Plan, authority, canary, certificate, configuration, disks, format, identity, quorum,
    release, repair, resources, roll, scale, upgrade,
};

/// Plans one pass over a cluster.
///
/// 1. Nobody else's cluster, a paused one, or one on its way out, is left alone.
/// 2. Identity and CA: who the cluster is. Nothing else is made without them.
/// 3. Certificates, and the objects of the cluster as a whole.
/// 4. Nothing of a node where the spec does not fit the data that there is.
/// 5. Each node's configuration, claims and StatefulSet; what the first of them did not start with is taken
///    by none.
/// 6. Formatting, for nodes whose agents ask and that may; what is formatted goes on record.
/// 7. The next restart of a roll, the next step of brokers and of disks that leave, the next wave of
///    partitions that move, and what of the configuration nodes take while they run.
/// 8. Who votes in the metadata quorum, the next step to another CA, and the features of a release that every
///    node has run long enough.
/// 9. Leftovers.
pub fn plan(
    desired: &Result<Desired, Vec<Problem>>,
    observed: &Observed,
    installation: &str,
    now: Timestamp,
) -> Plan {
    if let Some(waiting_on) = hands_off(desired.as_ref().ok(), observed, installation) {
        return quiet(desired.as_ref().ok(), observed, waiting_on);
    }
    match desired {
        Err(problems) => {
            quiet(None, observed, WaitingOn::InvalidSpec { problems: problems.clone() })
        }
        Ok(desired) => work(desired, observed, now),
    }
}

/// Why this cluster must not be touched at all.
fn hands_off(
    desired: Option<&Desired>,
    observed: &Observed,
    installation: &str,
) -> Option<WaitingOn> {
    let taken_over = desired.and_then(|desired| desired.take_over.as_deref()) == Some(installation);
    match &observed.owner {
        Some(owner) if owner != installation && !taken_over => {
            Some(WaitingOn::ForeignOperator { owner: owner.clone() })
        }
        _ if observed.deleting => Some(WaitingOn::Deleting),
        _ => desired.filter(|desired| desired.paused).map(|_| WaitingOn::Paused),
    }
}

/// A plan that does nothing and still says how the nodes are.
fn quiet(desired: Option<&Desired>, observed: &Observed, waiting_on: WaitingOn) -> Plan {
    let mut report = Report::only(waiting_on);
    if let Some(desired) = desired {
        describe(desired, observed, &nodes(desired, observed), &mut report);
    }
    unchanged(observed, report)
}

/// A plan that does nothing and forgets nothing.
fn unchanged(observed: &Observed, report: Report) -> Plan {
    Plan {
        memory: observed.memory.clone(),
        traces: observed.traces().clone(),
        actions: Vec::new(),
        report,
    }
}

fn work(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let nodes = nodes(desired, observed);
    let growing = growth::growing(observed, &nodes);
    let mut plan = unchanged(observed, Report::default());
    for step in [identity::plan(desired, observed), certificate::authority(desired, observed)] {
        match step {
            Ok(actions) => plan.actions.extend(actions),
            Err(waiting_on) => plan.report.waiting_on.push(waiting_on),
        }
    }
    for object in resources::of_cluster(desired, observed, &nodes) {
        match repair::object(observed, &object) {
            Ok(action) => plan.actions.extend(action),
            Err(waiting_on) => plan.report.waiting_on.push(waiting_on),
        }
    }
    match (&observed.identity, &observed.authority) {
        (Some(identity), Some(_)) => {
            let cluster_id = identity.cluster_id.clone();
            work_on_nodes(desired, observed, &cluster_id, &nodes, &growing, &mut plan, now);
        }
        _ if plan.report.waiting_on.is_empty() => plan.report.waiting_on.push(WaitingOn::Creating),
        _ => {}
    }
    plan.report.waiting_on.extend(resources::claim::unlike(desired, observed, &nodes));
    plan.report.waiting_on.extend(growth::waiting_on(&growing));
    describe(desired, observed, &nodes, &mut plan.report);
    plan.actions.sort_by_key(Action::stage);
    plan
}

fn work_on_nodes(
    desired: &Desired,
    observed: &Observed,
    cluster_id: &str,
    nodes: &[Node],
    growing: &Growing<'_>,
    plan: &mut Plan,
    now: Timestamp,
) {
    let mut mismatches = identity::mismatches(desired, observed, nodes);
    mismatches.extend(upgrade::forbidden(desired, observed));
    if !mismatches.is_empty() {
        plan.report.waiting_on.extend(mismatches);
        return;
    }
    for leaf in certificate::leaves(desired, observed, nodes, now) {
        match leaf {
            Ok(action) => plan.actions.push(action),
            Err(waiting_on) => plan.report.waiting_on.push(waiting_on),
        }
    }
    let mut blueprints = Blueprints::new(desired, observed, cluster_id, nodes);
    let watch = upgrade::watch(desired, observed, nodes, now);
    let canary = canary::judge(desired, observed, nodes, &mut blueprints, now);
    let moment = Moment { observed, watch: &watch, canary: &canary, growing, now };
    let (mut outdated, mut configurations) = (Vec::new(), Vec::new());
    for node in nodes {
        let steps = repair::node(blueprints.of(node), node, &moment);
        plan.actions.extend(steps.actions);
        plan.report.waiting_on.extend(steps.waiting_on);
        outdated.extend(steps.outdated);
        configurations.push((node, steps.configuration));
    }
    let roll = roll::plan(desired, observed, nodes, outdated, &watch, now);
    let scale = scale::plan(desired, observed, nodes, &roll.undone, now);
    let disks = disks::plan(desired, observed, nodes);
    let upgrade = upgrade::finalize(desired, observed, nodes, now);
    plan.report.waiting_on.extend(canary.waiting_on());
    plan.memory = Memory {
        roll: roll.memory,
        canary: canary.memory.or(roll.canary),
        rejected: canary.rejected,
    };
    plan.traces.drain = scale.drain;
    plan.traces.moves = scale.moves;
    plan.traces.disks = disks.memory;
    plan.traces.features = upgrade::on_record(observed, &upgrade.actions);
    plan.report.roll = roll.report;
    plan.report.departures = scale.departures;
    plan.report.arrivals = scale.arrivals;
    plan.report.emptied = disks.progress;
    plan.report.waiting_on.extend(roll.waiting_on);
    plan.report.waiting_on.extend(scale.waiting_on);
    plan.report.waiting_on.extend(disks.waiting_on.into_iter().chain(upgrade.waiting_on));
    plan.report.waiting_on.extend(disks::held_back(desired, observed, nodes));
    plan.actions.extend(roll.actions);
    plan.actions.extend(scale.actions);
    plan.actions.extend(disks.actions);
    plan.actions.extend(configuration::plan(desired, observed, plan.report.roll.is_some()));
    plan.actions.extend(identity::record(desired, observed));
    work_on_all(desired, observed, nodes, upgrade.actions, plan, now);
    // A node that is about to be replaced formats in its next life.
    let mut formats = format::plan(desired, observed, nodes);
    formats.retain(|format| !restarts(&plan.actions, format.node_id));
    plan.traces.permits = format::permits(desired, observed, nodes, &formats);
    formats.retain(|one| format::unnoted(desired, observed, one).is_empty());
    plan.actions.extend(formats.into_iter().map(Action::Format));
    plan.actions.extend(quorum::leftovers(desired, observed, nodes));
    plan.actions.extend(disks::leftovers(desired, observed));
    plan.actions.extend(repair::orphans(desired, observed, &configurations));
}

/// What concerns all nodes at once: who votes, whom they trust, and which features are switched on.
fn work_on_all(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    features: Vec<Action>,
    plan: &mut Plan,
    now: Timestamp,
) {
    let mut quorum = quorum::plan(desired, observed, nodes);
    // Both are written into one object, and the quorum builds upon what is on record of disks.
    let of_disks =
        |action: &Action| matches!(action, Action::RecordDisks { .. } | Action::ForgetDisks { .. });
    if plan.actions.iter().any(of_disks) {
        quorum.actions.clear();
    }
    let authority = authority::plan(desired, observed, nodes, now);
    plan.report.votes = quorum.progress;
    plan.report.authority = authority.progress;
    plan.report.waiting_on.extend(quorum.waiting_on.into_iter().chain(authority.waiting_on));
    // A node that is about to stop might be the one that has to take it.
    let stops = plan.actions.iter().any(Action::stops_a_serving_node);
    let may = |action: &Action| !stops || !action.is_destructive();
    let actions = features.into_iter().chain(quorum.actions).chain(authority.action);
    plan.actions.extend(actions.filter(may));
}

fn restarts(actions: &[Action], node_id: i32) -> bool {
    let mut restarted = actions.iter().filter_map(|action| match action {
        Action::RestartPod(restart) => Some(restart.node_id),
        _ => None,
    });
    restarted.any(|id| id == node_id)
}

fn describe(desired: &Desired, observed: &Observed, nodes: &[Node], report: &mut Report) {
    report.nodes =
        nodes.iter().map(|node| crate::report::node(desired, observed, nodes, node)).collect();
    let runs_another = |version: &String| *version != desired.version;
    report.brings_release =
        report.nodes.iter().any(|node| node.version.as_ref().is_some_and(runs_another));
    report.cluster_id = observed.identity.as_ref().map(|identity| identity.cluster_id.clone());
    let any_ready = report.nodes.iter().any(|node| node.ready);
    // A node that says what it waits for is the cause, and what lacks its replicas the effect.
    let explained = report.nodes.iter().any(|node| node.waiting_on.is_some());
    match &observed.kafka {
        Answer::Known(kafka) => {
            report.allowed = Some(release::allowed(&observed.features()));
            report.features = Some(kafka.features.clone());
            let under_replicated = kafka.partitions.tally().under_replicated;
            if under_replicated.count > 0 && !explained {
                report.waiting_on.push(WaitingOn::UnderReplicated {
                    count: under_replicated.count,
                    example: kafka.partitions.example_name(under_replicated),
                });
            }
        }
        Answer::Unknown { reason } if any_ready => {
            report.waiting_on.push(WaitingOn::KafkaUnknown { detail: reason.clone() });
        }
        Answer::Unknown { .. } => {}
    }
}
