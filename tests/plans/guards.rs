//! Guards, each taken away in turn: for every one there is a world in which it alone refuses, so that
//! without it the action would be permitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::agent::{AgentState, AgentStatus, FormatMode};
use ottla_crds::kafka_cluster::AllowUnavailable;
use ottla_crds::kafka_cluster::status::CanaryMemory;
use ottla_plan::action::{Delete, Format, RestartPod, Target};
use ottla_plan::object::Kind;
use ottla_plan::observed::{Answer, Identity, Kafka, Partitions, Voter, disk_key};
use ottla_plan::{Action, Desired, Observed, check};
use ottla_tests::world::{World, manifest};
use serde_json::json;

#[path = "guards/authority.rs"]
mod authority;
#[path = "guards/departure.rs"]
mod departure;
#[path = "guards/disks.rs"]
mod disks;
#[path = "guards/quorum.rs"]
mod quorum;
#[path = "guards/upgrade.rs"]
mod upgrade;

/// A destructive action in a world that permits it.
struct Scene {
    action: Action,
    desired: Desired,
    observed: Observed,
}

/// The name of a guard, and what makes it alone refuse.
type Case = (&'static str, fn(&mut Scene));

/// The kind of an action, and its cases. A new destructive action does not compile before it has some.
fn cases(scene: &Scene) -> (&'static str, &'static [Case]) {
    match &scene.action {
        Action::RestartPod(restart) => ("restart", restart_cases(scene, restart)),
        Action::Format(format) if format.request.volumes == ["d2"] => ("format", &disks::FORMAT),
        Action::Format(format) if format.node_id == VOTER => ("format", &FORMAT_OF_A_VOTER),
        Action::Format(_) => ("format", &FORMAT),
        Action::Delete(delete) => (delete.kind.word(), delete_cases(delete)),
        Action::Reassign(_) => ("reassign", &departure::REASSIGN),
        Action::Unregister(_) => ("unregister", &departure::UNREGISTER),
        Action::RenewAuthority(_) => ("renew authority", &authority::RENEW),
        Action::AddVoter(_) => ("add voter", &quorum::ADD),
        Action::RemoveVoter(_) => ("remove voter", &quorum::REMOVE),
        Action::UnregisterController(_) => ("unregister controller", &quorum::UNREGISTER),
        Action::RaiseFeature(_) => ("raise", &upgrade::RAISE),
        Action::Cordon { cordoned: true, .. } => ("cordon", &departure::CORDON),
        Action::CordonDisks { of_gone: false, .. } => ("cordon disks", &disks::CORDON),
        Action::MoveReplicas(_) => ("move replicas", &disks::MOVES),
        Action::NewIdentity { .. }
        | Action::IssueAuthority { .. }
        | Action::IssueLeaf(_)
        | Action::Create(_)
        | Action::Apply(_)
        | Action::RecordDisks { .. }
        | Action::RecordQuorum { .. }
        | Action::ForgetDisks { .. }
        | Action::AlterConfig(_)
        | Action::ElectLeaders(_)
        | Action::Throttle(_)
        | Action::CordonDisks { of_gone: true, .. }
        | Action::Cordon { cordoned: false, .. } => ("harmless", &[]),
    }
}

fn restart_cases(scene: &Scene, restart: &RestartPod) -> &'static [Case] {
    match restart.node_id {
        _ if disks::is_of_first(scene) => &disks::RESTART,
        _ if restart.is_of_idle_node => &IDLE_RESTART,
        upgrade::BROKER => &upgrade::RESTART,
        _ => &RESTART,
    }
}

fn delete_cases(delete: &Delete) -> &'static [Case] {
    let of_controller = delete.target.name.contains("-controller-");
    match delete.kind {
        Kind::StatefulSet if of_controller => &quorum::STOP,
        _ if of_controller => &quorum::DELETE_SECRET,
        Kind::StatefulSet => &departure::STOP,
        Kind::PersistentVolumeClaim if delete.target.name.starts_with("payments-") => {
            &disks::DELETE_CLAIM
        }
        Kind::PersistentVolumeClaim => &departure::DELETE_CLAIM,
        Kind::Secret => &departure::DELETE_SECRET,
        _ => &DELETE,
    }
}

/// A node that is formatted as one of the first voters.
const VOTER: i32 = 0;

/// The node that a roll of a quickstart cluster restarts first.
const RESTARTED: i32 = 1;

/// The broker that is added to a quickstart cluster.
const ADDED: i32 = 3;

const RESTART: [Case; 16] = [
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
        let mut partitions = Partitions::default();
        partitions.begin_topic("payments", 2);
        partitions.push_moving(0, Some(0), &[0, RESTARTED, 2], &[0, RESTARTED, 2], &[]);
        kafka(scene).partitions = partitions;
    }),
    ("it starts again with its disks", |scene| {
        let jvm = agent(scene, RESTARTED).jvm.as_mut().unwrap();
        jvm.offline_volumes = vec!["d0".to_owned()];
    }),
    ("it starts again with its disks", |scene| {
        agent(scene, RESTARTED).disks[0].available_bytes = 0;
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
    ("it goes on without no disk that it needs", needs_another_disk),
];

fn needs_another_disk(scene: &mut Scene) {
    let name = scene.observed.pods[&RESTARTED].configuration.clone().unwrap();
    disks::mount_also(scene, &name, "d9");
}

const IDLE_RESTART: [Case; 2] = [
    ("its claims stay", |scene| terminate_claim(scene, RESTARTED)),
    ("it goes on without no disk that it needs", |scene| {
        needs_another_disk(scene);
        record(scene, RESTARTED, "d9");
    }),
];

const FORMAT: [Case; 12] = [
    ("the cluster id is the same", |scene| {
        identity(scene).cluster_id = "another".to_owned();
    }),
    ("the pod is the one that is meant", |scene| pod(scene, ADDED).terminating = true),
    ("the agent asks", |scene| set_state(scene, ADDED, AgentState::Starting)),
    ("no volume on record is missing", |scene| disks::miss(scene, ADDED, "d9")),
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
    ("its release is there to stay", |scene| {
        kafka(scene).features.insert("metadata.version".to_owned(), 29);
    }),
    ("only first voters get the first voters' list", |scene| {
        format(scene).request.mode = FormatMode::InitialControllers("3@there:9090:id".to_owned());
    }),
    ("the pod is the one that is meant", |scene| {
        pod(scene, ADDED).uid = "another".to_owned();
    }),
];

const FORMAT_OF_A_VOTER: [Case; 2] = [
    ("the other voters decide without it", |scene| {
        declare(scene, VOTER);
        format(scene).request.mode = FormatMode::NoInitialControllers;
        let voters = [0, 1, 2].map(|id| (id, Voter::default()));
        let voters = voters.into_iter().collect();
        scene.observed.kafka = Answer::Known(Kafka { voters, ..Kafka::default() });
    }),
    ("a controller gets a word on the quorum", |scene| {
        format(scene).request.mode = FormatMode::Plain;
    }),
];

const DELETE: [Case; 3] = [
    ("no StatefulSet names it", |scene| {
        let named = scene.observed.pods[&0].configuration.clone().unwrap();
        let Action::Delete(delete) = &mut scene.action else { panic!("no deletion") };
        delete.target.name = named;
        pod(scene, 0).configuration = None;
    }),
    ("no pod mounts it", |scene| {
        pod(scene, 0).configuration = Some("orders-broker-0-old".to_owned());
    }),
    ("no node goes back to it", |scene| {
        let before = r#"{"configMap":{"name":"orders-broker-0-old"}}"#.to_owned();
        scene.observed.memory.canary = Some(CanaryMemory { before, ..CanaryMemory::default() });
    }),
];

#[test]
fn without_any_one_guard_something_would_be_permitted() {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut shown = all.clone();
    let scenes = [
        roll,
        idle,
        added,
        bootstrap,
        deletion,
        authority::renewal,
        departure::cordon,
        departure::moves,
        departure::stop,
        departure::unregistration,
        departure::secret,
        departure::claim,
        disks::addition,
        disks::cordon,
        disks::moves,
        disks::claim,
        disks::first,
        upgrade::broker,
        upgrade::raise,
        quorum::addition,
        quorum::removal,
        quorum::stop,
        quorum::secret,
        quorum::unregistration,
    ];
    for scene in scenes {
        let permitted = scene();
        assert!(refused(&permitted).is_empty(), "{:?}", refused(&permitted));
        let (kind, cases) = cases(&permitted);
        all.entry(kind).or_default().extend(names(&permitted));
        for (name, change) in cases {
            let mut changed = scene();
            change(&mut changed);
            assert_eq!(refused(&changed), [*name], "{}", changed.action.describe());
            shown.entry(kind).or_default().insert(name);
        }
    }
    assert_eq!(all, shown, "a guard without a case");
    let kinds: BTreeSet<&str> = all.into_keys().collect();
    assert_eq!(kinds, BTreeSet::from(DESTRUCTIVE), "a destructive action without a scene");
}

/// Every kind of action that has guards.
const DESTRUCTIVE: [&str; 16] = [
    "restart",
    "format",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Secret",
    "StatefulSet",
    "reassign",
    "unregister",
    "raise",
    "renew authority",
    "add voter",
    "remove voter",
    "unregister controller",
    "cordon",
    "cordon disks",
    "move replicas",
];

fn names(scene: &Scene) -> Vec<&'static str> {
    let verdicts = check::guards(&scene.action, &scene.desired, &scene.observed);
    verdicts.into_iter().map(|(name, _)| name).collect()
}

/// The guards that refuse.
fn refused(scene: &Scene) -> Vec<&'static str> {
    let verdicts = check::guards(&scene.action, &scene.desired, &scene.observed);
    verdicts.into_iter().filter(|(_, verdict)| verdict.is_err()).map(|(name, _)| name).collect()
}

pub(super) fn quickstart() -> World {
    World::new(manifest(include_str!("../../examples/quickstart.yaml")).unwrap())
}

pub(super) fn up() -> World {
    let mut world = quickstart();
    world.bring_up().unwrap();
    world
}

/// The first moment at which a destructive action is planned.
fn scene(mut world: World, is_meant: fn(&Action) -> bool) -> Scene {
    for _ in 0..10 {
        departure::remember(&mut world);
        if let Some(action) = world.plan().unwrap().actions.into_iter().find(is_meant) {
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

fn agent(scene: &mut Scene, id: i32) -> &mut AgentStatus {
    let Some(Answer::Known(agent)) = scene.observed.agents.get_mut(&id) else {
        panic!("agent {id} is silent")
    };
    agent
}

fn set_state(scene: &mut Scene, id: i32, state: AgentState) {
    let agent = agent(scene, id);
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
