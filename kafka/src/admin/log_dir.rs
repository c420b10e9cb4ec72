//! The log directories of a broker, what lies in them, and how it moves from one to another (KIP-113).

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, DescribeLogDirsRequest};

use super::wire;
use crate::call::{call, misrouted, refused};
use crate::cluster::Target;
use crate::{Cluster, Error, ErrorCode};

call!(DescribeLogDirsRequest => DescribeLogDirsResponse, DescribeLogDirs from 2, repeatable: true,
    |answer| refused(answer.error_code, None));
call!(AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse, AlterReplicaLogDirs from 2,
repeatable: true, |answer| {
    let topics = answer.results.iter();
    misrouted(topics.flat_map(|topic| topic.partitions.iter().map(|one| one.error_code)))
});

/// A replica that a broker refused to move to another of its directories.
#[derive(Debug)]
pub struct NotMoved {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Why.
    pub error: Error,
}

/// One log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// Why it cannot be used, such as `KAFKA_STORAGE_ERROR` for one that went offline.
    pub error: Option<ErrorCode>,
    /// The size of its file system, from nodes that tell.
    pub total_bytes: Option<i64>,
    /// What of it Kafka may still use, likewise.
    pub usable_bytes: Option<i64>,
    /// The replicas in it, by topic and partition.
    pub replicas: Vec<LogDirReplica>,
}

/// A replica in a log directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogDirReplica {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The size of its segments.
    pub size_bytes: i64,
    /// How far it is behind: a future replica behind the current one, any other behind the high
    /// watermark.
    pub offset_lag: i64,
    /// Whether it is being moved here from another directory of the same broker.
    pub is_future: bool,
}

impl Cluster {
    /// The log directories of a broker, by path.
    ///
    /// # Errors
    /// When the broker does not answer in time, or there is none of this id.
    pub async fn describe_log_dirs(&self, broker_id: i32) -> Result<Vec<LogDir>, Error> {
        self.log_dirs(broker_id, DescribeLogDirsRequest::default().with_topics(None)).await
    }

    /// As [`Cluster::describe_log_dirs`], of these replicas alone, by topic and partition.
    ///
    /// # Errors
    /// When the broker does not answer in time, or there is none of this id.
    pub async fn describe_replicas(
        &self,
        broker_id: i32,
        replicas: &BTreeMap<String, Vec<i32>>,
    ) -> Result<Vec<LogDir>, Error> {
        let topics = replicas.iter().map(|(name, partitions)| {
            DescribableLogDirTopic::default()
                .with_topic(wire(name).into())
                .with_partitions(partitions.clone())
        });
        let request = DescribeLogDirsRequest::default().with_topics(Some(topics.collect()));
        self.log_dirs(broker_id, request).await
    }

    async fn log_dirs(
        &self,
        broker_id: i32,
        request: DescribeLogDirsRequest,
    ) -> Result<Vec<LogDir>, Error> {
        let answer = self.ask(Target::Node(broker_id), |_| request.clone()).await?;
        let mut dirs: Vec<_> = answer.response.results.iter().map(log_dir).collect();
        dirs.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(dirs)
    }

    /// Lets a broker move replicas to other directories of its own, by path, topic and partition, and
    /// returns those that it refused. It copies them while they are in use.
    ///
    /// # Errors
    /// When the broker does not answer in time, or there is none of this id.
    pub async fn move_replicas(
        &self,
        broker_id: i32,
        moves: &BTreeMap<String, BTreeMap<String, Vec<i32>>>,
    ) -> Result<Vec<NotMoved>, Error> {
        let dirs = moves.iter().map(|(path, topics)| to_dir(path, topics)).collect();
        let request = AlterReplicaLogDirsRequest::default().with_dirs(dirs);
        let answer = self.ask(Target::Node(broker_id), |_| request.clone()).await?;
        let topics = answer.response.results.iter();
        let results = topics
            .flat_map(|topic| topic.partitions.iter().map(move |one| (&topic.topic_name, one)));
        let failed = results.filter_map(|(topic, one)| {
            let (topic, partition) = (topic.to_string(), one.partition_index);
            let subject = format!("replica {topic}-{partition}");
            let item = answer.item::<AlterReplicaLogDirsRequest>(&subject, one.error_code, None);
            Some(NotMoved { topic, partition, error: item.err()? })
        });
        Ok(failed.collect())
    }
}

fn to_dir(path: &str, topics: &BTreeMap<String, Vec<i32>>) -> AlterReplicaLogDir {
    let topics = topics.iter().map(|(name, partitions)| {
        AlterReplicaLogDirTopic::default()
            .with_name(wire(name).into())
            .with_partitions(partitions.clone())
    });
    AlterReplicaLogDir::default().with_path(wire(path)).with_topics(topics.collect())
}

fn log_dir(result: &DescribeLogDirsResult) -> LogDir {
    let told = |bytes: i64| (bytes >= 0).then_some(bytes);
    let mut replicas: Vec<_> = result.topics.iter().flat_map(replicas_of).collect();
    replicas.sort();
    LogDir {
        path: result.log_dir.to_string(),
        error: refused(result.error_code, None).map(|(code, _)| code),
        total_bytes: told(result.total_bytes),
        usable_bytes: told(result.usable_bytes),
        replicas,
    }
}

fn replicas_of(topic: &DescribeLogDirsTopic) -> impl Iterator<Item = LogDirReplica> {
    topic.partitions.iter().map(|one| LogDirReplica {
        topic: topic.name.to_string(),
        partition: one.partition_index,
        size_bytes: one.partition_size,
        offset_lag: one.offset_lag,
        is_future: one.is_future_key,
    })
}
