//! What must hold before other brokers are told to hold a partition.

use std::collections::BTreeSet;

use super::{Verdicts, Violation, unless, violation};
use crate::action::Reassign;
use crate::desired::Desired;
use crate::observed::traces::MoveMemory;
use crate::observed::{Kafka, Observed, Partition, Reassignment};
use crate::{moves, scale};

/// A partition, where it is to be, and what is known of it.
struct Move<'a> {
    topic: &'a str,
    index: i32,
    to: Option<&'a Vec<i32>>,
    found: Option<Partition<'a>>,
    moving: Option<&'a Reassignment>,
}

/// Where it is judged.
struct Court<'a> {
    fresh: &'a Observed,
    kafka: &'a Kafka,
    /// Brokers that the spec asks for.
    wished: BTreeSet<i32>,
}

type Guard = fn(&Court<'_>, &Move<'_>) -> Result<(), Violation>;

const GUARDS: [(&str, Guard); 10] = [
    ("the move is remembered", remembered),
    ("only what moves is cancelled", cancels),
    ("only what leads astray is cancelled", is_astray),
    ("what is cancelled can do without what came", goes_back),
    ("brokers that are to hold it stay", targets_stay),
    ("the partition is there and led", is_led),
    ("nobody else moves it", moves_alone),
    ("it still has to move", has_to),
    ("no replica is lost", loses_none),
    ("brokers that are to hold it are alive", targets_live),
];

pub(super) fn guards(reassign: &Reassign, desired: &Desired, fresh: &Observed) -> Verdicts {
    let Some(kafka) = fresh.kafka.known() else {
        return vec![("Kafka was asked", Err(violation("S7", "Kafka cannot be asked")))];
    };
    let moves: Vec<Move<'_>> = moves(reassign, kafka).collect();
    let court = Court { fresh, kafka, wished: scale::wished_brokers(desired, fresh) };
    let all = |guard: Guard| moves.iter().try_for_each(|one| guard(&court, one));
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
            moving: kafka.reassignment(topic, *index),
        })
    })
}

fn on_record<'a>(court: &Court<'a>, one: &Move<'_>) -> Option<&'a MoveMemory> {
    let mut wave = court.fresh.traces().moves.iter().flat_map(|moves| &moves.wave);
    wave.find(|known| known.topic == one.topic && known.partition == one.index)
}

fn remembered(court: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let known = on_record(court, one);
    let same = known.is_some_and(|known| one.to.is_none_or(|to| *to == known.to));
    unless(!same, "S9", "a partition is moved that is not on record as Ottla's to move there")
}

fn cancels(_: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    unless(one.to.is_none() && one.moving.is_none(), "S7", "a partition does not move any more")
}

/// What somebody else moves is not Ottla's to cancel, and neither is what has to move.
fn is_astray(court: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let (None, Some(moving), Some(known)) = (one.to, one.moving, on_record(court, one)) else {
        return Ok(());
    };
    let stays = |id: &i32| court.wished.contains(id);
    let astray = !known.to.iter().all(stays) || moving.removing.iter().any(stays);
    let ours = moves::is_ours(known, moving);
    unless(!(astray && ours), "S9", "a partition moves as it has to, or by somebody else")
}

fn goes_back(_: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let (None, Some(moving), Some(found)) = (one.to, one.moving, one.found) else {
        return Ok(());
    };
    let may = moves::may_go_back(&found, moving);
    unless(!may, "S1", "a partition needs replicas that would leave again")
}

fn targets_stay(court: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let stays = |to: &Vec<i32>| to.iter().all(|id| court.wished.contains(id));
    unless(!one.to.is_none_or(stays), "S2", "a broker that is to hold a partition leaves")
}

fn is_led(_: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let led = one.found.is_some_and(|found| found.leader.is_some());
    unless(
        one.to.is_some() && !led,
        "S2",
        "a partition has no leader, so that nobody could copy it",
    )
}

fn moves_alone(_: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    unless(one.to.is_some() && one.moving.is_some(), "S9", "a partition is being moved already")
}

/// What a broker says of partitions may be a moment old: one that has arrived would move once more.
fn has_to(court: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let (Some(_), Some(found), Some(known)) = (one.to, one.found, on_record(court, one)) else {
        return Ok(());
    };
    let elsewhere = found.replicas != known.from.as_slice();
    unless(elsewhere, "S7", "a partition is not where it was, or has moved by now")
}

fn loses_none(_: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let (Some(to), Some(found)) = (one.to, one.found) else { return Ok(()) };
    unless(to.len() < found.replicas.len(), "S10", "a partition would have fewer replicas")
}

fn targets_live(court: &Court<'_>, one: &Move<'_>) -> Result<(), Violation> {
    let (Some(to), Some(found)) = (one.to, one.found) else { return Ok(()) };
    let mut new = to.iter().filter(|id| !found.replicas.contains(id));
    let dead = new.any(|id| !court.kafka.is_alive(*id));
    unless(dead, "S2", "a broker that is to hold a partition is not alive")
}
