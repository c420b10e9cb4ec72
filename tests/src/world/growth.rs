//! Disks that grow in the model world: at once, or only before their pods start.

use jiff::Timestamp;
use ottla_plan::GROWS_WITHIN_SECONDS;
use ottla_plan::object::Kind;
use serde_json::{Value, json};

use super::World;

impl World {
    /// From now on file systems grow only while nobody has them mounted.
    pub fn grow_disks_at_starts(&mut self) {
        self.grows_at_starts = true;
    }

    /// A claim may ask for more. Where nothing takes its time its disk grows at once.
    pub(super) fn claim_changed(&mut self) {
        self.claims_change = true;
        if self.gradual.is_none() {
            for id in self.node_ids() {
                self.grow_disks_of(id);
            }
        }
    }

    /// Kubernetes looks after the disks of a node. Whether that changed anything.
    pub(super) fn grow_disks_of(&mut self, id: i32) -> bool {
        if !self.claims_change {
            return false;
        }
        let growing: Vec<(String, bool)> = self
            .claims_of(id)
            .filter_map(|(name, _, _)| {
                let live = &self.store.get(Kind::PersistentVolumeClaim, name)?.live;
                let lacks = live["status"]["capacity"] != live["spec"]["resources"]["requests"];
                let is_told = !live["status"]["conditions"].is_null();
                lacks.then(|| (name.to_owned(), is_told))
            })
            .collect();
        let mut changed = false;
        for (claim, is_told) in growing {
            let path = ["status"];
            let status = if !self.grows_at_starts || !self.pods.contains_key(&id) {
                self.grown(&claim)
            } else if is_told {
                continue;
            } else {
                self.told_to_start_again(&claim)
            };
            let written = status
                .map(|status| self.store.write(Kind::PersistentVolumeClaim, &claim, &path, status));
            changed |= matches!(written, Some(Ok(())));
        }
        changed
    }

    /// Whether Kubernetes was not given the time yet after which nodes are restarted for it.
    pub(super) fn disks_may_still_grow(&self) -> bool {
        let claims = self.store.named_like(Kind::PersistentVolumeClaim, String::new());
        let mut told = claims.filter_map(|(_, claim)| {
            claim.live["status"]["conditions"][0]["lastTransitionTime"].as_str()
        });
        let young =
            |since: Timestamp| self.now.as_second() - since.as_second() < GROWS_WITHIN_SECONDS;
        told.any(|since| since.parse().is_ok_and(young))
    }

    fn grown(&self, claim: &str) -> Option<Value> {
        let live = &self.store.get(Kind::PersistentVolumeClaim, claim)?.live;
        Some(json!({ "phase": "Bound", "capacity": live["spec"]["resources"]["requests"] }))
    }

    fn told_to_start_again(&self, claim: &str) -> Option<Value> {
        let mut status = self.store.get(Kind::PersistentVolumeClaim, claim)?.live["status"].clone();
        status["conditions"] = json!([{
            "type": "FileSystemResizePending",
            "status": "True",
            "lastTransitionTime": self.now.to_string(),
            "message": "Waiting for user to (re-)start a pod to finish file system resize of volume on node.",
        }]);
        Some(status)
    }
}
