//! What others are told: how far a run is, and in the end whether all is well.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::check::{self, Findings, Place};
use crate::ledger::Ledger;
use crate::read::LastReading;
use crate::verification::Verification;

/// How many records of each kind of finding are named.
const NAMED_MAX: usize = 10;

/// How far a run is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// Records that were acknowledged.
    acked: u64,
    /// Records that the readers saw that follow the writers.
    read: u64,
    /// Of all partitions the longest time between two acknowledgements.
    longest_gap_milliseconds: u64,
    /// How many times a batch had to be sent again.
    retries: u64,
    /// What went wrong last, over or not.
    last_error: Option<String>,
    /// The same of each partition.
    partitions: Vec<PartitionProgress>,
}

/// How far a run is with one partition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartitionProgress {
    partition: i32,
    acked: u64,
    read: u64,
    longest_gap_milliseconds: u64,
}

/// The end of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// Whether something was acknowledged, everything was acknowledged in the end, no producer would
    /// have given up on the way, and every record was found as it has to be.
    pub(crate) ok: bool,
    /// The name of the run, which the keys of its records begin with.
    run: String,
    /// Records that were acknowledged.
    acked: u64,
    /// Records that were read at the end.
    read: u64,
    /// Records that were sent and not acknowledged, although it was waited for them.
    unresolved: u64,
    /// How many errors another producer would have told its user of and not tried again.
    given_up: usize,
    /// The first of them.
    given_up_first: Vec<String>,
    lost: Finding,
    duplicated: Finding,
    reordered: Finding,
    corrupted: Finding,
    misplaced: Finding,
    phantom: Finding,
    rewritten: Finding,
    /// Why partitions could not be read to their ends.
    unread: Vec<String>,
    longest_gap_milliseconds: u64,
    retries: u64,
    last_error: Option<String>,
    partitions: Vec<PartitionProgress>,
}

/// One kind of finding.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// How many records.
    count: usize,
    /// The first of them.
    first: Vec<Place>,
}

impl From<BTreeSet<Place>> for Finding {
    fn from(places: BTreeSet<Place>) -> Self {
        Self { count: places.len(), first: places.into_iter().take(NAMED_MAX).collect() }
    }
}

impl Progress {
    /// How far it is now.
    pub(crate) fn of(verification: &Verification) -> Self {
        Self::with(verification, |ledger, now| ledger.longest_gap(now))
    }

    /// How far it is now, and the longest gaps since the last time that this was asked.
    pub(crate) fn of_lap(verification: &Verification) -> Self {
        Self::with(verification, Ledger::end_lap)
    }

    fn with(verification: &Verification, gap: impl Fn(&mut Ledger, Duration) -> Duration) -> Self {
        let now = verification.now();
        let partitions = verification.partitions().iter().map(|partition| {
            let mut books = partition.books();
            let gap = gap(&mut books.ledger, now);
            PartitionProgress {
                partition: partition.source.partition,
                acked: books.ledger.acked().count(),
                read: books.tail.count(),
                longest_gap_milliseconds: milliseconds(gap),
            }
        });
        let partitions: Vec<_> = partitions.collect();
        Self {
            acked: partitions.iter().map(|one| one.acked).sum(),
            read: partitions.iter().map(|one| one.read).sum(),
            longest_gap_milliseconds: longest_gap(&partitions),
            retries: verification.retries(),
            last_error: verification.last_error(),
            partitions,
        }
    }
}

impl Verdict {
    /// Judges what was read, in the order of the partitions.
    pub(crate) fn of(verification: &Verification, readings: &[LastReading]) -> Self {
        let mut progress = Progress::of(verification);
        let (mut unresolved, mut findings, mut unread) = (0, Findings::default(), Vec::new());
        let read = verification.partitions().iter().zip(readings).zip(&mut progress.partitions);
        for ((partition, last), shown) in read {
            let books = partition.books();
            let seen = [&books.tail, &last.reading];
            findings.add(check::check(partition.source.partition, &books.ledger, &seen));
            unresolved += books.ledger.unresolved();
            unread.extend(last.gave_up.as_ref().map(|error| format!("{error:#}")));
            shown.read = last.reading.count();
        }
        let is_complete = progress.acked > 0 && unresolved == 0 && unread.is_empty();
        let given_up = verification.given_up();
        Self {
            ok: is_complete && given_up.is_empty() && findings.is_empty(),
            run: verification.run().to_owned(),
            acked: progress.acked,
            read: progress.partitions.iter().map(|one| one.read).sum(),
            unresolved,
            given_up: given_up.len(),
            given_up_first: given_up.into_iter().take(NAMED_MAX).collect(),
            lost: findings.lost.into(),
            duplicated: findings.duplicated.into(),
            reordered: findings.reordered.into(),
            corrupted: findings.corrupted.into(),
            misplaced: findings.misplaced.into(),
            phantom: findings.phantom.into(),
            rewritten: findings.rewritten.into(),
            unread,
            longest_gap_milliseconds: progress.longest_gap_milliseconds,
            retries: progress.retries,
            last_error: progress.last_error,
            partitions: progress.partitions,
        }
    }
}

fn longest_gap(partitions: &[PartitionProgress]) -> u64 {
    partitions.iter().map(|one| one.longest_gap_milliseconds).max().unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use anyhow::Context as _;
    use ottla_kafka::{Endpoint, Error, ErrorCode};

    use super::*;
    use crate::reading::Reading;

    /// The verdict on a run of which each batch was stored in the end, after this error.
    fn after(error: Error) -> Verdict {
        let verification = Verification::new("orders", 1);
        let partition = &verification.partitions()[0];
        let first = partition.books().ledger.send(1, Duration::ZERO);
        let failed = Err::<(), _>(error).context("cannot write").unwrap_err();
        verification.batch_failed(&failed);
        partition.books().ledger.acknowledge(0, Duration::ZERO);
        let mut reading = Reading::default();
        let record = partition.source.record(first, 0);
        reading.add(&partition.source, &ottla_kafka::FetchedRecord { offset: 0, record });
        reading.finish();
        Verdict::of(&verification, &[LastReading { reading, gave_up: None }])
    }

    fn refused(code: ErrorCode) -> Error {
        let (call, subject) = ("Produce", "orders-0".to_owned());
        Error::Refused { call, peer: Endpoint::new("kafka-0", 9092), subject, code, message: None }
    }

    fn not_connected(kind: ErrorKind) -> Error {
        Error::Connect { peer: Endpoint::new("kafka-0", 9093), source: kind.into() }
    }

    #[test]
    fn an_error_that_a_producer_does_not_try_again_is_a_fault() {
        for error in [
            refused(ErrorCode::NOT_ENOUGH_REPLICAS),
            refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            not_connected(ErrorKind::ConnectionRefused),
        ] {
            let verdict = after(error);
            assert_eq!((verdict.ok, verdict.given_up), (true, 0), "{verdict:?}");
        }
        // TLS says so of a certificate that is not trusted.
        for (error, named) in [
            (refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
            (not_connected(ErrorKind::InvalidData), "cannot connect to kafka-0:9093"),
        ] {
            let verdict = after(error);
            let told = (verdict.ok, verdict.given_up, verdict.retries);
            assert_eq!(told, (false, 1, 1), "{verdict:?}");
            assert!(verdict.given_up_first[0].contains(named), "{verdict:?}");
        }
    }
}
