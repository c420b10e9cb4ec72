//! Where a node stores: `log.dirs` and the pinned `metadata.log.dir`.

use std::collections::BTreeMap;

use ottla_crds::agent::{LOG_FOLDER, VOLUMES_FOLDER};

use crate::desired::Desired;
use crate::node::Node;

pub(super) fn properties(desired: &Desired, node: &Node) -> BTreeMap<String, String> {
    let folders: Vec<String> = desired
        .group(node.group)
        .volumes
        .iter()
        .map(|volume| format!("{VOLUMES_FOLDER}/{}/{LOG_FOLDER}", volume.name))
        .collect();
    let metadata = folders.first().cloned().unwrap_or_default();
    BTreeMap::from([
        ("log.dirs".to_owned(), folders.join(",")),
        ("metadata.log.dir".to_owned(), metadata),
    ])
}
