//! A broker cut off from the others' inter-broker listeners by a rule of the firewall in its pod's
//! own network: it goes on speaking to the controllers, and gets no records any more.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Kafka's inter-broker listener.
const REPLICATION_PORT: &str = "9091";

/// A rule that holds until it is lifted or its pod is gone.
pub(crate) struct Cut {
    process: u32,
}

impl Cut {
    /// Cuts the pod of this UID off, as soon as a process of it runs; `None` while none does.
    pub(crate) fn off(pod: &str, uid: &str) -> anyhow::Result<Option<Self>> {
        let Some(process) = process_of(pod, uid)? else { return Ok(None) };
        rule(process, "--insert")?;
        Ok(Some(Self { process }))
    }

    /// How many packets it has dropped.
    pub(crate) fn dropped(&self) -> anyhow::Result<u64> {
        let listed = Command::new("nsenter")
            .args(["--target", &self.process.to_string(), "--net", "iptables", "--wait"])
            .args(["--list", "OUTPUT", "--verbose", "--exact", "--numeric"])
            .output()
            .context("nsenter could not be started")?;
        let text = String::from_utf8_lossy(&listed.stdout);
        let rule = text.lines().find(|line| line.contains("DROP"));
        let packets = rule.and_then(|line| line.split_whitespace().next()?.parse().ok());
        packets.with_context(|| format!("the rule is not there: {text}"))
    }

    /// Lets it through again.
    pub(crate) fn lift(self) -> anyhow::Result<()> {
        rule(self.process, "--delete")
    }
}

fn rule(process: u32, what: &str) -> anyhow::Result<()> {
    let status = Command::new("nsenter")
        .args(["--target", &process.to_string(), "--net", "iptables", "--wait", what, "OUTPUT"])
        // What a pod says to itself, as its agent does, goes through its loopback.
        .args(["!", "--out-interface", "lo", "--protocol", "tcp"])
        .args(["--dport", REPLICATION_PORT, "--jump", "DROP"])
        .status()
        .context("nsenter could not be started")?;
    ensure!(status.success(), "iptables {what} failed in the network of process {process}");
    Ok(())
}

/// A process of the pod of this UID, which the kubelet names its control group after. The hostname alone
/// would not do: another pod had it before, whose processes outlive it when it is deleted by force. The
/// control group alone neither: a process is in it before it is in the pod's network.
fn process_of(pod: &str, uid: &str) -> anyhow::Result<Option<u32>> {
    let group = format!("/pod{uid}/");
    let hostname = format!("HOSTNAME={pod}").into_bytes();
    let processes = fs::read_dir("/proc")?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids.find(|id| {
        let groups = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        groups.contains(&group) && environment.split(|byte| *byte == 0).any(|one| one == hostname)
    }))
}
