//! Accidents that brokers' disks have in the model world: none takes the last copy of a record with it.

use std::collections::BTreeSet;

use anyhow::Result;
use ottla_plan::names::ACCEPT_LOST_DISK_ANNOTATION;
use ottla_plan::object::Kind;

use super::World;
use super::nodes::Disk;

impl World {
    /// Brokers of whose partitions every one has another in-sync replica, and without whose vote a majority is left.
    fn spared(&self) -> Vec<i32> {
        let has_copy = |id: i32| {
            let mut held = self.topics.partitions.iter().filter(|one| one.replicas.contains(&id));
            held.all(|one| one.in_sync.iter().any(|other| *other != id))
        };
        let brokers = self.pods.iter().filter(|(id, pod)| {
            pod.broker && self.registered.contains(id) && self.decides_without(**id)
        });
        brokers.map(|(id, _)| *id).filter(|id| has_copy(*id)).collect()
    }

    /// Volumes that a node's pod has and that are formatted, with their claims.
    fn formatted_volumes(&self, id: i32) -> Vec<(String, String)> {
        let formatted = |one: &(&str, &str, bool)| {
            matches!(self.disks.get(one.0), Some(Disk::Formatted { .. }))
        };
        let mounted = self.mounted(id).filter(formatted);
        mounted.map(|(claim, volume, _)| (claim.to_owned(), volume.to_owned())).collect()
    }

    /// Volumes of brokers that can be done without: who has each, its claim and its name.
    fn spared_volumes(&self) -> Vec<(i32, String, String)> {
        let of_broker = |id: i32| {
            let volumes = self.formatted_volumes(id).into_iter();
            volumes.map(move |(claim, volume)| (id, claim, volume))
        };
        self.spared().into_iter().flat_map(of_broker).collect()
    }

    /// A disk of a broker is lost with its claim, and its pod ends. Whether there was one.
    pub fn lose_disk(&mut self, number: usize) -> bool {
        let Some((id, claim, volume)) = chosen(self.spared_volumes(), number) else {
            return false;
        };
        self.lose_disk_of(id, &claim, &volume);
        true
    }

    /// The disk of a node that has this claim is lost with it, and its pod ends.
    pub fn lose_disk_of(&mut self, id: i32, claim: &str, volume: &str) {
        self.lose_replicas(id, volume);
        let (partitions, placement) = (&self.topics.partitions, &self.placement);
        self.topics.lingering.retain(|(index, broker)| {
            let one = &partitions[*index];
            *broker != id || !placement.has_lost(one.topic, one.number, id)
        });
        self.forget_disruption(id);
        self.remove_pod(id);
        self.store.remove(Kind::PersistentVolumeClaim, claim);
        self.forget_disk(claim);
        self.lost_claims.insert(claim.to_owned());
        self.yield_pods();
    }

    /// A person declares the loss of every disk that was lost and that has a new claim by now. Whether there was
    /// one.
    ///
    /// # Errors
    /// Where the API server would refuse the word.
    pub fn declare_lost_disks(&mut self) -> Result<bool> {
        let is_new = |claim: &&String| self.disks.get(*claim) == Some(&Disk::Empty);
        let new: Vec<String> = self.lost_claims.iter().filter(is_new).cloned().collect();
        for claim in &new {
            let found = self.store.get(Kind::PersistentVolumeClaim, claim);
            let word = found.map(|one| one.uid.clone()).unwrap_or_default().into();
            let path = ["metadata", "annotations", ACCEPT_LOST_DISK_ANNOTATION];
            self.change(Kind::PersistentVolumeClaim, claim, &path, word)?;
            self.lost_claims.remove(claim);
        }
        Ok(!new.is_empty())
    }

    /// Kafka takes a disk of a broker offline that the broker can do without: it has another, with the metadata
    /// log, and no disk of the cluster is offline yet. Whether there was one.
    pub fn break_any_disk(&mut self, number: usize) -> bool {
        let mut all = self.spared_volumes();
        let metadata = |id: &i32| self.pods.get(id).map(|pod| &pod.metadata_claim);
        all.retain(|(id, claim, _)| self.serves(*id) && metadata(id) != Some(claim));
        let is_first = self.broken_volumes().is_empty();
        let Some((id, _, volume)) = chosen(all, number).filter(|_| is_first) else {
            return false;
        };
        self.break_disk(id, &volume);
        true
    }

    /// A disk of a broker that serves is filled up, and no disk of the cluster is full yet. Whether there was one.
    pub fn fill_any_disk(&mut self, number: usize) -> bool {
        let mut all = self.spared_volumes();
        all.retain(|(id, _, _)| self.serves(*id));
        let is_first = self.full_claims().is_empty();
        let Some((id, _, volume)) = chosen(all, number).filter(|_| is_first) else {
            return false;
        };
        self.fill_disk(id, &volume);
        true
    }

    /// A person grows a claim by hand, which the spec does not name any more.
    ///
    /// # Errors
    /// Where the API server would refuse it.
    pub fn grow_claim(&mut self, claim: &str) -> Result<()> {
        let path = ["spec", "resources", "requests", "storage"];
        self.change(Kind::PersistentVolumeClaim, claim, &path, "100Gi".into())
    }

    /// The names of volumes that are offline on any broker that has them.
    #[must_use]
    pub fn broken_volumes(&self) -> BTreeSet<String> {
        self.pods.keys().flat_map(|id| self.offline(*id)).collect()
    }
}

/// One of them, whatever the number.
fn chosen<T>(mut all: Vec<T>, number: usize) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(number % all.len()))
}
