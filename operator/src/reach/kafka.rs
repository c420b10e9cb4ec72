//! What Kafka says of itself, translated into the planner's own picture.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_kafka::{
    Cluster, ConfigChange, ConfigOperation, ConfigResource, ConfigSource, Elect, Endpoint, Error,
    Options, QuorumReplica, Security, TlsOptions, Topic,
};
use ottla_plan::action;
use ottla_plan::observed::{Answer, Kafka, Partitions, Voter};

use tokio::time::Instant;

use super::{Credentials, ReachError};
use crate::telemetry::error_chain;

/// How long all questions of a pass may take together.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a cluster by its inter-broker listeners.
pub async fn ask(credentials: &Credentials, bootstrap: &[String]) -> Answer<Kafka> {
    match question(credentials, bootstrap).await {
        Ok(kafka) => Answer::Known(kafka),
        Err(error) => Answer::Unknown { reason: error_chain(&error) },
    }
}

fn connect(credentials: &Credentials, bootstrap: &[String]) -> Result<Cluster, Error> {
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
    Cluster::new(endpoints, &security, options)
}

async fn question(credentials: &Credentials, bootstrap: &[String]) -> Result<Kafka, Error> {
    let cluster = connect(credentials, bootstrap)?;
    let description = cluster.describe_cluster().await?;
    let quorum = cluster.describe_quorum().await?;
    let features = cluster.describe_features().await?;
    Ok(Kafka {
        cluster_id: description.cluster_id,
        brokers: description
            .nodes
            .iter()
            .map(|node| (node.id, node.fenced == Some(true)))
            .collect(),
        leader: quorum.leader_id,
        voters: voters(&quorum.voters).collect(),
        partitions: partitions(&cluster).await?,
        features: levels(&features.finalized),
        dynamic_config: dynamic_config(&cluster).await?,
    })
}

/// What is set for all nodes. Secrets are not told, and are left alone.
async fn dynamic_config(cluster: &Cluster) -> Result<BTreeMap<String, String>, Error> {
    let entries = cluster.describe_config(&ConfigResource::ClusterDefault).await?;
    let set = entries
        .into_iter()
        .filter(|(_, entry)| entry.source == ConfigSource::DynamicClusterDefault)
        .filter_map(|(key, entry)| Some((key, entry.value?)));
    Ok(set.collect())
}

/// Changes what is set for all nodes.
pub async fn alter_config(
    credentials: &Credentials,
    bootstrap: &[String],
    wanted: &BTreeMap<String, action::ConfigChange>,
) -> Result<(), ReachError> {
    let changes: Vec<ConfigChange> = wanted
        .iter()
        .map(|(key, change)| ConfigChange {
            name: key.clone(),
            operation: change.to.clone().map_or(ConfigOperation::Delete, ConfigOperation::Set),
        })
        .collect();
    let cluster = connect(credentials, bootstrap).map_err(ReachError::Kafka)?;
    let altered = cluster.alter_config(&ConfigResource::ClusterDefault, &changes, false).await;
    altered.map_err(refusal)?;
    read_back(&cluster, wanted).await.map_err(ReachError::Kafka)
}

fn refusal(error: Error) -> ReachError {
    match error {
        Error::Refused { message: Some(sentence), .. } => ReachError::KafkaRefuses { sentence },
        error => ReachError::Kafka(error),
    }
}

/// A broker shows a change when it has read it from the metadata log, most often within a tenth of a
/// second. Where it takes longer the next pass sees.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

const LOOKS_EACH: Duration = Duration::from_millis(50);

/// Waits until the broker that is asked shows a change, so that the next pass does not make it again.
async fn read_back(
    cluster: &Cluster,
    wanted: &BTreeMap<String, action::ConfigChange>,
) -> Result<(), Error> {
    let deadline = Instant::now() + SHOWN_WITHIN;
    loop {
        let found = dynamic_config(cluster).await?;
        let shown = wanted.iter().all(|(key, change)| found.get(key) == change.to.as_ref());
        if shown || Instant::now() >= deadline {
            return Ok(());
        }
        tokio::time::sleep(LOOKS_EACH).await;
    }
}

fn levels(finalized: &BTreeMap<String, i16>) -> BTreeMap<String, i32> {
    finalized.iter().map(|(name, level)| (name.clone(), i32::from(*level))).collect()
}

/// The active controller's own entry is of this very moment, by the clock that dates all others.
fn voters(voters: &[QuorumReplica]) -> impl Iterator<Item = (i32, Voter)> {
    let now = voters.iter().filter_map(|voter| voter.last_caught_up_milliseconds).max();
    voters.iter().map(move |voter| {
        let heard = voter.last_caught_up_milliseconds;
        let behind_milliseconds = now.zip(heard).map(|(now, heard)| now.saturating_sub(heard));
        (voter.id, Voter { behind_milliseconds })
    })
}

/// How many replicas of a topic must be in sync.
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// Every partition. A topic that does not say how many replicas must be in sync counts as one that
/// needs all: it may have vanished meanwhile, and is not there at the next look.
async fn partitions(cluster: &Cluster) -> Result<Partitions, Error> {
    let mut partitions = Partitions::default();
    let mut pages = cluster.topic_pages(&[]);
    while let Some(topics) = pages.next().await? {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let needed = cluster.describe_topics_config(&names, MIN_IN_SYNC).await?;
        for topic in topics {
            let needed = needed.get(&topic.name).and_then(|text| text.parse().ok());
            add(&mut partitions, &topic, needed.unwrap_or(u16::MAX));
        }
    }
    Ok(partitions)
}

fn add(partitions: &mut Partitions, topic: &Topic, min_in_sync: u16) {
    partitions.begin_topic(&topic.name, min_in_sync);
    for partition in topic.partitions() {
        partitions.push(partition.index, partition.leader, partition.replicas, partition.isr);
    }
}

/// Lets preferred leaders lead. Where one cannot after all, the next look shows it.
pub async fn elect(
    credentials: &Credentials,
    bootstrap: &[String],
    partitions: &BTreeMap<String, Vec<i32>>,
) -> Result<(), ReachError> {
    let elect = Elect::Partitions(partitions.clone());
    let election = async { connect(credentials, bootstrap)?.elect_preferred_leaders(&elect).await };
    for failure in election.await.map_err(ReachError::Kafka)? {
        let partition = format!("{}-{}", failure.topic, failure.partition);
        tracing::info!(partition, reason = error_chain(&failure.error), "leader not elected");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ottla_kafka::Uuid;

    use super::*;

    #[test]
    fn a_voter_is_silent_when_the_leader_has_not_heard_of_it_for_long() {
        let voter = |id, heard: Option<i64>| QuorumReplica {
            id,
            directory_id: Uuid::ZERO,
            log_end_offset: None,
            last_fetch_milliseconds: None,
            last_caught_up_milliseconds: heard,
        };
        let seen = |all: &[QuorumReplica], is: fn(Voter) -> bool| -> Vec<i32> {
            voters(all).filter(|(_, voter)| is(*voter)).map(|(id, _)| id).collect()
        };
        let now = 1_000_000;
        let all = [voter(0, Some(now)), voter(1, Some(now - 900)), voter(2, Some(now - 20_000))];
        assert_eq!(seen(&all, Voter::is_silent), [2]);
        assert_eq!(seen(&all, Voter::is_caught_up), [0, 1]);
        assert_eq!(seen(&[voter(0, Some(now)), voter(1, None)], Voter::is_silent), [1]);
    }
}
