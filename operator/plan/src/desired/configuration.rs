//! Listeners and the user's Kafka configuration: what the schema refuses is refused here again,
//! and what only sense can refuse is refused here.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::kafka_cluster::KafkaClusterSpec;

use super::Problems;
use crate::configuration::{find, is_live, is_reserved};
use crate::properties::{CLEANER_BUFFER, MIN_IN_SYNC, cleaner_buffer_bytes};

/// Ports below are those of Ottla's own listeners.
const FIRST_CLIENT_PORT: i32 = 9092;

pub(super) fn check(spec: &KafkaClusterSpec, problems: &mut Problems) {
    check_listeners(spec, problems);
    for (key, value) in &spec.config {
        check_entry(key, value, problems);
        check_type(&spec.version, key, value, problems);
    }
    check_replication(spec, problems);
}

fn check_listeners(spec: &KafkaClusterSpec, problems: &mut Problems) {
    let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for listener in &spec.listeners {
        if !names.insert(&listener.name) {
            problems.add("spec.listeners", format!("two are named `{}`", listener.name));
        }
        if !ports.insert(listener.port) {
            problems.add("spec.listeners", format!("two have port {}", listener.port));
        }
        if !(FIRST_CLIENT_PORT..=i32::from(u16::MAX)).contains(&listener.port) {
            problems.add(
                "spec.listeners",
                format!("port {} of `{}` is not from 9092 up", listener.port, listener.name),
            );
        }
    }
}

fn check_entry(key: &str, value: &str, problems: &mut Problems) {
    if is_reserved(key) {
        problems.add("spec.config", format!("`{key}` is set by Ottla itself: remove it"));
    }
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    if key.is_empty() || !key.chars().all(legal) {
        problems.add("spec.config", format!("`{key}` is not a key of Kafka's"));
    }
    if value.chars().any(char::is_control) {
        problems.add(
            "spec.config",
            format!("the value of `{key}` has a line break or another control character"),
        );
    }
}

fn check_type(version: &str, key: &str, value: &str, problems: &mut Problems) {
    let Some(what) = find(version, key).and_then(|known| known.refuses(value)) else { return };
    // Counts of replicas are judged as such.
    if !COUNTS.contains(&key) {
        problems.add("spec.config", format!("{key} is `{value}`, which is not {what}"));
    }
}

/// What all nodes take while they run, and what they read when they start.
pub(super) fn split(
    spec: &KafkaClusterSpec,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    spec.config.clone().into_iter().partition(|(key, _)| is_live(&spec.version, key))
}

const COUNTS: [&str; 5] = [
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
    MIN_IN_SYNC,
];

/// All nodes take the value at once: one that is too large would end them all at once.
pub(super) fn check_cleaner(
    config: &BTreeMap<String, String>,
    heap_bytes: u64,
    problems: &mut Problems,
) {
    let Some(Ok(bytes)) = config.get(CLEANER_BUFFER).map(|text| text.trim().parse::<u64>()) else {
        return;
    };
    let most = (heap_bytes / 4).max(cleaner_buffer_bytes(heap_bytes));
    if bytes > most {
        problems.add(
            "spec.config",
            format!(
                "{CLEANER_BUFFER} is {bytes}, more than a quarter of the brokers' heap: at most {most}, or raise brokers.jvm.heap"
            ),
        );
    }
}

/// Factors that no broker could ever fulfil would show only when the first topic is made.
fn check_replication(spec: &KafkaClusterSpec, problems: &mut Problems) {
    let brokers = spec.brokers.replicas;
    for key in COUNTS {
        let Some(text) = spec.config.get(key) else { continue };
        match text.parse::<i32>() {
            Ok(value) if value > brokers => problems.add(
                "spec.config",
                format!(
                    "{key} is {value}, but there are {brokers} brokers: lower it or add brokers"
                ),
            ),
            Ok(value) if value >= 1 => {}
            _ => problems
                .add("spec.config", format!("{key} is `{text}`, which is no count from 1 up")),
        }
    }
}
