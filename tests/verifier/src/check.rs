//! The judgement on one partition: what was acknowledged against what was read.
//!
//! One producer writes one batch after another, so the partition has to hold exactly the sequence
//! numbers from 0 on, each once and in order, up to the last that was acknowledged, and after that
//! at most those of the one batch that was not. Each acknowledged record has to be at the offset
//! that its acknowledgement named, and no two readers may see different records at one offset.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ledger::Ledger;
use crate::reading::Reading;
use crate::stretches::ByOffset;

/// The record that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    /// Its partition.
    pub(crate) partition: i32,
    /// Its sequence number, where known.
    pub(crate) sequence: Option<u64>,
    /// Where it was found; for a lost one, where it should have been.
    pub(crate) offset: Option<i64>,
}

/// Everything that is not as it has to be. Each record is named once for each thing that is wrong
/// with it, however many readers saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Acknowledged, read by somebody, or followed by a later one, and not there.
    pub(crate) lost: BTreeSet<Place>,
    /// There a second time.
    pub(crate) duplicated: BTreeSet<Place>,
    /// Behind a later one.
    pub(crate) reordered: BTreeSet<Place>,
    /// There with other bytes than were written.
    pub(crate) corrupted: BTreeSet<Place>,
    /// At another offset than was acknowledged.
    pub(crate) misplaced: BTreeSet<Place>,
    /// Never written by this run to this partition.
    pub(crate) phantom: BTreeSet<Place>,
    /// Another record than a reader saw at the same offset before.
    pub(crate) rewritten: BTreeSet<Place>,
}

impl Findings {
    /// Whether all is as it has to be.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes the findings of another partition in.
    pub(crate) fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.duplicated.extend(other.duplicated);
        self.reordered.extend(other.reordered);
        self.corrupted.extend(other.corrupted);
        self.misplaced.extend(other.misplaced);
        self.phantom.extend(other.phantom);
        self.rewritten.extend(other.rewritten);
    }
}

/// Judges what the readers of a partition saw, the earliest reader first.
pub(crate) fn check(partition: i32, ledger: &Ledger, readings: &[&Reading]) -> Findings {
    let mut check = Check { partition, ledger, findings: Findings::default() };
    for reading in readings {
        let present = check.order(reading);
        check.presence(reading, &present);
        check.wrong(reading);
    }
    for pair in readings.windows(2) {
        check.agreement(pair[0], pair[1]);
    }
    check.findings
}

struct Check<'a> {
    partition: i32,
    ledger: &'a Ledger,
    findings: Findings,
}

impl Check<'_> {
    fn place(&self, sequence: Option<u64>, offset: Option<i64>) -> Place {
        Place { partition: self.partition, sequence, offset }
    }

    /// Each right record once, in order and where it was acknowledged. Returns, for each sequence
    /// number that was sent, whether it is there.
    fn order(&mut self, reading: &Reading) -> Vec<bool> {
        let mut present = vec![false; usize::try_from(self.ledger.sent()).unwrap_or_default()];
        let (mut next_sequence, mut next_offset) = (0, i64::MIN);
        for (offset, sequence) in reading.right().iter() {
            let place = self.place(Some(sequence), Some(offset));
            let flag = usize::try_from(sequence).ok().and_then(|index| present.get_mut(index));
            let Some(flag) = flag else {
                self.findings.phantom.insert(place);
                continue;
            };
            if std::mem::replace(flag, true) {
                self.findings.duplicated.insert(place);
            } else if sequence < next_sequence || offset < next_offset {
                self.findings.reordered.insert(place);
            }
            if self.ledger.acked().offset_of(sequence).is_some_and(|acked| acked != offset) {
                self.findings.misplaced.insert(place);
            }
            next_sequence = next_sequence.max(sequence + 1);
            next_offset = next_offset.max(offset + 1);
        }
        present
    }

    /// Each acknowledged record that the reader came past, and none left out before a later one.
    fn presence(&mut self, reading: &Reading, present: &[bool]) {
        let last = present.iter().rposition(|there| *there);
        for (index, _) in present.iter().enumerate().filter(|(_, there)| !**there) {
            let sequence = index as u64;
            let acked = self.ledger.acked().offset_of(sequence);
            let expected = acked.is_some_and(|offset| reading.covers(offset));
            if expected || last.is_some_and(|last| index < last) {
                self.findings.lost.insert(self.place(Some(sequence), acked));
            }
        }
    }

    /// What stands where something of ours was acknowledged is a damaged record; anything else is
    /// one that nobody wrote.
    fn wrong(&mut self, reading: &Reading) {
        let acked = self.ledger.acked().by_offset();
        for wrong in reading.wrong() {
            let sequence = wrong.sequence.or_else(|| acked.sequence_at(wrong.offset));
            let place = self.place(sequence, Some(wrong.offset));
            if wrong.is_ours || sequence.is_some() {
                self.findings.corrupted.insert(place);
            } else {
                self.findings.phantom.insert(place);
            }
        }
    }

    /// The same records at the same offsets. What was read once was committed, whether anybody heard of
    /// that or not, and has to stay.
    fn agreement(&mut self, earlier: &Reading, later: &Reading) {
        let after = later.right().by_offset();
        for (offset, sequence) in earlier.right().iter() {
            let gone = later.covers(offset) && after.sequence_at(offset).is_none();
            if gone && self.ledger.acked().offset_of(sequence).is_none() {
                self.findings.lost.insert(self.place(Some(sequence), Some(offset)));
            }
        }
        let before = earlier.right().by_offset();
        for (offset, sequence) in later.right().iter() {
            if differs(&before, offset, sequence) {
                self.findings.rewritten.insert(self.place(Some(sequence), Some(offset)));
            }
        }
    }
}

fn differs(before: &ByOffset, offset: i64, sequence: u64) -> bool {
    before.sequence_at(offset).is_some_and(|was| was != sequence)
}
