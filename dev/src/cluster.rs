//! The local Kubernetes: by kind where Docker is there, otherwise out of the programs themselves.

mod binaries;
mod certificates;
mod cgroup;
mod control_plane;
mod disk;
mod images;
mod kind;
pub(crate) mod kubectl;
mod kubelet_traces;
mod kubernetes_node;
mod local;
mod machine;
mod mount;
mod network;
mod process;
mod program;
mod provisioner;
mod ready;
mod state;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;

use crate::cache;
use crate::cluster::kubectl::Kubectl;
use crate::cluster::state::State;
use crate::step;

/// What carries the cluster.
enum Carrier {
    /// Docker, through kind.
    Kind,
    /// The programs themselves.
    Local(State),
}

impl Carrier {
    /// A cluster that is there stays what it is; otherwise kind is taken where it can be used.
    fn choose() -> Self {
        let state = State::locate();
        if !state.is_ours() && machine::has_kind() { Self::Kind } else { Self::Local(state) }
    }

    fn kubectl(&self) -> anyhow::Result<Kubectl> {
        match self {
            Self::Kind => kind::kubectl(),
            Self::Local(state) => Ok(local::kubectl(state)),
        }
    }

    /// What `up` and `down` hold: kind's cluster is the user's, the other one the machine's.
    fn lock_file(&self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Kind => Ok(cache::root()?.join(".cluster.lock")),
            Self::Local(_) => Ok("/run/lock/ottla-dev.lock".into()),
        }
    }

    /// Like [`Self::kubectl`], but only when there is a cluster to call.
    fn kubectl_of_cluster(&self) -> anyhow::Result<Kubectl> {
        let kubectl = self.kubectl()?;
        anyhow::ensure!(
            kubectl.kubeconfig.exists(),
            "there is no local Kubernetes: raise it with `cargo dev up`"
        );
        Ok(kubectl)
    }
}

/// Builds the programs of Kubernetes where they are not in the cache; kind brings its own.
pub(crate) fn build() -> anyhow::Result<()> {
    match Carrier::choose() {
        Carrier::Kind => Ok(()),
        Carrier::Local(_) => local::build(),
    }
}

/// Raises the cluster, or repairs what is missing of it.
pub(crate) fn up() -> anyhow::Result<()> {
    let started = Instant::now();
    let carrier = Carrier::choose();
    if let Carrier::Local(_) = &carrier {
        machine::check()?;
    }
    let _lock = lock(&carrier)?;
    match &carrier {
        Carrier::Kind => kind::up()?,
        Carrier::Local(state) => local::up(state)?,
    }
    let kubeconfig = carrier.kubectl()?.kubeconfig;
    step::say(&format!(
        "The local Kubernetes is up after {}. Point kubectl at it with\n  \
         export KUBECONFIG={}\nor call `cargo dev kubectl …`.",
        step::spell(started.elapsed()),
        kubeconfig.display()
    ));
    Ok(())
}

/// Drops the cluster with everything in it.
pub(crate) fn down() -> anyhow::Result<()> {
    let carrier = Carrier::choose();
    if let Carrier::Local(_) = &carrier {
        machine::check_root()?;
    }
    let _lock = lock(&carrier)?;
    match carrier {
        Carrier::Kind => kind::down(),
        Carrier::Local(state) => local::down(&state),
    }
}

/// Prints the nodes and what runs.
pub(crate) fn status() -> anyhow::Result<()> {
    let carrier = Carrier::choose();
    let kubectl = carrier.kubectl_of_cluster()?;
    if let Carrier::Local(state) = &carrier {
        print(&local::programs(state)?)?;
    }
    let nodes = kubectl.run("get nodes --label-columns=topology.kubernetes.io/zone")?;
    let pods = kubectl.run("get pods --all-namespaces --output=wide")?;
    print(&format!("{nodes}\n{pods}"))
}

/// Prints the path of the kubeconfig file.
pub(crate) fn print_kubeconfig() -> anyhow::Result<()> {
    let kubectl = Carrier::choose().kubectl_of_cluster()?;
    print(&format!("{}\n", kubectl.kubeconfig.display()))
}

/// kubectl for the cluster, if there is one.
pub(crate) fn connect() -> anyhow::Result<Kubectl> {
    Carrier::choose().kubectl_of_cluster()
}

/// Whether kind carries the cluster, or would.
pub(crate) fn is_by_kind() -> bool {
    matches!(Carrier::choose(), Carrier::Kind)
}

/// The API server's audit log, which only a cluster made of the programs themselves writes.
pub(crate) fn audit_log() -> anyhow::Result<PathBuf> {
    match Carrier::choose() {
        Carrier::Kind => anyhow::bail!("kind's API server writes no audit log"),
        Carrier::Local(state) => Ok(state.log("audit")),
    }
}

/// Becomes kubectl.
pub(crate) fn kubectl(arguments: &[OsString]) -> anyhow::Result<()> {
    let error = Carrier::choose().kubectl_of_cluster()?.command(arguments).exec();
    Err(error).context("could not run kubectl")
}

/// Brings OCI archives onto every node that does not have them yet.
pub(crate) fn load(archives: &[PathBuf]) -> anyhow::Result<()> {
    let carrier = Carrier::choose();
    carrier.kubectl_of_cluster()?;
    step::run_noted("load images onto the nodes", || match &carrier {
        Carrier::Kind => Ok((kind::load(archives)?, None)),
        Carrier::Local(state) => {
            let count = images::load(state, archives)?;
            Ok(((), (count == 0).then(|| "there already".to_owned())))
        }
    })
}

/// Serves claims until it is killed; `up` starts this in the background.
pub(crate) fn provision() -> anyhow::Result<()> {
    let state = State::locate();
    anyhow::ensure!(state.is_ours(), "there is no local Kubernetes to make disks for");
    provisioner::serve(&state, &local::kubectl(&state));
    Ok(())
}

/// One `up` or `down` of a cluster at a time.
fn lock(carrier: &Carrier) -> anyhow::Result<File> {
    let path = carrier.lock_file()?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
    }
    // Never emptied: where everybody may write, the name may be a link to something else.
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("could not open {}", path.display()))?;
    if file.try_lock().is_err() {
        step::say("another `cargo dev` changes the local Kubernetes; waiting for it");
        file.lock()?;
    }
    Ok(file)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
