//! From a report to the status that people read. Pure: the time and the previous status arrive as
//! values, and a status that says nothing new equals the previous one.

use jiff::Timestamp;
use ottla_crds::agent::QuorumRole;
use ottla_crds::kafka_cluster::status::{
    Condition, KafkaClusterStatus, ListenerStatus, NodeStatus, Operation, Summary, VersionStatus,
};

use crate::Plan;
use crate::desired::Desired;
use crate::names::{BROKER_LABEL, CLUSTER_LABEL};
use crate::node::Group;
use crate::report::{NodeReport, Phase, Progress, Report, WaitingOn};

/// The status after a pass: what its plan says, and what is remembered. `failure` is what went wrong while the plan was carried out, if
/// anything did.
#[must_use]
pub fn status(
    previous: &KafkaClusterStatus,
    desired: Option<&Desired>,
    plan: &Plan,
    failure: Option<&str>,
    installation: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> KafkaClusterStatus {
    let report = &plan.report;
    let foreign = report.waiting_on.iter().any(|w| matches!(w, WaitingOn::ForeignOperator { .. }));
    if foreign {
        return previous.clone();
    }
    let mut status = previous.clone();
    status.observed_generation = generation;
    status.operator = Some(installation.to_owned());
    remember(&mut status, plan);
    status.cluster_id = report.cluster_id.clone().or_else(|| previous.cluster_id.clone());
    if let Some(desired) = desired {
        describe(&mut status, desired, report);
    }
    let verdict = Verdict::of(report, failure);
    status.operation = operation(previous, generation, report, &verdict, now);
    status.conditions = verdict
        .conditions()
        .into_iter()
        .map(|condition| dated(previous, condition, generation, now))
        .collect();
    status
}

/// What later passes must know: what a plan remembers, and what is switched on, which it may have
/// remembered until now.
pub fn remember(status: &mut KafkaClusterStatus, plan: &Plan) {
    status.memory = plan.memory.clone();
    if let Some(features) = &plan.report.features {
        status.version.get_or_insert_default().features = features.clone();
    }
}

fn describe(status: &mut KafkaClusterStatus, desired: &Desired, report: &Report) {
    let of_group = |group: Group| report.nodes.iter().filter(move |n| n.node.group == group);
    status.brokers = of_group(Group::Broker).map(node_status).collect();
    status.controllers = of_group(Group::Controller).map(node_status).collect();
    status.replicas = i32::try_from(status.brokers.len()).ok();
    status.selector =
        Some(format!("{CLUSTER_LABEL}={},{BROKER_LABEL}=true", desired.names.cluster));
    status.summary = Some(summary(report));
    status.version = Some(version(status, desired, report));
    status.listeners = desired
        .listeners
        .iter()
        .map(|listener| ListenerStatus {
            name: listener.name.clone(),
            bootstrap_servers: format!(
                "{}:{}",
                desired.names.bootstrap_host(&listener.name),
                listener.port
            ),
            certificate: listener.tls.then(|| desired.names.authority()),
        })
        .collect();
}

fn version(status: &KafkaClusterStatus, desired: &Desired, report: &Report) -> VersionStatus {
    let mut running: Vec<String> =
        report.nodes.iter().filter_map(|node| node.version.clone()).collect();
    running.sort();
    running.dedup();
    let before = status.version.clone().unwrap_or_default();
    VersionStatus {
        target: desired.version.clone(),
        running,
        allowed: report.allowed.clone().unwrap_or(before.allowed),
        features: before.features,
    }
}

fn summary(report: &Report) -> Summary {
    let count = |of: &dyn Fn(&&NodeReport) -> bool| {
        let all: Vec<&NodeReport> = report.nodes.iter().filter(of).collect();
        format!("{}/{}", all.iter().filter(|node| node.ready).count(), all.len())
    };
    Summary {
        brokers: count(&|node| node.node.is_broker()),
        controllers: count(&|node| node.node.is_controller()),
        waiting_on: report.first_waiting().map(ToString::to_string),
    }
}

fn node_status(report: &NodeReport) -> NodeStatus {
    NodeStatus {
        id: report.node.id,
        phase: phase(report.phase).to_owned(),
        role: report.quorum_role.map(|role| role_word(role).to_owned()),
        rack: report.node.rack.clone(),
        version: report.version.clone(),
        ready: report.ready,
        waiting_on: report.waiting_on.as_ref().map(ToString::to_string),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::AwaitingFormat => "AwaitingFormat",
        Phase::Refused => "Refused",
        Phase::Starting => "Starting",
        Phase::Recovering => "Recovering",
        Phase::CatchingUp => "CatchingUp",
        Phase::Running => "Running",
        Phase::Draining => "Draining",
        Phase::Stopping => "Stopping",
        Phase::Unknown => "Unknown",
    }
}

fn role_word(role: QuorumRole) -> &'static str {
    match role {
        QuorumRole::Leader => "Leader",
        QuorumRole::Voter => "Voter",
        QuorumRole::Observer => "Observer",
    }
}

/// What a report amounts to.
struct Verdict {
    ready: bool,
    reconciling: bool,
    reason: &'static str,
    message: String,
    stalled: Option<(&'static str, String)>,
}

impl Verdict {
    fn of(report: &Report, failure: Option<&str>) -> Verdict {
        let serving = !report.nodes.is_empty() && report.nodes.iter().all(|node| node.ready);
        let first = report.first_serious();
        let stalled = report.all_waiting().find(|waiting_on| waiting_on.needs_person());
        // What is waited for may never come without the write that failed.
        let rolling = report.roll.as_ref().filter(|_| stalled.is_none() && failure.is_none());
        let (reason, message) = match (stalled, failure, first) {
            _ if let Some(roll) = rolling => (ROLLING, rolled(roll, first)),
            // Its growth is what helps it, and may be what failed.
            (Some(full @ WaitingOn::DiskFull { .. }), Some(failure), _) => {
                (full.reason(), format!("{full}; {failure}"))
            }
            (Some(waiting_on), _, _) | (None, None, Some(waiting_on)) => {
                (waiting_on.reason(), waiting_on.to_string())
            }
            (None, Some(failure), _) => (WRITE_FAILED, failure.to_owned()),
            (None, None, None) if serving => (READY, "every node is in sync".to_owned()),
            (None, None, None) => (NODES_NOT_READY, "nodes are about to become Ready".to_owned()),
        };
        let ready = serving
            && first.is_none_or(WaitingOn::is_harmless)
            && failure.is_none()
            && report.roll.is_none();
        let paused = report.waiting_on.contains(&WaitingOn::Paused);
        Verdict {
            ready,
            reconciling: !ready && stalled.is_none() && !paused,
            reason,
            message,
            stalled: stalled.map(|waiting_on| (waiting_on.reason(), waiting_on.to_string())),
        }
    }

    fn conditions(&self) -> [Condition; 3] {
        let text = |on: bool| if on { "True" } else { "False" };
        let (stalled_reason, stalled_message) = self
            .stalled
            .clone()
            .unwrap_or_else(|| (AS_EXPECTED, "nothing needs a person".to_owned()));
        let (reconciling_reason, reconciling_message) = if self.reconciling {
            (self.reason, self.message.clone())
        } else {
            (AS_EXPECTED, "nothing is being changed".to_owned())
        };
        let condition = |type_: &str, on: bool, reason: &str, message: String| Condition {
            type_: type_.to_owned(),
            status: text(on).to_owned(),
            reason: reason.to_owned(),
            message,
            ..Condition::default()
        };
        [
            condition("Ready", self.ready, self.reason, self.message.clone()),
            condition("Reconciling", self.reconciling, reconciling_reason, reconciling_message),
            condition("Stalled", self.stalled.is_some(), stalled_reason, stalled_message),
        ]
    }
}

/// How far a roll is, and what it waits for.
fn rolled(roll: &Progress, first: Option<&WaitingOn>) -> String {
    let far = format!("{} of {} nodes are up to date", roll.done, roll.of);
    first.map_or_else(|| far.clone(), |waiting_on| format!("{far}; {waiting_on}"))
}

fn operation(
    previous: &KafkaClusterStatus,
    generation: Option<i64>,
    report: &Report,
    verdict: &Verdict,
    now: Timestamp,
) -> Option<Operation> {
    if verdict.ready || report.nodes.is_empty() {
        return None;
    }
    let before = previous.operation.as_ref();
    let waiting_on = report.first_waiting().map(ToString::to_string);
    let waited = before.filter(|before| subject(&before.waiting_on) == subject(&waiting_on));
    let waiting_since = waited
        .and_then(|before| before.waiting_since.clone())
        .or_else(|| waiting_on.as_ref().map(|_| seconds(now)));
    let (name, progress) = under_way(previous, generation, report);
    let same = before.filter(|before| before.name == name);
    let since = progress.since.clone().or_else(|| same.map(|before| before.since.clone()));
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    // A vote that is gone is not seen any more, and is done.
    let seen_before = same.filter(|_| name == CHANGE_VOTERS).map_or(0, |before| before.of);
    let of = count(progress.of).max(seen_before);
    Some(Operation {
        name: name.to_owned(),
        done: of - count(progress.of - progress.done),
        of,
        since: since.unwrap_or_else(|| seconds(now)),
        waiting_on,
        waiting_since,
    })
}

/// What is being done, and how far that is.
fn under_way(
    previous: &KafkaClusterStatus,
    generation: Option<i64>,
    report: &Report,
) -> (&'static str, Progress) {
    let tells_how_far = [
        (roll_name(previous.operation.as_ref(), report), &report.roll),
        (SCALE_IN, &report.departures),
        (MOVE_REPLICAS, &report.arrivals),
        (EMPTY_DISKS, &report.emptied),
        (CHANGE_VOTERS, &report.votes),
        (RENEW_AUTHORITY, &report.authority),
    ];
    let mut known = tells_how_far.into_iter();
    if let Some((name, progress)) = known.find_map(|(name, one)| Some((name, one.clone()?))) {
        return (name, progress);
    }
    let was_ready = previous.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
    let before = previous.operation.as_ref().map(|operation| operation.name.as_str());
    let goes_on = [CREATE, CHANGE, SCALE_OUT, REPAIR].into_iter().find(|name| before == Some(name));
    let is_new = was_ready && previous.observed_generation != generation;
    let brokers = |one: &&NodeReport| one.node.is_broker();
    let grows = report.nodes.iter().filter(brokers).count() > previous.brokers.len();
    let name = match goes_on {
        Some(name) => name,
        None if is_new && grows => SCALE_OUT,
        None if is_new => CHANGE,
        None if was_ready || before.is_some() => REPAIR,
        None => CREATE,
    };
    let of: Vec<&NodeReport> =
        report.nodes.iter().filter(|one| name != SCALE_OUT || brokers(one)).collect();
    let done = of.iter().filter(|node| node.ready).count();
    (name, Progress { since: None, done, of: of.len() })
}

/// A roll that brings another release is called so until its end, although all have it a little earlier.
fn roll_name(before: Option<&Operation>, report: &Report) -> &'static str {
    let since = report.roll.as_ref().and_then(|roll| roll.since.as_ref());
    let was_upgrade = before.is_some_and(|one| one.name == UPGRADE && Some(&one.since) == since);
    if report.brings_release || was_upgrade { UPGRADE } else { ROLL }
}

/// What is waited for, without how far that is: it is the same wait as long as only that changes.
fn subject(waiting_on: &Option<String>) -> Option<&str> {
    let words = waiting_on.as_deref()?;
    Some(words.split_once(": ").map_or(words, |(subject, _)| subject))
}

const READY: &str = "Ready";
const ROLLING: &str = "Rolling";
const WRITE_FAILED: &str = "WriteFailed";
const NODES_NOT_READY: &str = "NodesNotReady";
const AS_EXPECTED: &str = "AsExpected";

const CREATE: &str = "Create";
/// Of the spec, where nothing restarts and nothing moves.
const CHANGE: &str = "Change";
const REPAIR: &str = "Repair";
const ROLL: &str = "Roll";
const UPGRADE: &str = "Upgrade";
const SCALE_OUT: &str = "ScaleOut";
const SCALE_IN: &str = "ScaleIn";
const MOVE_REPLICAS: &str = "MoveReplicas";
const CHANGE_VOTERS: &str = "ChangeVoters";
const EMPTY_DISKS: &str = "EmptyDisks";
const RENEW_AUTHORITY: &str = "RenewAuthority";

/// A condition keeps its date until its status changes.
fn dated(
    previous: &KafkaClusterStatus,
    mut condition: Condition,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let before = previous.conditions.iter().find(|before| before.type_ == condition.type_);
    condition.last_transition_time = match before {
        Some(before) if before.status == condition.status => before.last_transition_time.clone(),
        _ => seconds(now),
    };
    condition.observed_generation = generation;
    condition
}

/// RFC 3339 to the second, as Kubernetes writes it.
fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
