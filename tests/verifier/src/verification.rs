//! A run as its tasks share it: the books of each partition, and what went wrong last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_kafka::Class;

use crate::content::Source;
use crate::ledger::Ledger;
use crate::reading::Reading;

/// A run.
pub(crate) struct Verification {
    run: Arc<str>,
    topic: String,
    began: Instant,
    partitions: Vec<Partition>,
    last_error: Mutex<Option<String>>,
    retries: AtomicU64,
    given_up: Mutex<Vec<String>>,
}

/// One partition. A clone is the same.
#[derive(Clone)]
pub(crate) struct Partition {
    /// Which records it should hold.
    pub(crate) source: Source,
    books: Arc<Mutex<Books>>,
}

impl Partition {
    /// What is known of it.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }
}

/// What is known of one partition.
#[derive(Default)]
pub(crate) struct Books {
    /// What was written.
    pub(crate) ledger: Ledger,
    /// What the reader saw that follows the writer.
    pub(crate) tail: Reading,
}

impl Verification {
    /// A run that is to begin now, under a name of its own.
    pub(crate) fn new(topic: &str, partitions: i32) -> Self {
        let run: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let partitions = (0..partitions).map(|partition| Partition {
            source: Source { run: Arc::clone(&run), partition },
            books: Arc::default(),
        });
        Self {
            partitions: partitions.collect(),
            run,
            topic: topic.to_owned(),
            began: Instant::now(),
            last_error: Mutex::default(),
            retries: AtomicU64::default(),
            given_up: Mutex::default(),
        }
    }

    /// The name of the run.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// The topic.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The time since the run began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The partitions, in order.
    pub(crate) fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Notes what went wrong.
    pub(crate) fn failed(&self, error: &anyhow::Error) {
        *lock(&self.last_error) = Some(format!("{error:#}"));
    }

    /// Notes that a batch has to be sent again, and why.
    pub(crate) fn batch_failed(&self, error: &anyhow::Error) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        if ends_a_producer(error) {
            lock(&self.given_up).push(format!("{error:#}"));
        }
        self.failed(error);
    }

    /// What went wrong last.
    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    /// The errors at which another producer would have given a batch up.
    pub(crate) fn given_up(&self) -> Vec<String> {
        lock(&self.given_up).clone()
    }

    /// How many times a batch had to be sent again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// Whether Kafka's own producer would tell its user of an error and not try again, as where it does not trust a
/// broker. It does try again where it meets a topic that a broker does not know, or not yet.
fn ends_a_producer(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<ottla_kafka::Error>();
    error.is_some_and(|error| error.class() == Class::Fatal || error.is_refused_handshake())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
