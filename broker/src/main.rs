//! The agent that is process 1 in every Kafka pod. It looks at the disks, has them formatted on the
//! operator's word and never otherwise, runs one JVM, says how the node is, and stops it cleanly.
//!
//! Read `supervisor.rs` first: every decision is there. `agent.rs` carries them out.

mod agent;
mod args;
mod disks;
mod format;
mod former_log;
mod java;
mod node;
mod probe;
mod process;
mod properties;
mod quorum_state;
mod role;
mod running;
#[cfg(test)]
mod scratch;
mod sentence;
mod server;
mod shutdown;
mod supervisor;
mod telemetry;
mod tls;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use tokio::sync::{mpsc, watch};

use agent::Agent;
use args::Args;
use node::Node;
use process::reaper::{self, Reaper};
use running::Running;
use server::{Operator, listener::TlsListener};
use supervisor::State;

/// Messages that may wait for the loop.
const INBOX: usize = 64;
/// The longest that leftover tasks may hold up the end.
const LEFTOVERS_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::start();
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!("cannot start: {error}");
                return ExitCode::FAILURE;
            }
        };
    let code = runtime.block_on(run(args)).unwrap_or_else(|error| {
        tracing::error!("cannot start: {}", sentence::chain(error.as_ref()));
        1
    });
    runtime.shutdown_timeout(LEFTOVERS_MAX);
    ExitCode::from(code)
}

/// Puts the parts together and runs them until the node has ended.
async fn run(args: Args) -> Result<u8, Box<dyn Error + Send + Sync>> {
    let signals = shutdown::Signals::watch()?;
    let node = Arc::new(Node::load(&args.config_folder, &args.volumes_folder)?);
    let (messages, inbox) = mpsc::channel(INBOX);
    let image_release = node::image_release(&args.kafka_home);
    let state = State::new(Arc::new(node.document.clone()), image_release);
    let (published, seen) = watch::channel(agent::publish(&state));
    let operator = Operator {
        seen: seen.clone(),
        messages: messages.clone(),
        name: node.document.operator_name.as_str().into(),
    };
    let (reaper, running) = (Arc::new(Reaper::default()), Running::default());
    let tls = TlsListener::new(server::bind(args.agent_port).await?, args.tls_folder.clone());
    background("probes", server::probes(server::bind(args.probe_port).await?, seen));
    background("operator", server::operator(tls, operator));
    background("reaper", reaper::run(Arc::clone(&reaper)));
    background("signals", signals.report(messages.clone()));
    let shutdown_max = Duration::from_secs(node.document.shutdown_seconds);
    let agent = Agent {
        kafka: java::Kafka::at(&args),
        mount_table: args.mount_table.clone(),
        tls_folder: args.tls_folder.clone(),
        ports: probe::Ports::of(&args),
        node,
        reaper,
        running: running.clone(),
        messages,
        published,
        state,
        probing: None,
    };
    // The loop runs in a task of its own, so that a panic in it leaves somebody to stop the JVM.
    match tokio::spawn(agent.run(inbox)).await {
        Ok(code) => Ok(code),
        Err(_) => {
            tracing::error!("the agent's loop broke down; the node is stopped");
            shutdown::stop_running(&running, shutdown_max).await;
            Ok(1)
        }
    }
}

/// Runs something that never ends, and says so if it does.
fn background(
    name: &'static str,
    task: impl Future<Output = std::io::Result<()>> + Send + 'static,
) {
    tokio::spawn(async move {
        if let Err(error) = task.await {
            tracing::error!("{name} ended: {error}");
        }
    });
}
