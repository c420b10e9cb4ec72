//! The log directories of a broker and what lies in them.

use kafka_protocol::messages::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsResult, DescribeLogDirsTopic,
};

use crate::call::{call, refused};
use crate::cluster::Target;
use crate::{Cluster, Error, ErrorCode};

call!(DescribeLogDirsRequest => DescribeLogDirsResponse, DescribeLogDirs from 2, repeatable: true,
    |answer| refused(answer.error_code, None));

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
        let request = DescribeLogDirsRequest::default().with_topics(None);
        let answer = self.ask(Target::Node(broker_id), |_| request.clone()).await?;
        let mut dirs: Vec<_> = answer.response.results.iter().map(log_dir).collect();
        dirs.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(dirs)
    }
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
