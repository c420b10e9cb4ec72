//! Where a node stores: `log.dirs` and the pinned `metadata.log.dir`.

use std::collections::BTreeMap;

use ottla_crds::agent::{LOG_FOLDER, VOLUMES_FOLDER};

use crate::node::Node;

/// Kafka's key for the folders in which a node stores.
pub const LOG_DIRS: &str = "log.dirs";

/// Kafka's folder on a volume.
#[must_use]
pub fn log_dir(volume: &str) -> String {
    format!("{VOLUMES_FOLDER}/{volume}/{LOG_FOLDER}")
}

/// The volume of a folder of Kafka's.
#[must_use]
pub fn volume_of(log_dir: &str) -> Option<&str> {
    let volume = log_dir.strip_prefix(VOLUMES_FOLDER)?.strip_suffix(LOG_FOLDER)?;
    volume.strip_prefix('/')?.strip_suffix('/')
}

pub(super) fn properties(node: &Node) -> BTreeMap<String, String> {
    let folders: Vec<String> = node.volumes.iter().map(|volume| log_dir(&volume.name)).collect();
    let metadata = folders.first().cloned().unwrap_or_default();
    BTreeMap::from([
        (LOG_DIRS.to_owned(), folders.join(",")),
        ("metadata.log.dir".to_owned(), metadata),
    ])
}
