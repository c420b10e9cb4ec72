//! Records in and out of one partition: for a small verifying producer and consumer, and raw
//! batches for mirroring.

pub(crate) mod batch;
pub(crate) mod fetch;
pub(crate) mod offset;
pub(crate) mod produce;
mod varint;

use bytes::Bytes;

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// When it was made, in milliseconds since 1970.
    pub timestamp_milliseconds: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers in order; a name may occur more than once.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Its place in the partition.
    pub offset: i64,
    /// The record.
    pub record: Record,
}

/// An idempotent producer, as Kafka numbers them. Each partition it writes to counts its records
/// from 0, which is how Kafka recognises one that was sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its number.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// All.
    #[default]
    ReadUncommitted,
    /// None of a transaction that is still open or was aborted.
    ReadCommitted,
}

impl Isolation {
    /// The protocol's number.
    fn to_wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}
