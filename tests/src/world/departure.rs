//! Brokers that leave the model world, and the laws that hold while they do.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ottla_plan::action::{Delete, Target};
use ottla_plan::identity::DISKS;
use ottla_plan::object::Kind;
use ottla_plan::observed::disk_key;
use serde::Serialize;

use super::World;
use super::store::Refused;

/// Kafka's keys of the limits that moves have.
const RATES: [&str; 2] =
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

impl World {
    /// A broker whose disks are struck may be formatted like a new one.
    pub(super) fn forget_disks(
        &mut self,
        target: &Target,
        disks: &[String],
    ) -> Result<(), Refused> {
        self.change_disks(target, |all| all.retain(|key, _| !disks.contains(key)))?;
        let known = |disk: &&String| {
            let key = disk.split_once('/');
            let Some((id, volume)) = key.and_then(|(id, volume)| Some((id.parse().ok()?, volume)))
            else {
                return true;
            };
            // One that goes on without it, or one that is gone.
            match self.pods.contains_key(&id) {
                true => self.mounted(id).any(|one| one.1 == volume) || self.lies_on(id, volume),
                false => self.registered.contains(&id),
            }
        };
        if let Some(disk) = disks.iter().find(known) {
            self.broken = Some(format!("S5: disk {disk} is struck from the record"));
        }
        self.seen.retain(|disk| !disks.contains(disk));
        self.formatted.retain(|disk, _| !disks.contains(disk));
        Ok(())
    }

    /// Changes what the identity object knows of disks.
    pub(super) fn change_disks(
        &mut self,
        target: &Target,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), Refused> {
        self.store.expect(Kind::ConfigMap, target)?;
        let live = self.store.get(Kind::ConfigMap, &target.name).map(|child| &child.live);
        let noted = live.and_then(|live| live["data"][DISKS].as_str()).unwrap_or("{}");
        let mut all: BTreeMap<String, String> = serde_json::from_str(noted).unwrap_or_default();
        change(&mut all);
        self.note(target, DISKS, &all)
    }

    /// Writes what is on record, if the identity object is still as it was read.
    pub(super) fn note(
        &mut self,
        target: &Target,
        key: &str,
        value: &impl Serialize,
    ) -> Result<(), Refused> {
        self.store.expect(Kind::ConfigMap, target)?;
        let text = serde_json::to_string(value).unwrap_or_default();
        self.store.write(Kind::ConfigMap, &target.name, &["data", key], text.into())
    }

    /// Holds S1 and S4 for what belongs to a node. A Secret carries no id, and its name ends in it.
    pub(super) fn take_away(&mut self, delete: &Delete) -> Result<()> {
        let name = &delete.target.name;
        let label = "/metadata/labels/ottla.dev~1node-id";
        let child = self.store.get(delete.kind, name);
        let label = child.and_then(|child| child.live.pointer(label)?.as_str());
        let suffix = name.rsplit('-').next().filter(|_| delete.kind == Kind::Secret);
        let id = label.or(suffix).and_then(|id| id.parse().ok());
        if delete.kind == Kind::PersistentVolumeClaim
            && let Some(id) = id.filter(|id| self.pods.contains_key(id))
        {
            let volume = name.rsplit('-').next().unwrap_or_default();
            let mounted = self.mounted(id).any(|claim| claim.0 == name);
            if mounted || self.lies_on(id, volume) || self.seen.contains(&disk_key(id, volume)) {
                bail!("S4: {name} is taken away and its disk is in use");
            }
        } else if let Some(id) = id.filter(|_| delete.kind != Kind::ConfigMap) {
            self.hold_empty(id)?;
            if delete.kind == Kind::PersistentVolumeClaim && self.lingers(id) {
                bail!("S4: {name} is taken away and its disk was never empty");
            }
            if delete.kind == Kind::StatefulSet && self.quorum.contains_key(&id) {
                bail!("S3: {name} is taken away and its node votes");
            }
            if delete.kind != Kind::StatefulSet && self.pods.contains_key(&id) {
                bail!("S4: {name} is taken away while its node runs");
            }
        }
        self.store.remove(delete.kind, name);
        if delete.kind == Kind::PersistentVolumeClaim {
            self.forget_disk(name);
        }
        self.yield_pods();
        Ok(())
    }

    /// S1: a broker is stopped for good only when nobody needs it, and with nothing on its disks as long
    /// as it could be asked.
    pub(super) fn hold_empty(&self, id: i32) -> Result<()> {
        if let Some(one) = self.topics.partitions.iter().find(|one| one.replicas.contains(&id)) {
            bail!("S1: broker {id} is taken away and holds {}-{}", one.topic, one.number);
        }
        // Of what is on a disk that is offline nobody knows; then its claim stays.
        let known = |index: usize| {
            let one = &self.topics.partitions[index];
            !self.placement.has_lost(one.topic, one.number, id)
        };
        let mut lingering = self.topics.lingering.iter();
        let lingers = lingering.any(|(index, broker)| *broker == id && known(*index));
        if lingers && !self.is_fenced(id) {
            bail!("S1: broker {id} is taken away and its disks are not empty");
        }
        Ok(())
    }

    /// Whether a broker's disks have replicas that nobody asks for any more.
    fn lingers(&self, id: i32) -> bool {
        self.topics.lingering.iter().any(|(_, broker)| *broker == id)
    }

    /// A live broker that is unregistered serves nobody until it is restarted.
    pub(super) fn unregister(&mut self, id: i32) -> Result<()> {
        self.hold_empty(id)?;
        if !self.is_fenced(id) || self.pods.contains_key(&id) {
            bail!("S2: broker {id} is unregistered while it runs");
        }
        self.registered.remove(&id);
        self.forget_folders(id);
        // Nobody misses it any more.
        self.forget_disruption(id);
        Ok(())
    }

    /// L1: nothing of what moved or left is left behind.
    pub(super) fn hold_nothing_left(&self) -> Result<()> {
        if let Some(one) = self.topics.partitions.iter().find(|one| one.moving.is_some()) {
            bail!("L1: at rest, and {}-{} moves", one.topic, one.number);
        }
        self.hold_disks_as_wished()?;
        if !self.topics.throttled.is_empty() {
            bail!("L1: at rest, with limits {:?}", self.topics.throttled);
        }
        if let Some(rate) = RATES.iter().find(|rate| self.dynamic_config.contains_key(**rate)) {
            bail!("L1: at rest, and {rate} is set");
        }
        let sets = self.node_ids().into_iter().filter(|id| *id < 10_000);
        let (sets, registered): (Vec<i32>, Vec<i32>) =
            (sets.collect(), self.registered.iter().copied().collect());
        let spec = &self.cluster.spec.brokers;
        let excluded = registered.iter().any(|id| spec.excluded_ids.contains(id));
        let count = usize::try_from(spec.replicas).unwrap_or_default();
        if sets != registered || registered.len() != count || excluded {
            bail!("L1: at rest with the brokers {sets:?}, of which {registered:?} are registered");
        }
        match self.topics.partitions.iter().find(|one| one.replicas.len() != one.wished(count)) {
            Some(one) => bail!("L1: {}-{} is on {:?}", one.topic, one.number, one.replicas),
            None => Ok(()),
        }
    }
}
