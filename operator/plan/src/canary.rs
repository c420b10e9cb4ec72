//! The first node that takes what the spec asks for. One that does not start with it goes back to what it
//! ran with, and no other takes it until the spec says something else.

use jiff::Timestamp;
use ottla_crds::agent::Role;
use ottla_crds::kafka_cluster::status::{CanaryMemory, RejectedMemory};
use serde_json::Value;

use crate::desired::Desired;
use crate::node::Node;
use crate::object::Kind;
use crate::observed::{Observed, Pod};
use crate::properties::{self, BOOTSTRAP};
use crate::repair::{self, Outdated};
use crate::report::WaitingOn;
use crate::resources::blueprint::Blueprints;
use crate::resources::stateful_set::{self, template_hash};
use crate::resources::{config_map, pod};
use crate::{quorum, release, roll};

/// A node that was started so often again and ended each time will not do better.
const RESTARTS: i32 = 2;

/// So long may Kubernetes look for another kind of place for a pod: another machine may be on its way.
const PLACE_SECONDS: i64 = 300;

/// Kubernetes' words for an image that it cannot get.
const NO_IMAGE: [&str; 2] = ["ImagePullBackOff", "InvalidImageName"];

/// What is known of the first node that takes what the spec asks for.
#[derive(Default)]
pub(crate) struct Canary {
    pub(crate) memory: Option<CanaryMemory>,
    pub(crate) rejected: Option<RejectedMemory>,
    /// The template that it goes back to.
    before: Option<Value>,
}

impl Canary {
    /// Whether no node takes what the spec asks for.
    pub(crate) fn is_rejected(&self) -> bool {
        self.rejected.is_some()
    }

    /// The template that a node goes back to, as long as it is not there.
    pub(crate) fn goes_back_to(&self, node: &Node) -> Option<&Value> {
        let goes = self.is_rejected() && self.memory.as_ref()?.node == node.id;
        self.before.as_ref().filter(|_| goes)
    }

    /// What people are told.
    pub(crate) fn waiting_on(&self) -> Option<WaitingOn> {
        let rejected = self.rejected.as_ref()?;
        Some(WaitingOn::CanaryFailed { node: rejected.node, detail: rejected.why.clone() })
    }
}

/// Whether the first node that took what the spec asks for runs with it, or never will.
pub(crate) fn judge(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    blueprints: &mut Blueprints<'_>,
    now: Timestamp,
) -> Canary {
    let (memory, rejected) = (observed.memory.canary.as_ref(), observed.memory.rejected.as_ref());
    let id = rejected.map(|one| one.node).or_else(|| memory.map(|one| one.node));
    let Some(node) = nodes.iter().find(|node| Some(node.id) == id) else {
        return Canary::default();
    };
    let wanted = repair::wanted(blueprints.of(node), node).set;
    let well = roll::is_well(observed, node).is_ok();
    let pod = observed.pods.get(&node.id);
    let runs = |template: Option<&str>| {
        template.is_some() && pod.is_some_and(|pod| pod.template.as_deref() == template)
    };
    if well && runs(template_hash(&wanted.own)) {
        return Canary::default();
    }
    let before = memory.and_then(|memory| way_back(desired, observed, node, memory));
    let set = observed.child(Kind::StatefulSet, &wanted.name);
    let wish = stateful_set::wish(&wanted.own).unwrap_or_default();
    let failed = || {
        let (takes, before) = (&memory?.takes, before.as_ref()?);
        let template = set.and_then(|set| set.live.pointer("/spec/template"));
        // A machine that is drained or full has no place for what it ran before, either.
        let moves = template.is_none_or(|now| pod::place(now) != pod::place(before));
        let how = failure(observed, node, pod?, moves, now)
            .filter(|_| runs(template_hash(&wanted.own)))?;
        Some(RejectedMemory {
            node: node.id,
            wish: wish.to_owned(),
            restart: desired.restart.clone(),
            why: format!("{takes}: {how}"),
        })
    };
    let same = |one: &&RejectedMemory| one.wish == wish && one.restart == desired.restart;
    let rejected = rejected.filter(same).cloned().or_else(failed);
    // As long as its next pod may be another than the one that worked.
    let before_hash = before.as_ref().and_then(pod::template_hash);
    let next_is_before = set.is_some_and(|set| template_hash(&set.live) == before_hash);
    let is_back = well && runs(before_hash) && next_is_before;
    // It runs with something newer than what it would go back to.
    let has_moved_on = well && !runs(before_hash);
    Canary { memory: memory.filter(|_| !is_back && !has_moved_on).cloned(), rejected, before }
}

/// The template with which a node ran, where nothing stands in its way.
fn way_back(
    desired: &Desired,
    observed: &Observed,
    node: &Node,
    memory: &CanaryMemory,
) -> Option<Value> {
    let template: Value = serde_json::from_str(&memory.before).ok()?;
    let configuration = config_map::named(observed, pod::configuration(&template)?)?;
    let document = config_map::document_in(configuration)?;
    let knows = release::unknown(&document.kafka_version, &observed.features()).is_none();
    let votes = quorum::votes(observed, node.id) && !document.roles.contains(&Role::Controller);
    let finds = quorum::finds_wished(desired, configuration)
        || config_map::property(configuration, BOOTSTRAP)
            == Some(properties::quorum(desired, &quorum::bootstrap(desired, observed)).as_str());
    (knows && !votes && finds && has_its_disks(desired, observed, node, &document.volumes))
        .then_some(template)
}

/// Whether a node with these disks has all that are on record of it, and a claim for each.
fn has_its_disks(desired: &Desired, observed: &Observed, node: &Node, volumes: &[String]) -> bool {
    let identity = observed.identity.iter();
    let mut on_record = identity.flat_map(|one| one.disks_of(node.id)).map(|(volume, _)| volume);
    let claimed = |volume: &String| {
        let claim = observed.claims.get(&desired.names.claim(node, volume));
        claim.is_some_and(|claim| !claim.terminating)
    };
    on_record.all(|one| volumes.iter().any(|volume| volume == one)) && volumes.iter().all(claimed)
}

/// How a node fails that will not start with what its pod was made from. `moves` says whether it asks for another
/// place than before.
fn failure(
    observed: &Observed,
    node: &Node,
    pod: &Pod,
    moves: bool,
    now: Timestamp,
) -> Option<String> {
    if pod.terminating || !repair::serves_nobody(observed, node, pod) {
        return None;
    }
    if let Some(agent) = observed.agent(node.id) {
        return repair::wrong_image(observed, pod, agent);
    }
    let stuck = pod.stuck.as_ref()?;
    let ends = stuck.starts_with(repair::CRASH_LOOP) && pod.restarts >= RESTARTS;
    let no_image = NO_IMAGE.iter().any(|word| stuck.starts_with(word));
    let waited = pod.unscheduled_since_seconds.map(|since| now.as_second() - since);
    let no_place = moves && waited.is_some_and(|waited| waited >= PLACE_SECONDS);
    (ends || no_image || no_place).then(|| stuck.clone())
}

/// What a later pass has to know of a node that is about to be restarted, where no other of its kind runs
/// with what the spec asks for: what it ran with.
pub(crate) fn first(
    observed: &Observed,
    nodes: &[Node],
    outdated: &Outdated,
    due: &[i32],
) -> Option<CanaryMemory> {
    let (node, set) = (&outdated.node, outdated.set.as_ref()?);
    let of_its_kind = |other: &&Node| {
        other.group == node.group && other.roles == node.roles && other.id != node.id
    };
    let shown = |other: &Node| !due.contains(&other.id) && roll::is_well(observed, other).is_ok();
    if nodes.iter().filter(of_its_kind).any(shown) || roll::is_well(observed, node).is_err() {
        return None;
    }
    let live = &observed.child(Kind::StatefulSet, &set.target.name)?.live;
    let runs = observed.pods.get(&node.id)?.template.as_deref();
    let is_of_pod = runs.is_some() && template_hash(live) == runs;
    Some(CanaryMemory {
        node: node.id,
        takes: outdated.reason.clone()?,
        before: is_of_pod.then(|| live["spec"]["template"].to_string())?,
    })
}
