//! How fast replicas are copied while they move (KIP-73): a limit of all brokers, which nobody need be
//! alive to lose again, for exactly the replicas that move.

use std::collections::{BTreeMap, BTreeSet};

use crate::action::{ConfigChange, ListChange, Throttle};
use crate::observed::traces::{MoveMemory, MovesMemory};
use crate::observed::{Kafka, Throttled};

/// Kafka's keys for either side.
const RATES: [&str; 2] =
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

/// Kafka's word for every replica of a topic.
const ALL: &str = "*";

/// What each broker may send, and what it may take, of replicas that move. It leaves most of a network
/// of a gigabit and of a slow disk to clients, and moves four terabytes a day.
const BYTES_PER_SECOND: i64 = 50 << 20;

/// The limit to set before the first move: none where somebody has set one.
pub(super) fn own_rate(kafka: &Kafka) -> Option<i64> {
    let set = RATES.iter().any(|key| kafka.dynamic_config.contains_key(*key));
    (!set).then_some(BYTES_PER_SECOND)
}

/// What is missing of the limit for moves that begin.
pub(super) fn set(kafka: &Kafka, memory: &MovesMemory, begin: &[&MoveMemory]) -> Throttle {
    let nothing = Throttled::default();
    let missing = |wanted: &BTreeSet<String>, found: &BTreeSet<String>| {
        // Somebody has listed all, and Kafka takes no further word beside that.
        if found.contains(ALL) {
            return ListChange::Nothing;
        }
        let missing: BTreeSet<String> = wanted.difference(found).cloned().collect();
        if missing.is_empty() { ListChange::Nothing } else { ListChange::Append(missing) }
    };
    let topics = entries(begin).into_iter().map(|(topic, wanted)| {
        let found = kafka.throttled.get(topic).unwrap_or(&nothing);
        let changes =
            (missing(&wanted.leader, &found.leader), missing(&wanted.follower, &found.follower));
        (topic.to_owned(), changes)
    });
    let topics = topics.filter(|(_, changes)| *changes != Default::default()).collect();
    Throttle { topics, rates: rates_to_set(kafka, memory) }
}

/// Every replica of a move on the side that is copied from, and those that are new on the other.
fn entries<'a>(moves: &[&'a MoveMemory]) -> BTreeMap<&'a str, Throttled> {
    let mut entries: BTreeMap<&str, Throttled> = BTreeMap::new();
    for one in moves {
        let entry = |broker: &i32| format!("{}:{broker}", one.partition);
        let of_topic = entries.entry(one.topic.as_str()).or_default();
        of_topic.leader.extend(one.from.iter().map(entry));
        let new = one.to.iter().filter(|broker| !one.from.contains(broker));
        of_topic.follower.extend(new.map(entry));
    }
    entries
}

fn rates_to_set(kafka: &Kafka, memory: &MovesMemory) -> BTreeMap<String, ConfigChange> {
    let Some(rate) = memory.bytes_per_second else { return BTreeMap::new() };
    let missing = RATES.iter().filter(|key| !kafka.dynamic_config.contains_key(**key));
    let change = ConfigChange { from: None, to: Some(rate.to_string()) };
    missing.map(|key| ((*key).to_owned(), change.clone())).collect()
}

/// Takes the replicas of moves that are over off the lists, and nobody else's.
pub(super) fn lift_lists(kafka: &Kafka, over: &[&MoveMemory]) -> Throttle {
    let topics = entries(over).into_iter().filter_map(|(topic, ours)| {
        let found = kafka.throttled.get(topic)?;
        let changes =
            (without(&found.leader, &ours.leader), without(&found.follower, &ours.follower));
        (changes != Default::default()).then(|| (topic.to_owned(), changes))
    });
    Throttle { topics: topics.collect(), rates: BTreeMap::new() }
}

fn without(found: &BTreeSet<String>, ours: &BTreeSet<String>) -> ListChange {
    let ours: BTreeSet<String> = found.intersection(ours).cloned().collect();
    match (ours.len(), found.len()) {
        (0, _) => ListChange::Nothing,
        (ours, found) if ours == found => ListChange::Remove,
        _ => ListChange::Subtract(ours),
    }
}

/// Removes the limit itself, as far as it is still as it was set.
pub(super) fn lift_rates(kafka: &Kafka, memory: &MovesMemory) -> Throttle {
    let ours = memory.bytes_per_second.map(|rate| rate.to_string());
    let set = RATES.iter().filter_map(|key| {
        let found = kafka.dynamic_config.get(*key)?;
        let change = ConfigChange { from: Some(found.clone()), to: None };
        (Some(found) == ours.as_ref()).then(|| ((*key).to_owned(), change))
    });
    Throttle { rates: set.collect(), topics: BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_of(entries: &[&str]) -> BTreeSet<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn entries_of_others_stay() {
        let ours = set_of(&["3:1", "4:2"]);
        assert_eq!(without(&set_of(&["3:1", "4:2"]), &ours), ListChange::Remove);
        assert_eq!(
            without(&set_of(&["3:1", "3:7", "5:2"]), &ours),
            ListChange::Subtract(set_of(&["3:1"]))
        );
        assert_eq!(without(&set_of(&["*"]), &ours), ListChange::Nothing);
        assert_eq!(without(&set_of(&[]), &ours), ListChange::Nothing);
    }

    #[test]
    fn a_limit_that_somebody_else_set_is_neither_set_nor_lifted() {
        let foreign = BTreeMap::from([(RATES[0].to_owned(), "77".to_owned())]);
        let kafka = Kafka { dynamic_config: foreign, ..Kafka::default() };
        assert_eq!(own_rate(&kafka), None);
        let memory = MovesMemory { bytes_per_second: Some(BYTES_PER_SECOND), ..Default::default() };
        assert!(lift_rates(&kafka, &memory).is_empty(), "somebody changed it meanwhile");
        assert_eq!(own_rate(&Kafka::default()), Some(BYTES_PER_SECOND));
    }
}
