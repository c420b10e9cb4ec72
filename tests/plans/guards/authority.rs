//! Guards of the CA's renewal.

use ottla_crds::agent::AgentState;
use ottla_plan::Action;
use ottla_plan::action::{AuthorityStep, RenewAuthority};
use ottla_plan::object::Kind;
use serde_json::json;

use super::{Case, Scene, agent, set_state, up};

pub(super) const RENEW: [Case; 7] = [
    ("the Secret is what it was", |scene| {
        let certificates = &mut scene.observed.certificates;
        certificates.get_mut("orders-broker-1").unwrap().is_of_trusted_authority = false;
    }),
    ("every node runs with the step before", |scene| {
        scene.observed.children.remove(Kind::ConfigMap, "orders-ca").unwrap();
    }),
    ("the CA is there", |scene| scene.observed.authority = None),
    ("it is the step that comes next", |scene| renew(scene).step = AuthorityStep::Retire),
    ("every node runs with the step before", |scene| {
        let certificates = &mut scene.observed.certificates;
        certificates.get_mut("orders-broker-1").unwrap().trusted = false;
    }),
    ("every node runs with the step before", |scene| {
        set_state(scene, 1, AgentState::Starting);
    }),
    ("every node runs with the step before", |scene| {
        agent(scene, 1).jvm.as_mut().unwrap().authority_serials = vec!["another".to_owned()];
    }),
];

/// The CA is to be renewed.
pub(super) fn renewal() -> Scene {
    let mut world = up();
    world.edit(&["metadata", "annotations", "ottla.dev/renew-ca"], json!("1")).unwrap();
    let is_meant = |action: &&Action| matches!(action, Action::RenewAuthority(_));
    let action = world.plan().unwrap().actions.iter().find(is_meant).unwrap().clone();
    Scene { action, desired: world.desired().unwrap(), observed: world.observe() }
}

fn renew(scene: &mut Scene) -> &mut RenewAuthority {
    let Action::RenewAuthority(renew) = &mut scene.action else { panic!("no renewal") };
    renew
}
