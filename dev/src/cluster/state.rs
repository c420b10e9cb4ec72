//! Where the local Kubernetes keeps its files, and what its nodes are called.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{self, Path, PathBuf};

use anyhow::{Context as _, bail};

/// The address of this machine on the bridge, where the API server listens.
pub(crate) const HOST_ADDRESS: &str = "10.97.0.1";
/// The network that the nodes and this machine share.
pub(crate) const NODE_NETWORK: &str = "10.97.0.0/24";
/// Every pod's address is in here.
pub(crate) const POD_NETWORK: &str = "10.98.0.0/16";
/// Every Service's address is in here.
pub(crate) const SERVICE_NETWORK: &str = "10.99.0.0/16";
/// The first Service address, which is always the API server's.
pub(crate) const API_SERVICE_ADDRESS: &str = "10.99.0.1";
/// The Service address of CoreDNS; `manifests/coredns.yaml` names it too.
pub(crate) const DNS_ADDRESS: &str = "10.99.0.10";
/// The port of the API server, on the bridge and on the loopback of this machine: not the usual
/// 6443, where another cluster of the machine's owner may be.
pub(crate) const API_PORT: u16 = 7443;

/// Marks a folder as ours, so that `down` never removes another.
const MARK: &str = ".ottla-dev";

/// One node of the local Kubernetes.
pub(crate) struct KubernetesNode {
    /// Its name in Kubernetes.
    pub(crate) name: &'static str,
    /// Its zone.
    pub(crate) zone: &'static str,
    /// Counted from 1; addresses are made of it.
    pub(crate) number: u8,
}

/// The nodes: one in each of three zones, as a production cluster would have.
pub(crate) const KUBERNETES_NODES: [KubernetesNode; 3] = [
    KubernetesNode { name: "node-1", zone: "zone-a", number: 1 },
    KubernetesNode { name: "node-2", zone: "zone-b", number: 2 },
    KubernetesNode { name: "node-3", zone: "zone-c", number: 3 },
];

impl KubernetesNode {
    /// Its address on the bridge.
    pub(crate) fn address(&self) -> String {
        format!("10.97.0.{}", 10 + self.number)
    }

    /// The addresses of its pods.
    pub(crate) fn pod_network(&self) -> String {
        format!("10.98.{}.0/24", self.number)
    }

    /// Its network namespace.
    pub(crate) fn namespace(&self) -> String {
        format!("ottla-{}", self.name)
    }

    /// The end of its cable that is plugged into the bridge.
    pub(crate) fn link(&self) -> String {
        format!("ottla{}", self.number)
    }
}

/// The state folder.
#[derive(Clone)]
pub(crate) struct State {
    root: PathBuf,
}

impl State {
    /// `OTTLA_STATE`, or the usual place.
    pub(crate) fn locate() -> Self {
        let named = std::env::var_os("OTTLA_STATE").unwrap_or_else(|| "/var/lib/ottla-dev".into());
        Self { root: as_mounted(Path::new(&named)) }
    }

    /// Makes the folder, unless it is there; refuses one that belongs to something else.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        if self.is_foreign()? {
            bail!(
                "{} holds files of something else: choose another folder with OTTLA_STATE",
                self.root.display()
            );
        }
        self.fill().with_context(|| format!("could not make {}", self.root.display()))
    }

    /// The mark first, so that a folder with anything in it is known as ours.
    fn fill(&self) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        fs::write(self.root.join(MARK), "")?;
        for folder in ["logs", "pki", "kubeconfig"] {
            fs::create_dir_all(self.root.join(folder))?;
        }
        Ok(())
    }

    /// Removes the folder: the mark after everything else, so that what was interrupted can be
    /// finished.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        let failed = |path: &Path| format!("could not remove {}", path.display());
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name() != MARK {
                remove_entry(&entry).with_context(|| failed(&entry.path()))?;
            }
        }
        fs::remove_dir_all(&self.root).with_context(|| failed(&self.root))
    }

    /// Whether the folder holds files of something else.
    pub(crate) fn is_foreign(&self) -> io::Result<bool> {
        Ok(self.root.exists() && !self.is_ours() && fs::read_dir(&self.root)?.next().is_some())
    }

    /// Whether there is a state folder and it is ours to remove.
    pub(crate) fn is_ours(&self) -> bool {
        self.root.join(MARK).is_file()
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the whole cluster.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// A file or folder of one node.
    pub(crate) fn of_node(&self, node: &KubernetesNode, inside: &str) -> PathBuf {
        self.root.join(node.name).join(inside)
    }

    /// Where containerd of this node listens.
    pub(crate) fn socket(&self, node: &KubernetesNode) -> PathBuf {
        self.of_node(node, "containerd.sock")
    }

    /// The log of a program.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.root.join("logs").join(format!("{program}.log"))
    }

    /// The kubeconfig of a person or program.
    pub(crate) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.root.join("kubeconfig").join(name)
    }
}

fn remove_entry(entry: &DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() {
        fs::remove_dir_all(entry.path())
    } else {
        fs::remove_file(entry.path())
    }
}

/// The path by which the kernel knows the folder in its list of mounts: whole, and without links.
fn as_mounted(path: &Path) -> PathBuf {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // A link stays when `down` removes the folder to which it leads.
    match (fs::read_link(&path), path.parent()) {
        (Ok(target), Some(parent)) => without_links(&parent.join(target)),
        _ => without_links(&path),
    }
}

/// Resolves links in that part of the path which exists.
fn without_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => without_links(parent).join(name),
        _ => path.to_owned(),
    })
}

/// A path as text, for the configuration of other programs.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// An empty folder of this name, by its path without links.
    fn empty_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ottla-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder.canonicalize().unwrap()
    }

    #[test]
    fn an_interrupted_removal_can_be_finished() {
        let around = empty_folder("state");
        let state = State { root: around.join("state") };
        let kept = around.join("kept");
        fs::write(&kept, "").unwrap();
        state.create().unwrap();
        symlink(&kept, state.path("link")).unwrap();
        fs::remove_dir_all(state.path("logs")).unwrap();
        assert!(state.is_ours());
        state.remove().unwrap();
        assert!(!state.root().exists());
        assert!(kept.exists());
        // Between the mark and the folder.
        fs::create_dir(state.root()).unwrap();
        assert!(!state.is_foreign().unwrap());
        state.remove().unwrap();
        fs::remove_dir_all(around).unwrap();
    }

    #[test]
    fn files_of_something_else_are_foreign() {
        let state = State { root: empty_folder("foreign") };
        fs::write(state.path("file"), "").unwrap();
        assert!(state.is_foreign().unwrap());
        assert!(state.create().is_err());
        fs::remove_dir_all(state.root()).unwrap();
    }

    #[test]
    fn the_folder_is_known_by_the_path_that_the_kernel_lists() {
        let around = empty_folder("links");
        let (real, link) = (around.join("real"), around.join("link"));
        symlink("real", &link).unwrap();
        assert_eq!(as_mounted(&link), real);
        fs::create_dir(&real).unwrap();
        assert_eq!(as_mounted(&link), real);
        assert_eq!(as_mounted(&link.join("not/yet")), real.join("not/yet"));
        assert!(as_mounted(Path::new("not-yet")).is_absolute());
        fs::remove_dir_all(around).unwrap();
    }
}
