//! What a user may say about the pods of nodes.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// CPU and memory of a container, as in Kubernetes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.requests) || self.requests.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] && isQuantity(self.requests[k]))")
        .message("resources.requests holds quantities of cpu, memory or ephemeral-storage, such as cpu: 500m and memory: 2Gi"),
    validation = Rule::new("!has(self.limits) || self.limits.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] && isQuantity(self.limits[k]))")
        .message("resources.limits holds quantities of cpu, memory or ephemeral-storage, such as memory: 2Gi"),
    validation = Rule::new("!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || !isQuantity(self.requests[k]) || !isQuantity(self.limits[k]) || quantity(self.requests[k]).compareTo(quantity(self.limits[k])) <= 0)")
        .message("a resource's request must not exceed its limit"),
)]
pub struct Resources {
    /// What the scheduler reserves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities_schema")]
    pub requests: BTreeMap<String, String>,
    /// What the container may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities_schema")]
    pub limits: BTreeMap<String, String>,
}

fn quantities_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 3,
        "additionalProperties": { "type": "string", "maxLength": 32 },
    })
}

/// The Java virtual machine of a node.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JvmOptions {
    /// Heap, a Kubernetes quantity such as `1Gi`; half of the memory limit and at most 6Gi if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("isQuantity(self)").message("jvm.heap is not a quantity: write a number and a unit, such as 1Gi"),
        validation = Rule::new("!isQuantity(self) || quantity(self).compareTo(quantity('128Mi')) >= 0").message("jvm.heap must be at least 128Mi: Kafka does not start with less")
    )]
    pub heap: Option<String>,
    /// Further options, such as `-XX:MaxGCPauseMillis=50`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        inner(length(min = 2, max = 512), regex(pattern = r"^-[XD][^\x00-\x20\x7f]+$"))
    )]
    #[x_kube(validation = Rule::new("self.all(o, !o.startsWith('-Xmx') && !o.startsWith('-Xms'))").message("set the heap by jvm.heap, not by -Xmx or -Xms"))]
    pub options: Vec<String>,
}

/// Placement and metadata of pods. The parts that are Kubernetes' own are passed on as they are.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodOptions {
    /// Labels to add. Those of `ottla.dev` and `app.kubernetes.io` are Ottla's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to add. Those of `ottla.dev` are Ottla's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: BTreeMap<String, String>,
    /// Kubernetes' `nodeSelector`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "selector_schema")]
    pub node_selector: BTreeMap<String, String>,
    /// Kubernetes' `affinity`; replaces the default, which keeps nodes of a role apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub affinity: Option<serde_json::Value>,
    /// Kubernetes' `tolerations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "free_list")]
    pub tolerations: Vec<serde_json::Value>,
    /// Kubernetes' `topologySpreadConstraints`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "free_list")]
    pub topology_spread_constraints: Vec<serde_json::Value>,
    /// Kubernetes' `priorityClassName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Names of Secrets to pull the image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    pub image_pull_secrets: Vec<String>,
}

fn own_keys_schema(prefixes: &[&str], message: &str) -> schemars::Schema {
    let taken = prefixes
        .iter()
        .map(|prefix| format!("k.startsWith('{prefix}')"))
        .collect::<Vec<_>>()
        .join(" || ");
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 1024 },
        "x-kubernetes-validations": [{ "rule": format!("self.all(k, !({taken}))"), "message": message }],
    })
}

fn labels_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    own_keys_schema(
        &["ottla.dev/", "app.kubernetes.io/"],
        "labels of ottla.dev and app.kubernetes.io are Ottla's own: choose other keys",
    )
}

fn annotations_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    own_keys_schema(&["ottla.dev/"], "annotations of ottla.dev are Ottla's own: choose other keys")
}

fn selector_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 63 },
    })
}

fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn free_list(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 32,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}
