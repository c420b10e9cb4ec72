//! The cluster without a container engine: the order in which it is raised and dropped.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cluster::disk;
use crate::cluster::kubectl::Kubectl;
use crate::cluster::program::{self, Program};
use crate::cluster::state::{KUBERNETES_NODES, KubernetesNode, State};
use crate::cluster::{
    binaries, certificates, cgroup, control_plane, images, kubelet_traces, kubernetes_node,
    machine, mount, network, process, ready,
};
use crate::command::{command, succeeds};
use crate::step;

/// Points from the state folder to the binary of Kubernetes in the cache.
const KUBERNETES_LINK: &str = "kubernetes";

/// Installs and builds what the cluster is made of.
pub(crate) fn build() -> anyhow::Result<()> {
    machine::check()?;
    machine::install_packages()?;
    images::build(&binaries::coredns()?)?;
    binaries::kubernetes()?;
    Ok(())
}

/// Raises the cluster, or repairs what is missing of it.
pub(crate) fn up(state: &State) -> anyhow::Result<()> {
    machine::install_packages()?;
    let kubernetes = binaries::kubernetes()?;
    let archives = images::build(&binaries::coredns()?)?;
    state.create()?;
    forget_last_boot(state)?;
    kubelet_traces::note_kernel_settings(state)?;
    certificates::create(state)?;
    link_kubernetes(state, &kubernetes)?;
    step::run("network and disks", || prepare(state))?;
    step::run("API server and container runtimes", || {
        start_all(state, &control_plane::first(state, &kubernetes)?)?;
        start_runtimes(state)?;
        images::load(state, &archives)?;
        ready::api_server(state, &kubectl(state))
    })?;
    step::run("controllers and nodes", || {
        let kubectl = kubectl(state);
        let leases = ready::leases(&kubectl)?;
        start_all(state, &control_plane::second(state, &kubernetes)?)?;
        let mut kubelets = Vec::new();
        for node in &KUBERNETES_NODES {
            kubernetes_node::proxy(state, node, &kubernetes).start(state)?;
            let kubelet = kubernetes_node::kubelet(state, node, &kubernetes)?;
            let started = kubelet.start(state)?;
            kubelets.push(ready::Kubelet { program: kubelet, node, started });
        }
        kubectl.apply(include_str!("../../manifests/storage.yaml"))?;
        kubectl.apply(include_str!("../../manifests/coredns.yaml"))?;
        ready::nodes(state, &kubectl, &leases, &mut kubelets)
    })?;
    step::run("name service", || {
        ready::names(&kubectl(state))?;
        ready::programs(state, &program_names())
    })
}

/// Every program of a whole cluster.
fn program_names() -> Vec<String> {
    let mut names: Vec<String> =
        control_plane::NAMES.iter().map(|name| (*name).to_owned()).collect();
    for node in &KUBERNETES_NODES {
        names.extend(kubernetes_node::NAMES.iter().map(|name| format!("{name}-{}", node.name)));
    }
    names
}

/// Ends everything and removes every trace but the cache of builds.
pub(crate) fn down(state: &State) -> anyhow::Result<()> {
    step::run("end the programs", || program::kill(state, |_| true))?;
    step::run("end the pods", || cgroup::remove("the pods", |_| true))?;
    step::run("remove mounts, network and files", || {
        remove_shim_sockets(state)?;
        remove_network_notes(state);
        mount::unmount_under(state.root())?;
        disk::detach_under(state.root())?;
        network::remove()?;
        kubelet_traces::remove(state)?;
        remove_files(state)
    })
}

/// How to call kubectl here: with the binary that the cluster was last raised with.
pub(crate) fn kubectl(state: &State) -> Kubectl {
    Kubectl {
        program: state.path(KUBERNETES_LINK),
        applet: Some("kubectl"),
        kubeconfig: state.kubeconfig("admin"),
    }
}

fn link_kubernetes(state: &State, kubernetes: &Path) -> anyhow::Result<()> {
    let link = state.path(KUBERNETES_LINK);
    let unfinished = state.path("kubernetes.unfinished");
    let _ = fs::remove_file(&unfinished);
    std::os::unix::fs::symlink(kubernetes, &unfinished)?;
    fs::rename(&unfinished, &link).with_context(|| format!("could not make {}", link.display()))
}

/// A line for each program of the cluster, whether it runs or not.
pub(crate) fn programs(state: &State) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let running = program::running(state)?;
    let mut report = format!("{:<26}{:>8}{:>10}\n", "PROGRAM", "PID", "MEMORY");
    for name in program_names() {
        match running.iter().find(|running| running.name == name) {
            None => writeln!(report, "{name:<26} not running: `cargo dev up` starts it")?,
            Some(found) => {
                let mebibytes = process::resident_kibibytes(found.pid).unwrap_or(0) >> 10;
                writeln!(report, "{name:<26}{:>8}{mebibytes:>8}Mi", found.pid)?;
            }
        }
    }
    report.push('\n');
    Ok(report)
}

/// What was only true until the machine stopped: sockets, addresses of pods, running containers.
fn forget_last_boot(state: &State) -> anyhow::Result<()> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let file = state.path("boot-id");
    if fs::read_to_string(&file).ok().as_ref() == Some(&boot) {
        return Ok(());
    }
    remove_shim_sockets(state)?;
    for node in &KUBERNETES_NODES {
        let run = state.of_node(node, "run");
        if run.exists() {
            fs::remove_dir_all(&run)
                .with_context(|| format!("could not remove {}", run.display()))?;
        }
    }
    fs::write(&file, boot).context("could not note this boot")
}

fn prepare(state: &State) -> anyhow::Result<()> {
    network::create_bridge()?;
    for node in &KUBERNETES_NODES {
        fs::create_dir_all(state.of_node(node, "run"))?;
        fs::create_dir_all(disk::folder(state, node.name))?;
        if !network::is_whole(node) {
            reset_network(state, node)?;
        }
        cgroup::create(node)?;
        // Before any kubelet, or a pod would write into the empty folder below.
        disk::mount_all(state, node.name)?;
    }
    network::connect()
}

/// Programs and pods hold on to the network that they were started in, so they go with it.
fn reset_network(state: &State, node: &KubernetesNode) -> anyhow::Result<()> {
    let suffix = format!("-{}", node.name);
    program::kill(state, |name| name.ends_with(&suffix))?;
    cgroup::remove("the pods of the node", |name| name == node.name)?;
    network::create_node(node)
}

fn start_all(state: &State, programs: &[Program]) -> anyhow::Result<()> {
    for program in programs {
        program.start(state)?;
    }
    Ok(())
}

fn start_runtimes(state: &State) -> anyhow::Result<()> {
    let snapshotter = snapshotter(state)?;
    for node in &KUBERNETES_NODES {
        kubernetes_node::containerd(state, node, snapshotter)?.start(state)?;
    }
    for node in &KUBERNETES_NODES {
        ready::runtime(state, node)?;
    }
    Ok(())
}

/// Layers are stacked where the kernel can, and copied where it cannot.
fn snapshotter(state: &State) -> anyhow::Result<&'static str> {
    let trial = state.path("overlay-trial");
    for folder in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(trial.join(folder))?;
    }
    let path = |folder: &str| trial.join(folder).display().to_string();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", path("lower"), path("upper"), path("work"));
    let mut overlay = command("mount", ["-t", "overlay", "overlay", "-o", &options]);
    let works = succeeds(overlay.arg(trial.join("merged")));
    mount::unmount_under(&trial)?;
    fs::remove_dir_all(&trial)?;
    Ok(if works { "overlayfs" } else { "native" })
}

/// The shims' sockets are outside of our folder, under names that only our folder tells.
fn remove_shim_sockets(state: &State) -> anyhow::Result<()> {
    for node in &KUBERNETES_NODES {
        let tasks = state.of_node(node, "run/containerd/io.containerd.runtime.v2.task/k8s.io");
        let Ok(entries) = fs::read_dir(&tasks) else { continue };
        for task in entries {
            let address = fs::read_to_string(task?.path().join("address")).unwrap_or_default();
            if let Some(socket) = address.trim().strip_prefix("unix://") {
                let _ = fs::remove_file(PathBuf::from(socket));
            }
        }
    }
    Ok(())
}

/// The network plugins keep a note of each pod in a place that nobody can choose.
fn remove_network_notes(state: &State) {
    let ours = state.root().display().to_string();
    for note in fs::read_dir("/var/lib/cni/results").into_iter().flatten().filter_map(Result::ok) {
        if fs::read_to_string(note.path()).is_ok_and(|content| content.contains(&ours)) {
            let _ = fs::remove_file(note.path());
        }
    }
}

fn remove_files(state: &State) -> anyhow::Result<()> {
    if !state.root().exists() {
        return Ok(());
    }
    anyhow::ensure!(!state.is_foreign()?, "{} is not ours to remove", state.root().display());
    let left = mount::all()?.into_iter().find(|mount| mount.path.starts_with(state.root()));
    if let Some(left) = left {
        anyhow::bail!("{} is still mounted: nothing was removed", left.path.display());
    }
    state.remove()
}
