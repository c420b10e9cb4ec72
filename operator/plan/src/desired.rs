//! The spec, parsed once. Behind [`Desired`] the raw spec cannot be reached, and building objects
//! cannot fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::KafkaCluster;
use ottla_crds::kafka_cluster::listener::Listener;
use ottla_crds::kafka_cluster::pod::{JvmOptions, PodOptions, Resources};
use ottla_crds::kafka_cluster::storage::{ReclaimPolicy, Storage};
use ottla_crds::kafka_cluster::{AllowUnavailable, Finalize, KAFKA_VERSIONS, Placement, Racks};

use crate::names::Names;
use crate::{duration, quantity};

mod configuration;
mod storage;

pub use storage::Volume;

const GIBIBYTE: u64 = 1 << 30;

/// A JVM without a memory limit to go by gets Kafka's own default.
const HEAP_WITHOUT_LIMIT_BYTES: u64 = GIBIBYTE;

/// More heap only lengthens collections: what Kafka reads and writes lives in the page cache.
const HEAP_MAX_BYTES: u64 = 6 * GIBIBYTE;

/// What the operator itself brings to every cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which installation of Ottla this is, as `namespace/name`.
    pub installation: String,
    /// The namespace in which the operator's pods run.
    pub operator_namespace: String,
    /// The image of a Kafka release, with `{version}` in the release's place.
    pub image_template: String,
}

/// A mistake in a spec, as a sentence for the person who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, such as `spec.brokers.storage`.
    pub field: String,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// What one group of nodes is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupDesired {
    /// How many nodes.
    pub replicas: i32,
    /// Their volumes; the first holds the metadata log.
    pub volumes: Arc<[Volume]>,
    /// CPU and memory.
    pub resources: Resources,
    /// The heap that the spec names itself, if it does.
    pub own_heap: Option<String>,
    /// Java heap in bytes.
    pub heap_bytes: u64,
    /// Further options of the JVM.
    pub jvm_options: Vec<String>,
    /// Placement and metadata of pods.
    pub pod: PodOptions,
}

impl GroupDesired {
    /// Whether the spec asks for a disk of that name.
    pub(crate) fn asks_for(&self, volume: &str) -> bool {
        self.volumes.iter().any(|one| one.name == volume)
    }
}

/// What a KafkaCluster is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Names of everything.
    pub names: Names,
    /// UID of the KafkaCluster, for owner references.
    pub uid: String,
    /// Its `metadata.generation`.
    pub generation: Option<i64>,
    /// The operator's own settings.
    pub settings: Settings,
    /// No write may happen.
    pub paused: bool,
    /// The installation that a person hands the cluster to, if any.
    pub take_over: Option<String>,
    /// The word by which a person asked last for a restart of every node, if any.
    pub restart: Option<String>,
    /// The word by which a person asked last for another CA, if any.
    pub renew_authority: Option<String>,
    /// Kafka's release.
    pub version: String,
    /// The image that the spec names itself, if it does.
    pub own_image: Option<String>,
    /// The image of every node.
    pub image: String,
    /// Brokers.
    pub brokers: GroupDesired,
    /// Dedicated controllers, if that is where controllers are.
    pub controllers: Option<GroupDesired>,
    /// How many nodes vote in the metadata quorum.
    pub voters: i32,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// The user's Kafka configuration, as far as nodes read it when they start.
    pub config: BTreeMap<String, String>,
    /// What of the configuration all nodes take while they run.
    pub live_config: BTreeMap<String, String>,
    /// Ids that no broker may have.
    pub excluded_ids: BTreeSet<i32>,
    /// What becomes of the disks of brokers that left.
    pub reclaim: ReclaimPolicy,
    /// How nodes are spread over zones.
    pub racks: Option<Racks>,
    /// Which partitions a restart may make unavailable.
    pub allow_unavailable: AllowUnavailable,
    /// When another release is there to stay.
    pub upgrade: UpgradeDesired,
}

/// When another Kafka release is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeDesired {
    /// Whether its features are switched on by themselves.
    pub finalize: Finalize,
    /// How long it is watched before each step that is hard to take back.
    pub soak_seconds: i64,
}

impl Desired {
    /// Reads a spec, or says everything that is wrong with it at once.
    ///
    /// The definition's schema refuses most mistakes before; an older definition, or none, may
    /// have let any of them through.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn parse(cluster: &KafkaCluster, settings: &Settings) -> Result<Desired, Vec<Problem>> {
        let mut problems = Problems::default();
        let spec = &cluster.spec;
        let brokers = group(
            "spec.brokers",
            spec.brokers.replicas,
            &spec.brokers.storage,
            Options::of(&spec.brokers.resources, &spec.brokers.jvm, &spec.brokers.pod),
            &mut problems,
        );
        let controllers = controllers(cluster, &mut problems);
        let upgrade = upgrade(cluster, &mut problems);
        check_counts(cluster, &mut problems);
        configuration::check(spec, &mut problems);
        configuration::check_cleaner(&spec.config, brokers.heap_bytes, &mut problems);
        if !problems.found.is_empty() {
            return Err(problems.found);
        }
        let (live_config, config) = configuration::split(spec);
        let annotation = |key: &str| cluster.metadata.annotations.as_ref()?.get(key).cloned();
        Ok(Desired {
            names: Names {
                cluster: cluster.metadata.name.clone().unwrap_or_default(),
                namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
            },
            uid: cluster.metadata.uid.clone().unwrap_or_default(),
            generation: cluster.metadata.generation,
            paused: spec.paused.unwrap_or_default(),
            take_over: annotation(crate::names::TAKE_OVER_ANNOTATION),
            restart: annotation(crate::names::RESTART_ANNOTATION),
            renew_authority: annotation(crate::names::RENEW_CA_ANNOTATION),
            version: spec.version.clone(),
            own_image: spec.image.clone(),
            image: image(spec.image.as_deref(), settings, &spec.version),
            brokers,
            controllers,
            voters: spec.controllers.replicas,
            listeners: by_name(&spec.listeners),
            config,
            live_config,
            excluded_ids: spec.brokers.excluded_ids.iter().copied().collect(),
            reclaim: spec.brokers.storage.reclaim.unwrap_or_default().when_scaled,
            racks: spec.racks.clone(),
            allow_unavailable: spec.roll.unwrap_or_default().allow_unavailable,
            upgrade,
            settings: settings.clone(),
        })
    }

    /// Whether controllers have pods of their own.
    #[must_use]
    pub fn dedicated(&self) -> bool {
        self.controllers.is_some()
    }

    /// What a group of nodes is to be. Nodes of a group that the spec no longer has are kept as
    /// brokers are.
    #[must_use]
    pub fn group(&self, group: crate::node::Group) -> &GroupDesired {
        match (group, &self.controllers) {
            (crate::node::Group::Controller, Some(controllers)) => controllers,
            _ => &self.brokers,
        }
    }
}

/// Collects mistakes, so that a person sees all of them at once.
#[derive(Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    pub(crate) fn add(&mut self, field: &str, sentence: impl Into<String>) {
        self.found.push(Problem { field: field.to_owned(), sentence: sentence.into() });
    }
}

struct Options {
    resources: Resources,
    jvm: JvmOptions,
    pod: PodOptions,
}

impl Options {
    fn of(
        resources: &Option<Resources>,
        jvm: &Option<JvmOptions>,
        pod: &Option<PodOptions>,
    ) -> Options {
        Options {
            resources: resources.clone().unwrap_or_default(),
            jvm: jvm.clone().unwrap_or_default(),
            pod: pod.clone().unwrap_or_default(),
        }
    }
}

fn controllers(cluster: &KafkaCluster, problems: &mut Problems) -> Option<GroupDesired> {
    let spec = &cluster.spec.controllers;
    if spec.placement == Placement::Colocated {
        return None;
    }
    let Some(storage) = &spec.storage else {
        problems.add("spec.controllers.storage", "is required while controllers are Dedicated");
        return None;
    };
    let options = Options::of(&spec.resources, &spec.jvm, &spec.pod);
    Some(group("spec.controllers", spec.replicas, storage, options, problems))
}

/// Where the spec does not say how long another release is watched.
const SOAK_SECONDS: i64 = 600;

fn upgrade(cluster: &KafkaCluster, problems: &mut Problems) -> UpgradeDesired {
    let spec = cluster.spec.upgrade.clone().unwrap_or_default();
    let soak_seconds = spec.soak.map(|soak| {
        duration::seconds(&soak).unwrap_or_else(|| {
            let sentence = format!("`{soak}` is no duration; write one such as 10m or 1h30m");
            problems.add("spec.upgrade.soak", sentence);
            0
        })
    });
    UpgradeDesired {
        finalize: spec.finalize.unwrap_or_default(),
        soak_seconds: soak_seconds.unwrap_or(SOAK_SECONDS),
    }
}

fn group(
    field: &str,
    replicas: i32,
    storage: &Storage,
    options: Options,
    problems: &mut Problems,
) -> GroupDesired {
    let volumes = storage::parse(field, storage, problems);
    let limit = options.resources.limits.get("memory").and_then(|limit| quantity::bytes(limit));
    let heap_bytes = match options.jvm.heap.as_deref() {
        Some(heap) => quantity::bytes(heap).unwrap_or_else(|| {
            problems.add(&format!("{field}.jvm.heap"), format!("`{heap}` is not a quantity"));
            0
        }),
        None => default_heap_bytes(limit),
    };
    if limit.is_some_and(|limit| heap_bytes >= limit) {
        problems.add(
            &format!("{field}.jvm.heap"),
            "is not below the memory limit: a JVM needs memory beside its heap, \
             and Kafka lives from the page cache; half of the limit is a good heap",
        );
    }
    GroupDesired {
        replicas,
        volumes,
        resources: options.resources,
        own_heap: options.jvm.heap,
        heap_bytes,
        jvm_options: options.jvm.options,
        pod: options.pod,
    }
}

fn default_heap_bytes(memory_limit_bytes: Option<u64>) -> u64 {
    memory_limit_bytes.map_or(HEAP_WITHOUT_LIMIT_BYTES, |limit| (limit / 2).min(HEAP_MAX_BYTES))
}

fn check_counts(cluster: &KafkaCluster, problems: &mut Problems) {
    let (brokers, controllers) = (&cluster.spec.brokers, &cluster.spec.controllers);
    if brokers.replicas < 1 {
        problems.add("spec.brokers.replicas", "must be at least 1");
    }
    if controllers.replicas < 1 {
        problems.add("spec.controllers.replicas", "must be 1, 3 or 5");
    }
    if controllers.placement == Placement::Colocated && controllers.replicas > brokers.replicas {
        problems.add(
            "spec.controllers.replicas",
            "must not exceed spec.brokers.replicas while controllers are Colocated",
        );
    }
    let votes = |id: &&i32| **id < controllers.replicas;
    let voter = brokers.excluded_ids.iter().find(votes);
    if let Some(id) = voter.filter(|_| controllers.placement == Placement::Colocated) {
        problems.add(
            "spec.brokers.excludedIds",
            format!(
                "{id} is to vote in the metadata quorum: remove it, or give controllers pods of their own first (placement: Dedicated)"
            ),
        );
    }
    if !KAFKA_VERSIONS.contains(&cluster.spec.version.as_str()) {
        problems.add(
            "spec.version",
            format!(
                "`{}` is not a release that Ottla knows; choose one of {}",
                cluster.spec.version,
                KAFKA_VERSIONS.join(", ")
            ),
        );
    }
    if cluster.spec.racks.as_ref().is_some_and(|racks| racks.zones.is_empty()) {
        problems.add("spec.racks.zones", "must list at least one zone");
    }
}

/// The order in which listeners are listed says nothing, so that a new order changes nothing.
fn by_name(listeners: &[Listener]) -> Vec<Listener> {
    let mut listeners = listeners.to_vec();
    listeners.sort_by(|one, other| one.name.cmp(&other.name));
    listeners
}

fn image(explicit: Option<&str>, settings: &Settings, version: &str) -> String {
    explicit
        .map_or_else(|| settings.image_template.replace("{version}", version), ToOwned::to_owned)
}
