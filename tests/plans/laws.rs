//! The laws of a whole plan: for each there is a plan that breaks it and no other, and is refused for that.

use ottla_plan::action::{Delete, RestartPod, Rewrite, Target};
use ottla_plan::object::{Kind, Object};
use ottla_plan::observed::Answer;
use ottla_plan::{Action, Observed, Plan, check};
use serde_json::json;

use super::guards::{quickstart, up};

/// The name of what all nodes have in common.
const NODES: &str = "orders-nodes";

/// Chooses among actions.
type Choice = fn(&Action) -> bool;

/// The law that a plan of these actions alone breaks.
fn broken(observed: &Observed, actions: Vec<Action>) -> Vec<&'static str> {
    let plan = Plan { actions, ..quickstart().plan().unwrap() };
    let violations = check::plan(&plan, observed).err().unwrap_or_default();
    violations.into_iter().map(|violation| violation.law).collect()
}

/// What is planned first of all in a world where nothing is.
fn first(is_meant: Choice) -> Vec<Action> {
    let action = quickstart().plan().unwrap().actions.into_iter().find(is_meant);
    vec![action.expect("it is planned in a world where nothing is")]
}

/// A world where somebody else has an object of this name.
fn with_a_strangers(kind: Kind, name: &str) -> Observed {
    let mut world = quickstart();
    world.add_stranger(kind, name).unwrap();
    let child = world.store().get(kind, name).unwrap().clone();
    let mut observed = quickstart().observe();
    observed.children.insert(kind, name.to_owned(), child);
    observed
}

/// An object of this name as it was seen.
fn target(observed: &Observed, kind: Kind, name: &str) -> Target {
    Target::of(name, observed.child(kind, name).unwrap())
}

fn delete(observed: &Observed, kind: Kind, name: &str) -> Action {
    let target = target(observed, kind, name);
    Action::Delete(Delete { kind, target, reason: "nobody needs it".to_owned() })
}

fn restart(observed: &Observed, id: i32, is_of_idle_node: bool) -> Action {
    let pod = &observed.pods[&id];
    let pod = Target {
        name: format!("orders-broker-{id}-0"),
        uid: pod.uid.clone(),
        resource_version: pod.resource_version.clone(),
    };
    let reason = "somebody asks".to_owned();
    Action::RestartPod(RestartPod { node_id: id, pod, set: None, is_of_idle_node, reason })
}

#[test]
fn two_nodes_that_serve_are_not_restarted_at_once() {
    let observed = up().observe();
    let both = |idle| vec![restart(&observed, 0, false), restart(&observed, 1, idle)];
    assert!(broken(&observed, both(true)).is_empty());
    assert_eq!(broken(&observed, both(false)), ["S2"]);
}

#[test]
fn no_second_cluster_id_is_made() {
    let identity = || first(|action| matches!(action, Action::NewIdentity { .. }));
    let mut observed = up().observe();
    assert!(broken(&quickstart().observe(), identity()).is_empty());
    observed.children.remove(Kind::ConfigMap, "orders-identity").unwrap();
    let mut without_claims = observed.clone();
    without_claims.claims.clear();
    assert_eq!(broken(&without_claims, identity()), ["S6"]);
    observed.identity = None;
    assert_eq!(broken(&observed, identity()), ["S6"]);
}

#[test]
fn nothing_is_created_in_the_place_of_something_else() {
    let creations: [(Kind, &str, Choice); 3] = [
        (Kind::ConfigMap, "orders-identity", |one| matches!(one, Action::NewIdentity { .. })),
        (Kind::Secret, "orders-ca", |one| matches!(one, Action::IssueAuthority { .. })),
        (Kind::Service, NODES, is_creation_of_nodes),
    ];
    for (kind, name, is_meant) in creations {
        assert!(broken(&quickstart().observe(), first(is_meant)).is_empty());
        assert_eq!(broken(&with_a_strangers(kind, name), first(is_meant)), ["S9"], "{name}");
    }
}

fn is_creation_of_nodes(action: &Action) -> bool {
    let Action::Create(object) = action else { return false };
    object.kind == Kind::Service && object.name == NODES
}

#[test]
fn what_is_a_strangers_is_neither_changed_nor_deleted() {
    let theirs = with_a_strangers(Kind::Secret, "orders-broker-0");
    let ours = up().observe();
    for (observed, laws) in [(&ours, vec![]), (&theirs, vec!["S9"])] {
        let object = Object::new(Kind::Secret, "orders-broker-0".to_owned(), json!({}));
        let target = target(observed, Kind::Secret, "orders-broker-0");
        let apply = Action::Apply(Rewrite { object, target, lists: Vec::new() });
        assert_eq!(broken(observed, vec![apply]), laws);
        let delete = delete(observed, Kind::Secret, "orders-broker-0");
        assert_eq!(broken(observed, vec![delete]), laws);
    }
}

#[test]
fn only_what_nodes_are_made_of_is_deleted() {
    let observed = up().observe();
    for (kind, name) in observed.children.keys() {
        let is_of_nodes = matches!(
            kind,
            Kind::ConfigMap | Kind::Secret | Kind::StatefulSet | Kind::PersistentVolumeClaim
        );
        let laws = if is_of_nodes { vec![] } else { vec!["S4"] };
        assert_eq!(broken(&observed, vec![delete(&observed, kind, name)]), laws, "{name}");
    }
}

#[test]
fn no_disk_is_forgotten_while_kafka_is_silent() {
    let mut observed = up().observe();
    let target = target(&observed, Kind::ConfigMap, "orders-identity");
    let forget = vec![Action::ForgetDisks { target, disks: vec!["3/d0".to_owned()] }];
    assert!(broken(&observed, forget.clone()).is_empty());
    observed.kafka = Answer::Unknown { reason: "the connection was refused".to_owned() };
    assert_eq!(broken(&observed, forget), ["S5"]);
}
