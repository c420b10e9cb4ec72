//! Disks that the spec does not ask for any more leave, one broker after another: cordoned, emptied by moves to
//! the broker's other disks, left out of its next life, struck from the record.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::kafka_cluster::storage::ReclaimPolicy;

use super::leaving;
use super::progress::progress;
use super::turn::{Turn, keeps_its_metadata};
use crate::action::{Action, Delete, MoveReplicas, Target};
use crate::desired::{Desired, Volume};
use crate::disks;
use crate::node::{Group, Node};
use crate::object::Kind;
use crate::observed::traces::DisksMemory;
use crate::observed::{Answer, Folder, Folders, Kafka, Observed, disk_key};
use crate::properties::log_dir;
use crate::report::{Progress, WaitingOn};
use crate::{release, roll};

/// So many replicas of a broker are copied at once.
const MOVED_AT_ONCE: usize = 20;

/// Kafka's word for all folders of a broker, in the key for those that take no new replicas.
const ALL: &str = "*";

/// Why a metadata log cannot move.
const FEW_VOTERS: &str = "it holds the metadata log of one of fewer than three controllers: ask for three (controllers.replicas), or for the disk again";

/// This part of a disk stays free.
const KEPT_FREE_PART: u64 = 20;

/// What disks that leave come to in one pass.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) memory: Option<DisksMemory>,
    pub(crate) actions: Vec<Action>,
    pub(crate) waiting_on: Option<WaitingOn>,
    /// How many nodes are rid of disks that leave.
    pub(crate) progress: Option<Progress>,
}

/// Plans the next step. A broker that gives disks away is remembered before anything is done, so that it is
/// asked what lies on them.
pub(crate) fn plan(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Steps {
    let Some(kafka) = observed.kafka.known().filter(|kafka| kafka.leader.is_some()) else {
        return Steps { memory: observed.traces().disks.clone(), ..Steps::default() };
    };
    let leaving = leaving(desired, observed);
    let mut steps = brokers(desired, observed, kafka, nodes, &leaving);
    steps.actions.extend(controllers(desired, observed, kafka, nodes));
    if steps.waiting_on.is_some() {
        steps.progress = Some(progress(nodes, Group::Broker, &leaving, steps.memory.as_ref()));
    } else if let Some(held) = held(desired, nodes, &leaving) {
        steps.waiting_on = Some(held);
        steps.progress = Some(progress(nodes, Group::Controller, &leaving, None));
    }
    steps
}

/// Disks of brokers, one broker after another.
fn brokers(
    desired: &Desired,
    observed: &Observed,
    kafka: &Kafka,
    nodes: &[Node],
    leaving: &BTreeMap<i32, BTreeSet<&str>>,
) -> Steps {
    let before = observed.traces().disks.clone();
    let turn = Turn { desired, observed, kafka, nodes, leaving };
    let broker = |id: i32| nodes.iter().find(|node| node.id == id && node.is_broker());
    // Called back before Kafka forgets it, a broker without a pod would come with its cordon.
    let waits = |memory: &DisksMemory| {
        broker(memory.broker).is_none() && kafka.brokers.contains_key(&memory.broker)
    };
    if before.as_ref().is_some_and(waits) {
        return Steps { memory: before, ..Steps::default() };
    }
    if let Some(first) = before.as_ref().and_then(|memory| turn.before(memory)) {
        return begin(first);
    }
    let put_off = before.as_ref().map(|memory| memory.put_off.clone()).unwrap_or_default();
    if let Some((node, memory)) = before.and_then(|one| Some((broker(one.broker)?, one))) {
        let case = Case::new(desired, observed, kafka, node, memory, leaving.get(&node.id));
        let steps = case.plan();
        if steps.memory.is_some() {
            return steps;
        }
    }
    turn.next(put_off).map(begin).unwrap_or_default()
}

/// Disks of controllers with pods of their own that go on voting with another one: nothing is left on them.
fn controllers(
    desired: &Desired,
    observed: &Observed,
    kafka: &Kafka,
    nodes: &[Node],
) -> Option<Action> {
    let identity = observed.identity.as_ref()?;
    let of_controllers = nodes.iter().filter(|node| node.group == Group::Controller);
    let left = of_controllers.flat_map(|node| {
        let voter = kafka.voters.get(&node.id).filter(|voter| voter.is_caught_up());
        let gone = move |(volume, key): &(&str, &String)| {
            let votes_without = voter.is_some_and(|voter| {
                identity.disks.get(*key).is_some_and(|directory| voter.directory != *directory)
            });
            votes_without
                && !desired.group(Group::Controller).asks_for(volume)
                && disks::next_has(desired, observed, node.id, volume) == Some(false)
                && disks::has(observed, node.id, volume) == Some(false)
        };
        identity.disks_of(node.id).filter(gone).map(|(_, key)| key.clone())
    });
    let left: Vec<String> = left.collect();
    let target = Target::of_identity(&desired.names, identity);
    (!left.is_empty()).then_some(Action::ForgetDisks { target, disks: left })
}

/// A controller's disk that cannot leave.
fn held(
    desired: &Desired,
    nodes: &[Node],
    leaving: &BTreeMap<i32, BTreeSet<&str>>,
) -> Option<WaitingOn> {
    let mut controllers = nodes.iter().filter(|node| node.group == Group::Controller);
    let few = desired.voters < 3;
    let node = controllers.find(|node| few && !node.leaving && leaving.contains_key(&node.id))?;
    let volumes: Vec<String> = leaving[&node.id].iter().map(|one| (*one).to_owned()).collect();
    let detail = format!("{} of controller {}: {FEW_VOTERS}", spell(&volumes), node.id);
    Some(WaitingOn::DiskCannotLeave { detail })
}

fn begin(memory: DisksMemory) -> Steps {
    let which = spell(&memory.volumes);
    let detail = format!("{which} of broker {}: about to be emptied", memory.broker);
    Steps {
        memory: Some(memory),
        waiting_on: Some(WaitingOn::EmptyingDisks { detail }),
        ..Steps::default()
    }
}

pub(crate) fn spell(volumes: &[String]) -> String {
    format!("{} {}", if volumes.len() == 1 { "disk" } else { "disks" }, volumes.join(", "))
}

/// The broker that gives disks away.
struct Case<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    kafka: &'a Kafka,
    node: &'a Node,
    memory: DisksMemory,
    /// Disks that its pod has, and that the spec does not ask for.
    still: BTreeSet<String>,
    /// Those, and disks that the spec asks for again and that the node's next life would still lack.
    closed: BTreeSet<String>,
    /// Disks that its pod surely does without, as the broker says, too.
    gone: BTreeSet<String>,
}

impl<'a> Case<'a> {
    fn new(
        desired: &'a Desired,
        observed: &'a Observed,
        kafka: &'a Kafka,
        node: &'a Node,
        mut memory: DisksMemory,
        leaving: Option<&BTreeSet<&str>>,
    ) -> Case<'a> {
        let folders = kafka.folders(node.id);
        let known: BTreeSet<String> = memory.volumes.iter().cloned().collect();
        let leaving = leaving.into_iter().flatten().map(|volume| (*volume).to_owned());
        let all: BTreeSet<String> = leaving.chain(known).collect();
        memory.volumes = all.iter().cloned().collect();
        let answers_without =
            |name: &String| folders.is_some_and(|all| !all.by_volume.contains_key(name));
        let without = |name: &String| {
            answers_without(name) && disks::has(observed, node.id, name) == Some(false)
        };
        let (gone, there): (BTreeSet<String>, BTreeSet<String>) =
            all.into_iter().partition(without);
        let (stays, still): (BTreeSet<String>, BTreeSet<String>) =
            there.into_iter().partition(|name| desired.group(node.group).asks_for(name));
        // What was seen of a disk that is gone holds for good.
        let is_empty = |name: &String| match folders.and_then(|all| all.by_volume.get(name)) {
            Some(folder) => folder.is_empty() && is_cordoned(folders, name),
            None => memory.emptied.contains(name),
        };
        memory.emptied = memory.volumes.iter().filter(|name| is_empty(name)).cloned().collect();
        let lacks =
            |name: &String| disks::next_has(desired, observed, node.id, name) == Some(false);
        let closed = stays.into_iter().filter(lacks).chain(still.iter().cloned()).collect();
        Case { desired, observed, kafka, node, memory, still, closed, gone }
    }

    fn plan(&self) -> Steps {
        if self.node.leaving {
            return self.waits("waits until the broker has left as a whole");
        }
        let folders = match self.kafka.folders.get(&self.node.id) {
            Some(Answer::Known(folders)) => folders,
            Some(Answer::Unknown { .. }) if roll::is_restarting(self.observed, self.node) => {
                return self.waits("waits until the broker has restarted");
            }
            Some(Answer::Unknown { reason }) => {
                return self.waits(&format!("waits until the broker answers: {reason}"));
            }
            None => return self.waits("about to be emptied"),
        };
        if folders.cordoned.contains(ALL) {
            return self.waits("waits until the broker takes new replicas again at all");
        }
        let has_voted = disks::votes_as_wished(self.desired, self.observed, self.node.id);
        if !self.gone.is_empty() && !has_voted {
            return self.waits("waits until the broker votes with another disk");
        }
        let mut actions: Vec<Action> =
            self.cordon(folders).into_iter().chain(self.strike()).collect();
        if !self.still.is_empty() {
            let mut steps = self.empty(folders);
            steps.actions.extend(actions);
            return steps;
        }
        let claims = self.reclaim();
        if actions.is_empty() && claims.is_empty() && self.closed.is_empty() {
            return Steps::default();
        }
        // A canary that does not start goes back to what mounts them.
        if roll::is_well(self.observed, self.node).is_ok() {
            actions.extend(claims);
        }
        let what = if self.gone.is_empty() {
            "it stays after all"
        } else {
            "the last traces of it are removed"
        };
        Steps { actions, ..self.waits(what) }
    }

    fn waits(&self, what: &str) -> Steps {
        let detail = self.detail(what);
        self.says(WaitingOn::EmptyingDisks { detail })
    }

    /// What only a person can put right.
    fn stuck(&self, what: &str) -> Steps {
        let detail = self.detail(what);
        self.says(WaitingOn::DiskCannotLeave { detail })
    }

    fn detail(&self, what: &str) -> String {
        let still: Vec<String> = self.still.iter().cloned().collect();
        let which = if still.is_empty() { &self.memory.volumes } else { &still };
        format!("{} of broker {}: {what}", spell(which), self.node.id)
    }

    fn says(&self, waiting_on: WaitingOn) -> Steps {
        let memory = Some(self.memory.clone());
        Steps { memory, waiting_on: Some(waiting_on), ..Steps::default() }
    }

    /// Puts the cordon to what it has to be. Folders that somebody else is seen to have cordoned stay so.
    fn cordon(&self, folders: &Folders) -> Option<Action> {
        let ours: BTreeSet<String> =
            self.memory.volumes.iter().map(|volume| log_dir(volume)).collect();
        let has = |volume: &&String| {
            folders.by_volume.contains_key(*volume) || folders.cordoned.contains(&log_dir(volume))
        };
        let wanted = self.closed.iter().filter(has).map(|volume| log_dir(volume));
        let wanted: BTreeSet<String> =
            wanted.chain(folders.cordoned.difference(&ours).cloned()).collect();
        // A broker that has started without a folder shows no cordon of it, and Kafka has it all the same.
        let of_gone = self.on_record().next().is_some();
        let may =
            release::has_cordons(&self.kafka.features) && (of_gone || wanted != folders.cordoned);
        may.then_some(Action::CordonDisks { broker: self.node.id, folders: wanted, of_gone })
    }

    /// Moves what lies on disks that leave to those that stay.
    fn empty(&self, folders: &Folders) -> Steps {
        let offline = |name: &&String| folders.by_volume.get(*name).is_some_and(|one| one.offline);
        let offline: Vec<String> = self.still.iter().filter(offline).cloned().collect();
        if !offline.is_empty() {
            return self.leave_offline(&offline);
        }
        if !release::has_cordons(&self.kafka.features) {
            return self.stuck(
                "disks leave from Kafka 4.3 on, once its metadata.version is switched on: before, a new partition might come to one meanwhile (KIP-1066); ask for it again until then",
            );
        }
        let wished = &self.desired.group(self.node.group).volumes;
        let lacks = |volume: &&Volume| !folders.by_volume.contains_key(&volume.name);
        if let Some(volume) = wished.iter().find(lacks) {
            return self.waits(&format!("waits until the broker has disk {}", volume.name));
        }
        if self.leaving(folders).next().is_none() {
            return self.waits("waits until the broker is well again");
        }
        let left: usize = self.leaving(folders).map(count).sum();
        let cordoned = self.still.iter().all(|name| is_cordoned(Some(folders), name));
        let metadata = disks::metadata_disk(self.desired, self.observed, self.node.id);
        let holds_metadata = metadata.is_some_and(|name| self.still.contains(&name));
        if holds_metadata && keeps_its_metadata(self.desired, self.observed, self.node.id) {
            return self.stuck(FEW_VOTERS);
        }
        if left == 0 {
            return self.waits("empty, the broker is about to restart without it");
        }
        if let Some((name, _)) = folders.by_volume.iter().find(|(_, folder)| folder.offline) {
            return self.stuck(&format!(
                "Kafka took disk {name} offline, and copies nothing between a broker's disks meanwhile: mend it, or leave it out, too"
            ));
        }
        let replicas = if left == 1 { "1 replica".to_owned() } else { format!("{left} replicas") };
        let moves = format!("{replicas} to move to its other disks");
        if !cordoned {
            return self.waits(&moves);
        }
        let chosen = self.choose(folders);
        match chosen.too_large {
            Some(_) if chosen.moves.is_empty() && self.room(folders).is_empty() => self.stuck(
                "no other disk of the broker takes new replicas: somebody has cordoned them (cordoned.log.dirs)",
            ),
            Some(name) if chosen.moves.is_empty() && !chosen.under_way => self.stuck(&format!(
                "{replicas} to move, and no other disk of the broker has room for {name}: raise the size of one"
            )),
            _ if chosen.moves.is_empty() => self.waits(&moves),
            _ => {
                let action = MoveReplicas { broker: self.node.id, moves: chosen.moves };
                Steps { actions: vec![Action::MoveReplicas(action)], ..self.waits(&moves) }
            }
        }
    }

    fn leave_offline(&self, offline: &[String]) -> Steps {
        let which = format!("{} of broker {}", spell(offline), self.node.id);
        match self.kafka.no_copy_elsewhere(self.node.id) {
            Some(partition) => self.says(WaitingOn::DiskCannotLeave {
                detail: format!(
                    "{which}: Kafka took it offline, and partition {partition} of the broker has no other in-sync replica: wait for another replica, or delete that topic if it lies on the disk"
                ),
            }),
            None => self.says(WaitingOn::EmptyingDisks {
                detail: format!(
                    "{which}: offline, and everything is in sync elsewhere: the broker is about to restart without it"
                ),
            }),
        }
    }

    fn leaving<'f>(&'f self, folders: &'f Folders) -> impl Iterator<Item = &'f Folder> {
        folders.by_volume.iter().filter(|(name, _)| self.still.contains(*name)).map(|(_, one)| one)
    }

    fn choose(&self, folders: &Folders) -> Chosen {
        let mut room = self.room(folders);
        let under_way: usize = folders
            .by_volume
            .values()
            .map(|one| one.arriving.values().map(BTreeMap::len).sum::<usize>())
            .sum();
        let mut chosen = Chosen { under_way: under_way > 0, ..Chosen::default() };
        let all = self.leaving(folders).flat_map(|folder| {
            folder.replicas.iter().flat_map(|(topic, numbers)| {
                numbers.iter().map(move |(number, bytes)| (topic, *number, *bytes))
            })
        });
        let waiting = all.filter(|(topic, number, _)| !folders.is_moving(topic, *number));
        for (topic, number, bytes) in waiting.take(MOVED_AT_ONCE.saturating_sub(under_way)) {
            let most = room.iter_mut().max_by_key(|(_, free)| **free);
            let Some((name, free)) = most.filter(|(_, free)| **free >= bytes) else {
                chosen.too_large.get_or_insert(format!("partition {topic}-{number}"));
                continue;
            };
            *free -= bytes;
            let to = chosen.moves.entry((*name).to_owned()).or_default();
            to.entry(topic.clone()).or_default().push(number);
        }
        chosen
    }

    /// What each disk that stays has room for, beside what is on its way there.
    fn room<'f>(&self, folders: &'f Folders) -> BTreeMap<&'f str, u64> {
        let takes = |name: &String, folder: &Folder| {
            !self.closed.contains(name)
                && !folder.offline
                && !folders.cordoned.contains(&log_dir(name))
        };
        let open = folders.by_volume.iter().filter(|(name, folder)| takes(name, folder));
        let free = open.map(|(name, folder)| {
            let taken = folder.total_bytes / KEPT_FREE_PART + folders.promised_bytes(folder);
            (name.as_str(), folder.usable_bytes.saturating_sub(taken))
        });
        free.collect()
    }

    /// Disks that its pod does without and that are still on record.
    fn on_record(&self) -> impl Iterator<Item = String> {
        let keys = self.gone.iter().map(|volume| disk_key(self.node.id, volume));
        let identity = self.observed.identity.as_ref();
        keys.filter(move |key| identity.is_some_and(|one| one.disks.contains_key(key)))
    }

    /// What is cordoned no more may be formatted like a new one, should the spec ask for it again.
    fn strike(&self) -> Option<Action> {
        let disks: Vec<String> = self.on_record().collect();
        let identity = self.observed.identity.as_ref().filter(|_| !disks.is_empty())?;
        let target = Target::of_identity(&self.desired.names, identity);
        Some(Action::ForgetDisks { target, disks })
    }

    fn reclaim(&self) -> Vec<Action> {
        let restored = self.observed.identity.as_ref().is_none_or(|one| one.voters.is_empty());
        if self.desired.reclaim != ReclaimPolicy::Delete || restored {
            return Vec::new();
        }
        let wished = self.desired.group(self.node.group);
        let gone = self.gone.iter().filter(|name| !wished.asks_for(name));
        let emptied = gone.filter(|name| self.memory.emptied.contains(name));
        let claims = emptied.filter_map(|volume| {
            let name = self.desired.names.claim(self.node, volume);
            let kind = Kind::PersistentVolumeClaim;
            let child =
                self.observed.child(kind, &name).filter(|one| one.ours && !one.terminating)?;
            let reason = "its disk was emptied, and the spec does not ask for it".to_owned();
            Some(Action::Delete(Delete { kind, target: Target::of(&name, child), reason }))
        });
        claims.collect()
    }
}

/// Replicas that are in a folder or on their way there.
fn count(folder: &Folder) -> usize {
    folder.replicas.values().chain(folder.arriving.values()).map(BTreeMap::len).sum()
}

fn is_cordoned(folders: Option<&Folders>, volume: &str) -> bool {
    folders.is_some_and(|all| all.cordoned.contains(&log_dir(volume)))
}

/// Which replicas go where next.
#[derive(Default)]
struct Chosen {
    /// By volume, topic and partition.
    moves: BTreeMap<String, BTreeMap<String, Vec<i32>>>,
    /// Whether others are being copied.
    under_way: bool,
    /// One that no disk has room for.
    too_large: Option<String>,
}
