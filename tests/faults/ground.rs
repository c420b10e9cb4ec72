//! What stands in for volumes, kubelets, agents and Kafka, in all namespaces at once.
//!
//! Claims are bound, pods get an address, and become Ready when their agent says that it runs. A
//! disk's content follows its claim's UID, as a real disk's does. Whatever an operator must never
//! do, to a disk or to the cluster's id, is noted as a violation the moment it happens.

mod disk;
mod kubelet;
mod life;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use disk::Disk;
pub(crate) use kubelet::{stand_in, watch};
pub(crate) use life::{agent_status, format, kafka};

/// All namespaces. Clones share all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ground {
    places: Arc<Mutex<BTreeMap<String, Place>>>,
}

/// One namespace, with at most one cluster in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Claims that exist, by name.
    pub(crate) claims: BTreeMap<String, Claim>,
    /// Pods that exist, by name.
    pub(crate) pods: BTreeMap<String, Pod>,
    /// Disks that ever were, by their claim's UID.
    pub(crate) disks: BTreeMap<String, Disk>,
    /// Every pod that ever was: UIDs by name.
    pub(crate) pods_ever: BTreeMap<String, BTreeSet<String>>,
    /// Every cluster id that an identity object ever carried.
    pub(crate) cluster_ids: BTreeSet<String>,
    /// The reason of each condition of the KafkaCluster that is true, by the condition's type.
    pub(crate) conditions: BTreeMap<String, String>,
    /// What an operator did and must never do.
    pub(crate) violations: Vec<String>,
    /// Brokers that ever ran.
    pub(crate) registered: BTreeSet<i32>,
}

/// A claim.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) uid: String,
    pub(crate) bound: bool,
}

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) node_id: i32,
    pub(crate) roles: Vec<ottla_crds::agent::Role>,
    pub(crate) config_hash: String,
    /// Volume of the node to the name of its claim.
    pub(crate) volumes: BTreeMap<String, String>,
    /// Its address, and since when its agent runs.
    pub(crate) started: Option<(String, tokio::time::Instant)>,
    pub(crate) ready: bool,
}

impl Ground {
    /// Looks at a namespace, or changes it.
    pub(crate) fn with<T>(&self, namespace: &str, look: impl FnOnce(&mut Place) -> T) -> T {
        look(self.places().entry(namespace.to_owned()).or_default())
    }

    /// A namespace as it is now.
    pub(crate) fn place(&self, namespace: &str) -> Place {
        self.with(namespace, |place| place.clone())
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        // A panic of another thread cannot leave a half-made change behind here.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether the KafkaCluster's condition of this type is true.
    pub(crate) fn is(&self, condition: &str) -> bool {
        self.conditions.contains_key(condition)
    }

    /// How often disks were formatted, all together.
    pub(crate) fn formats(&self) -> usize {
        self.disks.values().map(|disk| disk.formats).sum()
    }
}
