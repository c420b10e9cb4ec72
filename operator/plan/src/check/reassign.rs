//! What must hold before other brokers are told to hold a partition.

use super::{Verdicts, Violation, unless, violation};
use crate::action::Reassign;
use crate::observed::{Kafka, Observed, Partition};

/// A partition, where it is to be, and what is known of it.
struct Move<'a> {
    topic: &'a str,
    index: i32,
    to: Option<&'a Vec<i32>>,
    found: Option<Partition<'a>>,
    moving: bool,
}

type Guard = fn(&Observed, &Kafka, &Move<'_>) -> Result<(), Violation>;

const GUARDS: [(&str, Guard); 7] = [
    ("the move is remembered", remembered),
    ("only what moves is cancelled", cancels),
    ("the partition is there and led", is_led),
    ("nobody else moves it", moves_alone),
    ("it still has to move", has_to),
    ("no replica is lost", loses_none),
    ("brokers that are to hold it are alive", targets_live),
];

pub(super) fn guards(reassign: &Reassign, fresh: &Observed) -> Verdicts {
    let Some(kafka) = fresh.kafka.known() else {
        return vec![("Kafka was asked", Err(violation("S7", "Kafka cannot be asked")))];
    };
    let moves: Vec<Move<'_>> = moves(reassign, kafka).collect();
    let all = |guard: Guard| moves.iter().try_for_each(|one| guard(fresh, kafka, one));
    let mut verdicts: Verdicts = GUARDS.iter().map(|(name, guard)| (*name, all(*guard))).collect();
    verdicts.push(("Kafka was asked", Ok(())));
    verdicts
}

fn moves<'a>(reassign: &'a Reassign, kafka: &'a Kafka) -> impl Iterator<Item = Move<'a>> {
    reassign.partitions.iter().flat_map(move |(topic, partitions)| {
        partitions.iter().map(move |(index, to)| Move {
            topic,
            index: *index,
            to: to.as_ref(),
            found: kafka.partitions.of_topic(topic).find(|one| one.index == *index),
            moving: kafka.reassignment(topic, *index).is_some(),
        })
    })
}

fn remembered(fresh: &Observed, _: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    let wave = fresh.memory.moves.as_ref().map(|moves| &moves.wave);
    let known =
        wave.and_then(|wave| wave.get(one.topic)).is_some_and(|wave| wave.contains(&one.index));
    unless(!known, "S9", "a partition is moved that is not on record as Ottla's to move")
}

fn cancels(_: &Observed, _: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    unless(one.to.is_none() && !one.moving, "S7", "a partition does not move any more")
}

fn is_led(_: &Observed, _: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    let led = one.found.is_some_and(|found| found.leader.is_some());
    unless(
        one.to.is_some() && !led,
        "S2",
        "a partition has no leader, so that nobody could copy it",
    )
}

fn moves_alone(_: &Observed, _: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    unless(one.to.is_some() && one.moving, "S9", "a partition is being moved already")
}

/// What a broker says of partitions may be a moment old: one that has arrived would move once more.
fn has_to(_: &Observed, _: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    let (Some(to), Some(found)) = (one.to, one.found) else { return Ok(()) };
    let same = to.iter().all(|id| found.replicas.contains(id));
    unless(same, "S7", "a partition is where it has to be by now")
}

fn loses_none(_: &Observed, _: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    let (Some(to), Some(found)) = (one.to, one.found) else { return Ok(()) };
    unless(to.len() < found.replicas.len(), "S10", "a partition would have fewer replicas")
}

fn targets_live(_: &Observed, kafka: &Kafka, one: &Move<'_>) -> Result<(), Violation> {
    let (Some(to), Some(found)) = (one.to, one.found) else { return Ok(()) };
    let mut new = to.iter().filter(|id| !found.replicas.contains(id));
    let dead = new.any(|id| !kafka.is_alive(*id));
    unless(dead, "S2", "a broker that is to hold a partition is not alive")
}
