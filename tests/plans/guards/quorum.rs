//! The guards of a controller that gets a vote or loses it, and of one that left.

use ottla_plan::Action;
use ottla_plan::observed::Voter;
use serde_json::json;

use super::*;

/// The first controller that joins three, and the first that leaves five.
const NEXT: i32 = 10_003;

pub(super) const ADD: [Case; 6] = [
    ("Kafka was asked", silence_kafka),
    ("the spec asks for it", |scene| scene.desired.voters = 3),
    ("it is on record", |scene| {
        identity(scene).quorum.members.remove(&NEXT);
    }),
    ("it is a controller", |scene| pod(scene, NEXT).configuration = None),
    ("it has caught up", |scene| {
        late(kafka(scene).observers.get_mut(&NEXT).and_then(|all| all.last_mut()))
    }),
    ("a majority has caught up", |scene| {
        [10_000, 10_001].iter().for_each(|id| late(kafka(scene).voters.get_mut(id)));
    }),
];

pub(super) const REMOVE: [Case; 6] = [
    ("Kafka was asked", silence_kafka),
    ("it votes with that disk", |scene| {
        kafka(scene).voters.get_mut(&NEXT).unwrap().directory = "another".to_owned();
    }),
    ("nobody asks for its vote", |scene| scene.desired.voters = 5),
    ("others have taken its place", |scene| {
        kafka(scene).voters.remove(&10_000);
    }),
    ("every node finds the others", |scene| pod(scene, 0).configuration = None),
    ("a majority has caught up", |scene| {
        [10_000, 10_001].iter().for_each(|id| late(kafka(scene).voters.get_mut(id)));
    }),
];

pub(super) const STOP: [Case; 5] = [
    ("Kafka was asked", silence_kafka),
    ("the spec does not ask for it", |scene| scene.desired.voters = 5),
    ("it does not vote", |scene| {
        kafka(scene).voters.insert(NEXT, Voter::default());
        kafka(scene).voters.insert(NEXT + 1, Voter::default());
    }),
    ("no release waits for it", |scene| {
        kafka(scene).features.insert("share.version".to_owned(), 1);
    }),
    ("it can be called back", |scene| {
        identity(scene).quorum.registered.remove(&NEXT);
        identity(scene).quorum.registered.remove(&(NEXT + 1));
    }),
];

pub(super) const DELETE_SECRET: [Case; 7] = [
    STOP[0],
    STOP[1],
    STOP[2],
    STOP[3],
    STOP[4],
    ("nothing of it runs", |scene| {
        let pod = scene.observed.pods[&0].clone();
        scene.observed.pods.insert(NEXT, pod.clone());
        scene.observed.pods.insert(NEXT + 1, pod);
    }),
    ("its disk stays", |scene| {
        let Action::Delete(delete) = &mut scene.action else { panic!("no deletion") };
        delete.kind = Kind::PersistentVolumeClaim;
        delete.target.name = format!("payments-controller-{NEXT}-d0");
    }),
];

pub(super) const UNREGISTER: [Case; 6] = [
    ("Kafka was asked", silence_kafka),
    ("the spec does not ask for it", |scene| scene.desired.voters = 5),
    ("it does not vote", |scene| {
        [NEXT, NEXT + 1].iter().for_each(|id| {
            kafka(scene).voters.insert(*id, Voter::default());
        });
    }),
    ("no release waits for it", |scene| {
        kafka(scene).features.insert("share.version".to_owned(), 1);
    }),
    ("it does not run", |scene| {
        let pod = scene.observed.pods[&10_000].clone();
        scene.observed.pods.insert(NEXT, pod.clone());
        scene.observed.pods.insert(NEXT + 1, pod);
    }),
    ("Kafka can forget it", |scene| {
        scene.desired.version = "4.3.1".to_owned();
        kafka(scene).features.insert("metadata.version".to_owned(), 30);
        kafka(scene).features.insert("share.version".to_owned(), 1);
    }),
];

fn late(voter: Option<&mut Voter>) {
    voter.unwrap().behind_milliseconds = Some(5_000);
}

/// The first such action after the spec asks for another number of controllers.
fn changed(before: i32, after: i32, is_meant: fn(&Action) -> bool) -> Scene {
    let mut cluster = manifest(include_str!("../../../examples/production.yaml")).unwrap();
    cluster.spec.version = "4.4.0".to_owned();
    cluster.spec.controllers.replicas = before;
    let mut world = World::new(cluster);
    world.bring_up().unwrap();
    world.edit(&["spec", "controllers", "replicas"], json!(after)).unwrap();
    for _ in 0..30 {
        let found = world.plan().unwrap().actions.into_iter().find(is_meant);
        let mut observed = world.observe();
        if let Some(action) = found {
            // What is on record is written in the same pass, before a vote is given.
            if let (Action::AddVoter(change), Some(identity)) = (&action, &mut observed.identity) {
                identity.quorum.members.insert(change.id, change.directory.clone());
            }
            return Scene { action, desired: world.desired().unwrap(), observed };
        }
        world.pass().unwrap();
        world.start_pods();
        world.run_nodes();
    }
    panic!("no such action is planned");
}

/// A controller is to get a vote.
pub(super) fn addition() -> Scene {
    changed(3, 5, |action| matches!(action, Action::AddVoter(_)))
}

/// It is to lose it.
pub(super) fn removal() -> Scene {
    changed(5, 3, |action| matches!(action, Action::RemoveVoter(_)))
}

/// It is to be stopped.
pub(super) fn stop() -> Scene {
    changed(5, 3, |action| is_delete(action, Kind::StatefulSet))
}

/// Its certificate is to go.
pub(super) fn secret() -> Scene {
    changed(5, 3, |action| is_delete(action, Kind::Secret))
}

/// Its registration is to go.
pub(super) fn unregistration() -> Scene {
    changed(5, 3, |action| matches!(action, Action::UnregisterController(_)))
}

fn is_delete(action: &Action, kind: Kind) -> bool {
    matches!(action, Action::Delete(delete) if delete.kind == kind)
}
