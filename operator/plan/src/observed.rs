//! The world as it was last seen. "Could not ask" is never "absent".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::agent::{AgentStatus, JvmStatus};
use ottla_crds::kafka_cluster::status::Memory;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::NODE_LABEL;
use crate::node::{Group, Node};
use crate::object::Kind;

mod children;
mod folders;
mod partitions;
pub mod traces;

pub use children::Children;
pub use folders::{Folder, Folders};
pub use partitions::{Count, Dependents, Partition, Partitions, Tally};
pub use traces::Traces;

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was asked and answered.
    Known(T),
    /// It could not be asked: neither yes nor no, neither there nor gone.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl<T> Answer<T> {
    /// The answer, if there is one.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Answer::Known(answer) => Some(answer),
            Answer::Unknown { .. } => None,
        }
    }
}

/// An object of the cluster that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
    /// Whether it carries our cluster label. Anything else is a stranger's.
    pub ours: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Seconds since the epoch when it was created.
    pub created_at_seconds: i64,
    /// The live tree, without managed fields. Empty for Secrets, whose content stays unread. Shared,
    /// because it may be large.
    pub live: Arc<Value>,
}

impl Child {
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.live.get("metadata")?.get("labels")?.get(key)?.as_str()
    }
}

/// What may be known of a certificate in a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Serial number in hexadecimal.
    pub serial: String,
    /// When it expires, seconds since the epoch.
    pub expires_at_seconds: i64,
    /// The common name of its subject.
    pub common_name: String,
    /// DNS names that it is good for.
    pub dns_names: BTreeSet<String>,
    /// Whether the cluster's present CA signed it.
    pub trusted: bool,
    /// Whether any of the CAs signed it that are trusted.
    pub is_of_trusted_authority: bool,
    /// Serial numbers of the CAs beside it, which whoever has it trusts.
    pub authorities: BTreeSet<String>,
}

/// The cluster's CA, and the one before or after it while it is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The one that signs.
    pub signer: Certificate,
    /// All that are trusted, PEM.
    pub trusted_pem: String,
    /// Their serial numbers.
    pub trusted: BTreeSet<String>,
    /// The one that is to sign next.
    pub next: Option<NextAuthority>,
    /// What the KafkaCluster's annotation said that asked for the last renewal.
    pub word: Option<String>,
}

/// A CA that is trusted already and is to sign next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextAuthority {
    /// Its serial number.
    pub serial: String,
    /// When it was made, seconds since the epoch.
    pub made_at_seconds: i64,
}

/// What Kubernetes says of a claim that grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Its own words.
    pub detail: String,
    /// Since when only the file system has to grow, seconds since the epoch: the condition
    /// `FileSystemResizePending`. Kubernetes does it at once where that can be done while it is mounted, and else
    /// before the next pod starts.
    pub at_start_since_seconds: Option<i64>,
}

/// A claim of a node's volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its UID.
    pub uid: String,
    /// Group of its node.
    pub group: Group,
    /// Kafka's `node.id`.
    pub node_id: i32,
    /// Name of the volume.
    pub volume: String,
    /// Its StorageClass, by its own word or by the default at the time when it was made.
    pub class: Option<String>,
    /// The size that it asks for, as Kubernetes writes it.
    pub size: Option<String>,
    /// The size that its volume has, as Kubernetes writes it.
    pub capacity: Option<String>,
    /// What Kubernetes says of its growth.
    pub growth: Option<Growth>,
    /// Whether it has a volume.
    pub bound: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The zone noted on it.
    pub rack: Option<String>,
    /// Kafka's cluster id noted on it.
    pub cluster_id: Option<String>,
    /// The UID that a person wrote to declare that this is a new disk for a lost one.
    pub accepted_uid: Option<String>,
}

impl Claim {
    /// Whether it is of a disk that a node is to have.
    pub(crate) fn is_of(&self, node: &Node) -> bool {
        self.node_id == node.id && node.has_disk(&self.volume)
    }
}

/// The pod of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
    /// Its address, once it has one.
    pub address: Option<String>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The hash of the template that it was made from.
    pub template: Option<String>,
    /// The hash of what the spec asked of it when it was made.
    pub wish: Option<String>,
    /// What the KafkaCluster's restart annotation said when it was made.
    pub restart: Option<String>,
    /// The ConfigMap that it mounts as its configuration.
    pub configuration: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// Since when Kubernetes finds no place for it, seconds since the epoch, if so.
    pub unscheduled_since_seconds: Option<i64>,
    /// When it was made, seconds since the epoch.
    pub created_at_seconds: Option<i64>,
    /// Why it cannot run, in Kubernetes' words, if it says so.
    pub stuck: Option<String>,
    /// How often its container was started again.
    pub restarts: i32,
}

/// The identity object: what makes disks belong to this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// UID of its ConfigMap.
    pub uid: String,
    /// Resource version of its ConfigMap.
    pub resource_version: String,
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// The first voters: node id to directory id.
    pub voters: BTreeMap<i32, String>,
    /// Every disk that was ever seen formatted: `node id/volume` to directory id.
    pub disks: BTreeMap<String, String>,
    /// The metadata quorum as it was decided last.
    pub quorum: QuorumRecord,
    /// What the operator has begun and what outlives the KafkaCluster.
    pub traces: Traces,
}

/// What is on record of the metadata quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuorumRecord {
    /// Controllers that may vote: node id to directory id.
    pub members: BTreeMap<i32, String>,
    /// Controllers that Kafka may have a registration of, which outlives their vote.
    pub registered: BTreeSet<i32>,
    /// Controllers by which nodes find the quorum when they start.
    pub bootstrap: BTreeSet<i32>,
}

impl QuorumRecord {
    /// That of a new cluster.
    #[must_use]
    pub fn of_first(voters: &BTreeMap<i32, String>) -> QuorumRecord {
        let ids: BTreeSet<i32> = voters.keys().copied().collect();
        QuorumRecord { members: voters.clone(), registered: ids.clone(), bootstrap: ids }
    }
}

impl Identity {
    /// The volumes of a node that are on record, each with its key in [`Identity::disks`].
    pub fn disks_of(&self, node_id: i32) -> impl Iterator<Item = (&str, &String)> {
        let prefix = disk_key(node_id, "");
        self.disks.keys().filter_map(move |key| Some((key.strip_prefix(prefix.as_str())?, key)))
    }
}

/// Key of a disk in [`Identity::disks`].
#[must_use]
pub fn disk_key(node_id: i32, volume: &str) -> String {
    format!("{node_id}/{volume}")
}

/// A voter of the metadata quorum, as the active controller sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voter {
    /// The id of its metadata directory.
    pub directory: String,
    /// For how long it has not had everything; `None` where the active controller never heard of
    /// it.
    pub behind_milliseconds: Option<i64>,
}

/// A voter fetches twice a second at least; one that has not had everything for this long is cut
/// off, stuck, or starting.
const SILENCE_MILLISECONDS: i64 = 10_000;

/// A voter that had everything so recently counts for a majority: Kafka's own default of
/// `controller.quorum.fetch.timeout.ms`.
const CAUGHT_UP_MILLISECONDS: i64 = 2_000;

impl Voter {
    /// Whether the active controller has not heard from it for a while, or never.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.behind_milliseconds.is_none_or(|behind| behind > SILENCE_MILLISECONDS)
    }

    /// Whether it counts for a majority.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.behind_milliseconds.is_some_and(|behind| behind <= CAUGHT_UP_MILLISECONDS)
    }
}

/// A partition on its way to other brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// Brokers that it comes to.
    pub adding: Vec<i32>,
    /// Brokers that it leaves.
    pub removing: Vec<i32>,
}

/// Replicas whose copying is limited, as Kafka writes them: `partition:broker`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// On the side that is copied from.
    pub leader: BTreeSet<String>,
    /// On the side that copies.
    pub follower: BTreeSet<String>,
}

/// What Kafka says of a broker that leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaver {
    /// The replicas on its disks with their sizes in bytes, by topic and partition.
    pub stored: BTreeMap<String, BTreeMap<i32, u64>>,
    /// Whether none of its disks takes new replicas (`cordoned.log.dirs`).
    pub cordoned: bool,
    /// Whether a disk of it is offline, so that nobody knows what is on that.
    pub offline: bool,
}

/// What Kafka itself says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kafka {
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// Registered brokers, and whether each is fenced.
    pub brokers: BTreeMap<i32, bool>,
    /// The active controller.
    pub leader: Option<i32>,
    /// Voters of the metadata quorum.
    pub voters: BTreeMap<i32, Voter>,
    /// Nodes that follow the quorum without a vote. The active controller remembers for minutes those that
    /// are gone, so that a node may be there several times, with each of its disks
    /// (`LeaderState.OBSERVER_SESSION_TIMEOUT_MS`).
    pub observers: BTreeMap<i32, Vec<Voter>>,
    /// Every partition.
    pub partitions: Partitions,
    /// Finalised features.
    pub features: BTreeMap<String, i32>,
    /// The dynamic configuration of all nodes.
    pub dynamic_config: BTreeMap<String, String>,
    /// Partitions on their way to other brokers, by topic and number.
    pub reassignments: BTreeMap<String, BTreeMap<i32, Reassignment>>,
    /// Replicas whose copying is limited, of the topics that are remembered to move.
    pub throttled: BTreeMap<String, Throttled>,
    /// Brokers that are remembered to leave.
    pub leavers: BTreeMap<i32, Answer<Leaver>>,
    /// Brokers that are remembered to give disks away.
    pub folders: BTreeMap<i32, Answer<Folders>>,
}

impl Kafka {
    /// Whether a broker is registered and alive.
    #[must_use]
    pub fn is_alive(&self, broker: i32) -> bool {
        self.brokers.get(&broker) == Some(&false)
    }

    /// How many voters have caught up beside a node.
    #[must_use]
    pub fn caught_up_without(&self, node: i32) -> usize {
        self.voters.iter().filter(|(id, voter)| **id != node && voter.is_caught_up()).count()
    }

    /// How a partition is moved at this moment.
    #[must_use]
    pub fn reassignment(&self, topic: &str, partition: i32) -> Option<&Reassignment> {
        self.reassignments.get(topic)?.get(&partition)
    }

    /// What a broker that leaves says, if it answered.
    #[must_use]
    pub fn leaver(&self, broker: i32) -> Option<&Leaver> {
        self.leavers.get(&broker)?.known()
    }

    /// What lies on the disks of a broker that gives some away, if it answered.
    #[must_use]
    pub fn folders(&self, broker: i32) -> Option<&Folders> {
        self.folders.get(&broker)?.known()
    }

    /// A partition that no other broker is in sync for, if there is one.
    #[must_use]
    pub fn no_copy_elsewhere(&self, broker: i32) -> Option<String> {
        let count = self.partitions.dependents(broker).no_copy_elsewhere;
        self.partitions.example(count).map(|partition| partition.name())
    }

    /// Why a node is not part of the cluster at this moment, though it may have been a moment
    /// before, as a sentence for people.
    #[must_use]
    pub fn cut_off(&self, node: &Node) -> Option<&'static str> {
        if node.is_broker() && self.brokers.get(&node.id) == Some(&true) {
            return Some("the active controller does not hear from its broker and has fenced it");
        }
        let silent = self.voters.get(&node.id).is_some_and(|voter| voter.is_silent());
        if node.is_controller() && silent {
            return Some("the active controller does not hear from it as a voter of the quorum");
        }
        None
    }
}

/// Everything that a pass knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The installation that is stamped on the status.
    pub owner: Option<String>,
    /// The status's `clusterId`.
    pub recorded_cluster_id: Option<String>,
    /// The features that the status says are switched on; all there is where the identity was restored.
    pub recorded_features: BTreeMap<String, i32>,
    /// What an earlier pass wrote down for later ones.
    pub memory: Memory,
    /// Whether the KafkaCluster is being deleted.
    pub deleting: bool,
    /// Objects by kind and name.
    pub children: Children,
    /// The identity object; `None` where there surely is none.
    pub identity: Option<Identity>,
    /// Mistakes in the identity object, which must then not be used.
    pub identity_problem: Option<String>,
    /// The CA.
    pub authority: Option<Authority>,
    /// Other certificates, by the name of their Secret.
    pub certificates: BTreeMap<String, Certificate>,
    /// Claims of this cluster, by name.
    pub claims: BTreeMap<String, Claim>,
    /// Pods of nodes, by node id.
    pub pods: BTreeMap<i32, Pod>,
    /// What agents say, by node id; only of pods that have an address.
    pub agents: BTreeMap<i32, Answer<AgentStatus>>,
    /// What Kafka says.
    pub kafka: Answer<Kafka>,
}

impl Observed {
    /// The child of that kind and name.
    #[must_use]
    pub fn child(&self, kind: Kind, name: &str) -> Option<&Child> {
        self.children.get(kind, name)
    }

    /// Children of one kind, by name.
    pub fn children_of(&self, kind: Kind) -> impl Iterator<Item = (&String, &Child)> {
        self.children.of_kind(kind)
    }

    /// Nodes that have a StatefulSet.
    pub fn nodes_with_sets(&self) -> impl Iterator<Item = (Group, i32)> {
        self.children_of(Kind::StatefulSet).filter_map(|(_, child)| {
            let id = child.label(NODE_LABEL)?.parse().ok()?;
            let group = Group::from_word(child.label(crate::names::GROUP_LABEL)?)?;
            child.ours.then_some((group, id))
        })
    }

    /// Nodes that have a claim.
    pub fn nodes_with_claims(&self) -> impl Iterator<Item = (Group, i32)> {
        self.claims.values().map(|claim| (claim.group, claim.node_id))
    }

    /// Nodes that have a claim whose disk is on record: it was in use, and its node is not known to have
    /// left for good.
    pub fn nodes_with_disks(&self) -> impl Iterator<Item = (Group, i32)> {
        let recorded = |claim: &&Claim| {
            let key = disk_key(claim.node_id, &claim.volume);
            self.identity.as_ref().is_some_and(|identity| identity.disks.contains_key(&key))
        };
        self.claims.values().filter(recorded).map(|claim| (claim.group, claim.node_id))
    }

    /// Every feature that is switched on: as Kafka says or, while it is silent, as it said last and as was
    /// about to be done then.
    #[must_use]
    pub fn features(&self) -> BTreeMap<String, i32> {
        if let Answer::Known(kafka) = &self.kafka {
            return kafka.features.clone();
        }
        let mut features = self.recorded_features.clone();
        features.extend(self.traces().features.clone());
        features
    }

    /// What the operator has begun and what outlives the KafkaCluster.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        self.identity.as_ref().map_or(&traces::NONE, |identity| &identity.traces)
    }

    /// What a node's agent says, if it answered.
    #[must_use]
    pub fn agent(&self, node_id: i32) -> Option<&AgentStatus> {
        self.agents.get(&node_id)?.known()
    }

    /// What a node's agent says of its JVM, if it answered and one runs.
    #[must_use]
    pub fn jvm(&self, node_id: i32) -> Option<&JvmStatus> {
        self.agent(node_id)?.jvm.as_ref()
    }
}
