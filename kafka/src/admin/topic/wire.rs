//! Between [`Topic`] and the two calls that describe topics.

use kafka_protocol::messages::describe_topic_partitions_request::{
    Cursor as AskedCursor, TopicRequest,
};
use kafka_protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, MetadataRequest,
    MetadataResponse, TopicName,
};

use super::super::{id_or_none, wire};
use super::{Partition, Topic};
use crate::cluster::Answer;
use crate::{Error, ErrorCode, Uuid};

/// The first version of Metadata whose topics have ids, where a topic may be asked for by either.
const TOPIC_IDS: i16 = 10;

/// Where the next page starts.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    topic: String,
    partition: i32,
}

pub(super) fn partitions_request(
    names: &[String],
    partitions_max: i32,
    cursor: Option<&Cursor>,
) -> DescribeTopicPartitionsRequest {
    let mut names: Vec<_> = names.iter().collect();
    // Kafka goes through the names in order and starts at the cursor's.
    names.sort();
    names.dedup();
    let topics = names
        .into_iter()
        .filter(|name| cursor.is_none_or(|cursor| name.as_str() >= cursor.topic.as_str()));
    let topics = topics.map(|name| TopicRequest::default().with_name(wire(name).into()));
    DescribeTopicPartitionsRequest::default()
        .with_topics(topics.collect())
        .with_response_partition_limit(partitions_max)
        .with_cursor(cursor.map(|cursor| {
            AskedCursor::default()
                .with_topic_name(wire(&cursor.topic).into())
                .with_partition_index(cursor.partition)
        }))
}

pub(super) fn partitions_page(
    answer: Answer<DescribeTopicPartitionsResponse>,
) -> Result<(Vec<Topic>, Option<Cursor>), Error> {
    let mut topics = Vec::with_capacity(answer.response.topics.len());
    for topic in &answer.response.topics {
        let described = || described_topic(topic);
        topics.extend(if_visible(&answer, topic.name.as_ref(), topic.error_code, described)?);
    }
    let next = answer.response.next_cursor.as_ref().map(|cursor| Cursor {
        topic: cursor.topic_name.to_string(),
        partition: cursor.partition_index,
    });
    Ok((topics, next))
}

pub(crate) fn metadata_request(names: &[String], version: i16) -> MetadataRequest {
    let topics =
        names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(wire(name).into())));
    let topics: Vec<_> = topics.collect();
    let mut request = MetadataRequest::default()
        .with_topics((!topics.is_empty()).then_some(topics))
        .with_allow_auto_topic_creation(false);
    if version > TOPIC_IDS {
        request.include_cluster_authorized_operations = false;
    }
    request
}

pub(crate) fn metadata_topics(answer: Answer<MetadataResponse>) -> Result<Vec<Topic>, Error> {
    let mut topics = Vec::with_capacity(answer.response.topics.len());
    for topic in &answer.response.topics {
        let described = || metadata_topic(topic);
        topics.extend(if_visible(&answer, topic.name.as_ref(), topic.error_code, described)?);
    }
    Ok(topics)
}

/// The topic, nothing where there is none of that name, or the error that hides it.
fn if_visible<R>(
    answer: &Answer<R>,
    name: Option<&TopicName>,
    code: i16,
    described: impl FnOnce() -> Topic,
) -> Result<Option<Topic>, Error> {
    match ErrorCode::new(code) {
        ErrorCode::NONE => Ok(Some(described())),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Ok(None),
        code => Err(Error::Refused {
            call: "DescribeTopics",
            peer: answer.peer.clone(),
            subject: format!("topic {}", name.map_or("", |name| name.as_str())),
            code,
            message: None,
        }),
    }
}

fn described_topic(topic: &DescribeTopicPartitionsResponseTopic) -> Topic {
    let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
    let mut packed = Topic::new(name, Uuid::from_wire(topic.topic_id), topic.is_internal);
    let mut lists = Lists::default();
    for partition in &topic.partitions {
        packed.push(lists.of_described(partition));
    }
    packed.seal();
    packed
}

fn metadata_topic(topic: &MetadataResponseTopic) -> Topic {
    let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
    let mut packed = Topic::new(name, Uuid::from_wire(topic.topic_id), topic.is_internal);
    let mut lists = Lists::default();
    for partition in &topic.partitions {
        packed.push(lists.of_metadata(partition));
    }
    packed.seal();
    packed
}

/// Lists of plain ids, reused from partition to partition.
#[derive(Default)]
struct Lists([Vec<i32>; 5]);

impl Lists {
    fn of_described(&mut self, one: &DescribeTopicPartitionsResponsePartition) -> Partition<'_> {
        let none = Vec::new();
        self.fill([
            &one.replica_nodes,
            &one.isr_nodes,
            one.eligible_leader_replicas.as_ref().unwrap_or(&none),
            one.last_known_elr.as_ref().unwrap_or(&none),
            &one.offline_replicas,
        ]);
        self.partition(one.partition_index, one.leader_id, one.leader_epoch)
    }

    fn of_metadata(&mut self, one: &MetadataResponsePartition) -> Partition<'_> {
        let none = Vec::new();
        self.fill([&one.replica_nodes, &one.isr_nodes, &none, &none, &one.offline_replicas]);
        self.partition(one.partition_index, one.leader_id, one.leader_epoch)
    }

    fn fill(&mut self, from: [&Vec<BrokerId>; 5]) {
        for (list, ids) in self.0.iter_mut().zip(from) {
            list.clear();
            list.extend(ids.iter().map(|id| id.0));
        }
    }

    fn partition(&self, index: i32, leader: BrokerId, leader_epoch: i32) -> Partition<'_> {
        let [replicas, isr, elr, last_known_elr, offline] = &self.0;
        let leader = id_or_none(leader.0);
        Partition { index, leader, leader_epoch, replicas, isr, elr, last_known_elr, offline }
    }
}
