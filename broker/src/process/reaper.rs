//! The duty of process 1: orphans that end become its children and stay as zombies until it waits
//! for them. Tokio waits for the agent's own children by their ids; taking one of those away would
//! lose its exit code. So only zombies that the agent did not start are waited for.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Knows which children are the agent's own.
#[derive(Debug, Default)]
pub(crate) struct Reaper {
    own: Mutex<HashSet<i32>>,
}

impl Reaper {
    /// Starts a child that is the agent's own. The lock is held over the start, so that a child
    /// that ends at once is not mistaken for an orphan.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut own = self.lock();
        let child = command.spawn()?;
        own.extend(child.id().and_then(|id| i32::try_from(id).ok()));
        Ok(child)
    }

    /// The child was waited for: its id may come again, as an orphan's.
    pub(crate) fn forget(&self, pid: Pid) {
        self.lock().remove(&pid.as_raw_nonzero().get());
    }

    /// Waits for every orphan that has ended, and says how many they were.
    pub(crate) fn reap(&self) -> io::Result<usize> {
        let own = self.lock();
        let mut reaped = 0;
        for pid in zombie_children()? {
            if !own.contains(&pid.as_raw_nonzero().get())
                && waitpid(Some(pid), WaitOptions::NOHANG)?.is_some()
            {
                reaped += 1;
            }
        }
        Ok(reaped)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reaps whenever a child ends, for as long as the agent lives.
///
/// One signal may stand for several children, and a short wait lets a burst of them pass first.
/// The agent also takes the duty where it is not process 1, as in a pod that shares its process
/// namespace.
pub(crate) async fn run(reaper: Arc<Reaper>) -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let mut ended = signal(SignalKind::child())?;
    while ended.recv().await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match reaper.reap() {
            Ok(0) => {}
            Ok(reaped) => tracing::debug!("reaped {reaped} orphans"),
            Err(error) => tracing::warn!("cannot reap orphans: {error}"),
        }
    }
    Ok(())
}

/// Children of this process that have ended and were not waited for.
fn zombie_children() -> io::Result<Vec<Pid>> {
    let me = getpid().as_raw_nonzero().get();
    let mut zombies = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| Pid::from_raw(name.parse().ok()?)) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        if stat.is_ok_and(|stat| is_zombie_of(&stat, me)) {
            zombies.push(pid);
        }
    }
    Ok(zombies)
}

/// Whether a line of `/proc/PID/stat` tells of a zombie with this parent. The program's name, in
/// brackets, may itself hold brackets and spaces.
fn is_zombie_of(stat: &str, parent: i32) -> bool {
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let mut fields = fields.split(' ');
    fields.next() == Some("Z") && fields.next().and_then(|id| id.parse().ok()) == Some(parent)
}

#[cfg(test)]
mod tests {
    use super::is_zombie_of;

    #[test]
    fn zombies_are_told_by_state_and_parent() {
        assert!(is_zombie_of("42 (a) b (c)) Z 1 42 42 0", 1));
        assert!(!is_zombie_of("42 (sh) S 1 42 42 0", 1));
        assert!(!is_zombie_of("42 (sh) Z 7 42 42 0", 1));
        assert!(!is_zombie_of("nonsense", 1));
    }
}
