//! The two documents that the operator and the agent in a Kafka pod exchange:
//! what the node is to be ([`NodeDocument`]) and what it is ([`AgentStatus`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Port of the agent's plain HTTP probes, `/livez` and `/readyz`.
pub const PROBE_PORT: u16 = 8080;
/// Port of the agent's mutual TLS interface, `/status` and `/format`, for the operator alone.
pub const AGENT_PORT: u16 = 8443;
/// Port of the metrics that the JMX agent serves.
pub const METRICS_PORT: u16 = 9404;
/// Port of the controller listener (`CONTROLLER`), always mutual TLS.
pub const CONTROLLER_PORT: u16 = 9090;
/// Port of the inter-broker listener (`REPLICATION`), always mutual TLS.
pub const REPLICATION_PORT: u16 = 9091;

/// Folder of the node's ConfigMap: `server.properties` and `node.json`.
pub const CONFIG_FOLDER: &str = "/etc/ottla/config";
/// Folder of the node's Secret: `tls.crt`, `tls.key`, `ca.crt` and `keystore.pem`.
pub const TLS_FOLDER: &str = "/etc/ottla/tls";
/// Folder under which each volume is mounted by its name.
pub const VOLUMES_FOLDER: &str = "/var/lib/ottla";
/// The folder on each volume that Kafka may use: a volume's root may hold `lost+found`, which
/// Kafka refuses.
pub const LOG_FOLDER: &str = "log";

/// A role of a Kafka node, KRaft's `process.roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Stores records and serves clients.
    Broker,
    /// Takes part in the metadata quorum.
    Controller,
}

/// What a node is to be: `node.json` in the node's ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeDocument {
    /// Name of the KafkaCluster.
    pub cluster: String,
    /// Kafka's cluster id, as in `meta.properties`.
    pub cluster_id: String,
    /// Kafka's `node.id`.
    pub node_id: i32,
    /// Kafka's `process.roles`, one or two.
    pub roles: Vec<Role>,
    /// The Kafka release that the image holds, such as `4.3.1`.
    pub kafka_version: String,
    /// The node's volumes by name; each is mounted at `/var/lib/ottla/<name>`.
    pub volumes: Vec<String>,
    /// The volume that holds Kafka's `metadata.log.dir`.
    pub metadata_volume: String,
    /// The node's stable DNS name, which is in its certificate.
    pub hostname: String,
    /// Java heap in bytes, both `-Xms` and `-Xmx`.
    pub heap_bytes: u64,
    /// Further options of the JVM.
    pub jvm_options: Vec<String>,
    /// The common name of the only certificate that may use `/status` and `/format`.
    pub operator_name: String,
    /// Seconds after which a stopping JVM is killed; shorter than the pod's grace period.
    pub shutdown_seconds: u64,
    /// Hash over the node's ConfigMap, echoed in [`AgentStatus::config_hash`].
    pub config_hash: String,
}

/// What the agent is doing with its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AgentState {
    /// At least one disk carries no `meta.properties`; waits for the operator's `POST /format`.
    AwaitingFormat,
    /// Something is wrong that only a person or the operator can put right; see
    /// [`AgentStatus::reason`]. The JVM is not started.
    Refused,
    /// `StorageTool format` runs.
    Formatting,
    /// The JVM runs and does not serve yet.
    Starting,
    /// The JVM reads its logs again after it was not stopped cleanly.
    Recovering,
    /// The JVM serves, and some replica or the quorum position is behind.
    CatchingUp,
    /// In sync for every partition it hosts, and caught up in the quorum.
    Running,
    /// A controlled shutdown is under way.
    Stopping,
}

/// What is known of a disk's `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all_fields = "camelCase")]
pub enum DiskMeta {
    /// The disk could not be read, so nothing is known.
    Unreadable {
        /// What went wrong.
        reason: String,
    },
    /// No `meta.properties`, and no other file of Kafka's either.
    Absent,
    /// There is a `meta.properties`.
    Present {
        /// Its `cluster.id`.
        cluster_id: String,
        /// Its `node.id`.
        node_id: i32,
        /// Its `directory.id`, absent on disks of old releases.
        directory_id: Option<String>,
    },
}

/// One volume as the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskStatus {
    /// The volume's name in the KafkaCluster.
    pub volume: String,
    /// Whether a file system of its own is mounted there, not a folder of the container.
    pub mounted: bool,
    /// What identifies the disk.
    pub meta: DiskMeta,
    /// Whether it holds the node's metadata log. Kafka does not start where it is configured elsewhere.
    #[serde(default)]
    pub holds_metadata_log: bool,
    /// The Kafka release that formatted the disk, noted by the agent beside Kafka's folder.
    pub formatted_by: Option<String>,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
    /// Bytes that Kafka may still use.
    pub available_bytes: u64,
}

/// What has to be free on a disk for Kafka to be started. Without room for its checkpoints it takes the disk offline
/// when it has hardly started, and ends if that is the one with the metadata log, again and again.
pub const ROOM_TO_START_BYTES: u64 = 16 << 20;

impl DiskStatus {
    /// Whether it is full. Of a disk that could not be looked at nobody knows.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.total_bytes > 0 && self.available_bytes < ROOM_TO_START_BYTES
    }
}

/// Whether the node is in sync, since this start of its JVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all_fields = "camelCase")]
pub enum InSync {
    /// It could not be asked, which is neither yes nor no.
    Unknown {
        /// Why not.
        reason: String,
    },
    /// Not yet.
    No {
        /// A sentence for people: how many partitions, and one of them by name, or the quorum.
        waiting_on: String,
    },
    /// In sync for every partition it hosts and caught up in the quorum, as far as its roles go.
    Yes,
}

/// The running JVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JvmStatus {
    /// When the process was started, seconds since the epoch.
    pub started_at_seconds: i64,
    /// Serial number, in hexadecimal, of the certificate that it started with.
    pub certificate_serial: String,
    /// When that certificate expires, seconds since the epoch; `None` from agents that do not tell.
    #[serde(default)]
    pub certificate_expires_at_seconds: Option<i64>,
    /// Serial numbers, in hexadecimal, of the CAs that it trusts since its start; empty from agents that
    /// do not tell.
    #[serde(default)]
    pub authority_serials: Vec<String>,
    /// Logs left to recover, zero when none.
    pub logs_to_recover: u64,
    /// Log directories that Kafka took offline, by volume name.
    pub offline_volumes: Vec<String>,
    /// Controllers: whether this node is the quorum's leader, a voter or an observer.
    pub quorum_role: Option<QuorumRole>,
}

/// Place of a node in the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuorumRole {
    /// The active controller.
    Leader,
    /// A voter that follows.
    Voter,
    /// Follows without a vote.
    Observer,
}

/// What the agent answers to `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Version of the agent.
    pub agent_version: String,
    /// Kafka's `node.id`, as in the node's document.
    pub node_id: i32,
    /// The release of Kafka in the image.
    pub kafka_version: String,
    /// Hash of the configuration that the JVM runs, or would be started, with.
    pub config_hash: String,
    /// What the agent is doing.
    pub state: AgentState,
    /// Why, where the state alone does not say it: a sentence for people.
    pub reason: Option<String>,
    /// Every volume of the node.
    pub disks: Vec<DiskStatus>,
    /// The JVM, while there is one.
    pub jvm: Option<JvmStatus>,
    /// Whether the node is in sync.
    pub in_sync: InSync,
}

/// How `StorageTool format` is to treat the metadata quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FormatMode {
    /// `--initial-controllers`: a voter of a new cluster, with the same list on every voter.
    InitialControllers(String),
    /// `--no-initial-controllers`: a later controller or a colocated node of an existing cluster.
    NoInitialControllers,
    /// Neither flag: a node that is only a broker.
    Plain,
}

/// Body of `POST /format`: the operator's word that disks may be formatted, once.
///
/// The agent obeys only in [`AgentState::AwaitingFormat`], only if ids agree with its own, and
/// formats only volumes listed here that carry no `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormatRequest {
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// Kafka's `node.id`.
    pub node_id: i32,
    /// The volumes that may be formatted: all those that are absent, or the agent refuses.
    pub volumes: Vec<String>,
    /// What to do about the quorum.
    pub mode: FormatMode,
    /// Kafka properties to set for the first activation (`--feature`), most often empty.
    #[serde(default)]
    pub features: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agents are replaced only when their nodes restart, so that a newer operator has to understand
    /// what the oldest says, and be able to restart it.
    #[test]
    fn what_an_older_agent_says_is_understood() {
        let said = r#"{ "startedAtSeconds": 7, "certificateSerial": "0a", "logsToRecover": 0,
            "offlineVolumes": [], "quorumRole": null }"#;
        let jvm: JvmStatus = serde_json::from_str(said).unwrap();
        assert_eq!(jvm.certificate_expires_at_seconds, None);
        assert!(jvm.authority_serials.is_empty());
    }
}
