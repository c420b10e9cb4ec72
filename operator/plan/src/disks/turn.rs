//! Which broker gives disks away at this moment: one after another, and first who has a disk that is offline.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::disks;
use crate::node::Node;
use crate::observed::traces::DisksMemory;
use crate::observed::{Kafka, Observed};
use crate::quorum;

/// What decides about it.
pub(super) struct Turn<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) kafka: &'a Kafka,
    pub(super) nodes: &'a [Node],
    /// Disks that leave, by node.
    pub(super) leaving: &'a BTreeMap<i32, BTreeSet<&'a str>>,
}

impl Turn<'_> {
    /// Who is next. Those that were put off are looked at again, whatever the spec says by now, because their disks
    /// are cordoned.
    pub(super) fn next(&self, mut put_off: BTreeMap<i32, Vec<String>>) -> Option<DisksMemory> {
        let broker = |id: i32| self.nodes.iter().find(|node| node.id == id && node.is_broker());
        put_off.retain(|id, _| broker(*id).is_some() || self.kafka.brokers.contains_key(id));
        let stays = |id: &&i32| broker(**id).is_some_and(|node| !node.leaving);
        // Nobody waits for one that was put off and leaves as a whole by now, or for a controller that cannot give its
        // disk away. All wait for a broker with a disk that is offline: its replicas are in sync only when it has
        // restarted without that, and others may not restart before.
        let order = |id: &&i32| {
            let keeps = keeps_its_metadata(self.desired, self.observed, **id);
            let leaves = broker(**id).is_some_and(|node| node.leaving);
            (leaves, keeps, !self.has_offline(**id), !self.kafka.is_alive(**id), **id)
        };
        let all = self.leaving.keys().filter(stays).chain(put_off.keys());
        let broker = *all.min_by_key(order)?;
        let begun = put_off.remove(&broker).into_iter().flatten();
        let leaving = self.leaving.get(&broker).into_iter().flatten();
        let volumes: BTreeSet<String> =
            leaving.map(|volume| (*volume).to_owned()).chain(begun).collect();
        let volumes = volumes.into_iter().collect();
        Some(DisksMemory { broker, volumes, put_off, ..DisksMemory::default() })
    }

    /// Who comes before the broker that is remembered, as long as that one has all its disks. Should it start without
    /// one meanwhile, because its StatefulSet lacks it already, that disk was seen empty and is cordoned.
    pub(super) fn before(&self, memory: &DisksMemory) -> Option<DisksMemory> {
        let id = memory.broker;
        let has = |volume: &String| disks::has(self.observed, id, volume) == Some(true);
        if self.has_offline(id) || !memory.volumes.iter().all(has) {
            return None;
        }
        let mut put_off = memory.put_off.clone();
        put_off.insert(id, memory.volumes.clone());
        self.next(put_off).filter(|next| self.has_offline(next.broker))
    }

    /// Whether a node says that Kafka took a disk offline that leaves it.
    fn has_offline(&self, id: i32) -> bool {
        let mut offline = self.observed.jvm(id).into_iter().flat_map(|jvm| &jvm.offline_volumes);
        let leaving = self.leaving.get(&id);
        offline.any(|volume| leaving.is_some_and(|all| all.contains(volume.as_str())))
    }
}

/// Whether a node is one of so few controllers that none may come back as another one.
pub(super) fn keeps_its_metadata(desired: &Desired, observed: &Observed, id: i32) -> bool {
    desired.voters < 3 && quorum::votes(observed, id)
}
