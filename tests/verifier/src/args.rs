//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ottla_kafka::Endpoint;

/// Shows whether a Kafka cluster keeps what it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "ottla-verifier", version, about)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Write and read until GET /stop, then read all again and judge
    Run(RunArgs),
}

/// One run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Brokers to start from, as host:port, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) bootstrap: Vec<Endpoint>,

    /// File with the CA certificates to trust, as PEM; speaks TLS where given, else plain
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,

    /// Topic to write to, created where absent; what it holds already is left out of the check
    #[arg(long)]
    pub(crate) topic: String,

    /// Partitions of the topic
    #[arg(long, default_value = "6", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) partitions: i32,

    /// Replicas of each partition; with 3 of them min.insync.replicas is 2
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(i16).range(1..=100))]
    pub(crate) replicas: i16,

    /// Records a second over all partitions
    #[arg(long, default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,

    /// Address for GET /progress and GET /stop
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bootstrap_and_topic_are_needed() {
        let Task::Run(run) =
            Args::parse_from(["ottla-verifier", "run", "--bootstrap=a:1,b:2", "--topic=t"]).task;
        assert_eq!(run.bootstrap, [Endpoint::new("a", 1), Endpoint::new("b", 2)]);
        assert_eq!((run.partitions, run.replicas, run.rate), (6, 3, 200));
    }
}
