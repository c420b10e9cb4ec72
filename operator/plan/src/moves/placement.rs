//! Where a replica goes: into another rack than its partition's other replicas, and there to the broker
//! that has the fewest. A first, simple answer behind a narrow interface.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::node::Node;
use crate::observed::traces::MoveMemory;
use crate::observed::{Kafka, Observed, Partition};
use crate::roll;

/// A disk keeps this part of itself free: a full one ends its broker.
const KEPT_FREE_PART: u64 = 20;

/// Brokers that may take replicas, and how much each has.
pub(super) struct Placement {
    targets: BTreeMap<i32, Target>,
    racks: BTreeMap<i32, String>,
}

struct Target {
    replicas: usize,
    /// Of how many partitions it is the preferred leader.
    leads: usize,
    /// What its fullest disk can still take: which of its disks gets a replica is Kafka's choice.
    free_bytes: u64,
}

impl Placement {
    /// Of the brokers that stay, those that are well.
    pub(super) fn new(
        desired: &Desired,
        observed: &Observed,
        nodes: &[Node],
        kafka: &Kafka,
    ) -> Placement {
        let stays = |node: &&Node| node.is_broker() && !node.leaving && kafka.is_alive(node.id);
        let well = |node: &&Node| roll::is_well(observed, node).is_ok();
        let targets = nodes.iter().filter(stays).filter(well).map(|node| {
            (
                node.id,
                Target {
                    replicas: 0,
                    leads: 0,
                    free_bytes: free_bytes(desired, observed, node.id),
                },
            )
        });
        let mut placement = Placement {
            targets: targets.collect(),
            racks: nodes.iter().filter_map(|node| Some((node.id, node.rack.clone()?))).collect(),
        };
        for partition in kafka.partitions.iter() {
            placement.count(partition.replicas);
        }
        placement
    }

    fn count(&mut self, replicas: &[i32]) {
        replicas.iter().enumerate().for_each(|(place, broker)| self.add(*broker, place == 0, 0));
    }

    /// One replica more on a broker, and so much less room.
    fn add(&mut self, broker: i32, leads: bool, bytes: u64) {
        if let Some(target) = self.targets.get_mut(&broker) {
            target.replicas += 1;
            target.leads += usize::from(leads);
            target.free_bytes = target.free_bytes.saturating_sub(bytes);
        }
    }

    /// Takes into account a move that goes on, as if nothing of it had been copied yet.
    pub(super) fn reserve(&mut self, one: &MoveMemory, bytes: Option<u64>) {
        for id in one.to.iter().filter(|id| !one.from.contains(id)) {
            self.add(*id, false, bytes.unwrap_or_default());
        }
    }

    /// The brokers that are to hold a partition so that none of them leaves and there are at least so
    /// many; `None` where too few can take it, or only some that would leave it in fewer zones. Those that stay
    /// keep their places, and a preferred leader that leaves is followed by the one that has been preferred the
    /// least.
    pub(super) fn place(
        &mut self,
        partition: &Partition<'_>,
        leaving: &BTreeSet<i32>,
        least: usize,
        bytes: Option<u64>,
    ) -> Option<Vec<i32>> {
        // Of unknown size is at least one that a disk without any room cannot take.
        let bytes = bytes.unwrap_or(1);
        let mut to: Vec<Option<i32>> = partition
            .replicas
            .iter()
            .map(|id| Some(*id).filter(|id| !leaving.contains(id)))
            .collect();
        to.resize(to.len().max(least), None);
        let mut taken: BTreeSet<i32> = to.iter().flatten().copied().collect();
        let mut chosen = Vec::new();
        for _ in to.iter().filter(|place| place.is_none()) {
            let id = self.choose(&taken, bytes)?;
            taken.insert(id);
            chosen.push(id);
        }
        if to.first() == Some(&None) {
            chosen.sort_by_key(|id| (self.targets.get(id).map(|target| target.leads), *id));
        }
        let mut rest = chosen.iter().copied();
        to.iter_mut().filter(|place| place.is_none()).for_each(|place| *place = rest.next());
        let to: Vec<i32> = to.into_iter().flatten().collect();
        if self.zones(&to) < self.zones(partition.in_sync) {
            return None;
        }
        chosen.iter().for_each(|id| self.add(*id, to.first() == Some(id), bytes));
        Some(to)
    }

    fn zones(&self, brokers: &[i32]) -> usize {
        brokers.iter().filter_map(|id| self.racks.get(id)).collect::<BTreeSet<_>>().len()
    }

    fn choose(&self, taken: &BTreeSet<i32>, bytes: u64) -> Option<i32> {
        let racks: Vec<&String> = taken.iter().filter_map(|id| self.racks.get(id)).collect();
        let fits =
            |(id, target): &(&i32, &Target)| !taken.contains(id) && target.free_bytes >= bytes;
        let preference = |(id, target): &(&i32, &Target)| {
            let rack = self.racks.get(id);
            let shared = racks.iter().filter(|other| rack == Some(**other)).count();
            (shared, target.replicas, **id)
        };
        self.targets.iter().filter(fits).min_by_key(preference).map(|(id, _)| *id)
    }
}

/// New replicas may come to any of its disks but for those that leave.
fn free_bytes(desired: &Desired, observed: &Observed, id: i32) -> u64 {
    let disks = observed.agent(id).map(|agent| agent.disks.as_slice()).unwrap_or_default();
    let free = disks
        .iter()
        .filter(|disk| desired.brokers.asks_for(&disk.volume))
        .map(|disk| disk.available_bytes.saturating_sub(disk.total_bytes / KEPT_FREE_PART));
    free.min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(brokers: &[(i32, &str, usize, u64)]) -> Placement {
        let target = |replicas, free_bytes| Target { replicas, leads: 0, free_bytes };
        Placement {
            targets: brokers.iter().map(|(id, _, has, free)| (*id, target(*has, *free))).collect(),
            racks: brokers.iter().map(|(id, rack, ..)| (*id, (*rack).to_owned())).collect(),
        }
    }

    fn place(placement: &mut Placement, replicas: &[i32], least: usize) -> Option<Vec<i32>> {
        let topic = "paid";
        let partition = Partition {
            topic,
            index: 0,
            leader: None,
            replicas,
            in_sync: replicas,
            min_in_sync: 1,
        };
        placement.place(&partition, &BTreeSet::from([9]), least, Some(10))
    }

    #[test]
    fn a_replica_goes_to_a_rack_of_its_own_and_keeps_its_place() {
        let mut all = placement(&[(0, "a", 0, 99), (1, "a", 9, 99), (2, "b", 5, 99)]);
        assert_eq!(place(&mut all, &[9, 0], 0), Some(vec![2, 0]));
        assert_eq!(place(&mut all, &[9, 2], 0), Some(vec![0, 2]));
    }

    #[test]
    fn without_a_rack_to_spare_a_replica_is_better_than_none() {
        let mut all = placement(&[(0, "a", 0, 99), (1, "a", 0, 99)]);
        assert_eq!(place(&mut all, &[0, 9], 0), Some(vec![0, 1]));
        let mut all =
            placement(&[(0, "a", 0, 99), (1, "a", 0, 99), (2, "b", 5, 99), (3, "b", 9, 99)]);
        assert_eq!(place(&mut all, &[0, 2, 1, 9], 0), Some(vec![0, 2, 1, 3]), "two in each");
    }

    #[test]
    fn no_partition_comes_to_lie_in_fewer_zones() {
        let mut all = placement(&[(0, "a", 0, 99), (1, "a", 0, 99), (2, "b", 0, 5)]);
        all.racks.insert(9, "b".to_owned());
        assert_eq!(place(&mut all, &[0, 9], 0), None, "there is no room in the other zone");
        all.racks.remove(&9);
        assert_eq!(place(&mut all, &[0, 9], 0), Some(vec![0, 1]));
    }

    #[test]
    fn the_broker_with_the_fewest_replicas_takes_the_next() {
        let mut all = placement(&[(0, "a", 1, 99), (1, "b", 0, 99), (2, "c", 2, 99)]);
        let took: Vec<_> = (0..4).filter_map(|_| place(&mut all, &[9], 0)).collect();
        assert_eq!(took, [[1], [0], [1], [0]]);
    }

    #[test]
    fn preferred_leaders_are_spread_over_those_that_come() {
        let mut all = placement(&[(0, "a", 0, 99), (1, "b", 0, 99)]);
        let leaving = BTreeSet::from([8, 9]);
        let mut preferred = Vec::new();
        for index in 0..4 {
            let replicas: &[i32] = &[8, 9];
            let partition = Partition {
                topic: "paid",
                index,
                leader: Some(8),
                replicas,
                in_sync: replicas,
                min_in_sync: 1,
            };
            preferred.extend(all.place(&partition, &leaving, 0, Some(0)).map(|to| to[0]));
        }
        assert_eq!(preferred, [0, 1, 0, 1]);
    }

    #[test]
    fn more_replicas_come_behind_those_that_are_there() {
        let mut all = placement(&[(0, "a", 0, 99), (1, "b", 0, 99), (2, "c", 0, 99)]);
        assert_eq!(place(&mut all, &[1], 3), Some(vec![1, 0, 2]));
        assert_eq!(place(&mut all, &[1], 4), None, "there are three brokers");
    }

    #[test]
    fn a_disk_without_room_takes_nothing() {
        let mut all = placement(&[(0, "a", 0, 9), (1, "b", 7, 25)]);
        assert_eq!(place(&mut all, &[9], 0), Some(vec![1]));
        assert_eq!(place(&mut all, &[9], 0), Some(vec![1]));
        assert_eq!(place(&mut all, &[9], 0), None, "it has taken twice ten of twenty-five");
    }
}
