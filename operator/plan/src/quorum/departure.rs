//! Controllers that do not vote any more: those with pods of their own are stopped, and what Kubernetes has of
//! them is taken away, but for their claims. Their registrations go last, where Kafka can do that.

use crate::action::{Action, Delete, Target, UnregisterController};
use crate::desired::Desired;
use crate::names::{GROUP_LABEL, NODE_LABEL};
use crate::node::{FIRST_CONTROLLER_ID, Group, Node, of_id};
use crate::object::Kind;
use crate::observed::{Child, Identity, Observed};
use crate::release;

/// Stops controllers that have nothing to do any more.
pub(super) fn stop(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<Action> {
    if observed.kafka.known().is_none_or(|kafka| kafka.leader.is_none()) {
        return Vec::new();
    }
    let left = nodes.iter().filter(|node| {
        node.group == Group::Controller
            && super::has_left(desired, observed, node.id)
            && super::can_be_called_back(observed, node.id)
    });
    let set = |node: &Node| {
        let name = desired.names.node(node);
        let child = observed.child(Kind::StatefulSet, &name)?;
        let reason = format!("controller {} does not vote any more", node.id);
        (child.ours && !child.terminating).then(|| delete(Kind::StatefulSet, &name, child, reason))
    };
    left.filter_map(set).collect()
}

/// What is left of controllers that were stopped, but for their claims.
pub(crate) fn leftovers(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Vec<Action> {
    if observed.kafka.known().is_none() {
        return Vec::new();
    }
    let is_node = |id: i32| nodes.iter().any(|node| node.id == id);
    let gone =
        |id: &i32| *id >= FIRST_CONTROLLER_ID && !is_node(*id) && !observed.pods.contains_key(id);
    let mut started = observed.identity.iter().flat_map(|one| &one.quorum.registered);
    let claims = || observed.nodes_with_claims().map(|(_, id)| id);
    if !started.any(gone) && !claims().any(|id| gone(&id)) {
        return Vec::new();
    }
    let mut actions = Vec::new();
    for kind in [Kind::ConfigMap, Kind::Secret] {
        for (name, child) in
            observed.children_of(kind).filter(|(_, one)| one.ours && !one.terminating)
        {
            let id = owner(desired, kind, name, child).filter(gone);
            if let Some(id) = id {
                let reason = format!("controller {id} is gone");
                actions.push(delete(kind, name, child, reason));
            }
        }
    }
    actions
}

/// Removes the registration of the next controller that has left.
pub(super) fn unregister(
    desired: &Desired,
    observed: &Observed,
    identity: &Identity,
) -> Option<Action> {
    let kafka = observed.kafka.known().filter(|kafka| kafka.leader.is_some())?;
    if !release::unregisters_controllers(&kafka.features) {
        return None;
    }
    let mut registered = identity.quorum.registered.iter();
    let id = *registered.find(|id| {
        super::has_left(desired, observed, **id)
            && !super::may_run(desired, observed, **id)
            && !has_leftovers(desired, observed, **id)
    })?;
    let mut record = identity.quorum.clone();
    record.registered.remove(&id);
    let target = Target::of_identity(&desired.names, identity);
    Some(Action::UnregisterController(UnregisterController { id, target, record }))
}

/// Whether anything is there that goes only while its controller can be called back.
fn has_leftovers(desired: &Desired, observed: &Observed, id: i32) -> bool {
    let kinds = [Kind::ConfigMap, Kind::Secret].into_iter();
    let mut owners = kinds.flat_map(|kind| {
        let children = observed.children_of(kind);
        children.filter_map(move |(name, child)| owner(desired, kind, name, child))
    });
    owners.any(|owner| owner == id)
}

/// The controller with a pod of its own that an object belongs to. A certificate's Secret carries no label.
pub(crate) fn owner(desired: &Desired, kind: Kind, name: &str, child: &Child) -> Option<i32> {
    if kind == Kind::Secret {
        let id: i32 = name.rsplit('-').next()?.parse().ok()?;
        let of_controller = id >= FIRST_CONTROLLER_ID && desired.names.node(&of_id(id)) == name;
        return of_controller.then_some(id);
    }
    let of_controller = child.label(GROUP_LABEL) == Some(Group::Controller.word());
    child.label(NODE_LABEL).filter(|_| of_controller)?.parse().ok()
}

fn delete(kind: Kind, name: &str, child: &Child, reason: String) -> Action {
    let target = Target::of(name, child);
    Action::Delete(Delete { kind, target, reason })
}
