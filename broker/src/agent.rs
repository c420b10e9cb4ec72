//! The agent's loop: takes events, asks `supervisor.rs` what to do, does it. It decides nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_crds::agent::FormatRequest;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::format::{self, Formatter};
use crate::former_log;
use crate::java::Kafka;
use crate::node::Node;
use crate::probe;
use crate::process::Process;
use crate::process::reaper::Reaper;
use crate::quorum_state;
use crate::running::Running;
use crate::sentence::chain;
use crate::server::Published;
use crate::shutdown;
use crate::supervisor::format::FormatAnswer;
use crate::supervisor::{Command, Event, State};
use crate::tls::Identity;

/// How often the loop says that it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// What reaches the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// Something has happened.
    Event(Event),
    /// The operator asks for a format, and waits.
    Format {
        /// What it asks.
        request: FormatRequest,
        /// Where the answer goes.
        reply: oneshot::Sender<FormatAnswer>,
    },
}

/// What the loop works with.
pub(crate) struct Agent {
    /// The node.
    pub(crate) node: Arc<Node>,
    /// Its Kafka.
    pub(crate) kafka: Kafka,
    /// The mount table.
    pub(crate) mount_table: PathBuf,
    /// Folder of the certificates.
    pub(crate) tls_folder: PathBuf,
    /// Ports of the node's own listeners.
    pub(crate) ports: probe::Ports,
    /// Starts processes.
    pub(crate) reaper: Arc<Reaper>,
    /// The process that runs.
    pub(crate) running: Running,
    /// Sends to the loop itself.
    pub(crate) messages: mpsc::Sender<Message>,
    /// The state for the servers.
    pub(crate) published: watch::Sender<Published>,
    /// The state.
    pub(crate) state: State,
    /// The task that asks Kafka.
    pub(crate) probing: Option<AbortHandle>,
}

/// The state as the servers see it.
pub(crate) fn publish(state: &State) -> Published {
    Published { status: state.status(), ready: state.is_ready(), at: Instant::now() }
}

impl Agent {
    /// Runs until the node has ended, and says with which code.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> u8 {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.look(Duration::ZERO);
        loop {
            tokio::select! {
                message = inbox.recv() => {
                    let Some(message) = message else { return 1 };
                    if let Some(code) = self.take(message) {
                        return code;
                    }
                }
                _ = beat.tick() => {}
            }
            self.published.send_replace(publish(&self.state));
        }
    }

    /// Takes one message in; an exit code ends the loop.
    fn take(&mut self, message: Message) -> Option<u8> {
        let (event, mut reply) = match message {
            Message::Event(event) => (event, None),
            Message::Format { request, reply } => (Event::FormatAsked(request), Some(reply)),
        };
        let before = self.state.status();
        let (state, commands) = self.state.clone().step(event);
        self.state = state;
        let after = self.state.status();
        let reason = after.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        if before.state != after.state {
            tracing::info!("{:?}{reason}", after.state);
        } else if before.reason != after.reason {
            match after.jvm {
                None => tracing::info!("{:?}{reason}", after.state),
                Some(_) => tracing::debug!("{:?}{reason}", after.state),
            }
        }
        for command in commands {
            match command {
                Command::Exit(code) => return Some(code),
                Command::Answer(answer) => {
                    tracing::info!("asked to format: {answer:?}");
                    let _asker_gone = reply.take().map(|reply| reply.send(answer));
                }
                other => self.execute(other),
            }
        }
        None
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Look { after_seconds } => self.look(Duration::from_secs(after_seconds)),
            Command::Format(request) => self.format(request),
            Command::StartJvm => self.start_jvm(),
            Command::Hold { seconds } => {
                let hold = shutdown::hold(self.ports.metrics);
                let limit = Duration::from_secs(seconds);
                self.later(async move {
                    let _still_stopping = timeout(limit, hold).await;
                    Event::HoldEnded
                });
            }
            Command::Terminate => {
                self.stop_probing();
                self.running.signal(Signal::TERM);
            }
            Command::Kill => {
                tracing::warn!("it did not stop in time and is killed");
                self.running.signal(Signal::KILL);
            }
            Command::ArmDeadline { seconds } => self.later(async move {
                sleep(Duration::from_secs(seconds)).await;
                Event::DeadlinePassed
            }),
            Command::Exit(_) | Command::Answer(_) => {}
        }
    }

    /// A Kafka that is stopping has no time for questions.
    fn stop_probing(&mut self) {
        if let Some(probing) = self.probing.take() {
            probing.abort();
        }
    }

    /// Reports an event once it has come about.
    fn later(&self, event: impl Future<Output = Event> + Send + 'static) {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let _ending = messages.send(Message::Event(event.await)).await;
        });
    }

    fn look(&self, after: Duration) {
        let (node, mount_table) = (Arc::clone(&self.node), self.mount_table.clone());
        self.later(async move {
            sleep(after).await;
            Event::Looked(format::look(&node.volumes, &mount_table).await)
        });
    }

    fn format(&self, request: FormatRequest) {
        let formatter = Formatter {
            node: Arc::clone(&self.node),
            kafka: self.kafka.clone(),
            mount_table: self.mount_table.clone(),
            reaper: Arc::clone(&self.reaper),
            running: self.running.clone(),
        };
        self.later(async move {
            let result = formatter.format(&request).await.map_err(|error| chain(&error));
            let disks = format::look(&formatter.node.volumes, &formatter.mount_table).await;
            Event::FormatEnded { result, disks }
        });
    }

    fn start_jvm(&mut self) {
        let (process, event) = match self.spawn_jvm() {
            Ok(started) => started,
            Err(error) => {
                tracing::error!("cannot start Kafka: {}", chain(error.as_ref()));
                return self.later(async { Event::JvmNotStarted });
            }
        };
        self.running.set(process.clone());
        self.later(async { event });
        let running = self.running.clone();
        self.later(async move {
            let exit = process.ended().await;
            running.clear();
            tracing::info!("Kafka ended with {exit:?}");
            Event::JvmEnded(exit)
        });
    }

    /// Starts Kafka and the questions to it.
    fn spawn_jvm(&mut self) -> Result<(Process, Event), Box<dyn std::error::Error + Send + Sync>> {
        let document = &self.node.document;
        format::finish(&self.node.volumes)?;
        for volume in former_log::set_aside(&self.node.volumes, &document.metadata_volume)? {
            tracing::info!(
                "sets aside the metadata log that volume {volume} has from an earlier life of it"
            );
        }
        let metadata = self.node.volumes.iter().find(|one| one.name == document.metadata_volume);
        if let Some(volume) = metadata {
            match quorum_state::forget_own_vote(&volume.log, document.node_id) {
                Ok(true) => tracing::info!("takes its vote for itself back: another was elected"),
                Ok(false) => {}
                // Kafka needs the note, too, and may do without what was to be changed in it.
                Err(error) => tracing::warn!(
                    "could not look whom this node voted for, on volume {}: {error}",
                    volume.name
                ),
            }
        }
        let identity = Identity::read(&self.tls_folder)?;
        let event = Event::JvmStarted {
            at_seconds: jiff::Timestamp::now().as_second(),
            certificate: identity.leaf()?,
        };
        let arguments = self.kafka.server(&self.node)?;
        let (node, messages) = (Arc::clone(&self.node), self.messages.clone());
        self.probing = Some(probe::start(node, identity, self.ports, messages)?);
        let process = Process::start(&self.reaper, &self.kafka.java, &arguments)?;
        Ok((process, event))
    }
}
