//! Runs `StorageTool format` for volumes that the operator named.
//!
//! `StorageTool` writes `meta.properties` last in each folder, and all else that it writes it
//! replaces when it runs again. So a format that was broken off may be repeated, as long as it is
//! certain that the files are those of a format: that is what the note on the volume is for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_crds::agent::FormatRequest;
use thiserror::Error;

use crate::disks::note::{self, FormatNote};
use crate::disks::verdict::{Verdict, judge};
use crate::disks::{self, Disk};
use crate::java::Kafka;
use crate::node::{Node, Volume};
use crate::process::reaper::Reaper;
use crate::process::{Exit, Process};
use crate::running::Running;

/// Why a format failed.
#[derive(Debug, Error)]
pub(crate) enum FormatError {
    /// The disks changed since the request was accepted.
    #[error("the disks are not as they were: {0}")]
    Changed(String),
    /// A note could not be written.
    #[error("cannot write the note on volume {volume}")]
    Note {
        /// The volume.
        volume: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `StorageTool` could not be started.
    #[error("cannot start StorageTool")]
    Start(#[source] io::Error),
    /// `StorageTool` said no.
    #[error("StorageTool ended with {exit:?}: {said}")]
    Failed {
        /// How it ended.
        exit: Exit,
        /// Its last lines.
        said: String,
    },
}

/// Everything that a format needs.
#[derive(Clone, Debug)]
pub(crate) struct Formatter {
    /// The node.
    pub(crate) node: Arc<Node>,
    /// Its Kafka.
    pub(crate) kafka: Kafka,
    /// The mount table.
    pub(crate) mount_table: PathBuf,
    /// Starts processes.
    pub(crate) reaper: Arc<Reaper>,
    /// Where the process can be signalled.
    pub(crate) running: Running,
}

impl Formatter {
    /// Formats, having looked at the disks afresh.
    pub(crate) async fn format(&self, request: &FormatRequest) -> Result<(), FormatError> {
        let disks = look(&self.node.volumes, &self.mount_table).await;
        let wanted = self.still_wanted(request, &disks)?;
        for volume in &wanted {
            note::begin(&volume.mount, &self.note(volume, request))
                .map_err(|source| FormatError::Note { volume: volume.name.clone(), source })?;
        }
        let arguments = self.kafka.format(&self.node, request).map_err(FormatError::Start)?;
        let process = Process::start(&self.reaper, &self.kafka.java, &arguments)
            .map_err(FormatError::Start)?;
        self.running.set(process.clone());
        let exit = process.ended().await;
        self.running.clear();
        if exit != Exit::Code(0) {
            return Err(FormatError::Failed { exit, said: process.last_lines() });
        }
        finish(&wanted)
    }

    /// The volumes to format, if the disks are still such that the request may be obeyed.
    fn still_wanted(
        &self,
        request: &FormatRequest,
        disks: &[Disk],
    ) -> Result<Vec<Volume>, FormatError> {
        let unformatted = match judge(&self.node.document, disks) {
            Verdict::Unformatted { volumes, .. } => volumes,
            Verdict::Refused(reason) => return Err(FormatError::Changed(reason)),
            Verdict::Ours => {
                return Err(FormatError::Changed("all volumes are formatted".to_owned()));
            }
        };
        if let Some(other) = unformatted.iter().find(|name| !request.volumes.contains(name)) {
            let reason = format!("volume {other} has no meta.properties any more");
            return Err(FormatError::Changed(reason));
        }
        let wanted = self.node.volumes.iter().filter(|volume| unformatted.contains(&volume.name));
        Ok(wanted.cloned().collect())
    }

    fn note(&self, volume: &Volume, request: &FormatRequest) -> FormatNote {
        FormatNote {
            volume: volume.name.clone(),
            cluster_id: request.cluster_id.clone(),
            node_id: request.node_id,
            kafka_version: self.node.document.kafka_version.clone(),
            mode: request.mode.clone(),
            time: jiff::Timestamp::now(),
        }
    }
}

/// Turns the notes of begun formats into those of finished ones. A crash may have come between
/// the last `meta.properties` and this, so it is also done before each start of Kafka.
pub(crate) fn finish(volumes: &[Volume]) -> Result<(), FormatError> {
    for volume in volumes {
        note::finish(&volume.mount)
            .map_err(|source| FormatError::Note { volume: volume.name.clone(), source })?;
    }
    Ok(())
}

/// Looks at the disks without holding up anything else: a sick disk may not answer for minutes.
pub(crate) async fn look(volumes: &[Volume], mount_table: &Path) -> Vec<Disk> {
    let (volumes, mount_table) = (volumes.to_vec(), mount_table.to_owned());
    let looked = tokio::task::spawn_blocking(move || disks::look(&volumes, &mount_table)).await;
    looked.unwrap_or_default()
}
