//! `cargo dev`: builds the images without a container engine, and raises, fills
//! and drops a real Kubernetes of three nodes on this machine.

mod args;
mod bench;
mod cache;
mod cluster;
mod command;
mod demo;
mod helm;
mod image;
mod install;
mod keys;
mod oci;
mod packages;
mod step;
mod suite;
mod wait;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Task};

fn main() -> ExitCode {
    match perform(Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Up => cluster::up(),
        Task::Down => cluster::down(),
        Task::Status => cluster::status(),
        Task::Kubeconfig => cluster::print_kubeconfig(),
        Task::Kubectl { arguments } => cluster::kubectl(&arguments),
        Task::Load { archives } => cluster::load(&archives),
        Task::Image(arguments) => image::build(&arguments),
        Task::Install => install::install(),
        Task::Demo => demo::demo(),
        Task::Bench { name } => bench::bench(name),
        Task::Keys => keys::write(),
        Task::Manifests => helm::write_plain(),
        Task::Lint => suite::lint(),
        Task::Test => suite::test(),
        Task::Provisioner => cluster::provision(),
    }
}
