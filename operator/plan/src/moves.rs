//! Moves of partitions to other brokers, in waves: remembered first, then limited, then moved, then the
//! limit lifted. Nothing of it is left behind, whatever is wished in the meantime, and what others move
//! or limit is not touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ottla_crds::kafka_cluster::status::MovesMemory;

use crate::action::{Action, Reassign, Throttle};
use crate::desired::Desired;
use crate::node::Node;
use crate::observed::{Kafka, Observed, Partition, Reassignment};
use crate::properties;
use crate::report::Progress;

mod placement;
mod throttle;

use placement::Placement;

/// So many partitions move at once. A controller takes ten thousand changes in one request
/// (`QuorumController.MAX_RECORDS_PER_USER_OP`), and what is under way can be cancelled within moments.
const WAVE: usize = 100;

/// Why partitions move, and when they may.
pub(crate) struct Task<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    pub(crate) nodes: &'a [Node],
    pub(crate) kafka: &'a Kafka,
    /// Brokers that are to hold no partition.
    pub(crate) leaving: &'a BTreeSet<i32>,
    /// What stands against another wave, if anything does.
    pub(crate) held: Option<String>,
    pub(crate) now: Timestamp,
}

/// What the moves come to in one pass.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) memory: Option<MovesMemory>,
    pub(crate) actions: Vec<Action>,
    /// How far they are and what they wait for; `None` where nothing has to move.
    pub(crate) waiting_on: Option<String>,
    /// How many partitions are where they have to be, of all that this is about.
    pub(crate) progress: Option<Progress>,
}

/// Plans the next step.
pub(crate) fn plan(task: &Task<'_>) -> Steps {
    let needs: Vec<Partition<'_>> = task.needs();
    let before = task.observed.memory.moves.as_ref();
    if needs.is_empty() && before.is_none() {
        return Steps::default();
    }
    let mut placement = Placement::new(task.observed, task.nodes, task.kafka);
    let mut steps = before
        .and_then(|memory| task.go_on(memory, &needs, &mut placement))
        .unwrap_or_else(|| task.begin(&needs, &mut placement));
    steps.progress = steps.memory.as_ref().map(|memory| task.progress(memory, needs.len()));
    steps
}

/// Internal topics, and the key of how many replicas each is to have. Kafka reads it when it makes the
/// topic, and never again.
const INTERNAL: [(&str, &str); 3] = [
    ("__consumer_offsets", "offsets.topic.replication.factor"),
    ("__transaction_state", "transaction.state.log.replication.factor"),
    ("__share_group_state", "share.coordinator.state.topic.replication.factor"),
];

impl Task<'_> {
    /// Partitions that are not where they have to be, those under way included.
    fn needs(&self) -> Vec<Partition<'_>> {
        if self.leaving.is_empty() {
            let internal =
                INTERNAL.iter().flat_map(|(topic, _)| self.kafka.partitions.of_topic(topic));
            return internal.filter(|partition| self.is_needed(partition)).collect();
        }
        self.kafka.partitions.iter().filter(|partition| self.is_needed(partition)).collect()
    }

    /// Of brokers that leave it is about all partitions there are, and else about internal ones.
    fn progress(&self, memory: &MovesMemory, left: usize) -> Progress {
        let internal = INTERNAL.iter().flat_map(|(topic, _)| self.kafka.partitions.of_topic(topic));
        let of =
            if self.leaving.is_empty() { internal.count() } else { self.kafka.partitions.len() };
        Progress { since: memory.since.clone(), done: of.saturating_sub(left), of }
    }

    fn is_needed(&self, partition: &Partition<'_>) -> bool {
        let moving = self.kafka.reassignment(partition.topic, partition.index);
        let adding = moving.map_or(0, |moving| moving.adding.len());
        let held = partition.replicas.len().saturating_sub(adding);
        let leaves = partition.replicas.iter().any(|id| self.leaving.contains(id));
        leaves || held < self.least(partition.topic)
    }

    /// How many replicas a partition of this topic must have.
    fn least(&self, topic: &str) -> usize {
        let Some((_, key)) = INTERNAL.iter().find(|(name, _)| *name == topic) else { return 0 };
        let named = self.desired.config.get(*key).and_then(|text| text.trim().parse().ok());
        let stay = self.nodes.iter().filter(|node| node.is_broker() && !node.leaving).count();
        named.unwrap_or_else(|| properties::replication_factor(stay)).min(stay)
    }

    /// Whether what is under way leads elsewhere than it has to by now.
    fn goes_astray(&self, moving: &Reassignment) -> bool {
        moving.adding.iter().any(|id| self.leaving.contains(id))
            || moving.removing.iter().any(|id| !self.leaving.contains(id))
    }

    /// What a wave still has to do; `None` where nothing of it is left.
    fn go_on(
        &self,
        memory: &MovesMemory,
        needs: &[Partition<'_>],
        placement: &mut Placement,
    ) -> Option<Steps> {
        let mut wishes: Wishes<'_> = Wishes::default();
        let mut under_way = Vec::new();
        for (topic, index) in each(&memory.wave) {
            match self.kafka.reassignment(topic, index) {
                Some(moving) if self.goes_astray(moving) => wishes.cancel(topic, index),
                Some(_) => under_way.push(format!("{topic}-{index}")),
                // A roll that is open goes on first.
                None if self.held.is_some() => {}
                None => {
                    let need = needs.iter().find(|one| one.topic == topic && one.index == index);
                    if let Some(partition) = need
                        && let Some(to) = self.place(partition, placement)
                    {
                        wishes.move_to(partition, to);
                    }
                }
            }
        }
        let memory_stays = || Steps { memory: Some(memory.clone()), ..Steps::default() };
        if under_way.is_empty() && wishes.is_empty() {
            let lift = throttle::lift_lists(self.kafka, memory);
            return (!lift.is_empty()).then(|| Steps {
                actions: vec![Action::Throttle(lift)],
                waiting_on: Some("a wave of moves is over".to_owned()),
                ..memory_stays()
            });
        }
        let detail = progress(needs.len(), &under_way);
        let actions = wishes.actions(self, memory);
        Some(Steps { actions, waiting_on: Some(detail), ..memory_stays() })
    }

    fn place(&self, partition: &Partition<'_>, placement: &mut Placement) -> Option<Vec<i32>> {
        partition.leader?;
        let bytes = partition.replicas.iter().find_map(|id| {
            self.kafka.leaver(*id)?.stored.get(partition.topic)?.get(&partition.index).copied()
        });
        let least = self.least(partition.topic);
        placement.place(partition, self.leaving, least, bytes.unwrap_or_default())
    }

    /// The next wave, or the end.
    fn begin(&self, needs: &[Partition<'_>], placement: &mut Placement) -> Steps {
        let before = self.observed.memory.moves.as_ref();
        if needs.is_empty() {
            return self.end();
        }
        let waits = |detail: String| Steps {
            memory: before.map(|memory| MovesMemory { wave: BTreeMap::new(), ..memory.clone() }),
            waiting_on: Some(detail),
            ..Steps::default()
        };
        let foreign = self.kafka.reassignments.iter().find_map(|(topic, partitions)| {
            partitions.keys().next().map(|index| format!("{topic}-{index}"))
        });
        if let Some(held) = self.held.clone() {
            return waits(format!("{}; {held}", still(needs.len())));
        }
        if let Some(partition) = foreign {
            return waits(format!(
                "{}; waits for a move of others, of partition {partition}",
                still(needs.len())
            ));
        }
        let mut wave: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        let ready = needs.iter().filter(|partition| self.place(partition, placement).is_some());
        for partition in ready.take(WAVE) {
            wave.entry(partition.topic.to_owned()).or_default().push(partition.index);
        }
        if wave.is_empty() {
            return waits(self.nowhere(needs));
        }
        let since = || self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let memory = MovesMemory {
            since: before.map_or_else(since, |memory| memory.since.clone()),
            bytes_per_second: before
                .map_or_else(|| throttle::own_rate(self.kafka), |memory| memory.bytes_per_second),
            wave,
        };
        Steps { memory: Some(memory), ..waits(still(needs.len())) }
    }

    fn nowhere(&self, needs: &[Partition<'_>]) -> String {
        let Some(partition) = needs.first() else { return String::new() };
        let why = match partition.leader {
            None => "it has no leader",
            Some(_) => "no other broker is well and has room for it",
        };
        format!("{}; partition {} cannot move: {why}", still(needs.len()), partition.name())
    }

    /// Nothing has to move any more: the limit goes, and then the memory.
    fn end(&self) -> Steps {
        let Some(memory) = &self.observed.memory.moves else { return Steps::default() };
        let lift = throttle::lift_rates(self.kafka, memory);
        if lift.is_empty() {
            return Steps::default();
        }
        Steps {
            memory: Some(MovesMemory { wave: BTreeMap::new(), ..memory.clone() }),
            actions: vec![Action::Throttle(lift)],
            waiting_on: Some("the moves are over".to_owned()),
            ..Steps::default()
        }
    }
}

fn each(wave: &BTreeMap<String, Vec<i32>>) -> impl Iterator<Item = (&str, i32)> {
    wave.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |index| (topic.as_str(), *index))
    })
}

fn still(count: usize) -> String {
    let verb = if count == 1 { "partition has" } else { "partitions have" };
    format!("{count} {verb} to move")
}

fn progress(left: usize, under_way: &[String]) -> String {
    match under_way.first() {
        Some(first) => format!("{}, {} now ({first} among them)", still(left), under_way.len()),
        None => still(left),
    }
}

/// What is wished of partitions in one pass.
#[derive(Default)]
struct Wishes<'a> {
    moves: Vec<(Partition<'a>, Vec<i32>)>,
    cancelled: BTreeMap<String, BTreeMap<i32, Option<Vec<i32>>>>,
}

impl<'a> Wishes<'a> {
    fn cancel(&mut self, topic: &str, index: i32) {
        self.cancelled.entry(topic.to_owned()).or_default().insert(index, None);
    }

    fn move_to(&mut self, partition: &Partition<'a>, to: Vec<i32>) {
        self.moves.push((*partition, to));
    }

    fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.cancelled.is_empty()
    }

    fn actions(self, task: &Task<'_>, memory: &MovesMemory) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.cancelled.is_empty() {
            actions.push(Action::Reassign(Reassign {
                partitions: self.cancelled,
                adds_replicas: false,
                reason: "which nobody asks for any more".to_owned(),
            }));
        }
        let limit: Throttle = throttle::set(
            task.kafka,
            memory,
            self.moves.iter().map(|(partition, to)| (partition, to.as_slice())),
        );
        if !limit.is_empty() {
            actions.push(Action::Throttle(limit));
        }
        let (more, same): (Vec<_>, Vec<_>) =
            self.moves.into_iter().partition(|(partition, to)| to.len() > partition.replicas.len());
        for (moves, adds_replicas, reason) in [
            (same, false, "because brokers leave"),
            (more, true, "because internal topics are to have more replicas"),
        ] {
            let mut partitions: BTreeMap<String, BTreeMap<i32, Option<Vec<i32>>>> = BTreeMap::new();
            for (partition, to) in moves {
                partitions
                    .entry(partition.topic.to_owned())
                    .or_default()
                    .insert(partition.index, Some(to));
            }
            if !partitions.is_empty() {
                let reason = reason.to_owned();
                actions.push(Action::Reassign(Reassign { partitions, adds_replicas, reason }));
            }
        }
        actions
    }
}
