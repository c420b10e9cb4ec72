//! Topics in the model world: who leads each partition and who is in sync follows from which
//! brokers serve.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use ottla_plan::observed::Partitions;

use super::World;

/// The topic that every cluster has once its brokers run, with a partition a broker.
const TOPIC: &str = "payments";

/// No partition has more replicas.
const REPLICAS_MAX: usize = 3;

/// One partition.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) replicas: Vec<i32>,
    pub(super) leader: Option<i32>,
    pub(super) in_sync: Vec<i32>,
    pub(super) min_in_sync: u16,
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

    fn takes_writes(&self) -> bool {
        self.leader.is_some() && self.in_sync.len() >= usize::from(self.min_in_sync)
    }
}

/// All partitions of the topic, and replicas that somebody holds back, as `(partition, broker)`.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    pub(super) partitions: Vec<Partition>,
    held_back: BTreeSet<(usize, i32)>,
}

impl World {
    /// Makes the topic once every wished broker serves.
    pub(super) fn make_topic(&mut self) {
        let brokers: Vec<i32> = self.registered.iter().copied().collect();
        let wished = usize::try_from(self.cluster.spec.brokers.replicas).unwrap_or_default();
        if !self.topics.partitions.is_empty() || brokers.len() < wished {
            return;
        }
        let count = brokers.len().min(REPLICAS_MAX);
        for first in 0..brokers.len() {
            let replicas: Vec<i32> =
                (0..count).map(|next| brokers[(first + next) % brokers.len()]).collect();
            self.topics.partitions.push(Partition {
                leader: replicas.first().copied(),
                in_sync: replicas.clone(),
                replicas,
                min_in_sync: if count == REPLICAS_MAX { 2 } else { 1 },
                acknowledged: 0,
                behind: BTreeMap::new(),
            });
        }
    }

    fn serves(&self, id: i32) -> bool {
        !self.is_fenced(id) && self.follows(id)
    }

    /// Leaders and in-sync replicas after something happened to brokers. A leader stays until it
    /// cannot; nobody gives leadership back by itself.
    pub(super) fn follow_brokers(&mut self) {
        let serving: BTreeSet<i32> =
            self.registered.iter().copied().filter(|id| self.serves(*id)).collect();
        for (index, partition) in self.topics.partitions.iter_mut().enumerate() {
            let held_back = |id: &i32| self.topics.held_back.contains(&(index, *id));
            let serves = |id: &i32| serving.contains(id) && !held_back(id);
            // Only who has every acknowledged record may lead; then all others can follow.
            let may_lead = |id: &i32| {
                partition.in_sync.contains(id)
                    || partition.records_of(*id) == partition.acknowledged
            };
            let led = partition.replicas.iter().any(|id| serves(id) && may_lead(id));
            let in_sync: Vec<i32> =
                partition.replicas.iter().copied().filter(|id| led && serves(id)).collect();
            for id in partition.replicas.clone() {
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

    /// A replica of a partition such as `payments-0` gets no records any more, or does again.
    ///
    /// # Errors
    /// Where there is no such partition.
    pub fn hold_back(&mut self, partition: &str, broker: i32, held_back: bool) -> Result<()> {
        let index = partition.strip_prefix(TOPIC).and_then(|rest| rest.strip_prefix('-'));
        let index: usize =
            index.and_then(|index| index.parse().ok()).context("no such partition")?;
        if held_back {
            self.topics.held_back.insert((index, broker));
        } else {
            self.topics.held_back.remove(&(index, broker));
        }
        self.follow_brokers();
        Ok(())
    }

    /// Every replica gets records again.
    pub fn let_all_catch_up(&mut self) {
        self.topics.held_back.clear();
        self.follow_brokers();
    }

    /// Preferred leaders that are in sync lead again.
    pub(super) fn elect(&mut self, wished: &BTreeMap<String, Vec<i32>>) {
        for index in wished.get(TOPIC).into_iter().flatten() {
            let index = usize::try_from(*index).unwrap_or(usize::MAX);
            let Some(partition) = self.topics.partitions.get_mut(index) else {
                continue;
            };
            let preferred = partition.replicas.first().copied();
            if preferred.is_some_and(|preferred| partition.in_sync.contains(&preferred)) {
                partition.leader = preferred;
            }
        }
    }

    /// What Kafka says of its partitions.
    pub(super) fn partitions(&self) -> Partitions {
        let mut partitions = Partitions::default();
        for (index, partition) in (0_i32..).zip(&self.topics.partitions) {
            partitions.begin_topic(TOPIC, partition.min_in_sync);
            let Partition { leader, replicas, in_sync, .. } = partition;
            partitions.push(index, *leader, replicas, in_sync);
        }
        partitions
    }
}
