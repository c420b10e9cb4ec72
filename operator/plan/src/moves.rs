//! Moves of partitions to other brokers, in waves: remembered first, then limited, then moved, then the
//! limit lifted. Nothing of it is left behind, whatever is wished in the meantime, and what others move
//! or limit is not touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::action::{Action, Partitions, Reassign, Throttle};
use crate::desired::Desired;
use crate::node::Node;
use crate::observed::traces::{MoveMemory, MovesMemory};
use crate::observed::{Kafka, Observed, Partition};
use crate::properties;
use crate::report::Progress;

mod placement;
mod throttle;
mod wave;

use placement::Placement;
use wave::Stage;
pub(crate) use wave::{Wave, is_ours, may_go_back};

/// So many partitions move at once. A controller takes ten thousand changes in one request
/// (`QuorumController.MAX_RECORDS_PER_USER_OP`), and what is under way can be cancelled within moments.
const WAVE: usize = 100;

/// A wave is filled up when no more than this is left of it, so that a few partitions that cannot come
/// into sync do not hold up all others, and the memory is not written for each that arrives.
const REFILLED_AT: usize = WAVE / 4;

/// So many partitions that can go nowhere are enough to say so.
const NOWHERE_MAX: usize = 1000;

/// Why partitions move, and when they may.
pub(crate) struct Task<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    pub(crate) nodes: &'a [Node],
    pub(crate) kafka: &'a Kafka,
    /// Brokers that are to hold no partition.
    pub(crate) leaving: &'a BTreeSet<i32>,
    /// What stands against further moves, if anything does.
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
    let wave = Wave::of(task.observed);
    let needs: Vec<Partition<'_>> = task.needs(&wave);
    if needs.is_empty() && task.observed.traces().moves.is_none() {
        return Steps::default();
    }
    let mut steps = task.steps(&wave, &needs);
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

fn internal(topic: &str) -> Option<&'static str> {
    INTERNAL.iter().find(|(name, _)| *name == topic).map(|(name, _)| *name)
}

impl<'a> Task<'a> {
    /// Partitions that are not where they have to be, those under way included.
    fn needs(&self, wave: &Wave<'_>) -> Vec<Partition<'a>> {
        let is_needed = |partition: &Partition<'_>| {
            let held = partition.replicas.iter().any(|id| self.leaving.contains(id))
                || partition.replicas.len() < self.least(partition.topic)
                || self.kafka.reassignment(partition.topic, partition.index).is_some();
            held && self.has_to_move(wave, partition)
        };
        if self.leaving.is_empty() {
            let internal = self.kafka.partitions.of_topics(|topic| internal(topic).is_some());
            return internal.filter(is_needed).collect();
        }
        self.kafka.partitions.iter().filter(is_needed).collect()
    }

    fn has_to_move(&self, wave: &Wave<'_>, partition: &Partition<'_>) -> bool {
        let settled = wave.settled_on(self.kafka, partition);
        settled.iter().any(|id| self.leaving.contains(id))
            || settled.len() < self.least(partition.topic)
    }

    /// How many replicas a partition of this topic must have.
    fn least(&self, topic: &str) -> usize {
        let Some((_, key)) = INTERNAL.iter().find(|(name, _)| *name == topic) else { return 0 };
        let named = self.desired.config.get(*key).and_then(|text| text.trim().parse().ok());
        let stay = self.nodes.iter().filter(|node| node.is_broker() && !node.leaving).count();
        named.unwrap_or_else(|| properties::replication_factor(stay)).min(stay)
    }

    /// Of brokers that leave it is about all partitions there are, and else about internal ones.
    fn progress(&self, memory: &MovesMemory, left: usize) -> Progress {
        let all = &self.kafka.partitions;
        let of = if self.leaving.is_empty() {
            all.of_topics(|topic| internal(topic).is_some()).count()
        } else {
            all.len()
        };
        Progress { since: Some(memory.since.clone()), done: of.saturating_sub(left), of }
    }

    fn steps(&self, wave: &Wave<'a>, needs: &[Partition<'_>]) -> Steps {
        let mut now = Now::default();
        for (one, partition, stage) in wave.stages(self.kafka, self.leaving) {
            match stage {
                Stage::NotBegun if self.held.is_none() => now.begin.push(one),
                Stage::UnderWay => now.under_way.push((one, partition)),
                Stage::Astray => now.cancel.push(one),
                Stage::NotBegun | Stage::Over => now.over.push(one),
            }
        }
        match &self.observed.traces().moves {
            Some(memory) => self.go_on(wave, memory, needs, &now),
            None => self.refill(wave, needs, &now),
        }
    }

    /// What is left of a wave goes on, what is over loses its limit, and then comes more, or the end.
    fn go_on(
        &self,
        wave: &Wave<'_>,
        memory: &MovesMemory,
        needs: &[Partition<'_>],
        now: &Now<'_>,
    ) -> Steps {
        let lift = throttle::lift_lists(self.kafka, &now.over);
        let mut steps = if now.open() <= REFILLED_AT && lift.is_empty() {
            self.refill(wave, needs, now)
        } else {
            let detail =
                if now.open() == 0 { OVER.to_owned() } else { progress(self.kafka, needs, now) };
            let memory = Some(memory.clone());
            Steps { memory, waiting_on: Some(detail), ..Steps::default() }
        };
        steps.actions.extend(now.cancelled());
        steps.actions.extend(now.begun(self.kafka, memory));
        if !lift.is_empty() {
            steps.actions.push(Action::Throttle(lift));
        }
        steps
    }

    /// More partitions join what is left of a wave, as far as anything stands against it.
    fn refill(&self, wave: &Wave<'_>, needs: &[Partition<'_>], now: &Now<'_>) -> Steps {
        let before = self.observed.traces().moves.as_ref();
        let open: Vec<MoveMemory> = now.open_moves().cloned().collect();
        if needs.is_empty() && open.is_empty() {
            return self.end();
        }
        let waits = |detail: String| {
            let mut memory = before.cloned();
            if let Some(memory) = memory.as_mut().filter(|_| open.is_empty()) {
                memory.wave.clear();
            }
            Steps { memory, waiting_on: Some(detail), ..Steps::default() }
        };
        let rest = progress(self.kafka, needs, now);
        if let Some(held) = &self.held {
            return waits(format!("{rest}; {held}"));
        }
        if let Some(partition) = wave.foreign(self.kafka) {
            return waits(format!("{rest}; waits for a move of others, of partition {partition}"));
        }
        let mut more = self.more(wave, needs, &open);
        if more.is_empty() {
            return waits(if open.is_empty() { self.nowhere(needs) } else { rest });
        }
        more.splice(0..0, open.iter().cloned());
        let since = || self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let memory = MovesMemory {
            since: before.map_or_else(since, |memory| memory.since.clone()),
            bytes_per_second: before
                .and_then(|memory| memory.bytes_per_second)
                .or_else(|| throttle::own_rate(self.kafka)),
            wave: more,
        };
        Steps { memory: Some(memory), ..waits(rest) }
    }

    /// Partitions to move next, internal ones only together with their own topic.
    fn more(
        &self,
        wave: &Wave<'_>,
        needs: &[Partition<'_>],
        open: &[MoveMemory],
    ) -> Vec<MoveMemory> {
        let mut placement = Placement::new(self.desired, self.observed, self.nodes, self.kafka);
        for one in open {
            placement.reserve(one, self.bytes(&one.topic, one.partition, &one.from));
        }
        let mut kind = open.first().map(|one| internal(&one.topic));
        let (mut more, mut nowhere) = (Vec::new(), 0);
        let waiting = |one: &&Partition<'_>| {
            !open.iter().any(|moving| moving.topic == one.topic && moving.partition == one.index)
        };
        // Those first that nothing but copying stands against.
        let (smooth, other): (Vec<&Partition<'_>>, Vec<&Partition<'_>>) = needs
            .iter()
            .filter(waiting)
            .filter(|one| one.leader.is_some() && self.is_settled(wave, one))
            .partition(|one| self.is_smooth(one));
        for partition in smooth.into_iter().chain(other) {
            if more.len() + open.len() >= WAVE || nowhere >= NOWHERE_MAX {
                break;
            }
            if kind.is_some_and(|kind| kind != internal(partition.topic)) {
                continue;
            }
            let bytes = self.bytes(partition.topic, partition.index, partition.replicas);
            let least = self.least(partition.topic);
            let Some(to) = placement.place(partition, self.leaving, least, bytes) else {
                nowhere += 1;
                continue;
            };
            kind = kind.or(Some(internal(partition.topic)));
            more.push(MoveMemory {
                topic: partition.topic.to_owned(),
                partition: partition.index,
                from: partition.replicas.to_vec(),
                to,
            });
        }
        more
    }

    /// Whether a partition is seen where it is: one that a stale view shows at both ends of a move is not.
    fn is_settled(&self, wave: &Wave<'_>, partition: &Partition<'_>) -> bool {
        wave.settled(self.kafka, partition) == partition.replicas.len()
    }

    /// Whether every replica that stays is in sync: Kafka waits for all of them.
    fn is_smooth(&self, partition: &Partition<'_>) -> bool {
        let mut stay = partition.replicas.iter().filter(|id| !self.leaving.contains(id));
        stay.all(|id| partition.in_sync.contains(id))
    }

    /// How large a partition is, as far as a broker that leaves and holds it has said so.
    fn bytes(&self, topic: &str, index: i32, holders: &[i32]) -> Option<u64> {
        holders
            .iter()
            .find_map(|id| self.kafka.leaver(*id)?.stored.get(topic)?.get(&index).copied())
    }

    fn nowhere(&self, needs: &[Partition<'_>]) -> String {
        let Some(partition) = needs.first() else { return String::new() };
        let why = match partition.leader {
            None => "it has no leader",
            Some(_) if self.desired.racks.is_some() => {
                "no broker is well and has room for it in another zone than its other replicas"
            }
            Some(_) => "no other broker is well and has room for it",
        };
        format!("{}; partition {} cannot move: {why}", still(needs.len()), partition.name())
    }

    /// Nothing has to move any more: the limit goes, and then the memory.
    fn end(&self) -> Steps {
        let Some(memory) = &self.observed.traces().moves else { return Steps::default() };
        let lift = throttle::lift_rates(self.kafka, memory);
        if lift.is_empty() {
            return Steps::default();
        }
        Steps {
            memory: Some(MovesMemory { wave: Vec::new(), ..memory.clone() }),
            actions: vec![Action::Throttle(lift)],
            waiting_on: Some("the moves are over".to_owned()),
            ..Steps::default()
        }
    }
}

const OVER: &str = "a wave of moves is over";

fn still(count: usize) -> String {
    let verb = if count == 1 { "partition has" } else { "partitions have" };
    format!("{count} {verb} to move")
}

/// How far the moves are. One that cannot arrive because a broker is not in sync is named with it.
fn progress(kafka: &Kafka, needs: &[Partition<'_>], now: &Now<'_>) -> String {
    let left = still(needs.len().max(now.under_way.len()));
    let name = |one: &MoveMemory| format!("{}-{}", one.topic, one.partition);
    let Some((first, _)) = now.under_way.first() else { return left };
    let count = now.under_way.len();
    let lacking = now.under_way.iter().find_map(|(one, partition)| {
        let in_sync = partition.as_ref()?.in_sync;
        let lacks = |id: &&i32| match one.from.contains(id) {
            true => !in_sync.contains(id),
            false => !kafka.is_alive(**id),
        };
        Some((one, one.to.iter().find(lacks)?))
    });
    match lacking {
        Some((one, broker)) => format!(
            "{left}, {count} now; {} waits for broker {broker}, which is not in sync",
            name(one)
        ),
        None => format!("{left}, {count} now ({} among them)", name(first)),
    }
}

/// What has to be done about the moves of a wave.
#[derive(Default)]
struct Now<'a> {
    begin: Vec<&'a MoveMemory>,
    under_way: Vec<(&'a MoveMemory, Option<Partition<'a>>)>,
    cancel: Vec<&'a MoveMemory>,
    over: Vec<&'a MoveMemory>,
}

impl<'a> Now<'a> {
    fn open_moves(&self) -> impl Iterator<Item = &'a MoveMemory> {
        let under_way = self.under_way.iter().map(|(one, _)| *one);
        under_way.chain(self.begin.iter().copied()).chain(self.cancel.iter().copied())
    }

    fn open(&self) -> usize {
        self.open_moves().count()
    }

    fn cancelled(&self) -> Option<Action> {
        (!self.cancel.is_empty()).then(|| {
            Action::Reassign(Reassign {
                limit: Throttle::default(),
                partitions: by_partition(&self.cancel, |_| None),
                adds_replicas: false,
                reason: "which lead where they are not wanted any more".to_owned(),
            })
        })
    }

    /// The moves that begin, each with its limit as far as that is not set.
    fn begun(&self, kafka: &Kafka, memory: &MovesMemory) -> Vec<Action> {
        let kinds = [
            (false, "because brokers leave"),
            (true, "because internal topics are to have more replicas"),
        ];
        let each = kinds.into_iter().filter_map(|(adds_replicas, reason)| {
            let adds = |one: &&&MoveMemory| (one.to.len() > one.from.len()) == adds_replicas;
            let moves: Vec<&MoveMemory> = self.begin.iter().filter(adds).copied().collect();
            (!moves.is_empty()).then(|| {
                Action::Reassign(Reassign {
                    limit: throttle::set(kafka, memory, &moves),
                    partitions: by_partition(&moves, |one| Some(one.to.clone())),
                    adds_replicas,
                    reason: reason.to_owned(),
                })
            })
        });
        each.collect()
    }
}

/// What is wished of each partition.
fn by_partition(
    moves: &[&MoveMemory],
    wish: impl Fn(&MoveMemory) -> Option<Vec<i32>>,
) -> Partitions<Option<Vec<i32>>> {
    let mut partitions = Partitions::new();
    for one in moves {
        let of_topic: &mut BTreeMap<i32, Option<Vec<i32>>> =
            partitions.entry(one.topic.clone()).or_default();
        of_topic.insert(one.partition, wish(one));
    }
    partitions
}
