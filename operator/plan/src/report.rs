//! What a plan says beside its actions: what is, and why everything else is not done.

use ottla_crds::agent::QuorumRole;

use crate::desired::Problem;
use crate::node::Node;

mod node;
mod words;

pub use node::node;

/// Why something is not done, or not yet. The name of a variant is the stable reason that
/// conditions and events carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitingOn {
    /// A person paused the cluster.
    Paused,
    /// Another installation of the operator owns the cluster.
    ForeignOperator {
        /// That installation.
        owner: String,
    },
    /// The spec has mistakes.
    InvalidSpec {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// A name that the cluster needs belongs to a stranger's object.
    NameTaken {
        /// Kind and name.
        object: String,
    },
    /// The identity object is missing or broken although disks exist.
    IdentityLost {
        /// What is known.
        detail: String,
    },
    /// The spec does not fit the data that the cluster has.
    DataMismatch {
        /// What differs and what to do.
        detail: String,
    },
    /// A disk is larger than the spec asks for.
    DiskStaysLarger {
        /// The claim.
        claim: String,
        /// Its size.
        size: String,
    },
    /// A disk has another class than the spec asks for.
    DiskKeepsClass {
        /// The claim.
        claim: String,
        /// Its StorageClass.
        class: String,
    },
    /// Disks that are not as large yet as the spec asks for.
    DisksGrowing {
        /// Which, and what Kubernetes says.
        detail: String,
    },
    /// Disks that nodes get later.
    DisksHeldBack {
        /// Which, and until when.
        detail: String,
    },
    /// The CA is missing although nodes trust it.
    AuthorityLost {
        /// The Secret.
        secret: String,
    },
    /// An object that is needed is being deleted.
    Terminating {
        /// Kind and name.
        object: String,
    },
    /// The KafkaCluster itself is being deleted.
    Deleting,
    /// The first objects are being made.
    Creating,
    /// A pod does not exist yet.
    PodMissing {
        /// The node.
        node: i32,
    },
    /// A pod cannot start.
    PodStuck {
        /// The node.
        node: i32,
        /// Kubernetes' own words.
        detail: String,
    },
    /// A node's agent does not answer.
    AgentUnknown {
        /// The node.
        node: i32,
        /// Why not.
        detail: String,
    },
    /// A node's disk is not what it must be.
    DiskRefused {
        /// The node.
        node: i32,
        /// What is wrong with it and what to do.
        detail: String,
    },
    /// A node's disk is full, so that Kafka is not started.
    DiskFull {
        /// The node.
        node: i32,
        /// Which, how full, and what helps.
        detail: String,
    },
    /// Kafka took disks of a broker offline.
    DiskOffline {
        /// The broker.
        node: i32,
        /// Which, by their names in the spec.
        volumes: Vec<String>,
    },
    /// A node's image holds another release than the spec names.
    ImageRefused {
        /// The node.
        node: i32,
        /// Which, and what to do.
        detail: String,
    },
    /// A node starts.
    Starting {
        /// The node.
        node: i32,
        /// How far it is.
        detail: String,
    },
    /// A node is not in sync yet.
    CatchingUp {
        /// The node.
        node: i32,
        /// What is behind.
        detail: String,
    },
    /// A node shuts down.
    Stopping {
        /// The node.
        node: i32,
    },
    /// A node is being restarted by a roll.
    Restarting {
        /// The node.
        node: i32,
        /// Why.
        detail: String,
    },
    /// A node has to restart and must not yet.
    RestartHeld {
        /// The node.
        node: i32,
        /// What holds it back.
        detail: String,
    },
    /// A node has to restart, and the spec does not allow what would come of it.
    RestartForbidden {
        /// The node.
        node: i32,
        /// What would come of it and what to do.
        detail: String,
    },
    /// A node is not what it would be made today, and its next restart is soon enough for that.
    RestartPending {
        /// The node.
        node: i32,
        /// What differs.
        detail: String,
    },
    /// What the spec asks for was tried on one node, which did not start with it.
    CanaryFailed {
        /// The node.
        node: i32,
        /// What failed and how.
        detail: String,
    },
    /// The spec names a release that cannot read what Kafka has written.
    DowngradeForbidden {
        /// Why, and what to do.
        detail: String,
    },
    /// A release runs on one broker and is watched before others follow.
    Soaking {
        /// On which, and until when.
        detail: String,
    },
    /// A release runs everywhere and is watched before its features are switched on.
    Finalizing {
        /// Until when, and what comes then.
        detail: String,
    },
    /// A release is there to stay, and its features are switched on.
    SwitchingOn {
        /// Which is next.
        detail: String,
    },
    /// A release runs everywhere, and its features stay switched off.
    NotFinal {
        /// Why, and what to do.
        detail: String,
    },
    /// Brokers leave.
    Draining {
        /// Which, by id.
        brokers: Vec<i32>,
        /// How far that is and what it waits for.
        detail: String,
    },
    /// Brokers cannot leave.
    ScaleInForbidden {
        /// Why, and what to do.
        detail: String,
    },
    /// The CA's Secret is not what it was.
    AuthorityBroken {
        /// What is wrong with it and what to do.
        detail: String,
    },
    /// The cluster's CA is renewed.
    RenewingAuthority {
        /// How far that is and what it waits for.
        detail: String,
    },
    /// The cluster's CA is renewed, and clients have time to learn of the new one.
    AuthorityPublished {
        /// Until when, and what comes then.
        detail: String,
    },
    /// Who votes in the metadata quorum changes.
    ChangingVoters {
        /// Who joins or leaves, and what that waits for.
        detail: String,
    },
    /// Disks that the spec does not ask for any more are emptied.
    EmptyingDisks {
        /// How far that is and what it waits for.
        detail: String,
    },
    /// A disk that the spec does not ask for any more cannot be emptied.
    DiskCannotLeave {
        /// Why not, and what to do.
        detail: String,
    },
    /// Partitions are moved for another reason.
    MovingReplicas {
        /// How far that is and what it waits for.
        detail: String,
    },
    /// Kafka could not be asked.
    KafkaUnknown {
        /// Why not.
        detail: String,
    },
    /// Partitions are led by another broker than the preferred one.
    LedByOthers {
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// Partitions lack an in-sync replica.
    UnderReplicated {
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
}

impl WaitingOn {
    /// The stable reason for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            WaitingOn::Paused => "Paused",
            WaitingOn::ForeignOperator { .. } => "ForeignOperator",
            WaitingOn::InvalidSpec { .. } => "InvalidSpec",
            WaitingOn::NameTaken { .. } => "NameTaken",
            WaitingOn::IdentityLost { .. } => "IdentityLost",
            WaitingOn::DataMismatch { .. } => "DataMismatch",
            WaitingOn::DiskStaysLarger { .. } => "DiskStaysLarger",
            WaitingOn::DiskKeepsClass { .. } => "DiskKeepsClass",
            WaitingOn::DisksGrowing { .. } => "DisksGrowing",
            WaitingOn::DisksHeldBack { .. } => "DisksHeldBack",
            WaitingOn::AuthorityLost { .. } => "AuthorityLost",
            WaitingOn::Terminating { .. } => "Terminating",
            WaitingOn::Deleting => "Deleting",
            WaitingOn::Creating => "Creating",
            WaitingOn::PodMissing { .. } => "PodMissing",
            WaitingOn::PodStuck { .. } => "PodStuck",
            WaitingOn::AgentUnknown { .. } => "AgentUnknown",
            WaitingOn::DiskRefused { .. } => "DiskRefused",
            WaitingOn::DiskFull { .. } => "DiskFull",
            WaitingOn::DiskOffline { .. } => "DiskOffline",
            WaitingOn::ImageRefused { .. } => "ImageRefused",
            WaitingOn::Starting { .. } => "Starting",
            WaitingOn::CatchingUp { .. } => "CatchingUp",
            WaitingOn::Stopping { .. } => "Stopping",
            WaitingOn::Restarting { .. } => "Restarting",
            WaitingOn::RestartHeld { .. } => "RestartHeld",
            WaitingOn::RestartForbidden { .. } => "RestartForbidden",
            WaitingOn::RestartPending { .. } => "RestartPending",
            WaitingOn::CanaryFailed { .. } => "CanaryFailed",
            WaitingOn::DowngradeForbidden { .. } => "DowngradeForbidden",
            WaitingOn::Soaking { .. } => "Soaking",
            WaitingOn::Finalizing { .. } => "Finalizing",
            WaitingOn::SwitchingOn { .. } => "SwitchingOn",
            WaitingOn::NotFinal { .. } => "NotFinal",
            WaitingOn::Draining { .. } => "Draining",
            WaitingOn::ScaleInForbidden { .. } => "ScaleInForbidden",
            WaitingOn::AuthorityBroken { .. } => "AuthorityBroken",
            WaitingOn::RenewingAuthority { .. } => "RenewingAuthority",
            WaitingOn::AuthorityPublished { .. } => "AuthorityPublished",
            WaitingOn::ChangingVoters { .. } => "ChangingVoters",
            WaitingOn::EmptyingDisks { .. } => "EmptyingDisks",
            WaitingOn::DiskCannotLeave { .. } => "DiskCannotLeave",
            WaitingOn::MovingReplicas { .. } => "MovingReplicas",
            WaitingOn::KafkaUnknown { .. } => "KafkaUnknown",
            WaitingOn::LedByOthers { .. } => "LedByOthers",
            WaitingOn::UnderReplicated { .. } => "UnderReplicated",
        }
    }

    /// Whether only a person can put it right.
    #[must_use]
    pub fn needs_person(&self) -> bool {
        matches!(
            self,
            WaitingOn::ForeignOperator { .. }
                | WaitingOn::InvalidSpec { .. }
                | WaitingOn::NameTaken { .. }
                | WaitingOn::IdentityLost { .. }
                | WaitingOn::DataMismatch { .. }
                | WaitingOn::AuthorityLost { .. }
                | WaitingOn::AuthorityBroken { .. }
                | WaitingOn::DiskRefused { .. }
                | WaitingOn::DiskFull { .. }
                | WaitingOn::DiskOffline { .. }
                | WaitingOn::ImageRefused { .. }
                | WaitingOn::RestartForbidden { .. }
                | WaitingOn::CanaryFailed { .. }
                | WaitingOn::DowngradeForbidden { .. }
                | WaitingOn::ScaleInForbidden { .. }
                | WaitingOn::DiskCannotLeave { .. }
        )
    }

    /// Whether the cluster serves well all the same.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            WaitingOn::Paused
                | WaitingOn::RestartPending { .. }
                | WaitingOn::Finalizing { .. }
                | WaitingOn::SwitchingOn { .. }
                | WaitingOn::AuthorityPublished { .. }
                | WaitingOn::NotFinal { .. }
                | WaitingOn::DiskStaysLarger { .. }
                | WaitingOn::DiskKeepsClass { .. }
                | WaitingOn::DisksGrowing { .. }
                | WaitingOn::DisksHeldBack { .. }
        )
    }

    /// Whether it comes about by restarts of several nodes, and waits for each of them.
    #[must_use]
    pub fn is_of_many_restarts(&self) -> bool {
        matches!(
            self,
            WaitingOn::ChangingVoters { .. }
                | WaitingOn::EmptyingDisks { .. }
                | WaitingOn::RenewingAuthority { .. }
        )
    }

    /// Whether nothing but time is waited for.
    #[must_use]
    pub fn is_for_time(&self) -> bool {
        matches!(
            self,
            WaitingOn::Soaking { .. }
                | WaitingOn::Finalizing { .. }
                | WaitingOn::AuthorityPublished { .. }
                | WaitingOn::DisksGrowing { .. }
        )
    }
}

/// Brokers by their ids.
pub(crate) fn brokers<'a>(ids: impl IntoIterator<Item = &'a i32>) -> String {
    let ids: Vec<String> = ids.into_iter().map(ToString::to_string).collect();
    let noun = if ids.len() == 1 { "broker" } else { "brokers" };
    format!("{noun} {}", ids.join(", "))
}

/// So many partitions, and one of them.
pub(crate) fn partitions(count: usize, example: &str) -> String {
    if count == 1 {
        format!("partition {example}")
    } else {
        format!("{count} partitions ({example} among them)")
    }
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its pod does not run.
    Pending,
    /// Its agent waits for the word to format.
    AwaitingFormat,
    /// Its agent refuses to start Kafka.
    Refused,
    /// Kafka starts.
    Starting,
    /// Kafka reads its logs again.
    Recovering,
    /// Kafka serves and is not in sync everywhere.
    CatchingUp,
    /// Kafka serves and is in sync.
    Running,
    /// Kafka serves and gives its replicas away.
    Draining,
    /// Kafka shuts down.
    Stopping,
    /// Nobody could say.
    Unknown,
}

/// One node in a report.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeReport {
    /// The node.
    pub node: Node,
    /// What it is doing.
    pub phase: Phase,
    /// Whether its pod is Ready.
    pub ready: bool,
    /// Its part in the metadata quorum.
    pub quorum_role: Option<QuorumRole>,
    /// The release that it runs.
    pub version: Option<String>,
    /// What it waits for.
    pub waiting_on: Option<WaitingOn>,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When it began, RFC 3339, where that is remembered.
    pub since: Option<String>,
    /// How many nodes, partitions, votes or steps are as they have to be.
    pub done: usize,
    /// How many it is about in all, as far as that is still seen.
    pub of: usize,
}

/// What is, and what is waited for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The roll under way: nodes that are restarted and well again.
    pub roll: Option<Progress>,
    /// Whether a node runs another release than the spec names.
    pub brings_release: bool,
    /// Brokers that leave: those that are gone.
    pub departures: Option<Progress>,
    /// Partitions that are moved: those that have arrived.
    pub arrivals: Option<Progress>,
    /// Disks that leave: nodes that are rid of them.
    pub emptied: Option<Progress>,
    /// Who votes: those that do as the spec asks.
    pub votes: Option<Progress>,
    /// Another CA: steps that every node has taken.
    pub authority: Option<Progress>,
    /// Every node, in the order of ids.
    pub nodes: Vec<NodeReport>,
    /// What the cluster as a whole waits for, the most important first.
    pub waiting_on: Vec<WaitingOn>,
    /// Kafka's cluster id, once it has one.
    pub cluster_id: Option<String>,
    /// Finalised features, if Kafka answered.
    pub features: Option<std::collections::BTreeMap<String, i32>>,
    /// The releases that know all of them.
    pub allowed: Option<Vec<String>>,
}

impl Report {
    /// A report that only says why nothing is done.
    #[must_use]
    pub fn only(waiting_on: WaitingOn) -> Report {
        Report { waiting_on: vec![waiting_on], ..Report::default() }
    }

    /// What people are told first: that nothing is done at all, or else what only a person can put right, or else
    /// what keeps the cluster from serving well, if anything does.
    #[must_use]
    pub fn first_waiting(&self) -> Option<&WaitingOn> {
        let paused = self.all_waiting().find(|waiting_on| **waiting_on == WaitingOn::Paused);
        let person = || self.all_waiting().find(|waiting_on| waiting_on.needs_person());
        paused.or_else(person).or_else(|| self.first_serious())
    }

    /// What keeps the cluster from serving well, if anything does. While nodes are restarted it is the node that is,
    /// because what is to come of all the restarts waits for it.
    #[must_use]
    pub fn first_serious(&self) -> Option<&WaitingOn> {
        let serious = || self.all_waiting().filter(|waiting_on| !waiting_on.is_harmless());
        let rolling = self.roll.is_some();
        let now = serious().find(|waiting_on| !(rolling && waiting_on.is_of_many_restarts()));
        now.or_else(|| serious().next()).or_else(|| self.all_waiting().next())
    }

    /// Everything that is waited for: the cluster's reasons, then those of nodes.
    pub fn all_waiting(&self) -> impl Iterator<Item = &WaitingOn> {
        self.waiting_on.iter().chain(self.nodes.iter().filter_map(|node| node.waiting_on.as_ref()))
    }
}
