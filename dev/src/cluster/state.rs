//! Where the local Kubernetes keeps its files, and what its nodes are called.

use std::fs;
use std::path::{Path, PathBuf};

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
        let root = std::env::var_os("OTTLA_STATE").unwrap_or_else(|| "/var/lib/ottla-dev".into());
        Self { root: root.into() }
    }

    /// Makes the folder, unless it is there; refuses one that belongs to something else.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        if self.root.exists() && !self.is_ours() && fs::read_dir(&self.root)?.next().is_some() {
            bail!(
                "{} holds files of something else: choose another folder with OTTLA_STATE",
                self.root.display()
            );
        }
        for folder in ["logs", "pki", "kubeconfig"] {
            fs::create_dir_all(self.root.join(folder))
                .with_context(|| format!("could not make {}", self.root.display()))?;
        }
        fs::write(self.root.join(MARK), "")?;
        Ok(())
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

/// A path as text, for the configuration of other programs.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
