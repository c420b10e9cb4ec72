//! The operator's program: arguments, logs, and a runtime.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use ottla_operator::args::{Args, ClusterName, Command};
use ottla_operator::start::{explain, start};
use ottla_operator::telemetry;

/// The operator waits more than it computes.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    // A provider that is installed already is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match args.command.clone() {
        Some(Command::Explain { cluster }) => runtime.block_on(tell(&args, &cluster)),
        None => runtime.block_on(work(args)),
    }
}

async fn work(args: Args) -> ExitCode {
    if telemetry::start(args.log_format).is_err() {
        return ExitCode::FAILURE;
    }
    match start(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = telemetry::error_chain(&error), "the operator ended");
            ExitCode::FAILURE
        }
    }
}

/// Whoever closed the pipe has read enough.
async fn tell(args: &Args, cluster: &ClusterName) -> ExitCode {
    match explain(args, cluster).await {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}", telemetry::error_chain(&error));
            ExitCode::FAILURE
        }
    }
}
