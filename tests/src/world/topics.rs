//! Topics in the model world: who leads each partition and who is in sync follows from which
//! brokers serve.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use ottla_plan::observed::{Partitions, Throttled};

use super::World;

/// The topic that every cluster has once its brokers run, with a partition a broker.
const TOPIC: &str = "payments";

/// A life has no more partitions.
const PARTITIONS_MAX: usize = 12;

/// No partition has more replicas.
const REPLICAS_MAX: usize = 3;

/// A topic that comes and goes.
const LATE: &str = "late";

/// Kafka's topic for the offsets of groups, which a cluster of one or two brokers makes with fewer
/// replicas than it should have later.
const OFFSETS: &str = "__consumer_offsets";

/// One partition.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) topic: &'static str,
    pub(super) number: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) moving: Option<Moving>,
    pub(super) leader: Option<i32>,
    pub(super) in_sync: Vec<i32>,
    pub(super) min_in_sync: u16,
    /// How many replicas it was made with.
    made_with: usize,
    /// Records that were acknowledged.
    acknowledged: u64,
    /// How many records each replica has; one that is not named here has them all, or none were
    /// ever written.
    behind: BTreeMap<i32, u64>,
}

impl Partition {
    fn records_of(&self, broker: i32) -> u64 {
        self.behind.get(&broker).copied().unwrap_or(self.acknowledged)
    }

    /// As if each record had a kilobyte.
    pub(super) fn acknowledged_bytes(&self) -> u64 {
        self.acknowledged << 10
    }

    /// What brokers had that hold it no more says nothing.
    pub(super) fn forget_others(&mut self) {
        let replicas = self.replicas.clone();
        self.behind.retain(|id, _| replicas.contains(id));
        self.in_sync.retain(|id| replicas.contains(id));
    }

    /// How many replicas it is to have among so many brokers: those of Kafka's own topics become more with
    /// them, and those of others' topics stay as many as they were.
    pub(super) fn wished(&self, brokers: usize) -> usize {
        if self.topic == OFFSETS { brokers.min(REPLICAS_MAX) } else { self.made_with }
    }

    fn takes_writes(&self) -> bool {
        self.leader.is_some() && self.in_sync.len() >= usize::from(self.min_in_sync)
    }
}

/// Where a partition is on its way to.
#[derive(Clone, Debug)]
pub(super) struct Moving {
    pub(super) before: Vec<i32>,
    pub(super) to: Vec<i32>,
    /// Whether somebody else than the operator moves it.
    pub(super) by_hand: bool,
}

impl Partition {
    pub(super) fn adding(&self) -> Vec<i32> {
        let moving = self.moving.iter();
        let adding = moving.flat_map(|one| one.to.iter().filter(|id| !one.before.contains(id)));
        adding.copied().collect()
    }

    pub(super) fn removing(&self) -> Vec<i32> {
        let moving = self.moving.iter();
        let removing = moving.flat_map(|one| one.before.iter().filter(|id| !one.to.contains(id)));
        removing.copied().collect()
    }
}

/// All partitions of the topic, and replicas that somebody holds back, as `(partition, broker)`.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    pub(super) partitions: Vec<Partition>,
    held_back: BTreeSet<(usize, i32)>,
    /// Replicas that are no longer asked for and lie on a broker's disk for a while yet.
    pub(super) lingering: BTreeSet<(usize, i32)>,
    /// Replicas whose copying is limited, by topic.
    pub(super) throttled: BTreeMap<String, Throttled>,
}

impl World {
    /// Makes the topic once every wished broker serves.
    pub(super) fn make_topic(&mut self) {
        let brokers: Vec<i32> = self.registered.iter().copied().collect();
        let wished = usize::try_from(self.cluster.spec.brokers.replicas).unwrap_or_default();
        if !self.topics.partitions.is_empty() || brokers.len() < wished {
            return;
        }
        for first in 0..brokers.len() {
            self.add_partition(TOPIC, first, &brokers);
        }
        if brokers.len() < REPLICAS_MAX {
            self.add_partition(OFFSETS, 0, &brokers);
        }
    }

    /// The broker that is asked next has not heard yet of what happens from now on.
    pub fn lag(&mut self) {
        self.stale = Some(self.partitions());
    }

    /// It has heard of everything.
    pub fn catch_up_with_news(&mut self) {
        self.stale = None;
    }

    /// Somebody deletes the topic of added records. Whether there was one.
    pub fn delete_records(&mut self) -> bool {
        let before = self.topics.partitions.len();
        let late: BTreeSet<usize> =
            (0..before).filter(|index| self.topics.partitions[*index].topic == LATE).collect();
        // They are the last, so that no other partition's place changes.
        self.topics.partitions.retain(|one| one.topic != LATE);
        self.topics.lingering.retain(|(index, _)| !late.contains(index));
        self.topics.held_back.retain(|(index, _)| !late.contains(index));
        self.topics.throttled.remove(LATE);
        before > self.topics.partitions.len()
    }

    fn add_partition(&mut self, topic: &'static str, first: usize, brokers: &[i32]) {
        let count = brokers.len().min(REPLICAS_MAX);
        let replicas: Vec<i32> =
            (0..count).map(|next| brokers[(first + next) % brokers.len()]).collect();
        let of_topic = self.topics.partitions.iter().filter(|one| one.topic == topic).count();
        self.topics.partitions.push(Partition {
            topic,
            number: i32::try_from(of_topic).unwrap_or(i32::MAX),
            leader: replicas.first().copied(),
            in_sync: replicas.clone(),
            replicas,
            moving: None,
            made_with: count,
            min_in_sync: if count == REPLICAS_MAX { 2 } else { 1 },
            acknowledged: 0,
            behind: BTreeMap::new(),
        });
    }

    /// Somebody adds a partition, which Kafka gives to brokers that are alive and not cordoned. Whether
    /// there are enough, and not too many partitions yet.
    pub fn add_records(&mut self, first: usize) -> bool {
        let serving = |id: &i32| self.serves(*id) && !self.is_cordoned(*id);
        let brokers: Vec<i32> = self.registered.iter().copied().filter(serving).collect();
        let may = brokers.len() >= REPLICAS_MAX && self.topics.partitions.len() < PARTITIONS_MAX;
        if may {
            self.add_partition(LATE, first, &brokers);
            self.follow_brokers();
        }
        may
    }

    pub(super) fn serves(&self, id: i32) -> bool {
        !self.is_fenced(id) && self.follows(id)
    }

    /// Leaders and in-sync replicas after something happened to brokers. A leader stays until it
    /// cannot; nobody gives leadership back by itself.
    pub(super) fn follow_brokers(&mut self) {
        let serving: BTreeSet<i32> =
            self.registered.iter().copied().filter(|id| self.serves(*id)).collect();
        for (index, partition) in self.topics.partitions.iter_mut().enumerate() {
            let held_back = |id: &i32| self.topics.held_back.contains(&(index, *id));
            let adding = partition.adding();
            let (topic, number) = (partition.topic, partition.number);
            let lost = |id: &i32| self.placement.has_lost(topic, number, *id);
            let serves = |id: &i32| {
                serving.contains(id) && !held_back(id) && !adding.contains(id) && !lost(id)
            };
            // Only who has every acknowledged record may lead; then all others can follow.
            let may_lead = |id: &i32| {
                partition.in_sync.contains(id)
                    || partition.records_of(*id) == partition.acknowledged
            };
            let led = partition.replicas.iter().any(|id| serves(id) && may_lead(id));
            let in_sync: Vec<i32> =
                partition.replicas.iter().copied().filter(|id| led && serves(id)).collect();
            for id in partition.replicas.clone().iter().filter(|id| !adding.contains(id)) {
                let id = *id;
                if in_sync.contains(&id) {
                    partition.behind.remove(&id);
                } else {
                    let records = partition.records_of(id);
                    partition.behind.insert(id, records);
                }
            }
            partition.in_sync = in_sync;
            if !partition.leader.is_some_and(|leader| partition.in_sync.contains(&leader)) {
                partition.leader = partition.in_sync.first().copied();
            }
        }
        self.place_replicas();
    }

    /// A replica of a broker has no record any more.
    pub(super) fn forget_records(&mut self, topic: &str, number: i32, broker: i32) {
        let all = self.topics.partitions.iter_mut();
        for partition in all.filter(|one| one.topic == topic && one.number == number) {
            partition.in_sync.retain(|id| *id != broker);
            partition.behind.insert(broker, 0);
        }
    }

    /// A record to each partition that takes it.
    pub fn produce(&mut self) {
        for partition in &mut self.topics.partitions {
            if partition.takes_writes() {
                partition.acknowledged += 1;
            }
        }
    }

    /// Partitions with a choice of replicas that take writes with `acks=all`, and go on to when every
    /// broker that was told to end is gone.
    pub(super) fn available(&self) -> BTreeSet<usize> {
        let ending = |id: &&i32| self.pods.get(*id).is_none_or(|pod| pod.seen.terminating);
        let takes = |partition: &Partition| {
            let least = usize::from(partition.min_in_sync);
            let left = partition.in_sync.iter().filter(|id| !ending(id)).count();
            partition.leader.is_some() && partition.replicas.len() > least && left >= least
        };
        let all = self.topics.partitions.iter().enumerate();
        all.filter(|(_, partition)| takes(partition)).map(|(index, _)| index).collect()
    }

    /// A replica of a partition such as `payments-0` gets no records any more, or does again. Whether there is
    /// such a replica.
    ///
    /// # Errors
    /// Where there is no such partition.
    pub fn hold_back(&mut self, partition: &str, broker: i32, held_back: bool) -> Result<bool> {
        let index = partition.strip_prefix(TOPIC).and_then(|rest| rest.strip_prefix('-'));
        let index: usize =
            index.and_then(|index| index.parse().ok()).context("no such partition")?;
        if held_back {
            self.topics.held_back.insert((index, broker));
        } else {
            self.topics.held_back.remove(&(index, broker));
        }
        self.follow_brokers();
        let partition = self.topics.partitions.get(index);
        Ok(partition.is_some_and(|one| one.replicas.contains(&broker)))
    }

    /// Every replica gets records again.
    pub fn let_all_catch_up(&mut self) {
        self.topics.held_back.clear();
        self.follow_brokers();
    }

    /// Preferred leaders that are in sync lead again.
    pub(super) fn elect(&mut self, wished: &BTreeMap<String, Vec<i32>>) {
        for partition in &mut self.topics.partitions {
            let of_topic = wished.get(partition.topic);
            if !of_topic.is_some_and(|numbers| numbers.contains(&partition.number)) {
                continue;
            }
            let preferred = partition.replicas.first().copied();
            if preferred.is_some_and(|preferred| partition.in_sync.contains(&preferred)) {
                partition.leader = preferred;
            }
        }
    }

    /// What Kafka says of its partitions.
    pub(super) fn partitions(&self) -> Partitions {
        let mut partitions = Partitions::default();
        for partition in &self.topics.partitions {
            partitions.begin_topic(partition.topic, partition.min_in_sync);
            let Partition { number, leader, replicas, in_sync, .. } = partition;
            match &partition.moving {
                None => partitions.push(*number, *leader, replicas, in_sync),
                Some(_) => {
                    let adding = partition.adding();
                    partitions.push_moving(*number, *leader, replicas, in_sync, &adding);
                }
            }
        }
        partitions
    }
}
