//! What lies on the disks of a broker.

use std::collections::{BTreeMap, BTreeSet};

/// The disks of a broker, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// Kafka's folder on each of its volumes, by the volume's name.
    pub by_volume: BTreeMap<String, Folder>,
    /// Paths of folders that take no new replicas (`cordoned.log.dirs`).
    pub cordoned: BTreeSet<String>,
}

/// Kafka's folder on a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// The replicas in it with their sizes in bytes, by topic and partition.
    pub replicas: BTreeMap<String, BTreeMap<i32, u64>>,
    /// Replicas that are being copied into it from another folder of the broker, with what of them is there.
    pub arriving: BTreeMap<String, BTreeMap<i32, u64>>,
    /// The size of its file system.
    pub total_bytes: u64,
    /// What of it Kafka may still use.
    pub usable_bytes: u64,
    /// Whether Kafka took it offline, so that nobody knows what is in it.
    pub offline: bool,
}

impl Folder {
    /// Whether nothing lies in it and nothing comes to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.offline && self.replicas.is_empty() && self.arriving.is_empty()
    }
}

impl Folders {
    /// What is still to come to a folder, in bytes.
    #[must_use]
    pub fn promised_bytes(&self, folder: &Folder) -> u64 {
        let size = |topic: &str, number: i32| {
            let mut all = self.by_volume.values();
            all.find_map(|one| one.replicas.get(topic)?.get(&number)).copied().unwrap_or_default()
        };
        let arriving = folder.arriving.iter().flat_map(|(topic, numbers)| {
            numbers.iter().map(move |(number, there)| (topic, *number, *there))
        });
        arriving.map(|(topic, number, there)| size(topic, number).saturating_sub(there)).sum()
    }

    /// Whether a replica is being copied to another folder.
    #[must_use]
    pub fn is_moving(&self, topic: &str, partition: i32) -> bool {
        let arrives = |folder: &Folder| {
            folder.arriving.get(topic).is_some_and(|all| all.contains_key(&partition))
        };
        self.by_volume.values().any(arrives)
    }
}
