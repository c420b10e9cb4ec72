//! What Kafka says of itself, translated into the planner's own picture.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_kafka::{Cluster, Endpoint, Error, Options, QuorumReplica, Security, TlsOptions, Topic};
use ottla_plan::observed::{Answer, Kafka};

use super::Credentials;
use crate::telemetry::error_chain;

/// How long all questions of a pass may take together.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A voter fetches twice a second at least; one that has not had everything for this long is cut off,
/// stuck, or starting.
const SILENCE_MILLISECONDS: i64 = 10_000;

/// Asks a cluster by its inter-broker listeners.
pub async fn ask(credentials: &Credentials, bootstrap: &[String]) -> Answer<Kafka> {
    match question(credentials, bootstrap).await {
        Ok(kafka) => Answer::Known(kafka),
        Err(error) => Answer::Unknown { reason: error_chain(&error) },
    }
}

async fn question(credentials: &Credentials, bootstrap: &[String]) -> Result<Kafka, Error> {
    let endpoints: Vec<Endpoint> = bootstrap.iter().filter_map(|text| text.parse().ok()).collect();
    let security = Security::Tls(TlsOptions {
        ca_pem: credentials.ca_pem.clone(),
        identity: Some((credentials.certificate_pem.clone(), credentials.key_pem.clone())),
    });
    let options = Options {
        client_id: "ottla-operator".to_owned(),
        connect_timeout: CALL_TIMEOUT / 2,
        request_timeout: CALL_TIMEOUT,
        call_timeout: CALL_TIMEOUT,
    };
    let cluster = Cluster::new(endpoints, &security, options)?;
    let description = cluster.describe_cluster().await?;
    let quorum = cluster.describe_quorum().await?;
    let features = cluster.describe_features().await?;
    let mut kafka = Kafka {
        cluster_id: description.cluster_id,
        brokers: description
            .nodes
            .iter()
            .map(|node| (node.id, node.fenced == Some(true)))
            .collect(),
        leader: quorum.leader_id,
        voters: quorum.voters.iter().map(|voter| voter.id).collect(),
        silent_voters: silent(&quorum.voters).collect(),
        features: levels(&features.finalized),
        ..Kafka::default()
    };
    let mut pages = cluster.topic_pages(&[]);
    while let Some(topics) = pages.next().await? {
        topics.iter().for_each(|topic| note_replicas(&mut kafka, topic));
    }
    Ok(kafka)
}

fn levels(finalized: &BTreeMap<String, i16>) -> BTreeMap<String, i32> {
    finalized.iter().map(|(name, level)| (name.clone(), i32::from(*level))).collect()
}

/// The active controller's own entry is of this very moment, by the clock that dates all others.
fn silent(voters: &[QuorumReplica]) -> impl Iterator<Item = i32> {
    let heard = |voter: &QuorumReplica| voter.last_caught_up_milliseconds.unwrap_or(i64::MIN);
    let now = voters.iter().map(heard).max().unwrap_or(i64::MIN);
    voters
        .iter()
        .filter(move |voter| now.saturating_sub(heard(voter)) > SILENCE_MILLISECONDS)
        .map(|voter| voter.id)
}

fn note_replicas(kafka: &mut Kafka, topic: &Topic) {
    for partition in topic.partitions() {
        let name = || format!("{}-{}", topic.name, partition.index);
        if partition.isr.len() < partition.replicas.len() {
            kafka.under_replicated += 1;
            kafka.under_replicated_example.get_or_insert_with(name);
        }
        for id in partition.replicas {
            if !partition.isr.iter().any(|in_sync| in_sync != id) {
                kafka.no_copy_elsewhere.entry(*id).or_insert_with(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_kafka::{Partition, Uuid};

    use super::*;

    /// Which of the replicas 1, 2 and 3 hold something that nobody else is known to hold.
    fn alone(isr: &[i32]) -> Vec<i32> {
        let mut topic = Topic::new("paid", Uuid::ZERO, false);
        topic.push(Partition { replicas: &[1, 2, 3], isr, elr: &[1], ..Partition::default() });
        let mut kafka = Kafka::default();
        note_replicas(&mut kafka, &topic);
        kafka.no_copy_elsewhere.into_keys().collect()
    }

    #[test]
    fn a_partition_that_nobody_is_in_sync_for_can_spare_no_replica() {
        assert!(alone(&[1, 2, 3]).is_empty());
        assert!(alone(&[2, 3]).is_empty());
        assert_eq!(alone(&[1]), [1]);
        // With eligible leader replicas the last member leaves the ISR when it is fenced.
        assert_eq!(alone(&[]), [1, 2, 3]);
    }

    #[test]
    fn a_voter_is_silent_when_the_leader_has_not_heard_of_it_for_long() {
        let voter = |id, heard: Option<i64>| QuorumReplica {
            id,
            directory_id: Uuid::ZERO,
            log_end_offset: None,
            last_fetch_milliseconds: None,
            last_caught_up_milliseconds: heard,
        };
        let now = 1_000_000;
        let voters = [voter(0, Some(now)), voter(1, Some(now - 900)), voter(2, Some(now - 20_000))];
        assert_eq!(silent(&voters).collect::<Vec<_>>(), [2]);
        let never = [voter(0, Some(now)), voter(1, None)];
        assert_eq!(silent(&never).collect::<Vec<_>>(), [1]);
        assert_eq!(silent(&[voter(0, None)]).count(), 0, "nodes that tell nothing");
    }
}
