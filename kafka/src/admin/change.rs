//! Changes of topics: create, delete, add partitions. Sent again only where Kafka said that it did
//! nothing; where an answer was lost, look with [`Cluster::describe_topics`].

use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};

use super::{server_timeout_milliseconds, wire};
use crate::call::{call, misrouted};
use crate::cluster::Target;
use crate::{Cluster, Error, Uuid};

call!(CreateTopicsRequest => CreateTopicsResponse, CreateTopics from 5, repeatable: false,
    |answer| misrouted(answer.topics.iter().map(|topic| topic.error_code)));
call!(DeleteTopicsRequest => DeleteTopicsResponse, DeleteTopics from 6, repeatable: false,
    |answer| misrouted(answer.responses.iter().map(|topic| topic.error_code)));
call!(CreatePartitionsRequest => CreatePartitionsResponse, CreatePartitions from 2,
    repeatable: false, |answer| misrouted(answer.results.iter().map(|topic| topic.error_code)));

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions and where they go.
    pub partitions: NewPartitions,
    /// Its configuration, apart from the cluster's defaults.
    pub config: BTreeMap<String, String>,
}

/// The partitions of a topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPartitions {
    /// Kafka places so many partitions of so many replicas; `None` takes the cluster's default.
    Counted {
        /// How many partitions.
        partitions: Option<i32>,
        /// How many replicas of each.
        replication_factor: Option<i16>,
    },
    /// The brokers of each partition, in order, the preferred leader first.
    Placed(Vec<Vec<i32>>),
}

/// A topic that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// Its id; [`Uuid::ZERO`] when it was only validated, and from nodes that do not tell.
    pub id: Uuid,
}

impl Cluster {
    /// Creates topics, or only checks whether it could. The answers are in the order of `topics`.
    ///
    /// # Errors
    /// The outer error when no answer came, an inner one for a topic that was refused.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<Result<CreatedTopic, Error>>, Error> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(creatable).collect())
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()))
            .with_validate_only(validate_only);
        let answer = self.ask(Target::Controller, |_| request.clone()).await?;
        let created = topics.iter().map(|topic| {
            let found = answer.response.topics.iter().find(|one| *one.name == *topic.name);
            let one = found
                .ok_or_else(|| answer.incomplete::<CreateTopicsRequest>("a topic's outcome"))?;
            let subject = format!("topic {}", topic.name);
            let message = one.error_message.as_deref();
            answer.item::<CreateTopicsRequest>(&subject, one.error_code, message)?;
            Ok(CreatedTopic { name: topic.name.clone(), id: Uuid::from_wire(one.topic_id) })
        });
        Ok(created.collect())
    }

    /// Deletes topics by id, so that a topic created anew under the same name is safe. The answers
    /// are in the order of `ids`.
    ///
    /// # Errors
    /// The outer error when no answer came, an inner one for a topic that was refused; not found
    /// when there is none.
    pub async fn delete_topics(&self, ids: &[Uuid]) -> Result<Vec<Result<(), Error>>, Error> {
        let states = ids
            .iter()
            .map(|id| DeleteTopicState::default().with_name(None).with_topic_id(id.to_wire()));
        let request = DeleteTopicsRequest::default()
            .with_topics(states.collect())
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()));
        let answer = self.ask(Target::Controller, |_| request.clone()).await?;
        let deleted = ids.iter().map(|id| {
            let found = answer.response.responses.iter().find(|one| one.topic_id == id.to_wire());
            let one = found
                .ok_or_else(|| answer.incomplete::<DeleteTopicsRequest>("a topic's outcome"))?;
            let message = one.error_message.as_deref();
            answer.item::<DeleteTopicsRequest>(&format!("topic id {id}"), one.error_code, message)
        });
        Ok(deleted.collect())
    }

    /// Raises topics to so many partitions in all. The answers are in the order of `topics`.
    ///
    /// # Errors
    /// The outer error when no answer came, an inner one for a topic that was refused.
    pub async fn create_partitions(
        &self,
        topics: &[(String, i32)],
        validate_only: bool,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let wished = topics.iter().map(|(name, count)| {
            CreatePartitionsTopic::default()
                .with_name(wire(name).into())
                .with_count(*count)
                .with_assignments(None)
        });
        let request = CreatePartitionsRequest::default()
            .with_topics(wished.collect())
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()))
            .with_validate_only(validate_only);
        let answer = self.ask(Target::Controller, |_| request.clone()).await?;
        let raised = topics.iter().map(|(name, _)| {
            let found = answer.response.results.iter().find(|one| **one.name == **name);
            let one = found
                .ok_or_else(|| answer.incomplete::<CreatePartitionsRequest>("a topic's outcome"))?;
            let message = one.error_message.as_deref();
            answer.item::<CreatePartitionsRequest>(
                &format!("topic {name}"),
                one.error_code,
                message,
            )
        });
        Ok(raised.collect())
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = topic.config.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(wire(name)).with_value(Some(wire(value)))
    });
    let wished = CreatableTopic::default()
        .with_name(wire(&topic.name).into())
        .with_configs(config.collect());
    match &topic.partitions {
        NewPartitions::Counted { partitions, replication_factor } => wished
            .with_num_partitions(partitions.unwrap_or(-1))
            .with_replication_factor(replication_factor.unwrap_or(-1)),
        NewPartitions::Placed(placed) => {
            let assignments = (0_i32..).zip(placed).map(|(index, brokers)| {
                CreatableReplicaAssignment::default()
                    .with_partition_index(index)
                    .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
            });
            wished
                .with_num_partitions(-1)
                .with_replication_factor(-1)
                .with_assignments(assignments.collect())
        }
    }
}
