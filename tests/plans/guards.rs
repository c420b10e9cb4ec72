//! Guards, each taken away in turn: for every one there is a world in which it alone refuses, so that
//! without it the action would be permitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::agent::{AgentState, FormatMode};
use ottla_crds::kafka_cluster::AllowUnavailable;
use ottla_crds::kafka_cluster::status::DrainMemory;
use ottla_crds::kafka_cluster::storage::{Reclaim, ReclaimPolicy};
use ottla_plan::action::{Delete, Format, RestartPod, Target};
use ottla_plan::object::Kind;
use ottla_plan::observed::{
    Answer, Identity, Kafka, Leaver, Partitions, Reassignment, Voter, disk_key,
};
use ottla_plan::{Action, Desired, Observed, check};
use ottla_tests::world::{Mishap, World, manifest};
use serde_json::json;

/// A destructive action in a world that permits it.
struct Scene {
    action: Action,
    desired: Desired,
    observed: Observed,
}

/// The name of a guard, and what makes it alone refuse.
type Case = (&'static str, fn(&mut Scene));

/// The cases of an action. A new destructive action does not compile before it has some.
fn cases(action: &Action) -> &'static [Case] {
    match action {
        Action::RestartPod(restart) if restart.is_of_idle_node => &IDLE_RESTART,
        Action::RestartPod(_) => &RESTART,
        Action::Format(format) if format.node_id == VOTER => &FORMAT_OF_A_VOTER,
        Action::Format(_) => &FORMAT,
        Action::Delete(delete) => match delete.kind {
            Kind::StatefulSet => &STOP,
            Kind::PersistentVolumeClaim => &DELETE_CLAIM,
            Kind::Secret => &DELETE_SECRET,
            _ => &DELETE,
        },
        Action::Reassign(_) => &REASSIGN,
        Action::Unregister(_) => &UNREGISTER,
        Action::NewIdentity { .. }
        | Action::IssueAuthority { .. }
        | Action::IssueLeaf(_)
        | Action::Create(_)
        | Action::Apply(_)
        | Action::RecordDisks { .. }
        | Action::ForgetDisks { .. }
        | Action::AlterConfig(_)
        | Action::ElectLeaders(_)
        | Action::Throttle(_)
        | Action::Cordon { .. } => &[],
    }
}

/// A node that is formatted as one of the first voters.
const VOTER: i32 = 0;

/// The node that a roll of a quickstart cluster restarts first.
const RESTARTED: i32 = 1;

/// The broker that is added to a quickstart cluster.
const ADDED: i32 = 3;

const RESTART: [Case; 13] = [
    ("the pod is the one that is meant", |scene| {
        pod(scene, RESTARTED).uid = "another".to_owned();
    }),
    ("the node is part of the cluster", |scene| forget(scene, RESTARTED, 1)),
    ("a node taken for idle is", |scene| restart(scene).is_of_idle_node = true),
    ("the roll is remembered", |scene| scene.observed.memory.roll = None),
    ("Kubernetes may evict nobody", |scene| {
        let children = &mut scene.observed.children;
        let budget = children.get_mut(Kind::PodDisruptionBudget, "orders-broker").unwrap();
        Arc::make_mut(&mut budget.live)["status"]["disruptionsAllowed"] = json!(1);
    }),
    ("no claim goes with the pod", |scene| terminate_claim(scene, RESTARTED)),
    ("it does not read its logs again", |scene| {
        pod(scene, RESTARTED).ready = false;
        set_state(scene, RESTARTED, AgentState::Recovering);
    }),
    ("Kafka was asked", silence_kafka),
    ("one disruption at a time", |scene| {
        scene.observed.agents.insert(2, Answer::Unknown { reason: "it is silent".to_owned() });
    }),
    ("no replica of it moves", |scene| {
        partition(scene, &[0, RESTARTED, 2], &[0, RESTARTED, 2]);
        let moving = BTreeMap::from([(0, Reassignment::default())]);
        kafka(scene).reassignments = BTreeMap::from([("payments".to_owned(), moving)]);
    }),
    ("the quorum keeps its majority", |scene| {
        kafka(scene).voters.get_mut(&2).unwrap().behind_milliseconds = Some(5_000);
    }),
    ("partitions keep enough in-sync replicas", |scene| {
        partition(scene, &[0, RESTARTED, 2], &[RESTARTED, 2]);
    }),
    ("the spec allows what becomes unavailable", |scene| {
        partition(scene, &[RESTARTED], &[RESTARTED]);
        scene.desired.allow_unavailable = AllowUnavailable::None;
    }),
];

const IDLE_RESTART: [Case; 1] = [("its claims stay", |scene| terminate_claim(scene, RESTARTED))];

const FORMAT: [Case; 11] = [
    ("the cluster id is the same", |scene| {
        identity(scene).cluster_id = "another".to_owned();
    }),
    ("the pod is the one that is meant", |scene| pod(scene, ADDED).terminating = true),
    ("the agent asks", |scene| set_state(scene, ADDED, AgentState::Starting)),
    ("no volume on record is missing", |scene| record(scene, ADDED, "d9")),
    ("the node is part of the cluster", |scene| forget(scene, ADDED, 3)),
    ("every claim is known", |scene| {
        scene.observed.claims.remove("orders-broker-3-d0");
    }),
    ("a loss was declared", |scene| record(scene, ADDED, "d0")),
    ("Kafka was asked for other copies", |scene| {
        declare(scene, ADDED);
        silence_kafka(scene);
    }),
    ("other copies are in sync", |scene| {
        declare(scene, ADDED);
        partition(scene, &[ADDED], &[ADDED]);
    }),
    ("only first voters get the first voters' list", |scene| {
        format(scene).request.mode = FormatMode::InitialControllers("3@there:9090:id".to_owned());
    }),
    ("the pod is the one that is meant", |scene| {
        pod(scene, ADDED).uid = "another".to_owned();
    }),
];

const FORMAT_OF_A_VOTER: [Case; 2] = [
    ("no voter is replaced", |scene| {
        declare(scene, VOTER);
        scene.observed.kafka = Answer::Known(Kafka::default());
    }),
    ("a controller gets a word on the quorum", |scene| {
        format(scene).request.mode = FormatMode::Plain;
    }),
];

/// The broker that leaves a cluster of four.
const LEAVER: i32 = 3;

const LEAVES: [Case; 5] = [
    ("the spec does not ask for it", |scene| scene.desired.brokers.replicas = 4),
    ("that it leaves is remembered", |scene| drain(scene).brokers.clear()),
    ("it does not vote", |scene| {
        kafka(scene).voters.insert(LEAVER, Voter { behind_milliseconds: Some(0) });
    }),
    ("Kafka was asked", silence_kafka),
    ("it holds no partition", |scene| partition(scene, &[LEAVER, 0], &[0])),
];

const STOP: [Case; 8] = [
    LEAVES[0],
    LEAVES[1],
    LEAVES[2],
    LEAVES[3],
    LEAVES[4],
    ("it belongs to a broker", |scene| unlabel(scene)),
    ("its disks are empty", |scene| {
        let stored = BTreeMap::from([("payments".to_owned(), BTreeMap::from([(0, 1)]))]);
        let leaver = Leaver { stored, cordoned: true };
        kafka(scene).leavers.insert(LEAVER, Answer::Known(leaver));
    }),
    ("its disks are empty", |scene| {
        let unknown = Answer::Unknown { reason: "it is silent".to_owned() };
        kafka(scene).leavers.insert(LEAVER, unknown);
    }),
];

const UNREGISTER: [Case; 8] = [
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

const DELETE_SECRET: [Case; 8] = [
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

const DELETE_CLAIM: [Case; 10] = [
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

const REASSIGN: [Case; 9] = [
    ("Kafka was asked", silence_kafka),
    ("the move is remembered", |scene| scene.observed.memory.moves = None),
    ("only what moves is cancelled", |scene| {
        let first = first_move(scene);
        *first = None;
    }),
    ("the partition is there and led", |scene| {
        let (topic, index) = moved(scene);
        only_move(scene, &topic, index);
        let mut partitions = Partitions::default();
        partitions.begin_topic(&topic, 2);
        partitions.push(index, None, &[LEAVER, 0, 1], &[]);
        kafka(scene).partitions = partitions;
    }),
    ("nobody else moves it", |scene| {
        let (topic, index) = moved(scene);
        let moving = BTreeMap::from([(index, Reassignment::default())]);
        kafka(scene).reassignments = BTreeMap::from([(topic, moving)]);
    }),
    ("it still has to move", |scene| *first_move(scene) = Some(vec![1, 2, LEAVER])),
    ("no replica is lost", |scene| *first_move(scene) = Some(vec![1, 0])),
    ("brokers that are to hold it are alive", |scene| *first_move(scene) = Some(vec![1, 2, 9])),
    ("brokers that are to hold it are alive", |scene| {
        kafka(scene).brokers.insert(0, true);
    }),
];

const DELETE: [Case; 2] = [
    ("no StatefulSet names it", |scene| {
        let named = scene.observed.pods[&0].configuration.clone().unwrap();
        let Action::Delete(delete) = &mut scene.action else { panic!("no deletion") };
        delete.target.name = named;
        pod(scene, 0).configuration = None;
    }),
    ("no pod mounts it", |scene| {
        pod(scene, 0).configuration = Some("orders-broker-0-old".to_owned());
    }),
];

#[test]
fn without_any_one_guard_something_would_be_permitted() {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut shown = all.clone();
    let scenes =
        [roll, idle, added, bootstrap, deletion, moves, stop, unregistration, secret, claim];
    for scene in scenes {
        let permitted = scene();
        assert!(refused(&permitted).is_empty(), "{:?}", refused(&permitted));
        let kind = kind(&permitted.action);
        all.entry(kind).or_default().extend(names(&permitted));
        for (name, change) in cases(&permitted.action) {
            let mut changed = scene();
            change(&mut changed);
            assert_eq!(refused(&changed), [*name], "{}", changed.action.describe());
            shown.entry(kind).or_default().insert(name);
        }
    }
    assert_eq!(all, shown, "a guard without a case");
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::RestartPod(_) => "restart",
        Action::Format(_) => "format",
        Action::Delete(delete) => delete.kind.word(),
        Action::Reassign(_) => "reassign",
        Action::Unregister(_) => "unregister",
        _ => "harmless",
    }
}

fn names(scene: &Scene) -> Vec<&'static str> {
    let verdicts = check::guards(&scene.action, &scene.desired, &scene.observed);
    verdicts.into_iter().map(|(name, _)| name).collect()
}

/// The guards that refuse.
fn refused(scene: &Scene) -> Vec<&'static str> {
    let verdicts = check::guards(&scene.action, &scene.desired, &scene.observed);
    verdicts.into_iter().filter(|(_, verdict)| verdict.is_err()).map(|(name, _)| name).collect()
}

fn quickstart() -> World {
    World::new(manifest(include_str!("../../examples/quickstart.yaml")).unwrap())
}

fn up() -> World {
    let mut world = quickstart();
    world.bring_up().unwrap();
    world
}

/// The first moment at which a destructive action is planned.
fn scene(mut world: World, is_meant: fn(&Action) -> bool) -> Scene {
    for _ in 0..10 {
        let found = world.plan().unwrap().actions.into_iter().find(is_meant);
        let remembered = world.status().memory.roll.is_some();
        if let Some(action) =
            found.filter(|action| remembered || matches!(action, Action::Format(_)))
        {
            return Scene { action, desired: world.desired().unwrap(), observed: world.observe() };
        }
        world.pass().unwrap();
    }
    panic!("nothing destructive is planned");
}

/// A node that serves is to be restarted.
fn roll() -> Scene {
    let mut world = up();
    world.edit(&["spec", "config"], json!({ "log.retention.hours": "24" })).unwrap();
    scene(world, |action| matches!(action, Action::RestartPod(_)))
}

/// A node that waits for the word to format is to be restarted.
fn idle() -> Scene {
    let mut scene = roll();
    restart(&mut scene).is_of_idle_node = true;
    pod(&mut scene, RESTARTED).ready = false;
    set_state(&mut scene, RESTARTED, AgentState::AwaitingFormat);
    scene
}

/// A broker that is new is to be formatted.
fn added() -> Scene {
    let mut world = up();
    world.edit(&["spec", "brokers", "replicas"], json!(4)).unwrap();
    while world.pass().unwrap().changed_something() {}
    world.start_pods();
    scene(world, |action| matches!(action, Action::Format(_)))
}

/// The first voters are to be formatted.
fn bootstrap() -> Scene {
    let mut world = quickstart();
    while world.pass().unwrap().changed_something() {}
    world.start_pods();
    scene(world, |action| matches!(action, Action::Format(format) if format.node_id == VOTER))
}

/// A configuration that nobody uses is to be deleted.
fn deletion() -> Scene {
    let world = up();
    let target = Target {
        name: "orders-broker-0-old".to_owned(),
        uid: "uid".to_owned(),
        resource_version: "1".to_owned(),
    };
    let action =
        Action::Delete(Delete { kind: Kind::ConfigMap, target, reason: "unused".to_owned() });
    Scene { action, desired: world.desired().unwrap(), observed: world.observe() }
}

/// A broker leaves a cluster of four, and this is the first such action.
fn departure(is_meant: fn(&Action) -> bool) -> Scene {
    let mut cluster = manifest(include_str!("../../examples/quickstart.yaml")).unwrap();
    cluster.spec.brokers.replicas = 4;
    cluster.spec.brokers.storage.reclaim = Some(Reclaim { when_scaled: ReclaimPolicy::Delete });
    let mut world = World::new(cluster);
    world.bring_up().unwrap();
    world.edit(&["spec", "brokers", "replicas"], json!(3)).unwrap();
    for _ in 0..30 {
        let plan = world.plan().unwrap();
        if plan.memory != world.status().memory && !plan.actions.is_empty() {
            // What is remembered is written before anything is done, and planned on anew.
            world.pass_meeting(1, Mishap::CrashBefore).unwrap();
        }
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

/// Partitions are to move from a broker that leaves.
fn moves() -> Scene {
    departure(|action| matches!(action, Action::Reassign(_)))
}

/// It is to be stopped.
fn stop() -> Scene {
    departure(|action| is_delete(action, Kind::StatefulSet))
}

/// It is to be unregistered.
fn unregistration() -> Scene {
    departure(|action| matches!(action, Action::Unregister(_)))
}

/// Its certificate is to go.
fn secret() -> Scene {
    departure(|action| is_delete(action, Kind::Secret))
}

/// Its claim is to go.
fn claim() -> Scene {
    departure(|action| is_delete(action, Kind::PersistentVolumeClaim))
}

fn is_delete(action: &Action, kind: Kind) -> bool {
    matches!(action, Action::Delete(delete) if delete.kind == kind)
}

fn drain(scene: &mut Scene) -> &mut DrainMemory {
    scene.observed.memory.drain.as_mut().unwrap()
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

/// No other partition would move.
fn only_move(scene: &mut Scene, topic: &str, index: i32) {
    let Action::Reassign(reassign) = &mut scene.action else { panic!("no move") };
    reassign.partitions.retain(|found, _| found == topic);
    reassign.partitions.values_mut().for_each(|one| one.retain(|found, _| *found == index));
}

fn restart(scene: &mut Scene) -> &mut RestartPod {
    let Action::RestartPod(restart) = &mut scene.action else { panic!("no restart") };
    assert_eq!(restart.node_id, RESTARTED);
    restart
}

fn format(scene: &mut Scene) -> &mut Format {
    let Action::Format(format) = &mut scene.action else { panic!("no format") };
    format
}

fn pod(scene: &mut Scene, id: i32) -> &mut ottla_plan::observed::Pod {
    scene.observed.pods.get_mut(&id).unwrap()
}

fn identity(scene: &mut Scene) -> &mut Identity {
    scene.observed.identity.as_mut().unwrap()
}

fn kafka(scene: &mut Scene) -> &mut Kafka {
    let Answer::Known(kafka) = &mut scene.observed.kafka else { panic!("Kafka is silent") };
    kafka
}

fn silence_kafka(scene: &mut Scene) {
    scene.observed.kafka = Answer::Unknown { reason: "it is silent".to_owned() };
}

fn set_state(scene: &mut Scene, id: i32, state: AgentState) {
    let Some(Answer::Known(agent)) = scene.observed.agents.get_mut(&id) else {
        panic!("agent {id} is silent")
    };
    agent.state = state;
    agent.jvm = agent.jvm.take().filter(|_| state == AgentState::Recovering);
}

/// A partition that needs two in-sync replicas, or all it has.
fn partition(scene: &mut Scene, replicas: &[i32], in_sync: &[i32]) {
    let mut partitions = Partitions::default();
    partitions.begin_topic("payments", 2);
    partitions.push(0, in_sync.first().copied(), replicas, in_sync);
    kafka(scene).partitions = partitions;
}

fn record(scene: &mut Scene, id: i32, volume: &str) {
    identity(scene).disks.insert(disk_key(id, volume), "directory".to_owned());
}

/// The node's disk was in use, and a person declared its loss.
fn declare(scene: &mut Scene, id: i32) {
    record(scene, id, "d0");
    let claim = scene.observed.claims.get_mut(&format!("orders-broker-{id}-d0")).unwrap();
    claim.accepted_uid = Some(claim.uid.clone());
}

fn terminate_claim(scene: &mut Scene, id: i32) {
    let claims = scene.observed.claims.values_mut();
    claims.filter(|claim| claim.node_id == id).for_each(|claim| claim.terminating = true);
}

/// Nothing of a node is left, and the spec does not ask for it.
fn forget(scene: &mut Scene, id: i32, replicas: i32) {
    let set = format!("orders-broker-{id}");
    scene.observed.children.remove(Kind::StatefulSet, &set).unwrap();
    let claims: BTreeMap<_, _> = std::mem::take(&mut scene.observed.claims);
    scene.observed.claims = claims.into_iter().filter(|(_, one)| one.node_id != id).collect();
    scene.desired.brokers.replicas = replicas;
}
