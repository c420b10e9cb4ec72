//! What people read of why something is not done.

use std::fmt;

use super::{WaitingOn, brokers, partitions};
use crate::desired::Problem;
use crate::disks;
use crate::names::RESTART_ANNOTATION;

impl fmt::Display for WaitingOn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitingOn::Paused => out.write_str("spec.paused is true: nothing is written"),
            WaitingOn::ForeignOperator { owner } => write!(out, "the operator {owner}{FOREIGN}"),
            WaitingOn::InvalidSpec { problems } => out.write_str(&mistakes(problems)),
            WaitingOn::NameTaken { object } => write!(out, "{object}{TAKEN}"),
            WaitingOn::IdentityLost { detail }
            | WaitingOn::DataMismatch { detail }
            | WaitingOn::DowngradeForbidden { detail }
            | WaitingOn::Soaking { detail }
            | WaitingOn::Finalizing { detail }
            | WaitingOn::SwitchingOn { detail }
            | WaitingOn::NotFinal { detail }
            | WaitingOn::ScaleInForbidden { detail }
            | WaitingOn::ChangingVoters { detail }
            | WaitingOn::AuthorityBroken { detail }
            | WaitingOn::RenewingAuthority { detail }
            | WaitingOn::AuthorityPublished { detail }
            | WaitingOn::EmptyingDisks { detail }
            | WaitingOn::DiskCannotLeave { detail }
            | WaitingOn::DisksGrowing { detail }
            | WaitingOn::DisksHeldBack { detail }
            | WaitingOn::MovingReplicas { detail }
            | WaitingOn::KafkaUnknown { detail } => out.write_str(detail),
            WaitingOn::DiskStaysLarger { claim, size } => {
                write!(out, "claim {claim} stays at {size}{STAYS_LARGER}")
            }
            WaitingOn::DiskKeepsClass { claim, class } => {
                write!(out, "claim {claim} stays in StorageClass {class}{KEEPS_CLASS}")
            }
            WaitingOn::AuthorityLost { secret } => write!(out, "Secret {secret}{LOST}"),
            WaitingOn::Terminating { object } => write!(out, "{object}{TERMINATING}"),
            WaitingOn::Deleting => out.write_str(DELETING),
            WaitingOn::Creating => out.write_str("the first objects of the cluster are being made"),
            WaitingOn::PodMissing { node } => write!(out, "node {node} has no pod yet"),
            WaitingOn::Stopping { node } => write!(out, "node {node} is shutting down"),
            WaitingOn::LedByOthers { count, example } => {
                out.write_str(&led_by_others(*count, example))
            }
            WaitingOn::UnderReplicated { count, example } => {
                out.write_str(&under_replicated(*count, example))
            }
            WaitingOn::PodStuck { node, detail }
            | WaitingOn::AgentUnknown { node, detail }
            | WaitingOn::DiskRefused { node, detail }
            | WaitingOn::DiskFull { node, detail }
            | WaitingOn::ImageRefused { node, detail }
            | WaitingOn::Starting { node, detail }
            | WaitingOn::CatchingUp { node, detail }
            | WaitingOn::RestartForbidden { node, detail }
            | WaitingOn::RestartPending { node, detail } => write!(out, "node {node}: {detail}"),
            WaitingOn::DiskOffline { node, volumes } => out.write_str(&offline(*node, volumes)),
            WaitingOn::Draining { brokers, detail } => out.write_str(&draining(brokers, detail)),
            WaitingOn::Restarting { node, detail } => {
                write!(out, "node {node} is restarted: {detail}")
            }
            WaitingOn::CanaryFailed { node, detail } => out.write_str(&rejected(*node, detail)),
            WaitingOn::RestartHeld { node, detail } => {
                write!(out, "node {node} has to restart and must not yet: {detail}")
            }
        }
    }
}

const STAYS_LARGER: &str = ", more than the spec asks for: a disk never shrinks";
const KEEPS_CLASS: &str =
    ", not in the one that the spec asks for: another name in the spec is another disk";
const TERMINATING: &str = " is being deleted: it is made again once it is gone";
const TAKEN: &str = " exists and is not part of this cluster: rename or remove it, or choose another name for the cluster";
const FOREIGN: &str = " owns this cluster; to hand it over, annotate it with ottla.dev/take-over and the name of the installation that is to own it";
const LOST: &str =
    " with the cluster's CA is missing while nodes trust it: restore it from a backup";
const DELETING: &str =
    "the KafkaCluster is being deleted: its claims, its identity and its CA stay";

fn mistakes(problems: &[Problem]) -> String {
    let texts: Vec<String> =
        problems.iter().map(|one| format!("{}: {}", one.field, one.sentence)).collect();
    texts.join("; ")
}

fn led_by_others(count: usize, example: &str) -> String {
    format!("preferred leaders are being elected again, of {}", partitions(count, example))
}

fn under_replicated(count: usize, example: &str) -> String {
    let verb = if count == 1 { "lacks" } else { "lack" };
    format!("{} {verb} an in-sync replica", partitions(count, example))
}

fn offline(node: i32, volumes: &[String]) -> String {
    format!(
        "node {node}: Kafka took {} offline after an error, and no replica there is in sync: mend it and delete the pod, or name another disk in the spec and leave this one out",
        disks::spell(volumes)
    )
}

fn draining(ids: &[i32], detail: &str) -> String {
    let verb = if ids.len() == 1 { "leaves" } else { "leave" };
    let colon = if detail.is_empty() { "" } else { ": " };
    format!("{} {verb}{colon}{detail}", brokers(ids))
}

fn rejected(node: i32, detail: &str) -> String {
    format!(
        "node {node} did not start with what the spec asks for ({detail}): it goes back to what it ran with, and no other node takes it; correct the spec, or have it tried again by a new value of the annotation {RESTART_ANNOTATION}"
    )
}
