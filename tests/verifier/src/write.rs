//! The writer of one partition: one batch after another, each sent with the same sequence numbers
//! until it is acknowledged, whatever the error. An error never says for certain that nothing was
//! stored, as an earlier attempt may have been.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use ottla_kafka::{Producer, Record};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{Client, PAUSE};
use crate::verification::{Partition, Verification};

/// About how many batches a second, where there are enough records.
const BATCHES_PER_SECOND: f64 = 20.0;

/// Which waits are told.
const LONG_MILLISECONDS: u128 = 1000;

/// How many records at a time, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    count: u64,
    period: Duration,
}

impl Pace {
    /// For so many records a second over so many partitions.
    pub(crate) fn new(rate: u32, partitions: i32) -> Self {
        let records_per_second = f64::from(rate) / f64::from(partitions);
        let count = (records_per_second / BATCHES_PER_SECOND).round().max(1.0);
        Self { count: count as u64, period: Duration::from_secs_f64(count / records_per_second) }
    }
}

/// Writes to one partition.
pub(crate) struct Writer {
    /// The way to the cluster.
    pub(crate) client: Client,
    /// The run.
    pub(crate) verification: Arc<Verification>,
    /// The partition.
    pub(crate) partition: Partition,
}

impl Writer {
    /// Writes until told to stop and the last batch is acknowledged.
    pub(crate) async fn run(self, pace: Pace, mut stop: watch::Receiver<bool>) {
        let Some(producer) = self.producer(&stop).await else { return };
        let mut ticks = interval(pace.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => return,
                _ = ticks.tick() => self.write(producer, pace.count).await,
            }
        }
    }

    /// Asks for a producer's number until there is one; `None` when told to stop before.
    async fn producer(&self, stop: &watch::Receiver<bool>) -> Option<Producer> {
        while !*stop.borrow() {
            match self.client.cluster().init_producer().await {
                Ok(producer) => return Some(producer),
                Err(error) => self.verification.failed(&error.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Writes one batch.
    async fn write(&self, producer: Producer, count: u64) {
        let first = self.partition.books().ledger.send(count, self.verification.now());
        let now = unix_milliseconds();
        let source = &self.partition.source;
        let records: Vec<_> = (first..first + count).map(|each| source.record(each, now)).collect();
        let base_offset = self.write_until_acknowledged(producer, first, &records).await;
        let acknowledged = self.verification.now();
        self.partition.books().ledger.acknowledge(base_offset, acknowledged);
    }

    async fn write_until_acknowledged(
        &self,
        producer: Producer,
        first: u64,
        records: &[Record],
    ) -> i64 {
        let (began, mut failures) = (Instant::now(), 0);
        let partition = self.partition.source.partition;
        loop {
            match self.write_once(producer, first, records).await {
                Ok(base_offset) => {
                    let waited_milliseconds = began.elapsed().as_millis();
                    if failures > 0 || waited_milliseconds >= LONG_MILLISECONDS {
                        tracing::info!(
                            partition,
                            first,
                            failures,
                            waited_milliseconds,
                            "acknowledged"
                        );
                    }
                    return base_offset;
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(partition, first, failures, "not acknowledged: {error:#}");
                    self.verification.batch_failed(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn write_once(
        &self,
        producer: Producer,
        first: u64,
        records: &[Record],
    ) -> anyhow::Result<i64> {
        let topic = self.verification.topic();
        let partition = self.partition.source.partition;
        let written = self
            .client
            .cluster()
            .produce(topic, partition, producer, wire_sequence(first), records)
            .await;
        let base_offset =
            written.with_context(|| format!("cannot write to partition {partition}"))?;
        anyhow::ensure!(
            base_offset >= 0,
            "partition {partition} acknowledged a batch without an offset"
        );
        Ok(base_offset)
    }
}

/// Kafka's sequence number, which begins at 0 again behind the largest that fits in 31 bits.
fn wire_sequence(sequence: u64) -> i32 {
    (sequence & 0x7fff_ffff) as i32
}

fn unix_milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_keeps_the_rate() {
        for (rate, partitions) in [(200, 6), (1, 6), (10_000, 3), (1, 1)] {
            let pace = Pace::new(rate, partitions);
            let rate_of_all = pace.count as f64 / pace.period.as_secs_f64() * f64::from(partitions);
            assert!((rate_of_all - f64::from(rate)).abs() < 0.001, "{pace:?}");
        }
        assert_eq!(Pace::new(200, 6), Pace { count: 2, period: Duration::from_millis(60) });
    }

    #[test]
    fn sequence_numbers_begin_again() {
        assert_eq!(wire_sequence(5), 5);
        assert_eq!(wire_sequence(i32::MAX as u64), i32::MAX);
        assert_eq!(wire_sequence(i32::MAX as u64 + 1), 0);
    }
}
