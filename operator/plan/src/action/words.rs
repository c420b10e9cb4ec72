//! Actions in words.

use std::collections::BTreeSet;

use super::{
    Action, AuthorityStep, ConfigChange, Leaf, MoveReplicas, RaiseFeature, Reassign,
    RenewAuthority, Rewrite, Target, Throttle,
};
use crate::observed::QuorumRecord;
use crate::properties::volume_of;

impl Action {
    /// One line for people, the same in `explain`, in logs and in golden tests.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Action::NewIdentity { object, voters } => {
                format!("create ConfigMap {} with a new cluster id, voters {voters:?}", object.name)
            }
            Action::IssueAuthority { object, .. } => {
                format!("create Secret {} with a new CA", object.name)
            }
            Action::RenewAuthority(renew) => renewed(renew),
            Action::IssueLeaf(leaf) => issued(leaf),
            Action::Create(object) => format!("create {} {}", object.kind.word(), object.name),
            Action::Apply(Rewrite { object, .. }) => {
                format!("apply {} {}", object.kind.word(), object.name)
            }
            Action::RecordDisks { target, disks } => {
                let keys: Vec<&str> = disks.keys().map(String::as_str).collect();
                format!("record in ConfigMap {} as formatted: {}", target.name, keys.join(", "))
            }
            Action::RecordQuorum { target, record } => recorded(target, record),
            Action::ForgetDisks { target, disks } => struck(target, disks),
            Action::Format(format) => format!(
                "permit node {} to format {}",
                format.node_id,
                format.request.volumes.join(", ")
            ),
            Action::AlterConfig(changes) => {
                let changes: Vec<String> = changes.iter().map(changed).collect();
                format!("configure all nodes while they run: {}", changes.join(", "))
            }
            Action::ElectLeaders(partitions) => format!(
                "elect preferred leaders again, partitions: {}",
                partitions.values().map(Vec::len).sum::<usize>()
            ),
            Action::Throttle(throttle) => lifted(throttle),
            Action::Cordon { broker, cordoned: true } => {
                format!("cordon broker {broker}: it takes no new replicas")
            }
            Action::Cordon { broker, cordoned: false } => {
                format!("uncordon broker {broker}: it takes new replicas again")
            }
            Action::CordonDisks { broker, folders, .. } => cordoned(*broker, folders),
            Action::MoveReplicas(moves) => copied(moves),
            Action::Reassign(reassign) => moved(reassign),
            Action::Unregister(unregister) => {
                format!("unregister broker {}: it is gone for good", unregister.broker)
            }
            Action::UnregisterController(unregister) => {
                format!("unregister controller {}: it has left for good", unregister.id)
            }
            Action::AddVoter(change) => format!("let controller {} vote", change.id),
            Action::RemoveVoter(change) => {
                format!("take the vote of controller {} away", change.id)
            }
            Action::RaiseFeature(raise) => raised(raise),
            Action::RestartPod(restart) => {
                format!("restart pod {}: {}", restart.pod.name, restart.reason)
            }
            Action::Delete(delete) => {
                format!("delete {} {}: {}", delete.kind.word(), delete.target.name, delete.reason)
            }
        }
    }
}

fn issued(leaf: &Leaf) -> String {
    let verb = if leaf.replaces.is_some() { "renew" } else { "create" };
    format!("{verb} Secret {} with a certificate for {}", leaf.object.name, leaf.common_name)
}

fn renewed(renew: &RenewAuthority) -> String {
    let name = &renew.target.name;
    match &renew.step {
        AuthorityStep::Introduce { common_name, .. } => {
            format!("make a new CA in Secret {name}, {common_name}: every node is to trust it, too")
        }
        AuthorityStep::Switch => format!("let the new CA in Secret {name} sign: all trust it"),
        AuthorityStep::Retire => {
            format!("take the former CA out of Secret {name}: nobody has a certificate of it")
        }
    }
}

fn recorded(identity: &Target, record: &QuorumRecord) -> String {
    let members: Vec<&i32> = record.members.keys().collect();
    format!(
        "record in ConfigMap {} the voters {members:?}, found by {:?}",
        identity.name, record.bootstrap
    )
}

fn struck(identity: &Target, disks: &[String]) -> String {
    let disks = disks.join(", ");
    format!("strike from ConfigMap {} disks that are gone: {disks}", identity.name)
}

fn cordoned(broker: i32, folders: &BTreeSet<String>) -> String {
    let volumes: Vec<&str> = folders.iter().filter_map(|folder| volume_of(folder)).collect();
    match volumes.len() {
        0 => format!("uncordon the disks of broker {broker}: all take new replicas"),
        1 => format!("cordon disk {} of broker {broker}: it takes no new replicas", volumes[0]),
        _ => format!("cordon disks {} of broker {broker}", volumes.join(", ")),
    }
}

fn copied(moves: &MoveReplicas) -> String {
    let each: Vec<String> = moves
        .moves
        .iter()
        .flat_map(|(volume, topics)| {
            let names = topics.iter().flat_map(|(topic, numbers)| {
                numbers.iter().map(move |number| format!("{topic}-{number}"))
            });
            names.map(move |name| format!("{name} to {volume}"))
        })
        .collect();
    format!("move replicas of broker {} to its other disks: {}", moves.broker, some_of(each))
}

fn raised(RaiseFeature { release, raise }: &RaiseFeature) -> String {
    format!(
        "switch on {} {}, which was {}: Kafka {release} is there to stay",
        raise.feature, raise.to, raise.from
    )
}

fn changed((key, change): (&String, &ConfigChange)) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{key} {from} -> {to}"),
        (None, Some(to)) => format!("{key} {to}"),
        (_, None) => format!("{key} removed"),
    }
}

fn lifted(throttle: &Throttle) -> String {
    let topics: Vec<&str> = throttle.topics.keys().map(String::as_str).collect();
    let of = if topics.is_empty() { String::new() } else { format!(" of {}", topics.join(", ")) };
    format!("lift the limit on the copying of replicas{of}")
}

/// More partitions than these only make a sentence long.
const MOVES_NAMED: usize = 4;

fn some_of(each: Vec<String>) -> String {
    let more = each.len().saturating_sub(MOVES_NAMED);
    let mut named = each.into_iter().take(MOVES_NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(", and {more} more"));
    }
    named
}

fn moved(reassign: &Reassign) -> String {
    let each: Vec<String> = reassign
        .partitions
        .iter()
        .flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(index, to)| match to {
                Some(to) => format!("{topic}-{index} to {to:?}"),
                None => format!("{topic}-{index} goes back"),
            })
        })
        .collect();
    let named = some_of(each);
    let rate = reassign.limit.rates.values().find_map(|change| change.to.as_deref());
    let limit = rate.map(|rate| format!(", at most {rate} bytes per second and broker"));
    format!("move partitions, {}: {named}{}", reassign.reason, limit.unwrap_or_default())
}
