//! Whether this machine can carry the cluster, and the Debian packages it takes.

use std::fs;

use anyhow::bail;

use crate::cluster::network;
use crate::command::{command, is_on_path, run, succeeds};
use crate::packages;

/// A Debian package, and the program or file by which it is known to be installed. Files that are
/// read from a certain place are named with it.
const PACKAGES: [(&str, &str); 12] = [
    ("catatonit", "/usr/bin/catatonit"),
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("ethtool", "ethtool"),
    ("iproute2", "ip"),
    ("mount", "mount"),
    ("nftables", "nft"),
    ("procps", "sysctl"),
    ("runc", "runc"),
    ("util-linux", "setsid"),
    ("xfsprogs", "mkfs.xfs"),
];

/// Go builds newer toolchains itself, but only from this version on.
const OLDEST_GO: (u32, u32) = (1, 21);

/// Refuses a machine that cannot carry the cluster, with everything that is missing.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut missing = Vec::new();
    if !is_root() {
        missing.push("it is not run by root: network namespaces and mounts need it".to_owned());
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if let Some(problem) = release_problem(&release) {
        missing.push(problem);
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

/// Nodes and images are made of the packages of one release, Java 17 among them.
fn release_problem(os_release: &str) -> Option<String> {
    let field = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']))
    };
    if field("VERSION_CODENAME") == Some("bookworm") {
        return None;
    }
    let name = field("PRETTY_NAME").unwrap_or("an unknown system");
    Some(format!(
        "this is {name}, not Debian 12 (bookworm), whose packages nodes and images are made of"
    ))
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
    fn only_debian_12_is_taken() {
        let bookworm =
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\n";
        assert_eq!(release_problem(bookworm), None);
        let trixie = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_CODENAME=trixie\n";
        let problem = release_problem(trixie).unwrap();
        assert!(problem.starts_with("this is Debian GNU/Linux 13 (trixie), not Debian 12"));
        assert!(release_problem("").unwrap().starts_with("this is an unknown system"));
    }

    #[test]
    fn versions_of_go_are_understood() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.19"), Some((1, 19)));
        assert_eq!(go_version("devel"), None);
    }
}
