//! How far replicas are behind that are not in sync: what their leaders have on disk, and they do not.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::iter;
use ottla_kafka::{Cluster, Error};
use ottla_plan::explain::Behind;
use ottla_plan::observed::Kafka;

use super::{LEAVER_TIMEOUT, LEAVERS_AT_ONCE, brokers};
use crate::reach::Credentials;

/// So many replicas are asked about: enough to see who is behind, and how it goes on.
const REPLICAS_MAX: usize = 2000;

/// A replica that is not in sync, and the leader that it copies from.
struct Late {
    topic: String,
    partition: i32,
    broker: i32,
    leader: i32,
}

/// By topic and partition.
type Sizes = BTreeMap<(String, i32), i64>;

/// Asks brokers that are alive. What one does not tell is not known.
///
/// # Errors
/// When there is no way to ask.
pub async fn behind(
    credentials: &Credentials,
    bootstrap: &[String],
    kafka: &Kafka,
) -> Result<Vec<Behind>, Error> {
    let late: Vec<Late> = late(kafka).take(REPLICAS_MAX).collect();
    let cluster = brokers(credentials, bootstrap)?.within(LEAVER_TIMEOUT);
    let mut asked: BTreeMap<i32, BTreeMap<String, Vec<i32>>> = BTreeMap::new();
    for one in &late {
        for broker in [one.broker, one.leader].into_iter().filter(|id| kafka.is_alive(*id)) {
            let of_topic = asked.entry(broker).or_default().entry(one.topic.clone()).or_default();
            of_topic.push(one.partition);
        }
    }
    let answers = iter(asked).map(|(id, replicas)| {
        let cluster = cluster.clone();
        async move { (id, sizes(&cluster, id, &replicas).await.ok()) }
    });
    let sizes: BTreeMap<i32, Option<Sizes>> =
        answers.buffer_unordered(LEAVERS_AT_ONCE).collect().await;
    Ok(tell(&late, &sizes))
}

fn late(kafka: &Kafka) -> impl Iterator<Item = Late> {
    kafka.partitions.iter().flat_map(|one| {
        let leader = one.leader;
        let missing = one.replicas.iter().filter(move |id| !one.in_sync.contains(id));
        missing.filter_map(move |broker| {
            let (topic, partition) = (one.topic.to_owned(), one.index);
            Some(Late { topic, partition, broker: *broker, leader: leader? })
        })
    })
}

async fn sizes(
    cluster: &Cluster,
    broker: i32,
    replicas: &BTreeMap<String, Vec<i32>>,
) -> Result<Sizes, Error> {
    let dirs = cluster.describe_replicas(broker, replicas).await?;
    let current = dirs.into_iter().flat_map(|dir| dir.replicas).filter(|one| !one.is_future);
    Ok(current.map(|one| ((one.topic, one.partition), one.size_bytes)).collect())
}

fn tell(late: &[Late], sizes: &BTreeMap<i32, Option<Sizes>>) -> Vec<Behind> {
    let size = |broker: i32, one: &Late| {
        let of_broker = sizes.get(&broker)?.as_ref()?;
        of_broker.get(&(one.topic.clone(), one.partition)).copied()
    };
    let mut told: BTreeMap<i32, Behind> = BTreeMap::new();
    for one in late {
        let behind = told.entry(one.broker).or_insert(Behind {
            broker: one.broker,
            replicas: 0,
            bytes: Some(0),
        });
        behind.replicas += 1;
        let lacks = match (size(one.leader, one), size(one.broker, one)) {
            (Some(all), Some(some)) => u64::try_from(all.saturating_sub(some)).ok().or(Some(0)),
            _ => None,
        };
        behind.bytes = behind.bytes.zip(lacks).map(|(bytes, lacks)| bytes.saturating_add(lacks));
    }
    told.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_leader_has_and_a_follower_does_not_is_counted() {
        let late = |partition, broker| {
            let topic = "payments".to_owned();
            Late { topic, partition, broker, leader: 1 }
        };
        let sizes = |all: &[(i32, i64)]| {
            let named = all.iter().map(|(number, size)| (("payments".to_owned(), *number), *size));
            Some(named.collect::<Sizes>())
        };
        let known = BTreeMap::from([
            (1, sizes(&[(0, 1000), (1, 500), (2, 70)])),
            (2, sizes(&[(0, 400), (1, 600)])),
            (3, None),
        ]);
        let told = tell(&[late(0, 2), late(1, 2), late(2, 3)], &known);
        let expected = [
            Behind { broker: 2, replicas: 2, bytes: Some(600) },
            Behind { broker: 3, replicas: 1, bytes: None },
        ];
        assert_eq!(told, expected);
    }
}
