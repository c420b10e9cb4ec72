//! What a record holds. All of it follows from the run, the partition and the sequence number, so
//! that a reader can tell a right record from a wrong one without having seen it written.

use std::sync::Arc;

use ottla_kafka::Record;

/// Behind sequence number and checksum, so that records have the size of small real ones.
const PADDING_BYTES: usize = 200;

/// The place of one run's records in one partition.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// A random name that no other run has.
    pub(crate) run: Arc<str>,
    /// The partition.
    pub(crate) partition: i32,
}

/// What a record that was read turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The record of this sequence number, every byte of it.
    Right(u64),
    /// A record with the key of this run and partition, and something wrong with the rest.
    Damaged(u64),
    /// Nothing that this run wrote to this partition.
    Foreign,
}

impl Source {
    /// The record of a sequence number.
    pub(crate) fn record(&self, sequence: u64, timestamp_milliseconds: i64) -> Record {
        let key = format!("{}/{}/{sequence}", self.run, self.partition);
        let padding = padding(&key);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), padding.as_bytes());
        let value = format!("{sequence} {checksum:08x} {padding}");
        Record {
            timestamp_milliseconds,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    /// Compares a record with the one that its key names. The timestamp is left out: a topic may
    /// be set to Kafka's own.
    pub(crate) fn recognise(&self, record: &Record) -> Content {
        let Some(sequence) = self.sequence_of(record) else { return Content::Foreign };
        if *record == self.record(sequence, record.timestamp_milliseconds) {
            Content::Right(sequence)
        } else {
            Content::Damaged(sequence)
        }
    }

    fn sequence_of(&self, record: &Record) -> Option<u64> {
        let key = std::str::from_utf8(record.key.as_deref()?).ok()?;
        let (place, sequence) = key.rsplit_once('/')?;
        let (run, partition) = place.rsplit_once('/')?;
        let mine = run == &*self.run && partition.parse() == Ok(self.partition);
        if mine { sequence.parse().ok() } else { None }
    }
}

/// Letters that look random and differ from record to record.
fn padding(key: &str) -> String {
    let mut state = crc32c::crc32c(key.as_bytes()) | 1;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from(b'a' + (state % 26) as u8)
    });
    letters.take(PADDING_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(run: &str, partition: i32) -> Source {
        Source { run: run.into(), partition }
    }

    #[test]
    fn a_record_is_recognised() {
        let mine = source("run", 3);
        assert_eq!(mine.recognise(&mine.record(42, 7)), Content::Right(42));
        assert_eq!(source("other", 3).recognise(&mine.record(42, 7)), Content::Foreign);
        assert_eq!(source("run", 4).recognise(&mine.record(42, 7)), Content::Foreign);
        assert_eq!(mine.recognise(&Record::default()), Content::Foreign);
        let swapped = Record { key: mine.record(42, 7).key, ..mine.record(43, 7) };
        assert_eq!(mine.recognise(&swapped), Content::Damaged(42));
    }

    #[test]
    fn each_flipped_bit_is_noticed() {
        let mine = source("run", 3);
        let record = mine.record(42, 7);
        let (key, value) = (record.key.clone().unwrap(), record.value.clone().unwrap());
        for bit in 0..8 * (key.len() + value.len()) {
            let mut bytes = [&key[..], &value[..]].concat();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (key, value) = bytes.split_at(key.len());
            let flipped = Record {
                key: Some(key.to_vec().into()),
                value: Some(value.to_vec().into()),
                ..record.clone()
            };
            assert!(!matches!(mine.recognise(&flipped), Content::Right(_)), "bit {bit}");
        }
    }
}
