//! Guards of what is done because the spec names another release.

use jiff::Timestamp;
use ottla_crds::kafka_cluster::Finalize;
use ottla_plan::observed::Answer;
use ottla_plan::{Action, Plan, WaitingOn, cluster};
use ottla_tests::world::{INSTALLATION, Mishap, World, manifest};
use serde_json::json;

use super::{Case, Scene, identity, kafka, silence_kafka};

/// The first broker of a production cluster that takes another release.
pub(super) const BROKER: i32 = 0;

pub(super) const RESTART: [Case; 2] = [
    ("its next release knows what is switched on", |scene| {
        kafka(scene).features.insert("metadata.version".to_owned(), 99);
    }),
    ("controllers take another release first", |scene| set_release(scene, 10001, "4.3.1")),
];

pub(super) const RAISE: [Case; 7] = [
    ("Kafka was asked", silence_kafka),
    ("it is remembered", |scene| identity(scene).traces.features.clear()),
    ("the spec lets it be done", |scene| {
        scene.desired.upgrade.finalize = Finalize::Manual;
    }),
    ("the spec names that release", |scene| {
        scene.desired.version = "4.3.1".to_owned();
        (0..3).for_each(|id| set_release(scene, id, "4.3.1"));
    }),
    ("it is what comes next", |scene| {
        kafka(scene).features.insert("metadata.version".to_owned(), 33);
    }),
    ("every node runs that release", |scene| set_release(scene, 1, "4.3.1")),
    ("no broker is unknown", |scene| {
        kafka(scene).brokers.insert(9, true);
    }),
];

fn set_release(scene: &mut Scene, id: i32, release: &str) {
    let Some(Answer::Known(agent)) = scene.observed.agents.get_mut(&id) else {
        panic!("agent {id} is silent")
    };
    agent.kafka_version = release.to_owned();
}

/// All controllers have another release, and the first broker is to take it.
pub(super) fn broker() -> Scene {
    let example = include_str!("../../../examples/production.yaml");
    upgraded(
        example,
        |action| matches!(action, Action::RestartPod(restart) if restart.node_id == BROKER),
    )
}

/// Every node has another release, and was watched with it.
pub(super) fn raise() -> Scene {
    let example = include_str!("../../../examples/quickstart.yaml");
    upgraded(example, |action| matches!(action, Action::RaiseFeature(_)))
}

/// The first moment of an upgrade at which that is planned.
fn upgraded(example: &str, is_meant: fn(&Action) -> bool) -> Scene {
    let mut world = World::new(manifest(example).unwrap());
    world.bring_up().unwrap();
    world.edit(&["spec", "version"], json!("4.4.0")).unwrap();
    for _ in 0..100 {
        let found = world.plan().unwrap().actions.into_iter().find(is_meant);
        let plan = world.plan().unwrap();
        let remembered =
            world.status().memory == plan.memory && *world.observe().traces() == plan.traces;
        match found {
            Some(action) if remembered => {
                let (desired, observed) = (world.desired().unwrap(), world.observe());
                return Scene { action, desired, observed };
            }
            // It is remembered, and not done.
            Some(_) => world.pass_meeting(1, Mishap::CrashBefore).unwrap(),
            None => world.pass().unwrap(),
        };
        world.start_pods();
        world.run_nodes();
        world.wait().unwrap();
    }
    panic!("it is never planned");
}

/// The reply, the status and Kafka's word may all be lost after a feature was asked for.
#[test]
fn what_is_about_to_be_switched_on_counts_while_kafka_is_silent() {
    let mut scene = raise();
    scene.desired.version = "4.3.1".to_owned();
    silence_kafka(&mut scene);
    let planned = |scene: &Scene| {
        let now = Timestamp::UNIX_EPOCH;
        cluster::plan(&Ok(scene.desired.clone()), &scene.observed, INSTALLATION, now)
    };
    let forbids = |plan: &Plan| {
        let mut waiting = plan.report.waiting_on.iter();
        waiting.any(|one| matches!(one, WaitingOn::DowngradeForbidden { .. }))
    };
    let plan = planned(&scene);
    assert!(forbids(&plan), "{:?}", plan.report.waiting_on);
    assert_eq!(plan.traces, *scene.observed.traces());
    let known = scene.observed.recorded_features.clone();
    identity(&mut scene).traces.features = known;
    assert!(!forbids(&planned(&scene)), "only what is on record forbids it");
}
