//! A second opinion on every plan and every destructive action: it knows the laws and not the
//! algorithm.

use crate::Plan;
use crate::action::{Action, Rewrite};
use crate::desired::Desired;
use crate::node::Node;
use crate::object::Kind;
use crate::observed::Observed;

mod authority;
mod delete;
mod departure;
mod disks;
mod feature;
mod format;
mod quorum;
mod reassign;
mod restart;

/// A law that a plan would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law, as numbered in the safety document: `S4`, `S5` and so on.
    pub law: &'static str,
    /// What would break it.
    pub sentence: String,
}

fn violation(law: &'static str, sentence: impl Into<String>) -> Violation {
    Violation { law, sentence: sentence.into() }
}

/// Checks a whole plan against the laws before anything of it is done.
///
/// # Errors
/// Every law that would be broken.
pub fn plan(plan: &Plan, observed: &Observed) -> Result<(), Vec<Violation>> {
    let mut found: Vec<Violation> =
        plan.actions.iter().filter_map(|action| broken_law(action, observed)).collect();
    if plan.actions.iter().filter(|action| action.stops_a_serving_node()).count() > 1 {
        found.push(violation("S2", "two nodes that serve would be restarted at once"));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn broken_law(action: &Action, observed: &Observed) -> Option<Violation> {
    let stranger = |kind: Kind, name: &str| observed.child(kind, name).is_some_and(|c| !c.ours);
    match action {
        Action::NewIdentity { .. }
            if observed.identity.is_some() || !observed.claims.is_empty() =>
        {
            Some(violation("S6", "a new cluster id although an identity or claims exist"))
        }
        Action::NewIdentity { object, .. }
        | Action::IssueAuthority { object, .. }
        | Action::Create(object)
            if observed.child(object.kind, &object.name).is_some() =>
        {
            Some(violation("S9", format!("{} exists already", object.name)))
        }
        Action::Apply(Rewrite { object, .. }) if stranger(object.kind, &object.name) => {
            Some(violation("S9", format!("{} is a stranger's", object.name)))
        }
        Action::Delete(delete) if !may_be_deleted(delete.kind) => Some(violation(
            "S4",
            format!("{} {} would be deleted", delete.kind.word(), delete.target.name),
        )),
        Action::ForgetDisks { disks, .. } if observed.kafka.known().is_none() => {
            Some(violation("S5", format!("{disks:?} would be forgotten while Kafka is silent")))
        }
        Action::Delete(delete) if stranger(delete.kind, &delete.target.name) => {
            Some(violation("S9", format!("{} is a stranger's", delete.target.name)))
        }
        _ => None,
    }
}

/// What nodes are made of. The guard judges whose it is.
fn may_be_deleted(kind: Kind) -> bool {
    matches!(kind, Kind::ConfigMap | Kind::Secret | Kind::StatefulSet | Kind::PersistentVolumeClaim)
}

/// What each guard by itself says, by its name.
pub type Verdicts = Vec<(&'static str, Result<(), Violation>)>;

/// Whether a destructive action may be done, judged on a fresh observation.
///
/// # Errors
/// The first law that it would break.
pub fn permit(action: &Action, desired: &Desired, fresh: &Observed) -> Result<(), Violation> {
    guards(action, desired, fresh).into_iter().try_for_each(|(_, verdict)| verdict)
}

/// Everything that stands between a destructive action and its effect, each asked by itself: nothing
/// stands before an action that cannot hurt.
#[must_use]
pub fn guards(action: &Action, desired: &Desired, fresh: &Observed) -> Verdicts {
    match action {
        Action::Format(format) => format::guards(format, desired, fresh),
        Action::RestartPod(restart) => restart::guards(restart, desired, fresh),
        Action::Delete(delete) => delete::guards(delete, desired, fresh),
        Action::Reassign(reassign) => reassign::guards(reassign, desired, fresh),
        Action::Cordon { broker, cordoned: true } => departure::cordon(*broker, desired, fresh),
        Action::CordonDisks { broker, folders, of_gone: false } => {
            disks::cordon(*broker, folders, desired, fresh)
        }
        Action::MoveReplicas(moves) => disks::moves(moves, desired, fresh),
        Action::Unregister(unregister) => departure::unregister(unregister, desired, fresh),
        Action::RenewAuthority(renew) => authority::guards(renew, desired, fresh),
        Action::AddVoter(change) => quorum::add(change, desired, fresh),
        Action::RemoveVoter(change) => quorum::remove(change, desired, fresh),
        Action::UnregisterController(unregister) => {
            quorum::unregister(unregister.id, desired, fresh)
        }
        Action::RaiseFeature(raise) => feature::guards(raise, desired, fresh),
        Action::NewIdentity { .. }
        | Action::IssueAuthority { .. }
        | Action::IssueLeaf(_)
        | Action::Create(_)
        | Action::Apply(_)
        | Action::RecordDisks { .. }
        | Action::RecordQuorum { .. }
        | Action::ForgetDisks { .. }
        | Action::AlterConfig(_)
        | Action::ElectLeaders(_)
        | Action::Throttle(_)
        | Action::CordonDisks { of_gone: true, .. }
        | Action::Cordon { cordoned: false, .. } => Verdicts::new(),
    }
}

fn find(nodes: &[Node], id: i32) -> Result<&Node, Violation> {
    nodes
        .iter()
        .find(|node| node.id == id)
        .ok_or_else(|| violation("S7", format!("node {id} is not part of the cluster by now")))
}

/// A guard that holds unless something is so.
fn unless(refused: bool, law: &'static str, sentence: &str) -> Result<(), Violation> {
    if refused { Err(violation(law, sentence)) } else { Ok(()) }
}
