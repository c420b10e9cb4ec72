//! Offsets and sequence numbers of many records in little room: as long as both rise by one, a
//! record takes no room at all, so that a run of days fits in a small pod.

/// Records in a row: so many from a first offset and a first sequence number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    offset: i64,
    sequence: u64,
    count: u64,
}

impl Stretch {
    fn end_offset(&self) -> i64 {
        self.offset.saturating_add_unsigned(self.count)
    }

    fn end_sequence(&self) -> u64 {
        self.sequence.saturating_add(self.count)
    }
}

/// Records in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretches(Vec<Stretch>);

impl Stretches {
    /// Adds a record.
    pub(crate) fn push(&mut self, offset: i64, sequence: u64) {
        match self.0.last_mut() {
            Some(last) if last.end_offset() == offset && last.end_sequence() == sequence => {
                last.count += 1;
            }
            _ => self.0.push(Stretch { offset, sequence, count: 1 }),
        }
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|stretch| stretch.count).sum()
    }

    /// Offset and sequence number of each record.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0.iter().flat_map(|stretch| {
            (stretch.offset..stretch.end_offset()).zip(stretch.sequence..stretch.end_sequence())
        })
    }

    /// The offset of a record, where sequence numbers only rise.
    pub(crate) fn offset_of(&self, sequence: u64) -> Option<i64> {
        let behind = self.0.partition_point(|stretch| stretch.sequence <= sequence);
        let stretch = self.0.get(behind.checked_sub(1)?)?;
        let place = sequence - stretch.sequence;
        (place < stretch.count).then(|| stretch.offset.saturating_add_unsigned(place))
    }

    /// The same records by offset.
    pub(crate) fn by_offset(&self) -> ByOffset {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|stretch| stretch.offset);
        ByOffset(sorted)
    }
}

/// Records in the order of their offsets.
pub(crate) struct ByOffset(Vec<Stretch>);

impl ByOffset {
    /// The sequence number at an offset; of several the one that was added last.
    pub(crate) fn sequence_at(&self, offset: i64) -> Option<u64> {
        let behind = self.0.partition_point(|stretch| stretch.offset <= offset);
        let stretch = self.0.get(behind.checked_sub(1)?)?;
        let place = offset.abs_diff(stretch.offset);
        (place < stretch.count).then_some(stretch.sequence + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_in_a_row_take_no_room() {
        let mut stretches = Stretches::default();
        let records = [(10, 0), (11, 1), (12, 2), (14, 3), (15, 4), (3, 9)];
        for (offset, sequence) in records {
            stretches.push(offset, sequence);
        }
        assert_eq!(stretches.0.len(), 3);
        assert_eq!(stretches.count(), 6);
        assert_eq!(stretches.iter().collect::<Vec<_>>(), records);
        let by_offset = stretches.by_offset();
        for (offset, sequence) in records {
            assert_eq!(stretches.offset_of(sequence), Some(offset));
            assert_eq!(by_offset.sequence_at(offset), Some(sequence));
        }
        for absent in [2, 4, 13, 16] {
            assert_eq!(by_offset.sequence_at(absent), None);
        }
        assert_eq!((stretches.offset_of(5), stretches.offset_of(10)), (None, None));
    }
}
