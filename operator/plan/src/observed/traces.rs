//! What the operator has begun and what outlives the KafkaCluster: cordons, moves and limits that it takes back,
//! and permits whose use it has not seen yet. It is kept with the identity, so that a KafkaCluster that is deleted
//! half-way and created again finds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Each is written before anything of it is done, and struck when nothing of it is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Traces {
    /// Brokers that leave, or left and have not vanished yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainMemory>,
    /// Partitions that are being moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moves: Option<MovesMemory>,
    /// A broker that gives disks away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disks: Option<DisksMemory>,
    /// Permits to format, until the disk was seen formatted: its key in the record of disks to the UID of its claim.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub permits: BTreeMap<String, String>,
    /// Features of Kafka that were ever seen switched on, or that are about to be: no release that does not know them
    /// can read what it left.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, i32>,
}

/// Of a cluster without an identity.
pub(super) static NONE: Traces = Traces {
    drain: None,
    moves: None,
    disks: None,
    permits: BTreeMap::new(),
    features: BTreeMap::new(),
};

impl Traces {
    /// Whether nothing is left in Kafka.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.drain.is_none() && self.moves.is_none() && self.disks.is_none()
    }

    /// Whether another disk in that place was permitted to be formatted than the one of this claim.
    #[must_use]
    pub fn permitted_another(&self, disk_key: &str, claim_uid: &str) -> bool {
        self.permits.get(disk_key).is_some_and(|uid| uid != claim_uid)
    }
}

/// Brokers that leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DrainMemory {
    /// When the first of them began to, RFC 3339.
    pub since: String,
    /// Those that still leave traces, by id.
    pub brokers: Vec<i32>,
    /// Those of them whose disks were seen empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emptied: Vec<i32>,
    /// How many have left for good.
    pub gone: i32,
}

/// Partitions that are being moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MovesMemory {
    /// When the first of them began to, RFC 3339.
    pub since: String,
    /// Partitions that may move at this moment.
    pub wave: Vec<MoveMemory>,
    /// The limit, in bytes per second and broker, that is Ottla's own and goes in the end; absent where
    /// somebody else has set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<i64>,
}

/// A broker that gives disks away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DisksMemory {
    /// The broker.
    pub broker: i32,
    /// The disks, by the names of their volumes.
    pub volumes: Vec<String>,
    /// Those of them that were seen empty while they took nothing new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emptied: Vec<String>,
    /// Brokers that had begun to give disks away when this one came before them, with the volumes of those: nobody
    /// else knows that they are cordoned.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub put_off: BTreeMap<i32, Vec<String>>,
}

/// A partition that may move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MoveMemory {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The brokers that held it, the preferred leader first.
    pub from: Vec<i32>,
    /// The brokers that are to hold it.
    pub to: Vec<i32>,
}
