//! Partitions on their way to other brokers in the model world, and what brokers that leave say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use ottla_plan::action::{ListChange, Reassign, Throttle};
use ottla_plan::names::{NODE_LABEL, RACK_ANNOTATION};
use ottla_plan::node::FIRST_CONTROLLER_ID;
use ottla_plan::object::Kind;
use ottla_plan::observed::traces::MoveMemory;
use ottla_plan::observed::{Answer, Child, Leaver, Reassignment, Throttled};

use super::World;
use super::store::Refused;
use super::topics::{Moving, Partition};

impl World {
    /// The operator begins moves or cancels them. Holds S9 and S10, and that no partition comes to lie in fewer
    /// zones.
    pub(super) fn reassign(&mut self, reassign: &Reassign) -> Result<()> {
        let zones = self.zones();
        let count =
            |ids: &[i32]| ids.iter().filter_map(|id| zones.get(id)).collect::<BTreeSet<_>>().len();
        for (topic, wishes) in &reassign.partitions {
            for (number, to) in wishes {
                let found = self.topics.partitions.iter_mut();
                let mut found = found.filter(|one| one.topic == topic && one.number == *number);
                let Some(partition) = found.next() else { continue };
                if partition.moving.as_ref().is_some_and(|moving| moving.by_hand) {
                    bail!("S9: {topic}-{number} is moved by somebody else");
                }
                match to {
                    None => cancel(partition),
                    Some(to) => {
                        let fewer = to.len() < partition.replicas.len();
                        if fewer || (to.len() > partition.replicas.len()) != reassign.adds_replicas
                        {
                            bail!(
                                "S10: {topic}-{number} goes from {:?} to {to:?}",
                                partition.replicas
                            );
                        }
                        if count(to) < count(&partition.in_sync) {
                            bail!("S1: {topic}-{number} is to lie in fewer zones on {to:?}");
                        }
                        begin(partition, to, false);
                    }
                }
            }
        }
        self.follow_brokers();
        Ok(())
    }

    /// The zone of each broker that has one, by its claims.
    fn zones(&self) -> BTreeMap<i32, String> {
        if self.cluster.spec.racks.is_none() {
            return BTreeMap::new();
        }
        let claims = self.store.named_like(Kind::PersistentVolumeClaim, String::new());
        let zone = |(_, claim): (&str, &Child)| {
            let metadata = &claim.live["metadata"];
            let id: i32 = metadata["labels"][NODE_LABEL].as_str()?.parse().ok()?;
            let zone = metadata["annotations"][RACK_ANNOTATION].as_str()?.to_owned();
            (id < FIRST_CONTROLLER_ID).then_some((id, zone))
        };
        claims.filter_map(zone).collect()
    }

    /// Somebody moves a partition from one broker to another by Kafka's own tools. Whether that can be.
    pub fn move_by_hand(&mut self, index: usize, to: i32) -> bool {
        let wave = self.traces().moves.map(|moves| moves.wave).unwrap_or_default();
        let alive = self.registered.contains(&to) && !self.is_fenced(to);
        let count = self.topics.partitions.len().max(1);
        let Some(partition) = self.topics.partitions.get_mut(index % count) else { return false };
        if !alive || partition.moving.is_some() || partition.replicas.contains(&to) {
            return false;
        }
        let mut wish = partition.replicas.clone();
        wish[0] = to;
        // Nobody could tell whose such a move is.
        let same = |one: &MoveMemory| one.partition == partition.number && one.to == wish;
        if wave.iter().any(same) {
            return false;
        }
        begin(partition, &wish, true);
        self.follow_brokers();
        true
    }

    /// A person takes back every move of theirs, as of one to a broker whose disk was lost meanwhile. Whether there was
    /// one.
    pub fn take_back_moves_by_hand(&mut self) -> bool {
        let by_hand = |one: &&mut Partition| one.moving.as_ref().is_some_and(|one| one.by_hand);
        let moved = self.topics.partitions.iter_mut().filter(by_hand);
        let any = moved.map(cancel).count() > 0;
        self.follow_brokers();
        any
    }

    /// Replicas that can be copied are, and those that nobody asks for any more go from their disks.
    /// Whether anything happened.
    pub fn copy(&mut self) -> bool {
        let mut lingering = std::mem::take(&mut self.topics.lingering);
        let before = lingering.len();
        lingering.retain(|(_, broker)| self.is_fenced(*broker));
        let mut any = self.arrive() || lingering.len() < before;
        for index in 0..self.topics.partitions.len() {
            let partition = &self.topics.partitions[index];
            let Some(moving) = partition.moving.clone() else { continue };
            let copied = |id: &i32| {
                let new = !moving.before.contains(id);
                if new { self.serves(*id) } else { partition.in_sync.contains(id) }
            };
            if partition.leader.is_none() || !moving.to.iter().all(copied) {
                continue;
            }
            // Nothing of one that is lost lingers, unless on a disk that is offline.
            let (topic, number) = (partition.topic, partition.number);
            let is_left = |id: &i32| {
                !self.placement.has_lost(topic, number, *id) || !self.offline(*id).is_empty()
            };
            let removed = partition.removing().into_iter().filter(is_left);
            lingering.extend(removed.map(|broker| (index, broker)));
            let partition = &mut self.topics.partitions[index];
            partition.replicas.clone_from(&moving.to);
            partition.moving = None;
            partition.forget_others();
            any = true;
        }
        self.topics.lingering = lingering;
        self.follow_brokers();
        any
    }

    pub(super) fn throttle(&mut self, throttle: &Throttle) -> Result<(), Refused> {
        self.alter_config(&throttle.rates)?;
        for (topic, (leader, follower)) in &throttle.topics {
            let lists = self.topics.throttled.entry(topic.clone()).or_default();
            change(&mut lists.leader, leader);
            change(&mut lists.follower, follower);
        }
        self.topics.throttled.retain(|_, lists| *lists != Throttled::default());
        Ok(())
    }

    pub(super) fn reassignments(&self) -> BTreeMap<String, BTreeMap<i32, Reassignment>> {
        let mut found: BTreeMap<String, BTreeMap<i32, Reassignment>> = BTreeMap::new();
        for one in self.topics.partitions.iter().filter(|one| one.moving.is_some()) {
            let moving = Reassignment { adding: one.adding(), removing: one.removing() };
            found.entry(one.topic.to_owned()).or_default().insert(one.number, moving);
        }
        found
    }

    /// Of the topics that are remembered to move.
    pub(super) fn throttled(&self) -> BTreeMap<String, Throttled> {
        let wave = self.traces().moves.map(|moves| moves.wave).unwrap_or_default();
        let mut lists = self.topics.throttled.clone();
        lists.retain(|topic, _| wave.iter().any(|one| one.topic == *topic));
        lists
    }

    /// What brokers say that are remembered to leave.
    pub(super) fn leavers(&self) -> BTreeMap<i32, Answer<Leaver>> {
        let brokers = self.traces().drain.map(|drain| drain.brokers).unwrap_or_default();
        let registered = brokers.into_iter().filter(|id| self.registered.contains(id));
        registered
            .map(|id| match self.is_fenced(id) {
                true => (id, Answer::Unknown { reason: "it is not alive".to_owned() }),
                false => (id, Answer::Known(self.leaver(id))),
            })
            .collect()
    }

    fn leaver(&self, id: i32) -> Leaver {
        let (cordoned, offline) = (self.is_cordoned(id), !self.offline(id).is_empty());
        let mut leaver = Leaver { cordoned, offline, ..Leaver::default() };
        for (index, one) in self.topics.partitions.iter().enumerate() {
            // Of what is on a disk that is offline it says nothing.
            if self.placement.has_lost(one.topic, one.number, id) {
                continue;
            }
            if one.replicas.contains(&id) || self.topics.lingering.contains(&(index, id)) {
                let of_topic = leaver.stored.entry(one.topic.to_owned()).or_default();
                of_topic.insert(one.number, one.acknowledged_bytes());
            }
        }
        leaver
    }
}

fn begin(partition: &mut Partition, to: &[i32], by_hand: bool) {
    let before = partition.replicas.clone();
    let removing = before.iter().filter(|id| !to.contains(id));
    partition.replicas = to.iter().chain(removing).copied().collect();
    partition.moving = Some(Moving { before, to: to.to_vec(), by_hand });
}

fn cancel(partition: &mut Partition) {
    if let Some(moving) = partition.moving.take() {
        partition.replicas = moving.before;
        partition.forget_others();
    }
}

fn change(list: &mut BTreeSet<String>, change: &ListChange) {
    match change {
        ListChange::Nothing => {}
        ListChange::Append(entries) => list.extend(entries.iter().cloned()),
        ListChange::Subtract(entries) => list.retain(|entry| !entries.contains(entry)),
        ListChange::Remove => list.clear(),
    }
}
