//! One broker that leaves: cordoned, emptied by moves, stopped, unregistered, forgotten.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ottla_crds::kafka_cluster::storage::ReclaimPolicy;

use crate::action::{Action, Delete, Target, Unregister};
use crate::desired::Desired;
use crate::names::{GROUP_LABEL, NODE_LABEL};
use crate::node::{self, Group};
use crate::object::Kind;
use crate::observed::traces::DrainMemory;
use crate::observed::{Answer, Child, Kafka, Observed};
use crate::release;

/// What is known about brokers that leave.
pub(super) struct Case<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) kafka: &'a Kafka,
    /// Brokers that the spec does not ask for.
    pub(super) leaving: &'a BTreeSet<i32>,
    /// Whether they may begin to.
    pub(super) may_begin: bool,
    pub(super) now: Timestamp,
}

/// What all of them come to in one pass.
#[derive(Default)]
pub(super) struct Departures {
    pub(super) memory: Option<DrainMemory>,
    pub(super) actions: Vec<Action>,
    /// What each waits for, beside the moves of its partitions.
    pub(super) details: Vec<String>,
}

/// What one comes to.
#[derive(Default)]
struct Departure {
    actions: Vec<Action>,
    /// Its disks that are still on record.
    disks: Vec<String>,
    detail: Option<String>,
    emptied: bool,
    gone: bool,
}

impl Departure {
    fn waits(detail: String) -> Departure {
        Departure { detail: Some(detail), ..Departure::default() }
    }
}

impl Case<'_> {
    /// A broker is remembered before anything is done because it leaves, and forgotten when nothing is
    /// left of it, or when it stays after all and takes new replicas again.
    pub(super) fn plan(&self) -> Departures {
        let before = self.observed.traces().drain.clone().unwrap_or_default();
        let held = self.held();
        let mut all = Departures::default();
        let mut memory = DrainMemory { brokers: Vec::new(), emptied: Vec::new(), ..before.clone() };
        let mut disks = Vec::new();
        let new = self.leaving.iter().filter(|_| self.may_begin);
        let ids: BTreeSet<i32> = before.brokers.iter().chain(new).copied().collect();
        for id in ids {
            let departure = match before.brokers.contains(&id) {
                false => Departure::default(),
                true if self.leaving.contains(&id) => self.depart(id, held.contains(&id)),
                true => self.stay(id),
            };
            all.actions.extend(departure.actions);
            all.details.extend(departure.detail);
            disks.extend(departure.disks);
            let still_empty = self.leaving.contains(&id) && !held.contains(&id);
            let emptied = departure.emptied || (still_empty && before.emptied.contains(&id));
            match departure.gone {
                true => memory.gone += i32::from(self.leaving.contains(&id)),
                false => memory.brokers.push(id),
            }
            if emptied && !departure.gone {
                memory.emptied.push(id);
            }
        }
        all.actions.extend(self.forget(disks));
        if memory.since.is_empty() {
            memory.since = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        }
        all.memory = Some(memory).filter(|memory| !memory.brokers.is_empty());
        all
    }

    /// Brokers that leave and that hold partitions.
    fn held(&self) -> BTreeSet<i32> {
        let held = |id: &&i32| self.kafka.partitions.held_by(**id) > 0;
        self.leaving.iter().filter(held).copied().collect()
    }

    fn depart(&self, id: i32, holds: bool) -> Departure {
        let name = self.desired.names.node(&node::broker(id));
        let set = self.observed.child(Kind::StatefulSet, &name);
        let has_pod = self.observed.pods.contains_key(&id);
        match (set, self.kafka.brokers.get(&id)) {
            _ if holds => Departure { actions: self.cordon(id).collect(), ..Departure::default() },
            (Some(set), registered) => self.stop(id, &name, set, registered.copied()),
            (None, _) if has_pod => Departure::waits(format!("broker {id} is shutting down")),
            (None, Some(false)) => {
                Departure::waits(format!("Kafka has not noticed yet that broker {id} is gone"))
            }
            (None, Some(true)) => Departure {
                actions: vec![Action::Unregister(Unregister {
                    broker: id,
                    uncordon: release::has_cordons(&self.kafka.features),
                })],
                ..Departure::default()
            },
            (None, None) => self.vanish(id),
        }
    }

    /// Puts the cordon to what it has to be, where Kafka has any and the broker answers.
    fn cordon(&self, id: i32) -> impl Iterator<Item = Action> {
        let wanted = self.leaving.contains(&id);
        let found = self.kafka.leaver(id).filter(|_| release::has_cordons(&self.kafka.features));
        let may = self.may_begin || !wanted;
        let differs = found.is_some_and(|found| found.cordoned != wanted && may);
        differs.then_some(Action::Cordon { broker: id, cordoned: wanted }).into_iter()
    }

    /// It holds no partition any more. Its disks are asked too, and what they say is remembered before
    /// it is stopped: then nobody can be asked any more. One that is dead cannot be asked at all.
    fn stop(&self, id: i32, name: &str, set: &Child, fenced: Option<bool>) -> Departure {
        if !self.may_begin || set.terminating || !set.ours {
            return Departure { actions: self.cordon(id).collect(), ..Departure::default() };
        }
        let stop = || {
            Action::Delete(Delete {
                kind: Kind::StatefulSet,
                target: Target::of(name, set),
                reason: format!("broker {id} leaves and holds no partition any more"),
            })
        };
        match (fenced, self.kafka.leavers.get(&id)) {
            (None, _) => Departure { actions: vec![stop()], ..Departure::default() },
            // Nobody knows what is on a disk that is offline, and Kafka asks for nothing of it.
            (_, Some(Answer::Known(leaver))) if leaver.stored.is_empty() && leaver.offline => {
                Departure { actions: vec![stop()], ..Departure::default() }
            }
            (_, Some(Answer::Known(leaver))) if leaver.stored.is_empty() => Departure {
                actions: if self.was_seen_empty(id) {
                    vec![stop()]
                } else {
                    self.cordon(id).collect()
                },
                emptied: true,
                ..Departure::default()
            },
            (_, Some(Answer::Known(leaver))) => {
                let first = leaver.stored.iter().next().and_then(|(topic, partitions)| {
                    Some(format!("{topic}-{}", partitions.keys().next()?))
                });
                Departure::waits(format!(
                    "the disks of broker {id} still have a replica of partition {}",
                    first.unwrap_or_default()
                ))
            }
            (Some(true), _) => Departure { actions: vec![stop()], ..Departure::default() },
            (Some(false), Some(Answer::Unknown { reason })) => Departure::waits(format!(
                "broker {id} could not be asked whether its disks are empty: {reason}"
            )),
            (Some(false), None) => {
                Departure::waits(format!("broker {id} is asked whether its disks are empty"))
            }
        }
    }

    /// It stays after all.
    fn stay(&self, id: i32) -> Departure {
        let actions: Vec<Action> = self.cordon(id).collect();
        let asked = self.kafka.leaver(id).is_some() || !self.kafka.brokers.contains_key(&id);
        Departure { gone: asked && actions.is_empty(), actions, ..Departure::default() }
    }

    /// Kafka does not know it any more: what Kubernetes has of it goes too.
    fn vanish(&self, id: i32) -> Departure {
        let recorded = self.observed.identity.iter().flat_map(|identity| identity.disks_of(id));
        let disks: Vec<String> = recorded.map(|(_, key)| key.clone()).collect();
        let mut actions = Vec::new();
        let node = self.desired.names.node(&node::broker(id));
        let of_node = |name: &str, child: &Child| {
            let of_broker = child.label(GROUP_LABEL) == Some(Group::Broker.word());
            name == node || (of_broker && child.label(NODE_LABEL) == Some(&id.to_string()))
        };
        let mut kinds = vec![Kind::ConfigMap, Kind::Secret];
        if self.was_seen_empty(id) && self.desired.reclaim == ReclaimPolicy::Delete {
            kinds.push(Kind::PersistentVolumeClaim);
        }
        for kind in kinds {
            let children = self.observed.children_of(kind);
            let ours =
                children.filter(|(name, one)| one.ours && !one.terminating && of_node(name, one));
            actions.extend(ours.map(|(name, child)| {
                Action::Delete(Delete {
                    kind,
                    target: Target::of(name, child),
                    reason: format!("broker {id} is gone for good"),
                })
            }));
        }
        let gone = actions.is_empty() && disks.is_empty();
        Departure { gone, actions, disks, ..Departure::default() }
    }

    /// Whether its disks were seen empty before it was stopped.
    fn was_seen_empty(&self, id: i32) -> bool {
        let drain = self.observed.traces().drain.as_ref();
        drain.is_some_and(|drain| drain.emptied.contains(&id))
    }

    fn forget(&self, disks: Vec<String>) -> Option<Action> {
        let identity = self.observed.identity.as_ref()?;
        let target = Target::of_identity(&self.desired.names, identity);
        (!disks.is_empty()).then_some(Action::ForgetDisks { target, disks })
    }
}
