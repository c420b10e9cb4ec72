//! The operator's own process: found and killed. Nodes of a local Kubernetes are no machines of
//! their own, so that whoever may raise one sees the processes in it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;

use super::exec::exec;
use super::stage::{Stage, say};

/// Where `cargo dev install` puts it.
const NAMESPACE: &str = "ottla-system";

/// What its pods carry.
const LABEL: &str = "app.kubernetes.io/name=ottla";

/// What it is called in its image, and so in the table of processes.
const PROGRAM: &[u8] = b"/ottla-operator";

/// Its process.
pub(crate) fn process() -> anyhow::Result<u32> {
    let processes = fs::read_dir("/proc")?.flatten();
    let mut found = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_operator = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next() == Some(PROGRAM) && words.next() != Some(b"explain")
    };
    found.find(is_operator).context("the operator is no process of this machine")
}

/// Kills it without a chance to say goodbye; Kubernetes starts another.
pub(crate) fn kill(process: u32) -> anyhow::Result<()> {
    let status = Command::new("kill").args(["-9", &process.to_string()]).status()?;
    ensure!(status.success(), "process {process} could not be killed");
    Ok(())
}

/// Kills its pod without a chance to say goodbye. Kubernetes makes another at once, and not after a
/// pause that grows with each death, as it does for a container.
pub(crate) async fn replace(client: &Client) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let of_operator = ListParams::default().labels(LABEL);
    pods.delete_collection(&at_once, &of_operator).await?;
    Ok(())
}

/// What it sees of a cluster, and what it would do next.
pub(crate) async fn explained(stage: &Stage, cluster: &str) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let all = pods.list(&ListParams::default().labels(LABEL)).await?.items;
    let mut stay = all.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let pod = stay.next().context("there is no operator")?;
    let name = format!("{}/{cluster}", stage.namespace);
    exec(&pods, &pod.name_any(), &["/ottla-operator", "explain", &name], "").await
}

/// Its figures of a namespace, as Prometheus reads them.
pub(crate) async fn figures(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services/ottla-metrics:http/proxy/metrics");
    let text = stage.client.request_text(Request::get(path).body(Vec::new())?).await?;
    let ours = format!("namespace=\"{}\"", stage.namespace);
    Ok(text.lines().filter(|line| line.contains(&ours)).map(str::to_owned).collect())
}

/// What it would do, by that.
pub(crate) fn left_to_do(explained: &str) -> Vec<&str> {
    explained.lines().filter(|line| line.starts_with("do ")).collect()
}

/// How often it is killed in the middle of something: now its process, which Kubernetes starts again at once, now
/// its pod. The next one has to wait until the lease of a pod that is gone is over, and then has some seconds to
/// do something.
const KILLED_EACH: Duration = Duration::from_secs(25);

/// The first time it has hardly begun.
const KILLED_AFTER: Duration = Duration::from_secs(5);

/// Does something while it dies again and again, and says how often it was killed.
pub(crate) async fn dies_during(
    client: &Client,
    of: &str,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let work = Box::pin(async {
        let done = work.await;
        stop.send_replace(true);
        done
    });
    let (done, killed) = tokio::join!(work, dies_again(client, stopped));
    done?;
    let killed = killed?;
    ensure!(killed > 0, "{of}: it was over before the operator was killed");
    say(&format!("{of}: the operator was killed {killed} times meanwhile"));
    Ok(())
}

/// Kills it again and again until told to stop; how often.
async fn dies_again(client: &Client, mut stopped: watch::Receiver<bool>) -> anyhow::Result<usize> {
    let mut killed = 0;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(killed),
            () = tokio::time::sleep(if killed == 0 { KILLED_AFTER } else { KILLED_EACH }) => {}
        }
        match process() {
            // Should it have ended just now, that is a death as well.
            Ok(process) if killed % 2 == 0 => drop(kill(process)),
            _ => replace(client).await?,
        }
        killed += 1;
    }
}
