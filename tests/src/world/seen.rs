//! What a pass found of the KafkaCluster, and whether that is still so.

use ottla_crds::kafka_cluster::status::Memory;
use ottla_plan::action::Target;
use ottla_plan::object::Kind;
use ottla_plan::{Plan, Traces};

use super::store::Refused;
use super::{INSTALLATION, World};

/// What a pass found of the KafkaCluster when it began.
#[derive(Clone, Debug)]
pub struct Seen {
    pub(super) generation: Option<i64>,
    pub(super) memory: Memory,
    pub(super) traces: Traces,
    pub(super) identity: Option<Target>,
    statuses: u64,
}

/// What is written before anything is done, and planned on anew.
#[derive(Clone, Copy)]
pub(super) enum First {
    /// That the cluster is ours, and what later passes must know, on a KafkaCluster as it was seen.
    Stamp,
    /// What is begun and outlives the KafkaCluster.
    Traces,
}

impl World {
    /// What has to be written before a plan is carried out.
    pub(super) fn comes_first(&self, plan: &Plan, seen: &Seen) -> Option<First> {
        let ours = self.status().operator.as_deref() == Some(INSTALLATION);
        let traces = seen.traces != plan.traces;
        if (traces || !plan.actions.is_empty()) && (!ours || seen.memory != plan.memory) {
            return Some(First::Stamp);
        }
        traces.then_some(First::Traces)
    }

    pub(super) fn write_first(
        &mut self,
        first: First,
        plan: &Plan,
        seen: &Seen,
    ) -> Result<(), Refused> {
        match (first, &seen.identity) {
            (First::Stamp, _) if self.is_as(seen) => {
                self.stamp(plan);
                Ok(())
            }
            (First::Traces, Some(identity)) => self.record_traces(identity, &plan.traces),
            _ => Err(Refused::Silence),
        }
    }

    /// The KafkaCluster as a pass finds it now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let name = self.names().identity();
        let identity = self.store.get(Kind::ConfigMap, &name);
        Seen {
            traces: self.traces(),
            identity: identity.map(|child| Target::of(&name, child)),
            generation: self.cluster.metadata.generation,
            memory: self.status().memory,
            statuses: self.statuses,
        }
    }

    /// Whether nobody has written the KafkaCluster since: a status is refused otherwise.
    pub(super) fn is_as(&self, seen: &Seen) -> bool {
        self.cluster.metadata.generation == seen.generation && self.statuses == seen.statuses
    }
}
