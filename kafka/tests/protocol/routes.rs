//! Who is asked: the active controller, the leader of a partition, and who comes after them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_kafka::{
    Class, Cluster, Endpoint, Error, ErrorCode, Isolation, NewPartitions, NewTopic, OffsetAt,
    Security,
};

use crate::answers::{created, nodes};
use crate::peer::{Asked, Peer, Reply, client, options};
use crate::topics;

/// What stand-ins answer with that name each other.
type Endpoints = Arc<OnceLock<Vec<Endpoint>>>;

fn new_topic() -> [NewTopic; 1] {
    let partitions = NewPartitions::Counted { partitions: None, replication_factor: None };
    [NewTopic { name: "orders".to_owned(), partitions, config: BTreeMap::new() }]
}

fn offered(asked: &Asked) -> Reply {
    asked.offer(&[
        (ApiKey::DescribeCluster, 2),
        (ApiKey::CreateTopics, 7),
        (ApiKey::Metadata, 12),
        (ApiKey::ListOffsets, 9),
    ])
}

/// Two controllers. The first believes to be active when first asked, and then knows better.
async fn two_controllers() -> (Peer, Peer) {
    let endpoints = Endpoints::default();
    let known = Arc::clone(&endpoints);
    let first = Peer::start(move |asked| match (asked.key, asked.before) {
        (ApiKey::ApiVersions, _) => offered(asked),
        (ApiKey::DescribeCluster, 0) => asked.answer(&nodes(known.get().unwrap(), 1)),
        (ApiKey::DescribeCluster, _) => asked.answer(&nodes(known.get().unwrap(), 2)),
        _ => asked.answer(&created("orders", ErrorCode::NOT_CONTROLLER)),
    })
    .await;
    let known = Arc::clone(&endpoints);
    let second = Peer::start(move |asked| match asked.key {
        ApiKey::ApiVersions => offered(asked),
        ApiKey::DescribeCluster => asked.answer(&nodes(known.get().unwrap(), 2)),
        _ => asked.answer(&created("orders", ErrorCode::NONE)),
    })
    .await;
    endpoints.set(vec![first.endpoint.clone(), second.endpoint.clone()]).unwrap();
    (first, second)
}

#[tokio::test]
async fn a_change_follows_the_active_controller() {
    let (first, second) = two_controllers().await;
    let bootstrap = vec![first.endpoint.clone(), second.endpoint.clone()];
    let cluster = Cluster::via_controllers(bootstrap, &Security::Plaintext, options()).unwrap();
    let outcome = cluster.create_topics(&new_topic(), false).await.unwrap();
    assert_eq!(outcome[0].as_ref().unwrap().name, "orders");
    assert!(first.calls().contains(&ApiKey::CreateTopics));
    let sent = second.calls().iter().filter(|key| **key == ApiKey::CreateTopics).count();
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_not_made_twice() {
    for reply in [|| Reply::Close, || Reply::Silence, || Reply::Raw(vec![0, 0, 0, 9, 0])] {
        let peer = Peer::start(move |asked| match asked.key {
            ApiKey::ApiVersions => offered(asked),
            _ => reply(),
        })
        .await;
        let error = client(&[&peer]).create_topics(&new_topic(), false).await.unwrap_err();
        assert!(error.is_retriable(), "the caller looks and decides: {error}");
        assert_eq!(peer.calls(), [ApiKey::CreateTopics]);
    }
}

#[tokio::test]
async fn no_active_controller_is_waited_for() {
    let endpoints = Endpoints::default();
    let known = Arc::clone(&endpoints);
    let peer = Peer::start(move |asked| match (asked.key, asked.before) {
        (ApiKey::ApiVersions, _) => offered(asked),
        (ApiKey::DescribeCluster, 0) => asked.answer(&nodes(known.get().unwrap(), -1)),
        (ApiKey::DescribeCluster, _) => asked.answer(&nodes(known.get().unwrap(), 1)),
        _ => asked.answer(&created("orders", ErrorCode::NONE)),
    })
    .await;
    endpoints.set(vec![peer.endpoint.clone()]).unwrap();
    let bootstrap = vec![peer.endpoint.clone()];
    let cluster = Cluster::via_controllers(bootstrap, &Security::Plaintext, options()).unwrap();
    assert!(cluster.create_topics(&new_topic(), false).await.unwrap()[0].is_ok());
}

fn listed(code: ErrorCode, offset: i64) -> ListOffsetsResponse {
    let partition =
        ListOffsetsPartitionResponse::default().with_error_code(code.number()).with_offset(offset);
    let topic = ListOffsetsTopicResponse::default().with_partitions(vec![partition]);
    ListOffsetsResponse::default().with_topics(vec![topic])
}

/// A broker that leads partition 0 of `orders` and answers for its offsets in this way.
async fn leader(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Peer {
    let endpoints = Endpoints::default();
    let known = Arc::clone(&endpoints);
    let peer = Peer::start(move |asked| match asked.key {
        ApiKey::ApiVersions => offered(asked),
        ApiKey::DescribeCluster => {
            let mut nodes = nodes(known.get().unwrap(), 1);
            nodes.endpoint_type = 1;
            asked.answer(&nodes)
        }
        ApiKey::Metadata => asked.answer(&topics::metadata("orders", 1)),
        _ => reply(asked),
    })
    .await;
    endpoints.set(vec![peer.endpoint.clone()]).unwrap();
    peer
}

#[tokio::test]
async fn a_leader_that_moved_is_looked_up_again() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
    ] {
        let peer = leader(move |asked| match asked.before {
            0 => asked.answer(&listed(code, -1)),
            _ => asked.answer(&listed(ErrorCode::NONE, 42)),
        })
        .await;
        let cluster = client(&[&peer]);
        let offset = cluster.offset("orders", 0, OffsetAt::Latest, Isolation::default()).await;
        assert_eq!(offset.unwrap(), Some(42));
        let lookups = peer.calls().iter().filter(|key| **key == ApiKey::Metadata).count();
        assert_eq!(lookups, 2);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_waited_for() {
    let peer = leader(|_| Reply::Silence).await;
    let cluster = client(&[&peer]);
    let offset = cluster.offset("orders", 5, OffsetAt::Latest, Isolation::default()).await;
    let error = offset.unwrap_err();
    assert_eq!(error.to_string(), "nobody can answer ListOffsets: topic orders has no partition 5");
    let error = cluster.describe_features_of(9).await.unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
    assert!(matches!(error, Error::NoRoute { .. }), "{error}");
}

#[tokio::test]
async fn deadlines_hold_for_the_whole_call() {
    let peer = leader(|asked| asked.answer(&listed(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1))).await;
    let cluster = client(&[&peer]).within(Duration::from_millis(800));
    let began = std::time::Instant::now();
    let offset = cluster.offset("orders", 0, OffsetAt::Latest, Isolation::default()).await;
    assert_eq!(offset.unwrap_err().code(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
}
