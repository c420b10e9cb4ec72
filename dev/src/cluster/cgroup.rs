//! The cgroups of the nodes' pods.
//!
//! Each kubelet gets a root of its own below `/ottla-dev`: kubelets that share
//! one delete each other's pods.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::cluster::mount;
use crate::cluster::process;
use crate::cluster::state::KubernetesNode;
use crate::wait;

/// The cgroup that holds all of ours.
const ROOT: &str = "ottla-dev";

/// The controllers that a kubelet wants on a machine with cgroup v2, as far as the machine has
/// them: it refuses a root that lacks one of them which the machine offers.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// The cgroup of a node, as its kubelet is told.
pub(crate) fn of_node(node: &KubernetesNode) -> String {
    format!("/{ROOT}/{}", node.name)
}

/// Makes the cgroup of a node.
pub(crate) fn create(node: &KubernetesNode) -> anyhow::Result<()> {
    for hierarchy in limiting_hierarchies()? {
        let parent = hierarchy.join(ROOT);
        let child = parent.join(node.name);
        let failed = || format!("could not make the cgroup {}", child.display());
        if hierarchy.join("cgroup.controllers").exists() {
            share_controllers(&hierarchy).with_context(failed)?;
            make(&parent).with_context(failed)?;
            share_controllers(&parent).with_context(failed)?;
            make(&child).with_context(failed)?;
        } else {
            make(&parent).with_context(failed)?;
            copy_cpuset(&hierarchy, &parent).with_context(failed)?;
            make(&child).with_context(failed)?;
            copy_cpuset(&parent, &child).with_context(failed)?;
        }
    }
    Ok(())
}

/// Kills what runs in the cgroups of the nodes that match, and removes them.
pub(crate) fn remove(what: &str, matches: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let is_ours = |path: &str| {
        let mut parts = path.trim_start_matches('/').split('/');
        parts.next() == Some(ROOT) && parts.next().is_some_and(&matches)
    };
    process::kill_all(what, |pid| process::in_cgroup(pid, is_ours))?;
    // The runtime makes them in v2 too where both are mounted.
    for hierarchy in hierarchies("cgroup")?.into_iter().chain(hierarchies("cgroup2")?) {
        let root = hierarchy.join(ROOT);
        for node in folders(&root)? {
            if node.file_name().is_some_and(|name| matches(&name.to_string_lossy())) {
                remove_tree(&node)?;
            }
        }
        // Refused while another node is left, which is as it should be.
        let _ = fs::remove_dir(&root);
    }
    Ok(())
}

/// The hierarchies that limit something: one each for v1, or the one of v2.
fn limiting_hierarchies() -> anyhow::Result<Vec<PathBuf>> {
    let v1 = hierarchies("cgroup")?;
    if v1.is_empty() { hierarchies("cgroup2") } else { Ok(v1) }
}

fn hierarchies(version: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = mount::all()?
        .into_iter()
        .filter(|mount| mount.kind == version && mount.path.starts_with("/sys/fs/cgroup"))
        .map(|mount| mount.path)
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn make(path: &Path) -> std::io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A v1 cpuset starts empty, and an empty one takes no process.
fn copy_cpuset(from: &Path, to: &Path) -> std::io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if to.join(file).exists() && fs::read_to_string(to.join(file))?.trim().is_empty() {
            fs::write(to.join(file), fs::read(from.join(file))?)?;
        }
    }
    Ok(())
}

fn share_controllers(path: &Path) -> std::io::Result<()> {
    let offered = fs::read_to_string(path.join("cgroup.controllers"))?;
    fs::write(path.join("cgroup.subtree_control"), wanted_of(&offered))
}

/// What to write into `cgroup.subtree_control`; the kernel refuses all when it lacks one.
fn wanted_of(offered: &str) -> String {
    let wanted = offered.split_whitespace().filter(|name| CONTROLLERS.contains(name));
    wanted.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ")
}

/// Children first; the kernel refuses for a moment after the last process has gone.
fn remove_tree(path: &Path) -> anyhow::Result<()> {
    for child in folders(path)? {
        remove_tree(&child)?;
    }
    wait::until(&format!("the removal of {}", path.display()), Duration::from_secs(10), || {
        match fs::remove_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
}

fn folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("could not list {}", path.display())),
        Ok(entries) => Ok(entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_controllers_that_are_offered_and_wanted_are_shared() {
        let offered = "cpuset cpu io memory hugetlb pids rdma misc\n";
        assert_eq!(wanted_of(offered), "+cpuset +cpu +io +memory +hugetlb +pids");
        assert_eq!(wanted_of("cpu pids\n"), "+cpu +pids");
        assert_eq!(wanted_of("\n"), "");
    }
}
