//! Shows whether a Kafka cluster keeps what it acknowledged: one idempotent producer and one reader
//! per partition, and at the end a verdict on every single record.
//!
//! - [`content`], [`stretches`], [`ledger`], [`reading`], [`check`]: what was sent, acknowledged and
//!   read, and the judgement on it. Pure; start with [`check`].
//! - [`client`], [`topic`], [`write`], [`read`]: the cluster under test.
//! - [`verification`], [`run`], [`verdict`], [`server`]: a run from its start to its verdict, and
//!   how others see it.

mod args;
mod check;
mod client;
mod content;
mod ledger;
mod read;
mod reading;
mod run;
mod server;
mod stretches;
mod topic;
mod verdict;
mod verification;
mod write;

use std::process::ExitCode;

use clap::Parser as _;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Args, Task};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Args { task: Task::Run(arguments) } = Args::parse();
    // Whatever the client asks again is part of a wait that somebody may want to explain.
    let told = Targets::new().with_default(Level::INFO).with_target("ottla_kafka", Level::DEBUG);
    tracing_subscriber::registry().with(layer().with_ansi(false)).with(told).init();
    match run::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
