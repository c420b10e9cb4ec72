//! Waiting for the parts of the cluster to be what they claim to be.
//!
//! What the API server remembers of a node or a pod may be from before its
//! programs were killed, so that signs of life are asked for as well.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;

use crate::cluster::kubectl::Kubectl;
use crate::cluster::program::{self, Program};
use crate::cluster::state::{DNS_ADDRESS, KUBERNETES_NODES, KubernetesNode, State};
use crate::command::{run, succeeds};
use crate::wait;

/// The slowest start seen on two busy cores, four times over.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which version of its lease each node has written last.
pub(crate) type Leases = BTreeMap<String, String>;

/// Waits for the containerd of a node to listen.
pub(crate) fn runtime(state: &State, node: &KubernetesNode) -> anyhow::Result<()> {
    let program = format!("containerd-{}", node.name);
    let socket = state.socket(node);
    answer(state, &program, &[&program], || UnixStream::connect(&socket).is_ok())
}

/// Waits for the API server to say that it is ready.
pub(crate) fn api_server(state: &State, kubectl: &Kubectl) -> anyhow::Result<()> {
    answer(state, "the API server", &["etcd", "kube-apiserver"], || {
        succeeds(&mut kubectl.command(["get", "--raw", "/readyz", "--request-timeout=2s"]))
    })
}

/// The leases as they are now.
pub(crate) fn leases(kubectl: &Kubectl) -> anyhow::Result<Leases> {
    let columns = "custom-columns=NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    let table = kubectl
        .run(&format!("get leases --namespace=kube-node-lease --no-headers --output={columns}"))?;
    Ok(table
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.trim().to_owned()))
        .collect())
}

/// A kubelet that is waited for.
pub(crate) struct Kubelet {
    /// How it is started.
    pub(crate) program: Program,
    /// Its node.
    pub(crate) node: &'static KubernetesNode,
    /// Whether it was started just now, so that its node's last lease is from before.
    pub(crate) started: bool,
}

/// Waits for the nodes to be ready, and for those that were started to renew their lease.
///
/// A kubelet that ends meanwhile is started again, as a service manager would: all of them
/// take the same socket for device plugins, which has no setting, and of two that start at
/// the same moment one may find it taken and end.
pub(crate) fn nodes(
    state: &State,
    kubectl: &Kubectl,
    before: &Leases,
    kubelets: &mut [Kubelet],
) -> anyhow::Result<()> {
    let waited = wait::until("the nodes to be ready", PATIENCE, || {
        for kubelet in &mut *kubelets {
            kubelet.started |= kubelet.program.start(state)?;
        }
        let ready = r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} "#;
        let path = format!("{ready}{{end}}");
        let said = run(&mut kubectl.command(["get", "nodes", "-o", &path])).unwrap_or_default();
        let count = said.split_whitespace().filter(|word| *word == "True").count();
        if count != KUBERNETES_NODES.len() {
            return Ok(false);
        }
        let now = leases(kubectl).unwrap_or_default();
        let renewed = |node: &str| now.get(node).is_some_and(|now| before.get(node) != Some(now));
        Ok(kubelets.iter().all(|kubelet| !kubelet.started || renewed(kubelet.node.name)))
    });
    waited.with_context(|| {
        let end = |kubelet: &Kubelet| program::log_end(&state.log(&kubelet.program.name));
        kubelets.iter().map(end).collect::<Vec<_>>().join("\n")
    })
}

/// Waits for the name service to be ready and to be reached through its Service.
pub(crate) fn names(kubectl: &Kubectl) -> anyhow::Result<()> {
    kubectl.run("-n kube-system rollout status deployment/coredns --timeout=120s")?;
    let address = format!("{DNS_ADDRESS}:53").parse()?;
    wait::until("the name service to answer", PATIENCE, || {
        Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
    })
}

/// Fails with the end of its log when one of these programs does not run.
pub(crate) fn programs<S: AsRef<str>>(state: &State, names: &[S]) -> anyhow::Result<()> {
    let running = program::running(state)?;
    for name in names.iter().map(AsRef::as_ref) {
        anyhow::ensure!(
            running.iter().any(|running| running.name == name),
            "{name} has ended; {}",
            program::log_end(&state.log(name))
        );
    }
    Ok(())
}

/// Waits for a program to answer; fails when it, or another that it needs, has ended instead.
fn answer(
    state: &State,
    what: &str,
    needs: &[&str],
    mut answers: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    wait::until(&format!("{what} to answer"), PATIENCE, || {
        programs(state, needs)?;
        Ok(answers())
    })
}
