//! Which version of a call is spoken.

use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::{ApiKey, DescribeTopicPartitionsRequest};
use ottla_kafka::{Class, Error, ErrorCode};

use crate::answers::quorum;
use crate::peer::{Peer, Reply, client};
use crate::topics;

#[tokio::test]
async fn the_highest_common_version_is_spoken() {
    for (offered, spoken) in [(0, 0), (1, 1), (99, 2)] {
        let peer = Peer::start(move |asked| match asked.key {
            ApiKey::ApiVersions => asked.offer(&[(ApiKey::DescribeQuorum, offered)]),
            _ => {
                assert_eq!(asked.version, spoken);
                asked.answer(&quorum())
            }
        })
        .await;
        client(&[&peer]).describe_quorum().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_not_offered_is_not_sent() {
    let peer = Peer::start(|asked| asked.offer(&[(ApiKey::Metadata, 9)])).await;
    let error = client(&[&peer]).describe_quorum().await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { call: "DescribeQuorum", .. }), "{error}");
    assert_eq!(error.class(), Class::Fatal);
    assert_eq!((peer.calls().len(), peer.negotiations()), (0, 1));
}

#[tokio::test]
async fn an_older_node_is_asked_for_its_versions_again() {
    let peer = Peer::start(|asked| match (asked.key, asked.version) {
        (ApiKey::ApiVersions, 4) => {
            // A node that does not know the version answers in version 0.
            let range = ApiVersion::default().with_api_key(18).with_max_version(3);
            let answer = ApiVersionsResponse::default()
                .with_error_code(ErrorCode::UNSUPPORTED_VERSION.number())
                .with_api_keys(vec![range]);
            Reply::Frame(asked.encode(&answer, 0))
        }
        (ApiKey::ApiVersions, _) => asked.offer(&[(ApiKey::DescribeQuorum, 0)]),
        _ => asked.answer(&quorum()),
    })
    .await;
    client(&[&peer]).describe_quorum().await.unwrap();
    assert_eq!(peer.negotiations(), 2);
}

#[tokio::test]
async fn topics_of_an_older_node_come_from_its_metadata() {
    let peer = Peer::start(|asked| match asked.key {
        ApiKey::ApiVersions => asked.offer(&[(ApiKey::Metadata, 12)]),
        _ => asked.answer(&topics::metadata("orders", 3)),
    })
    .await;
    let found = client(&[&peer]).topics().await.unwrap();
    assert_eq!((found.len(), found[0].partition_count()), (1, 3));
    assert_eq!(peer.calls(), [ApiKey::Metadata]);
}

#[tokio::test]
async fn a_topic_that_spans_pages_is_put_together() {
    let peer = Peer::start(|asked| match (asked.key, asked.before) {
        (ApiKey::ApiVersions, _) => asked.offer(&[(ApiKey::DescribeTopicPartitions, 0)]),
        (_, 0) => asked.answer(&topics::page(&[("a", 0..1), ("b", 0..2)], Some(("b", 2)))),
        (_, _) => {
            let request: DescribeTopicPartitionsRequest = asked.body();
            let names: Vec<_> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
            let cursor = request.cursor.unwrap();
            let cursor = (cursor.topic_name.as_str(), cursor.partition_index);
            assert_eq!((names, cursor), (vec!["b", "c"], ("b", 2)));
            asked.answer(&topics::page(&[("b", 2..4), ("c", 0..1)], None))
        }
    })
    .await;
    let names = ["c", "b", "a"].map(str::to_owned);
    let found = client(&[&peer]).describe_topics(&names).await.unwrap();
    let counts: Vec<_> =
        found.iter().map(|topic| (topic.name.as_str(), topic.partition_count())).collect();
    assert_eq!(counts, [("a", 1), ("b", 4), ("c", 1)]);
    let indexes: Vec<_> = found[1].partitions().map(|one| one.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
}
