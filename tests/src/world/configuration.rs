//! The cluster's dynamic configuration in the model world, and what Kafka refuses of it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ottla_plan::action::ConfigChange;
use ottla_plan::properties::{MIN_IN_SYNC, min_in_sync};

use super::World;
use super::store::Refused;

/// How many threads a pool has that nobody said anything about; the model has only this one.
const IO_THREADS: (&str, u32) = ("num.io.threads", 8);

impl World {
    /// The active controller makes its own value the cluster's when it is the first (KIP-966).
    pub(super) fn activate(&mut self) {
        let brokers = self.cluster.spec.brokers.replicas;
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
        let threads = |value: Option<&String>| {
            value.and_then(|value| value.parse().ok()).unwrap_or(IO_THREADS.1)
        };
        for (key, change) in changes {
            let (before, after) =
                (threads(self.dynamic_config.get(key)), threads(change.to.as_ref()));
            let too_far = key == IO_THREADS.0 && (after < before / 2 || after > before * 2);
            if too_far || self.kafka.refused_keys.contains(key) {
                return Err(Refused::Invalid(key.clone()));
            }
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

    /// L1: what nodes take while they run is what the spec wants.
    pub(super) fn hold_configuration(&self) -> Result<()> {
        let Ok(desired) = self.desired() else { return Ok(()) };
        let mut wanted = desired.live_config;
        let default = min_in_sync(desired.brokers.replicas);
        wanted.entry(MIN_IN_SYNC.to_owned()).or_insert_with(|| default.to_string());
        if self.dynamic_config != wanted {
            bail!("L1: at rest, and configured {:?} instead of {wanted:?}", self.dynamic_config);
        }
        Ok(())
    }
}
