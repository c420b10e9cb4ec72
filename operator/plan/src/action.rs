//! Everything that a plan may ask for. Each action is idempotent, and says by itself whether it
//! can hurt.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::agent::FormatRequest;

use crate::names::Names;
use crate::object::{Kind, Object};
use crate::observed::{Child, Identity, QuorumRecord};
use crate::release::Raise;

mod words;

/// An object by identity, not only by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its UID, a precondition of the write.
    pub uid: String,
    /// Its resource version, a precondition of the write.
    pub resource_version: String,
}

impl Target {
    /// The object that was seen under that name.
    #[must_use]
    pub fn of(name: &str, seen: &Child) -> Target {
        Target {
            name: name.to_owned(),
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
        }
    }

    /// A cluster's identity object.
    #[must_use]
    pub fn of_identity(names: &Names, identity: &Identity) -> Target {
        Target {
            name: names.identity(),
            uid: identity.uid.clone(),
            resource_version: identity.resource_version.clone(),
        }
    }
}

/// The recipe of a certificate; keys are drawn when it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The Secret without its content.
    pub object: Object,
    /// The Secret of the CA that signs.
    pub authority: String,
    /// Common name of the subject.
    pub common_name: String,
    /// DNS names that it is good for; none for one that only clients use.
    pub dns_names: Vec<String>,
    /// The Secret whose certificate it replaces, if there is one.
    pub replaces: Option<Target>,
}

/// Permission for one node's agent to format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Kafka's `node.id`.
    pub node_id: i32,
    /// UID of the pod whose agent is asked.
    pub pod_uid: String,
    /// Address of that pod.
    pub address: String,
    /// The node's DNS name, which its certificate carries.
    pub host: String,
    /// What the agent is told.
    pub request: FormatRequest,
}

/// An object of ours made again what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    /// What it should be.
    pub object: Object,
    /// The object that is meant.
    pub target: Target,
    /// The lists that hold something else, by the fields that lead to each: what others put into
    /// them goes.
    pub lists: Vec<Vec<String>>,
}

/// A restart of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartPod {
    /// Kafka's `node.id`.
    pub node_id: i32,
    /// The pod.
    pub pod: Target,
    /// The StatefulSet to write before, unless the pod's next life is described there already.
    pub set: Option<Rewrite>,
    /// Whether its Kafka does not run, so that nothing can depend on it.
    pub is_of_idle_node: bool,
    /// Why, as a sentence for people.
    pub reason: String,
}

/// The removal of an object that nothing needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub target: Target,
    /// Why, as a sentence for people.
    pub reason: String,
}

/// A change of one key of the cluster's dynamic configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Its value before; `None` where it has none.
    pub from: Option<String>,
    /// Its value after; `None` where it is left to Kafka's default.
    pub to: Option<String>,
}

/// Partitions by topic.
pub type Partitions<T> = BTreeMap<String, BTreeMap<i32, T>>;

/// A change of which brokers hold partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassign {
    /// How fast replicas may be copied by it, as far as that is not set yet: no move begins without.
    pub limit: Throttle,
    /// For each partition the brokers that are to hold it, the preferred leader first; `None` where
    /// what is under way is cancelled.
    pub partitions: Partitions<Option<Vec<i32>>>,
    /// Whether partitions get more replicas by it.
    pub adds_replicas: bool,
    /// Why, as a sentence for people.
    pub reason: String,
}

/// A change of one list of replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListChange {
    /// None.
    #[default]
    Nothing,
    /// These join those that are there.
    Append(BTreeSet<String>),
    /// These leave others that stay.
    Subtract(BTreeSet<String>),
    /// All leave, and the list with them.
    Remove,
}

/// A change of how fast replicas may be copied (KIP-73).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// The limits of all brokers, by Kafka's keys.
    pub rates: BTreeMap<String, ConfigChange>,
    /// Which replicas they hold for, by topic: on the side that is copied from, and on the one that
    /// copies.
    pub topics: BTreeMap<String, (ListChange, ListChange)>,
}

impl Throttle {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.topics.is_empty()
    }
}

/// Replicas that move to other disks of their broker (KIP-113).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveReplicas {
    /// Kafka's `node.id`.
    pub broker: i32,
    /// The partitions that come to a volume, by its name and by topic.
    pub moves: BTreeMap<String, BTreeMap<String, Vec<i32>>>,
}

/// The end of a broker's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unregister {
    /// Kafka's `node.id`.
    pub broker: i32,
    /// Whether its cordon goes before, where Kafka has any.
    pub uncordon: bool,
}

/// A feature of a release that is switched on for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaiseFeature {
    /// The release that every node runs.
    pub release: String,
    /// The feature and its levels.
    pub raise: Raise,
}

/// A voter of the metadata quorum that joins or leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeVoter {
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// Kafka's `node.id`.
    pub id: i32,
    /// The id of its metadata directory.
    pub directory: String,
    /// Its DNS name.
    pub host: String,
}

/// The end of a controller's registration (KIP-1312).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnregisterController {
    /// Kafka's `node.id`.
    pub id: i32,
    /// The identity object.
    pub target: Target,
    /// What is on record of the quorum then.
    pub record: QuorumRecord,
}

/// A step on the way to another CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorityStep {
    /// A new one is made, and trusted beside the one that signs.
    Introduce {
        /// Common name of the new one.
        common_name: String,
        /// What the KafkaCluster's annotation says.
        word: Option<String>,
    },
    /// The new one signs.
    Switch,
    /// The former one is trusted no more.
    Retire,
}

/// A change of the cluster's CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewAuthority {
    /// Its Secret.
    pub target: Target,
    /// What changes.
    pub step: AuthorityStep,
}

/// What has to wait for an action that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// Nothing: all is as good as before.
    Nothing,
    /// Restarts of nodes that serve: the edit is not taken as a whole.
    Restarts,
    /// Whatever comes later, because it builds upon it.
    Everything,
}

impl HeldBack {
    /// Whether an action is among what has to wait.
    #[must_use]
    pub fn holds(self, action: &Action) -> bool {
        match self {
            HeldBack::Nothing => false,
            HeldBack::Restarts => action.stops_a_serving_node(),
            HeldBack::Everything => true,
        }
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create the identity object with a new cluster id and a directory id for each voter.
    NewIdentity {
        /// The ConfigMap without its content.
        object: Object,
        /// Node ids of the first voters.
        voters: Vec<i32>,
    },
    /// Create the cluster's CA.
    IssueAuthority {
        /// The Secret without its content.
        object: Object,
        /// Common name of the CA.
        common_name: String,
    },
    /// Take a step on the way to another CA.
    RenewAuthority(RenewAuthority),
    /// Create a certificate, or renew one.
    IssueLeaf(Leaf),
    /// Create an object that is not there. A stranger's of that name is never touched.
    Create(Object),
    /// Make an object of ours again what it should be.
    Apply(Rewrite),
    /// Note in the identity object which disks are formatted.
    RecordDisks {
        /// The identity object.
        target: Target,
        /// Key of the disk to its directory id.
        disks: BTreeMap<String, String>,
    },
    /// Note in the identity object how the metadata quorum is decided to be.
    RecordQuorum {
        /// The identity object.
        target: Target,
        /// All that is on record of it.
        record: QuorumRecord,
    },
    /// Strike disks from the identity object, of brokers that are gone or taken out empty.
    ForgetDisks {
        /// The identity object.
        target: Target,
        /// Keys of the disks.
        disks: Vec<String>,
    },
    /// Let a node's agent format its disks.
    Format(Format),
    /// Change the dynamic configuration of all nodes, by key. All of it is changed, or nothing.
    AlterConfig(BTreeMap<String, ConfigChange>),
    /// Let the preferred leaders lead again: partitions by topic.
    ElectLeaders(BTreeMap<String, Vec<i32>>),
    /// Lift the limit on how fast replicas are copied.
    Throttle(Throttle),
    /// Let a broker take no new replicas (KIP-1066), or let it again.
    Cordon {
        /// Kafka's `node.id`.
        broker: i32,
        /// Whether it is to take none.
        cordoned: bool,
    },
    /// Let folders of a broker take no new replicas (KIP-1066), and all others.
    CordonDisks {
        /// Kafka's `node.id`.
        broker: i32,
        /// The paths of the folders.
        folders: BTreeSet<String>,
        /// Whether it is about disks that the broker runs without.
        of_gone: bool,
    },
    /// Let a broker move replicas to other disks of its own.
    MoveReplicas(MoveReplicas),
    /// Let other brokers hold partitions.
    Reassign(Reassign),
    /// Remove the registration of a broker that is gone for good, and its cordon.
    Unregister(Unregister),
    /// Let a controller vote (KIP-853).
    AddVoter(ChangeVoter),
    /// Take a controller's vote away.
    RemoveVoter(ChangeVoter),
    /// Remove the registration of a controller that is gone for good, and strike it from the identity object.
    UnregisterController(UnregisterController),
    /// Switch a feature on (KIP-584): there is no way back to a release that does not know it.
    RaiseFeature(RaiseFeature),
    /// Delete a node's pod, so that it starts anew from the newest template.
    RestartPod(RestartPod),
    /// Delete an object that nothing needs any more.
    Delete(Delete),
}

impl Action {
    /// Whether it needs a permit: it could destroy something if the observation were wrong.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Action::Format(_)
            | Action::RenewAuthority(_)
            | Action::RestartPod(_)
            | Action::Delete(_)
            | Action::Reassign(_)
            | Action::Cordon { cordoned: true, .. }
            | Action::CordonDisks { of_gone: false, .. }
            | Action::MoveReplicas(_)
            | Action::Unregister(_)
            | Action::AddVoter(_)
            | Action::RemoveVoter(_)
            | Action::UnregisterController(_)
            | Action::RaiseFeature(_) => true,
            Action::NewIdentity { .. }
            | Action::IssueAuthority { .. }
            | Action::IssueLeaf(_)
            | Action::Create(_)
            | Action::Apply(_)
            | Action::RecordDisks { .. }
            | Action::RecordQuorum { .. }
            | Action::ForgetDisks { .. }
            | Action::AlterConfig(_)
            | Action::ElectLeaders(_)
            | Action::Throttle(_)
            | Action::CordonDisks { of_gone: true, .. }
            | Action::Cordon { cordoned: false, .. } => false,
        }
    }

    /// Whether it stops a node that others may depend on.
    #[must_use]
    pub fn stops_a_serving_node(&self) -> bool {
        matches!(self, Action::RestartPod(restart) if !restart.is_of_idle_node)
    }

    /// What has to wait for it if it fails.
    #[must_use]
    pub fn holds_back(&self) -> HeldBack {
        match self {
            // A claim that does not grow, because its class cannot, is as good as before.
            Action::Apply(rewrite) if rewrite.object.kind == Kind::PersistentVolumeClaim => {
                HeldBack::Nothing
            }
            Action::AlterConfig(_) => HeldBack::Restarts,
            Action::Throttle(_)
            | Action::Cordon { .. }
            | Action::CordonDisks { of_gone: false, .. }
            | Action::MoveReplicas(_)
            | Action::AddVoter(_)
            | Action::RemoveVoter(_)
            | Action::UnregisterController(_)
            | Action::RaiseFeature(_) => HeldBack::Nothing,
            _ => HeldBack::Everything,
        }
    }

    /// Actions of one stage may be made side by side; a later stage waits for the earlier ones.
    #[must_use]
    pub fn stage(&self) -> u8 {
        match self {
            Action::NewIdentity { .. } | Action::IssueAuthority { .. } => 0,
            Action::IssueLeaf(_) | Action::RecordDisks { .. } | Action::RecordQuorum { .. } => 1,
            Action::Create(object) | Action::Apply(Rewrite { object, .. }) => match object.kind {
                Kind::StatefulSet => 3,
                _ => 2,
            },
            Action::AlterConfig(_)
            | Action::ElectLeaders(_)
            | Action::Throttle(_)
            | Action::Cordon { .. }
            | Action::CordonDisks { .. } => 4,
            Action::Format(_) | Action::ForgetDisks { .. } => 5,
            Action::RestartPod(_) | Action::Reassign(_) | Action::MoveReplicas(_) => 6,
            Action::Delete(_)
            | Action::Unregister(_)
            | Action::AddVoter(_)
            | Action::RemoveVoter(_)
            | Action::UnregisterController(_)
            | Action::RenewAuthority(_)
            | Action::RaiseFeature(_) => 7,
        }
    }
}
