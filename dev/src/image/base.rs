//! The lowest layer of an image: the little of Debian that a shell, a JVM or a C program needs.

use std::path::{Path, PathBuf};

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::packages;

/// What people need who look into a container, and the libraries of the JVM and of the jars with
/// native code. Apt is not among them: what runs is replaced as a whole.
const PACKAGES: &str = "base-files,base-passwd,bash,coreutils,dash,debianutils,diffutils,dpkg,\
    findutils,grep,gzip,hostname,init-system-helpers,libc-bin,libstdc++6,mawk,ncurses-base,sed,\
    tar,usr-is-merged,zlib1g";

/// What is not unpacked. Licences stay, and the list of packages that scanners read.
const LEFT_OUT: [&str; 5] = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/lib/*/gconv/*",
];

/// The user of every process in our images; and nothing of the machine that builds.
const FINISH: &str = r#"
    echo "ottla:x:1001:1001:Ottla:/tmp:/bin/sh" >> "$1/etc/passwd"
    echo "ottla:x:1001:" >> "$1/etc/group"
    rm -f "$1/etc/hostname" "$1/etc/resolv.conf""#;

/// The tar of a base system that holds these packages besides its own.
pub(crate) fn layer(title: &str, more_packages: &[&str]) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "building {title} without a container engine needs root: run as root, or build the \
         Dockerfile beside the sources with Docker"
    );
    packages::install(&[("mmdebstrap", "mmdebstrap")])?;
    let arguments = arguments(more_packages);
    let inputs = Inputs::new().text(&arguments.join("\n"));
    let folder = cache::folder(title, inputs, |folder| make(&arguments, folder))?;
    Ok(folder.join("layer.tar"))
}

fn make(arguments: &[String], folder: &Path) -> anyhow::Result<()> {
    let mut mmdebstrap = command("mmdebstrap", arguments);
    // All times in the tar, so that the same packages give the same layer.
    mmdebstrap.env("SOURCE_DATE_EPOCH", "0");
    run(mmdebstrap.arg("bookworm").arg(folder.join("layer.tar")))?;
    Ok(())
}

fn arguments(more_packages: &[&str]) -> Vec<String> {
    let packages = [&[PACKAGES], more_packages].concat().join(",");
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--mode=root".to_owned(),
        "--variant=custom".to_owned(),
        format!("--include={packages}"),
        "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr".to_owned(),
        "--skip=output/dev".to_owned(),
        format!("--customize-hook={FINISH}"),
    ];
    arguments.extend(LEFT_OUT.map(|option| format!("--dpkgopt={option}")));
    arguments
}
