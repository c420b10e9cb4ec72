//! Stopping: the signals that ask for it, a controller's wait for brokers, and the way out after a
//! defect of the agent.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::agent::Message;
use crate::probe::metrics::Metrics;
use crate::running::Running;
use crate::supervisor::Event;

/// How often a controller looks whether brokers are still stopping.
const HOLD_PAUSE: Duration = Duration::from_millis(500);
/// When everything is deleted at once, brokers are told to stop at about the same time as their
/// controllers and need a moment until the cluster knows of it.
const HOLD_MIN: Duration = Duration::from_secs(2);
/// The signals that ask the agent to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Watches for them from now on: without this the kernel does not deliver them to process 1.
    pub(crate) fn watch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// Reports each of them.
    pub(crate) async fn report(mut self, messages: mpsc::Sender<Message>) -> io::Result<()> {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            let _ending = messages.send(Message::Event(Event::StopAsked)).await;
            // Afterwards, as nobody may be reading the log any more.
            tracing::info!("told to stop by {name}");
        }
    }
}

/// Waits while any broker of the cluster is in controlled shutdown, which needs a controller:
/// without one it lasts five minutes. Each controller knows every broker's state from the
/// metadata log and shows it in its metrics; what they told last holds while they do not answer.
pub(crate) async fn hold(metrics_port: u16) {
    let began = Instant::now();
    let mut stopping = 0;
    while stopping > 0 || began.elapsed() < HOLD_MIN {
        match Metrics::scrape(metrics_port).await {
            Ok(metrics) => stopping = metrics.brokers_stopping().unwrap_or_default(),
            Err(error) => tracing::debug!("no metrics: {error}"),
        }
        sleep(HOLD_PAUSE).await;
    }
}

/// Stops the process that runs, when the loop that should have done it is gone.
pub(crate) async fn stop_running(running: &Running, limit: Duration) {
    let Some(process) = running.get() else { return };
    process.signal(rustix::process::Signal::TERM);
    if timeout(limit, process.ended()).await.is_err() {
        process.signal(rustix::process::Signal::KILL);
        process.ended().await;
    }
}
