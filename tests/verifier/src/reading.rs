//! What one reader saw of one partition.

use ottla_kafka::{BadBatch, Fetched, FetchedRecord};

use crate::content::{Content, Source};
use crate::stretches::Stretches;

/// What one reader saw, in the order in which it saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    right: Stretches,
    wrong: Vec<Wrong>,
    end: i64,
    is_whole: bool,
}

/// A record that is not as it was written, or that was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Where it was.
    pub(crate) offset: i64,
    /// The sequence number in its key, where there is one.
    pub(crate) sequence: Option<u64>,
    /// Whether anything shows that it once was a record of ours.
    pub(crate) is_ours: bool,
}

impl Reading {
    /// Takes in what was fetched, and returns the offset to read on from.
    ///
    /// # Errors
    /// When a batch cannot be unpacked. That is noted, and fetched again it may be whole.
    pub(crate) fn take(&mut self, source: &Source, fetched: &Fetched) -> Result<i64, BadBatch> {
        let unpacked = fetched.records().inspect_err(|bad| self.add_bad(bad))?;
        for read in &unpacked.records {
            self.add(source, read);
        }
        self.end = self.end.max(unpacked.next_offset);
        Ok(unpacked.next_offset)
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, source: &Source, read: &FetchedRecord) {
        let offset = read.offset;
        match source.recognise(&read.record) {
            Content::Right(sequence) => self.right.push(offset, sequence),
            Content::Damaged(sequence) => {
                self.wrong.push(Wrong { offset, sequence: Some(sequence), is_ours: true });
            }
            Content::Foreign => self.wrong.push(Wrong { offset, sequence: None, is_ours: false }),
        }
        self.end = self.end.max(offset.saturating_add(1));
    }

    /// Adds a batch that cannot be unpacked, once however often it is tried.
    pub(crate) fn add_bad(&mut self, bad: &BadBatch) {
        let (BadBatch::Corrupt { base_offset, .. } | BadBatch::Compressed { base_offset }) = bad;
        let wrong = Wrong { offset: *base_offset, sequence: None, is_ours: true };
        if self.wrong.last() != Some(&wrong) {
            self.wrong.push(wrong);
        }
    }

    /// Notes that the partition was read to its end.
    pub(crate) fn finish(&mut self) {
        self.is_whole = true;
    }

    /// The records that are as they were written.
    pub(crate) fn right(&self) -> &Stretches {
        &self.right
    }

    /// The others.
    pub(crate) fn wrong(&self) -> &[Wrong] {
        &self.wrong
    }

    /// How many records were read.
    pub(crate) fn count(&self) -> u64 {
        self.right.count() + self.wrong.len() as u64
    }

    /// Whether a record at this offset would have been seen.
    pub(crate) fn covers(&self, offset: i64) -> bool {
        self.is_whole || offset < self.end
    }
}
