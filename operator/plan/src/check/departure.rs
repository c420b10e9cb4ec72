//! What must hold before something of a broker that leaves is taken away: its StatefulSet, its
//! registration, its disks, its certificate and its configurations.

use super::{Verdicts, Violation, disks, unless, violation};
use crate::action::{Delete, Unregister};
use crate::desired::Desired;
use crate::names::{GROUP_LABEL, NODE_LABEL};
use crate::node::{self, Group};
use crate::object::Kind;
use crate::observed::{Kafka, Observed};
use crate::{quorum, scale};

/// A broker that leaves, and everything that is known.
struct Case<'a> {
    desired: &'a Desired,
    fresh: &'a Observed,
    id: i32,
}

pub(super) fn unregister(unregister: &Unregister, desired: &Desired, fresh: &Observed) -> Verdicts {
    let case = Case { desired, fresh, id: unregister.broker };
    let mut verdicts = case.lets_go();
    verdicts.push(("nothing of it runs", case.is_stopped()));
    verdicts.push(("Kafka counts it as dead", case.is_fenced()));
    verdicts
}

/// A cordon that nobody remembers would be there for ever.
pub(super) fn cordon(id: i32, desired: &Desired, fresh: &Observed) -> Verdicts {
    Case { desired, fresh, id }.leaves()
}

/// Of an object that belongs to a node.
pub(super) fn delete(delete: &Delete, desired: &Desired, fresh: &Observed) -> Verdicts {
    let name = &delete.target.name;
    let child = fresh.child(delete.kind, name);
    let owner = child.and_then(|child| quorum::owner(desired, delete.kind, name, child));
    if let Some(id) = owner {
        return controller(id, delete.kind, desired, fresh);
    }
    if let Some(claim) = disks::of_stayer(delete, fresh) {
        return disks::delete(claim, desired, fresh);
    }
    let Some(id) = broker_of(delete, desired, fresh) else {
        return vec![("it belongs to a broker", Err(violation("S4", "it belongs to no broker")))];
    };
    let case = Case { desired, fresh, id };
    let mut verdicts = case.lets_go();
    verdicts.push(("it belongs to a broker", Ok(())));
    if delete.kind == Kind::StatefulSet {
        verdicts.push(("its disks are empty", case.disks_are_empty()));
        return verdicts;
    }
    verdicts.push(("nothing of it runs", case.is_stopped()));
    verdicts.push(("Kafka does not know it", case.is_unregistered()));
    if delete.kind == Kind::PersistentVolumeClaim {
        verdicts.push(("its disks were seen empty", case.disks_were_empty()));
        verdicts.push(("its disks are off the record", case.is_off_record()));
    }
    verdicts
}

/// A controller that left: its disk has nothing that others do not have, and stays all the same.
fn controller(id: i32, kind: Kind, desired: &Desired, fresh: &Observed) -> Verdicts {
    let name = desired.names.node(&node::of_id(id));
    let runs = fresh.child(Kind::StatefulSet, &name).is_some() || fresh.pods.contains_key(&id);
    let mut verdicts = super::quorum::left(id, desired, fresh);
    verdicts.push((
        "it can be called back",
        unless(
            !quorum::can_be_called_back(fresh, id),
            "S2",
            "it is not on record that Kafka may know the controller",
        ),
    ));
    if kind != Kind::StatefulSet {
        let claim = kind == Kind::PersistentVolumeClaim;
        verdicts.extend([
            ("nothing of it runs", unless(runs, "S2", "it has a StatefulSet or a pod")),
            ("its disk stays", unless(claim, "S4", "a controller's claim stays")),
        ]);
    }
    verdicts
}

/// A certificate's Secret carries the node's name alone.
fn broker_of(delete: &Delete, desired: &Desired, fresh: &Observed) -> Option<i32> {
    if delete.kind == Kind::Secret {
        let id = delete.target.name.rsplit('-').next()?.parse().ok()?;
        return Some(id).filter(|id| desired.names.node(&node::broker(*id)) == delete.target.name);
    }
    let child = fresh.child(delete.kind, &delete.target.name)?;
    let of_broker = child.label(GROUP_LABEL) == Some(Group::Broker.word());
    child.label(NODE_LABEL).filter(|_| of_broker)?.parse().ok()
}

impl Case<'_> {
    fn kafka(&self) -> Result<&Kafka, Violation> {
        self.fresh.kafka.known().ok_or_else(|| violation("S7", "Kafka cannot be asked"))
    }

    fn leaves(&self) -> Verdicts {
        let wished = scale::wished_brokers(self.desired, self.fresh).contains(&self.id);
        let drain = self.fresh.traces().drain.as_ref();
        let known = drain.is_some_and(|drain| drain.brokers.contains(&self.id));
        vec![
            ("the spec does not ask for it", unless(wished, "S2", "the spec asks for the broker")),
            (
                "that it leaves is remembered",
                unless(!known, "S7", "it is not on record that the broker leaves"),
            ),
        ]
    }

    fn lets_go(&self) -> Verdicts {
        let votes = self.kafka().is_ok_and(|kafka| kafka.voters.contains_key(&self.id));
        let mut verdicts = self.leaves();
        verdicts.extend([
            ("it does not vote", unless(votes, "S3", "the broker votes in the quorum")),
            ("Kafka was asked", self.kafka().map(|_| ())),
            ("it holds no partition", self.holds_nothing()),
        ]);
        verdicts
    }

    fn holds_nothing(&self) -> Result<(), Violation> {
        let Some(kafka) = self.fresh.kafka.known() else { return Ok(()) };
        let held = kafka.partitions.held_by(self.id) > 0;
        unless(held, "S1", "the broker holds a partition")
    }

    /// A broker that is dead cannot be asked; none that Kafka does not know has ever held anything.
    fn disks_are_empty(&self) -> Result<(), Violation> {
        let Some(kafka) = self.fresh.kafka.known() else { return Ok(()) };
        if !kafka.is_alive(self.id) {
            return Ok(());
        }
        let empty = kafka.leaver(self.id).is_some_and(|leaver| leaver.stored.is_empty());
        unless(!empty, "S1", "the broker's disks are not empty, or it could not be asked")
    }

    fn is_stopped(&self) -> Result<(), Violation> {
        let name = self.desired.names.node(&node::broker(self.id));
        let set = self.fresh.child(Kind::StatefulSet, &name).is_some();
        let pod = self.fresh.pods.contains_key(&self.id);
        unless(set || pod, "S2", "the broker has a StatefulSet or a pod")
    }

    fn is_fenced(&self) -> Result<(), Violation> {
        let Some(kafka) = self.fresh.kafka.known() else { return Ok(()) };
        unless(kafka.is_alive(self.id), "S2", "the broker is alive")
    }

    fn is_unregistered(&self) -> Result<(), Violation> {
        let Some(kafka) = self.fresh.kafka.known() else { return Ok(()) };
        unless(kafka.brokers.contains_key(&self.id), "S4", "the broker is registered")
    }

    fn disks_were_empty(&self) -> Result<(), Violation> {
        let drain = self.fresh.traces().drain.as_ref();
        let emptied = drain.is_some_and(|drain| drain.emptied.contains(&self.id));
        unless(!emptied, "S4", "the broker's disks were not seen empty")
    }

    fn is_off_record(&self) -> Result<(), Violation> {
        let identity = self.fresh.identity.as_ref();
        let known = identity.is_some_and(|one| one.disks_of(self.id).next().is_some());
        unless(known, "S5", "the disk is on record as in use")
    }
}
