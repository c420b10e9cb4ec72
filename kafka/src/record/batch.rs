//! Record batches of format 2, the only one that Kafka 4 stores.
//!
//! Reading is our own: the decoder of `kafka-protocol` reserves room for as many records and
//! headers as a batch announces, and folds headers of one name into one.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{FetchedRecord, Producer, Record, varint};

/// Base offset and length, which the length does not count.
const PREFIX_BYTES: usize = 12;
/// The fields from the leader epoch to the number of records, which the length counts.
const HEADER_BYTES: usize = 49;
/// Where the checksummed part begins: behind leader epoch, format and checksum.
const CHECKED_FROM: usize = 9;
const FORMAT: i8 = 2;

const COMPRESSION: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// Why a batch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// The stored bytes are not what was written.
    #[error("the batch at offset {base_offset} is corrupt: {reason}")]
    Corrupt {
        /// The batch's first offset.
        base_offset: i64,
        /// What shows it.
        reason: &'static str,
    },
    /// It is compressed, which this client does not undo.
    #[error("the batch at offset {base_offset} is compressed, and only plain ones can be read")]
    Compressed {
        /// The batch's first offset.
        base_offset: i64,
    },
}

/// The fields of a batch that a reader needs, and its records still encoded.
pub(super) struct Batch {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) producer_id: i64,
    attributes: i16,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    records: Bytes,
}

/// Writes records as one batch of an idempotent producer.
pub(super) fn encode(records: &[Record], producer: Producer, base_sequence: i32) -> Bytes {
    let timestamps = records.iter().map(|record| record.timestamp_milliseconds);
    let base_timestamp = timestamps.clone().min().unwrap_or_default();
    let max_timestamp = timestamps.max().unwrap_or_default();
    let count = records.len() as i32;

    let mut checked = BytesMut::new();
    checked.put_i16(0);
    checked.put_i32(count - 1);
    checked.put_i64(base_timestamp);
    checked.put_i64(max_timestamp);
    checked.put_i64(producer.id);
    checked.put_i16(producer.epoch);
    checked.put_i32(base_sequence);
    checked.put_i32(count);
    for (place, record) in records.iter().enumerate() {
        let encoded = encode_record(record, place as i64, base_timestamp);
        varint::put_bytes(&mut checked, Some(&encoded));
    }

    let mut batch = BytesMut::with_capacity(PREFIX_BYTES + CHECKED_FROM + checked.len());
    batch.put_i64(0);
    batch.put_i32((CHECKED_FROM + checked.len()) as i32);
    batch.put_i32(-1);
    batch.put_i8(FORMAT);
    batch.put_u32(crc32c::crc32c(&checked));
    batch.put_slice(&checked);
    batch.freeze()
}

fn encode_record(record: &Record, offset_delta: i64, base_timestamp: i64) -> BytesMut {
    let mut buffer = BytesMut::new();
    buffer.put_i8(0);
    varint::put(&mut buffer, record.timestamp_milliseconds.wrapping_sub(base_timestamp));
    varint::put(&mut buffer, offset_delta);
    varint::put_bytes(&mut buffer, record.key.as_deref());
    varint::put_bytes(&mut buffer, record.value.as_deref());
    varint::put(&mut buffer, record.headers.len() as i64);
    for (name, value) in &record.headers {
        varint::put_bytes(&mut buffer, Some(name.as_bytes()));
        varint::put_bytes(&mut buffer, value.as_deref());
    }
    buffer
}

/// Takes the next batch off the input. `None` at its end, which may cut a batch short: Kafka
/// sends as many bytes as were asked for.
pub(super) fn next(input: &mut Bytes) -> Result<Option<Batch>, BadBatch> {
    let Some(prefix) = input.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let mut prefix = &prefix[..];
    let (base_offset, length) = (prefix.get_i64(), prefix.get_i32());
    let corrupt = |reason| BadBatch::Corrupt { base_offset, reason };
    let length = usize::try_from(length).map_err(|_| corrupt("its length is negative"))?;
    if length < HEADER_BYTES {
        return Err(corrupt("it is shorter than its header"));
    }
    if input.len() - PREFIX_BYTES < length {
        return Ok(None);
    }
    input.advance(PREFIX_BYTES);
    let mut body = input.split_to(length);
    let checksum = crc32c::crc32c(&body[CHECKED_FROM..]);
    let _leader_epoch = body.get_i32();
    if body.get_i8() != FORMAT {
        return Err(corrupt("it is not of format 2"));
    }
    if body.get_u32() != checksum {
        return Err(corrupt("its checksum is wrong"));
    }
    Ok(Some(header(base_offset, body)))
}

/// Reads the checksummed fields. The caller saw to it that they are there.
fn header(base_offset: i64, mut body: Bytes) -> Batch {
    let attributes = body.get_i16();
    let last_offset = base_offset.saturating_add(body.get_i32().into());
    let (base_timestamp, max_timestamp) = (body.get_i64(), body.get_i64());
    let producer_id = body.get_i64();
    let _producer_epoch = body.get_i16();
    let _base_sequence = body.get_i32();
    let count = body.get_i32();
    Batch {
        base_offset,
        last_offset,
        producer_id,
        attributes,
        base_timestamp,
        max_timestamp,
        count,
        records: body,
    }
}

impl Batch {
    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it holds no records of a producer but the mark that ends a transaction.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The records of the batch.
    pub(super) fn records(mut self) -> Result<Vec<FetchedRecord>, BadBatch> {
        let base_offset = self.base_offset;
        if self.attributes & COMPRESSION != 0 {
            return Err(BadBatch::Compressed { base_offset });
        }
        let mut records = Vec::new();
        for _ in 0..self.count {
            let record = self.record();
            let reason = "a record does not fit in it";
            records.push(record.ok_or(BadBatch::Corrupt { base_offset, reason })?);
        }
        Ok(records)
    }

    fn record(&mut self) -> Option<FetchedRecord> {
        let mut input = varint::get_bytes(&mut self.records)??;
        let _attributes = input.try_get_i8().ok()?;
        let timestamp = self.base_timestamp.wrapping_add(varint::get(&mut input)?);
        let offset = self.base_offset.checked_add(varint::get(&mut input)?)?;
        let key = varint::get_bytes(&mut input)?;
        let value = varint::get_bytes(&mut input)?;
        let mut headers = Vec::new();
        for _ in 0..varint::get(&mut input)? {
            let name = varint::get_bytes(&mut input)??;
            let name = String::from_utf8(name.to_vec()).ok()?;
            headers.push((name, varint::get_bytes(&mut input)?));
        }
        let logged = self.attributes & LOG_APPEND_TIME != 0;
        let timestamp_milliseconds = if logged { self.max_timestamp } else { timestamp };
        let record = Record { timestamp_milliseconds, key, value, headers };
        Some(FetchedRecord { offset, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRODUCER: Producer = Producer { id: 7, epoch: 1 };

    fn record(place: i64) -> Record {
        Record {
            timestamp_milliseconds: 1_700_000_000_000 + place,
            key: Some(Bytes::from(format!("key {place}"))),
            value: (place % 2 == 0).then(|| Bytes::from(format!("value {place}"))),
            headers: vec![("h".to_owned(), None), ("h".to_owned(), Some(Bytes::from("twice")))],
        }
    }

    fn read(mut input: Bytes) -> Result<Vec<FetchedRecord>, BadBatch> {
        let mut records = Vec::new();
        while let Some(batch) = next(&mut input)? {
            records.extend(batch.records()?);
        }
        Ok(records)
    }

    #[test]
    fn records_and_back() {
        let records: Vec<_> = (0..100).map(record).collect();
        let read = read(encode(&records, PRODUCER, 0)).unwrap();
        assert_eq!(read.iter().map(|one| one.offset).collect::<Vec<_>>(), Vec::from_iter(0..100));
        assert_eq!(read.into_iter().map(|one| one.record).collect::<Vec<_>>(), records);
    }

    #[test]
    fn a_second_implementation_reads_what_we_write() {
        let written = encode(&[record(0), record(1)], PRODUCER, 40);
        let read = kafka_protocol::records::RecordBatchDecoder::decode(&mut written.clone());
        let read = read.unwrap().records;
        assert_eq!(read.len(), 2);
        assert_eq!((read[1].producer_id, read[1].sequence, read[1].offset), (7, 41, 1));
        assert_eq!(read[0].value.as_deref(), Some(&b"value 0"[..]));
    }

    #[test]
    fn a_batch_cut_short_is_left_for_the_next_fetch() {
        let whole = encode(&[record(0)], PRODUCER, 0);
        let mut both = BytesMut::from(&whole[..]);
        both.put_slice(&whole[..whole.len() - 1]);
        assert_eq!(read(both.freeze()).unwrap().len(), 1);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let whole = encode(&[record(0)], PRODUCER, 0);
        let mut flipped = BytesMut::from(&whole[..]);
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        let told = read(flipped.freeze()).unwrap_err();
        assert_eq!(told.to_string(), "the batch at offset 0 is corrupt: its checksum is wrong");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(Bytes::from(bytes));
        }

        /// Behind a valid checksum, so that the records themselves are reached.
        #[test]
        fn arbitrary_records_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 40..300)
        ) {
            let mut batch = BytesMut::new();
            batch.put_i64(0);
            batch.put_i32((CHECKED_FROM + bytes.len()) as i32);
            batch.put_i32(0);
            batch.put_i8(FORMAT);
            batch.put_u32(crc32c::crc32c(&bytes));
            batch.put_slice(&bytes);
            let _ = read(batch.freeze());
        }
    }
}
