//! Configuration that Kafka takes while it runs. It is in no node's file: it is the cluster's own
//! dynamic configuration, and is put right wherever that differs from the spec.

use std::collections::BTreeMap;

use crate::action::{Action, ConfigChange};
use crate::desired::Desired;
use crate::observed::{Kafka, Observed};
use crate::properties::{self, MIN_IN_SYNC};

mod keys;
mod valid;

pub(crate) use keys::{find, is_live, is_reserved};

/// How fast replicas may be copied is set by whoever moves them, for as long as that takes
/// (KIP-73, KIP-113).
const THROTTLES: [&str; 3] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];

/// What has to change so that the cluster's dynamic configuration is as the spec wants it. Without
/// an active controller nothing can.
///
/// What is set by hand goes where nodes take the key while they run. Where they read it only when they
/// start, it goes if the spec names the key, and not before every node has started with that: in
/// between nodes would work by Kafka's default.
pub(crate) fn plan(desired: &Desired, observed: &Observed, rolls: bool) -> Option<Action> {
    let kafka = observed.kafka.known().filter(|kafka| kafka.leader.is_some())?;
    let (wanted, found) = (wanted(desired, kafka), &kafka.dynamic_config);
    let leftovers = found.keys().filter(|key| {
        let live = is_live(&desired.version, key) && !THROTTLES.contains(&key.as_str());
        let shadows = desired.config.contains_key(*key) && !rolls;
        !wanted.contains_key(*key) && (live || shadows)
    });
    let changes: BTreeMap<String, ConfigChange> = wanted
        .keys()
        .chain(leftovers)
        .filter(|key| wanted.get(*key) != found.get(*key))
        .map(|key| {
            let (from, to) = (found.get(key).cloned(), wanted.get(key).cloned());
            (key.clone(), ConfigChange { from, to })
        })
        .collect();
    (!changes.is_empty()).then_some(Action::AlterConfig(changes))
}

/// What the user wants, and how many replicas must be in sync where the user does not say. That is the
/// cluster's from its first moment, because the active controller makes its own value that (KIP-966),
/// and cannot be removed.
fn wanted(desired: &Desired, kafka: &Kafka) -> BTreeMap<String, String> {
    let mut wanted = desired.live_config.clone();
    let found = kafka.dynamic_config.get(MIN_IN_SYNC);
    let brokers = usize::try_from(desired.brokers.replicas).unwrap_or_default();
    let default = properties::min_in_sync(brokers);
    let by_user = wanted.contains_key(MIN_IN_SYNC);
    let value = wanted.entry(MIN_IN_SYNC.to_owned()).or_insert_with(|| default.to_string());
    let count = |text: &String| text.trim().parse::<i32>().ok();
    if let (Some(text), Some(now), Some(then)) = (found, found.and_then(count), count(value)) {
        let raises = then > now && may_raise(desired, kafka, then, by_user);
        let lowers = then < now && by_user;
        if !raises && !lowers {
            value.clone_from(text);
        }
    }
    wanted
}

/// Writing it makes Kafka forget which replicas beside those in sync have every record (its eligible
/// leaders), so that it is raised only while every replica is in sync. Without a user's word it is not
/// raised either where brokers are still to come, or where a partition would have no replica to spare
/// any more, so that its brokers could never be restarted.
fn may_raise(desired: &Desired, kafka: &Kafka, min_in_sync: i32, by_user: bool) -> bool {
    let count = |number: i32| usize::try_from(number).unwrap_or_default();
    let complete = kafka.partitions.tally().under_replicated.count == 0;
    let here = kafka.brokers.values().filter(|fenced| !**fenced).count();
    let makes_scarce = || {
        let becomes_scarce =
            |replicas: usize, before: usize| replicas > before && replicas <= count(min_in_sync);
        let mut partitions = kafka.partitions.iter();
        partitions.any(|one| becomes_scarce(one.replicas.len(), one.min_in_sync))
    };
    complete && (by_user || (here >= count(desired.brokers.replicas) && !makes_scarce()))
}

#[cfg(test)]
mod tests {
    use ottla_crds::KafkaCluster;

    use super::*;
    use crate::desired::Settings;
    use crate::observed::Partitions;

    /// What becomes of the number of replicas that must be in sync, where it is `found`, and the spec of
    /// three brokers says `named`, of a partition with these replicas and in-sync ones.
    fn becomes(found: &str, named: Option<&str>, replicas: &[i32], in_sync: &[i32]) -> String {
        let quickstart = include_str!("../../../examples/quickstart.yaml");
        let mut cluster: KafkaCluster = serde_yaml::from_str(quickstart).unwrap_or_else(|error| {
            panic!("{error}");
        });
        let named = named.map(|value| (MIN_IN_SYNC.to_owned(), value.to_owned()));
        cluster.spec.config.extend(named);
        let settings = Settings {
            installation: String::new(),
            operator_namespace: String::new(),
            image_template: String::new(),
        };
        let Ok(desired) = Desired::parse(&cluster, &settings) else { panic!("a wrong spec") };
        let mut partitions = Partitions::default();
        partitions.begin_topic("payments", found.parse().unwrap_or_default());
        partitions.push(0, in_sync.first().copied(), replicas, in_sync);
        let kafka = Kafka {
            brokers: [0, 1, 2].map(|id| (id, false)).into(),
            partitions,
            dynamic_config: BTreeMap::from([(MIN_IN_SYNC.to_owned(), found.to_owned())]),
            ..Kafka::default()
        };
        wanted(&desired, &kafka).remove(MIN_IN_SYNC).unwrap_or_default()
    }

    #[test]
    fn without_a_users_word_it_is_only_raised_and_only_where_that_hurts_nobody() {
        let (three, two) = ([0, 1, 2], [0, 1]);
        assert_eq!(becomes("1", None, &three, &three), "2");
        assert_eq!(becomes("1", None, &three, &two), "1", "a replica is not in sync");
        assert_eq!(becomes("1", None, &two, &two), "1", "no replica would be left to spare");
        assert_eq!(becomes("3", None, &three, &three), "3", "never lowered");
    }

    #[test]
    fn a_user_may_lower_it_at_any_time_and_raise_it_while_all_is_in_sync() {
        let (three, two) = ([0, 1, 2], [0, 1]);
        assert_eq!(becomes("2", Some("1"), &three, &[0]), "1");
        assert_eq!(becomes("2", Some("3"), &three, &three), "3");
        assert_eq!(becomes("2", Some("3"), &three, &two), "2");
    }
}
