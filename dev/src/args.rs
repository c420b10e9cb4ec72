//! The command line of `cargo dev`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Builds, raises, fills and drops what a developer of Ottla needs.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// One thing that `cargo dev` does.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Raise the local Kubernetes, or repair it where something is missing.
    Up,
    /// Drop the local Kubernetes with everything in it.
    Down,
    /// Print the nodes and what runs.
    Status,
    /// Print the path of the kubeconfig file of the local Kubernetes.
    Kubeconfig,
    /// Run kubectl against the local Kubernetes.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// What kubectl is given.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Bring OCI archives onto every node that does not have them yet.
    Load {
        /// The archives.
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Build container images as OCI archives, without a container engine.
    Image(crate::image::ImageArgs),
    /// Bring the operator into the local Kubernetes: images, then the plain manifests.
    Install,
    /// From nothing to records through a Kafka cluster.
    Demo,
    /// Measure, print lines `name value unit limit`, and fail when one falls short.
    Bench {
        /// What to measure.
        name: crate::bench::Bench,
    },
    /// Write anew which configuration keys each Kafka release can change while it runs.
    Keys,
    /// Write charts/plain anew from the Helm chart.
    Manifests,
    /// Check formatting and lints.
    Lint,
    /// Run everything that must hold.
    Test,
    /// Serve the claims of the storage class `local-disk`; started by `up`.
    #[command(hide = true)]
    Provisioner,
}
