//! The operator's own pod: found, and killed.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt as _};

const NAMESPACE: &str = "ottla-system";
/// What its process is called, in its image and so in the table of processes.
const PROGRAM: &[u8] = b"/ottla-operator";

fn api(client: &Client) -> Api<Pod> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn pods(client: &Client) -> anyhow::Result<Vec<Pod>> {
    let operator = ListParams::default().labels("app.kubernetes.io/component=operator");
    Ok(api(client).list(&operator).await?.items)
}

/// Kills it without a chance to say goodbye, pod and all.
pub(crate) async fn kill(client: &Client) -> anyhow::Result<()> {
    let pods = pods(client).await?;
    ensure!(!pods.is_empty(), "there is no operator in {NAMESPACE}");
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    for pod in pods {
        api(client).delete(&pod.name_any(), &at_once).await?;
    }
    Ok(())
}

/// Its process, where nodes are processes of this machine.
pub(crate) fn process() -> anyhow::Result<u32> {
    let processes = fs::read_dir("/proc")?.flatten();
    let mut found = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_operator = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next() == Some(PROGRAM)
    };
    found.find(is_operator).context("the operator is no process of this machine")
}

/// Kills a process at once.
pub(crate) fn kill_process(id: u32) -> anyhow::Result<()> {
    let status = Command::new("kill").args(["-9", &id.to_string()]).status()?;
    ensure!(status.success(), "process {id} could not be killed");
    Ok(())
}
