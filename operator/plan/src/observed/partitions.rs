//! Partitions, packed: a cluster may have hundreds of thousands. What every pass asks of them is
//! counted while they are read, so that it costs nothing later.

use std::collections::BTreeMap;

/// The partitions of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    topics: Vec<Topic>,
    rows: Vec<Row>,
    /// The replicas of each partition, and behind them those in sync, one partition after another.
    nodes: Vec<i32>,
    /// How many replicas each broker has, by its id.
    held: Vec<u32>,
    /// Brokers that hold a partition that moves, each with the first of these.
    moving: BTreeMap<i32, u32>,
    tally: Tally,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Topic {
    name: String,
    min_in_sync: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    topic: u32,
    index: i32,
    leader: i32,
    start: u32,
    replicas: u16,
    in_sync: u16,
}

/// Where there is no leader.
const NOBODY: i32 = -1;

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its number in the topic.
    pub index: i32,
    /// The broker that leads it.
    pub leader: Option<i32>,
    /// The brokers that hold it, the preferred leader first.
    pub replicas: &'a [i32],
    /// Those of them that are in sync.
    pub in_sync: &'a [i32],
    /// Kafka's `min.insync.replicas` of the topic.
    pub min_in_sync: usize,
}

impl Partition<'_> {
    /// Such as `payments-3`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.index)
    }

    /// How many replicas must be in sync for a write with `acks=all`
    /// (`Partition.effectiveMinIsr`).
    #[must_use]
    pub fn needed(&self) -> usize {
        self.min_in_sync.min(self.replicas.len())
    }

    /// How many in-sync replicas are left without a broker.
    #[must_use]
    pub fn in_sync_without(&self, broker: i32) -> usize {
        self.in_sync.iter().filter(|id| **id != broker).count()
    }

    /// Whether the preferred leader could lead and does not.
    #[must_use]
    pub fn is_led_by_another(&self) -> bool {
        let Some(leader) = self.leader else { return false };
        self.replicas.first().is_some_and(|first| leader != *first && self.in_sync.contains(first))
    }
}

/// How many partitions something is true of, and the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub count: usize,
    first: u32,
}

impl Count {
    fn add(&mut self, row: usize) {
        if self.count == 0 {
            self.first = u32::try_from(row).unwrap_or(u32::MAX);
        }
        self.count += 1;
    }
}

/// What would come of it if a broker stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependents {
    /// Partitions that would have fewer in-sync replicas than they need, and that need only wait
    /// until others are in sync again.
    pub until_in_sync: Count,
    /// Partitions that have too few in-sync replicas and wait for this one.
    pub awaited: Count,
    /// Partitions with this one replica.
    pub single: Count,
    /// Partitions with more replicas, all of which they need in sync, so that none can ever stop.
    pub scarce: Count,
    /// Partitions that no other broker is in sync for. One that nobody is in sync for counts for
    /// all its replicas: any of them may be the one that has every acknowledged record.
    pub no_copy_elsewhere: Count,
}

/// What is counted over all partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Partitions that lack an in-sync replica.
    pub under_replicated: Count,
    /// Partitions whose preferred leader could lead and does not.
    pub led_by_others: Count,
    /// Brokers that some partition depends on.
    pub dependents: BTreeMap<i32, Dependents>,
}

impl Partitions {
    /// Begins a topic: partitions that are pushed from now on are its own.
    pub fn begin_topic(&mut self, name: &str, min_in_sync: u16) {
        self.topics.push(Topic { name: name.to_owned(), min_in_sync });
    }

    /// Adds a partition of the topic that was begun last, which stays where it is.
    pub fn push(&mut self, index: i32, leader: Option<i32>, replicas: &[i32], in_sync: &[i32]) {
        self.add(index, leader, replicas, in_sync, &[]);
    }

    /// Adds a partition that moves: brokers that it comes to are among its replicas, and not expected to
    /// be in sync yet.
    pub fn push_moving(
        &mut self,
        index: i32,
        leader: Option<i32>,
        replicas: &[i32],
        in_sync: &[i32],
        adding: &[i32],
    ) {
        let row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        // One that is not in sync and does not come by the move is waited for: it may restart.
        let takes_part = |id: &&i32| in_sync.contains(id) || adding.contains(id);
        for broker in replicas.iter().filter(takes_part) {
            self.moving.entry(*broker).or_insert(row);
        }
        self.add(index, leader, replicas, in_sync, adding);
    }

    fn add(
        &mut self,
        index: i32,
        leader: Option<i32>,
        replicas: &[i32],
        in_sync: &[i32],
        adding: &[i32],
    ) {
        self.count(replicas);
        let small = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        self.rows.push(Row {
            topic: u32::try_from(self.topics.len().saturating_sub(1)).unwrap_or(u32::MAX),
            index,
            leader: leader.unwrap_or(NOBODY),
            start: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            replicas: small(replicas.len()),
            in_sync: small(in_sync.len()),
        });
        self.nodes.extend_from_slice(replicas);
        self.nodes.extend_from_slice(in_sync);
        let row = self.rows.len() - 1;
        let mut tally = std::mem::take(&mut self.tally);
        if let Some(partition) = self.get(row) {
            tally.add(row, &partition, adding);
        }
        self.tally = tally;
    }

    fn count(&mut self, replicas: &[i32]) {
        for place in replicas.iter().filter_map(|id| usize::try_from(*id).ok()) {
            if place >= self.held.len() {
                self.held.resize(place + 1, 0);
            }
            if let Some(held) = self.held.get_mut(place) {
                *held += 1;
            }
        }
    }

    /// How many replicas a broker has, those included that come to it or leave it.
    #[must_use]
    pub fn held_by(&self, broker: i32) -> usize {
        let held = usize::try_from(broker).ok().and_then(|place| self.held.get(place));
        held.map_or(0, |held| usize::try_from(*held).unwrap_or(usize::MAX))
    }

    /// Brokers that have a replica.
    pub fn holders(&self) -> impl Iterator<Item = i32> {
        (0..).zip(&self.held).filter(|(_, held)| **held > 0).map(|(id, _)| id)
    }

    /// A partition that moves and that a broker has in sync or is to take.
    #[must_use]
    pub fn moving_on(&self, broker: i32) -> Option<Partition<'_>> {
        self.get(usize::try_from(*self.moving.get(&broker)?).ok()?)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Partition<'_>> {
        (0..self.rows.len()).filter_map(|row| self.get(row))
    }

    /// The partitions of one topic.
    pub fn of_topic<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Partition<'a>> {
        self.of_topics(move |topic| topic == name)
    }

    /// The partitions of topics with such names.
    pub fn of_topics<'a>(
        &'a self,
        is_meant: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = Partition<'a>> {
        let named =
            (0_u32..).zip(&self.topics).filter(move |(_, topic)| is_meant(topic.name.as_str()));
        named.flat_map(|(number, _)| {
            let first = self.rows.partition_point(|row| row.topic < number);
            let behind = self.rows.partition_point(|row| row.topic <= number);
            (first..behind).filter_map(|row| self.get(row))
        })
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What depends on one broker.
    #[must_use]
    pub fn dependents(&self, broker: i32) -> Dependents {
        self.tally.dependents.get(&broker).cloned().unwrap_or_default()
    }

    /// The first partition of a count.
    #[must_use]
    pub fn example(&self, count: Count) -> Option<Partition<'_>> {
        if count.count == 0 { None } else { self.get(usize::try_from(count.first).ok()?) }
    }

    /// The name of the first partition of a count; empty where there is none.
    #[must_use]
    pub fn example_name(&self, count: Count) -> String {
        self.example(count).map(|partition| partition.name()).unwrap_or_default()
    }

    fn get(&self, row: usize) -> Option<Partition<'_>> {
        let row = self.rows.get(row)?;
        let topic = self.topics.get(usize::try_from(row.topic).ok()?)?;
        let rest = self.nodes.get(usize::try_from(row.start).ok()?..)?;
        let (replicas, rest) = rest.split_at_checked(usize::from(row.replicas))?;
        Some(Partition {
            topic: &topic.name,
            index: row.index,
            leader: Some(row.leader).filter(|leader| *leader != NOBODY),
            replicas,
            in_sync: rest.get(..usize::from(row.in_sync))?,
            min_in_sync: usize::from(topic.min_in_sync),
        })
    }
}

impl Tally {
    fn add(&mut self, row: usize, partition: &Partition<'_>, adding: &[i32]) {
        let (replicas, needed) = (partition.replicas.len(), partition.needed());
        let lacks = |id: &i32| !partition.in_sync.contains(id) && !adding.contains(id);
        if partition.replicas.iter().any(lacks) {
            self.under_replicated.add(row);
        }
        if partition.is_led_by_another() {
            self.led_by_others.add(row);
        }
        if partition.leader.is_some() && partition.in_sync.len() > needed && needed > 0 {
            return;
        }
        for broker in partition.replicas {
            let left = partition.in_sync_without(*broker);
            let complete = partition.in_sync.len() == replicas && partition.leader.is_some();
            let of_broker = self.dependents.entry(*broker).or_default();
            if left == 0 {
                of_broker.no_copy_elsewhere.add(row);
            }
            if !partition.in_sync.contains(broker) {
                if left < needed || partition.leader.is_none() {
                    of_broker.awaited.add(row);
                }
            } else if replicas == 1 {
                of_broker.single.add(row);
            } else if needed == replicas && complete {
                of_broker.scarce.add(row);
            } else if left < needed || partition.leader.is_none() {
                of_broker.until_in_sync.add(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the replicas 1, 2 and 3 of a topic that needs two in sync.
    fn three(in_sync: &[i32], leader: Option<i32>) -> Partitions {
        let mut partitions = Partitions::default();
        partitions.begin_topic("paid", 2);
        partitions.push(7, leader, &[1, 2, 3], in_sync);
        partitions
    }

    fn brokers(partitions: &Partitions, count: fn(&Dependents) -> Count) -> Vec<i32> {
        let all = partitions.tally().dependents.iter();
        all.filter(|(_, of_broker)| count(of_broker).count > 0).map(|(id, _)| *id).collect()
    }

    #[test]
    fn a_partition_comes_out_as_it_went_in() {
        let partitions = three(&[1, 3], Some(3));
        let found: Vec<Partition<'_>> = partitions.iter().collect();
        let expected = Partition {
            topic: "paid",
            index: 7,
            leader: Some(3),
            replicas: &[1, 2, 3],
            in_sync: &[1, 3],
            min_in_sync: 2,
        };
        assert_eq!(found, [expected]);
        assert_eq!(partitions.example_name(partitions.tally().led_by_others), "paid-7");
    }

    #[test]
    fn whoever_is_needed_in_sync_must_not_stop() {
        let until_in_sync = |partitions: &Partitions| brokers(partitions, |of| of.until_in_sync);
        let awaited = |partitions: &Partitions| brokers(partitions, |of| of.awaited);
        assert!(until_in_sync(&three(&[1, 2, 3], Some(1))).is_empty());
        assert_eq!(until_in_sync(&three(&[1, 2], Some(1))), [1, 2]);
        assert!(awaited(&three(&[1, 2], Some(1))).is_empty());
        assert_eq!(until_in_sync(&three(&[2], Some(2))), [2]);
        assert_eq!(awaited(&three(&[2], Some(2))), [1, 3]);
        assert_eq!(until_in_sync(&three(&[1, 2, 3], None)), [1, 2, 3]);
        assert_eq!(awaited(&three(&[], None)), [1, 2, 3]);
    }

    #[test]
    fn a_replica_that_is_being_added_is_not_missed() {
        let lacking = |adding: &[i32]| {
            let mut partitions = Partitions::default();
            partitions.begin_topic("paid", 2);
            partitions.push_moving(0, Some(1), &[4, 1, 2, 3], &[1, 2, 3], adding);
            partitions.tally().under_replicated.count
        };
        assert_eq!((lacking(&[]), lacking(&[4])), (1, 0));
    }

    #[test]
    fn who_holds_what_and_what_moves_is_counted() {
        let mut partitions = three(&[1, 2, 3], Some(1));
        partitions.push_moving(8, Some(2), &[2, 5], &[2], &[5]);
        let held: Vec<usize> = (0..6).map(|id| partitions.held_by(id)).collect();
        assert_eq!(held, [0, 1, 2, 1, 0, 1]);
        assert_eq!(partitions.holders().collect::<Vec<_>>(), [1, 2, 3, 5]);
        let moving = |id| partitions.moving_on(id).map(|one| one.name());
        assert_eq!((moving(5), moving(1)), (Some("paid-8".to_owned()), None));
    }

    #[test]
    fn a_partition_that_can_spare_none_of_its_replicas_is_counted_apart() {
        let mut partitions = Partitions::default();
        partitions.begin_topic("alone", 1);
        partitions.push(0, Some(1), &[1], &[1]);
        partitions.begin_topic("pair", 2);
        partitions.push(0, Some(2), &[2, 3], &[2, 3]);
        partitions.push(1, Some(5), &[4, 5], &[5]);
        assert_eq!(brokers(&partitions, |of| of.single), [1]);
        assert_eq!(brokers(&partitions, |of| of.scarce), [2, 3]);
        assert_eq!(brokers(&partitions, |of| of.until_in_sync), [5]);
        assert_eq!(brokers(&partitions, |of| of.awaited), [4]);
    }

    #[test]
    fn a_partition_that_nobody_is_in_sync_for_can_lose_no_replica() {
        let alone = |in_sync: &[i32]| brokers(&three(in_sync, None), |of| of.no_copy_elsewhere);
        assert!(alone(&[1, 2, 3]).is_empty());
        assert!(alone(&[2, 3]).is_empty());
        assert_eq!(alone(&[1]), [1]);
        // With eligible leader replicas the last member leaves the ISR when it is fenced.
        assert_eq!(alone(&[]), [1, 2, 3]);
    }

    #[test]
    fn a_partition_takes_little_room() {
        let three_replicas_in_sync_bytes = 6 * size_of::<i32>();
        assert!(size_of::<Row>() + three_replicas_in_sync_bytes <= 48, "{}", size_of::<Row>());
    }
}
