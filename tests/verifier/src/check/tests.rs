//! The checker is checked: a log is damaged at each place in each way, and each time it must say so.

use ottla_kafka::{BadBatch, FetchedRecord, Record};

use super::*;
use crate::content::Source;

const BASE_OFFSET: i64 = 1000;
const BATCH: u64 = 3;
const BATCHES: u64 = 7;
/// The records that were acknowledged; one more batch was sent and never heard of again.
const ACKED: usize = (BATCH * BATCHES) as usize;

type Log = Vec<FetchedRecord>;

fn source() -> Source {
    Source { run: "run".into(), partition: 4 }
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    for _ in 0..BATCHES {
        let first = ledger.send(BATCH, Default::default());
        ledger.acknowledge(BASE_OFFSET + first as i64, Default::default());
    }
    ledger.send(BATCH, Default::default());
    ledger
}

/// A partition that holds the first so many records.
fn log(count: usize) -> Log {
    let record = |sequence| FetchedRecord {
        offset: BASE_OFFSET + sequence as i64,
        record: source().record(sequence, 0),
    };
    (0..count as u64).map(record).collect()
}

/// The same records at offsets in a row.
fn renumbered(log: Log) -> Log {
    let records = log.into_iter().map(|one| one.record);
    (BASE_OFFSET..).zip(records).map(|(offset, record)| FetchedRecord { offset, record }).collect()
}

fn tail(log: &Log) -> Reading {
    let mut reading = Reading::default();
    for read in log {
        reading.add(&source(), read);
    }
    reading
}

fn whole(log: &Log) -> Reading {
    let mut reading = tail(log);
    reading.finish();
    reading
}

fn judge(readings: &[&Reading]) -> Findings {
    check(4, &ledger(), readings)
}

/// What a damaged log gives when the last reader sees it, and when only the first one does.
fn seen_by_either(damaged: &Log) -> [Findings; 2] {
    let good = log(ACKED);
    [judge(&[&tail(&good), &whole(damaged)]), judge(&[&tail(damaged), &whole(&good)])]
}

fn sequences(places: &BTreeSet<Place>) -> Vec<Option<u64>> {
    places.iter().map(|place| place.sequence).collect()
}

#[test]
fn a_good_log_passes() {
    // The records of the unknown outcome are there, in part or not at all.
    for count in ACKED..=ACKED + BATCH as usize {
        assert!(judge(&[&tail(&log(ACKED)), &whole(&log(count))]).is_empty(), "{count}");
    }
    // The tail reader may be behind.
    for count in 0..ACKED {
        assert!(judge(&[&tail(&log(count)), &whole(&log(ACKED))]).is_empty(), "{count}");
    }
}

#[test]
fn drop_is_caught() {
    for at in 0..ACKED - 1 {
        let mut damaged = log(ACKED);
        damaged.remove(at);
        for found in seen_by_either(&damaged) {
            assert_eq!(sequences(&found.lost), [Some(at as u64)]);
        }
        for found in seen_by_either(&renumbered(damaged)) {
            assert_eq!(sequences(&found.lost), [Some(at as u64)]);
            assert!(!found.misplaced.is_empty() && !found.rewritten.is_empty());
        }
    }
}

#[test]
fn a_dropped_record_of_unknown_outcome_is_caught() {
    let mut damaged = log(ACKED + 2);
    damaged.remove(ACKED);
    let found = judge(&[&whole(&damaged)]);
    assert_eq!(sequences(&found.lost), [Some(ACKED as u64)]);
}

#[test]
fn duplicate_is_caught() {
    for from in 0..ACKED {
        for to in from + 1..=ACKED {
            let mut damaged = log(ACKED);
            damaged.insert(to, damaged[from].clone());
            for found in seen_by_either(&renumbered(damaged)) {
                assert_eq!(sequences(&found.duplicated), [Some(from as u64)], "{from} at {to}");
            }
        }
    }
}

#[test]
fn swap_is_caught() {
    for left in 0..ACKED {
        for right in left + 1..ACKED {
            let mut damaged = log(ACKED);
            damaged.swap(left, right);
            let shown = seen_by_either(&damaged);
            let stored = seen_by_either(&renumbered(damaged));
            for found in shown.iter().chain(&stored) {
                assert!(!found.reordered.is_empty(), "{left} and {right}");
            }
            for found in stored {
                assert_eq!(found.misplaced.len(), 2);
                assert_eq!(found.rewritten.len(), 2);
            }
        }
    }
}

#[test]
fn truncated_tail_is_caught() {
    for count in 0..ACKED {
        let found = judge(&[&tail(&log(ACKED)), &whole(&log(count))]);
        assert_eq!(found.lost.len(), ACKED - count);
        let place = found.lost.first().unwrap();
        let offset = BASE_OFFSET + count as i64;
        assert_eq!((place.sequence, place.offset), (Some(count as u64), Some(offset)));
    }
}

#[test]
fn truncated_and_overwritten_tail_is_caught() {
    let mut damaged = log(ACKED - 2);
    damaged.push(FetchedRecord {
        offset: BASE_OFFSET + ACKED as i64 - 2,
        record: source().record(ACKED as u64, 0),
    });
    let found = judge(&[&tail(&log(ACKED)), &whole(&damaged)]);
    assert_eq!(sequences(&found.lost), [Some(ACKED as u64 - 2), Some(ACKED as u64 - 1)]);
    assert_eq!(sequences(&found.rewritten), [Some(ACKED as u64)]);
}

#[test]
fn flipped_bit_is_caught() {
    let flip = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        let at = bit % (8 * bytes.len());
        bytes[at / 8] ^= 1 << (at % 8);
        Some(bytes.into())
    };
    for at in 0..ACKED {
        for bit in (0..2000).step_by(37) {
            let mut value = log(ACKED);
            let record = &mut value[at].record;
            record.value = flip(record.value.as_ref().unwrap(), bit);
            for found in seen_by_either(&value) {
                assert_eq!(sequences(&found.corrupted), [Some(at as u64)], "{at}, {bit}");
            }
            let mut key = log(ACKED);
            let record = &mut key[at].record;
            record.key = flip(record.key.as_ref().unwrap(), bit);
            for found in seen_by_either(&key) {
                assert!(!found.corrupted.is_empty(), "{at}, {bit}");
            }
        }
    }
}

#[test]
fn a_batch_that_cannot_be_unpacked_is_caught() {
    let mut reading = tail(&log(5));
    let bad = BadBatch::Corrupt { base_offset: BASE_OFFSET + 5, reason: "its checksum is wrong" };
    reading.add_bad(&bad);
    reading.add_bad(&bad);
    let found = judge(&[&reading]);
    assert_eq!(sequences(&found.corrupted), [Some(5)]);
}

#[test]
fn offset_shift_is_caught() {
    for (from, by) in (0..ACKED).flat_map(|from| [(from, -1), (from, 1), (from, 1000)]) {
        let mut damaged = log(ACKED);
        for read in &mut damaged[from..] {
            read.offset += by;
        }
        for found in seen_by_either(&damaged) {
            assert_eq!(found.misplaced.len(), ACKED - from, "{from} by {by}");
        }
    }
}

#[test]
fn phantom_is_caught() {
    let other_run = Source { run: "other".into(), ..source() };
    let other_partition = Source { partition: 5, ..source() };
    let never_sent = source().record(ACKED as u64 + BATCH, 0);
    let phantoms =
        [other_run.record(1, 0), other_partition.record(1, 0), never_sent, Record::default()];
    for record in phantoms {
        let mut behind = log(ACKED);
        let offset = BASE_OFFSET + ACKED as i64;
        behind.push(FetchedRecord { offset, record: record.clone() });
        for found in seen_by_either(&behind) {
            assert_eq!(found.phantom.len(), 1, "{record:?}");
        }
        for at in 0..ACKED {
            let mut between = log(ACKED);
            between.insert(at, FetchedRecord { offset, record: record.clone() });
            for found in seen_by_either(&renumbered(between)) {
                assert!(!found.is_empty() && !found.misplaced.is_empty(), "{record:?} at {at}");
            }
        }
    }
}

#[test]
fn a_record_that_was_read_and_is_gone_is_caught() {
    // Nothing of the batch was acknowledged, and yet what a reader saw has to stay.
    let (before, after) = (log(ACKED + 2), log(ACKED + 1));
    let found = judge(&[&tail(&before), &whole(&after)]);
    assert_eq!(sequences(&found.lost), [Some(ACKED as u64 + 1)]);
    // A reader that has not come so far says nothing.
    assert!(judge(&[&tail(&before), &tail(&after)]).is_empty());
}

#[test]
fn two_contents_at_one_offset_are_caught() {
    // Nothing of the batch was acknowledged, and yet a reader may not see it change.
    let (mut before, mut after) = (log(ACKED), log(ACKED));
    let offset = BASE_OFFSET + ACKED as i64;
    for (log, sequence) in [(&mut before, ACKED as u64), (&mut after, ACKED as u64 + 1)] {
        log.push(FetchedRecord { offset, record: source().record(sequence, 0) });
    }
    let found = judge(&[&tail(&before), &whole(&after)]);
    assert_eq!(sequences(&found.rewritten), [Some(ACKED as u64 + 1)]);
}

#[test]
fn findings_of_partitions_add_up() {
    let mut all = judge(&[&whole(&log(ACKED))]);
    assert!(all.is_empty());
    all.add(check(5, &ledger(), &[&whole(&Log::new())]));
    assert_eq!(all.lost.len(), ACKED);
    assert!(all.lost.iter().all(|place| place.partition == 5));
}
