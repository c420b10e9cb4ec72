//! The images that the cluster itself needs, and loading images onto nodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cache::{self, Inputs};
use crate::cluster::state::{KUBERNETES_NODES, KubernetesNode, State};
use crate::command::{command, run};
use crate::oci::{self, Image, LayerWriter, Reference};

/// The image that holds the namespaces of a pod.
pub(crate) const PAUSE: &str = "ottla.local/pause:1";
/// The image that `manifests/coredns.yaml` names.
const COREDNS: &str = "ottla.local/coredns:1.14.7";

/// Builds the images that the cluster itself needs.
pub(crate) fn build(coredns: &Path) -> anyhow::Result<Vec<PathBuf>> {
    // A static binary that does nothing but wait and collect orphans when called with -P.
    let catatonit = Path::new("/usr/bin/catatonit");
    Ok(vec![
        build_one("pause-image", PAUSE, catatonit, &["/program", "-P"])?,
        build_one("coredns-image", COREDNS, coredns, &["/program"])?,
    ])
}

/// An image of one static binary.
fn build_one(title: &str, name: &str, binary: &Path, start: &[&str]) -> anyhow::Result<PathBuf> {
    let inputs = Inputs::new().text(name).text(&start.join(" ")).file(binary)?;
    let folder = cache::folder(title, inputs, |folder| {
        let mut layer = LayerWriter::create(&folder.join("layer.tar"))?;
        layer.file("program", 0o755, binary)?;
        let layer = layer.finish()?;
        let image = Image {
            name: name.to_owned(),
            layers: vec![layer.clone()],
            entrypoint: start.iter().map(|word| (*word).to_owned()).collect(),
            environment: BTreeMap::new(),
            user: "65532:65532".to_owned(),
            working_folder: "/".to_owned(),
            labels: BTreeMap::new(),
        };
        oci::write(&image, &folder.join("image.tar"))?;
        Ok(std::fs::remove_file(layer.file)?)
    })?;
    Ok(folder.join("image.tar"))
}

/// Brings the archives onto every node that lacks them; tells how many imports it took.
pub(crate) fn load(state: &State, archives: &[PathBuf]) -> anyhow::Result<usize> {
    let mut wanted = Vec::new();
    for archive in archives {
        wanted.push((archive.as_path(), oci::reference(archive)?));
    }
    let wanted = &wanted;
    std::thread::scope(|scope| {
        let loads: Vec<_> = KUBERNETES_NODES
            .iter()
            .map(|node| scope.spawn(move || load_onto(state, node, wanted)))
            .collect();
        let mut count = 0;
        for load in loads {
            count += load.join().map_err(|_| anyhow::anyhow!("loading an image panicked"))??;
        }
        Ok(count)
    })
}

fn load_onto(
    state: &State,
    node: &KubernetesNode,
    wanted: &[(&Path, Reference)],
) -> anyhow::Result<usize> {
    let present = run(ctr(state, node).args(["images", "list"]))
        .with_context(|| format!("could not ask {} for its images", node.name))?;
    let mut count = 0;
    for (archive, reference) in wanted {
        if !lists(&present, reference) {
            run(ctr(state, node).args(["images", "import"]).arg(archive))
                .with_context(|| format!("could not load {} onto {}", reference.name, node.name))?;
            count += 1;
        }
    }
    Ok(count)
}

fn ctr(state: &State, node: &KubernetesNode) -> Command {
    let mut ctr = command("ctr", ["--namespace", "k8s.io", "--address"]);
    ctr.arg(state.socket(node));
    ctr
}

/// Whether a line of `ctr images list` has this name and this digest.
fn lists(table: &str, reference: &Reference) -> bool {
    table.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(&reference.name) && words.any(|word| word == reference.digest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_present_only_with_its_digest() {
        let table = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            a.local/x:1 application/vnd.oci.image.manifest.v1+json sha256:12 1.0 MiB linux/amd64 -";
        let reference = |name: &str, digest: &str| Reference {
            name: name.to_owned(),
            digest: digest.to_owned(),
        };
        assert!(lists(table, &reference("a.local/x:1", "sha256:12")));
        assert!(!lists(table, &reference("a.local/x:1", "sha256:13")));
        assert!(!lists(table, &reference("a.local/x", "sha256:12")));
    }
}
