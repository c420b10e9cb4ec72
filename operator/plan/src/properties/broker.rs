//! What brokers are configured with unless the user says otherwise.

use std::collections::BTreeMap;

use crate::desired::Desired;

/// A broker that starts or stops hears from the controller only in the answer to a heartbeat: at
/// Kafka's own 2000 each restart waits up to two seconds longer. Heartbeats of a thousand brokers
/// at this pace are a few per cent of what a controller can answer.
const HEARTBEAT_INTERVAL_MILLISECONDS: &str = "500";

/// Three replicas bear the loss of one broker while another restarts.
const REPLICATION_FACTOR: i32 = 3;

/// How many replicas topics get unless somebody says otherwise.
#[must_use]
pub fn replication_factor(desired: &Desired) -> i32 {
    desired.brokers.replicas.min(REPLICATION_FACTOR)
}

/// Internal topics get as many replicas as there are brokers, three at most. Kafka's own default
/// of three would leave a cluster of one broker without consumer groups.
///
/// The controllers' files hold the same: the active controller's own `min.insync.replicas` becomes
/// the cluster's, and its `default.replication.factor` is that of topics made by default.
pub(super) fn defaults(desired: &Desired) -> BTreeMap<String, String> {
    let replicas = replication_factor(desired);
    let min_isr = if replicas >= REPLICATION_FACTOR { 2 } else { 1 };
    let factor = replicas.to_string();
    let min_isr = min_isr.to_string();
    let heartbeat = HEARTBEAT_INTERVAL_MILLISECONDS.to_owned();
    [
        ("broker.heartbeat.interval.ms", &heartbeat),
        ("default.replication.factor", &factor),
        ("offsets.topic.replication.factor", &factor),
        ("transaction.state.log.replication.factor", &factor),
        ("share.coordinator.state.topic.replication.factor", &factor),
        ("min.insync.replicas", &min_isr),
        ("transaction.state.log.min.isr", &min_isr),
        ("share.coordinator.state.topic.min.isr", &min_isr),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.clone()))
    .collect()
}
