//! A node's objects: made when absent, put right when somebody else changed them, and replaced
//! when the spec changed only where that disturbs nobody.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ottla_crds::agent::{AgentState, AgentStatus};

use crate::action::{Action, RestartPod, Rewrite, Target};
use crate::canary::Canary;
use crate::desired::Desired;
use crate::disks::growth::{self, Growing};
use crate::names::NODE_LABEL;
use crate::node::Node;
use crate::object::{Kind, Object, desired_hash, foreign_lists};
use crate::observed::{Child, Observed, Pod};
use crate::report::WaitingOn;
use crate::resources::blueprint::Blueprint;
use crate::resources::{claim, config_map, stateful_set};
use crate::roll::{self, Hold};
use crate::upgrade::Watch;

/// Makes an object, or makes it again what it should be; `Err` where something stands in the way.
pub(crate) fn object(observed: &Observed, object: &Object) -> Result<Option<Action>, WaitingOn> {
    let Some(child) = observed.child(object.kind, &object.name) else {
        return Ok(Some(Action::Create(object.clone())));
    };
    usable(object, child)?;
    let same = desired_hash(&child.live) == Some(object.hash());
    if same && object.is_in(&child.live) {
        return Ok(None);
    }
    Ok(Some(Action::Apply(rewrite(object.clone(), child))))
}

fn rewrite(object: Object, child: &Child) -> Rewrite {
    let target = Target::of(&object.name, child);
    let lists = foreign_lists(&object.tree(), &child.live);
    Rewrite { object, target, lists }
}

/// Whether an existing object may be written: it is ours, and it is not on its way out.
fn usable(object: &Object, child: &Child) -> Result<(), WaitingOn> {
    let name = format!("{} {}", object.kind.word(), object.name);
    if !child.ours {
        return Err(WaitingOn::NameTaken { object: name });
    }
    if child.terminating {
        return Err(WaitingOn::Terminating { object: name });
    }
    Ok(())
}

/// That a name which the cluster needs belongs to a stranger's object, if so.
pub(crate) fn stranger(observed: &Observed, kind: Kind, name: &str) -> Option<WaitingOn> {
    let taken = observed.child(kind, name).is_some_and(|child| !child.ours);
    taken.then(|| WaitingOn::NameTaken { object: format!("{} {name}", kind.word()) })
}

/// What one node needs done, and what of it has to wait.
#[derive(Default)]
pub(crate) struct NodeSteps {
    pub(crate) actions: Vec<Action>,
    pub(crate) waiting_on: Vec<WaitingOn>,
    pub(crate) outdated: Option<Outdated>,
    /// The name of its configuration.
    pub(crate) configuration: String,
}

/// A node whose Kafka runs and whose pod is not what it would be made today.
pub(crate) struct Outdated {
    pub(crate) node: Node,
    pub(crate) pod: Target,
    /// The StatefulSet, where it does not describe the pod's next life yet.
    pub(crate) set: Option<Rewrite>,
    /// Why the spec asks for a restart; `None` where the pod's next restart is soon enough.
    pub(crate) reason: Option<String>,
}

/// What holds for all nodes in one pass.
pub(crate) struct Moment<'a> {
    pub(crate) observed: &'a Observed,
    pub(crate) watch: &'a Watch,
    pub(crate) canary: &'a Canary,
    pub(crate) growing: &'a Growing<'a>,
    pub(crate) now: Timestamp,
}

/// The node's ConfigMap, claims and StatefulSet.
pub(crate) fn node(blueprint: &Blueprint<'_>, node: &Node, moment: &Moment<'_>) -> NodeSteps {
    let (desired, observed) = (blueprint.desired, moment.observed);
    let wanted = wanted(blueprint, node);
    let configuration = wanted.configuration.name.clone();
    let mut steps = NodeSteps { configuration, ..NodeSteps::default() };
    let claims = claim::of_node(blueprint, observed, node);
    for wanted in claims.iter().chain([&wanted.configuration]) {
        match object(observed, wanted) {
            Ok(action) => steps.actions.extend(action),
            Err(waiting_on) => steps.waiting_on.push(waiting_on),
        }
    }
    // The pod would mount a stranger's Secret as the node's certificate.
    let taken = stranger(observed, Kind::Secret, &desired.names.node(node)).is_some();
    if steps.waiting_on.is_empty() && !taken {
        match observed.child(Kind::StatefulSet, &wanted.set.name) {
            Some(child) if moment.canary.is_rejected() => {
                keep(desired, moment, node, &wanted, child, &mut steps);
            }
            _ => set(desired, moment, node, &wanted, &mut steps),
        }
    }
    steps
}

/// What a node's StatefulSet should be, and the configuration that it mounts.
pub(crate) struct Wanted {
    pub(crate) set: Object,
    pub(crate) configuration: Object,
}

/// What the spec asks of a node.
pub(crate) fn wanted(blueprint: &Blueprint<'_>, node: &Node) -> Wanted {
    let configuration = config_map::node(blueprint, node);
    Wanted { set: stateful_set::node(blueprint, node, &configuration), configuration }
}

/// What the spec asks for is not taken by any node: each stays what it is, and the one that did not
/// start with it goes back to what it was.
fn keep(
    desired: &Desired,
    moment: &Moment<'_>,
    node: &Node,
    wanted: &Wanted,
    child: &Child,
    steps: &mut NodeSteps,
) {
    let Moment { observed, canary, .. } = *moment;
    if let Err(waiting_on) = usable(&wanted.set, child) {
        steps.waiting_on.push(waiting_on);
        return;
    }
    let pod = observed.pods.get(&node.id).filter(|pod| !pod.terminating);
    if let Some(template) = canary.goes_back_to(node) {
        let before = stateful_set::of_template(&wanted.set, template);
        let hash = stateful_set::template_hash(&before.own);
        if stateful_set::template_hash(&child.live) != hash {
            steps.actions.push(Action::Apply(rewrite(before.clone(), child)));
        }
        let other = pod.filter(|pod| pod.template.as_deref() != hash);
        if let Some(pod) = other.filter(|pod| serves_nobody(observed, node, pod)) {
            steps.actions.push(restart_idle(desired, node, pod, GOES_BACK.to_owned()));
        }
        return;
    }
    let Some(pod) = pod else { return };
    if let Some(reason) = lets_grow(moment, node, pod, child) {
        steps.actions.push(restart_idle(desired, node, pod, reason));
    } else if let Some(reason) = roll::certificate(desired, moment, node, pod, wanted) {
        let (node, pod) = (node.clone(), pod_target(desired, node, pod));
        steps.outdated = Some(Outdated { node, pod, set: None, reason: Some(reason) });
    }
}

/// A StatefulSet is written only on its node's turn: any pod made from then on takes the newest
/// template, and a pod may be made at any moment.
fn set(
    desired: &Desired,
    moment: &Moment<'_>,
    node: &Node,
    wanted: &Wanted,
    steps: &mut NodeSteps,
) {
    let Moment { observed, watch, .. } = *moment;
    let Some(child) = observed.child(Kind::StatefulSet, &wanted.set.name) else {
        steps.actions.push(Action::Create(wanted.set.clone()));
        return;
    };
    if let Err(waiting_on) = usable(&wanted.set, child) {
        steps.waiting_on.push(waiting_on);
        return;
    }
    let pod = observed.pods.get(&node.id);
    let template = stateful_set::template_hash(&wanted.set.own);
    let idle = pod.is_none_or(|pod| serves_nobody(observed, node, pod));
    let same =
        desired_hash(&child.live) == Some(wanted.set.hash()) && wanted.set.is_in(&child.live);
    let same_template = same || stateful_set::template_hash(&child.live) == template;
    // Else its next pod would be what an earlier spec asked for.
    let has_it = pod.is_some_and(|pod| pod.template.as_deref() == template);
    let held = (idle && !same).then(|| may_take_release(desired, observed, node, child, watch));
    let held = held.and_then(Result::err);
    let free = idle && held.is_none();
    if let Some(hold) = held {
        steps.waiting_on.push(WaitingOn::Soaking { detail: hold.to_string() });
    }
    if !same && (same_template || has_it || free) {
        steps.actions.push(Action::Apply(rewrite(wanted.set.clone(), child)));
    }
    let Some(pod) = pod.filter(|pod| !pod.terminating) else { return };
    let outdated = pod.template.as_deref() != template;
    if free && outdated {
        let reason = "it runs no Kafka and the spec changed since it was made".to_owned();
        steps.actions.push(restart_idle(desired, node, pod, reason));
    } else if let Some(reason) = lets_grow(moment, node, pod, child) {
        steps.actions.push(restart_idle(desired, node, pod, reason));
    } else if !idle {
        let reason = roll::reason(desired, moment, node, pod, wanted, outdated);
        if outdated || reason.is_some() {
            let set = (!same_template).then(|| rewrite(wanted.set.clone(), child));
            let (node, pod) = (node.clone(), pod_target(desired, node, pod));
            steps.outdated = Some(Outdated { node, pod, set, reason });
        }
    }
}

fn restart_idle(desired: &Desired, node: &Node, pod: &Pod, reason: String) -> Action {
    Action::RestartPod(RestartPod {
        node_id: node.id,
        pod: pod_target(desired, node, pod),
        set: None,
        is_of_idle_node: true,
        reason,
    })
}

/// Why a pod that runs no Kafka, as where its disk is full, is made anew as it is.
fn lets_grow(moment: &Moment<'_>, node: &Node, pod: &Pod, set: &Child) -> Option<String> {
    let reason = growth::needs_start(moment.growing, moment.observed, node, moment.now)?;
    let same = pod.template.as_deref() == stateful_set::template_hash(&set.live);
    (same && serves_nobody(moment.observed, node, pod)).then_some(reason)
}

const GOES_BACK: &str =
    "it did not start with what the spec asks for, and goes back to what it ran with";

/// Whether the next pod of a node may have the release that the spec names.
fn may_take_release(
    desired: &Desired,
    observed: &Observed,
    node: &Node,
    set: &Child,
    watch: &Watch,
) -> Result<(), Hold> {
    let configuration = stateful_set::configuration(&set.live);
    let configuration = configuration.and_then(|name| config_map::named(observed, name));
    let document = configuration.and_then(config_map::document_in);
    let from = document.map(|document| document.kafka_version);
    watch.permits_from(desired, observed, node, from.as_deref())
}

fn pod_target(desired: &Desired, node: &Node, pod: &Pod) -> Target {
    Target {
        name: desired.names.pod(node),
        uid: pod.uid.clone(),
        resource_version: pod.resource_version.clone(),
    }
}

/// Kubernetes' word for a container that ended again and again, and does not run now.
pub(crate) const CRASH_LOOP: &str = "CrashLoopBackOff";

/// Whether the pod runs no Kafka, so that deleting it disturbs nobody. Silence proves nothing.
#[must_use]
pub fn serves_nobody(observed: &Observed, node: &Node, pod: &Pod) -> bool {
    if pod.ready {
        return false;
    }
    match observed.agent(node.id) {
        Some(agent) => {
            agent.jvm.is_none()
                && matches!(agent.state, AgentState::AwaitingFormat | AgentState::Refused)
        }
        None => match &pod.stuck {
            Some(_) if is_heard_of(observed, node) => false,
            Some(stuck) => pod.restarts == 0 || stuck.starts_with(CRASH_LOOP),
            None => false,
        },
    }
}

/// Why an agent does not start what its image holds, if that is another release than its configuration names.
pub(crate) fn wrong_image(observed: &Observed, pod: &Pod, agent: &AgentStatus) -> Option<String> {
    if agent.state != AgentState::Refused {
        return None;
    }
    let wanted = config_map::mounted_document(observed, pod)?.kafka_version;
    let wrong = agent.kafka_version != wanted;
    wrong.then(|| format!("its image holds Kafka {} and not {wanted}", agent.kafka_version))
}

/// Whether Kafka itself hears from the node. A Kubernetes node that is cut off may run its pods long
/// after the last word of it.
pub(crate) fn is_heard_of(observed: &Observed, node: &Node) -> bool {
    observed.kafka.known().is_some_and(|kafka| {
        let broker = kafka.brokers.get(&node.id) == Some(&false);
        let voter = kafka.voters.get(&node.id).is_some_and(|voter| !voter.is_silent());
        broker || voter
    })
}

/// How many configurations of a node are kept beside the one in use, to go back to.
const CONFIGURATIONS_KEPT: usize = 2;

/// Configurations that no node uses and that are older than those kept to go back to.
pub(crate) fn orphans(
    desired: &Desired,
    observed: &Observed,
    current: &[(&Node, String)],
) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut configurations = configurations(observed);
    for (node, current) in current {
        let Some(mut unused) = configurations.remove(&node.id) else { continue };
        unused.retain(|(name, _)| *name != current);
        if unused.len() <= CONFIGURATIONS_KEPT {
            continue;
        }
        let set = observed.child(Kind::StatefulSet, &desired.names.node(node));
        let used = set.and_then(|set| stateful_set::configuration(&set.live));
        let mounted = observed.pods.get(&node.id).and_then(|pod| pod.configuration.as_ref());
        let canary = observed.memory.canary.as_ref().filter(|canary| canary.node == node.id);
        let goes_back_to = |name: &str| canary.is_some_and(|one| one.before.contains(name));
        unused.retain(|(name, child)| {
            Some(name.as_str()) != used
                && Some(*name) != mounted
                && !goes_back_to(name)
                && !child.terminating
        });
        unused.sort_by_key(|(name, child)| (child.created_at_seconds, (*name).clone()));
        let surplus = unused.len().saturating_sub(CONFIGURATIONS_KEPT);
        actions.extend(unused.into_iter().take(surplus).map(|(name, child)| delete(name, child)));
    }
    actions
}

/// Every configuration of a node that exists, by node id.
fn configurations(observed: &Observed) -> BTreeMap<i32, Vec<(&String, &Child)>> {
    let mut found: BTreeMap<i32, Vec<(&String, &Child)>> = BTreeMap::new();
    for (name, child) in observed.children_of(Kind::ConfigMap).filter(|(_, child)| child.ours) {
        if let Some(id) = child.label(NODE_LABEL).and_then(|label| label.parse().ok()) {
            found.entry(id).or_default().push((name, child));
        }
    }
    found
}

fn delete(name: &str, child: &Child) -> Action {
    Action::Delete(crate::action::Delete {
        kind: Kind::ConfigMap,
        target: Target::of(name, child),
        reason: "no node uses this configuration, and two newer ones are kept to go back to"
            .to_owned(),
    })
}
