//! One conversation with Kafka for each call: recorded from a real node by the test `real`,
//! replayed by the test `protocol`, kept as text in `tests/frames`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use ottla_kafka::{
    Cluster, ConfigChange, ConfigOperation, ConfigResource, Elect, Endpoint, Error, FetchOptions,
    Isolation, NewPartitions, NewTopic, OffsetAt, Producer, Record, Uuid, Wish,
};

/// The port in recorded addresses; a replay puts its own in place of it.
pub(crate) const RECORDED_PORT: u16 = 19092;

/// The id of the cluster that is recorded.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// The conversations in the order in which they are recorded: later ones need what earlier ones
/// made. Each is also the name of a file.
pub(crate) const NAMES: [&str; 26] = [
    "describe_cluster",
    "describe_quorum",
    "describe_features",
    "raise_feature",
    "raise_feature_back",
    "add_voter",
    "remove_voter",
    "create_topics",
    "create_partitions",
    "describe_topics",
    "topic_pages",
    "describe_log_dirs",
    "move_replicas",
    "alter_config",
    "describe_config",
    "init_producer",
    "produce",
    "offset",
    "fetch",
    "elect_preferred_leaders",
    "reassign",
    "reassignments",
    "delete_topics",
    "unregister_broker",
    "unregister_controller",
    "describe_topics_of_none",
];

const TOPIC: &str = "orders";

/// Holds a conversation and returns its result as text.
pub(crate) async fn hold(name: &str, cluster: &Cluster) -> String {
    let topic = ConfigResource::Topic(TOPIC.to_owned());
    let retention = ConfigChange {
        name: "retention.ms".to_owned(),
        operation: ConfigOperation::Set("3600000".to_owned()),
    };
    match name {
        "describe_cluster" => text(cluster.describe_cluster().await),
        "describe_quorum" => text(cluster.describe_quorum().await),
        "describe_features" => text(cluster.describe_features().await),
        "raise_feature" => text(cluster.raise_feature("transaction.version", 2).await),
        "raise_feature_back" => text(cluster.raise_feature("transaction.version", 1).await),
        "add_voter" => {
            let endpoint = Endpoint::new("localhost", 1);
            text(
                cluster
                    .add_voter(CLUSTER, 1, Uuid::from_bytes([7; 16]), "CONTROLLER", &endpoint)
                    .await,
            )
        }
        "remove_voter" => text(cluster.remove_voter(CLUSTER, 9, Uuid::from_bytes([7; 16])).await),
        "create_topics" => text(cluster.create_topics(&new_topics(), false).await),
        "create_partitions" => {
            text(cluster.create_partitions(&[(TOPIC.to_owned(), 2)], false).await)
        }
        "describe_topics" => {
            settle().await;
            text(cluster.describe_topics(&[TOPIC.to_owned(), "absent".to_owned()]).await)
        }
        "topic_pages" => text(two_pages(cluster).await),
        "describe_log_dirs" => text(cluster.describe_log_dirs(1).await.map(without_sizes)),
        "move_replicas" => text(cluster.move_replicas(1, &to_nowhere()).await),
        "alter_config" => text(cluster.alter_config(&topic, &[retention], false).await),
        "describe_config" => {
            settle().await;
            let config = cluster.describe_config(&topic).await;
            text(config.map(|mut config| config.remove("retention.ms")))
        }
        "init_producer" => text(cluster.init_producer().await),
        "produce" => text(cluster.produce(TOPIC, 0, PRODUCER, 0, &records()).await),
        "offset" => {
            let at = OffsetAt::Milliseconds(1_700_000_000_001);
            text(cluster.offset(TOPIC, 0, at, Isolation::ReadCommitted).await)
        }
        "fetch" => text(fetched(cluster).await),
        "elect_preferred_leaders" => text(cluster.elect_preferred_leaders(&elect()).await),
        "reassign" => text(cluster.reassign(&wishes(), false).await),
        "reassignments" => text(cluster.reassignments().await),
        "delete_topics" => text(deleted(cluster).await),
        "unregister_broker" => text(cluster.unregister_broker(7).await),
        "unregister_controller" => text(cluster.unregister_controller(7).await),
        "describe_topics_of_none" => {
            settle().await;
            text(cluster.topics().await)
        }
        other => panic!("there is no conversation {other}"),
    }
}

const PRODUCER: Producer = Producer { id: 4000, epoch: 0 };

fn text<T: Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:#?}\n"),
        Err(error) => format!("error: {error}\n"),
    }
}

/// A broker learns of a change a moment after the controller made it.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

fn new_topics() -> [NewTopic; 2] {
    let config = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let counted = NewPartitions::Counted { partitions: None, replication_factor: Some(9) };
    [
        NewTopic {
            name: TOPIC.to_owned(),
            partitions: NewPartitions::Placed(vec![vec![1]]),
            config,
        },
        NewTopic { name: "greedy".to_owned(), partitions: counted, config: BTreeMap::new() },
    ]
}

/// A directory that no broker has.
fn to_nowhere() -> BTreeMap<String, BTreeMap<String, Vec<i32>>> {
    let of_topic = BTreeMap::from([(TOPIC.to_owned(), vec![0])]);
    BTreeMap::from([("/nowhere".to_owned(), of_topic)])
}

async fn two_pages(cluster: &Cluster) -> Result<Vec<usize>, Error> {
    let mut pages = cluster.topic_pages(&[]).of_at_most(1);
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await? {
        sizes.push(page.iter().map(ottla_kafka::Topic::partition_count).sum());
    }
    Ok(sizes)
}

/// The path differs from one recording to the next and says nothing.
fn without_sizes(dirs: Vec<ottla_kafka::LogDir>) -> Vec<Vec<ottla_kafka::LogDirReplica>> {
    dirs.into_iter().map(|dir| dir.replicas).collect()
}

fn records() -> Vec<Record> {
    let record = |number: i64| Record {
        timestamp_milliseconds: 1_700_000_000_000 + number,
        key: Some(Bytes::from(format!("key {number}"))),
        value: Some(Bytes::from(format!("value {number}"))),
        headers: vec![("header".to_owned(), None)],
    };
    (0..2).map(record).collect()
}

async fn fetched(cluster: &Cluster) -> Result<impl Debug, Error> {
    let fetched = cluster.fetch(TOPIC, 0, 1, &FetchOptions::default()).await?;
    Ok((fetched.high_watermark, fetched.last_stable_offset, fetched.records()))
}

fn elect() -> Elect {
    Elect::Partitions(BTreeMap::from([(TOPIC.to_owned(), vec![0, 5])]))
}

/// Nothing to change, nothing to cancel, no such partition, no such topic.
fn wishes() -> BTreeMap<String, BTreeMap<i32, Wish>> {
    let wishes = BTreeMap::from([(0, Some(vec![1])), (1, None), (5, Some(vec![1]))]);
    let absent = BTreeMap::from([(0, Some(vec![1, 7]))]);
    BTreeMap::from([(TOPIC.to_owned(), wishes), ("__none".to_owned(), absent)])
}

async fn deleted(cluster: &Cluster) -> Result<impl Debug, Error> {
    let topics = cluster.describe_topics(&[TOPIC.to_owned()]).await?;
    let ids: Vec<_> = topics.iter().map(|topic| topic.id).collect();
    let twice = cluster.delete_topics(&ids).await?;
    Ok((twice, cluster.delete_topics(&ids).await?))
}
