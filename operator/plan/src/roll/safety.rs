//! May this node stop now? A value with its reason, computed from one observation. Unknown means no.

use std::fmt;

use ottla_crds::agent::AgentState;
use ottla_crds::kafka_cluster::AllowUnavailable;

use crate::desired::Desired;
use crate::node::{Group, Node};
use crate::observed::{Answer, Count, Kafka, Observed, Partition, Pod, Voter};
use crate::repair;
use crate::report::partitions as partitions_of;
use crate::resources::disruption_budget;
use crate::{disks, quorum, upgrade};

/// Why a node must not stop at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The roll is not on record yet.
    NotRemembered,
    /// Kubernetes could still evict another node at the same time.
    BudgetOpen {
        /// The group whose budget it is.
        group: Group,
    },
    /// It reads its logs again, which would begin anew.
    Recovering,
    /// Kafka could not be asked.
    KafkaUnknown {
        /// Why not.
        reason: String,
    },
    /// Another node is not well: one disruption at a time.
    NotWell {
        /// That node.
        node: i32,
        /// What is the matter with it.
        sentence: String,
        /// Whether the report of that node says so by itself.
        said: bool,
    },
    /// A partition would have too few in-sync replicas.
    Partition {
        /// Which, and how it stands with it.
        sentence: String,
    },
    /// The metadata quorum would lose its caught-up majority.
    Quorum {
        /// How it stands with it.
        sentence: String,
    },
    /// A partition on the node is on its way to other brokers.
    Moving {
        /// That partition.
        partition: String,
    },
    /// A claim of the node is being deleted, and goes with its pod.
    ClaimTerminating {
        /// The claim.
        claim: String,
    },
    /// It might not start again with its disks.
    Disks {
        /// With which not, and what helps.
        sentence: String,
    },
    /// Another release is taken in an order.
    Upgrade {
        /// What comes before.
        sentence: String,
    },
    /// Another release is watched on one broker first.
    Soaking {
        /// On which, and until when.
        sentence: String,
    },
    /// Partitions can never do without it, and the spec does not allow that they become unavailable.
    Forbidden {
        /// Which, and what a person can do.
        sentence: String,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::NotRemembered => out.write_str("the roll is about to begin"),
            Hold::Recovering => {
                out.write_str("it reads its logs again, which a restart would begin anew")
            }
            Hold::BudgetOpen { group } => {
                write!(out, "waits until Kubernetes lets no {} be evicted meanwhile", group.word())
            }
            Hold::KafkaUnknown { reason } => {
                write!(out, "Kafka could not be asked whether it may stop: {reason}")
            }
            Hold::NotWell { node, sentence, .. } => {
                write!(out, "waits for node {node}: {sentence}")
            }
            Hold::Moving { partition } => {
                write!(out, "waits until partition {partition} has moved to other brokers")
            }
            Hold::ClaimTerminating { claim } => write!(
                out,
                "claim {claim} is being deleted and would go with the pod: its records with it"
            ),
            Hold::Partition { sentence }
            | Hold::Quorum { sentence }
            | Hold::Disks { sentence }
            | Hold::Upgrade { sentence }
            | Hold::Soaking { sentence }
            | Hold::Forbidden { sentence } => out.write_str(sentence),
        }
    }
}

/// A node that is to stop, and everything that is known.
struct Case<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    nodes: &'a [Node],
    node: &'a Node,
}

type Guard = fn(&Case<'_>) -> Result<(), Hold>;

/// What must hold before a node whose Kafka runs is stopped, each by its name. Every one of them is
/// alone in what it knows, so that none can be left out.
const GUARDS: [(&str, Guard); 14] = [
    ("the roll is remembered", remembered),
    ("Kubernetes may evict nobody", budgets_are_closed),
    ("no claim goes with the pod", claims_stay),
    ("it does not read its logs again", is_not_recovering),
    ("Kafka was asked", kafka_answers),
    ("one disruption at a time", one_disruption),
    ("no replica of it moves", nothing_moves),
    ("it starts again with its disks", disks_serve),
    ("its next release knows what is switched on", knows_features),
    ("controllers take another release first", controllers_first),
    ("the quorum keeps its majority", quorum_stays),
    ("one voter at a time gets another disk", others_vote),
    ("partitions keep enough in-sync replicas", partitions_stay),
    ("the spec allows what becomes unavailable", is_allowed),
];

/// Whether a node whose Kafka runs may be stopped, because nothing depends on it that cannot do
/// without.
///
/// # Errors
/// What holds it back.
pub fn may_stop(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
) -> Result<(), Hold> {
    let case = Case { desired, observed, nodes, node };
    GUARDS.iter().try_for_each(|(_, guard)| guard(&case))
}

/// What each guard by itself says of stopping a node.
pub(crate) fn guards(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
) -> Vec<(&'static str, Result<(), Hold>)> {
    let case = Case { desired, observed, nodes, node };
    GUARDS.iter().map(|(name, guard)| (*name, guard(&case))).collect()
}

fn remembered(case: &Case<'_>) -> Result<(), Hold> {
    let roll = case.observed.memory.roll.as_ref();
    let known = roll.is_some_and(|roll| roll.nodes.contains(&case.node.id));
    if known { Ok(()) } else { Err(Hold::NotRemembered) }
}

fn budgets_are_closed(case: &Case<'_>) -> Result<(), Hold> {
    let open = [Group::Broker, Group::Controller].into_iter().find(|group| {
        !disruption_budget::is_closed(case.desired, case.observed, case.nodes, *group)
    });
    open.map_or(Ok(()), |group| Err(Hold::BudgetOpen { group }))
}

fn claims_stay(case: &Case<'_>) -> Result<(), Hold> {
    let mut claims = case.observed.claims.iter();
    let going = claims.find(|(_, claim)| claim.terminating && claim.is_of(case.node));
    going.map_or(Ok(()), |(claim, _)| Err(Hold::ClaimTerminating { claim: claim.clone() }))
}

fn is_not_recovering(case: &Case<'_>) -> Result<(), Hold> {
    let agent = case.observed.agent(case.node.id);
    let recovers = agent.is_some_and(|agent| agent.state == AgentState::Recovering);
    if recovers { Err(Hold::Recovering) } else { Ok(()) }
}

fn kafka_answers(case: &Case<'_>) -> Result<(), Hold> {
    match &case.observed.kafka {
        // Of one node alone nothing depends on what it cannot do anyway.
        Answer::Unknown { .. } if !is_ready(case.observed, case.node) && case.nodes.len() == 1 => {
            Ok(())
        }
        Answer::Unknown { reason } => Err(Hold::KafkaUnknown { reason: reason.clone() }),
        Answer::Known(_) => Ok(()),
    }
}

/// S2: nobody else is down. A node that Kubernetes calls Ready answers for itself, too. A node that
/// surely does not serve is no further disruption: going back works from any state.
fn one_disruption(case: &Case<'_>) -> Result<(), Hold> {
    let Case { observed, nodes, node, .. } = case;
    if observed.kafka.known().is_none() || !may_serve(observed, node) {
        return Ok(());
    }
    if is_ready(observed, node) {
        is_well(observed, node)?;
    }
    let mut others = nodes.iter().filter(|other| other.id != node.id);
    others.try_for_each(|other| is_well_or_nobody_yet(observed, other))
}

/// A restart would only make a move longer, and the next restart wait for it. A node that serves nobody
/// sends no replica anywhere.
fn nothing_moves(case: &Case<'_>) -> Result<(), Hold> {
    let Some(kafka) = case.observed.kafka.known().filter(|_| case.node.is_broker()) else {
        return Ok(());
    };
    let moving = kafka.partitions.moving_on(case.node.id);
    match moving.filter(|_| may_serve(case.observed, case.node)) {
        Some(partition) => Err(Hold::Moving { partition: partition.name() }),
        None => Ok(()),
    }
}

/// A node that serves as far as its disks let it would not start again with one that is dead or full.
fn disks_serve(case: &Case<'_>) -> Result<(), Hold> {
    let Some(agent) = case.observed.agent(case.node.id) else { return Ok(()) };
    let Some(jvm) = &agent.jvm else { return Ok(()) };
    if let Some(offline) = jvm.offline_volumes.iter().find(|name| case.node.has_disk(name)) {
        return Err(Hold::Disks {
            sentence: format!(
                "Kafka took its disk {offline} offline, and it might not start again with that: mend the disk and delete the pod, or leave the disk out of the spec"
            ),
        });
    }
    let mut full = agent.disks.iter().filter(|disk| disk.is_full());
    match full.find(|disk| case.node.has_disk(&disk.volume)) {
        Some(disk) => Err(Hold::Disks {
            sentence: format!(
                "its disk {} is full, and it would not start again with that: raise the size of the disk",
                disk.volume
            ),
        }),
        None => Ok(()),
    }
}

fn knows_features(case: &Case<'_>) -> Result<(), Hold> {
    upgrade::knows_features(case.desired, case.observed, case.node)
}

fn controllers_first(case: &Case<'_>) -> Result<(), Hold> {
    upgrade::controllers_first(case.desired, case.observed, case.nodes, case.node)
}

fn quorum_stays(case: &Case<'_>) -> Result<(), Hold> {
    let wished = case.desired.voters;
    case.observed.kafka.known().map_or(Ok(()), |kafka| quorum(kafka, case.node, wished))
}

/// A voter that goes on without the disk that it votes with has to be given its vote again, which the next one that
/// does so must wait for.
fn others_vote(case: &Case<'_>) -> Result<(), Hold> {
    let Case { desired, observed, node, .. } = case;
    let Some(kafka) = observed.kafka.known() else { return Ok(()) };
    let metadata = disks::metadata_disk(desired, observed, node.id);
    let keeps_it = metadata.is_none_or(|name| node.has_disk(&name));
    if keeps_it || !kafka.voters.contains_key(&node.id) {
        return Ok(());
    }
    let wished = quorum::wished(desired).into_iter().filter(|id| *id != node.id);
    let votes = |id: &i32| kafka.voters.get(id).is_some_and(Voter::is_caught_up);
    match wished.into_iter().find(|id| !votes(id)) {
        None => Ok(()),
        Some(other) => Err(Hold::Quorum {
            sentence: format!(
                "it votes with a disk that it gives away, and controller {other} does not vote yet"
            ),
        }),
    }
}

/// A node that Kafka has never heard of holds nothing, so that nobody need wait for it.
pub(crate) fn is_well_or_nobody_yet(observed: &Observed, node: &Node) -> Result<(), Hold> {
    let known = observed.kafka.known();
    let nobody_yet = known.is_some_and(|kafka| {
        !kafka.brokers.contains_key(&node.id) && !kafka.voters.contains_key(&node.id)
    });
    if nobody_yet { Ok(()) } else { is_well(observed, node) }
}

/// Whether a node serves as far as anybody knows. Neither silence of its agent nor a pod that is not
/// Ready proves that it does not: only that Kafka itself does not hear from it.
pub(super) fn may_serve(observed: &Observed, node: &Node) -> bool {
    let cut_off = observed.kafka.known().is_some_and(|kafka| kafka.cut_off(node).is_some());
    (is_ready(observed, node) && !cut_off) || repair::is_heard_of(observed, node)
}

fn is_ready(observed: &Observed, node: &Node) -> bool {
    let ready = |pod: &Pod| pod.ready && !pod.terminating;
    observed.pods.get(&node.id).is_some_and(ready)
}

/// Whether a node serves and is in sync everywhere, as far as anybody can tell.
pub(crate) fn is_well(observed: &Observed, node: &Node) -> Result<(), Hold> {
    let not = |sentence: &str, said: bool| {
        Err(Hold::NotWell { node: node.id, sentence: sentence.to_owned(), said })
    };
    let Some(pod) = observed.pods.get(&node.id) else { return not("it has no pod", true) };
    if pod.terminating {
        return not("it is shutting down", true);
    }
    match observed.agent(node.id) {
        None => return not("its agent could not be asked", true),
        Some(agent) if agent.state != AgentState::Running => return not("it starts", true),
        Some(_) => {}
    }
    if let Some(why) = observed.kafka.known().and_then(|kafka| kafka.cut_off(node)) {
        return not(why, true);
    }
    if pod.ready { Ok(()) } else { not("Kubernetes does not call its pod Ready yet", false) }
}

/// S3: a caught-up majority of the voters stays. Of one or two voters none can leave and keep it;
/// who wishes so few accepts that.
fn quorum(kafka: &Kafka, node: &Node, wished: i32) -> Result<(), Hold> {
    let voters = kafka.voters.len();
    if !kafka.voters.contains_key(&node.id) || (voters <= 2 && wished <= 2) {
        return Ok(());
    }
    let hold = |sentence: String| Err(Hold::Quorum { sentence });
    if kafka.leader.is_none() {
        return hold("the metadata quorum has no leader".to_owned());
    }
    let (left, majority) = (kafka.caught_up_without(node.id), voters / 2 + 1);
    if left >= majority {
        return Ok(());
    }
    hold(format!(
        "the metadata quorum needs {majority} caught-up voters of {voters} and would have {left}"
    ))
}

/// S2: every partition that can be kept available is.
fn partitions_stay(case: &Case<'_>) -> Result<(), Hold> {
    let Some(kafka) = case.observed.kafka.known().filter(|_| case.node.is_broker()) else {
        return Ok(());
    };
    let dependents = kafka.partitions.dependents(case.node.id);
    let serves = may_serve(case.observed, case.node);
    let awaited = kafka.partitions.example(dependents.awaited).filter(|_| serves);
    match awaited.or_else(|| kafka.partitions.example(dependents.until_in_sync)) {
        Some(partition) => Err(Hold::Partition { sentence: lacking(&partition, case.node) }),
        None => Ok(()),
    }
}

/// Of partitions that can never do without the node only those become unavailable that may.
fn is_allowed(case: &Case<'_>) -> Result<(), Hold> {
    let Some(kafka) = case.observed.kafka.known().filter(|_| case.node.is_broker()) else {
        return Ok(());
    };
    let allow = case.desired.allow_unavailable;
    let dependents = kafka.partitions.dependents(case.node.id);
    let forbidden = |count: Count, what_to_do: &str| {
        let which = partitions_of(count.count, &kafka.partitions.example_name(count));
        Err(Hold::Forbidden {
            sentence: format!("{which} would be unavailable while it restarts: {what_to_do}"),
        })
    };
    if dependents.single.count > 0 && allow == AllowUnavailable::None {
        return forbidden(dependents.single, NO_OTHER_REPLICA);
    }
    if dependents.scarce.count > 0 && allow != AllowUnavailable::Any {
        return forbidden(dependents.scarce, NONE_TO_SPARE);
    }
    Ok(())
}

const NO_OTHER_REPLICA: &str =
    "there is no other replica; add replicas, or set spec.roll.allowUnavailable to SingleReplica";
const NONE_TO_SPARE: &str = "all replicas must be in sync; add replicas, lower min.insync.replicas, or set spec.roll.allowUnavailable to Any";

fn lacking(partition: &Partition<'_>, node: &Node) -> String {
    let name = partition.name();
    if partition.leader.is_none() {
        return format!("partition {name} has no leader");
    }
    let out: Vec<String> = partition
        .replicas
        .iter()
        .filter(|id| !partition.in_sync.contains(id))
        .map(ToString::to_string)
        .collect();
    format!(
        "partition {name} needs {} in-sync replicas and would have {}: broker {} is not in sync",
        partition.needed(),
        partition.in_sync_without(node.id),
        out.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use ottla_crds::agent::Role;

    use super::*;
    use crate::node::broker;
    use crate::observed::Voter;

    /// Whether voter 0 may stop, where each voter has not had everything for so many milliseconds.
    fn may_leave_of(wished: i32, behind: &[Option<i64>], leader: Option<i32>) -> bool {
        let voters = (0..).zip(behind).map(|(id, behind_milliseconds)| {
            (id, Voter { behind_milliseconds: *behind_milliseconds, ..Voter::default() })
        });
        let kafka = Kafka { leader, voters: voters.collect(), ..Kafka::default() };
        let group = Group::Controller;
        let node = Node { group, roles: vec![Role::Controller], leaving: false, ..broker(0) };
        quorum(&kafka, &node, wished).is_ok()
    }

    fn may_leave(behind: &[Option<i64>], leader: Option<i32>) -> bool {
        may_leave_of(3, behind, leader)
    }

    #[test]
    fn of_two_none_may_leave_where_more_are_to_vote() {
        let two = [Some(0), Some(0)];
        assert!(may_leave_of(1, &two, Some(0)));
        assert!(!may_leave_of(3, &two, Some(1)));
    }

    #[test]
    fn a_caught_up_majority_stays() {
        let (fresh, behind) = (Some(400), Some(3_000));
        assert!(may_leave(&[fresh, fresh, fresh], Some(0)));
        assert!(!may_leave(&[fresh, fresh, behind], Some(0)));
        assert!(!may_leave(&[fresh, fresh, None], Some(0)));
        assert!(!may_leave(&[fresh, fresh, fresh], None));
        assert!(may_leave(&[fresh, fresh, fresh, fresh, behind], Some(1)));
        assert!(!may_leave(&[fresh, fresh, fresh, behind, behind], Some(1)));
        // A voter that is behind itself is missed by nobody.
        assert!(may_leave(&[behind, fresh, fresh], Some(1)));
    }

    #[test]
    fn one_or_two_voters_have_no_majority_to_keep() {
        assert!(may_leave_of(1, &[Some(0)], Some(0)));
        assert!(may_leave_of(1, &[Some(0), Some(0)], Some(1)));
    }
}
