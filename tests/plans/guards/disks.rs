//! Guards of what is done because a disk of a broker leaves.

use std::sync::Arc;

use ottla_crds::kafka_cluster::storage::{Reclaim, ReclaimPolicy};
use ottla_plan::Action;
use ottla_plan::desired::Volume;
use ottla_plan::object::Kind;
use ottla_plan::observed::{Answer, disk_key};
use ottla_tests::world::{World, manifest};
use serde_json::json;

use super::departure::remember;
use super::{Case, Scene, identity, record};

/// The claim of the disk that leaves.
const CLAIM: &str = "payments-broker-0-d1";

const REMEMBERED: Case =
    ("that it gives disks away is remembered", |scene| identity(scene).traces.disks = None);

pub(super) const CORDON: [Case; 2] = [
    REMEMBERED,
    ("a disk that leaves stays cordoned", |scene| {
        let Action::CordonDisks { folders, .. } = &mut scene.action else { panic!("no cordon") };
        folders.clear();
    }),
];

pub(super) const MOVES: [Case; 3] = [
    REMEMBERED,
    ("the node is part of the cluster", |scene| {
        let Action::MoveReplicas(moves) = &mut scene.action else { panic!("no moves") };
        moves.broker = 77;
        identity(scene).traces.disks.as_mut().unwrap().broker = 77;
    }),
    ("the spec asks for the disk that takes it", |scene| {
        let Action::MoveReplicas(moves) = &mut scene.action else { panic!("no moves") };
        let (_, topics) = moves.moves.pop_first().unwrap();
        moves.moves.insert("d1".to_owned(), topics);
    }),
];

/// Of a disk that comes to a broker that has others.
pub(super) const FORMAT: [Case; 2] = [
    ("it is on record before it is given", |scene| identity(scene).traces.permits.clear()),
    ("a loss was declared", |scene| {
        let Action::Format(format) = &mut scene.action else { panic!("no format") };
        let key = disk_key(format.node_id, "d2");
        let claim = format!("payments-broker-{}-d2", format.node_id);
        scene.observed.claims.get_mut(&claim).unwrap().uid = "another".to_owned();
        let permits = &mut identity(scene).traces.permits;
        assert!(permits.contains_key(&key), "{permits:?}");
    }),
];

/// Of a voter that goes on without the disk that it votes with.
pub(super) const RESTART: [Case; 3] = [
    ("one voter at a time gets another disk", |scene| {
        scene.desired.voters = 5;
        let Answer::Known(kafka) = &mut scene.observed.kafka else { panic!("Kafka is silent") };
        kafka.voters.insert(3, kafka.voters[&2].clone());
    }),
    ("it goes on without no disk that it needs", |scene| scene.desired.voters = 1),
    ("it goes on without no disk that it needs", |scene| {
        let Action::RestartPod(restart) = &scene.action else { panic!("no restart") };
        let other = (restart.node_id + 1) % 3;
        scene.observed.pods.get_mut(&other).unwrap().configuration = None;
    }),
];

pub(super) const DELETE_CLAIM: [Case; 5] = [
    ("its node votes without it", |scene| scene.desired.controllers = None),
    ("the spec does not ask for it", |scene| ask_for(scene, "d1")),
    ("no pod has it", |scene| {
        let name = scene.observed.pods[&0].configuration.clone().unwrap();
        mount_also(scene, &name, "d1");
    }),
    ("it is off the record", |scene| {
        identity(scene).disks.insert(disk_key(0, "d1"), "directory".to_owned());
    }),
    ("it was emptied, or never there", |scene| identity(scene).traces.disks = None),
];

/// A disk of the node is on record, and its pod has only the first one, which may be formatted.
pub(super) fn miss(scene: &mut Scene, id: i32, volume: &str) {
    record(scene, id, volume);
    let first = scene.observed.claims[&format!("orders-broker-{id}-d0")].uid.clone();
    identity(scene).traces.permits.insert(disk_key(id, "d0"), first);
    ask_for(scene, volume);
}

/// The spec asks for one more volume.
pub(super) fn ask_for(scene: &mut Scene, volume: &str) {
    let like = scene.desired.brokers.volumes[0].clone();
    let further = Volume { name: volume.to_owned(), ..like.clone() };
    scene.desired.brokers.volumes = [like, further].into();
}

/// A configuration names one more volume.
pub(super) fn mount_also(scene: &mut Scene, configuration: &str, volume: &str) {
    let child = scene.observed.children.get_mut(Kind::ConfigMap, configuration).unwrap();
    let document = &mut Arc::make_mut(&mut child.live)["data"]["node.json"];
    let mut parsed: serde_json::Value = serde_json::from_str(document.as_str().unwrap()).unwrap();
    parsed["volumes"].as_array_mut().unwrap().push(json!(volume));
    *document = parsed.to_string().into();
}

/// A disk leaves, and this is the first such action.
fn emptied(is_meant: fn(&Action) -> bool) -> Scene {
    changed(PRODUCTION, json!([{ "name": "d0", "size": "2Gi" }]), is_meant)
}

const PRODUCTION: &str = include_str!("../../../examples/production.yaml");
const QUICKSTART: &str = include_str!("../../../examples/quickstart.yaml");

/// Brokers get other disks, and this is the first such action.
fn changed(example: &str, volumes: serde_json::Value, is_meant: fn(&Action) -> bool) -> Scene {
    let mut cluster = manifest(example).unwrap();
    cluster.spec.brokers.storage.reclaim = Some(Reclaim { when_scaled: ReclaimPolicy::Delete });
    let mut world = World::new(cluster);
    world.bring_up().unwrap();
    world.edit(&["spec", "brokers", "storage", "volumes"], volumes).unwrap();
    for _ in 0..60 {
        remember(&mut world);
        let found = world.plan().unwrap().actions.into_iter().find(is_meant);
        if let Some(action) = found {
            let mut scene =
                Scene { action, desired: world.desired().unwrap(), observed: world.observe() };
            // The record is struck in the same pass, before the claim is taken away.
            if matches!(scene.action, Action::Delete(_)) {
                identity(&mut scene).disks.remove(&disk_key(0, "d1"));
            }
            return scene;
        }
        world.pass().unwrap();
        world.copy();
        world.start_pods();
        // Those that wait for the word do not run yet.
        remember(&mut world);
        if !world.plan().unwrap().actions.iter().any(is_meant) {
            world.run_nodes();
        }
    }
    panic!("no such action is planned");
}

/// Another disk comes to a broker.
pub(super) fn addition() -> Scene {
    let volumes = ["d0", "d1", "d2"].map(|name| json!({ "name": name, "size": "2Gi" }));
    changed(PRODUCTION, volumes.into_iter().collect(), |action| matches!(action, Action::Format(_)))
}

/// A voter is to go on without the disk that it votes with.
pub(super) fn first() -> Scene {
    changed(QUICKSTART, json!([{ "name": FIRST, "size": "2Gi" }]), |action| match action {
        Action::RestartPod(restart) => restart.set.as_ref().is_some_and(|set| {
            let template = set.object.tree();
            !template.to_string().contains("-d0")
        }),
        _ => false,
    })
}

/// The disk that takes the place of a first one.
const FIRST: &str = "d7";

pub(super) fn is_of_first(scene: &Scene) -> bool {
    scene.desired.brokers.volumes[0].name == FIRST
}

/// It is to take no new replicas.
pub(super) fn cordon() -> Scene {
    emptied(|action| matches!(action, Action::CordonDisks { .. }))
}

/// What lies on it is to move.
pub(super) fn moves() -> Scene {
    emptied(|action| matches!(action, Action::MoveReplicas(_)))
}

/// Its claim is to go.
pub(super) fn claim() -> Scene {
    emptied(|action| matches!(action, Action::Delete(delete) if delete.target.name == CLAIM))
}
