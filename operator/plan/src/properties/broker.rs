//! What brokers are configured with unless the user says otherwise.

use std::collections::BTreeMap;

/// A broker that starts or stops hears from the controller only in the answer to a heartbeat: at
/// Kafka's own 2000 each restart waits up to two seconds longer. Heartbeats of a thousand brokers
/// at this pace are a few per cent of what a controller can answer.
const HEARTBEAT_INTERVAL_MILLISECONDS: &str = "500";

/// Three replicas bear the loss of one broker while another restarts.
const REPLICATION_FACTOR: usize = 3;

/// How many replicas topics get unless somebody says otherwise.
#[must_use]
pub fn replication_factor(brokers: usize) -> usize {
    brokers.min(REPLICATION_FACTOR)
}

/// Kafka's key for how many replicas of a partition must be in sync.
pub const MIN_IN_SYNC: &str = "min.insync.replicas";

/// How many replicas of a partition must be in sync unless somebody says otherwise.
#[must_use]
pub fn min_in_sync(brokers: usize) -> usize {
    if brokers >= REPLICATION_FACTOR { 2 } else { 1 }
}

/// Kafka's key for the memory of the log cleaner.
pub const CLEANER_BUFFER: &str = "log.cleaner.dedupe.buffer.size";

/// The most that the log cleaner takes of a heap, as its part. Kafka makes the cleaner and its buffer
/// anew whenever `message.max.bytes` changes, and the old one may be there for as long as the next
/// collection takes: with Kafka's own 128 MiB a node with a heap of 256 MiB died of that.
const CLEANER_PART: u64 = 8;

/// The log cleaner's memory for a heap: Kafka's own default where the heap is large enough.
pub(crate) fn cleaner_buffer_bytes(heap_bytes: u64) -> u64 {
    const KAFKAS_OWN: u64 = 128 << 20;
    (heap_bytes / CLEANER_PART).min(KAFKAS_OWN)
}

/// Brokers that leave count for as long as they are there: what is made meanwhile must not have fewer
/// replicas because of them. Internal topics get as many replicas as there are brokers, three at most. Kafka's own default
/// of three would leave a cluster of one broker without consumer groups.
///
/// The controllers' files hold the same: the active controller's own `min.insync.replicas` becomes
/// the cluster's, and its `default.replication.factor` is that of topics made by default.
pub(super) fn defaults(brokers: usize) -> BTreeMap<String, String> {
    let factor = replication_factor(brokers).to_string();
    let min_isr = min_in_sync(brokers).to_string();
    let heartbeat = HEARTBEAT_INTERVAL_MILLISECONDS.to_owned();
    [
        ("broker.heartbeat.interval.ms", &heartbeat),
        ("default.replication.factor", &factor),
        ("offsets.topic.replication.factor", &factor),
        ("transaction.state.log.replication.factor", &factor),
        ("share.coordinator.state.topic.replication.factor", &factor),
        (MIN_IN_SYNC, &min_isr),
        ("transaction.state.log.min.isr", &min_isr),
        ("share.coordinator.state.topic.min.isr", &min_isr),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.clone()))
    .collect()
}
