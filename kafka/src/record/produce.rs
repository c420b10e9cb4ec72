//! Writing records, each at most once.

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};

use super::{Producer, Record, batch};
use crate::admin::{server_timeout_milliseconds, wire};
use crate::call::{Refusal, call, refused};
use crate::cluster::{Asked, Target};
use crate::{Cluster, Error};

/// The first version that names topics by id alone.
const TOPIC_IDS: i16 = 13;
/// Acknowledged once every replica in sync has the records.
const ACKS_ALL: i16 = -1;

call!(InitProducerIdRequest => InitProducerIdResponse, InitProducerId from 2, repeatable: true,
    |answer| refused(answer.error_code, None));
// The producer's sequence numbers let Kafka recognise a batch that it has.
call!(ProduceRequest => ProduceResponse, Produce from 9, repeatable: true, refusal_of);

impl Cluster {
    /// A new idempotent producer.
    ///
    /// # Errors
    /// When no answer came in time.
    pub async fn init_producer(&self) -> Result<Producer, Error> {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let answer = self.ask(Target::Any, |_| request.clone()).await?.response;
        Ok(Producer { id: answer.producer_id.0, epoch: answer.producer_epoch })
    }

    /// Writes records as one batch and returns the offset of the first, once all replicas in sync
    /// have them. `base_sequence` counts what this producer wrote to this partition before; with
    /// the same one, the same records can be sent again without being stored twice.
    ///
    /// # Errors
    /// When the records are not acknowledged in time, which does not say that they are not stored.
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        producer: Producer,
        base_sequence: i32,
        records: &[Record],
    ) -> Result<i64, Error> {
        let batch = batch::encode(records, producer, base_sequence);
        let timeout = server_timeout_milliseconds(self.request_timeout());
        let build = |asked: &Asked| request(topic, partition, batch.clone(), timeout, asked);
        let answer = self.ask(Target::Leader(topic, partition), build).await?;
        let outcome = only_partition(&answer.response)
            .ok_or_else(|| answer.incomplete::<ProduceRequest>("the partition's outcome"))?;
        Ok(outcome.base_offset)
    }
}

fn request(
    topic: &str,
    partition: i32,
    batch: Bytes,
    timeout_milliseconds: i32,
    asked: &Asked,
) -> ProduceRequest {
    let written = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let mut to = TopicProduceData::default().with_partition_data(vec![written]);
    if asked.version >= TOPIC_IDS {
        to.topic_id = asked.topic_id.to_wire();
    } else {
        to.name = wire(topic).into();
    }
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(ACKS_ALL)
        .with_timeout_ms(timeout_milliseconds)
        .with_topic_data(vec![to])
}

fn only_partition(answer: &ProduceResponse) -> Option<&PartitionProduceResponse> {
    answer.responses.first()?.partition_responses.first()
}

fn refusal_of(answer: &ProduceResponse) -> Option<Refusal> {
    let outcome = only_partition(answer)?;
    refused(outcome.error_code, outcome.error_message.as_deref())
}
