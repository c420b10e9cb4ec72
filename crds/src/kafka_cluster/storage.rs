//! Disks of a node.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The disks of each node of a role.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// The disks (JBOD). The first holds the metadata log too. Disks come and go: one that is left out is emptied
    /// before.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self[0].name == oldSelf[0].name || !self.exists(one, one.name == oldSelf[0].name)")
            .message("the first disk stays the first, or is left out: it holds the metadata log")
    )]
    pub volumes: Vec<Volume>,
    /// What becomes of the disks of nodes that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim: Option<Reclaim>,
}

/// What becomes of the disks of nodes that are gone.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reclaim {
    /// Of brokers that left, and of disks that were left out. Only claims whose disks were seen empty before
    /// are ever deleted.
    pub when_scaled: ReclaimPolicy,
}

/// What becomes of a claim that no node needs any more.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReclaimPolicy {
    /// It stays, and a node of the same id uses it again.
    #[default]
    Retain,
    /// It is deleted.
    Delete,
}

/// One disk of a node.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("storageClassName cannot be changed: the disk lives in its class; ask for another disk in that class by another name, and leave this one out"),
)]
pub struct Volume {
    /// Name, of lower case letters and digits.
    #[schemars(length(min = 1, max = 15), regex(pattern = "^[a-z][a-z0-9]{0,14}$"))]
    pub name: String,
    /// Size, a Kubernetes quantity such as `100Gi`, from `100Mi` to `1Pi`. A disk grows and never
    /// shrinks: a smaller size is for disks made later.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("isQuantity(self)").message("size is not a quantity: write a number and a unit, such as 100Gi"),
        validation = Rule::new("!isQuantity(self) || quantity(self).compareTo(quantity('100Mi')) >= 0").message("size must be at least 100Mi: Kafka's own metadata needs that much"),
        validation = Rule::new("!isQuantity(self) || quantity(self).compareTo(quantity('1Pi')) <= 0").message("size must be at most 1Pi: no disk is larger")
    )]
    pub size: String,
    /// StorageClass of the claim; the Kubernetes cluster's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub storage_class_name: Option<String>,
}
