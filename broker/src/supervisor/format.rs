//! Whether a request to format may be obeyed. Pure.

use std::collections::BTreeSet;

use ottla_crds::agent::FormatRequest;

use super::{Phase, State};
use crate::disks::{Content, Disk};

/// The answer to `POST /format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormatAnswer {
    /// The format begins.
    Accepted,
    /// There is nothing to do: it runs already, or is done. A sentence for people.
    Already(String),
    /// It must not be obeyed. A sentence for people.
    Conflict(String),
}

/// What to answer to a request.
pub(crate) fn answer(state: &State, request: &FormatRequest) -> FormatAnswer {
    if let Some(conflict) = addressed_elsewhere(state, request) {
        return FormatAnswer::Conflict(conflict);
    }
    match &state.phase {
        Phase::AwaitingFormat { volumes, .. } => awaited(state, volumes, request),
        Phase::Formatting { request: running } if running == request => {
            FormatAnswer::Already("the format runs".to_owned())
        }
        Phase::Formatting { .. } => {
            FormatAnswer::Conflict("another format runs; ask again when it has ended".to_owned())
        }
        Phase::Up(_) => FormatAnswer::Already("the volumes are formatted".to_owned()),
        Phase::Looking => {
            FormatAnswer::Conflict("the disks are being looked at; ask again".to_owned())
        }
        Phase::Refused { reason } => FormatAnswer::Conflict(reason.clone()),
        Phase::Stopping { .. } | Phase::Ended => {
            FormatAnswer::Conflict("the node is stopping".to_owned())
        }
    }
}

/// Whether the request was meant for another cluster or node, or for volumes that do not exist.
fn addressed_elsewhere(state: &State, request: &FormatRequest) -> Option<String> {
    let node = &state.node;
    if request.cluster_id != node.cluster_id {
        return Some(format!(
            "the request is for cluster {} and this node belongs to {}",
            request.cluster_id, node.cluster_id
        ));
    }
    if request.node_id != node.node_id {
        return Some(format!(
            "the request is for node {} and this is node {}",
            request.node_id, node.node_id
        ));
    }
    let unknown = request.volumes.iter().find(|volume| !node.volumes.contains(volume))?;
    Some(format!("this node has no volume {unknown}"))
}

fn awaited(state: &State, awaiting: &[String], request: &FormatRequest) -> FormatAnswer {
    let asked: BTreeSet<&String> = request.volumes.iter().collect();
    if asked != awaiting.iter().collect() {
        return FormatAnswer::Conflict(format!(
            "the volumes without meta.properties are {} and the request names {}",
            awaiting.join(", "),
            if request.volumes.is_empty() { "none".to_owned() } else { request.volumes.join(", ") }
        ));
    }
    match state.disks.iter().find(|disk| begun_otherwise(disk, request)) {
        Some(disk) => FormatAnswer::Conflict(format!(
            "volume {} is half formatted with other initial controllers than the request names; \
             what is on it must be removed by hand first",
            disk.volume
        )),
        None => FormatAnswer::Accepted,
    }
}

/// Whether a half formatted disk holds the beginnings of another quorum. `StorageTool` replaces
/// the files that it writes again, but would leave a first snapshot with the old voters.
fn begun_otherwise(disk: &Disk, request: &FormatRequest) -> bool {
    disk.content == Content::HalfFormatted
        && disk.intent.as_ref().is_none_or(|intent| intent.mode != request.mode)
}
