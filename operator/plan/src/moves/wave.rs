//! The wave that is remembered: which moves are Ottla's own, and how far each is.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::kafka_cluster::status::MoveMemory;

use crate::observed::{Kafka, Observed, Partition, Reassignment};

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Kafka has not been told yet.
    NotBegun,
    /// Replicas are being copied.
    UnderWay,
    /// Replicas are being copied to where nobody wants them any more, or where nobody can take them.
    Astray,
    /// It has arrived, or somebody else moves the partition by now, or there is no such partition.
    Over,
}

/// What is remembered, by topic and partition.
pub(crate) struct Wave<'a>(BTreeMap<(&'a str, i32), &'a MoveMemory>);

impl<'a> Wave<'a> {
    /// The wave of what an earlier pass wrote down.
    pub(crate) fn of(observed: &'a Observed) -> Wave<'a> {
        let moves = observed.memory.moves.iter().flat_map(|moves| &moves.wave);
        Wave(moves.map(|one| ((one.topic.as_str(), one.partition), one)).collect())
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&'a MoveMemory> {
        self.0.get(&(topic, partition)).copied()
    }

    /// The brokers that hold a partition when what is under way has gone back, or has arrived. The
    /// broker that was asked may not know yet that a move has arrived: then it shows the brokers of both
    /// ends, and nothing is under way.
    pub(super) fn settled_on<'p>(&self, kafka: &'p Kafka, partition: &Partition<'p>) -> Vec<i32>
    where
        'a: 'p,
    {
        let replicas = partition.replicas.iter().copied();
        match kafka.reassignment(partition.topic, partition.index) {
            Some(moving) => replicas.filter(|id| !moving.adding.contains(id)).collect(),
            None => match self.get(partition.topic, partition.index) {
                Some(one) if has_arrived(one, partition) => one.to.clone(),
                _ => replicas.collect(),
            },
        }
    }

    /// How many brokers that are.
    pub(crate) fn settled(&self, kafka: &Kafka, partition: &Partition<'_>) -> usize {
        self.settled_on(kafka, partition).len()
    }

    /// Every move with its partition, as far as there is one, and how far it is.
    pub(super) fn stages(
        &self,
        kafka: &'a Kafka,
        leaving: &BTreeSet<i32>,
    ) -> Vec<(&'a MoveMemory, Option<Partition<'a>>, Stage)> {
        let topics: BTreeSet<&str> = self.0.keys().map(|(topic, _)| *topic).collect();
        let found: BTreeMap<(&str, i32), Partition<'a>> = kafka
            .partitions
            .of_topics(move |topic| topics.contains(topic))
            .map(|one| ((one.topic, one.index), one))
            .collect();
        let each = self.0.iter().map(|(key, one)| {
            let partition = found.get(key).copied();
            let moving = kafka.reassignment(&one.topic, one.partition);
            (*one, partition, stage(kafka, leaving, one, partition, moving))
        });
        each.collect()
    }

    /// A partition that somebody else moves, if there is one.
    pub(super) fn foreign(&self, kafka: &Kafka) -> Option<String> {
        let each = kafka.reassignments.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(index, moving)| (topic, *index, moving))
        });
        let mut foreign = each.filter(|(topic, index, moving)| {
            !self.get(topic, *index).is_some_and(|one| is_ours(one, moving))
        });
        foreign.next().map(|(topic, index, _)| format!("{topic}-{index}"))
    }
}

/// Whether a move under way is the one that is remembered: it leads from and to just these brokers.
pub(crate) fn is_ours(one: &MoveMemory, moving: &Reassignment) -> bool {
    let same = |found: &[i32], these: &[i32], but: &[i32]| {
        let wanted: BTreeSet<&i32> = these.iter().filter(|id| !but.contains(id)).collect();
        found.iter().collect::<BTreeSet<&i32>>() == wanted
    };
    same(&moving.adding, &one.to, &one.from) && same(&moving.removing, &one.from, &one.to)
}

fn has_arrived(one: &MoveMemory, partition: &Partition<'_>) -> bool {
    one.to.iter().all(|id| partition.replicas.contains(id))
}

fn stage(
    kafka: &Kafka,
    leaving: &BTreeSet<i32>,
    one: &MoveMemory,
    partition: Option<Partition<'_>>,
    moving: Option<&Reassignment>,
) -> Stage {
    let is_welcome = one.to.iter().all(|id| !leaving.contains(id));
    match (moving, partition) {
        (Some(moving), _) if !is_ours(one, moving) => Stage::Over,
        (Some(moving), _) => {
            let is_asked_for = moving.removing.iter().all(|id| leaving.contains(id));
            let is_taken = moving.adding.iter().all(|id| kafka.is_alive(*id));
            if is_welcome && is_asked_for && is_taken { Stage::UnderWay } else { Stage::Astray }
        }
        (None, Some(partition)) => {
            let same = partition.replicas == one.from.as_slice();
            let leaves = one.from.iter().any(|id| leaving.contains(id));
            let is_asked_for = leaves || one.to.len() > one.from.len();
            let mut new = one.to.iter().filter(|id| !one.from.contains(id));
            let is_taken = new.all(|id| kafka.is_alive(*id)) && partition.leader.is_some();
            let begins = same && is_welcome && is_asked_for && is_taken;
            if begins { Stage::NotBegun } else { Stage::Over }
        }
        (None, None) => Stage::Over,
    }
}
