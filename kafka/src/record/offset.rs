//! Where a partition begins and ends, and what was written when.

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::Isolation;
use crate::admin::{server_timeout_milliseconds, wire};
use crate::call::{Refusal, call, refused};
use crate::cluster::{Asked, Target};
use crate::{Cluster, Error};

/// The first version with a time limit of Kafka's own.
const TIMEOUTS: i16 = 10;

call!(ListOffsetsRequest => ListOffsetsResponse, ListOffsets from 6, repeatable: true, refusal_of);

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetAt {
    /// The oldest that is kept.
    Earliest,
    /// The one behind the last record that may be seen.
    Latest,
    /// The first written at this time or later, in milliseconds since 1970.
    Milliseconds(i64),
}

impl Cluster {
    /// An offset of a partition; `None` where nothing was written at the time asked for or later.
    ///
    /// # Errors
    /// When the leader does not answer in time, or there is no such partition.
    pub async fn offset(
        &self,
        topic: &str,
        partition: i32,
        at: OffsetAt,
        isolation: Isolation,
    ) -> Result<Option<i64>, Error> {
        let timeout = server_timeout_milliseconds(self.request_timeout());
        let build = |asked: &Asked| {
            let mut request = request(topic, partition, at, isolation);
            if asked.version >= TIMEOUTS {
                request.timeout_ms = timeout;
            }
            request
        };
        let answer = self.ask(Target::Leader(topic, partition), build).await?;
        let found = only_partition(&answer.response)
            .ok_or_else(|| answer.incomplete::<ListOffsetsRequest>("the partition"))?;
        Ok((found.offset >= 0).then_some(found.offset))
    }
}

fn request(topic: &str, partition: i32, at: OffsetAt, isolation: Isolation) -> ListOffsetsRequest {
    let timestamp = match at {
        OffsetAt::Earliest => -2,
        OffsetAt::Latest => -1,
        OffsetAt::Milliseconds(milliseconds) => milliseconds,
    };
    let asked =
        ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
    let of = ListOffsetsTopic::default().with_name(wire(topic).into()).with_partitions(vec![asked]);
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation.to_wire())
        .with_topics(vec![of])
}

fn only_partition(answer: &ListOffsetsResponse) -> Option<&ListOffsetsPartitionResponse> {
    answer.topics.first()?.partitions.first()
}

fn refusal_of(answer: &ListOffsetsResponse) -> Option<Refusal> {
    refused(only_partition(answer)?.error_code, None)
}
