//! Reading one partition from an offset on.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use super::batch::{self, BadBatch, Batch};
use super::{FetchedRecord, Isolation};
use crate::admin::wire;
use crate::call::{Refusal, call, refused};
use crate::cluster::{Asked, Target};
use crate::{Cluster, Error};

/// The first version that names topics by id alone.
const TOPIC_IDS: i16 = 13;

call!(FetchRequest => FetchResponse, Fetch from 12, repeatable: true, refusal_of);

/// How much to read and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// About how many bytes; a first batch that is larger comes whole.
    pub max_bytes: i32,
    /// How long Kafka may wait for a first record. At most half of the request's own time limit
    /// is taken, so that an answer without records is not taken for none.
    pub max_wait: Duration,
    /// Which records to see.
    pub isolation: Isolation,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024,
            max_wait: Duration::from_millis(500),
            isolation: Isolation::default(),
        }
    }
}

/// What was read of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The offset that was asked for.
    pub offset: i64,
    /// The offset behind the last record that all replicas in sync have.
    pub high_watermark: i64,
    /// The offset behind the last record that belongs to no open transaction.
    pub last_stable_offset: i64,
    /// The oldest offset that is kept.
    pub log_start_offset: i64,
    /// Record batches as Kafka stores them. The first may begin before the asked offset, the last
    /// may be cut short.
    pub batches: Bytes,
    /// Aborted transactions among the batches: the producer's number and its first offset. Filled
    /// for [`Isolation::ReadCommitted`].
    pub aborted: Vec<(i64, i64)>,
}

/// The records of a [`Fetched`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecords {
    /// The records from the asked offset on, without those of aborted transactions.
    pub records: Vec<FetchedRecord>,
    /// The offset to ask for next. It can be more than one behind the last record.
    pub next_offset: i64,
}

impl Fetched {
    /// Unpacks the batches.
    ///
    /// # Errors
    /// When a batch is corrupt or compressed.
    pub fn records(&self) -> Result<FetchedRecords, BadBatch> {
        let mut input = self.batches.clone();
        let mut aborts = Aborts::new(&self.aborted);
        let mut read = FetchedRecords { records: Vec::new(), next_offset: self.offset };
        while let Some(batch) = batch::next(&mut input)? {
            read.next_offset = read.next_offset.max(batch.last_offset.saturating_add(1));
            if aborts.skip(&batch) {
                continue;
            }
            let wanted = batch.records()?.into_iter().filter(|one| one.offset >= self.offset);
            read.records.extend(wanted);
        }
        Ok(read)
    }
}

/// Which producers are inside an aborted transaction while batches are gone through in order.
struct Aborts {
    /// Transactions that begin further on: first offset and producer, the earliest last.
    ahead: Vec<(i64, i64)>,
    inside: BTreeSet<i64>,
}

impl Aborts {
    fn new(aborted: &[(i64, i64)]) -> Self {
        let mut ahead: Vec<_> = aborted.iter().map(|(id, first)| (*first, *id)).collect();
        ahead.sort_by(|left, right| right.cmp(left));
        Self { ahead, inside: BTreeSet::new() }
    }

    /// Whether the batch's records are not to be seen.
    fn skip(&mut self, batch: &Batch) -> bool {
        while let Some((first, id)) = self.ahead.last().copied()
            && first <= batch.last_offset
        {
            self.inside.insert(id);
            self.ahead.pop();
        }
        if batch.is_control() {
            self.inside.remove(&batch.producer_id);
            return true;
        }
        batch.is_transactional() && self.inside.contains(&batch.producer_id)
    }
}

impl Cluster {
    /// Reads a partition from an offset on, from its leader.
    ///
    /// # Errors
    /// When the leader does not answer in time; with the code `OFFSET_OUT_OF_RANGE` when the
    /// offset is not kept any more, or not written yet.
    pub async fn fetch(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        options: &FetchOptions,
    ) -> Result<Fetched, Error> {
        let wait = options.max_wait.min(self.request_timeout() / 2);
        let build = |asked: &Asked| request(topic, partition, offset, options, wait, asked);
        let answer = self.ask(Target::Leader(topic, partition), build).await?;
        let read = only_partition(&answer.response)
            .ok_or_else(|| answer.incomplete::<FetchRequest>("the partition"))?;
        Ok(fetched(offset, read))
    }
}

fn request(
    topic: &str,
    partition: i32,
    offset: i64,
    options: &FetchOptions,
    wait: Duration,
    asked: &Asked,
) -> FetchRequest {
    let read = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(options.max_bytes);
    let mut from = FetchTopic::default().with_partitions(vec![read]);
    if asked.version >= TOPIC_IDS {
        from.topic_id = asked.topic_id.to_wire();
    } else {
        from.topic = wire(topic).into();
    }
    FetchRequest::default()
        .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(options.max_bytes)
        .with_isolation_level(options.isolation.to_wire())
        .with_topics(vec![from])
}

fn only_partition(answer: &FetchResponse) -> Option<&PartitionData> {
    answer.responses.first()?.partitions.first()
}

fn refusal_of(answer: &FetchResponse) -> Option<Refusal> {
    refused(answer.error_code, None).or_else(|| refused(only_partition(answer)?.error_code, None))
}

fn fetched(offset: i64, read: &PartitionData) -> Fetched {
    let aborted = read.aborted_transactions.iter().flatten();
    Fetched {
        offset,
        high_watermark: read.high_watermark,
        last_stable_offset: read.last_stable_offset,
        log_start_offset: read.log_start_offset,
        batches: read.records.clone().unwrap_or_default(),
        aborted: aborted.map(|one| (one.producer_id.0, one.first_offset)).collect(),
    }
}
