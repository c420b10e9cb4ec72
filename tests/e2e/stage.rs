//! A stage: a namespace of its own under restricted pod security, and one scenario at a time.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use super::wait::{spell, until};
use super::{diagnosis, object};

/// Scenarios take turns, in the order in which they ask: a machine of two cores runs one Kafka
/// cluster well, and figures would mean nothing otherwise.
static TURN: Mutex<()> = Mutex::const_new(());

/// No scenario needs as long, with another that is played while it waits; one that hangs must not hold up the others
/// for ever.
const SCENARIO_WITHIN: Duration = Duration::from_secs(30 * 60);

/// A namespace is gone when its pods and disks are.
const CLOSED_WITHIN: Duration = Duration::from_secs(180);

/// Where a scenario plays.
pub(crate) struct Stage {
    /// Speaks to Kubernetes as its administrator.
    pub(crate) client: Client,
    /// The scenario's own namespace.
    pub(crate) namespace: String,
    /// What keeps others from playing.
    turn: Mutex<Option<MutexGuard<'static, ()>>>,
}

/// Plays a scenario: a fresh namespace before, everything that helps to understand a failure
/// after, and the namespace gone at the end.
pub(crate) async fn play(
    name: &str,
    scenario: impl AsyncFnOnce(&Stage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let turn = TURN.lock().await;
    let stage = Stage::open(name).await?;
    *stage.turn.lock().await = Some(turn);
    let started = Instant::now();
    let played = match tokio::time::timeout(SCENARIO_WITHIN, Box::pin(scenario(&stage))).await {
        Ok(played) => played,
        Err(_) => Err(anyhow::anyhow!("the scenario did not end in {}", spell(SCENARIO_WITHIN))),
    };
    let played = match played {
        Ok(()) => {
            say(&format!("{name}: played in {}", spell(started.elapsed())));
            Ok(())
        }
        Err(error) => {
            say(&format!("{name}: FAILED after {}: {error:#}", spell(started.elapsed())));
            diagnosis::print(&stage).await;
            let words = diagnosis::last_words_of_operator(&stage).await;
            Err(anyhow::anyhow!("{error:#}\n\nthe operator's last words:\n{words}"))
        }
    };
    if played.is_ok() || std::env::var_os("OTTLA_E2E_KEEP").is_none() {
        stage.leave().await?;
    }
    played
}

/// One line past the test runner, which would hold it back.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "    {line}");
}

/// Who scenarios are to Kubernetes.
pub(crate) async fn connect() -> anyhow::Result<Client> {
    Client::try_default().await.context("there is no Kubernetes: run `cargo dev up` first")
}

impl Stage {
    /// A fresh namespace; one that an earlier run left is removed first.
    pub(crate) async fn open(name: &str) -> anyhow::Result<Self> {
        let client = connect().await?;
        let (namespace, turn) = (format!("e2e-{name}"), Mutex::new(None));
        let stage = Self { client, namespace, turn };
        stage.close().await?;
        let namespace = serde_json::from_value(json!({
            "metadata": {
                "name": stage.namespace,
                "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        }))?;
        stage.namespaces().create(&PostParams::default(), &namespace).await?;
        Ok(stage)
    }

    /// Removes the namespace with everything in it, and waits until it is gone.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        self.leave().await?;
        let namespaces = self.namespaces();
        until(&format!("the end of namespace {}", self.namespace), CLOSED_WITHIN, async || {
            let left = namespaces.get_opt(&self.namespace).await?;
            Ok(left.map_or(Ok(()), |left| Err(format!("{:?}", left.status))))
        })
        .await
    }

    /// Has the namespace removed, and waits until none of its pods is left: what else is in it bothers
    /// nobody. Pods get no time to say goodbye, because nobody wants their data any more.
    async fn leave(&self) -> anyhow::Result<()> {
        let namespaces = self.namespaces();
        if namespaces.get_opt(&self.namespace).await?.is_none() {
            return Ok(());
        }
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        let pods = self.api::<Pod>();
        let hurried = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        pods.delete_collection(&hurried, &ListParams::default()).await?;
        until(&format!("the end of pods in {}", self.namespace), CLOSED_WITHIN, async || {
            let left = pods.list(&ListParams::default()).await?.items.len();
            Ok(if left == 0 { Ok(()) } else { Err(format!("{left} pods")) })
        })
        .await
    }

    /// Waits for something that takes minutes and no work. Another scenario is played meanwhile.
    pub(crate) async fn others_play_during<T>(&self, wait: impl Future<Output = T>) -> T {
        let mut turn = self.turn.lock().await;
        drop(turn.take());
        let waited = wait.await;
        *turn = Some(TURN.lock().await);
        waited
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    /// The objects of one kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a manifest, as `kubectl apply --server-side` would.
    pub(crate) async fn apply(&self, manifest: &serde_json::Value) -> anyhow::Result<()> {
        let api = object::api(self, manifest)?;
        let name = manifest["metadata"]["name"].as_str().context("the manifest has no name")?;
        let params = PatchParams::apply("e2e").force().validation_strict();
        api.patch(name, &params, &Patch::Apply(manifest))
            .await
            .with_context(|| format!("could not apply {} {name}", manifest["kind"]))?;
        Ok(())
    }
}
