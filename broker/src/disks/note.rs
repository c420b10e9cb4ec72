//! The agent's notes at the root of a volume, beside Kafka's folder: that a format was begun, and
//! that it was finished. Kafka's own files do not tell which release formatted them, and a
//! broken-off format looks like a folder of unknown origin.

use std::fs;
use std::io;
use std::path::Path;

use ottla_crds::agent::FormatMode;
use serde::{Deserialize, Serialize};

use super::durable;

/// Written before a format begins.
pub(crate) const INTENT: &str = "format-intent.json";
/// The same note, renamed once the format is complete.
pub(crate) const FORMATTED: &str = "formatted.json";

/// Who formatted a volume, for whom, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FormatNote {
    /// The volume's name, so that disks swapped within a node are noticed.
    pub(crate) volume: String,
    /// Kafka's cluster id.
    pub(crate) cluster_id: String,
    /// Kafka's `node.id`.
    pub(crate) node_id: i32,
    /// The release whose `StorageTool` did it.
    pub(crate) kafka_version: String,
    /// What it did about the quorum.
    pub(crate) mode: FormatMode,
    /// When.
    pub(crate) time: jiff::Timestamp,
}

/// Reads a note. One that is not there, or is not a note, is none: that is the careful answer,
/// because files without a note are never formatted over.
pub(crate) fn read(mount: &Path, name: &str) -> io::Result<Option<FormatNote>> {
    match fs::read(mount.join(name)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes durably that a format begins.
pub(crate) fn begin(mount: &Path, note: &FormatNote) -> io::Result<()> {
    durable::replace(&mount.join(INTENT), &serde_json::to_vec_pretty(note)?)
}

/// Notes durably that the format is complete. Without a begun one there is nothing to do.
pub(crate) fn finish(mount: &Path) -> io::Result<()> {
    match durable::rename(&mount.join(INTENT), &mount.join(FORMATTED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        finished => finished,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ottla_crds::agent::FormatMode;

    use super::{FORMATTED, FormatNote, INTENT, begin, finish, read};
    use crate::scratch::Scratch;

    /// A note about `d0` of node 3 of `clusterA`.
    pub(crate) fn note(mode: FormatMode) -> FormatNote {
        FormatNote {
            volume: "d0".to_owned(),
            cluster_id: "clusterA".to_owned(),
            node_id: 3,
            kafka_version: "4.3.1".to_owned(),
            mode,
            time: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_note_is_begun_and_finished() {
        let scratch = Scratch::new();
        let note = note(FormatMode::InitialControllers("3@h:9090:dir".to_owned()));
        assert_eq!(read(scratch.path(), INTENT).unwrap(), None);
        finish(scratch.path()).unwrap();
        begin(scratch.path(), &note).unwrap();
        assert_eq!(read(scratch.path(), INTENT).unwrap().as_ref(), Some(&note));
        finish(scratch.path()).unwrap();
        assert_eq!(read(scratch.path(), INTENT).unwrap(), None);
        assert_eq!(read(scratch.path(), FORMATTED).unwrap().as_ref(), Some(&note));
    }

    #[test]
    fn a_torn_note_is_no_note() {
        let scratch = Scratch::new();
        scratch.write(INTENT, "{\"volume\":");
        assert_eq!(read(scratch.path(), INTENT).unwrap(), None);
    }
}
