//! Answers about topics.

use std::ops::Range;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::protocol::StrBytes;

fn named(name: &str) -> TopicName {
    StrBytes::from_string(name.to_owned()).into()
}

/// A topic of so many partitions, all led by node 1.
pub(crate) fn metadata(name: &str, partitions: i32) -> MetadataResponse {
    let partitions = (0..partitions).map(|index| {
        MetadataResponsePartition::default().with_partition_index(index).with_leader_id(1.into())
    });
    let topic = MetadataResponseTopic::default()
        .with_name(Some(named(name)))
        .with_topic_id(uuid::Uuid::from_bytes([5; 16]))
        .with_partitions(partitions.collect());
    MetadataResponse::default().with_topics(vec![topic])
}

/// A page with these partitions of these topics, and where the next one begins.
pub(crate) fn page(
    topics: &[(&str, Range<i32>)],
    next: Option<(&str, i32)>,
) -> DescribeTopicPartitionsResponse {
    let topics = topics.iter().map(|(name, indexes)| {
        let partitions = indexes.clone().map(|index| {
            DescribeTopicPartitionsResponsePartition::default().with_partition_index(index)
        });
        DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(named(name)))
            .with_partitions(partitions.collect())
    });
    let next = next.map(|(name, index)| {
        Cursor::default().with_topic_name(named(name)).with_partition_index(index)
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect()).with_next_cursor(next)
}
