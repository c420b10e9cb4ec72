//! What the operator writes, holds and uses while nothing changes.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Figure;
use crate::cluster::{self, kubectl::Kubectl};
use crate::{step, wait};

/// How long is looked.
const WINDOW: Duration = Duration::from_secs(300);

/// A cluster that became Ready a moment ago still has its last writes ahead.
const SETTLING: Duration = Duration::from_secs(30);

/// Who the operator is in the audit log.
const USER: &str = "system:serviceaccount:ottla-system:ottla";

/// The operator as the only process of that name on this machine.
const PROGRAM: &str = "/ottla-operator";

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let kubectl = cluster::connect()?;
    let clusters = ready_clusters(&kubectl)?;
    ensure!(clusters > 0, "there is no Ready KafkaCluster to rest: run `cargo dev demo` first");
    step::run("settle", || {
        wait::pause(SETTLING);
        Ok(())
    })?;
    let audit = cluster::audit_log()?;
    let process = operator()?;
    let (lines, ticks) = (fs::read_to_string(&audit)?.lines().count(), cpu_ticks(process)?);
    step::run("rest", || {
        wait::pause(WINDOW);
        Ok(())
    })?;
    let text = fs::read_to_string(&audit)?;
    let (leases, others) = writes(text.lines().skip(lines));
    let seconds = WINDOW.as_secs_f64();
    let cpu = (cpu_ticks(process)? - ticks) / ticks_per_second() / seconds * 1000.0;
    Ok(vec![
        Figure::new("rest_clusters", clusters as f64, "count"),
        Figure::new("rest_writes", others, "count").at_most(0.0),
        Figure::new("rest_lease_writes", leases, "count"),
        Figure::new("rest_resident", resident_megabytes(process)?, "MB").at_most(25.0),
        Figure::new("rest_cpu", cpu, "m").at_most(5.0),
    ])
}

fn ready_clusters(kubectl: &Kubectl) -> anyhow::Result<usize> {
    let text = kubectl.run("get kafkaclusters --all-namespaces --output=json")?;
    let list: Value = serde_json::from_str(&text)?;
    let is_ready = |cluster: &&Value| {
        let conditions = cluster["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    Ok(list["items"].as_array().into_iter().flatten().filter(is_ready).count())
}

/// Writes of leases, and all others, as the API server saw them; refused ones and those without
/// effect count.
fn writes<'a>(lines: impl Iterator<Item = &'a str>) -> (f64, f64) {
    let (mut leases, mut others) = (0.0, 0.0);
    for event in lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let writes = matches!(
            event["verb"].as_str(),
            Some("create" | "update" | "patch" | "delete" | "deletecollection")
        );
        if event["user"]["username"] != USER || event["stage"] != "ResponseComplete" || !writes {
            continue;
        }
        if event["objectRef"]["resource"] == "leases" {
            leases += 1.0;
        } else {
            others += 1.0;
        }
    }
    (leases, others)
}

fn operator() -> anyhow::Result<u32> {
    let processes = fs::read_dir("/proc")?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).next() == Some(PROGRAM.as_bytes())
        })
        .context("the operator does not run on this machine")
}

fn cpu_ticks(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Fields are counted after the name, which may hold anything but ends with the last bracket.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = (field(11), field(12));
    user.zip(system).map(|(user, system)| user + system).context("no times in /proc")
}

/// Linux counts process times in hundredths of a second on every machine that we know.
fn ticks_per_second() -> f64 {
    100.0
}

fn resident_megabytes(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kibibytes: f64 = line.split_whitespace().nth(1).context("no VmRSS")?.parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
