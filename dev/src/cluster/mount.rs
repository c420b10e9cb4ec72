//! What is mounted on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::{command, run};

/// One mount.
#[derive(Debug, PartialEq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) path: PathBuf,
    /// The kind of file system: `xfs`, `cgroup2`.
    pub(crate) kind: String,
    /// What is mounted: `/dev/loop3`.
    pub(crate) source: String,
}

/// Every mount, in the order in which they were made.
pub(crate) fn all() -> anyhow::Result<Vec<Mount>> {
    let table = fs::read_to_string("/proc/self/mountinfo")
        .context("could not read the mounts from /proc/self/mountinfo")?;
    Ok(table.lines().filter_map(parse).collect())
}

/// What is mounted exactly here, if anything is.
pub(crate) fn at(path: &Path) -> anyhow::Result<Option<Mount>> {
    Ok(all()?.into_iter().rev().find(|mount| mount.path == path))
}

/// Unmounts everything under a folder, the newest first.
pub(crate) fn unmount_under(folder: &Path) -> anyhow::Result<()> {
    for mount in all()?.into_iter().rev().filter(|mount| mount.path.starts_with(folder)) {
        // Lazily: what still holds a file open has been killed and lets go by itself.
        run(command("umount", ["--lazy"]).arg(&mount.path))?;
    }
    Ok(())
}

fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    Some(Mount {
        path: PathBuf::from(unescape(before.split(' ').nth(4)?)),
        kind: after.next()?.to_owned(),
        source: unescape(after.next()?),
    })
}

/// The kernel writes space, tab, newline and backslash as octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_is_understood() {
        let line = "36 35 98:0 /mnt1 /mnt/two\\040words rw,noatime master:1 - xfs /dev/loop3 rw";
        let expected = Mount {
            path: PathBuf::from("/mnt/two words"),
            kind: "xfs".to_owned(),
            source: "/dev/loop3".to_owned(),
        };
        assert_eq!(parse(line), Some(expected));
    }
}
