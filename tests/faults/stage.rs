//! A namespace with one cluster in it, and what must hold at the end of every scenario.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt};
use ottla_crds::KafkaCluster;
use ottla_tests::fault::{Fault, Faults};
use tokio::sync::OnceCell;
use tokio::time::{Duration, Instant, sleep};

use super::agents::Agents;
use super::audit::Audit;
use super::ground::{Ground, Place};
use super::operator::Operator;
use super::server::{Access, User};
use super::snapshot::Snapshot;

/// An example that people are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Example {
    /// Three nodes that are both.
    Quickstart,
    /// Dedicated controllers, several disks, racks.
    Production,
}

impl Example {
    fn file(self) -> &'static str {
        match self {
            Example::Quickstart => "quickstart.yaml",
            Example::Production => "production.yaml",
        }
    }

    /// The KafkaCluster.
    pub(crate) fn cluster(self) -> anyhow::Result<KafkaCluster> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(self.file());
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_yaml::from_str(&text)?)
    }
}

/// What a bring-up without any fault comes to.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    /// Every object in the end.
    pub(crate) objects: Snapshot,
    /// Every object that the operator wrote.
    pub(crate) written: BTreeSet<String>,
    /// How many writes it took, events aside.
    pub(crate) writes: usize,
    /// How many nodes were told to format.
    pub(crate) words_to_format: usize,
}

/// What all scenarios share. Clones share all.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) access: Access,
    pub(crate) person: Client,
    pub(crate) ground: Ground,
    pub(crate) audit: Audit,
    baselines: Arc<[OnceCell<Baseline>; 2]>,
    namespaces: Arc<AtomicUsize>,
}

impl Bench {
    /// A bench over an API server.
    pub(crate) fn new(access: Access, ground: Ground, audit: Audit) -> anyhow::Result<Bench> {
        Ok(Bench {
            person: access.client(User::Person)?,
            access,
            ground,
            audit,
            baselines: Arc::default(),
            namespaces: Arc::default(),
        })
    }

    /// What the bring-up of an example comes to, measured once.
    pub(crate) async fn baseline(&self, example: Example) -> anyhow::Result<&Baseline> {
        self.baselines[example as usize].get_or_try_init(|| measure(self, example)).await
    }
}

async fn measure(bench: &Bench, example: Example) -> anyhow::Result<Baseline> {
    let stage = Stage::new(bench, example).await?;
    stage.apply().await?;
    let operator = stage.operator(Faults::new())?;
    stage.ready().await?;
    let mut writes = 0;
    while operator.faults.mutations() != writes {
        writes = operator.faults.mutations();
        sleep(QUIET).await;
    }
    let written = bench.audit.written(User::Operator, &stage.namespace)?;
    let baseline = Baseline {
        objects: Snapshot::take(&bench.person, &stage.namespace).await?,
        written: written.into_keys().collect(),
        writes,
        words_to_format: stage.place().pods.len(),
    };
    stage.verify(&baseline)?;
    Ok(baseline)
}

/// Longer than two passes of a cluster at rest.
const QUIET: Duration = Duration::from_millis(1300);

/// An undisturbed bring-up takes two seconds; one pass that fails costs three.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether something holds.
const LOOK: Duration = Duration::from_millis(50);

/// One namespace.
pub(crate) struct Stage {
    pub(crate) bench: Bench,
    pub(crate) namespace: String,
    example: Example,
}

impl Stage {
    /// A fresh namespace for an example.
    pub(crate) async fn new(bench: &Bench, example: Example) -> anyhow::Result<Stage> {
        let number = bench.namespaces.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("scenario-{number:04}");
        let namespaces: Api<Namespace> = Api::all(bench.person.clone());
        let object = serde_json::from_value(serde_json::json!({
            "metadata": { "name": namespace },
        }))?;
        namespaces.create(&PostParams::default(), &object).await?;
        Ok(Stage { bench: bench.clone(), namespace, example })
    }

    /// The API for KafkaClusters.
    pub(crate) fn clusters(&self) -> Api<KafkaCluster> {
        Api::namespaced(self.bench.person.clone(), &self.namespace)
    }

    /// The cluster's name.
    pub(crate) fn cluster_name(&self) -> anyhow::Result<String> {
        Ok(self.example.cluster()?.name_any())
    }

    /// Applies the example.
    pub(crate) async fn apply(&self) -> anyhow::Result<()> {
        self.clusters().create(&PostParams::default(), &self.example.cluster()?).await?;
        Ok(())
    }

    /// Deletes the KafkaCluster, as `kubectl delete` does.
    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        self.clusters().delete(&self.cluster_name()?, &DeleteParams::background()).await?;
        Ok(())
    }

    /// An operator over these faults.
    pub(crate) fn operator(&self, faults: Faults) -> anyhow::Result<Operator> {
        self.operator_of(User::Operator, faults, None)
    }

    /// An operator of a user, with a fault for one of its words to format.
    pub(crate) fn operator_of(
        &self,
        user: User,
        faults: Faults,
        planned: Option<(usize, Fault)>,
    ) -> anyhow::Result<Operator> {
        faults.count_only(|call| !matches!(call.resource.as_str(), "events" | "leases"));
        let agents = Agents::new(&self.bench.ground, &self.namespace, &faults, planned);
        Operator::start(&self.bench.access, user, &self.namespace, faults, agents)
    }

    /// What the ground knows of this namespace.
    pub(crate) fn place(&self) -> Place {
        self.bench.ground.place(&self.namespace)
    }

    /// Waits until something holds of what the ground knows.
    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&Place) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let place = self.place();
            ensure!(place.violations.is_empty(), "{}", place.violations.join("; "));
            if holds(&place) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{}: {what} never came, conditions {:?}", self.namespace, place.conditions);
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the KafkaCluster is Ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        self.until("Ready", |place| place.is("Ready")).await
    }

    /// Waits until all objects are those of the baseline, and shows that the operator then rests.
    pub(crate) async fn settles(
        &self,
        baseline: &Baseline,
        operator: &Operator,
    ) -> anyhow::Result<()> {
        self.ready().await?;
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let found = Snapshot::take(&self.bench.person, &self.namespace).await?;
            let Some(difference) = baseline.objects.difference(&found) else { break };
            ensure!(Instant::now() < deadline, "{}: {difference}", self.namespace);
            sleep(LOOK * 2).await;
        }
        let before = operator.faults.mutations();
        sleep(QUIET).await;
        let trace = operator.faults.trace();
        ensure!(trace.len() == before, "at rest it wrote {:?}", &trace[before..]);
        Ok(())
    }

    /// What must hold at the end of every bring-up, whatever happened on the way.
    pub(crate) fn verify(&self, baseline: &Baseline) -> anyhow::Result<()> {
        let checked = self.verify_writes(baseline).and_then(|()| self.verify_ground());
        checked.with_context(|| self.namespace.clone())
    }

    fn verify_writes(&self, baseline: &Baseline) -> anyhow::Result<()> {
        let audit = &self.bench.audit;
        let written = audit.written(User::Operator, &self.namespace)?;
        let twice: Vec<_> = written.iter().filter(|(_, count)| **count > 1).collect();
        ensure!(twice.is_empty(), "created more than once: {twice:?}");
        let written: BTreeSet<String> = written.into_keys().collect();
        let other: Vec<_> = written.symmetric_difference(&baseline.written).collect();
        ensure!(other.is_empty(), "written only here, or only without faults: {other:?}");
        let writes = audit.writes(User::Operator, &self.namespace)?;
        let replaced: Vec<_> =
            writes.iter().filter(|write| write.deletes() || write.verb == "update").collect();
        ensure!(replaced.is_empty(), "deleted or replaced: {replaced:?}");
        Ok(())
    }

    /// At most one cluster id, no disk formatted twice, no pod made twice, at any moment.
    pub(crate) fn verify_ground_so_far(&self) -> anyhow::Result<()> {
        let place = self.place();
        ensure!(place.violations.is_empty(), "{}", place.violations.join("; "));
        ensure!(place.cluster_ids.len() <= 1, "cluster ids {:?}", place.cluster_ids);
        let again: Vec<_> = place.pods_ever.iter().filter(|(_, uids)| uids.len() > 1).collect();
        ensure!(again.is_empty(), "pods were made again: {again:?}");
        Ok(())
    }

    /// The same, with one cluster id and every disk formatted in the end.
    pub(crate) fn verify_ground(&self) -> anyhow::Result<()> {
        self.verify_ground_so_far()?;
        let place = self.place();
        ensure!(!place.cluster_ids.is_empty(), "no identity was ever seen");
        // A stranger's claim that is gone left a disk that nobody should have formatted.
        let claims = place.claims.values();
        let disks = claims.filter_map(|claim| place.disks.get(&claim.uid));
        let formats: Vec<usize> = disks.map(|disk| disk.formats).collect();
        ensure!(formats.iter().all(|count| *count == 1), "formats by disk: {formats:?}");
        Ok(())
    }
}
