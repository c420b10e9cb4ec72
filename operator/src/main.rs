//! The operator's program: arguments, logs, and a runtime.

use std::process::ExitCode;

use clap::Parser;
use ottla_operator::args::Args;
use ottla_operator::start::start;
use ottla_operator::telemetry;

/// The operator waits more than it computes.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build();
    let (Ok(runtime), Ok(())) = (runtime, telemetry::start(args.log_format)) else {
        return ExitCode::FAILURE;
    };
    // A provider that is installed already is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match runtime.block_on(start(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = telemetry::error_chain(&error), "the operator ended");
            ExitCode::FAILURE
        }
    }
}
