//! A small world in memory: an API server, pods, agents, disks and Kafka, as far as a planner can
//! see them. It carries out every action of a plan, so that a test can plan twice.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use jiff::{Timestamp, ToSpan};
use ottla_crds::KafkaCluster;
use ottla_crds::kafka_cluster::status::KafkaClusterStatus;
use ottla_plan::desired::{Problem, Settings};
use ottla_plan::names::Names;
use ottla_plan::object::Kind;
use ottla_plan::observed::{Certificate, Partitions};
use ottla_plan::status::remember;
use ottla_plan::{Action, Desired, Plan, check, cluster};
use serde_json::Value;

mod accidents;
mod act;
mod authority;
mod configuration;
mod departure;
mod folders;
mod format;
mod gradual;
mod growth;
mod life;
mod moves;
mod nodes;
mod observe;
mod quorum;
mod seen;
mod store;
mod told;
mod topics;
mod upgrade;

pub use act::{Mishap, Outcome};
pub use gradual::BAD_OPTION;
pub use nodes::Agent;
pub use seen::Seen;
pub use store::Store;

use authority::Trust;
use folders::Placement;
use gradual::Gradual;
use nodes::{Disk, KafkaMood, Pod};
use topics::Topics;

/// The installation of Ottla that plans in this world.
pub const INSTALLATION: &str = "ottla-system/ottla";

/// The namespace of every cluster that names none.
const NAMESPACE: &str = "shop";

/// A certificate, and the serial number of the CA that signed it.
#[derive(Clone, Debug)]
struct Issued {
    certificate: Certificate,
    signer: String,
}

/// A cluster, and everything about it.
#[derive(Clone, Debug)]
pub struct World {
    cluster: KafkaCluster,
    now: Timestamp,
    store: Store,
    /// By the UID of their Secret.
    certificates: BTreeMap<String, Issued>,
    trust: Trust,
    /// By node id.
    pods: BTreeMap<i32, Pod>,
    /// How often a pod of each name was made.
    lives: BTreeMap<String, usize>,
    /// By the name of their claim.
    disks: BTreeMap<String, Disk>,
    /// Claims whose disks were lost, until a person says so.
    lost_claims: BTreeSet<String>,
    /// Disks that any pass ever saw formatted, as `node id/volume`, to hold the law S5.
    seen: BTreeSet<String>,
    /// Every disk that was formatted, whether a pass saw it or not, by its key: the UID of its claim.
    formatted: BTreeMap<String, String>,
    registered: BTreeSet<i32>,
    /// Voters of the metadata quorum: node id to directory id.
    quorum: BTreeMap<i32, String>,
    /// Those whose vote was taken, whom the active controller remembers for a while.
    former_voters: BTreeSet<(i32, String)>,
    /// Those whose vote was taken because its disk was lost, until they have one again.
    lost_votes: BTreeSet<i32>,
    /// Controllers that Kafka has a registration of.
    controllers: BTreeSet<i32>,
    /// What the broker that is asked still shows of partitions, at the next look alone.
    stale: Option<Partitions>,
    /// How often the status was written.
    statuses: u64,
    /// What happened that no action tells of by its words.
    happened: BTreeSet<&'static str>,
    /// Whether a claim was ever changed, so that a disk may grow.
    claims_change: bool,
    /// Whether file systems grow only while nobody has them mounted.
    grows_at_starts: bool,
    /// A law that was found broken where nobody could say so.
    broken: Option<String>,
    kafka: KafkaMood,
    topics: Topics,
    placement: Placement,
    /// What is switched on.
    features: BTreeMap<String, i32>,
    /// What is set for all nodes.
    dynamic_config: BTreeMap<String, String>,
    /// Objects of strangers that stood in the way of a write.
    strangers: BTreeSet<(Kind, String)>,
    /// Set where everything takes its time; nothing where it is done at once.
    gradual: Option<Gradual>,
    /// What the operator meets at one of its next writes, counted down.
    mishap: Option<(usize, Mishap)>,
}

/// What the operator itself brings to every cluster.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        installation: INSTALLATION.to_owned(),
        operator_namespace: "ottla-system".to_owned(),
        image_template: "ottla/kafka:{version}".to_owned(),
    }
}

/// Reads a manifest as the API server would hand it out.
///
/// # Errors
/// Where it is no KafkaCluster.
pub fn manifest(text: &str) -> Result<KafkaCluster> {
    let mut cluster: KafkaCluster =
        serde_yaml::from_str(text).context("this is no KafkaCluster")?;
    cluster.metadata.namespace.get_or_insert(NAMESPACE.to_owned());
    cluster.metadata.generation = Some(1);
    Ok(cluster)
}

impl World {
    /// A world with nothing but a KafkaCluster, at the beginning of 2026.
    #[must_use]
    pub fn new(mut cluster: KafkaCluster) -> World {
        let mut store = Store::default();
        cluster.metadata.uid = Some(format!("uid-{}", store.number()));
        World {
            cluster,
            now: Timestamp::constant(1_767_225_600, 0),
            store,
            certificates: BTreeMap::new(),
            trust: Trust::default(),
            pods: BTreeMap::new(),
            lives: BTreeMap::new(),
            disks: BTreeMap::new(),
            lost_claims: BTreeSet::new(),
            seen: BTreeSet::new(),
            formatted: BTreeMap::new(),
            registered: BTreeSet::new(),
            quorum: BTreeMap::new(),
            former_voters: BTreeSet::new(),
            lost_votes: BTreeSet::new(),
            controllers: BTreeSet::new(),
            stale: None,
            statuses: 0,
            happened: BTreeSet::new(),
            claims_change: false,
            grows_at_starts: false,
            broken: None,
            kafka: KafkaMood::default(),
            topics: Topics::default(),
            placement: Placement::default(),
            features: BTreeMap::new(),
            dynamic_config: BTreeMap::new(),
            strangers: BTreeSet::new(),
            gradual: None,
            mishap: None,
        }
    }

    /// Names of the cluster's objects.
    #[must_use]
    pub fn names(&self) -> Names {
        Names {
            cluster: self.cluster.metadata.name.clone().unwrap_or_default(),
            namespace: self.cluster.metadata.namespace.clone().unwrap_or_default(),
        }
    }

    /// The objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The status that the operator wrote last.
    #[must_use]
    pub fn status(&self) -> KafkaClusterStatus {
        self.cluster.status.clone().unwrap_or_default()
    }

    /// The spec, parsed.
    ///
    /// # Errors
    /// Its mistakes.
    pub fn desired(&self) -> Result<Desired, Vec<Problem>> {
        Desired::parse(&self.cluster, &settings())
    }

    /// The operator will meet a mishap at the write of this number, counted from 0 over all passes.
    pub fn arm(&mut self, write: usize, mishap: Mishap) {
        self.mishap = Some((write, mishap));
    }

    /// Whether that write is still to come.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.mishap.is_some()
    }

    /// What happened so far that no action tells of by its words.
    #[must_use]
    pub fn happened(&self) -> &BTreeSet<&'static str> {
        &self.happened
    }

    /// Whether this differs from what it was before in anything that people change.
    #[must_use]
    pub fn was_changed_since(&self, before: &World) -> bool {
        let (now, then) = (&self.cluster, &before.cluster);
        now.spec != then.spec
            || now.metadata.annotations != then.metadata.annotations
            || self.now != before.now
            || self.dynamic_config != before.dynamic_config
            || self.store.writes() != before.store.writes()
    }

    /// Every pod, and how often one of its name was made.
    #[must_use]
    pub fn pod_lives(&self) -> &BTreeMap<String, usize> {
        &self.lives
    }

    /// Replaces the KafkaCluster's spec by another manifest's.
    pub fn apply(&mut self, manifest: KafkaCluster) {
        self.cluster.spec = manifest.spec;
        self.cluster.metadata.generation = self.cluster.metadata.generation.map(|g| g + 1);
    }

    /// Changes one field of the KafkaCluster, or removes it.
    ///
    /// # Errors
    /// Where no KafkaCluster could look like that.
    pub fn edit(&mut self, path: &[&str], value: Value) -> Result<()> {
        let mut tree = serde_json::to_value(&self.cluster)?;
        let place = path.iter().fold(&mut tree, |place, part| match part.parse::<usize>() {
            Ok(index) if place.is_array() => &mut place[index],
            _ => &mut place[*part],
        });
        *place = value;
        if let Some(config) = tree.pointer_mut("/spec/config").and_then(Value::as_object_mut) {
            config.retain(|_, value| !value.is_null());
        }
        self.cluster = serde_json::from_value(tree).context("no KafkaCluster looks like that")?;
        self.cluster.metadata.generation = self.cluster.metadata.generation.map(|g| g + 1);
        Ok(())
    }

    /// Writes into the KafkaCluster's status that some installation owns it.
    pub fn own(&mut self, installation: &str) {
        self.statuses += 1;
        self.cluster.status.get_or_insert_default().operator = Some(installation.to_owned());
    }

    /// Lets days pass.
    ///
    /// # Errors
    /// Where time would end.
    pub fn days(&mut self, days: i64) -> Result<()> {
        self.seconds(days * 24 * 3600)
    }

    /// Marks the KafkaCluster as ours and remembers what a plan asks to remember.
    fn stamp(&mut self, plan: &Plan) {
        self.own(INSTALLATION);
        remember(self.cluster.status.get_or_insert_default(), plan);
    }

    fn seconds(&mut self, seconds: i64) -> Result<()> {
        self.now = self.now.checked_add(seconds.seconds())?;
        Ok(())
    }

    /// One plan on what is seen now, checked against the laws, and the same when asked again.
    ///
    /// # Errors
    /// A broken law.
    pub fn plan(&self) -> Result<Plan> {
        let (desired, observed) = (self.desired(), self.observe());
        let plan = cluster::plan(&desired, &observed, INSTALLATION, self.now);
        if let Err(violations) = check::plan(&plan, &observed) {
            bail!("the plan breaks laws: {violations:?}");
        }
        // A simulated life shows the same by being lived twice.
        if self.gradual.is_none()
            && plan != cluster::plan(&desired, &observed, INSTALLATION, self.now)
        {
            bail!("the same world gave two plans");
        }
        Ok(plan)
    }

    /// Checks that nothing is left to do and nothing new to say, but for writes that are refused and
    /// what waits for them.
    ///
    /// # Errors
    /// What is left.
    pub fn at_rest(&self, refused: &[String]) -> Result<()> {
        let plan = self.plan()?;
        // What is destructive waits for what was refused.
        let waits = |action: &&Action| !refused.is_empty() && action.is_destructive();
        let mut left: Vec<String> =
            plan.actions.iter().filter(|one| !waits(one)).map(Action::describe).collect();
        left.retain(|text| !refused.iter().any(|refused| refused.starts_with(text.as_str())));
        if !left.is_empty() {
            bail!("left to do: {}", left.join(", "));
        }
        let mut later = self.clone();
        later.days(1)?;
        if later.write_status(&plan, refused.first().map(String::as_str)) {
            bail!("the status says something new although nothing happened");
        }
        Ok(())
    }
}
