//! The wave that is remembered: which moves are Ottla's own, and how far each is.

use std::collections::{BTreeMap, BTreeSet};

use crate::observed::traces::MoveMemory;
use crate::observed::{Kafka, Observed, Partition, Reassignment};

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Kafka has not been told yet.
    NotBegun,
    /// Replicas are being copied.
    UnderWay,
    /// Replicas are being copied to where nobody wants them any more.
    Astray,
    /// It has arrived, or somebody else moves the partition by now, or there is no such partition.
    Over,
}

/// What is remembered, by topic and partition.
pub(crate) struct Wave<'a>(BTreeMap<(&'a str, i32), &'a MoveMemory>);

impl<'a> Wave<'a> {
    /// The wave of what an earlier pass wrote down.
    pub(crate) fn of(observed: &'a Observed) -> Wave<'a> {
        let moves = observed.traces().moves.iter().flat_map(|moves| &moves.wave);
        Wave(moves.map(|one| ((one.topic.as_str(), one.partition), one)).collect())
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&'a MoveMemory> {
        self.0.get(&(topic, partition)).copied()
    }

    /// The brokers that hold a partition when what is under way has gone back, or has arrived. The
    /// broker that was asked may not know yet that a move has arrived: then it shows the brokers of both
    /// ends, and nothing is under way.
    pub(crate) fn settled_on<'p>(&self, kafka: &'p Kafka, partition: &Partition<'p>) -> Vec<i32>
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

/// Whether a move can be taken back: replicas that came by it leave at once, also those that are in sync
/// by now, and what is left must be able to do without them.
pub(crate) fn may_go_back(partition: &Partition<'_>, moving: &Reassignment) -> bool {
    let stay = partition.in_sync.iter().filter(|id| !moving.adding.contains(id)).count();
    stay > 0 && stay >= partition.needed().min(partition.in_sync.len())
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
        (Some(moving), partition) => {
            let is_asked_for = moving.removing.iter().all(|id| leaving.contains(id));
            let may_go_back = partition.is_some_and(|one| may_go_back(&one, moving));
            if (is_welcome && is_asked_for) || !may_go_back {
                Stage::UnderWay
            } else {
                Stage::Astray
            }
        }
        (None, Some(partition)) => {
            let same = partition.replicas == one.from.as_slice();
            let leaves = one.from.iter().any(|id| leaving.contains(id));
            let mut gone = one.from.iter().filter(|id| !one.to.contains(id));
            // One that may stay by now would be called back as soon as it is under way.
            let is_asked_for =
                gone.all(|id| leaving.contains(id)) && (leaves || one.to.len() > one.from.len());
            let mut new = one.to.iter().filter(|id| !one.from.contains(id));
            let is_taken = new.all(|id| kafka.is_alive(*id)) && partition.leader.is_some();
            let begins = same && is_welcome && is_asked_for && is_taken;
            if begins { Stage::NotBegun } else { Stage::Over }
        }
        (None, None) => Stage::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Partitions;

    /// How far a move of a partition from 1, 2 and 3 to 1, 2 and 4 is, where Kafka shows these replicas,
    /// and this under way, while 3 leaves. Brokers 1 to 5 are alive but for one.
    fn stage_of(replicas: &[i32], moving: Option<(&[i32], &[i32])>, dead: Option<i32>) -> Stage {
        stage_to(&[1, 2, 4], &[3], replicas, moving, dead)
    }

    /// As [`stage_of`], of a move to these brokers while those leave.
    fn stage_to(
        to: &[i32],
        leaving: &[i32],
        replicas: &[i32],
        moving: Option<(&[i32], &[i32])>,
        dead: Option<i32>,
    ) -> Stage {
        let one = MoveMemory {
            topic: "paid".to_owned(),
            partition: 0,
            from: vec![1, 2, 3],
            to: to.to_vec(),
        };
        let mut partitions = Partitions::default();
        partitions.begin_topic("paid", 2);
        partitions.push(0, Some(1), replicas, replicas);
        let brokers = (1..6).map(|id| (id, Some(id) == dead)).collect();
        let kafka = Kafka { partitions, brokers, ..Kafka::default() };
        let moving = moving.map(|(adding, removing)| Reassignment {
            adding: adding.to_vec(),
            removing: removing.to_vec(),
        });
        let found = kafka.partitions.of_topic("paid").next();
        let leaving = leaving.iter().copied().collect();
        stage(&kafka, &leaving, &one, found, moving.as_ref())
    }

    #[test]
    fn a_move_is_begun_once_and_over_when_it_has_arrived() {
        assert_eq!(stage_of(&[1, 2, 3], None, None), Stage::NotBegun);
        assert_eq!(stage_of(&[1, 2, 4, 3], Some((&[4], &[3])), None), Stage::UnderWay);
        assert_eq!(stage_of(&[1, 2, 4], None, None), Stage::Over);
        // The broker that was asked has not heard yet.
        assert_eq!(stage_of(&[1, 2, 4, 3], None, None), Stage::Over);
    }

    #[test]
    fn a_move_is_not_begun_to_a_broker_that_is_dead_and_waits_for_one_that_died() {
        assert_eq!(stage_of(&[1, 2, 3], None, Some(4)), Stage::Over);
        assert_eq!(stage_of(&[1, 2, 4, 3], Some((&[4], &[3])), Some(4)), Stage::UnderWay);
        assert_eq!(stage_of(&[1, 2, 4, 3], Some((&[4], &[3])), Some(3)), Stage::UnderWay);
    }

    /// Two were to leave when it was written down, and one of them may stay by now.
    #[test]
    fn a_move_that_would_be_called_back_at_once_is_not_begun() {
        let (to, moving): (&[i32], (&[i32], &[i32])) = (&[1, 4, 5], (&[4, 5], &[2, 3]));
        assert_eq!(stage_to(to, &[2, 3], &[1, 2, 3], None, None), Stage::NotBegun);
        assert_eq!(stage_to(to, &[3], &[1, 4, 5, 2, 3], Some(moving), None), Stage::Astray);
        assert_eq!(stage_to(to, &[3], &[1, 2, 3], None, None), Stage::Over);
    }

    #[test]
    fn a_move_goes_back_only_where_enough_is_in_sync_without_what_came_by_it() {
        let back = |in_sync: &[i32]| {
            let topic = "paid";
            let replicas: &[i32] = &[4, 5, 1, 2];
            let leader = in_sync.first().copied();
            let partition =
                Partition { topic, index: 0, leader, replicas, in_sync, min_in_sync: 2 };
            may_go_back(&partition, &Reassignment { adding: vec![4, 5], removing: vec![1, 2] })
        };
        assert!(back(&[1, 2]) && back(&[1, 2, 4]));
        assert!(!back(&[4]), "nobody else has its records");
        assert!(!back(&[1, 4]), "one would be in sync where two are needed");
        assert!(back(&[1]), "as few as before");
    }

    #[test]
    fn what_somebody_else_moves_is_not_ours() {
        assert_eq!(stage_of(&[1, 2, 5, 3], Some((&[5], &[3])), None), Stage::Over);
        assert_eq!(stage_of(&[1, 2, 4, 3], Some((&[4], &[2])), None), Stage::Over);
        assert_eq!(stage_of(&[5, 2, 3], None, None), Stage::Over);
    }
}
