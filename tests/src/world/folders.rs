//! Which disk of a broker each replica lies on in the model world, and the laws that hold while disks come and
//! go.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use ottla_plan::action::MoveReplicas;
use ottla_plan::object::Kind;
use ottla_plan::observed::{Answer, Folder, Folders};
use ottla_plan::properties::{log_dir, volume_of};
use serde_json::Value;

use super::World;
use super::nodes::{Disk, claims_in};

/// Kafka's word for all folders of a broker.
const ALL: &str = "*";

/// Where a claim says how large its disk is.
const CAPACITY: &str = "/status/capacity/storage";

/// A replica: its topic, its partition, and its broker.
type Replica = (&'static str, i32, i32);

/// Where replicas lie.
#[derive(Clone, Debug, Default)]
pub(super) struct Placement {
    /// By the name of the volume.
    on: BTreeMap<Replica, String>,
    /// Those that are being copied to another.
    leaping: BTreeMap<Replica, String>,
    /// Paths of folders that take no new replicas, by broker.
    cordoned: BTreeMap<i32, BTreeSet<String>>,
    /// Disks that Kafka took offline, by the names of their claims.
    broken: BTreeSet<String>,
    /// Replicas that were on them.
    lost: BTreeSet<Replica>,
    /// Disks that are full, by the names of their claims, with the size at which they are.
    full: BTreeMap<String, Value>,
}

impl Placement {
    /// Whether a replica was on a disk that broke.
    pub(super) fn has_lost(&self, topic: &'static str, number: i32, broker: i32) -> bool {
        self.lost.contains(&(topic, number, broker))
    }
}

impl World {
    /// The volumes that a node's pod has and that are formatted.
    fn usable(&self, id: i32) -> BTreeSet<String> {
        let formatted = |(name, _, _): &(&str, &str, bool)| {
            matches!(self.disks.get(*name), Some(Disk::Formatted { .. }))
                && !self.placement.broken.contains(*name)
        };
        self.mounted(id).filter(formatted).map(|(_, volume, _)| volume.to_owned()).collect()
    }

    /// A disk goes with its claim.
    pub(super) fn forget_disk(&mut self, claim: &str) {
        self.disks.remove(claim);
        self.placement.broken.remove(claim);
    }

    /// The volumes that a node's pod has and that Kafka took offline.
    pub(super) fn offline(&self, id: i32) -> Vec<String> {
        let broken = |(name, _, _): &(&str, &str, bool)| self.placement.broken.contains(*name);
        self.mounted(id).filter(broken).map(|(_, volume, _)| volume.to_owned()).collect()
    }

    /// Whether a disk is full: it has not grown since it was.
    pub(super) fn is_full(&self, claim: &str) -> bool {
        let size = self.placement.full.get(claim);
        size.is_some_and(|size| self.size_of(claim) == Some(size))
    }

    /// Whether a disk was ever full.
    pub(super) fn has_been_full(&self, claim: &str) -> bool {
        self.placement.full.contains_key(claim)
    }

    fn size_of(&self, claim: &str) -> Option<&Value> {
        let child = self.store.get(Kind::PersistentVolumeClaim, claim)?;
        child.live.pointer(CAPACITY)
    }

    /// Claims of disks that are full and that nodes' pods have.
    #[must_use]
    pub fn full_claims(&self) -> Vec<String> {
        let mounted = self.pods.keys().flat_map(|id| self.mounted(*id));
        mounted.filter(|one| self.is_full(one.0)).map(|one| one.0.to_owned()).collect()
    }

    /// A disk is filled up, and Kafka ends. Its container is started again.
    pub fn fill_disk(&mut self, id: i32, volume: &str) {
        let mut mounted = self.mounted(id);
        let claim = mounted.find(|(_, name, _)| *name == volume).map(|one| one.0.to_owned());
        drop(mounted);
        let full = claim.and_then(|claim| Some((claim.clone(), self.size_of(&claim)?.clone())));
        self.placement.full.extend(full);
        let agent = self.first_word(id);
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.agent = agent;
            pod.seen.ready = false;
            pod.seen.restarts += 1;
        }
        self.hush(id);
    }

    /// A disk breaks while its broker runs: what was on it is lost to that broker.
    pub fn break_disk(&mut self, id: i32, volume: &str) {
        let mounted = self.mounted(id);
        let claim =
            mounted.filter(|(_, name, _)| *name == volume).map(|(claim, _, _)| claim.to_owned());
        let claims: Vec<String> = claim.collect();
        self.placement.broken.extend(claims);
        self.lose_replicas(id, volume);
        self.follow_brokers();
    }

    /// What was on a disk is lost to its broker, which has to copy all of it anew.
    pub(super) fn lose_replicas(&mut self, id: i32, volume: &str) {
        let on = std::mem::take(&mut self.placement.on);
        let (lost, stay): (BTreeMap<_, _>, BTreeMap<_, _>) =
            on.into_iter().partition(|((_, _, broker), on)| *broker == id && on == volume);
        self.placement.on = stay;
        // Copies from it and to it end.
        self.placement
            .leaping
            .retain(|replica, to| replica.2 != id || (to != volume && !lost.contains_key(replica)));
        for (topic, number, _) in lost.keys() {
            self.forget_records(topic, *number, id);
        }
        self.placement.lost.extend(lost.into_keys());
    }

    /// New replicas come to the disk of their broker that has the fewest; what is deleted goes from it.
    pub(super) fn place_replicas(&mut self) {
        let mut held: BTreeSet<Replica> = BTreeSet::new();
        for (index, one) in self.topics.partitions.iter().enumerate() {
            let lingers = |id: &i32| self.topics.lingering.contains(&(index, *id));
            let brokers =
                self.registered.iter().filter(|id| one.replicas.contains(id) || lingers(id));
            held.extend(brokers.map(|id| (one.topic, one.number, *id)));
        }
        self.placement.on.retain(|replica, _| held.contains(replica));
        self.placement.leaping.retain(|replica, _| held.contains(replica));
        self.placement.lost.retain(|replica| held.contains(replica));
        for replica in held {
            let id = replica.2;
            if self.placement.on.contains_key(&replica) || !self.serves(id) {
                continue;
            }
            // What is lost is made anew when its broker has started without that disk.
            if self.placement.lost.contains(&replica) && !self.offline(id).is_empty() {
                continue;
            }
            self.placement.lost.remove(&replica);
            let cordoned = self.placement.cordoned.get(&id).cloned().unwrap_or_default();
            let open = self.usable(id).into_iter().filter(|one| !cordoned.contains(&log_dir(one)));
            let count = |volume: &String| {
                let on = self.placement.on.iter();
                on.filter(|((_, _, broker), on)| *broker == id && *on == volume).count()
            };
            if let Some(volume) =
                open.min_by_key(|volume| (count(volume), std::cmp::Reverse(volume.clone())))
            {
                self.placement.on.insert(replica, volume);
            }
        }
    }

    /// S1: a broker does not start without a disk that a replica lies on.
    pub(super) fn hold_disks(&mut self, id: i32) {
        let volumes: BTreeSet<&str> = self.mounted(id).map(|(_, volume, _)| volume).collect();
        let lost =
            self.placement.on.iter().find(|((_, _, broker), volume)| {
                *broker == id && !volumes.contains(volume.as_str())
            });
        if let Some(((topic, number, _), volume)) = lost {
            let law =
                format!("S1: broker {id} starts without disk {volume}, which has {topic}-{number}");
            self.broken.get_or_insert(law);
        }
    }

    /// Whether a replica lies on a disk or is on its way there.
    pub(super) fn lies_on(&self, id: i32, volume: &str) -> bool {
        let of = |replicas: &BTreeMap<Replica, String>| {
            replicas.iter().any(|((_, _, broker), on)| *broker == id && on == volume)
        };
        of(&self.placement.on) || of(&self.placement.leaping)
    }

    /// The whole broker takes no new replicas, or every disk of it does again. Both are one key of Kafka's.
    pub(super) fn cordon(&mut self, broker: i32, cordoned: bool) {
        let all = if cordoned { BTreeSet::from([ALL.to_owned()]) } else { BTreeSet::new() };
        self.cordon_disks(broker, &all);
    }

    /// Whether a broker takes no new replicas at all, and that is all that it was told.
    pub(super) fn is_cordoned(&self, broker: i32) -> bool {
        self.placement.cordoned.get(&broker).is_some_and(|all| all.len() == 1 && all.contains(ALL))
    }

    /// S1: a disk that the broker's next life lacks takes nothing new meanwhile.
    pub(super) fn cordon_disks(&mut self, broker: i32, folders: &BTreeSet<String>) {
        let set = self.pods.get(&broker).and_then(|pod| pod.name.strip_suffix("-0"));
        let set = set.and_then(|name| self.store.get(Kind::StatefulSet, name));
        let next = set.map(|set| claims_in(&set.live["spec"]["template"]));
        let open = |volume: &str| !folders.contains(ALL) && !folders.contains(&log_dir(volume));
        let lacks = |(claim, volume, _): &(&str, &str, bool)| {
            next.as_ref().is_some_and(|next| !next.contains(*claim)) && open(volume)
        };
        let opened = self.mounted(broker).find(lacks).map(|(_, volume, _)| volume.to_owned());
        if let Some(volume) = opened {
            let law = format!(
                "S1: disk {volume} of broker {broker} is opened, and its next life lacks it"
            );
            self.broken.get_or_insert(law);
        }
        self.placement.cordoned.insert(broker, folders.clone());
        self.placement.cordoned.retain(|_, folders| !folders.is_empty());
    }

    /// What is known of an unregistered broker's disks goes with it.
    pub(super) fn forget_folders(&mut self, broker: i32) {
        self.placement.cordoned.remove(&broker);
    }

    /// S9: replicas move only to disks that stay. Kafka moves none while a disk of the broker is offline.
    pub(super) fn move_replicas(&mut self, moves: &MoveReplicas) -> Result<()> {
        if let Some(volume) = self.offline(moves.broker).first() {
            bail!("L1: replicas are to move while disk {volume} is offline, and never do");
        }
        let wished = &self.cluster.spec.brokers.storage.volumes;
        for (volume, topics) in &moves.moves {
            if !wished.iter().any(|one| one.name == *volume) {
                bail!("S9: replicas move to disk {volume}, which the spec does not ask for");
            }
            let of = |(topic, number, broker): &&Replica| {
                let numbers = topics.get(*topic);
                *broker == moves.broker && numbers.is_some_and(|all| all.contains(number))
            };
            let moved: Vec<Replica> = self.placement.on.keys().filter(of).copied().collect();
            self.placement.leaping.extend(moved.into_iter().map(|one| (one, volume.clone())));
        }
        Ok(())
    }

    /// Replicas that are copied to another disk arrive. Whether any did.
    pub(super) fn arrive(&mut self) -> bool {
        let leaping = std::mem::take(&mut self.placement.leaping);
        let (arrive, stay): (BTreeMap<_, _>, BTreeMap<_, _>) =
            leaping.into_iter().partition(|((_, _, broker), volume)| {
                self.serves(*broker) && self.usable(*broker).contains(volume)
            });
        let any = !arrive.is_empty();
        self.placement.on.extend(arrive);
        self.placement.leaping = stay;
        any
    }

    /// What the broker says that is remembered to give disks away.
    pub(super) fn folders(&self) -> BTreeMap<i32, Answer<Folders>> {
        let broker = self.traces().disks.map(|memory| memory.broker);
        let asked = broker.filter(|id| self.registered.contains(id));
        let answer = |id: i32| match self.is_fenced(id) {
            true => Answer::Unknown { reason: "it is not alive".to_owned() },
            false => Answer::Known(self.folders_of(id)),
        };
        asked.into_iter().map(|id| (id, answer(id))).collect()
    }

    fn folders_of(&self, id: i32) -> Folders {
        let room = Folder { total_bytes: 1 << 40, usable_bytes: 1 << 39, ..Folder::default() };
        let volumes = self.usable(id);
        let mut by_volume: BTreeMap<String, Folder> =
            volumes.iter().map(|volume| (volume.clone(), room.clone())).collect();
        for ((topic, number, _), volume) in self.placement.on.iter().filter(|(one, _)| one.2 == id)
        {
            if let Some(folder) = by_volume.get_mut(volume) {
                folder.replicas.entry((*topic).to_owned()).or_default().insert(*number, 1 << 10);
            }
        }
        for ((topic, number, _), volume) in
            self.placement.leaping.iter().filter(|(one, _)| one.2 == id)
        {
            if let Some(folder) = by_volume.get_mut(volume) {
                folder.arriving.entry((*topic).to_owned()).or_default().insert(*number, 0);
            }
        }
        let offline = Folder { offline: true, ..Folder::default() };
        by_volume.extend(self.offline(id).into_iter().map(|volume| (volume, offline.clone())));
        let cordoned = self.placement.cordoned.get(&id).cloned().unwrap_or_default();
        // A cordon of a folder that is not there makes a broker start without any.
        let is_there = |path: &String| {
            path == ALL || volume_of(path).is_some_and(|volume| by_volume.contains_key(volume))
        };
        let valid = cordoned.iter().all(is_there);
        Folders { by_volume, cordoned: if valid { cordoned } else { BTreeSet::new() } }
    }

    /// L1: brokers have the disks that the spec asks for, and no cordon is left.
    pub(super) fn hold_disks_as_wished(&self) -> Result<()> {
        if !self.placement.cordoned.is_empty() || !self.placement.leaping.is_empty() {
            bail!("L1: at rest, and disks are left cordoned or moving: {:?}", self.placement);
        }
        let wished: BTreeSet<&str> =
            self.cluster.spec.brokers.storage.volumes.iter().map(|one| one.name.as_str()).collect();
        for (id, _) in self.pods.iter().filter(|(_, pod)| pod.broker) {
            self.hold_sizes_as_wished(*id)?;
            let volumes: BTreeSet<&str> = self.mounted(*id).map(|(_, volume, _)| volume).collect();
            if volumes != wished {
                bail!(
                    "L1: at rest, broker {id} has the disks {volumes:?} and should have {wished:?}"
                );
            }
        }
        Ok(())
    }

    /// L1: claims of a broker ask for as much as the spec does.
    fn hold_sizes_as_wished(&self, id: i32) -> Result<()> {
        let volumes = &self.cluster.spec.brokers.storage.volumes;
        for (claim, name, _) in self.mounted(id) {
            let wished = volumes.iter().find(|one| one.name == name).map(|one| one.size.as_str());
            let found = self.size_of(claim).and_then(Value::as_str);
            if wished != found {
                bail!("L1: at rest, claim {claim} asks for {found:?} and should for {wished:?}");
            }
        }
        Ok(())
    }
}
