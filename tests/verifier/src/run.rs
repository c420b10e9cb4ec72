//! A run from its start to its verdict.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::args::RunArgs;
use crate::client::Client;
use crate::read::Reader;
use crate::server;
use crate::topic;
use crate::verdict::Verdict;
use crate::verification::Verification;
use crate::write::{Pace, Writer};

/// How long the last batches may take to be acknowledged once the run is to end: longer than all
/// nodes of a small cluster take to start.
const LAST_BATCHES_MAX: Duration = Duration::from_secs(120);

/// Runs until the program is told to end. With a verdict it stays, to be asked for it.
pub(crate) async fn run(arguments: RunArgs) -> anyhow::Result<()> {
    // The first process of a container gets no signal that it does not wait for.
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let verification = Arc::new(Verification::new(&arguments.topic, arguments.partitions));
    let (stop, stopped) = watch::channel(false);
    let (judge, verdict) = watch::channel(None);
    let shown = server::Run { verification: Arc::clone(&verification), stop, verdict };
    let work = async {
        let verdict = verify(&arguments, &verification, stopped).await?;
        judge.send_replace(Some(Arc::new(verdict)));
        std::future::pending().await
    };
    tokio::select! {
        served = server::serve(listener, shown) => served.context("cannot answer any more"),
        failed = work => failed,
        _ = terminate.recv() => Ok(()),
    }
}

/// Writes and reads until told to stop, then reads all again.
async fn verify(
    arguments: &RunArgs,
    verification: &Arc<Verification>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Verdict> {
    let client = Client::new(arguments)?;
    let mut stopped_early = stop.clone();
    let readers = tokio::select! {
        biased;
        _ = stopped_early.wait_for(|stopped| *stopped) => Vec::new(),
        readers = prepare(&client, arguments, verification) => readers?,
    };
    let (run, topic) = (verification.run(), verification.topic());
    tracing::info!(run, topic, partitions = readers.len(), "the run begins");
    write_and_follow(&client, &readers, Pace::new(arguments.rate, arguments.partitions), stop)
        .await;
    tracing::info!("the run ends, all is read again");
    let readings = join_all(readers.iter().map(Reader::read_all)).await;
    let verdict = Verdict::of(verification, &readings);
    tracing::info!(ok = verdict.ok, "{verdict:?}");
    Ok(verdict)
}

/// Sees to the topic, and notes where it ends before anything is written.
async fn prepare(
    client: &Client,
    arguments: &RunArgs,
    verification: &Arc<Verification>,
) -> anyhow::Result<Vec<Reader>> {
    topic::prepare(client, arguments, verification).await?;
    let partitions = verification.partitions().iter();
    let readers = partitions.map(|partition| Reader::new(client, verification, partition));
    Ok(join_all(readers).await)
}

/// Ends once told to stop and the last batches are acknowledged, or will not be.
async fn write_and_follow(
    client: &Client,
    readers: &[Reader],
    pace: Pace,
    stop: watch::Receiver<bool>,
) {
    let writers = join_all(readers.iter().map(|reader| {
        let writer = Writer {
            client: client.clone(),
            verification: Arc::clone(&reader.verification),
            partition: reader.partition.clone(),
        };
        writer.run(pace, stop.clone())
    }));
    let mut stopped = stop.clone();
    let bounded_writers = async {
        let too_late = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
            tokio::time::sleep(LAST_BATCHES_MAX).await;
        };
        tokio::select! {
            _ = writers => {}
            () = too_late => tracing::warn!("the last batches were not all acknowledged in time"),
        }
    };
    let followers = join_all(readers.iter().map(|reader| reader.follow(stop.clone())));
    tokio::join!(bounded_writers, followers);
}
