//! Elections of preferred leaders.

use std::collections::BTreeMap;

use kafka_protocol::messages::ElectLeadersRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;

use super::{server_timeout_milliseconds, wire};
use crate::call::{Refusal, call, misrouted, refused};
use crate::cluster::{Answer, Target};
use crate::{Cluster, Error, ErrorCode};

/// The protocol's number for an election of the preferred leader.
const PREFERRED: i8 = 0;

call!(ElectLeadersRequest => ElectLeadersResponse, ElectLeaders from 2, repeatable: true,
    refusal_of);

/// Whom to elect leaders for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elect {
    /// Each partition of the cluster.
    All,
    /// These partitions, by topic.
    Partitions(BTreeMap<String, Vec<i32>>),
}

/// A partition whose preferred replica does not lead after all.
#[derive(Debug)]
pub struct NotElected {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Why not.
    pub error: Error,
}

impl Cluster {
    /// Makes the preferred replicas lead, and returns the partitions where that did not work.
    /// Partitions that they lead already are left alone.
    ///
    /// # Errors
    /// When no answer came in time.
    pub async fn elect_preferred_leaders(&self, elect: &Elect) -> Result<Vec<NotElected>, Error> {
        let request = request(elect, server_timeout_milliseconds(self.request_timeout()));
        Ok(not_elected(&self.ask(Target::Controller, |_| request.clone()).await?))
    }
}

fn request(elect: &Elect, timeout_milliseconds: i32) -> ElectLeadersRequest {
    let partitions = match elect {
        Elect::All => None,
        Elect::Partitions(topics) => Some(topics.iter().map(|(topic, partitions)| {
            TopicPartitions::default()
                .with_topic(wire(topic).into())
                .with_partitions(partitions.clone())
        })),
    };
    ElectLeadersRequest::default()
        .with_election_type(PREFERRED)
        .with_topic_partitions(partitions.map(Iterator::collect))
        .with_timeout_ms(timeout_milliseconds)
}

fn refusal_of(answer: &kafka_protocol::messages::ElectLeadersResponse) -> Option<Refusal> {
    let topics = answer.replica_election_results.iter();
    let codes = topics.flat_map(|topic| topic.partition_result.iter().map(|one| one.error_code));
    refused(answer.error_code, None).or_else(|| misrouted(codes))
}

fn not_elected(answer: &Answer<kafka_protocol::messages::ElectLeadersResponse>) -> Vec<NotElected> {
    let topics = answer.response.replica_election_results.iter();
    let results = topics.flat_map(|topic| {
        topic.partition_result.iter().map(move |one| (topic.topic.to_string(), one))
    });
    let failed = results.filter_map(|(topic, one)| {
        if ErrorCode::new(one.error_code) == ErrorCode::ELECTION_NOT_NEEDED {
            return None;
        }
        let subject = format!("partition {topic}-{}", one.partition_id);
        let message = one.error_message.as_deref();
        let item = answer.item::<ElectLeadersRequest>(&subject, one.error_code, message);
        Some(NotElected { topic, partition: one.partition_id, error: item.err()? })
    });
    failed.collect()
}
