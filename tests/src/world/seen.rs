//! What a pass found of the KafkaCluster, and whether that is still so.

use ottla_crds::kafka_cluster::status::Memory;

use super::World;

/// What a pass found of the KafkaCluster when it began.
#[derive(Clone, Debug)]
pub struct Seen {
    pub(super) generation: Option<i64>,
    pub(super) memory: Memory,
    statuses: u64,
}

impl World {
    /// The KafkaCluster as a pass finds it now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            generation: self.cluster.metadata.generation,
            memory: self.status().memory,
            statuses: self.statuses,
        }
    }

    /// Whether nobody has written the KafkaCluster since: a status is refused otherwise.
    pub(super) fn is_as(&self, seen: &Seen) -> bool {
        self.cluster.metadata.generation == seen.generation && self.statuses == seen.statuses
    }
}
