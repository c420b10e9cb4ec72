//! Configuration that Kafka takes while it runs. It is in no node's file: it is the cluster's own
//! dynamic configuration, and is put right wherever that differs from the spec.

use std::collections::BTreeMap;

use crate::action::{Action, ConfigChange};
use crate::desired::Desired;
use crate::observed::{Kafka, Observed};
use crate::properties::{self, MIN_IN_SYNC};

mod keys;

pub(crate) use keys::{find, is_live};

/// How fast replicas may be copied is set by whoever moves them, for as long as that takes
/// (KIP-73, KIP-113).
const THROTTLES: [&str; 3] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];

/// What has to change so that the cluster's dynamic configuration is as the spec wants it. Without
/// an active controller nothing can.
pub(crate) fn plan(desired: &Desired, observed: &Observed) -> Option<Action> {
    let kafka = observed.kafka.known().filter(|kafka| kafka.leader.is_some())?;
    let (wanted, found) = (wanted(desired, kafka), &kafka.dynamic_config);
    let leftovers = found.keys().filter(|key| {
        !wanted.contains_key(*key)
            && is_live(&desired.version, key)
            && !THROTTLES.contains(&key.as_str())
    });
    let changes: BTreeMap<String, ConfigChange> = wanted
        .keys()
        .chain(leftovers)
        .filter(|key| wanted.get(*key) != found.get(*key))
        .map(|key| (key.clone(), change(&desired.version, key, found.get(key), wanted.get(key))))
        .collect();
    (!changes.is_empty()).then_some(Action::AlterConfig(changes))
}

/// What the user wants, and how many replicas must be in sync where the user does not say. That is the
/// cluster's from its first moment, because the active controller makes its own value that (KIP-966),
/// and cannot be removed.
fn wanted(desired: &Desired, kafka: &Kafka) -> BTreeMap<String, String> {
    let mut wanted = desired.live_config.clone();
    wanted.entry(MIN_IN_SYNC.to_owned()).or_insert_with(|| {
        let default = properties::min_in_sync(desired.brokers.replicas);
        let found = kafka.dynamic_config.get(MIN_IN_SYNC).filter(|_| makes_scarce(kafka, default));
        found.cloned().unwrap_or_else(|| default.to_string())
    });
    wanted
}

/// Whether partitions with a replica to spare would have none, so that no node with one could ever be
/// restarted: more brokers alone are no reason for that.
fn makes_scarce(kafka: &Kafka, min_in_sync: i32) -> bool {
    let least = usize::try_from(min_in_sync).unwrap_or_default();
    let spares = |replicas: usize, least: usize| replicas > least;
    kafka.partitions.iter().any(|partition| {
        let replicas = partition.replicas.len();
        spares(replicas, partition.min_in_sync) && !spares(replicas, least)
    })
}

fn change(
    version: &str,
    key: &str,
    from: Option<&String>,
    wanted: Option<&String>,
) -> ConfigChange {
    let step = is_of_threads(key).then(|| step(version, key, from, wanted)).flatten();
    ConfigChange { from: from.cloned(), to: step.or_else(|| wanted.cloned()) }
}

/// Kafka lets a pool of threads at most double or halve at once
/// (`DynamicThreadPool.validateReconfiguration`).
fn is_of_threads(key: &str) -> bool {
    key.contains("thread") || key == "num.replica.fetchers"
}

/// A count of threads on the way to one that is too far away for one change.
fn step(
    version: &str,
    key: &str,
    from: Option<&String>,
    wanted: Option<&String>,
) -> Option<String> {
    let default = find(version, key)?.default;
    let count = |value: Option<&String>| value.map_or(default, String::as_str).parse::<i64>().ok();
    let (now, wanted) = (count(from)?, count(wanted)?);
    let next = wanted.clamp(now / 2, now.saturating_mul(2));
    (next != wanted && next != now && next > 0).then(|| next.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of the key on its way, from where it is to where it is wanted; nothing where it is
    /// left to its default.
    fn way(key: &str, from: Option<&str>, to: Option<&str>) -> Vec<Option<String>> {
        let (mut at, to) = (from.map(ToOwned::to_owned), to.map(ToOwned::to_owned));
        let mut way = Vec::new();
        while at != to && way.len() < 10 {
            at = change("4.3.1", key, at.as_ref(), to.as_ref()).to;
            way.push(at.clone());
        }
        way
    }

    fn steps(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[test]
    fn threads_double_or_halve_at_most_until_they_are_as_many_as_wanted() {
        let key = "num.io.threads";
        assert_eq!(way(key, None, Some("16")), steps(&["16"]));
        assert_eq!(way(key, None, Some("50")), steps(&["16", "32", "50"]));
        assert_eq!(way(key, Some("50"), Some("5")), steps(&["25", "12", "6", "5"]));
        assert_eq!(way(key, Some("50"), None), [steps(&["25", "12"]), vec![None]].concat());
    }

    #[test]
    fn what_is_no_count_of_threads_changes_at_once() {
        assert_eq!(way("message.max.bytes", None, Some("1")), steps(&["1"]));
        assert_eq!(way("compression.type", Some("zstd"), None), [None]);
    }
}
