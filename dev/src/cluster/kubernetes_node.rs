//! The programs of one node: containerd, kubelet and kube-proxy, in the node's own network.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cluster::cgroup;
use crate::cluster::images;
use crate::cluster::program::Program;
use crate::cluster::state::{DNS_ADDRESS, KubernetesNode, POD_NETWORK, State, text};

/// Where Debian puts the network plugins.
const CNI_PLUGINS: &str = "/usr/lib/cni";

/// The programs of this file; a node's name follows.
pub(crate) const NAMES: [&str; 3] = ["containerd", "kubelet", "kube-proxy"];

/// The container runtime.
pub(crate) fn containerd(
    state: &State,
    node: &'static KubernetesNode,
    snapshotter: &str,
) -> anyhow::Result<Program> {
    fs::create_dir_all(state.of_node(node, "cni"))?;
    let network = network(state, node).to_string();
    write(&state.of_node(node, "cni/pods.conflist"), &network)?;
    let settings = containerd_settings(state, node, snapshotter);
    let file = state.of_node(node, "containerd.toml");
    write(&file, &settings)?;
    Ok(Program {
        name: format!("containerd-{}", node.name),
        node: Some(node),
        binary: "containerd".into(),
        arguments: vec!["--config".to_owned(), text(&file)],
        keeps_children: true,
        settings: format!("{settings}{network}"),
    })
}

/// What starts pods.
pub(crate) fn kubelet(
    state: &State,
    node: &'static KubernetesNode,
    kubernetes: &Path,
) -> anyhow::Result<Program> {
    let settings = kubelet_settings(state, node).to_string();
    let file = state.of_node(node, "kubelet.json");
    write(&file, &settings)?;
    Ok(Program {
        name: format!("kubelet-{}", node.name),
        node: Some(node),
        binary: kubernetes.to_owned(),
        arguments: vec![
            "kubelet".to_owned(),
            format!("--config={}", text(&file)),
            format!("--kubeconfig={}", text(&state.kubeconfig(node.name))),
            format!("--hostname-override={}", node.name),
            format!("--node-ip={}", node.address()),
            format!("--node-labels=topology.kubernetes.io/zone={}", node.zone),
            format!("--root-dir={}", text(&state.of_node(node, "kubelet"))),
            format!("--cert-dir={}", text(&state.of_node(node, "kubelet-pki"))),
        ],
        keeps_children: false,
        settings,
    })
}

/// What makes Services reachable.
pub(crate) fn proxy(state: &State, node: &'static KubernetesNode, kubernetes: &Path) -> Program {
    Program {
        name: format!("kube-proxy-{}", node.name),
        node: Some(node),
        binary: kubernetes.to_owned(),
        arguments: vec![
            "kube-proxy".to_owned(),
            format!("--kubeconfig={}", text(&state.kubeconfig("kube-proxy"))),
            format!("--hostname-override={}", node.name),
            "--proxy-mode=nftables".to_owned(),
            format!("--cluster-cidr={POD_NETWORK}"),
            // The size of the connection table is the whole machine's, not the node's to change.
            "--conntrack-max-per-core=0".to_owned(),
            "--oom-score-adj=0".to_owned(),
        ],
        keeps_children: false,
        settings: String::new(),
    }
}

/// Every pod hangs on the node by a cable of its own, so that all of its packets pass the
/// node's rules: on a bridge, an answer from a pod of the same node would pass them by.
fn network(state: &State, node: &KubernetesNode) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": text(&state.of_node(node, "run/addresses")),
                "ranges": [[{ "subnet": node.pod_network() }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
}

fn containerd_settings(state: &State, node: &KubernetesNode, snapshotter: &str) -> String {
    let path = |inside: &str| text(&state.of_node(node, inside));
    let (root, run, runc) = (path("containerd"), path("run/containerd"), path("run/runc"));
    let (socket, cni, pause) = (text(&state.socket(node)), path("cni"), images::PAUSE);
    format!(
        r#"version = 2
root = "{root}"
state = "{run}"
# This one insists on /opt/containerd.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Without the right to lower the score of a process, no sandbox would start.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{runc}"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{cni}"
"#
    )
}

fn kubelet_settings(state: &State, node: &KubernetesNode) -> Value {
    let path = |inside: &str| text(&state.of_node(node, inside));
    let pki = |file: &str| text(&state.path(&format!("pki/{file}")));
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address(),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": pki("ca.pem") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": pki(&format!("{}.pem", node.name)),
        "tlsPrivateKeyFile": pki(&format!("{}.key", node.name)),
        "containerRuntimeEndpoint": format!("unix://{}", text(&state.socket(node))),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::of_node(node),
        "failCgroupV1": false,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "podLogsDir": path("pod-logs"),
        "volumePluginDir": path("volume-plugins"),
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        "oomScoreAdj": 0,
        // Images are loaded, not pulled: what is removed to make room would never come back.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        // Half of the grace period of the controllers, so that a slow moment is no lost node.
        "nodeStatusUpdateFrequency": "5s",
        "nodeLeaseDurationSeconds": 20,
        "syncFrequency": "30s",
        "shutdownGracePeriod": "0s",
    })
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("could not write {}", path.display()))
}
