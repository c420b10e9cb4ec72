//! Finding and ending processes without ever hitting a stranger's.
//!
//! A process is ours because it carries our mark in its environment or sits in
//! one of our cgroups: the process table is the record. So nothing is forgotten
//! when `up` is interrupted, and a number that the system gave to another
//! process since is no danger: the process is held by a descriptor while it is
//! looked at once more, and the signal goes to the descriptor.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::wait;

/// Time for a killed process to be gone; more means that it hangs in the kernel.
const DEATH: Duration = Duration::from_secs(20);

/// The numbers of all processes.
pub(crate) fn all() -> anyhow::Result<Vec<i32>> {
    let entries = fs::read_dir("/proc").context("could not list the processes in /proc")?;
    Ok(entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
        .collect())
}

/// The environment a process was started with; empty for one that has ended.
pub(crate) fn environment(pid: i32) -> BTreeMap<String, String> {
    let content = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    content
        .split(|byte| *byte == 0)
        .filter_map(|entry| OsStr::from_bytes(entry).to_str()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether the process runs this binary, and not what starts it.
pub(crate) fn runs(pid: i32, binary: &Path) -> bool {
    let resolved = fs::canonicalize(binary).unwrap_or_else(|_| binary.to_owned());
    let running = fs::read_link(format!("/proc/{pid}/exe"));
    running.is_ok_and(|running| running.file_name() == resolved.file_name())
}

/// Whether the process leads a session, as everything we start in the background does.
pub(crate) fn leads_session(pid: i32) -> bool {
    stat_field(pid, 6).is_some_and(|session| session == pid.to_string())
}

/// Resident memory, in kibibytes.
pub(crate) fn resident_kibibytes(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether any of the process's cgroups satisfies `test`.
pub(crate) fn in_cgroup(pid: i32, test: impl Fn(&str) -> bool) -> bool {
    let content = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    content.lines().filter_map(|line| line.splitn(3, ':').nth(2)).any(test)
}

/// Sends a signal to a process for which `is_ours` still holds.
pub(crate) fn signal(pid: i32, signal: Signal, is_ours: impl Fn(i32) -> bool) {
    let Some(number) = Pid::from_raw(pid) else { return };
    // No descriptor, or no delivery: the process has ended, which is what a signal is for.
    let Ok(descriptor) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if is_ours(pid) {
        let _ = pidfd_send_signal(descriptor, signal);
    }
}

/// Kills all processes for which `is_ours` holds, and those that they start meanwhile.
pub(crate) fn kill_all(what: &str, is_ours: impl Fn(i32) -> bool) -> anyhow::Result<()> {
    wait::until(&format!("the end of {what}"), DEATH, || {
        let ours: Vec<i32> = all()?.into_iter().filter(|pid| is_ours(*pid)).collect();
        for pid in &ours {
            signal(*pid, Signal::KILL, &is_ours);
        }
        Ok(ours.is_empty())
    })
}

/// A field of `/proc/<pid>/stat`, counted from 1 as proc(5) does; the name may hold spaces.
fn stat_field(pid: i32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    after_name.split(' ').nth(number - 3).map(str::to_owned)
}
