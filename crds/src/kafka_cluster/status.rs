//! What Ottla says of a KafkaCluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is, what is being done, and what it waits for.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaClusterStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Kafka's cluster id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The installation of Ottla that owns this object. Any other stands by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The release that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionStatus>,
    /// Brokers that exist, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Label selector of the brokers' pods, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Counts and the first reason to wait, for `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Where clients connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerStatus>,
    /// Every broker.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<NodeStatus>,
    /// Every Dedicated controller; Colocated ones are among the brokers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<NodeStatus>,
    /// What is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// What Ottla wrote down for itself; nothing here is for people to read or change.
    #[serde(skip_serializing_if = "Memory::is_empty")]
    pub memory: Memory,
    /// `Ready`, `Reconciling` and `Stalled`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The Kafka release: wanted and running.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VersionStatus {
    /// The release that the spec asks for.
    pub target: String,
    /// The releases that nodes run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<String>,
    /// The releases that `spec.version` may name: those that know every feature that is switched on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 16)))]
    pub allowed: Vec<String>,
    /// Kafka's finalised features, such as `metadata.version`, by their levels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, i32>,
}

/// Counts and the first reason to wait, for `kubectl get`.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Ready brokers of wanted ones, such as `2/3`.
    pub brokers: String,
    /// Caught-up controllers of wanted ones, such as `3/3`.
    pub controllers: String,
    /// The first thing that is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<String>,
}

/// Where clients of one listener connect.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerStatus {
    /// The listener's name.
    pub name: String,
    /// Kafka's `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// Name of the ConfigMap whose `ca.crt` a client must trust, where the listener is TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// One Kafka node.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// Kafka's `node.id`.
    pub id: i32,
    /// What it is doing: `Pending`, `AwaitingFormat`, `Starting`, `Recovering`, `CatchingUp`,
    /// `Running`, `Draining`, `Stopping`, `Refused`, `Unknown`.
    pub phase: String,
    /// Its part in the metadata quorum, if any: `Leader`, `Voter` or `Observer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// The Kafka release that it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether its pod is Ready: in sync, and caught up in the quorum.
    pub ready: bool,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<String>,
}

/// What a later pass must know and cannot see. It is written before anything is done because of it. What is left
/// in Kafka meanwhile is remembered beside the cluster's identity, which outlives the KafkaCluster.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// A roll that has begun and is not over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll: Option<RollMemory>,
    /// The first node that takes what the spec asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryMemory>,
    /// What the spec asks for and the first node that took it did not start with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedMemory>,
}

impl Memory {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A roll that has begun.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollMemory {
    /// When it began, RFC 3339.
    pub since: String,
    /// The nodes that it restarts or has restarted, by id.
    pub nodes: Vec<i32>,
}

/// A node that takes what the spec asks for before any other of its kind, until it runs with that.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryMemory {
    /// The node's id.
    pub node: i32,
    /// What it takes.
    pub takes: String,
    /// The template of the pod with which it ran before, JSON.
    pub before: String,
}

/// What the spec asks for and no node takes.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RejectedMemory {
    /// The node that did not start with it.
    pub node: i32,
    /// The hash of what the spec asks of that node.
    pub wish: String,
    /// What the restart annotation of the KafkaCluster said: another word lets it be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// How it failed, for people.
    pub why: String,
}

/// What is being done.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// `Create`, `Change`, `Repair`, `Roll`, `Upgrade`, `ScaleOut`, `ScaleIn`, `MoveReplicas`, `ChangeVoters`,
    /// `EmptyDisks` or `RenewAuthority`.
    pub name: String,
    /// How many are done: of `Create`, `Change` and `Repair` nodes that are Ready, of `ScaleOut` brokers that are; of
    /// `Roll` and `Upgrade` nodes that are up to date and well, of `ScaleIn` brokers that are gone, of `MoveReplicas`
    /// partitions that have arrived, of `ChangeVoters` votes that are as the spec asks, of `EmptyDisks` nodes that are
    /// rid of the disks that leave, of `RenewAuthority` steps that every node has taken.
    pub done: i32,
    /// How many there are in all: nodes, partitions, votes or steps.
    pub of: i32,
    /// When it began, RFC 3339.
    pub since: String,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<String>,
    /// Since when it waits for that node, or that thing, however far it has come meanwhile, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<String>,
}

/// A condition as Kubernetes has them.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `Ready`, `Reconciling` or `Stalled`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A stable word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When `status` last changed, RFC 3339.
    pub last_transition_time: String,
    /// The `metadata.generation` that it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
