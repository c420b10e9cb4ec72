//! Events: what was done that a person should know, and every change of a condition.

use std::collections::BTreeMap;

use ottla_crds::kafka_cluster::status::{Condition, KafkaClusterStatus};

use crate::action::{Action, AuthorityStep, ConfigChange, MoveReplicas, RaiseFeature, Reassign};
use crate::object::Kind;

/// An event of a KafkaCluster, as Kubernetes has them (`events.k8s.io/v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether a person has to do something.
    pub is_warning: bool,
    /// A word for what happened.
    pub reason: String,
    /// What was done. Kubernetes counts events as one that have the same reason and action, and shows the first
    /// alone.
    pub action: String,
    /// A sentence for people.
    pub note: String,
    /// The pod that it is about, by name and UID.
    pub pod: Option<(String, String)>,
}

/// What a person should know of an action that was carried out.
#[must_use]
pub fn of_action(of: &Action) -> Option<Event> {
    let (reason, verb) = match of {
        Action::NewIdentity { .. } => ("Identified", "Create"),
        Action::Format(_) => ("Formatted", "Format"),
        Action::RestartPod(_) => ("Restarted", "Restart"),
        Action::AlterConfig(_) => ("Configured", "Configure"),
        Action::Reassign(_) => ("Moved", "Move"),
        Action::Cordon { cordoned: true, .. } => ("Cordoned", "Cordon"),
        Action::Cordon { .. } => ("Uncordoned", "Uncordon"),
        Action::CordonDisks { folders, .. } if folders.is_empty() => {
            ("DisksUncordoned", "UncordonDisks")
        }
        Action::CordonDisks { .. } => ("DisksCordoned", "CordonDisks"),
        Action::MoveReplicas(_) => ("ReplicasMoved", "MoveReplicas"),
        Action::Unregister(_) => ("Unregistered", "Unregister"),
        Action::UnregisterController(_) => ("ControllerUnregistered", "UnregisterController"),
        Action::RenewAuthority(_) => ("AuthorityRenewed", "RenewAuthority"),
        Action::AddVoter(_) => ("VoterAdded", "AddVoter"),
        Action::RemoveVoter(_) => ("VoterRemoved", "RemoveVoter"),
        Action::RaiseFeature(_) => ("FeatureSwitchedOn", "SwitchOn"),
        Action::Delete(delete) if delete.kind == Kind::StatefulSet => ("Stopped", "Stop"),
        Action::Delete(delete) if delete.kind == Kind::PersistentVolumeClaim => {
            ("ClaimDeleted", "Delete")
        }
        Action::IssueLeaf(leaf) if leaf.replaces.is_some() => ("CertificateRenewed", "Renew"),
        _ => return None,
    };
    let action = match of {
        Action::AlterConfig(changes) => configured(verb, changes),
        Action::Reassign(reassign) => moved(verb, reassign),
        Action::Cordon { broker, .. } => format!("{verb} broker {broker}"),
        Action::CordonDisks { broker, folders, .. } => {
            format!("{verb} of broker {broker}: {}", folders.len())
        }
        Action::MoveReplicas(moves) => copied(verb, moves),
        Action::Unregister(unregister) => format!("{verb} broker {}", unregister.broker),
        Action::UnregisterController(unregister) => format!("{verb} {}", unregister.id),
        Action::AddVoter(change) | Action::RemoveVoter(change) => format!("{verb} {}", change.id),
        Action::RaiseFeature(RaiseFeature { raise, .. }) => {
            format!("{verb} {} {}", raise.feature, raise.to)
        }
        Action::Delete(delete) => format!("{verb} {}", delete.target.name),
        Action::RenewAuthority(renew) => match renew.step {
            AuthorityStep::Introduce { .. } => format!("{verb} Introduce"),
            AuthorityStep::Switch => format!("{verb} Switch"),
            AuthorityStep::Retire => format!("{verb} Retire"),
        },
        _ => verb.to_owned(),
    };
    let event = event(false, reason, &action, of.describe());
    Some(Event { pod: pod_of(of), ..event })
}

/// Kubernetes refuses events with longer actions.
const ACTION_BYTES_MAX: usize = 128;

fn configured(verb: &str, changes: &BTreeMap<String, ConfigChange>) -> String {
    let default = || "default".to_owned();
    let values = changes
        .iter()
        .map(|(key, change)| format!("{key}={}", change.to.clone().unwrap_or_else(default)));
    let text = format!("{verb} {}", values.collect::<Vec<_>>().join(","));
    cut(text, ACTION_BYTES_MAX)
}

fn copied(verb: &str, moves: &MoveReplicas) -> String {
    let each =
        moves.moves.values().flatten().flat_map(|(topic, numbers)| {
            numbers.iter().map(move |number| format!("{topic}-{number}"))
        });
    let each = each.collect::<Vec<_>>().join(",");
    cut(format!("{verb} of broker {} {each}", moves.broker), ACTION_BYTES_MAX)
}

fn moved(verb: &str, reassign: &Reassign) -> String {
    let each = reassign.partitions.iter().flat_map(|(topic, partitions)| {
        partitions.keys().map(move |index| format!("{topic}-{index}"))
    });
    cut(format!("{verb} {}", each.collect::<Vec<_>>().join(",")), ACTION_BYTES_MAX)
}

/// The pod that an action is about. Kubernetes counts events as one unless they differ in it.
fn pod_of(action: &Action) -> Option<(String, String)> {
    match action {
        Action::Format(format) => {
            Some((format.host.split('.').next()?.to_owned(), format.pod_uid.clone()))
        }
        Action::RestartPod(restart) => Some((restart.pod.name.clone(), restart.pod.uid.clone())),
        _ => None,
    }
}

/// A condition speaks when it turns, or when its reason does; a new wording alone is no event.
#[must_use]
pub fn of_conditions(previous: &KafkaClusterStatus, current: &KafkaClusterStatus) -> Vec<Event> {
    let told = |condition: &&Condition| {
        let before = previous.conditions.iter().find(|before| before.type_ == condition.type_);
        before.is_none_or(|b| b.status != condition.status || b.reason != condition.reason)
    };
    current
        .conditions
        .iter()
        .filter(told)
        .filter_map(|condition| match (condition.type_.as_str(), condition.status.as_str()) {
            ("Ready", "True") => Some((false, condition)),
            ("Ready", _) if !stalled(current) => Some((false, condition)),
            ("Stalled", "True") => Some((true, condition)),
            _ => None,
        })
        .map(|(is_warning, condition)| {
            event(is_warning, &condition.reason, "Reconcile", condition.message.clone())
        })
        .collect()
}

fn stalled(status: &KafkaClusterStatus) -> bool {
    status.conditions.iter().any(|c| c.type_ == "Stalled" && c.status == "True")
}

/// Kubernetes refuses events with longer notes.
const NOTE_BYTES_MAX: usize = 1024;

fn cut(mut text: String, bytes_max: usize) -> String {
    while text.len() > bytes_max {
        text.pop();
    }
    text
}

fn event(is_warning: bool, reason: &str, action: &str, note: String) -> Event {
    Event {
        is_warning,
        reason: reason.to_owned(),
        note: cut(note, NOTE_BYTES_MAX),
        action: action.to_owned(),
        pod: None,
    }
}
