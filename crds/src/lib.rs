//! Every serialized type of Ottla that somebody else sees: custom resources, and the documents
//! that the operator and the agents exchange.

#![allow(
    unreachable_pub,
    reason = "KubeSchema repeats each struct inside a function, where pub cannot be reached"
)]

pub mod agent;
pub mod kafka_cluster;
pub mod manifest;

pub use kafka_cluster::{KafkaCluster, KafkaClusterSpec};
