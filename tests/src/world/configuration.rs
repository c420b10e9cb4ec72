//! The cluster's dynamic configuration in the model world, and what Kafka refuses of it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ottla_plan::action::ConfigChange;
use ottla_plan::properties::{MIN_IN_SYNC, min_in_sync};

use super::World;
use super::store::Refused;

impl World {
    /// The active controller makes its own value the cluster's when it is the first (KIP-966).
    pub(super) fn activate(&mut self) {
        let brokers = usize::try_from(self.cluster.spec.brokers.replicas).unwrap_or_default();
        self.form_quorum();
        self.switch_features_on();
        if !self.registered.is_empty() {
            self.dynamic_config
                .entry(MIN_IN_SYNC.to_owned())
                .or_insert_with(|| min_in_sync(brokers).to_string());
        }
    }

    /// All changes are made, or none.
    pub(super) fn alter_config(
        &mut self,
        changes: &BTreeMap<String, ConfigChange>,
    ) -> Result<(), Refused> {
        let refused = changes.keys().find(|key| self.kafka.refused_keys.contains(*key));
        if let Some(key) = refused {
            return Err(Refused::Invalid(key.clone()));
        }
        for (key, change) in changes {
            match &change.to {
                Some(value) => self.dynamic_config.insert(key.clone(), value.clone()),
                None => self.dynamic_config.remove(key),
            };
        }
        Ok(())
    }

    /// Kafka takes no value of this key any more.
    pub fn refuse_key(&mut self, key: &str) {
        self.kafka.refused_keys.insert(key.to_owned());
    }

    /// Somebody sets a key for all nodes by Kafka's own tools.
    pub fn set_config(&mut self, key: &str, value: &str) {
        self.dynamic_config.insert(key.to_owned(), value.to_owned());
    }

    /// L1: what nodes take while they run is what the spec wants. The keys that lives of this world
    /// change are named here, and not asked of the planner.
    pub(super) fn hold_configuration(&self) -> Result<()> {
        for key in LIVE_KEYS {
            let (wanted, found) = (self.cluster.spec.config.get(key), self.dynamic_config.get(key));
            if wanted != found {
                bail!("L1: at rest, and {key} is {found:?} instead of {wanted:?}");
            }
        }
        let in_sync = self.dynamic_config.get(MIN_IN_SYNC).map(String::as_str);
        let brokers = self.cluster.spec.brokers.replicas;
        if in_sync != Some(if brokers < 3 { "1" } else { "2" }) {
            bail!("L1: at rest, and {MIN_IN_SYNC} of {brokers} brokers is {in_sync:?}");
        }
        Ok(())
    }
}

/// Keys that nodes take while they run, and that lives change.
const LIVE_KEYS: [&str; 2] = ["message.max.bytes", "compression.type"];
