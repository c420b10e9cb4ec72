//! Reassignments of partitions to brokers: those under way, and changes of them (KIP-455).

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId,
    ListPartitionReassignmentsRequest,
};

use super::{server_timeout_milliseconds, wire};
use crate::call::{Refusal, call, misrouted, refused};
use crate::cluster::Target;
use crate::{Cluster, Error, ErrorCode};

// Version 1 is the first that can be told to keep the number of replicas (KIP-860).
call!(AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse,
    AlterPartitionReassignments from 1, repeatable: true, refusal_of);
call!(ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    ListPartitionReassignments from 0, repeatable: true,
    |answer| refused(answer.error_code, answer.error_message.as_deref()));

/// A partition that is on its way to other brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// All brokers that hold it, those that it comes to and those that it leaves included.
    pub replicas: Vec<i32>,
    /// Those that it comes to.
    pub adding: Vec<i32>,
    /// Those that it leaves.
    pub removing: Vec<i32>,
}

/// What becomes of a partition's reassignment: the brokers that are to hold it, the preferred leader
/// first, or `None` where what is under way is cancelled.
pub type Wish = Option<Vec<i32>>;

/// A partition whose reassignment was refused.
#[derive(Debug)]
pub struct NotReassigned {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Why.
    pub error: Error,
}

impl Cluster {
    /// Every reassignment under way.
    ///
    /// # Errors
    /// When no answer came in time.
    pub async fn reassignments(&self) -> Result<Vec<Reassignment>, Error> {
        let request = ListPartitionReassignmentsRequest::default()
            .with_topics(None)
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()));
        let answer = self.ask(Target::Controller, |_| request.clone()).await?;
        let topics = answer.response.topics.iter();
        let found = topics.flat_map(|topic| {
            topic.partitions.iter().map(|one| under_way(topic.name.as_str(), one))
        });
        Ok(found.collect())
    }

    /// Begins reassignments, changes or cancels them, by topic and partition, and returns those that
    /// were refused. Kafka refuses to cancel where nothing is under way, which is no failure. Unless
    /// `may_change_count` says so, Kafka refuses another number of replicas than there is.
    ///
    /// # Errors
    /// When no answer came in time.
    pub async fn reassign(
        &self,
        wishes: &BTreeMap<String, BTreeMap<i32, Wish>>,
        may_change_count: bool,
    ) -> Result<Vec<NotReassigned>, Error> {
        let request = AlterPartitionReassignmentsRequest::default()
            .with_topics(wishes.iter().map(|(name, wishes)| topic(name, wishes)).collect())
            .with_allow_replication_factor_change(may_change_count)
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()));
        let answer = self.ask(Target::Controller, |_| request.clone()).await?;
        let topics = answer.response.responses.iter();
        let results =
            topics.flat_map(|topic| topic.partitions.iter().map(move |one| (&topic.name, one)));
        let failed = results.filter_map(|(topic, one)| {
            if ErrorCode::new(one.error_code) == ErrorCode::NO_REASSIGNMENT_IN_PROGRESS {
                return None;
            }
            let (topic, partition) = (topic.to_string(), one.partition_index);
            let subject = format!("partition {topic}-{partition}");
            let message = one.error_message.as_deref();
            let item = answer.item::<AlterPartitionReassignmentsRequest>(
                &subject,
                one.error_code,
                message,
            );
            Some(NotReassigned { topic, partition, error: item.err()? })
        });
        Ok(failed.collect())
    }
}

fn topic(name: &str, wishes: &BTreeMap<i32, Wish>) -> ReassignableTopic {
    let partitions = wishes.iter().map(|(index, replicas)| {
        let replicas = replicas.as_ref().map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
        ReassignablePartition::default().with_partition_index(*index).with_replicas(replicas)
    });
    ReassignableTopic::default().with_name(wire(name).into()).with_partitions(partitions.collect())
}

fn under_way(topic: &str, one: &OngoingPartitionReassignment) -> Reassignment {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(|id| id.0).collect();
    Reassignment {
        topic: topic.to_owned(),
        partition: one.partition_index,
        replicas: ids(&one.replicas),
        adding: ids(&one.adding_replicas),
        removing: ids(&one.removing_replicas),
    }
}

fn refusal_of(answer: &AlterPartitionReassignmentsResponse) -> Option<Refusal> {
    let topics = answer.responses.iter();
    let codes = topics.flat_map(|topic| topic.partitions.iter().map(|one| one.error_code));
    refused(answer.error_code, answer.error_message.as_deref()).or_else(|| misrouted(codes))
}
