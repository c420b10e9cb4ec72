//! The layer with the class data archive of Kafka's server, `/opt/kafka/kafka.jsa`.
//!
//! It halves the time and the work that a node's JVM needs to start. It fits only the very
//! runtime and jars that it was made with, so it is made out of the finished layers below it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::oci::LayerWriter;
use crate::packages;

/// Runs a script inside a folder that holds a whole system. Namespaces of its own take away what
/// it mounts, starts and listens on, however it ends. Java asks for the address of its host name.
const RUN_INSIDE: &str = r#"
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    hostname localhost
    ip link set lo up
    exec chroot "$1" /make-class-archive.sh"#;

const ISOLATE: [&str; 9] =
    ["--mount", "--pid", "--net", "--uts", "--fork", "--kill-child", "sh", "-ec", RUN_INSIDE];

/// The tar with the archive for these layers.
pub(crate) fn layer(kafka: &str, script: &Path, below: &[PathBuf]) -> anyhow::Result<PathBuf> {
    packages::install(&[
        ("hostname", "hostname"),
        ("iproute2", "ip"),
        ("mount", "mount"),
        ("util-linux", "unshare"),
    ])?;
    let mut inputs = Inputs::new().text(RUN_INSIDE).file(script)?;
    for layer in below {
        inputs = inputs.text(&layer.to_string_lossy());
    }
    let title = format!("class-archive-{kafka}");
    let folder = cache::folder(&title, inputs, |folder| make(script, below, folder))?;
    Ok(folder.join("layer.tar"))
}

fn make(script: &Path, below: &[PathBuf], folder: &Path) -> anyhow::Result<()> {
    let root = folder.join("root");
    fs::create_dir(&root)?;
    for layer in below {
        run(command("tar", ["--extract", "--file"]).arg(layer).arg("--directory").arg(&root))?;
    }
    for mount_point in ["proc", "dev"] {
        fs::create_dir_all(root.join(mount_point))?;
    }
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    let inside = root.join("make-class-archive.sh");
    fs::copy(script, &inside).with_context(|| format!("could not copy {}", script.display()))?;
    run(command("unshare", ISOLATE).arg("sh").arg(&root))?;
    let mut layer = LayerWriter::create(&folder.join("layer.tar"))?;
    layer.file("opt/kafka/kafka.jsa", 0o644, &root.join("opt/kafka/kafka.jsa"))?;
    layer.finish()?;
    Ok(fs::remove_dir_all(root)?)
}
