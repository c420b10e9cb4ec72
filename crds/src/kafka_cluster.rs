//! `KafkaCluster`: a Kafka cluster, its nodes, disks and listeners.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod listener;
pub mod pod;
pub mod status;
pub mod storage;

use listener::Listener;
use pod::{JvmOptions, PodOptions, Resources};
use status::KafkaClusterStatus;
use storage::Storage;

/// The Kafka releases that Ottla has images and knowledge of, oldest first.
pub const KAFKA_VERSIONS: [&str; 3] = ["4.2.1", "4.3.1", "4.4.0"];

/// A Kafka cluster: how many brokers and controllers, their disks, listeners and configuration.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaCluster",
    plural = "kafkaclusters",
    shortname = "kfc",
    category = "ottla",
    namespaced,
    derive = "PartialEq",
    status = "KafkaClusterStatus",
    doc = "A Kafka cluster: how many brokers and controllers, their disks, listeners and configuration.",
    scale(
        spec_replicas_path = ".spec.brokers.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Brokers", type_ = "string", json_path = ".status.summary.brokers"),
    printcolumn(name = "Controllers", type_ = "string", json_path = ".status.summary.controllers"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Waiting on", type_ = "string", json_path = ".status.summary.waitingOn"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 32 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be at most 32 characters of a-z, 0-9 and '-', begin with a letter and end with a letter or digit: it becomes part of DNS names"),
    validation = Rule::new("self.spec.version == oldSelf.spec.version || !has(oldSelf.status) || !has(oldSelf.status.version) || !has(oldSelf.status.version.allowed) || self.spec.version in oldSelf.status.version.allowed")
        .message(Message::Expression("'spec.version cannot become ' + self.spec.version + ': features are switched on that it does not know; choose one of ' + oldSelf.status.version.allowed.join(', ')".into()))
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.controllers.placement != 'Colocated' || self.controllers.replicas <= self.brokers.replicas")
        .message("controllers.replicas must not exceed brokers.replicas while controllers are Colocated: each lives in a broker; add brokers or use placement Dedicated"),
    validation = Rule::new("self.controllers.placement != 'Colocated' || (!has(self.controllers.storage) && !has(self.controllers.resources) && !has(self.controllers.jvm) && !has(self.controllers.pod))")
        .message("controllers that are Colocated live in the brokers: remove controllers.storage, resources, jvm and pod, and set those of brokers"),
    validation = Rule::new("self.controllers.placement != 'Colocated' || !has(self.brokers.excludedIds) || self.brokers.excludedIds.all(id, id >= self.controllers.replicas)")
        .message("brokers.excludedIds names a broker that is to vote in the metadata quorum: while controllers are Colocated these are the brokers with the lowest ids; give controllers pods of their own first (placement: Dedicated)"),
    validation = Rule::new("self.controllers.placement != 'Dedicated' || has(self.controllers.storage)")
        .message("controllers.storage is required while controllers are Dedicated: give each controller one volume, such as { name: d0, size: 10Gi }"),
    validation = Rule::new("has(self.racks) == has(oldSelf.racks)")
        .message("racks cannot be added or removed yet: the disks of nodes lie where they lie"),
)]
pub struct KafkaClusterSpec {
    /// The Kafka release to run. Another one is taken node by node, controllers first; the way back is
    /// open until the features of the new one are switched on. `status.version.allowed` lists the
    /// releases that may be taken.
    #[schemars(extend("enum" = KAFKA_VERSIONS))]
    pub version: String,
    /// Image to run instead of the one that follows from `version`. It must hold that release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// The nodes that store records.
    pub brokers: Brokers,
    /// The nodes of the metadata quorum.
    pub controllers: Controllers,
    /// Where clients connect.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.all(l, self.exists_one(m, m.port == l.port))")
            .message("two listeners have the same port: give each listener a port of its own")
    )]
    pub listeners: Vec<Listener>,
    /// Kafka configuration of the nodes, Kafka's own keys and values. Keys that Ottla sets itself
    /// are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "config_schema")]
    pub config: BTreeMap<String, String>,
    /// How brokers are spread over failure zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub racks: Option<Racks>,
    /// How nodes are restarted one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll: Option<Roll>,
    /// When another Kafka release is there to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// Stops every write for this cluster, and says so in the status. Deletion still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// The nodes that store records.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brokers {
    /// How many brokers. Their ids count from 0; gaps are filled from the lowest. Where there are more
    /// than that, those with the highest ids leave, once their partitions have moved to others.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: i32,
    /// Ids that no broker may have. One that exists leaves, once its partitions have moved to others,
    /// and another takes its place if `replicas` asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(range(min = 0, max = 9999)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub excluded_ids: Vec<i32>,
    /// The disks of each broker.
    pub storage: Storage,
    /// CPU and memory of each broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Java heap and options of each broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jvm: Option<JvmOptions>,
    /// Placement and metadata of each broker's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOptions>,
}

/// Where controllers run.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// In pods of their own, with ids from 10000.
    Dedicated,
    /// In the pods of the brokers with the lowest ids, in the same process.
    Colocated,
}

/// The nodes of the metadata quorum.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Controllers {
    /// `Dedicated` pods, or `Colocated` in the brokers.
    #[x_kube(validation = Rule::new("self == oldSelf || oldSelf == 'Colocated'").message("placement cannot go back to Colocated: controllers with pods of their own have disks of their own"))]
    pub placement: Placement,
    /// How many controllers vote: 1, 3 or 5. A quorum of 3 bears the loss of one, of 5 the loss of
    /// two.
    #[schemars(extend("enum" = [1, 3, 5]))]
    pub replicas: i32,
    /// The disk of each Dedicated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.volumes.size() == 1").message("a controller has one volume: it stores only the metadata log"),
        validation = Rule::new("!has(self.reclaim)").message("reclaim is for brokers: the claim of a controller that leaves stays")
    )]
    pub storage: Option<Storage>,
    /// CPU and memory of each Dedicated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Java heap and options of each Dedicated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jvm: Option<JvmOptions>,
    /// Placement and metadata of each Dedicated controller's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOptions>,
}

/// How nodes are restarted one after another.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Roll {
    /// Which partitions a restart may make unavailable for as long as it takes, where they could
    /// not be kept available by any waiting.
    pub allow_unavailable: AllowUnavailable,
}

/// Partitions that need every replica that they have, so that none of these can stop unnoticed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllowUnavailable {
    /// None: a node with such a partition is not restarted.
    None,
    /// Partitions with a single replica.
    #[default]
    SingleReplica,
    /// Partitions with as many replicas as `min.insync.replicas` asks for, too.
    Any,
}

/// When another Kafka release is there to stay.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// Whether the features of a new release are switched on by themselves. From then on there is no
    /// way back to the release before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalize: Option<Finalize>,
    /// How long the first broker with another release runs before others follow, and all nodes run
    /// with it before its features are switched on, such as `10m` or `1h30m`. `10m` where it is
    /// not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32), regex(pattern = r"^([0-9]{1,6}[smhd]){1,4}$"))]
    pub soak: Option<String>,
}

/// Whether the features of a new release are switched on by themselves.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finalize {
    /// Once all nodes have run with it for as long as `soak` says.
    #[default]
    Automatic,
    /// Not before this is set to `Automatic`.
    Manual,
}

/// How brokers are spread over failure zones: Kafka's `broker.rack` and the pods' node affinity.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Racks {
    /// The label of Kubernetes nodes that names their zone.
    #[x_kube(validation = Rule::new("self == oldSelf").message("topologyKey cannot be changed: the disks of nodes lie in the zones that it named"))]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^([a-z0-9.-]+/)?[A-Za-z0-9._-]+$"))]
    pub topology_key: String,
    /// The zones to use, in the order in which brokers are dealt out to them.
    #[schemars(
        length(min = 1, max = 20),
        inner(
            length(min = 1, max = 63),
            regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
        )
    )]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("oldSelf.all(z, z in self)").message("a zone in use cannot be removed: its brokers' disks are there; add zones at the end instead")
    )]
    pub zones: Vec<String>,
}

fn config_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 100,
        "additionalProperties": { "type": "string", "maxLength": 2048, "pattern": r"^[^\x00-\x1f\x7f]*$" },
        "x-kubernetes-validations": config_rules(),
    })
}

fn config_rules() -> Vec<serde_json::Value> {
    let reserved =
        |keys: &[&str]| keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
    let prefixes = RESERVED_CONFIG_PREFIXES
        .iter()
        .map(|prefix| format!("k.startsWith('{prefix}')"))
        .collect::<Vec<_>>()
        .join(" || ");
    vec![
        serde_json::json!({
            "rule": format!("self.all(k, !(k in [{}]))", reserved(&RESERVED_CONFIG_KEYS)),
            "message": format!("config holds a key that Ottla sets itself: {}", RESERVED_CONFIG_KEYS.join(", ")),
        }),
        serde_json::json!({
            "rule": format!("self.all(k, !({prefixes}))"),
            "message": format!("config holds a key of a group that Ottla sets itself; no key may begin with {}", RESERVED_CONFIG_PREFIXES.join(", ")),
        }),
        serde_json::json!({
            "rule": "self.all(k, k.size() <= 128 && k.matches('^[a-z][a-z0-9]*([.-][a-z0-9]+)*$'))",
            "message": "config keys are Kafka's own: lower case words joined by dots, such as log.retention.hours",
        }),
    ]
}

/// Keys of `config` that Ottla sets itself.
pub const RESERVED_CONFIG_KEYS: [&str; 15] = [
    "node.id",
    "broker.id",
    "broker.rack",
    "process.roles",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "advertised.listeners",
    "early.start.listeners",
    "inter.broker.listener.name",
    "security.inter.broker.protocol",
    "principal.builder.class",
    "unclean.leader.election.enable",
    "cordoned.log.dirs",
    "broker.id.generation.enable",
];

/// Beginnings of keys of `config` that Ottla sets itself.
pub const RESERVED_CONFIG_PREFIXES: [&str; 9] = [
    "listener",
    "controller.listener.",
    "controller.quorum.",
    "ssl.",
    "sasl.",
    "authorizer.",
    "super.users",
    "metric",
    "config.providers",
];
