//! Answers as a healthy cluster gives them.

use kafka_protocol::messages::create_topics_response::{
    CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use kafka_protocol::messages::describe_quorum_response::{
    DescribeQuorumResponse, PartitionData, TopicData,
};
use kafka_protocol::messages::unregister_broker_response::UnregisterBrokerResponse;
use kafka_protocol::protocol::StrBytes;
use ottla_kafka::{Endpoint, ErrorCode};

/// A quorum led by node 1.
pub(crate) fn quorum() -> DescribeQuorumResponse {
    let partition = PartitionData::default().with_leader_id(1.into());
    let topic = TopicData::default().with_partitions(vec![partition]);
    DescribeQuorumResponse::default().with_topics(vec![topic])
}

pub(crate) fn quorum_refused(code: ErrorCode) -> DescribeQuorumResponse {
    DescribeQuorumResponse::default().with_error_code(code.number())
}

pub(crate) fn unregistered() -> UnregisterBrokerResponse {
    UnregisterBrokerResponse::default()
}

/// Nodes numbered from 1 on, one of which is the active controller.
pub(crate) fn nodes(endpoints: &[Endpoint], controller: i32) -> DescribeClusterResponse {
    let nodes = (1..).zip(endpoints).map(|(id, endpoint)| {
        DescribeClusterBroker::default()
            .with_broker_id(id.into())
            .with_host(StrBytes::from_string(endpoint.host.clone()))
            .with_port(endpoint.port.into())
    });
    DescribeClusterResponse::default()
        .with_endpoint_type(2)
        .with_controller_id(controller.into())
        .with_brokers(nodes.collect())
}

pub(crate) fn created(name: &str, code: ErrorCode) -> CreateTopicsResponse {
    let result = CreatableTopicResult::default()
        .with_name(StrBytes::from_string(name.to_owned()).into())
        .with_error_code(code.number());
    CreateTopicsResponse::default().with_topics(vec![result])
}
