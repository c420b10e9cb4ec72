//! Guards of what is done because a broker leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_crds::kafka_cluster::storage::{Reclaim, ReclaimPolicy};
use ottla_plan::Action;
use ottla_plan::object::Kind;
use ottla_plan::observed::traces::{DrainMemory, MoveMemory};
use ottla_plan::observed::{Answer, Leaver, Partitions, Reassignment, Voter};
use ottla_tests::world::{Mishap, World, manifest};
use serde_json::json;

use super::{Case, Scene, identity, kafka, partition, record, silence_kafka};

/// The broker that leaves a cluster of four.
const LEAVER: i32 = 3;

const LEAVES: [Case; 5] = [
    ("the spec does not ask for it", |scene| scene.desired.brokers.replicas = 4),
    ("that it leaves is remembered", |scene| drain(scene).brokers.clear()),
    ("it does not vote", |scene| {
        kafka(scene)
            .voters
            .insert(LEAVER, Voter { behind_milliseconds: Some(0), ..Voter::default() });
    }),
    ("Kafka was asked", silence_kafka),
    ("it holds no partition", |scene| partition(scene, &[LEAVER, 0], &[0])),
];

pub(super) const CORDON: [Case; 2] = [LEAVES[0], LEAVES[1]];

pub(super) const STOP: [Case; 8] = [
    LEAVES[0],
    LEAVES[1],
    LEAVES[2],
    LEAVES[3],
    LEAVES[4],
    ("it belongs to a broker", |scene| unlabel(scene)),
    ("its disks are empty", |scene| {
        let stored = BTreeMap::from([("payments".to_owned(), BTreeMap::from([(0, 1)]))]);
        let leaver = Leaver { stored, cordoned: true, offline: false };
        kafka(scene).leavers.insert(LEAVER, Answer::Known(leaver));
    }),
    ("its disks are empty", |scene| {
        let unknown = Answer::Unknown { reason: "it is silent".to_owned() };
        kafka(scene).leavers.insert(LEAVER, unknown);
    }),
];

pub(super) const UNREGISTER: [Case; 8] = [
    LEAVES[0],
    LEAVES[1],
    LEAVES[2],
    LEAVES[3],
    LEAVES[4],
    ("nothing of it runs", revive),
    ("nothing of it runs", |scene| {
        let pod = scene.observed.pods[&0].clone();
        scene.observed.pods.insert(LEAVER, pod);
    }),
    ("Kafka counts it as dead", |scene| {
        kafka(scene).brokers.insert(LEAVER, false);
    }),
];

pub(super) const DELETE_SECRET: [Case; 8] = [
    LEAVES[0],
    LEAVES[1],
    LEAVES[2],
    LEAVES[3],
    LEAVES[4],
    ("it belongs to a broker", |scene| {
        let Action::Delete(delete) = &mut scene.action else { panic!("no deletion") };
        delete.target.name = "orders-ca".to_owned();
    }),
    ("nothing of it runs", revive),
    ("Kafka does not know it", |scene| {
        kafka(scene).brokers.insert(LEAVER, true);
    }),
];

pub(super) const DELETE_CLAIM: [Case; 10] = [
    LEAVES[0],
    LEAVES[1],
    LEAVES[2],
    LEAVES[3],
    LEAVES[4],
    ("it belongs to a broker", |scene| unlabel(scene)),
    ("nothing of it runs", revive),
    ("Kafka does not know it", |scene| {
        kafka(scene).brokers.insert(LEAVER, true);
    }),
    ("its disks were seen empty", |scene| drain(scene).emptied.clear()),
    ("its disks are off the record", |scene| record(scene, LEAVER, "d9")),
];

pub(super) const REASSIGN: [Case; 12] = [
    ("Kafka was asked", silence_kafka),
    ("the move is remembered", |scene| identity(scene).traces.moves = None),
    ("the move is remembered", |scene| {
        identity(scene).traces.moves.as_mut().unwrap().wave[0].to = vec![1, 0, 2];
    }),
    ("only what moves is cancelled", |scene| *first_move(scene) = None),
    ("only what leads astray is cancelled", |scene| {
        *first_move(scene) = None;
        let (topic, index) = moved(scene);
        let moving = Reassignment { adding: vec![0], removing: vec![LEAVER] };
        let moving = BTreeMap::from([(index, moving)]);
        kafka(scene).reassignments = BTreeMap::from([(topic, moving)]);
    }),
    ("what is cancelled can do without what came", |scene| {
        only_move(scene, &[1, 2, 0], Some(1));
        wish(scene, &[1, 2, LEAVER]);
        *first_move(scene) = None;
        let (topic, index) = moved(scene);
        let mut partitions = Partitions::default();
        partitions.begin_topic(&topic, 2);
        partitions.push_moving(index, Some(LEAVER), &[LEAVER, 1, 2, 0], &[LEAVER], &[LEAVER]);
        kafka(scene).partitions = partitions;
        let moving = Reassignment { adding: vec![LEAVER], removing: vec![0] };
        let moving = BTreeMap::from([(index, moving)]);
        kafka(scene).reassignments = BTreeMap::from([(topic, moving)]);
    }),
    ("brokers that are to hold it stay", |scene| {
        only_move(scene, &[0, 1, 2], Some(0));
        wish(scene, &[0, 1, LEAVER]);
    }),
    ("the partition is there and led", |scene| only_move(scene, &[LEAVER, 0, 1], None)),
    ("nobody else moves it", |scene| {
        let (topic, index) = moved(scene);
        let moving = BTreeMap::from([(index, Reassignment::default())]);
        kafka(scene).reassignments = BTreeMap::from([(topic, moving)]);
    }),
    ("it still has to move", |scene| {
        only_move(scene, &[1, 2, 0], Some(1));
        known(scene).from = vec![1, 2, LEAVER];
    }),
    ("no replica is lost", |scene| wish(scene, &[1, 0])),
    ("brokers that are to hold it are alive", |scene| {
        kafka(scene).brokers.insert(0, true);
    }),
];

/// Has written what comes first, if anything does: what is remembered, before anything is done.
pub(super) fn remember(world: &mut World) {
    let plan = world.plan().unwrap();
    let traces = plan.traces != *world.observe().traces();
    if traces || (plan.memory != world.status().memory && !plan.actions.is_empty()) {
        world.pass_meeting(1, Mishap::CrashBefore).unwrap();
    }
}

/// A broker leaves a cluster of four, and this is the first such action.
fn departure(is_meant: fn(&Action) -> bool) -> Scene {
    let mut cluster = manifest(include_str!("../../../examples/quickstart.yaml")).unwrap();
    cluster.spec.brokers.replicas = 4;
    cluster.spec.brokers.storage.reclaim = Some(Reclaim { when_scaled: ReclaimPolicy::Delete });
    let mut world = World::new(cluster);
    world.bring_up().unwrap();
    world.edit(&["spec", "brokers", "replicas"], json!(3)).unwrap();
    for _ in 0..30 {
        remember(&mut world);
        let found = world.plan().unwrap().actions.into_iter().find(is_meant);
        if let Some(action) = found {
            let mut scene =
                Scene { action, desired: world.desired().unwrap(), observed: world.observe() };
            // The record is struck in the same pass, before anything is taken away.
            identity(&mut scene).disks.retain(|key, _| !key.starts_with("3/"));
            return scene;
        }
        world.pass().unwrap();
        world.copy();
    }
    panic!("no such action is planned");
}

/// It is to take no new replicas.
pub(super) fn cordon() -> Scene {
    departure(|action| matches!(action, Action::Cordon { cordoned: true, .. }))
}

/// Partitions are to move from a broker that leaves.
pub(super) fn moves() -> Scene {
    departure(|action| matches!(action, Action::Reassign(_)))
}

/// It is to be stopped.
pub(super) fn stop() -> Scene {
    departure(|action| is_delete(action, Kind::StatefulSet))
}

/// It is to be unregistered.
pub(super) fn unregistration() -> Scene {
    departure(|action| matches!(action, Action::Unregister(_)))
}

/// Its certificate is to go.
pub(super) fn secret() -> Scene {
    departure(|action| is_delete(action, Kind::Secret))
}

/// Its claim is to go.
pub(super) fn claim() -> Scene {
    departure(|action| is_delete(action, Kind::PersistentVolumeClaim))
}

fn is_delete(action: &Action, kind: Kind) -> bool {
    matches!(action, Action::Delete(delete) if delete.kind == kind)
}

fn drain(scene: &mut Scene) -> &mut DrainMemory {
    identity(scene).traces.drain.as_mut().unwrap()
}

/// Nobody can tell whose the object is that would go.
fn unlabel(scene: &mut Scene) {
    let Action::Delete(delete) = &scene.action else { panic!("no deletion") };
    let child = scene.observed.children.get_mut(delete.kind, &delete.target.name).unwrap();
    Arc::make_mut(&mut child.live)["metadata"]["labels"] = json!({});
}

/// The broker has a StatefulSet again.
fn revive(scene: &mut Scene) {
    let set = scene.observed.child(Kind::StatefulSet, "orders-broker-0").unwrap().clone();
    scene.observed.children.insert(Kind::StatefulSet, "orders-broker-3".to_owned(), set);
}

/// The first partition that would move.
fn moved(scene: &Scene) -> (String, i32) {
    let Action::Reassign(reassign) = &scene.action else { panic!("no move") };
    let (topic, partitions) = reassign.partitions.iter().next().unwrap();
    (topic.clone(), *partitions.keys().next().unwrap())
}

/// Where it would.
fn first_move(scene: &mut Scene) -> &mut Option<Vec<i32>> {
    let Action::Reassign(reassign) = &mut scene.action else { panic!("no move") };
    reassign.partitions.values_mut().next().unwrap().values_mut().next().unwrap()
}

/// No other partition would move, and this one is held by these brokers.
fn only_move(scene: &mut Scene, replicas: &[i32], leader: Option<i32>) {
    let (topic, index) = moved(scene);
    let Action::Reassign(reassign) = &mut scene.action else { panic!("no move") };
    reassign.partitions.retain(|found, _| *found == topic);
    reassign.partitions.values_mut().for_each(|one| one.retain(|found, _| *found == index));
    let mut partitions = Partitions::default();
    partitions.begin_topic(&topic, 2);
    partitions.push(index, leader, replicas, if leader.is_some() { replicas } else { &[] });
    kafka(scene).partitions = partitions;
    known(scene).from = replicas.to_vec();
}

/// What is remembered of the first partition.
fn known(scene: &mut Scene) -> &mut MoveMemory {
    let (topic, index) = moved(scene);
    let wave = &mut identity(scene).traces.moves.as_mut().unwrap().wave;
    wave.iter_mut().find(|one| one.topic == topic && one.partition == index).unwrap()
}

/// The first partition would move there, and is remembered to.
fn wish(scene: &mut Scene, to: &[i32]) {
    *first_move(scene) = Some(to.to_vec());
    known(scene).to = to.to_vec();
}
