//! The metadata quorum: who leads, who votes, who observes, and how far each has come.

use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_quorum_response::{
    Node, PartitionData as Described, ReplicaState,
};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::{id_or_none, wire};
use crate::call::{Refusal, call, refused};
use crate::cluster::Target;
use crate::{Cluster, Endpoint, Error, Uuid};

/// The topic that Kafka keeps its metadata in; it has the one partition 0.
const METADATA_TOPIC: &str = "__cluster_metadata";

call!(DescribeQuorumRequest => DescribeQuorumResponse, DescribeQuorum from 0, repeatable: true,
    refusal_of);

/// The metadata quorum, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The leader, which is the active controller.
    pub leader_id: Option<i32>,
    /// How often a leader was elected.
    pub leader_epoch: i32,
    /// The offset up to which a majority of the voters has everything.
    pub high_watermark: i64,
    /// Controllers that vote, by id.
    pub voters: Vec<QuorumReplica>,
    /// Brokers, and controllers that do not vote, by id.
    pub observers: Vec<QuorumReplica>,
    /// Where voters can be reached; empty from nodes that do not tell.
    pub nodes: Vec<QuorumNode>,
}

/// One replica of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Kafka's `node.id`.
    pub id: i32,
    /// The id of its metadata directory; [`Uuid::ZERO`] from nodes that do not tell.
    pub directory_id: Uuid,
    /// The offset behind its last record; `None` while the leader has not heard of it.
    pub log_end_offset: Option<i64>,
    /// When it last fetched from the leader, in milliseconds since 1970 by the leader's clock.
    pub last_fetch_milliseconds: Option<i64>,
    /// When it last had everything that the leader had, likewise.
    pub last_caught_up_milliseconds: Option<i64>,
}

/// The addresses of a voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumNode {
    /// Kafka's `node.id`.
    pub id: i32,
    /// Its listeners by name.
    pub listeners: Vec<(String, Endpoint)>,
}

impl Cluster {
    /// The state of the metadata quorum.
    ///
    /// # Errors
    /// When the leader cannot be reached in time, also because there is none.
    pub async fn describe_quorum(&self) -> Result<Quorum, Error> {
        let answer = self.ask(Target::Controller, |_| request()).await?;
        let partition = only_partition(&answer.response)
            .ok_or_else(|| answer.incomplete::<DescribeQuorumRequest>("the metadata partition"))?;
        Ok(quorum(partition, &answer.response.nodes))
    }
}

fn request() -> DescribeQuorumRequest {
    let topic = TopicData::default()
        .with_topic_name(wire(METADATA_TOPIC).into())
        .with_partitions(vec![PartitionData::default()]);
    DescribeQuorumRequest::default().with_topics(vec![topic])
}

fn only_partition(answer: &DescribeQuorumResponse) -> Option<&Described> {
    answer.topics.first()?.partitions.first()
}

fn refusal_of(answer: &DescribeQuorumResponse) -> Option<Refusal> {
    refused(answer.error_code, answer.error_message.as_deref()).or_else(|| {
        let partition = only_partition(answer)?;
        refused(partition.error_code, partition.error_message.as_deref())
    })
}

fn quorum(partition: &Described, nodes: &[Node]) -> Quorum {
    Quorum {
        leader_id: id_or_none(partition.leader_id.0),
        leader_epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: replicas(&partition.current_voters),
        observers: replicas(&partition.observers),
        nodes: nodes.iter().map(node).collect(),
    }
}

fn replicas(states: &[ReplicaState]) -> Vec<QuorumReplica> {
    let known = |number: i64| (number >= 0).then_some(number);
    let replicas = states.iter().map(|state| QuorumReplica {
        id: state.replica_id.0,
        directory_id: Uuid::from_wire(state.replica_directory_id),
        log_end_offset: known(state.log_end_offset),
        last_fetch_milliseconds: known(state.last_fetch_timestamp),
        last_caught_up_milliseconds: known(state.last_caught_up_timestamp),
    });
    let mut replicas: Vec<_> = replicas.collect();
    replicas.sort_by_key(|replica| replica.id);
    replicas
}

fn node(node: &Node) -> QuorumNode {
    let listeners = node.listeners.iter().map(|listener| {
        (listener.name.to_string(), Endpoint::new(listener.host.to_string(), listener.port))
    });
    QuorumNode { id: node.node_id.0, listeners: listeners.collect() }
}
