//! The readers of one partition: one that follows the writer, and one that reads all at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ottla_kafka::{FetchOptions, Fetched, Isolation, OffsetAt};
use tokio::sync::watch;

use crate::client::{Client, PAUSE};
use crate::reading::Reading;
use crate::verification::{Partition, Verification};

/// How long the last reader may get no further before it gives up: longer than nodes take to come
/// back, so that a cluster that is just mending is not called broken.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// Reads one partition.
pub(crate) struct Reader {
    /// The way to the cluster.
    pub(crate) client: Client,
    /// The run.
    pub(crate) verification: Arc<Verification>,
    /// The partition.
    pub(crate) partition: Partition,
    /// Where this run's records begin.
    pub(crate) base_offset: i64,
}

/// What the last reader saw, and why it saw no more.
pub(crate) struct LastReading {
    /// What it saw.
    pub(crate) reading: Reading,
    /// Why it did not reach the end.
    pub(crate) gave_up: Option<anyhow::Error>,
}

impl Reader {
    /// A reader of the records that are written from now on. Asks where those begin for as long as
    /// it takes.
    pub(crate) async fn new(
        client: &Client,
        verification: &Arc<Verification>,
        partition: &Partition,
    ) -> Self {
        let mut reader = Self {
            client: client.clone(),
            verification: Arc::clone(verification),
            partition: partition.clone(),
            base_offset: 0,
        };
        loop {
            match reader.offset(OffsetAt::Latest).await {
                Ok(offset) => {
                    reader.base_offset = offset;
                    return reader;
                }
                Err(error) => reader.pause_after(&error).await,
            }
        }
    }

    /// Follows the writer until told to stop.
    pub(crate) async fn follow(&self, mut stop: watch::Receiver<bool>) {
        let mut next = self.base_offset;
        loop {
            let fetched = tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => return,
                fetched = self.fetch(next) => fetched,
            };
            let tail = |fetched| self.partition.books().tail.take(&self.partition.source, &fetched);
            match fetched.and_then(|fetched| Ok(tail(fetched)?)) {
                Ok(end) => next = end,
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    /// Reads all of this run's records.
    pub(crate) async fn read_all(&self) -> LastReading {
        let mut reading = Reading::default();
        let gave_up = self.read_into(&mut reading).await.err();
        LastReading { reading, gave_up }
    }

    async fn read_into(&self, reading: &mut Reading) -> anyhow::Result<()> {
        let (mut next, end) = self.persist(async || self.bounds().await).await?;
        while next < end {
            next = self
                .persist(async || {
                    let fetched = self.fetch(next).await?;
                    let end = reading.take(&self.partition.source, &fetched)?;
                    anyhow::ensure!(end > next, "{} has nothing at offset {next}", self.name());
                    Ok(end)
                })
                .await?;
        }
        reading.finish();
        Ok(())
    }

    /// Where the last reader begins and ends. Kafka names no end before it is sure of one, so all
    /// that was ever acknowledged is below.
    async fn bounds(&self) -> anyhow::Result<(i64, i64)> {
        let earliest = self.offset(OffsetAt::Earliest).await?;
        Ok((earliest.max(self.base_offset), self.offset(OffsetAt::Latest).await?))
    }

    async fn offset(&self, at: OffsetAt) -> anyhow::Result<i64> {
        let (topic, partition) = (self.verification.topic(), self.partition.source.partition);
        let found =
            self.client.cluster().offset(topic, partition, at, Isolation::ReadUncommitted).await;
        let found = found.with_context(|| format!("cannot find the bounds of {}", self.name()))?;
        found.with_context(|| format!("{} has no offsets", self.name()))
    }

    async fn fetch(&self, offset: i64) -> anyhow::Result<Fetched> {
        let (topic, partition) = (self.verification.topic(), self.partition.source.partition);
        let fetched =
            self.client.cluster().fetch(topic, partition, offset, &FetchOptions::default()).await;
        fetched.with_context(|| format!("cannot read {} from offset {offset}", self.name()))
    }

    /// Tries until it works, or for as long as is bearable.
    async fn persist<T>(
        &self,
        mut work: impl AsyncFnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        loop {
            match work().await {
                Err(error) if began.elapsed() < STANDSTILL_MAX => self.pause_after(&error).await,
                outcome => return outcome,
            }
        }
    }

    async fn pause_after(&self, error: &anyhow::Error) {
        tracing::warn!("not read: {error:#}");
        self.verification.failed(error);
        tokio::time::sleep(PAUSE).await;
    }

    fn name(&self) -> String {
        format!("partition {}", self.partition.source.partition)
    }
}
