//! What Kafka says of itself, translated into the planner's own picture.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_kafka::{Cluster, Endpoint, Error, Options, Security, TlsOptions, Topic};
use ottla_plan::observed::{Answer, Kafka};

use super::Credentials;
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

fn note_replicas(kafka: &mut Kafka, topic: &Topic) {
    for partition in topic.partitions() {
        let name = || format!("{}-{}", topic.name, partition.index);
        if partition.isr.len() < partition.replicas.len() {
            kafka.under_replicated += 1;
            kafka.under_replicated_example.get_or_insert_with(name);
        }
        if let [sole] = partition.isr {
            kafka.sole_in_sync.entry(*sole).or_insert_with(name);
        }
    }
}
