//! The cluster by kind, for machines with Docker.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::cluster::kubectl::Kubectl;
use crate::command::{command, run};
use crate::step;

/// What kind calls the cluster.
const NAME: &str = "ottla-dev";

/// Raises the cluster, unless it is there.
pub(crate) fn up() -> anyhow::Result<()> {
    let kubeconfig = kubeconfig()?;
    if let Some(folder) = kubeconfig.parent() {
        fs::create_dir_all(folder)?;
    }
    if exists()? {
        run(command("kind", ["export", "kubeconfig", "--name", NAME, "--kubeconfig"])
            .arg(&kubeconfig))?;
    } else {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kind-config.yaml");
        step::run("kind create cluster", || {
            run(command("kind", ["create", "cluster", "--wait=180s", "--name", NAME, "--config"])
                .arg(&config)
                .arg("--kubeconfig")
                .arg(&kubeconfig))
        })?;
    }
    kubectl()?.apply(include_str!("../../manifests/storage-kind.yaml"))
}

/// Drops the cluster.
pub(crate) fn down() -> anyhow::Result<()> {
    step::run("kind delete cluster", || {
        run(command("kind", ["delete", "cluster", "--name", NAME, "--kubeconfig"])
            .arg(kubeconfig()?))
    })?;
    Ok(())
}

/// Brings the archives onto every node.
pub(crate) fn load(archives: &[PathBuf]) -> anyhow::Result<()> {
    for archive in archives {
        run(command("kind", ["load", "image-archive", "--name", NAME]).arg(archive))?;
    }
    Ok(())
}

/// How to call kubectl here: the one of the machine.
pub(crate) fn kubectl() -> anyhow::Result<Kubectl> {
    Ok(Kubectl { program: "kubectl".into(), applet: None, kubeconfig: kubeconfig()? })
}

fn kubeconfig() -> anyhow::Result<PathBuf> {
    Ok(cache::root()?.join("kind").join("kubeconfig"))
}

fn exists() -> anyhow::Result<bool> {
    Ok(run(&mut command("kind", ["get", "clusters"]))?.lines().any(|name| name == NAME))
}
