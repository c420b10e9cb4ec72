//! Volumes of a group of nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_crds::kafka_cluster::storage::Storage;

use super::Problems;
use crate::quantity;

/// One volume of each node of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its size as the user wrote it.
    pub size: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its StorageClass; the default one if absent.
    pub class: Option<String>,
}

pub(super) fn parse(field: &str, storage: &Storage, problems: &mut Problems) -> Arc<[Volume]> {
    let field = format!("{field}.storage.volumes");
    let mut names = BTreeSet::new();
    if storage.volumes.is_empty() {
        problems.add(&field, "must have at least one volume");
    }
    let mut volumes = Vec::new();
    for volume in &storage.volumes {
        if !names.insert(&volume.name) {
            problems.add(&field, format!("two volumes are named `{}`", volume.name));
        }
        match quantity::bytes(&volume.size) {
            Some(size_bytes) if size_bytes > 0 => volumes.push(super::Volume {
                name: volume.name.clone(),
                size: volume.size.clone(),
                size_bytes,
                class: volume.storage_class_name.clone(),
            }),
            _ => problems.add(
                &field,
                format!("size `{}` of volume `{}` is not a quantity", volume.size, volume.name),
            ),
        }
    }
    // The first holds the metadata log; the order of the others says nothing.
    if let Some((_, others)) = volumes.split_first_mut() {
        others.sort_by(|one, other| one.name.cmp(&other.name));
    }
    volumes.into()
}
