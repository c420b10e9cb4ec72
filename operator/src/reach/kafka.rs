//! What Kafka says of itself, translated into the planner's own picture.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use futures::future::ready;
use futures::stream::iter;
use ottla_kafka::{
    Cluster, ClusterDescription, ConfigResource, ConfigSource, Endpoint, Error, LogDir, Options,
    Quorum, QuorumReplica, Security, TlsOptions, Topic,
};
use ottla_plan::observed::{
    Answer, Folder, Folders, Kafka, Leaver, Partitions, Reassignment, Throttled, Traces, Voter,
};
use ottla_plan::properties::volume_of;

use super::{Credentials, Ways};
use crate::telemetry::error_chain;

mod behind;
mod change;

pub use behind::behind;
pub use change::change;

/// How long all questions of a pass may take together.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a cluster by its inter-broker listeners. What is left in it is asked about in particular.
pub async fn ask(
    credentials: &Credentials,
    bootstrap: &[String],
    traces: &Traces,
) -> Answer<Kafka> {
    match question(credentials, bootstrap, traces).await {
        Ok(kafka) => Answer::Known(kafka),
        Err(error) => Answer::Unknown { reason: error_chain(&error) },
    }
}

fn endpoints(bootstrap: &[String]) -> Vec<Endpoint> {
    bootstrap.iter().filter_map(|text| text.parse().ok()).collect()
}

fn security(credentials: &Credentials) -> Security {
    Security::Tls(TlsOptions {
        ca_pem: credentials.ca_pem.clone(),
        identity: Some((credentials.certificate_pem.clone(), credentials.key_pem.clone())),
    })
}

fn options() -> Options {
    Options {
        client_id: "ottla-operator".to_owned(),
        connect_timeout: CALL_TIMEOUT / 2,
        request_timeout: CALL_TIMEOUT,
        call_timeout: CALL_TIMEOUT,
    }
}

fn brokers(credentials: &Credentials, bootstrap: &[String]) -> Result<Cluster, Error> {
    Cluster::new(endpoints(bootstrap), &security(credentials), options())
}

fn controllers(credentials: &Credentials, ways: &Ways) -> Result<Cluster, Error> {
    Cluster::via_controllers(endpoints(&ways.controllers), &security(credentials), options())
}

async fn question(
    credentials: &Credentials,
    bootstrap: &[String],
    traces: &Traces,
) -> Result<Kafka, Error> {
    let cluster = brokers(credentials, bootstrap)?;
    let description = cluster.describe_cluster().await?;
    let quorum = cluster.describe_quorum().await?;
    let features = cluster.describe_features().await?;
    // Before the partitions, so that one that arrives meanwhile is seen where it was or where it is,
    // and not as if it had never begun to move.
    let reassignments = reassignments(&cluster).await?;
    let leavers = leavers(&cluster, &description, traces).await;
    let folders = folders(&cluster, &description, traces).await;
    let partitions = partitions(&cluster, &reassignments).await?;
    // After the partitions: what is seen to have arrived has its limit seen, too.
    let throttled = throttled(&cluster, traces).await?;
    Ok(Kafka {
        cluster_id: description.cluster_id,
        brokers: description
            .nodes
            .iter()
            .map(|node| (node.id, node.fenced == Some(true)))
            .collect(),
        leader: quorum.leader_id,
        voters: voters(&quorum, &quorum.voters).collect(),
        observers: observers(&quorum),
        partitions,
        reassignments,
        leavers,
        throttled,
        folders,
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

fn levels(finalized: &BTreeMap<String, i16>) -> BTreeMap<String, i32> {
    finalized.iter().map(|(name, level)| (name.clone(), i32::from(*level))).collect()
}

/// The active controller's own entry is of this very moment, by the clock that dates all others.
fn voters<'a>(
    quorum: &Quorum,
    replicas: &'a [QuorumReplica],
) -> impl Iterator<Item = (i32, Voter)> + use<'a> {
    let now = quorum.voters.iter().filter_map(|voter| voter.last_caught_up_milliseconds).max();
    replicas.iter().map(move |voter| {
        let heard = voter.last_caught_up_milliseconds;
        let behind_milliseconds = now.zip(heard).map(|(now, heard)| now.saturating_sub(heard));
        (voter.id, Voter { directory: voter.directory_id.to_string(), behind_milliseconds })
    })
}

/// A node whose disk was replaced is there with each of them.
fn observers(quorum: &Quorum) -> BTreeMap<i32, Vec<Voter>> {
    let mut found: BTreeMap<i32, Vec<Voter>> = BTreeMap::new();
    for (id, observer) in voters(quorum, &quorum.observers) {
        found.entry(id).or_default().push(observer);
    }
    found
}

/// How many replicas of a topic must be in sync.
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// Every partition. A topic that does not say how many replicas must be in sync counts as one that
/// needs all: it may have vanished meanwhile, and is not there at the next look.
async fn partitions(cluster: &Cluster, moving: &Reassignments) -> Result<Partitions, Error> {
    let mut partitions = Partitions::default();
    let mut pages = cluster.topic_pages(&[]);
    while let Some(topics) = pages.next().await? {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let needed = cluster.describe_topics_config(&names, MIN_IN_SYNC).await?;
        for topic in topics {
            let needed = needed.get(&topic.name).and_then(|text| text.parse().ok());
            add(&mut partitions, &topic, needed.unwrap_or(u16::MAX), moving.get(&topic.name));
        }
    }
    Ok(partitions)
}

fn add(
    partitions: &mut Partitions,
    topic: &Topic,
    min_in_sync: u16,
    moving: Option<&BTreeMap<i32, Reassignment>>,
) {
    partitions.begin_topic(&topic.name, min_in_sync);
    for one in topic.partitions() {
        let (index, leader) = (one.index, one.leader);
        match moving.and_then(|moving| moving.get(&index)) {
            None => partitions.push(index, leader, one.replicas, one.isr),
            Some(moving) => {
                partitions.push_moving(index, leader, one.replicas, one.isr, &moving.adding);
            }
        }
    }
}

type Reassignments = BTreeMap<String, BTreeMap<i32, Reassignment>>;

async fn reassignments(cluster: &Cluster) -> Result<Reassignments, Error> {
    let mut found = Reassignments::new();
    for one in cluster.reassignments().await? {
        let moving = Reassignment { adding: one.adding, removing: one.removing };
        found.entry(one.topic).or_default().insert(one.partition, moving);
    }
    Ok(found)
}

/// Kafka's keys for the replicas whose copying is limited, on the side that is copied from and on the
/// one that copies.
const THROTTLED_REPLICAS: [&str; 2] =
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

async fn throttled(
    cluster: &Cluster,
    traces: &Traces,
) -> Result<BTreeMap<String, Throttled>, Error> {
    let wave = traces.moves.iter().flat_map(|moves| &moves.wave);
    let topics: BTreeSet<&String> = wave.map(|one| &one.topic).collect();
    let topics: Vec<String> = topics.into_iter().cloned().collect();
    let mut found: BTreeMap<String, Throttled> = BTreeMap::new();
    if topics.is_empty() {
        return Ok(found);
    }
    let entries = |text: String| -> BTreeSet<String> {
        text.split(',').filter(|entry| !entry.is_empty()).map(ToOwned::to_owned).collect()
    };
    let [leader, follower] = THROTTLED_REPLICAS;
    for (topic, text) in cluster.describe_topics_config(&topics, leader).await? {
        found.entry(topic).or_default().leader = entries(text);
    }
    for (topic, text) in cluster.describe_topics_config(&topics, follower).await? {
        found.entry(topic).or_default().follower = entries(text);
    }
    Ok(found)
}

/// Brokers that are asked one by one are not waited for as long as the cluster is.
const LEAVER_TIMEOUT: Duration = Duration::from_secs(2);

/// So many of them are asked at once.
const LEAVERS_AT_ONCE: usize = 8;

/// Kafka's key for the log directories of a broker that take no new replicas (KIP-1066).
const CORDONED: &str = "cordoned.log.dirs";

/// All log directories of a broker.
const ALL: &str = "*";

async fn leavers(
    cluster: &Cluster,
    description: &ClusterDescription,
    traces: &Traces,
) -> BTreeMap<i32, Answer<Leaver>> {
    let cluster = cluster.within(LEAVER_TIMEOUT);
    let leave: Vec<i32> = traces.drain.iter().flat_map(|drain| drain.brokers.clone()).collect();
    let asked = iter(leave).map(|id| answer_of(description, id, leaver(&cluster, id)));
    asked.buffer_unordered(LEAVERS_AT_ONCE).filter_map(ready).collect().await
}

/// What lies on the disks of the broker that gives some away.
async fn folders(
    cluster: &Cluster,
    description: &ClusterDescription,
    traces: &Traces,
) -> BTreeMap<i32, Answer<Folders>> {
    let cluster = cluster.within(LEAVER_TIMEOUT);
    let Some(id) = traces.disks.as_ref().map(|memory| memory.broker) else {
        return BTreeMap::new();
    };
    answer_of(description, id, folders_of(&cluster, id)).await.into_iter().collect()
}

/// What a broker answers; nothing where Kafka does not know it.
async fn answer_of<T>(
    description: &ClusterDescription,
    id: i32,
    question: impl Future<Output = Result<T, Error>>,
) -> Option<(i32, Answer<T>)> {
    let node = description.nodes.iter().find(|node| node.id == id)?;
    if node.fenced != Some(false) {
        return Some((id, Answer::Unknown { reason: "it is not alive".to_owned() }));
    }
    let unknown = |error: Error| Answer::Unknown { reason: error_chain(&error) };
    Some((id, question.await.map_or_else(unknown, Answer::Known)))
}

async fn folders_of(cluster: &Cluster, id: i32) -> Result<Folders, Error> {
    // Before the folders, as of a broker that leaves.
    let cordoned = cordoned(cluster, id).await?;
    let mut folders = Folders { cordoned, ..Folders::default() };
    for dir in cluster.describe_log_dirs(id).await? {
        let Some(volume) = volume_of(&dir.path) else { continue };
        folders.by_volume.insert(volume.to_owned(), folder(&dir));
    }
    Ok(folders)
}

fn folder(dir: &LogDir) -> Folder {
    let bytes = |told: Option<i64>| told.and_then(|told| told.try_into().ok()).unwrap_or_default();
    let mut folder = Folder {
        offline: dir.error.is_some(),
        total_bytes: bytes(dir.total_bytes),
        usable_bytes: bytes(dir.usable_bytes),
        ..Folder::default()
    };
    for replica in &dir.replicas {
        let (topic, partition) = (replica.topic.clone(), replica.partition);
        let replicas = if replica.is_future { &mut folder.arriving } else { &mut folder.replicas };
        let size = bytes(Some(replica.size_bytes));
        replicas.entry(topic).or_default().insert(partition, size);
    }
    folder
}

/// Folders of a broker that take no new replicas, or Kafka's word for all of them.
async fn cordoned(cluster: &Cluster, broker: i32) -> Result<BTreeSet<String>, Error> {
    let text = cluster.describe_config_key(&ConfigResource::Node(broker), CORDONED).await?;
    let folders = text.iter().flat_map(|text| text.split(',')).filter(|one| !one.is_empty());
    Ok(folders.map(ToOwned::to_owned).collect())
}

async fn leaver(cluster: &Cluster, id: i32) -> Result<Leaver, Error> {
    // Before the folders: what is seen empty then was empty while it took nothing new.
    let cordoned = cordoned(cluster, id).await? == BTreeSet::from([ALL.to_owned()]);
    let mut leaver = Leaver { cordoned, ..Leaver::default() };
    let dirs = cluster.describe_log_dirs(id).await?;
    leaver.offline = dirs.iter().any(|dir| dir.error.is_some());
    for replica in dirs.into_iter().flat_map(|dir| dir.replicas) {
        let bytes = u64::try_from(replica.size_bytes).unwrap_or_default();
        leaver.stored.entry(replica.topic).or_default().insert(replica.partition, bytes);
    }
    Ok(leaver)
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
        let seen = |all: &[QuorumReplica], is: fn(&Voter) -> bool| -> Vec<i32> {
            let quorum = Quorum {
                leader_id: Some(0),
                leader_epoch: 1,
                high_watermark: 0,
                voters: all.to_vec(),
                observers: Vec::new(),
                nodes: Vec::new(),
            };
            voters(&quorum, all).filter(|(_, voter)| is(voter)).map(|(id, _)| id).collect()
        };
        let now = 1_000_000;
        let all = [voter(0, Some(now)), voter(1, Some(now - 900)), voter(2, Some(now - 20_000))];
        assert_eq!(seen(&all, Voter::is_silent), [2]);
        assert_eq!(seen(&all, Voter::is_caught_up), [0, 1]);
        assert_eq!(seen(&[voter(0, Some(now)), voter(1, None)], Voter::is_silent), [1]);
    }
}
