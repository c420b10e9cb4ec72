//! The status of the model's KafkaCluster, and the law that it does not call done what goes on.

use ottla_crds::kafka_cluster::status::{KafkaClusterStatus, Operation};
use ottla_plan::Plan;
use ottla_plan::status::status;

use super::{INSTALLATION, World};

impl World {
    /// Writes the status of a pass, and says whether it says anything new.
    pub(super) fn write_status(&mut self, plan: &Plan, failure: Option<&str>) -> bool {
        let previous = self.status();
        let desired = self.desired();
        let generation = self.cluster.metadata.generation;
        let next = status(
            &previous,
            desired.as_ref().ok(),
            plan,
            failure,
            INSTALLATION,
            generation,
            self.now,
        );
        self.hold_progress(&next);
        let new = next != previous;
        self.statuses += u64::from(new);
        self.cluster.status = Some(next);
        new
    }

    /// S11: what goes on is not said to be done.
    fn hold_progress(&mut self, status: &KafkaClusterStatus) {
        let Some(operation) = &status.operation else { return };
        let Operation { name, done, of, .. } = operation;
        let counts_what_is_left = ["EmptyDisks", "ChangeVoters", "RenewAuthority"];
        if *done < 0 || done > of || (done == of && counts_what_is_left.contains(&name.as_str())) {
            self.broken.get_or_insert(format!("S11: {name} goes on with {done} of {of} done"));
        }
    }
}
