//! Whether this machine can carry the cluster, and the Debian packages it takes.

use std::path::Path;

use anyhow::bail;

use crate::cluster::network;
use crate::command::{command, is_on_path, run, succeeds};
use crate::packages;

/// A Debian package and a file by which it is known to be installed.
const PACKAGES: [(&str, &str); 12] = [
    ("catatonit", "/usr/bin/catatonit"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("containerd", "/usr/bin/containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("ethtool", "/usr/sbin/ethtool"),
    ("iproute2", "/usr/sbin/ip"),
    ("mount", "/usr/bin/mount"),
    ("nftables", "/usr/sbin/nft"),
    ("procps", "/usr/sbin/sysctl"),
    ("runc", "/usr/sbin/runc"),
    ("util-linux", "/usr/bin/setsid"),
    ("xfsprogs", "/usr/sbin/mkfs.xfs"),
];

/// Go builds newer toolchains itself, but only from this version on.
const OLDEST_GO: (u32, u32) = (1, 21);

/// Refuses a machine that cannot carry the cluster, with everything that is missing.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut missing = Vec::new();
    if !is_root() {
        missing.push("it is not run by root: network namespaces and mounts need it".to_owned());
    }
    if !Path::new("/etc/debian_version").exists() {
        missing.push("this is no Debian: its packages are what the nodes are made of".to_owned());
    }
    if let Some(problem) = go_problem() {
        missing.push(problem);
    }
    if let Some(route) = network::conflict() {
        missing.push(format!("the addresses of the nodes are in use here already: {route}"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "the local Kubernetes cannot run here:\n  - {}\nWith Docker and kind on the search path, \
         kind is used instead.",
        missing.join("\n  - ")
    )
}

/// Refuses anyone but root, who alone can end what root has started.
pub(crate) fn check_root() -> anyhow::Result<()> {
    anyhow::ensure!(is_root(), "only root can drop the local Kubernetes");
    Ok(())
}

/// Installs the packages that are not there.
pub(crate) fn install_packages() -> anyhow::Result<()> {
    packages::install(&PACKAGES)
}

/// Whether Docker and kind can be used instead.
pub(crate) fn has_kind() -> bool {
    is_on_path("kind") && succeeds(&mut command("docker", ["info"]))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn go_problem() -> Option<String> {
    let advice = format!(
        "install Go {}.{} or newer from https://go.dev/dl and put its bin folder on PATH: \
         Kubernetes is built with it",
        OLDEST_GO.0, OLDEST_GO.1
    );
    let Ok(said) = run(&mut command("go", ["env", "GOVERSION"])) else {
        return Some(format!("there is no Go: {advice}"));
    };
    match go_version(&said) {
        Some(version) if version >= OLDEST_GO => None,
        _ => Some(format!("{} is too old: {advice}", said.trim())),
    }
}

fn go_version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix("go")?.split(['.', '-', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_understood() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.19"), Some((1, 19)));
        assert_eq!(go_version("devel"), None);
    }
}
